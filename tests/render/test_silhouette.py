"""Silhouettes against closed forms, supersampling, finite differences, and in use."""

import pytest
import torch
from helpers.scenes import NATIVE, assert_gradient, lively_coordinates, posed_body, rectangle, screen_camera

from meshrec import render
from meshrec.geometry.cameras import Camera, WeakPerspectiveCamera
from meshrec.geometry.rotations import axis_angle_to_matrix


def distance_to_rectangle(size, left, top, right, bottom):
    """Signed distance (H, W) of pixel centres to a rectangle's rim, positive inside."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (size[1], size[0])), indexing="ij")
    dx, dy = torch.maximum(left - x, x - right), torch.maximum(top - y, y - bottom)
    outside = torch.hypot(dx.clamp_min(0), dy.clamp_min(0))
    return -torch.where((dx > 0) | (dy > 0), outside, torch.maximum(dx, dy))


@pytest.mark.parametrize("softness", [1.0, 2.5, 7.0])
@pytest.mark.parametrize("shift", [0.0, 0.3, 0.5, 0.77])
def test_translated_square_is_its_closed_form(shift, softness, backend):
    sides = (10.0 + shift, 8.25 + shift, 26.0 + shift, 24.25 + shift)
    vertices, faces = rectangle(*sides)
    coverage = render.silhouette(vertices, faces, screen_camera((40, 36)), softness, backend=backend)
    truth = (0.5 + distance_to_rectangle((40, 36), *sides) / softness).clamp(0, 1)
    torch.testing.assert_close(coverage, truth, atol=1e-9, rtol=0)
    if softness == 1:
        assert coverage.sum().item() == pytest.approx(256, abs=1)  # only the corners are rounded


@pytest.mark.parametrize("edge", [12.0, 12.31, 12.49, 12.999])
def test_sum_over_a_strip_is_its_area_and_grows_with_its_edge(edge, backend):
    vertices, faces = rectangle(-5, -5, edge, 30)
    vertices.requires_grad_()
    total = render.silhouette(vertices, faces, screen_camera((32, 20)), backend=backend).sum()
    assert total.item() == pytest.approx(20 * (edge + 0.5), abs=1e-9)
    total.backward()
    assert vertices.grad[1:3, 0].sum().item() == pytest.approx(20, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("camera", [Camera.from_fov((224, 224)), WeakPerspectiveCamera(0.9, size=(192, 224))])
def test_coverage_against_supersampling(camera, seed):
    vertices, faces = posed_body(seed)
    coverage = render.silhouette(vertices, faces, camera)
    fine = render.rasterize(vertices, faces, render.screen.supersampled(camera, 8)).face_id[0] >= 0
    width, height = camera.size
    truth = fine.double().view(height, 8, width, 8).mean((1, 3))
    assert truth.sum() > 2000
    assert (coverage - truth).square().mean().sqrt() <= 0.02
    assert coverage.sum().item() == pytest.approx(truth.sum().item(), rel=2e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("softness", [1.0, 6.0])
def test_backends_draw_the_same_outline_and_gradient(softness, dtype):
    vertices = torch.stack([posed_body(i)[0] for i in range(2)]).to(dtype)
    faces, camera = posed_body()[1], Camera(focal=260.0, center=(90.0, 120.0), size=(200, 224))
    weights = torch.rand(2, 224, 200, generator=torch.Generator().manual_seed(0), dtype=dtype)
    pictures, gradients = [], []
    for backend in NATIVE:
        leaf = vertices.clone().requires_grad_()
        pictures.append(render.silhouette(leaf, faces, camera, softness, backend=backend))
        gradients.append(torch.autograd.grad((pictures[-1] * weights).sum(), leaf)[0])
    torch.testing.assert_close(*pictures, atol=1e-4, rtol=0)
    torch.testing.assert_close(*gradients, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("options", [{}, {"softness_px": 5.0}, {"soft": 1e-4}, {"soft": 1e-5}], ids=str)
def test_gradient_in_vertices(options, backend):
    vertices, faces = posed_body(5)
    camera = Camera(focal=110.0, center=(40.0, 50.0), size=(90, 100))
    weights = torch.rand(100, 90, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def function(v):
        return (render.silhouette(v, faces, camera, backend=backend, **options) * weights).sum()

    # The soft silhouette wants a smaller step, because at its cutoff faces come and go.
    step, relative = (1e-8, 1e-3) if "soft" in options else (1e-7, 1e-4)
    assert_gradient(function, vertices, lively_coordinates(function, vertices, 30), step, relative)


@pytest.mark.parametrize("options", [{}, {"soft": 1e-4}], ids=str)
def test_gradient_in_the_camera(options):
    vertices, faces = posed_body(6)
    weights = torch.rand(100, 90, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def perspective(x):
        camera = Camera(x[:2], x[2:], (90, 100))
        return (render.silhouette(vertices, faces, camera, **options) * weights).sum()

    def weak(x):
        camera = WeakPerspectiveCamera(x[0], x[1:], (90, 100))
        return (render.silhouette(vertices, faces, camera, **options) * weights).sum()

    # Small steps, because at the soft silhouette's cutoff faces come and go.
    indices = [(i,) for i in range(4)]
    assert_gradient(perspective, torch.tensor([110.0, 120.0, 40.0, 50.0], dtype=torch.float64), indices, 1e-8)
    assert_gradient(weak, torch.tensor([0.9, 0.05, -0.1], dtype=torch.float64), indices[:3], 1e-9)


def test_edges_before_and_behind_other_faces_are_not_outlines(backend):
    upright, faces = rectangle(12.3, 2.2, 20.6, 30.4)
    across, _ = rectangle(3.1, 10.2, 29.3, 19.7)
    vertices, triangles, _ = render.join([upright, across * 2], faces)
    coverage = render.silhouette(vertices, triangles, screen_camera((33, 33)), backend=backend)
    shapes = [(12.3, 2.2, 20.6, 30.4), (3.1, 10.2, 29.3, 19.7)]
    truth = (0.5 + torch.maximum(*(distance_to_rectangle((33, 33), *map(torch.tensor, s)) for s in shapes))).clamp(0, 1)
    wrong = ((coverage - truth).abs() > 1e-5).nonzero().tolist()
    # Where outlines meet, the pixels around still see the end of each.
    corners = [(x, y) for x in (12.3, 20.6) for y in (10.2, 19.7)]
    assert all(min(max(abs(j - y), abs(i - x)) for x, y in corners) < 1 for j, i in wrong)


def test_the_pictures_border_is_no_outline_but_one_just_outside_counts(backend):
    vertices, faces = rectangle(-9, -9, 50, 50)
    vertices.requires_grad_()
    coverage = render.silhouette(vertices, faces, screen_camera((20, 20)), 3.0, backend=backend)
    assert (coverage == 1).all()
    assert (torch.autograd.grad(coverage.sum(), vertices)[0] == 0).all()
    beside, _ = rectangle(-9, -9, -0.5, 50)
    coverage = render.silhouette(beside, faces, screen_camera((20, 20)), 3.0, backend=backend)
    torch.testing.assert_close(coverage[:, 0], torch.full((20,), 0.5 - 0.5 / 3, dtype=torch.float64))


def test_open_and_untidy_meshes(backend):
    square, faces = rectangle(5, 5, 15, 15)
    camera = screen_camera((20, 20))
    expected = render.silhouette(square, faces, camera, backend=backend)
    variants = {
        "turned over": faces.flip(-1),
        "mixed windings": torch.stack([faces[0], faces[1].flip(-1)]),
        "faces twice": faces.repeat(2, 1),
        "a face without area": torch.cat([faces, torch.tensor([[0, 0, 2], [1, 2, 2]])]),
    }
    for name, triangles in variants.items():
        torch.testing.assert_close(render.silhouette(square, triangles, camera, backend=backend), expected, msg=name)


@pytest.mark.parametrize("soft", [1e-5, 1e-4])
def test_soft_backends_agree(soft):
    vertices, faces = posed_body(1)
    camera = Camera(focal=80.0, size=(64, 80))
    pictures = [render.silhouette(vertices, faces, camera, soft=soft, backend=backend) for backend in NATIVE]
    torch.testing.assert_close(*pictures, atol=1e-7, rtol=0)


def test_soft_silhouette_of_one_triangle_is_the_papers_formula():
    vertices = torch.tensor([[5.0, 4.0, 1.0], [25.0, 9.0, 1.0], [11.0, 24.0, 1.0]], dtype=torch.float64)
    soft, size = 2e-3, (32, 30)
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (30, 32)), indexing="ij")
    points, ends = torch.stack([x, y], -1), vertices[:, :2].roll(-1, 0)
    squared, sides = [], []
    for a, b in zip(vertices[:, :2], ends):
        t = (((points - a) @ (b - a)) / (b - a).square().sum()).clamp(0, 1)
        squared.append((points - a - t[..., None] * (b - a)).square().sum(-1))
        sides.append((b - a)[0] * (points - a)[..., 1] - (b - a)[1] * (points - a)[..., 0])
    inside = (torch.stack(sides) > 0).all(0)
    distance = torch.stack(squared).amin(0) / 15**2
    truth = torch.sigmoid(torch.where(inside, distance, -distance) / soft)
    truth = torch.where(truth < 1e-4, 0, truth)
    coverage = render.silhouette(vertices, torch.tensor([[0, 1, 2]]), screen_camera(size), soft=soft)
    torch.testing.assert_close(coverage, truth, atol=1e-9, rtol=0)


@pytest.mark.parametrize("axis", [(0.0, 0.5, 0.0), (0.25, 0.0, 0.35)])
def test_fit_rotation_scale_and_translation(axis):
    """From an overlap of 15 % to 98 % in 100 steps; the ramp shrinks from 8 pixels to one."""
    body, faces = posed_body(0)
    body = (body - body.mean(0)).float()
    camera = Camera.from_fov((224, 224))

    def placed(rotation, log_scale, shift):
        return body @ axis_angle_to_matrix(rotation).T * log_scale.exp() + shift

    truth = placed(torch.tensor(axis), torch.tensor(0.1), torch.tensor([0.35, 0.15, 2.6]))
    target = render.silhouette(truth, faces, camera)

    def overlap(vertices):
        drawn = render.silhouette(vertices, faces, camera) > 0.5
        return ((drawn & (target > 0.5)).sum() / (drawn | (target > 0.5)).sum()).item()

    parameters = [torch.zeros(3), torch.zeros(()), torch.tensor([-0.1, -0.2, 3.4])]
    for parameter in parameters:
        parameter.requires_grad_()
    assert overlap(placed(*parameters)) <= 0.15
    optimizer = torch.optim.Adam(parameters, lr=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.06, total_steps=100)
    for step in range(100):
        optimizer.zero_grad()
        softness = max(1.0, 8 * (1 - step / 70))
        coverage = render.silhouette(placed(*parameters), faces, camera, softness)
        (coverage - target).square().sum().backward()
        optimizer.step()
        schedule.step()
    assert overlap(placed(*parameters)) >= 0.98


def test_half_precision_vertices_are_drawn_in_single():
    vertices, faces = posed_body()
    leaf = vertices.bfloat16().requires_grad_()
    coverage = render.silhouette(leaf, faces, Camera.from_fov((64, 64)))
    assert coverage.dtype == torch.float32
    coverage.sum().backward()
    assert leaf.grad.isfinite().all() and leaf.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(
    "options", [{"softness_px": 0.0}, {"softness_px": torch.nan}, {"soft": 0.0}, {"soft": torch.inf}]
)
def test_widths_that_make_no_sense(options):
    vertices, faces = rectangle(1, 1, 5, 5)
    with pytest.raises(ValueError, match="must be positive"):
        render.silhouette(vertices, faces, screen_camera((8, 8)), **options)
