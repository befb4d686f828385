"""Detected renders: detections are matched to the right person, are in crop coordinates, and come back from files."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshrec.body import load_body
from meshrec.data.centred import centred
from meshrec.detect import Detection, Mask
from meshrec.errors import InputError
from meshrec.synthetic.batches import synthetic_batch
from meshrec.synthetic.detected_renders import (
    detect_renders,
    join_renders,
    load_renders,
    save_renders,
)
from meshrec.synthetic.detector_noise import EXACT
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures
from meshrec.synthetic.random_cameras import ViewMix
from meshrec.synthetic.random_poses import PoseMix
from meshrec.synthetic.render_batches import DetectedKeypoints
from meshrec.synthetic.textures import TextureLayout

SIZE = 64
MIX = PoseMix(authored=0.15, everyday=0, upright=0, floor=0)


class GreenScreen:
    """A detector that finds what is not green, with box and mask, and a second, small person in the corner."""

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
        red, green, blue = image.astype(float).transpose(2, 0, 1)
        rows, columns = np.nonzero(green < 1.6 * np.maximum(red, blue))
        box = np.array([columns.min(), rows.min(), columns.max(), rows.max()], np.float32)
        keypoints = np.tile([*(box[:2] + box[2:]) / 2, 0.9], (33, 1)).astype(np.float32)
        keypoints[0, 0] = image.shape[1] + 5  # beyond the photo
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[rows, columns] = 255
        edges = np.array([-0.5, -0.5, image.shape[1] - 0.5, image.shape[0] - 0.5])
        stranger = Detection(np.array([0, 0, 3, 3], np.float32), keypoints * 0, "mediapipe33", 0.9)
        return [stranger, Detection(box, keypoints, "mediapipe33", 0.8, Mask(mask, edges))]


def _green(streams, size, device):
    return torch.tensor([0.0, 1, 0])[:, None, None].expand(len(streams), 3, size, size)


@pytest.fixture(scope="module")
def parts():
    body = load_body("neutral")
    views = ViewMix(truncated=0.5, occluded=0)
    source = SyntheticPeople(body, seed=9, resolution=SIZE, poses=MIX, views=views)
    return list(detect_renders(source, range(6), Pictures(TextureLayout.of_body(body, 64), _green), GreenScreen(), 4))


def test_detections_are_in_the_crop_and_of_the_right_person(parts):
    renders = join_renders(parts)
    assert len(parts) == 2 and len(renders) == 6
    assert (renders.score == np.float32(0.8)).all()
    middle = (renders.box[:, :2] + renders.box[:, 2:]) / 2
    found = ((renders.keypoints[:, 5, :2] + 1) * SIZE - 1) / 2
    assert np.abs(found - middle).max() < 6
    assert (renders.keypoints[:, 0, 2] == 0).all() and (renders.keypoints[:, 5, 2] > 0).all()
    rows = np.arange(112) * SIZE / 112
    for mask, box in zip(renders.mask, renders.box):
        shown = rows[(mask > 127).any(1)]
        assert abs(shown.min() - max(box[1], 0)) < 4 and abs(shown.max() - min(box[3], SIZE)) < 4


def test_renders_are_read_as_they_were_written(parts, tmp_path):
    renders = join_renders(parts)
    save_renders(tmp_path / "renders.npz", renders)
    again = load_renders(tmp_path / "renders.npz")
    assert all(np.array_equal(getattr(again, name), getattr(renders, name)) for name in vars(renders))
    body = load_body("neutral")
    translation = torch.from_numpy(again.translation)
    out = body(torch.from_numpy(again.betas), torch.from_numpy(again.rotations[:, 1:]),
               torch.from_numpy(again.rotations[:, 0]), translation)  # fmt: skip
    place = out.joints[..., :2] / out.joints[..., 2:] * torch.from_numpy(again.focal)[:, None]
    place = (place + torch.from_numpy(again.center)[:, None]).numpy()
    low, high = again.photo[:, None, :2], again.photo[:, None, 2:]
    within = ((place > low) & (place < high)).all(-1)
    box = again.box[:, None]
    assert ((place > box[..., :2] - 1) & (place < box[..., 2:] + 1)).all(-1)[within].all()


def test_renders_become_batches_like_other_samples(parts):
    renders, body = join_renders(parts), load_body("neutral")
    batch, seen = DetectedKeypoints([renders], body, masks=True).rows([4, 1], resolution=32)
    views = ViewMix(truncated=0.5, occluded=0)
    source = SyntheticPeople(body, seed=9, resolution=SIZE, poses=MIX, views=views)
    truth, exact = centred(*synthetic_batch(source, [4, 1], noise=EXACT))
    for name in ("keypoints_2d", "joints_3d", "pose", "betas", "focal", "principal"):
        assert torch.allclose(getattr(batch, name), getattr(truth, name), atol=1e-4), name
    half = torch.nn.functional.avg_pool2d(exact.exact_silhouette, 2) > 0.5
    both, either = (seen.silhouette.bool() & half).sum(), (seen.silhouette.bool() | half).sum()
    assert both / either > 0.7
    assert batch.mask.shape == (2, 32, 32) and not batch.mask_confidence.any()
    with pytest.raises(InputError, match="another body"):
        DetectedKeypoints([renders], load_body("male"))


def test_a_detector_of_another_joint_set_is_refused(body):
    class Seventeen(GreenScreen):
        def __call__(self, image, boxes=None):
            return [replace(one, keypoints=one.keypoints[:17], joint_set="coco17") for one in super().__call__(image)]

    source, pictures = SyntheticPeople(body, seed=9, resolution=SIZE), Pictures(TextureLayout.of_body(body, 64), _green)
    with pytest.raises(ValueError, match="landmarks of mediapipe33, not coco17"):
        next(detect_renders(source, range(2), pictures, Seventeen()))


def test_a_file_of_something_else_is_refused(tmp_path, parts):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="holds no detected renders"):
        load_renders(tmp_path / "other.npz")
    renders = join_renders(parts)
    arrays = {name: getattr(renders, name) for name in vars(renders)} | {"score": renders.score[:2]}
    np.savez(tmp_path / "short.npz", **arrays)
    with pytest.raises(InputError, match="score has 2 rows"):
        load_renders(tmp_path / "short.npz")
