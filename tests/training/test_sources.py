"""Sources of training samples: the same people whoever asks, centred, and seen as the network wants them."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.paths import CONFIGS
from helpers.voc import COLOUR, write_voc

from meshrec.body import joint_index, joint_set
from meshrec.data.sample import person_sample
from meshrec.datasets.shards import write_shards
from meshrec.errors import InputError
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.synthetic.detected_renders import DetectedRenders, save_renders
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.simulated_detector import observe
from meshrec.training import load_config
from meshrec.training.labelled import overlap
from meshrec.training.pieces import Piece, mirrored
from meshrec.training.sources import training_sources, validation_sources

SIZE = 64


def _config(name: str, *changes: str):
    return load_config([CONFIGS / f"{name}.yaml", CONFIGS / "tiny.yaml"], changes)


@pytest.fixture(scope="module")
def renders(body, tmp_path_factory) -> Path:
    """Eight people as a detector without errors sees them, of whom it missed one."""
    source = SyntheticPeople(body, 5, resolution=SIZE)
    people = source.draw(range(8))
    seen = observe(people, body, source.streams(range(8), "detector"))
    mask = torch.nn.functional.interpolate(255 * seen.silhouette, (112, 112))[:, 0].to(torch.uint8)
    path = tmp_path_factory.mktemp("renders") / "renders.npz"
    arrays = {
        "index": people.indices, "kind": people.kind, "rotations": people.rotations, "betas": people.betas,
        "translation": people.translation, "focal": people.camera.focal, "center": people.camera.center,
        "photo": people.photo, "box": people.box, "score": [1, 1, 0, 1, 1, 1, 1, 1], "keypoints": seen.keypoints,
        "world": np.zeros((8, 33, 3)), "mask": mask, "seed": 5, "resolution": SIZE, "joint_set": "mediapipe33",
        "body": body.hash, "dressed": False,
    }  # fmt: skip
    save_renders(path, DetectedRenders(**{name: np.array(values) for name, values in arrays.items()}))
    return path


def _is_centred_and_consistent(body, piece: Piece, tolerance: float = 1e-4) -> None:
    """Keypoints are where a camera through the crop's middle sees the joints; these are where the pose puts them."""
    batch, inputs = piece
    assert not batch.principal.any() and torch.equal(batch.focal[:, 0], inputs.focal)
    points = batch.joints_3d[..., :3]
    seen = batch.focal[:, None] * points[..., :2] / points[..., 2:]
    assert torch.allclose(seen, batch.keypoints_2d[..., :2], atol=tolerance)
    posed = TorchLandmarks(LandmarkMoments.of_body(body, batch.joint_set))(batch.pose, batch.betas)
    offset = points - posed
    assert torch.allclose(offset, offset.mean(1, keepdim=True).expand_as(offset), atol=tolerance)


@pytest.mark.parametrize("name", ["iterative_keypoints", "iterative_proxy", "iterative_rgb"])
def test_synthetic_people_are_made_as_far_as_they_are_needed(name, body):
    (share,) = training_sources(_config(name), body)
    batch, inputs = piece = share.source(range(3, 6))
    _is_centred_and_consistent(body, piece)
    assert batch.image.shape == ((3, 3, SIZE, SIZE) if name == "iterative_rgb" else (0,))
    assert (inputs.silhouette is not None) == (name == "iterative_proxy") and not batch.mask.numel()
    again = share.source(range(3, 6))
    assert torch.equal(again[0].image, batch.image) and torch.equal(again[1].keypoints, inputs.keypoints)
    if name == "iterative_rgb":  # the others are made a whole batch at a time
        assert torch.allclose(share.source(range(4, 5))[1].keypoints, inputs.keypoints[1:2], atol=1e-4)


def test_masks_are_there_where_a_loss_compares_with_them(body):
    (share,) = training_sources(_config("iterative_rgb", "weights.silhouette=1"), body)
    batch, inputs = share.source(range(2))
    assert batch.mask.shape == (2, SIZE, SIZE) and batch.mask_confidence.all() and inputs.silhouette is None
    assert batch.mask.float().mean() > 5


@pytest.mark.parametrize("name", ["iterative_keypoints", "iterative_proxy"])
def test_renders_are_mixed_in_and_the_last_are_held_out(name, body, renders):
    config = _config(name, f"renders.files=[{renders}]", "renders.held_out=3", "renders.proportion=1")
    synthetic, share = training_sources(config, body)
    assert (synthetic.proportion, share.proportion) == (config.synthetic.proportion, 1)
    piece = share.source(range(64))
    _is_centred_and_consistent(body, piece, 1e-3)
    held_out, count = validation_sources(config, body)["renders"]
    assert count == 3
    batch, inputs = held_out(range(3))
    _is_centred_and_consistent(body, (batch, inputs), 1e-3)
    if name == "iterative_proxy":
        # Four of five train, and as many in the mirror; those held out do not.
        assert len({tuple(pose.flatten().tolist()) for pose in piece[0].pose}) == 8
        assert not torch.isin(batch.betas[:, 0], piece[0].betas[:, 0]).any()
        # Where the person's own keypoints are, the mask is.
        hips = inputs.keypoints[:, [joint_index(name, "mediapipe33") for name in ("left_hip", "right_hip")]]
        inside = torch.nn.functional.grid_sample(inputs.silhouette, hips[:, None, :, :2], align_corners=False)
        assert (inside > 0.5).float().mean() > 0.6


@pytest.mark.parametrize("source", ["synthetic", "renders"])
def test_clothes_widen_masks_and_change_nothing_else(source, body, renders):
    changes = [f"renders.files=[{renders}]", "synthetic.views.occluded=0", "synthetic.noise.mask=0"]
    dressed = [f"{source}.clothes.{key}" for key in ("bare=0", "thickness=0.03", "spread=0")]
    bare, worn = (
        {"synthetic": first.source, "renders": second.source}[source](range(40, 46))
        for first, second in (
            training_sources(_config("iterative_proxy", *changes, *clothes), body)
            for clothes in ([f"{source}.clothes=null"], dressed)
        )
    )
    assert torch.equal(bare[1].keypoints, worn[1].keypoints) and torch.equal(bare[0].pose, worn[0].pose)
    assert not (bare[1].silhouette > worn[1].silhouette).any()
    assert (worn[1].silhouette.sum((1, 2, 3)) > 1.05 * bare[1].silhouette.sum((1, 2, 3))).all()


def test_the_mirror_image_of_people_is_as_consistent_and_mirrors_back(body):
    config = _config("iterative_rgb_proxy", "weights.silhouette=1")
    (share,) = training_sources(config, body)
    piece = share.source(range(3))
    other = mirrored(piece, config.architecture.encoder.joints)
    left, right = (joint_index(f"{side}_wrist", "union55") for side in ("left", "right"))
    assert torch.allclose(piece[0].keypoints_2d[:, left, 0], -other[0].keypoints_2d[:, right, 0])
    # Bodies are only nearly symmetric.
    batch = other[0]
    posed = TorchLandmarks(LandmarkMoments.of_body(body, "union55"))(batch.pose, batch.betas)
    offset = batch.joints_3d[..., :3] - posed
    assert (offset - offset.mean(1, keepdim=True)).abs().max() < 0.02
    back = mirrored(other, config.architecture.encoder.joints)
    assert torch.equal(back[0].image, piece[0].image) and torch.equal(back[0].mask, piece[0].mask)
    assert torch.allclose(back[0].pose, piece[0].pose, atol=1e-6)
    assert torch.allclose(back[1].keypoints, piece[1].keypoints)


@pytest.mark.parametrize("places", [range(4, 8), range(5, 8), range(3, 4), range(6, 7)])
def test_mirror_images_stand_beside_those_whom_they_show(places, body):
    changes = ("synthetic.views.occluded=0", "weights.silhouette=1")
    (plain,) = training_sources(_config("iterative_rgb_proxy", "synthetic.mirror_images=false", *changes), body)
    config = _config("iterative_rgb_proxy", "synthetic.mirror_images=true", *changes)
    (twice,) = training_sources(config, body)
    batch, inputs = twice.source(places)
    assert len(batch) == len(places) and batch.image.shape[0] == inputs.silhouette.shape[0] == len(places)
    inner = range((places.start + 1) // 2, places.stop // 2)
    if inner:
        piece = plain.source(inner)
        for expected, rows in (
            (piece, slice(0, len(inner))),
            (mirrored(piece, "mediapipe33"), slice(len(inner), None)),
        ):
            assert torch.equal(batch.image[rows][: len(inner)], expected[0].image)
            assert torch.equal(inputs.keypoints[rows][: len(inner)], expected[1].keypoints)
    held_out, _ = validation_sources(config, body)["synthetic"]
    assert len(held_out(range(4))[0].betas.unique(dim=0)) == 4


def _coco(folder: Path) -> tuple[np.ndarray, list[str]]:
    """The keypoints of one person in a grey picture, and the changes of a configuration that train on them."""
    cv2.imwrite(str(folder / "a.jpg"), np.full((100, 200, 3), 77, np.uint8))
    keypoints = np.stack([np.linspace(30, 110, 17), np.linspace(15, 65, 17), np.full(17, 2)], axis=1)
    annotation = {"image_id": 9, "keypoints": keypoints.ravel().tolist(), "bbox": [20, 10, 100, 60]}
    content = {"images": [{"id": 9, "file_name": "a.jpg"}], "annotations": [annotation]}
    (folder / "person.json").write_text(json.dumps(content))
    keys = ("format=coco", f"path={folder}/person.json", f"pictures={folder}")
    return keypoints, [f"datasets.coco.{key}" for key in keys]


def test_datasets_stand_beside_synthetic_people(body, tmp_path):
    keypoints, coco = _coco(tmp_path)
    config = _config("iterative_rgb", *coco, "augmentation=null", "datasets.coco.proportion=0.5")
    _, share = training_sources(config, body)
    assert share.proportion == 0.5
    batch, inputs = share.source(range(2))
    assert not batch.joints_3d[..., 3].any() and not batch.pose_confidence.any()
    index = [joint_set("union55").index(name) for name in joint_set("coco17")]
    expected = (torch.from_numpy(keypoints[:, :2]) - torch.tensor([70.0, 40])) / 60
    assert torch.allclose(batch.keypoints_2d[0, index, :2], expected.float(), atol=1e-5)
    assert (batch.image[0, :, 32, 32] - 77).abs().max() <= 1
    # A network of keypoints gets its own joints, and the picture need not be there.
    (tmp_path / "a.jpg").unlink()
    _, share = training_sources(_config("iterative_keypoints", *coco, "augmentation=null"), body)
    batch, inputs = share.source(range(1))
    assert inputs.keypoints.shape == (1, 33, 3) and not batch.image.numel()
    nose, mouth = joint_index("nose", "mediapipe33"), joint_index("mouth_left", "mediapipe33")
    assert torch.allclose(inputs.keypoints[0, nose, :2], expected[0].float())
    assert inputs.keypoints[0, nose, 2] == 1 and inputs.keypoints[0, mouth, 2] == 0


def test_objects_of_a_voc_folder_are_pasted_into_datasets(body, tmp_path):
    write_voc(tmp_path / "voc")
    _, coco = _coco(tmp_path)
    changes = [f"augmentation.{key}" for key in ("occlusion_probability=1", "colour=0", "contrast=0", "scale=0")]
    config = _config("iterative_rgb", *coco, *changes, f"voc_occluders={tmp_path}/voc", "synthetic=null")
    (share,) = training_sources(config, body)
    pictures = share.source(range(6))[0].image
    far = (pictures - torch.tensor(COLOUR)[:, None, None]).abs().amax(1).flatten(1).amin(1)
    assert (far < 20).float().mean() >= 0.5  # some are pasted outside
    with pytest.raises(InputError, match="name a Pascal VOC folder"):
        training_sources(_config("iterative_rgb", *coco, f"voc_occluders={tmp_path}"), body)


def test_what_cannot_be_trained_on_is_told(body, renders, tmp_path):
    with pytest.raises(InputError, match="keep no pictures"):
        training_sources(_config("iterative_rgb", f"renders.files=[{renders}]"), body)
    with pytest.raises(InputError, match="nobody is left"):
        training_sources(_config("iterative_proxy", f"renders.files=[{renders}]", "renders.held_out=8"), body)
    with pytest.raises(InputError, match=r"missing\.npz"):
        training_sources(_config("iterative_proxy", f"renders.files=[{tmp_path}/missing.npz]"), body)


def test_hashes_of_bodies_that_the_training_cannot_use(body, tmp_path):
    """Those of other genders may differ; the training's own has to be right, or the betas would be dropped silently."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((90, 90, 3), np.uint8))
    labels = {"imgname": ["a.png"], "center": [[45.0, 45.0]], "scale": [0.4], "part": np.ones((1, 24, 3))}
    np.savez(tmp_path / "a.npz", pose=np.zeros((1, 72)), shape=np.zeros((1, 10)), gender=["m"], **labels)
    other = "0123456789abcdef"

    def sources(bodies: dict[str, str]) -> list:
        dataset = {"format": "spin", "path": f"{tmp_path}/a.npz", "pictures": str(tmp_path), "bodies": bodies}
        return training_sources(
            _config("iterative_keypoints", "renders=null", f"datasets={json.dumps({'d': dataset})}"), body
        )

    for bodies in ({}, {"neutral": body.hash}, {"neutral": body.hash, "male": other}, {"male": body.hash}):
        assert len(sources(bodies)) == 2
    for bodies in ({"neutral": other}, {"male": other, "female": other}, {"neutral": other, "male": body.hash}):
        with pytest.raises(InputError, match=rf"datasets\.d\.bodies\.\w+' is the hash {other}.* hash {body.hash}"):
            sources(bodies)


def test_shards_of_another_body_are_refused_unless_their_betas_are_left_out(body, tmp_path):
    """Shards name the body of each person themselves."""
    pose, betas = np.tile(np.eye(3), (24, 1, 1)), np.ones(10)
    places = np.c_[np.tile(np.linspace(10, 30, 17)[:, None], 2), np.ones(17)]
    for name, hashes in (("other", ("0123456789abcdef",)), ("mixed", ("0123456789abcdef", body.hash))):
        people = [
            person_sample(
                "somebody", np.zeros((40, 40, 3), np.uint8), (np.array([19.5, 19.5]), 30), joint_set("coco17"),
                places, pose=pose, betas=betas, body=hashed,
            )
            for hashed in hashes
        ]  # fmt: skip
        write_shards(people, tmp_path / name)

    def keys(name: str) -> list[str]:
        return [f"{part}.format=shards" for part in parts] + [f"{part}.path={tmp_path / name}" for part in parts]

    for parts, sources in ((["datasets.d"], training_sources), (["validation.datasets.d"], validation_sources)):
        message = rf"'{parts[0]}' reads .*other, whose betas belong to the body 0123456789abcdef, but .*{body.hash}"
        with pytest.raises(InputError, match=message):
            sources(_config("iterative_keypoints", *keys("other")), body)
        sources(_config("iterative_keypoints", *keys("mixed")), body)
    parts = ["datasets.d"]
    config = _config("iterative_keypoints", *keys("other"), "datasets.d.betas=false", "synthetic=null")
    (share,) = training_sources(config, body)
    batch, _ = share.source(range(2))
    assert not batch.betas_confidence.any() and batch.pose_confidence.all()


def test_copies_in_folders_overlap(tmp_path):
    random = np.random.default_rng(0)
    for folder in ("train", "held_out"):
        (tmp_path / folder / "parts").mkdir(parents=True)
        (tmp_path / folder / "LICENSE").write_text("the same everywhere")
        (tmp_path / folder / "parts" / "0.tar").write_bytes(random.bytes(1 << 17))
    assert not overlap(tmp_path / "train", tmp_path / "held_out")
    assert not overlap(tmp_path / "train", tmp_path / "missing")
    shutil.copy(tmp_path / "train" / "parts" / "0.tar", tmp_path / "held_out" / "other.tar")
    assert overlap(tmp_path / "train", tmp_path / "held_out")
    assert overlap(tmp_path / "train", tmp_path / "held_out" / "other.tar")
    assert not overlap(tmp_path / "train", tmp_path / "held_out" / "parts")
