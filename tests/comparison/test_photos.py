"""The comparison on photos: landmarks as joints, synthetic people on the path of photos, a folder of frames."""

import json
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from helpers.tools import run_tool

from meshrec.benchmarks import timing
from meshrec.body import LIMB_JOINTS, joint_index, joint_set
from meshrec.body.joints import flip_permutation
from meshrec.comparison import bench, landmark_map, smplr_rows
from meshrec.comparison.landmark_map import JOINTS, LANDMARKS, LandmarkMap
from meshrec.comparison.photos import DETECTIONS, people_in_photos
from meshrec.datasets.multiview import read_multiview
from meshrec.detect.people import Detection, Mask, photo_edges
from meshrec.evaluation.datasets import open_evaluation_set, synthetic_set
from meshrec.evaluation.detections import save_detections
from meshrec.evaluation.lifting import benchmark_to_lift, errors_by_person
from meshrec.evaluation.subjects import Kept
from meshrec.fit.sparse_pose import SparsePoseConfig
from meshrec.training import lifting, masked
from meshrec.training.lifting import learn_sparse_lifter

PEOPLE = 40
LIMBS = [joint_index(name, JOINTS) for name in LIMB_JOINTS]


@pytest.fixture(scope="module")
def joints(body) -> LandmarkMap:
    return LandmarkMap.learned(body, people=2048)


@pytest.fixture(scope="module")
def photographed(body, joints):
    return people_in_photos(synthetic_set(body).thinned(PEOPLE), None, joints)


def test_joints_are_nearer_to_the_truth_than_landmarks_of_their_names(body, joints):
    seen, true = landmark_map._people(body, 1024, seed=77)  # other people
    found = joints(np.concatenate([seen, np.ones_like(seen[..., :1])], axis=-1))[..., :2]
    errors = np.linalg.norm(found - true, axis=-1).mean(0)
    assert errors.max() < 0.1 and errors.mean() < 0.04  # half crop sides: 6 cm and 2.4 cm of a standing person
    named = joints.own >= 0
    plain = np.linalg.norm(seen[:, joints.own[named]] - true[:, named], axis=-1).mean(0)
    assert errors[named].mean() < 0.8 * plain.mean()


def test_joints_move_and_mirror_with_their_landmarks(joints):
    points = np.random.default_rng(0).random((5, 33, 3)) + [0, 0, 1]
    found = joints(points)
    np.testing.assert_allclose(joints(points * [3, 3, 1] + [7, -2, 0])[..., :2], 3 * found[..., :2] + [7, -2])
    mirrored = joints((points * [-1, 1, 1])[:, flip_permutation(LANDMARKS)])
    np.testing.assert_allclose(mirrored, (found * [-1, 1, 1])[:, flip_permutation(JOINTS)])


def test_joints_of_missing_landmarks(joints):
    points = np.ones((33, 3))
    points[:, :2] = np.random.default_rng(0).random((33, 2))
    points[joint_index("left_ankle", LANDMARKS), 2] = 0
    points[joint_index("right_hip", LANDMARKS), 2] = 0
    found = joints(points)
    at = {name: found[row] for row, name in enumerate(joint_set(JOINTS))}
    for name in ("mid_hip", "spine_h36m", "thorax", "left_ankle", "right_hip"):
        assert not at[name].any()
    # A knee whose ankle is missing lies where its landmark does; one that sees all three does not.
    np.testing.assert_allclose(at["left_knee"], points[joint_index("left_knee", LANDMARKS)])
    points[joint_index("right_hip", LANDMARKS), 2] = 0.5
    again = joints(points)[joint_index("right_knee", JOINTS)]
    assert again[2] == 1 and not np.allclose(again, points[joint_index("right_knee", LANDMARKS)])


def test_synthetic_people_come_through_as_the_benchmark_has_them(body, photographed):
    """A method makes about its usual error, though the joints come from other landmarks and in other crops."""
    config = SparsePoseConfig(iterations=60, refinements=10)
    lifter, _ = learn_sparse_lifter(body, config, every=64)
    usual = benchmark_to_lift(body, limit=PEOPLE)
    points = lifter(usual.keypoints)[:, LIMBS]
    before = errors_by_person(points, usual.true[:, LIMBS, :3], usual.true[:, LIMBS, 3], "limb12")
    after = photographed.errors(lifter(photographed.keypoints), body)
    for name, errors in before.items():
        assert abs(np.median(after[name]) / np.median(errors) - 1) < 0.25, name
    assert abs(after["body_pa_mpjpe"].mean() / after["pa_mpjpe"].mean() - 1) < 0.3


def test_true_joints_lie_behind_the_seen_ones(photographed):
    """Both are in the camera of the crop: x / z and y / z are those of the crop, but for the focal length."""
    seen, true = photographed.keypoints[:, LIMBS], photographed.true
    rays, found = true[..., :2] / true[..., 2:3], (seen[..., 2:] > 0).float()
    focal = (found * seen[..., :2] * rays).sum((1, 2)) / (found * rays.square()).sum((1, 2))
    apart = (focal[:, None, None] * rays - seen[..., :2]).norm(dim=-1)[found[..., 0] > 0]
    assert apart.median() < 0.05 and apart.quantile(0.9) < 0.15


def test_exact_joints_and_bodies_have_no_error(body, photographed):
    points = torch.zeros(PEOPLE, 17, 3)
    points[:, LIMBS] = photographed.true[..., :3] + 1.0
    assert max(of.max() for of in photographed.errors(points, None).values()) < 0.1
    betas, pose = torch.zeros(PEOPLE, 10), torch.eye(3).expand(PEOPLE, 24, 3, 3)
    vertices = body(betas, pose[:, 1:], pose[:, :1]).vertices
    errors = photographed.errors_of_bodies(vertices, body)
    rest = errors_by_person(
        body.joints_from(vertices, "limb12"), photographed.true[..., :3], photographed.true[..., 3], "limb12"
    )
    np.testing.assert_allclose(errors["mpjpe"], rest["mpjpe"])
    assert errors["body_pa_mpjpe"] is errors["pa_mpjpe"]


def folder_of(tmp_path, body):
    """A folder of two frames of a person in the rest pose, whose left wrist glows, and perfect detections of them."""
    folder = tmp_path / "frames"
    (folder / "images").mkdir(parents=True)
    short = [name.replace("left_", "l_").replace("right_", "r_") for name in LIMB_JOINTS]
    upright = np.array([1.0, -1, -1])  # SMPL's y up to the camera's y down
    points = np.tile(body.joints_from(body().vertices, "limb12")[0].numpy() * upright, (2, 1, 1))
    matrix, distance = np.array([[500.0, 0, 160], [0, 500, 240], [0, 0, 1]]), np.array([0.1, 0.0, 3.0])
    np.savez(
        folder / "gt.npz", image=np.array(["images/0.png", "images/1.png"]), camera=np.array([1, 2]),
        time_s=np.zeros(2), wh=np.tile([320, 480], (2, 1)), K=np.tile(matrix, (2, 1, 1)), dist=np.zeros((2, 5)),
        R=np.tile(np.eye(3), (2, 1, 1)), t=np.tile(distance, (2, 1)), joint_names=np.array(short), joints_3d=points,
        valid=np.ones((2, 12)), box2d=np.tile([60.0, 20, 260, 460], (2, 1)),
    )  # fmt: skip
    union = body.joints_from(body().vertices, LANDMARKS)[0].numpy() * upright + distance
    pixels = (union / union[:, 2:]) @ matrix.T
    picture = np.zeros((480, 320, 3), np.uint8)
    wrist = pixels[joint_index("left_wrist", LANDMARKS)]
    cv2.circle(picture, tuple(wrist[:2].round().astype(int).tolist()), 8, (255, 255, 255), -1)
    mask = np.zeros((480, 320), np.uint8)
    mask[:, 100:220] = 255
    keypoints = np.column_stack([pixels[:, :2], np.ones(33)]).astype(np.float32)
    person = Detection(
        np.array([60, 20, 260, 460], np.float32), keypoints, LANDMARKS, 1.0, Mask(mask, photo_edges((320, 480)))
    )
    for row in range(2):
        cv2.imwrite(str(folder / f"images/{row}.png"), picture)
    samples = read_multiview(folder)
    out = tmp_path / "out"
    out.mkdir()
    save_detections(out / DETECTIONS, {samples[row].name: person for row in range(2)})
    return folder, out


def test_crops_show_what_lies_at_the_joints(tmp_path, body, joints):
    folder, out = folder_of(tmp_path, body)
    data = open_evaluation_set(f"multiview:{folder}", body)
    people = people_in_photos(data, Kept(out / DETECTIONS), joints)
    assert list(people.groups) == ["camera 1", "camera 2"] and people.image.dtype == torch.uint8
    light = people.image[0].float().mean(0)
    grid = torch.stack(torch.meshgrid(torch.arange(64), torch.arange(64), indexing="xy")).float()
    glow = ((grid * light).sum((1, 2)) / light.sum() + 0.5) / 32 - 1
    wrist = people.keypoints[0, joint_index("left_wrist", JOINTS), :2]
    assert (glow - wrist).norm() < 0.08  # the map moves a wrist that is in its place already by 4 cm
    assert 0.1 < people.mask[0].float().mean() < 0.6


SMALL = (
    *("--limit", 8, "--set", "training.steps=2", "training.people=64", "training.batch_size=8", "baseline.width=8"),
    *("pictures.people=16", "seeing.steps=1", "seeing.batch_size=8", "volumetric.channels=8", "volumetric.halvings=1"),
    *("smplr.width=8", "smplr.landmarks=4", "nrsfm.steps=2", "nrsfm.rigid_steps=2", "nrsfm.width=8"),
    *("multimodal.width=8", "multimodal.latent=4", "multimodal.samples=2"),
)
ROWS = ("baseline", "nrsfm", "nrsfm_better", "multimodal_both", "integral", "smplr", "keypoints")


def test_rows_have_figures_of_the_folder(tmp_path, body, monkeypatch):
    monkeypatch.setattr(timing, "time_in_turn", partial(timing.time_in_turn, seconds=0))
    for module in (lifting, masked):
        monkeypatch.setattr(module, "MADE_AT_ONCE", 64)
    for module in (bench, smplr_rows):
        monkeypatch.setattr(module, "NOISE_PEOPLE", 16)
    folder, out = folder_of(tmp_path, body)
    assert run_tool("compare_methods.py", out, "--rows", "baseline", *SMALL).code == 0
    before = json.loads((out / "baseline.json").read_text())
    assert before["photos"] is None and "photos" not in (out / "comparison.md").read_text()
    weights = (out / "baseline.safetensors").stat().st_mtime_ns

    done = run_tool("compare_methods.py", out, "--multiview", folder, "--rows", *ROWS, *SMALL)
    assert done.code == 0, done.err
    kept = json.loads((out / "comparison.json").read_text())
    assert set(kept) == set(ROWS) and kept["baseline"]["errors"] == before["errors"]
    assert (out / "baseline.safetensors").stat().st_mtime_ns == weights
    for name, row in kept.items():
        assert row["photos"]["people"] == 2 and set(row["photos"]["cameras"]) == {"camera 1", "camera 2"}
        assert all(0 < of < 3000 for of in row["photos"]["errors"].values())
        assert ("body_pa_mpjpe" in row["photos"]["errors"]) == (name != "nrsfm_better")
    better, plain = (kept[name]["photos"]["errors"]["mpjpe"] for name in ("nrsfm_better", "nrsfm"))
    assert better <= plain
    (table,) = (part for part in (out / "comparison.md").read_text().split("\n\n") if part.startswith("| on 2 photos"))
    assert len(table.splitlines()) == 2 + len(ROWS)


def test_a_folder_that_is_not_there_is_refused_before_any_training(tmp_path):
    answer = run_tool("compare_methods.py", tmp_path, "--multiview", tmp_path / "none", "--rows", "baseline")
    assert answer.code and "none" in answer.err and "Traceback" not in answer.err
    assert not list(tmp_path.iterdir())
