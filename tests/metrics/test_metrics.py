"""Metrics against scipy, plain loops over numpy, and closed forms."""

import math
from datetime import timedelta

import numpy as np
import pytest
import torch
from scipy.spatial import procrustes as scipy_procrustes
from scipy.spatial.transform import Rotation

from meshrec import metrics
from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel, joint_index, joint_set
from meshrec.body.files import body_from_arrays
from meshrec.geometry import random_rotations
from meshrec.metrics import RunningMeans, joint_parts, mesh_errors, pose_errors

H36M = "h36m17"


def poses(seed: int = 0, batch: int = 20, joints: int = 17, noise: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted and true joints (B, K, 3), float64 metres, some way from the camera."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.randn(batch, joints, 3, generator=generator, dtype=torch.float64) * 0.4 + torch.tensor(
        [0.3, -0.2, 4.0]
    )
    return true + noise * torch.randn(true.shape, generator=generator, dtype=torch.float64), true


def some_missing(shape: tuple[int, ...], share: float = 0.3, seed: int = 5) -> torch.Tensor:
    """Confidences, of which that share is 0."""
    confidence = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.where(confidence < share, 0, confidence)


def reference_pa(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Errors (K,) in millimetres of one pose after its best similarity, by scipy's rotations."""
    x, y = predicted - predicted.mean(0), true - true.mean(0)
    rotation, _ = Rotation.align_vectors(y, x)
    turned = rotation.apply(x)
    scale = (turned * y).sum() / (x * x).sum()
    return 1000 * np.sqrt(((scale * turned - y) ** 2).sum(1))


def motion(seed: int, batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rotation = random_rotations(batch, generator, torch.float64)
    scale = 0.5 + torch.rand(batch, 1, 1, generator=generator, dtype=torch.float64)
    return rotation, scale, torch.randn(batch, 1, 3, generator=generator, dtype=torch.float64)


# Joints


def test_millimetres_out_of_metres():
    _, true = poses()
    moved = true + torch.tensor([0.003, 0.0, -0.004])
    assert metrics.mpjpe(moved, true).item() == pytest.approx(5.0)
    assert metrics.mpjpe(moved, true, joints=H36M).item() == pytest.approx(0.0, abs=1e-9)
    assert metrics.mpjpe(moved.numpy(), true.numpy()).item() == pytest.approx(5.0)


@pytest.mark.parametrize("joints", ["h36m17", "smpl24", "lsp14", "coco17", "mediapipe33"])
def test_mpjpe_from_the_root_of_any_set(joints):
    predicted, true = poses(joints=len(joint_set(joints)))
    roots = {"h36m17": ["mid_hip"], "smpl24": ["pelvis"]}.get(joints, ["left_hip", "right_hip"])
    rows = [joint_index(name, joints) for name in roots]
    errors = []
    for p, t in zip(predicted.numpy(), true.numpy()):
        for k in range(len(p)):
            errors.append(math.dist(p[k] - p[rows].mean(0), t[k] - t[rows].mean(0)))
    assert metrics.mpjpe(predicted, true, joints=joints).item() == pytest.approx(1000 * np.mean(errors))


def test_n_mpjpe_is_the_least_over_all_sizes():
    predicted, true = poses(noise=0.2)
    predicted = predicted * 1.7
    ours = metrics.point_errors(predicted, true, joints=H36M, align="scale").values.square().sum(-1)
    x, y = (p - p[:, :1] for p in (predicted, true))
    for scale in torch.linspace(0.1, 2.0, 500):
        assert (1e6 * (scale * x - y).square().sum((-1, -2)) >= ours - 1e-6).all()
    assert metrics.n_mpjpe(true * 1.7, true, joints=H36M).item() == pytest.approx(0, abs=1e-9)


def test_pa_mpjpe_equals_scipys_alignment():
    predicted, true = poses(noise=0.5)
    values = metrics.point_errors(predicted, true, align="similarity").values
    expected = np.stack([reference_pa(p, t) for p, t in zip(predicted.numpy(), true.numpy())])
    np.testing.assert_allclose(values, expected, atol=1e-7)
    assert metrics.pa_mpjpe(predicted, true).item() == pytest.approx(expected.mean())
    single = metrics.pa_mpjpe(predicted.float(), true.float()).item()
    assert single == pytest.approx(expected.mean(), rel=1e-4)


def test_pa_mpjpe_equals_scipys_disparity_where_no_reflection_is_better():
    predicted, true = poses(noise=0.05)
    values = metrics.point_errors(predicted, true, align="similarity").values / 1000
    for p, t, errors in zip(predicted.numpy(), true.numpy(), values):
        _, _, disparity = scipy_procrustes(t, p)  # of the squared distances' sum, where the true pose's own is 1
        assert (errors.square().sum() / ((t - t.mean(0)) ** 2).sum()).item() == pytest.approx(disparity, abs=1e-9)


def test_pa_mpjpe_forgives_rotation_scale_and_place_but_no_reflection():
    _, true = poses()
    rotation, scale, shift = motion(1, len(true))
    similar = scale * true @ rotation.mT + shift
    assert metrics.pa_mpjpe(similar, true).item() < 1e-9
    mirrored = similar * torch.tensor([-1.0, 1.0, 1.0])
    expected = [reference_pa(p, t).mean() for p, t in zip(mirrored.numpy(), true.numpy())]
    assert metrics.pa_mpjpe(mirrored, true).item() == pytest.approx(np.mean(expected))
    assert metrics.pa_mpjpe(mirrored, true) > 50


def test_pa_mpjpe_of_collinear_points():
    """On a line the best turn is known: what is left is a regression of distances along the line."""
    generator = torch.Generator().manual_seed(0)
    along = torch.randn(2, 5, 12, generator=generator, dtype=torch.float64)
    along = along - along.mean(-1, keepdim=True)
    lines = torch.nn.functional.normalize(torch.randn(2, 5, 1, 3, generator=generator, dtype=torch.float64), dim=-1)
    predicted, true = along[..., None] * lines + torch.tensor([1.0, 2.0, 3.0])
    x, y = along
    product = (x * y).sum(-1, keepdim=True)
    left = product.sign() * y - product.abs() / x.square().sum(-1, keepdim=True) * x
    values = metrics.point_errors(predicted, true, align="similarity").values
    torch.testing.assert_close(values, 1000 * left.abs(), atol=1e-6, rtol=0)
    assert metrics.pa_mpjpe(predicted, predicted).item() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pa_mpjpe_of_a_pose_shrunk_to_a_point(dtype):
    """Nothing can be aligned but the place: each joint is as far as from the middle of the pose."""
    _, true = poses()
    true = true.to(dtype)
    point = torch.full_like(true, 0.7)
    expected = 1000 * (true - true.mean(1, keepdim=True)).norm(dim=-1).mean()
    torch.testing.assert_close(metrics.pa_mpjpe(point, true), expected)


def test_joints_without_confidence_are_left_out_whatever_stands_in_for_them():
    predicted, true = poses(noise=0.3)
    confidence = some_missing(true.shape[:-1])
    confidence[:, joint_index("mid_hip", H36M)] = 1
    confidence[3, joint_index("mid_hip", H36M)] = 0  # without a root this pose has no root-aligned error
    expected = {"mpjpe": [], "n_mpjpe": [], "pa_mpjpe": []}
    for i, (p, t, seen) in enumerate(zip(predicted.numpy(), true.numpy(), confidence.numpy() > 0)):
        expected["pa_mpjpe"].extend(reference_pa(p[seen], t[seen]))
        if i == 3:
            continue
        x, y = (p - p[0])[seen], (t - t[0])[seen]
        expected["mpjpe"].extend(1000 * np.sqrt(((x - y) ** 2).sum(1)))
        expected["n_mpjpe"].extend(1000 * np.sqrt((((x * y).sum() / (x * x).sum() * x - y) ** 2).sum(1)))
    true[confidence == 0] = torch.nan
    for name, errors in pose_errors(predicted, true, confidence, H36M).items():
        if name in expected:
            assert errors.mean().item() == pytest.approx(np.mean(expected[name])), name


def test_two_points_say_nothing_about_a_pose():
    predicted, true = poses()
    confidence = torch.zeros(true.shape[:-1])
    confidence[:, :2] = 1
    assert metrics.pa_mpjpe(predicted, true, confidence).isnan()
    confidence[0, :5] = 1
    assert metrics.pa_mpjpe(predicted, true, confidence) == metrics.pa_mpjpe(predicted[:1, :5], true[:1, :5])


def test_pck_and_auc_in_3d():
    predicted, true = poses(noise=0.06, batch=100)
    distances = [
        1000 * math.dist(p[k] - p[0], t[k] - t[0]) for p, t in zip(predicted.numpy(), true.numpy()) for k in range(17)
    ]
    rates = [np.mean([d < threshold for d in distances]) for threshold in range(0, 151, 5)]
    assert 0.2 < rates[20] < 0.8
    assert metrics.pck3d(predicted, true, joints=H36M).item() == pytest.approx(rates[-1])
    assert metrics.pck3d(predicted, true, joints=H36M, threshold_mm=100).item() == pytest.approx(rates[20])
    assert metrics.auc3d(predicted, true, joints=H36M).item() == pytest.approx(np.mean(rates))
    assert metrics.auc3d(true, true).item() == pytest.approx(30 / 31)


def test_acceleration_error():
    predicted, true = (p.view(2, 10, 17, 3) for p in poses(batch=20))
    confidence = some_missing(true.shape[:-1], 0.1)
    errors, seen = [], confidence > 0
    for b in range(2):
        for t in range(1, 9):
            for k in range(17):
                if seen[b, t - 1 : t + 2, k].all():
                    a, c = (p[b, t - 1, k] - 2 * p[b, t, k] + p[b, t + 1, k] for p in (predicted, true))
                    errors.append(1000 * math.dist(a, c))
    assert metrics.acceleration_error(predicted, true, confidence).item() == pytest.approx(np.mean(errors))
    per_second = metrics.acceleration_error(predicted, true, confidence, fps=30.0)
    assert per_second.item() == pytest.approx(900 * np.mean(errors))
    drift = torch.arange(10).view(10, 1, 1) * torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    assert metrics.acceleration_error(true + drift, true).item() < 1e-9
    wobble = torch.randn(2, 10, 1, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert metrics.acceleration_error(true + wobble, true) > 100
    assert metrics.acceleration_error(true + wobble, true, joints=H36M).item() < 1e-9


def test_points_that_do_not_compare_are_refused():
    predicted, true = poses()
    with pytest.raises(ValueError, match="do not compare"):
        metrics.mpjpe(predicted[:1], true)
    with pytest.raises(ValueError, match="lsp14 has 14 joints, not 17"):
        metrics.mpjpe(predicted, true, joints="lsp14")
    with pytest.raises(ValueError, match="does not fit"):
        metrics.mpjpe(predicted, true, torch.ones(20, 16))
    with pytest.raises(ValueError, match="three frames"):
        metrics.acceleration_error(true[:2], true[:2])


# Meshes


def test_vertex_errors():
    predicted, true = poses(joints=200, batch=4)
    roots = predicted.mean(1), true[:, 7]
    moved = (predicted - roots[0][:, None]).numpy() - (true - roots[1][:, None]).numpy()
    expected = 1000 * np.sqrt((moved**2).sum(-1))
    assert metrics.mpve(predicted, true, roots=roots).item() == pytest.approx(expected.mean())
    confidence = torch.tensor([1.0, 0.0, 1.0, 0.0])[:, None]
    assert metrics.mpve(predicted, true, confidence, roots).item() == pytest.approx(expected[[0, 2]].mean())
    pa = [reference_pa(p, t).mean() for p, t in zip(predicted.numpy(), true.numpy())]
    assert metrics.pa_mpve(predicted, true).item() == pytest.approx(np.mean(pa))
    both = mesh_errors(predicted, true, roots=roots)
    assert both["mpve"].mean().item() == pytest.approx(expected.mean())
    assert both["pa_mpve"].mean().item() == pytest.approx(np.mean(pa))


def test_shape_error_in_t_pose():
    arrays = random_arrays()
    body = BodyModel(body_from_arrays(arrays, "a test"), torch.float64)
    betas = torch.randn(2, 5, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    difference = arrays["shapedirs"] @ (betas[0] - betas[1]).numpy().T  # (V, 3, B)
    expected = 1000 * np.sqrt((difference**2).sum(1)).mean()
    assert metrics.pve_t(body, *betas).item() == pytest.approx(expected)
    other = BodyModel(body_from_arrays(arrays | {"v_template": arrays["v_template"] + 0.01}, "a test"), torch.float64)
    assert metrics.pve_t(body, betas[0], betas[0], other).item() == pytest.approx(10 * 3**0.5)


# Keypoints


def test_pck_by_torso_and_head():
    generator = torch.Generator().manual_seed(0)
    true = 100 * torch.rand(50, 14, 2, generator=generator, dtype=torch.float64)
    predicted = true + 10 * torch.randn(true.shape, generator=generator, dtype=torch.float64)
    confidence = some_missing(true.shape[:-1])
    names = joint_set("lsp14")
    torso, head = (size(true, "lsp14", confidence) for size in (metrics.torso_size, metrics.head_size))
    rates = {"torso": [], "head": []}
    for i in range(50):
        p, t = ({name: points[i, k].tolist() for k, name in enumerate(names)} for points in (predicted, true))
        seen = {name for k, name in enumerate(names) if confidence[i, k] > 0}
        diagonals = [("left_shoulder", "right_hip"), ("right_shoulder", "left_hip")]
        lengths = [math.dist(t[a], t[b]) for a, b in diagonals if {a, b} <= seen]
        if lengths:
            assert torso[i].item() == pytest.approx(np.mean(lengths))
            rates["torso"].extend(math.dist(p[name], t[name]) < 0.2 * np.mean(lengths) for name in seen)
        if {"neck", "head_top"} <= seen:
            length = math.dist(t["neck"], t["head_top"])
            assert head[i].item() == pytest.approx(length)
            rates["head"].extend(math.dist(p[name], t[name]) < 0.5 * length for name in seen)
    assert (torso == 0).any() and 0.2 < np.mean(rates["torso"]) < 0.8
    assert metrics.pck2d(predicted, true, torso, confidence).item() == pytest.approx(np.mean(rates["torso"]))
    assert metrics.pck2d(predicted, true, head, confidence, 0.5).item() == pytest.approx(np.mean(rates["head"]))
    steps = [metrics.pck2d(predicted, true, head, confidence, i * 0.01).item() for i in range(51)]
    assert metrics.auc2d(predicted, true, head, confidence).item() == pytest.approx(np.mean(steps), abs=1e-6)


# Silhouettes


def test_silhouette_scores_of_two_rectangles():
    predicted, true = torch.zeros(2, 20, 30)
    predicted[5:15, 5:15] = 0.6
    predicted[0, 0] = 0.4  # below one half is outside
    true[5:15, 10:30] = 1
    overlap = metrics.silhouette_overlap(predicted, true)
    assert overlap.accuracy.item() == pytest.approx(1 - (50 + 150) / 600)
    assert overlap.precision.item() == pytest.approx(50 / 100)
    assert overlap.recall.item() == pytest.approx(50 / 200)
    assert overlap.f1.item() == pytest.approx(2 * 50 / (100 + 200))
    assert overlap.iou.item() == pytest.approx(50 / 250)
    left = torch.zeros(20, 30)
    left[:, :10] = 1
    assert metrics.silhouette_overlap(predicted, true, left).recall.isnan()
    assert metrics.silhouette_overlap(predicted, true, left).accuracy.item() == pytest.approx(1 - 50 / 200)


def test_part_scores():
    rng = np.random.default_rng(0)
    predicted, true = rng.integers(-1, 3, (2, 4, 16, 12))
    overlap = metrics.part_overlap(torch.tensor(predicted), torch.tensor(true), 3)
    pooled = overlap.totals()
    for part in range(3):
        for i in range(4):
            ours, theirs = (set(np.flatnonzero(labels[i] == part)) for labels in (predicted, true))
            assert overlap.iou[i, part].item() == pytest.approx(len(ours & theirs) / len(ours | theirs))
        agree = ((predicted == part) == (true == part)).mean()
        assert pooled.accuracy[part].item() == pytest.approx(agree)
        either = (predicted == part).sum() + (true == part).sum()
        both = ((predicted == part) & (true == part)).sum()
        assert pooled.f1[part].item() == pytest.approx(2 * both / either)
    left = np.arange(12) < 5  # a part at a time, and only the pixels that count
    within = metrics.part_overlap(predicted, true, 3, np.tile(left, (16, 1)))
    for part in range(3):
        alone = metrics.silhouette_overlap(predicted == part, true == part, left)
        for name in ("hit", "extra", "missed", "empty"):
            assert torch.equal(getattr(within, name)[:, part], getattr(alone, name))


# Over a data set


def test_per_joint_and_per_part():
    predicted, true = poses()
    running = RunningMeans()
    running.update(pose_errors(predicted, true, joints=H36M))
    means = running.compute()["mpjpe"]
    expected = 1000 * ((predicted - predicted[:, :1]) - (true - true[:, :1])).norm(dim=-1).mean(0)
    torch.testing.assert_close(means.per_point, expected)
    parts = means.grouped(joint_parts(H36M))
    knees = [joint_index(f"{side}_knee", H36M) for side in ("left", "right")]
    assert parts["knee"] == pytest.approx(expected[knees].mean().item())
    trunk, limbs = {"mid_hip", "spine_h36m", "thorax", "head_h36m", "head_top"}, {"hip", "knee", "ankle"}
    assert set(parts) == trunk | limbs | {"shoulder", "elbow", "wrist"}


def test_vertex_parts_cover_the_body():
    body = BodyModel(body_from_arrays(random_arrays(vertices=300), "a test"))
    parts = metrics.vertex_parts(body)
    assert sorted(vertex for part in parts.values() for vertex in part) == list(range(300))
    for vertex in parts["knee"]:
        assert body.joint_names[int(body.weights[vertex].argmax())] in ("left_knee", "right_knee")


def measured(part: slice) -> dict:
    """What a share of one data set of 23 poses and pictures measures."""
    predicted, true = poses(batch=23, noise=0.2)
    confidence = some_missing(true.shape[:-1])
    masks = torch.rand(2, 23, 8, 8, generator=torch.Generator().manual_seed(1))
    joints = pose_errors(predicted[part], true[part], confidence[part], H36M)
    return joints | {"silhouette": metrics.silhouette_overlap(masks[0, part], masks[1, part])}


def assert_same(one: dict, other: dict) -> None:
    assert set(one) == set(other) == {"mpjpe", "n_mpjpe", "pa_mpjpe", "pck3d", "auc3d", "silhouette"}
    for name in one:
        if name == "silhouette":
            torch.testing.assert_close(one[name].iou, other[name].iou)
        else:
            torch.testing.assert_close(one[name].per_point, other[name].per_point)
            assert one[name].mean == pytest.approx(other[name].mean)


def means_of(*parts: slice) -> dict:
    running = RunningMeans()
    for part in parts:
        running.update(measured(part))
    return running.compute()


def test_batches_of_any_size_give_the_same_means():
    expected = means_of(slice(None))
    assert_same(means_of(slice(0, 16), slice(16, 17), slice(17, 17), slice(17, 23)), expected)
    assert expected["pa_mpjpe"].mean == pytest.approx(measured(slice(None))["pa_mpjpe"].mean().item())


def test_reset_forgets():
    running = RunningMeans()
    running.update(measured(slice(None)))
    running.reset()
    assert running.compute() == {}


def _one_of_two(rank: int, meeting: str, expected: dict) -> None:
    patience = timedelta(minutes=2)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2, timeout=patience
    )
    unequal = ((slice(0, 9), slice(9, 11)), (slice(11, 23),))
    assert_same(means_of(*unequal[rank]), expected)
    nothing_to_do = ((), (slice(0, 23),))
    assert_same(means_of(*nothing_to_do[rank]), expected)
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed")
def test_processes_with_unequal_shares_give_the_same_means(tmp_path):
    arguments = (str(tmp_path / "meeting"), means_of(slice(None)))
    other = torch.multiprocessing.spawn(_one_of_two, args=arguments, nprocs=1, join=False)
    _one_of_two(1, *arguments)
    other.join()
