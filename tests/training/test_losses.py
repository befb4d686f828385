"""Losses: closed forms, gradients against finite differences, and labels that are missing."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from helpers.scenes import NATIVE, assert_gradient, lively_coordinates, posed_body, rectangle, screen_camera

from meshrec.body import joint_index
from meshrec.body.topology import edges
from meshrec.geometry import axis_angle_to_matrix, random_rotations
from meshrec.geometry.cameras import Camera
from meshrec.training import losses

TETRAHEDRON = torch.tensor([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def confidences(*shape: int) -> torch.Tensor:
    """Between 0 and 1, all zero for the second sample."""
    confidence = torch.rand(*shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    confidence[1] = 0
    return confidence


def relations(*shape: int) -> torch.Tensor:
    return torch.randint(-1, 2, shape, generator=torch.Generator().manual_seed(3))


# name -> (a loss of prediction, target and confidence; prediction; target; shape of the confidence)
Case = tuple[Callable[..., torch.Tensor], torch.Tensor, torch.Tensor, tuple[int, ...]]
robust = partial(losses.geman_mcclure, scale=0.5)
CASES: dict[str, Case] = {
    "reprojection": (losses.reprojection_loss, random(3, 17, 2), random(3, 17, 2, seed=1), (3, 17)),
    "robust reprojection": (
        partial(losses.reprojection_loss, penalty=robust), random(3, 17, 2), random(3, 17, 2, seed=1), (3, 17),
    ),
    "joints": (partial(losses.joint_loss, joints="lsp14"), random(3, 14, 3), random(3, 14, 3, seed=1), (3, 14)),
    "aligned joints": (losses.aligned_joint_loss, random(3, 12, 3), random(3, 12, 3, seed=1), (3, 12)),
    "vertices": (losses.vertex_loss, random(3, 40, 3), random(3, 40, 3, seed=1), (3,)),
    "edges": (partial(losses.edge_loss, edges=TETRAHEDRON), random(3, 4, 3), random(3, 4, 3, seed=1), (3,)),
    "rotations": (losses.rotation_loss, random(3, 24, 3, 3), random(3, 24, 3, 3, seed=1), (3, 24)),
    "betas": (losses.betas_loss, random(3, 10), random(3, 10, seed=1), (3,)),
    "coverage": (losses.coverage_loss, random(3, 8, 8).sigmoid(), random(3, 8, 8, seed=1).sigmoid(), (3,)),
    "ordinal depth": (losses.ordinal_depth_loss, random(3, 6), relations(3, 6, 6), (3, 6, 6)),
    "fooling": (lambda fake, _, confidence: losses.fooling_loss(fake, confidence), random(3, 25), random(3), (3,)),
}  # fmt: skip
each_loss = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@each_loss
def test_gradient(case):
    loss, predicted, target, shape = case
    weight = confidences(*shape)
    assert torch.autograd.gradcheck(lambda p: loss(p, target, weight), predicted.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda p: loss(p, target, None), predicted.clone().requires_grad_())


@each_loss
def test_confidence_is_a_weight(case):
    loss, predicted, target, shape = case
    full = loss(predicted, target, None)
    assert full > 0
    for weight in (1.0, 0.25):
        torch.testing.assert_close(loss(predicted, target, torch.full(shape, weight)), weight * full)


@each_loss
def test_samples_without_labels_get_a_gradient_of_exactly_zero(case):
    loss, predicted, target, shape = case
    predicted = predicted.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(predicted, target, confidences(*shape)), predicted)
    assert (gradient[1] == 0).all()
    assert (gradient[0] != 0).any() and (gradient[2] != 0).any()


@each_loss
@pytest.mark.parametrize("stand_in", [0.0, 1e30, torch.inf, torch.nan])
def test_a_batch_without_any_label_is_zero_and_never_nan(case, stand_in):
    loss, predicted, target, shape = case
    if target.is_floating_point():
        target = torch.full_like(target, stand_in)
    predicted = predicted.float().requires_grad_()
    value = loss(predicted, target.float(), torch.zeros(shape))
    (gradient,) = torch.autograd.grad(value, predicted)
    assert value == 0 and (gradient == 0).all()


@each_loss
def test_a_batch_in_two_halves_is_the_same_loss(case):
    """So two processes that average their gradients train as one does with both batches."""
    loss, predicted, target, shape = case
    weight = confidences(*shape)
    one_by_one = [loss(predicted[i : i + 1], target[i : i + 1], weight[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(torch.stack(one_by_one).mean(), loss(predicted, target, weight))


def test_samples_with_2d_labels_alone_contribute_nothing_to_3d_terms():
    keypoints = torch.ones(2, 14, dtype=torch.float64)
    in_3d = torch.tensor([1.0, 0.0], dtype=torch.float64)
    joints = random(2, 14, 3).requires_grad_()
    flat = losses.reprojection_loss(joints[..., :2], random(2, 14, 2, seed=1), keypoints)
    solid = losses.joint_loss(joints, random(2, 14, 3, seed=2), in_3d[:, None].expand(2, 14), "lsp14")
    relation, pairs = losses.ordinal_relations(random(2, 14, seed=3), in_3d[:, None].expand(2, 14))
    solid = solid + losses.ordinal_depth_loss(joints[..., 2], relation, pairs)
    (from_2d,) = torch.autograd.grad(flat, joints)
    (from_3d,) = torch.autograd.grad(solid, joints)
    assert (from_2d[1] != 0).any() and (from_3d[0] != 0).any()
    assert (from_3d[1] == 0).all()


def test_penalties():
    difference = torch.tensor([[3.0, -4.0], [0.0, 0.0]], dtype=torch.float64)
    assert losses.absolute(difference).tolist() == [7, 0]
    assert losses.squared(difference).tolist() == [25, 0]
    assert losses.geman_mcclure(difference, 5.0).tolist() == [12.5, 0]
    assert losses.geman_mcclure(1e-4 * difference, 5.0)[0].item() == pytest.approx(25e-8)
    assert losses.geman_mcclure(1e9 * difference, 5.0)[0].item() == pytest.approx(25)
    offset = torch.tensor([[3.0, 4.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(partial(losses.geman_mcclure, scale=2.0), offset)


def test_losses_in_numbers():
    ones = torch.ones(2, 14)
    assert losses.reprojection_loss(
        ones[..., None] * torch.tensor([0.1, -0.2]), torch.zeros(2, 14, 2), ones
    ).item() == (pytest.approx(0.3))
    target = random(2, 14, 3)
    assert losses.joint_loss(target + 5, target, None, "lsp14").item() == pytest.approx(0, abs=1e-12)
    tilted = 1.3 * target @ axis_angle_to_matrix(torch.tensor([0.4, 2.0, -1.0], dtype=torch.float64)) + 5
    assert losses.aligned_joint_loss(tilted, target, None).item() == pytest.approx(0, abs=1e-12)
    raised = target.clone()
    raised[:, joint_index("left_knee", "lsp14"), 1] += 0.7
    assert losses.joint_loss(raised, target, None, "lsp14").item() == pytest.approx(0.7 / 14)
    assert losses.vertex_loss(target + 0.1, target, None).item() == pytest.approx(0.3)
    assert losses.edge_loss(2 * target, target, None, torch.tensor([[3, 8]])).item() == pytest.approx(
        (target[:, 3] - target[:, 8]).norm(dim=-1).mean().item()
    )
    turn = axis_angle_to_matrix(torch.tensor([0.0, 0.6, 0.0], dtype=torch.float64))
    rotations = random_rotations(48, torch.Generator().manual_seed(0), torch.float64).view(2, 24, 3, 3)
    sine = torch.tensor(0.3, dtype=torch.float64).sin()
    torch.testing.assert_close(losses.rotation_loss(rotations @ turn, rotations, None), 8 * sine**2)
    assert losses.betas_loss(torch.ones(4, 10), torch.zeros(4, 10), torch.tensor([1.0, 0, 0, 1])).item() == 5


def test_a_pose_without_a_root_takes_no_part():
    confidence = torch.ones(2, 14, dtype=torch.float64)
    confidence[0, joint_index("right_hip", "lsp14")] = 0
    predicted = random(2, 14, 3).requires_grad_()
    loss = losses.joint_loss(predicted, random(2, 14, 3, seed=1), confidence, "lsp14")
    (gradient,) = torch.autograd.grad(loss, predicted)
    assert (gradient[0] == 0).all() and (gradient[1] != 0).any()


def test_a_target_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 14, 3\) has no target \(14, 3\)"):
        losses.vertex_loss(random(2, 14, 3), random(14, 3), None)


def test_edges_of_a_mesh_of_no_length_have_a_gradient():
    vertices = torch.zeros(1, 4, 3, requires_grad=True)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]]).numpy()
    loss = losses.edge_loss(vertices, torch.ones(1, 4, 3), None, torch.from_numpy(edges(faces)))
    (gradient,) = torch.autograd.grad(loss, vertices)
    assert gradient.isfinite().all()


# Ordinal depth


def test_ordinal_depth_against_loops():
    depths, labels, scale = random(2, 5), relations(2, 5, 5), 0.3
    pairs = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    total = 0.0
    for b in range(2):
        for i in range(5):
            for j in range(5):
                gap = (depths[b, i] - depths[b, j]) / scale
                costs = {1: (1 + gap.exp()).log(), -1: (1 + (-gap).exp()).log(), 0: gap**2}
                total += pairs[b, i, j] * costs[int(labels[b, i, j])]
    torch.testing.assert_close(losses.ordinal_depth_loss(depths, labels, pairs, scale), total / 50)


def test_relations_from_depths():
    depths = torch.tensor([2.0, 2.05, 3.0, 1.0])
    labels, pairs = losses.ordinal_relations(depths, torch.tensor([1.0, 1.0, 0.5, 0.0]))
    assert labels.tolist() == [[0, 0, 1, -1], [0, 0, 1, -1], [-1, -1, 0, -1], [1, 1, 1, 0]]
    assert pairs.tolist() == [[0, 1, 0.5, 0], [1, 0, 0.5, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 0]]


def test_descending_ordinal_depth_puts_joints_in_order():
    truth = torch.tensor([[0.0, 0.3, -0.4, 0.32, 0.9]])
    labels, pairs = losses.ordinal_relations(truth)
    depths = torch.zeros(1, 5, requires_grad=True)
    optimizer = torch.optim.Adam([depths], lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        losses.ordinal_depth_loss(depths, labels, pairs).backward()
        optimizer.step()
    found = depths.detach()[0]
    assert found[2] < found[0] < min(found[1], found[3]) and max(found[1], found[3]) < found[4]
    assert (found[1] - found[3]).abs() < 0.05


# Silhouettes


def test_silhouette_loss_of_rectangles():
    vertices, faces = rectangle(4.5, 4.5, 14.5, 14.5)  # ten by ten pixels
    camera = screen_camera((32, 24))
    target = torch.zeros(1, 24, 32)
    target[:, 5:15, 10:20] = 1
    loss = losses.silhouette_loss(vertices[None], faces, camera, target, None, softness_px=1e-3)
    assert loss.item() == pytest.approx(1 - 50 / 150, abs=1e-6)
    nothing = torch.zeros(1, 24, 32)
    assert losses.coverage_loss(nothing, nothing, None) == 0
    assert losses.coverage_loss(nothing, target, None) == 1


@pytest.mark.parametrize("backend", NATIVE)
@pytest.mark.parametrize("options", [{"softness_px": 4.0}, {"soft": 1e-4}], ids=str)
def test_silhouette_gradient(options, backend):
    vertices, faces = posed_body(3)
    camera = Camera(focal=80.0, center=(31.5, 39.5), size=(64, 80))
    target = torch.rand(2, 80, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    confidence = torch.tensor([0.0, 0.8], dtype=torch.float64)

    def function(v):
        both = torch.stack([v.flip(-1), v])  # the first has no label, and is not even in the picture
        return losses.silhouette_loss(both, faces, camera, target, confidence, backend=backend, **options)

    assert_gradient(function, vertices, lively_coordinates(function, vertices, 20))


@pytest.mark.filterwarnings("ignore:PyTorch3D takes seconds")
def test_silhouette_loss_by_pytorch3d(monkeypatch):
    pytest.importorskip("pytorch3d", reason="needs PyTorch3D")
    from meshrec.render import pytorch3d_backend

    monkeypatch.setattr(pytorch3d_backend, "FACES_PER_PIXEL", 600)  # all that count, as ours do
    vertices, faces = posed_body(3)
    camera = Camera(focal=40.0, size=(40, 48))
    target = (torch.rand(1, 48, 40, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    values, gradients = [], []
    for backend in ("numba", "pytorch3d"):
        leaf = vertices.float()[None].requires_grad_()
        values.append(losses.silhouette_loss(leaf, faces, camera, target, None, soft=1e-4, backend=backend))
        gradients.append(torch.autograd.grad(values[-1], leaf)[0])
    torch.testing.assert_close(*values, atol=1e-5, rtol=0)
    assert (gradients[0] - gradients[1]).norm() <= 1e-3 * gradients[0].norm()


def test_descending_the_silhouette_loss_moves_a_rectangle_into_place():
    vertices, faces = rectangle(10, 8, 30, 26)
    camera = screen_camera((64, 48))
    goal = losses.silhouette(vertices + torch.tensor([17.0, 9.0, 0.0]), faces, camera)[None]
    shift = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([shift], lr=0.5)
    for _ in range(120):
        optimizer.zero_grad()
        moved = vertices + torch.nn.functional.pad(shift, (0, 1))
        losses.silhouette_loss(moved[None], faces, camera, goal, None, softness_px=4.0).backward()
        optimizer.step()
    assert (shift.detach() - torch.tensor([17.0, 9.0])).abs().max() < 0.5


# Critic


def test_adversarial_losses():
    real, fake = random(4, 25), random(6, 25, seed=1)
    expected = sum((real[:, c] - 1).square().mean() + fake[:, c].square().mean() for c in range(25))
    torch.testing.assert_close(losses.critic_loss(real, fake), expected)
    assert losses.critic_loss(torch.ones(4, 25), torch.zeros(6, 25)) == 0
    assert losses.fooling_loss(torch.ones(6, 25)) == 0
    assert torch.autograd.gradcheck(losses.critic_loss, (real.clone().requires_grad_(), fake.clone().requires_grad_()))
