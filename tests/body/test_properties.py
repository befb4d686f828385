"""What holds for every input, looked for among many odd ones: zeros, half turns, flat and broken geometry, NaN."""

import math
import warnings

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import meshrec
from meshrec import Camera
from meshrec.export import Mesh, PersonParameters, read_parameters, write_mesh, write_parameters
from meshrec.geometry import rotations as rot
from meshrec.geometry.alignment import nearest_rotation, procrustes
from meshrec.geometry.cameras import WeakPerspectiveCamera
from meshrec.render import depth, normals, shaded, silhouette

TOLERANCE = 1e-9  # float64


def for_all(*strategies: st.SearchStrategy, examples: int = 60):
    """Run a test on many inputs, the same ones each time."""
    return lambda test: settings(derandomize=True, deadline=None, max_examples=examples)(given(*strategies)(test))


def tensors(*shape: int, most: float = 10.0, **limits) -> st.SearchStrategy[torch.Tensor]:
    numbers = st.floats(-most, most, allow_subnormal=False, **limits)
    return arrays(np.float64, shape, elements=numbers).map(torch.from_numpy)


# --- rotations


def is_rotation(matrix: torch.Tensor) -> bool:
    square = torch.allclose(matrix @ matrix.mT, torch.eye(3, dtype=matrix.dtype), atol=1e-7)
    return square and bool((torch.linalg.det(matrix) > 0).all())


HALF_TURN = torch.tensor([math.pi, 0.0, 0.0], dtype=torch.float64)


@for_all(tensors(3, most=100.0))
@example(torch.zeros(3, dtype=torch.float64))
@example(HALF_TURN)
@example(HALF_TURN * (1 - 1e-12))
@example(torch.full((3,), 1e-9, dtype=torch.float64))
def test_axis_angles_come_back_as_the_same_rotation(axis_angle):
    matrix = rot.axis_angle_to_matrix(axis_angle)
    assert is_rotation(matrix)
    again = rot.matrix_to_axis_angle(matrix)
    assert again.norm() <= math.pi + TOLERANCE
    assert torch.allclose(rot.axis_angle_to_matrix(again), matrix, atol=1e-7)
    if axis_angle.norm() < math.pi - 1e-3:
        assert torch.allclose(again, axis_angle, atol=1e-7)
    identity = torch.eye(3, dtype=torch.float64)
    assert torch.allclose(rot.rotation_angle(matrix, identity), again.norm(), atol=1e-6)


@for_all(tensors(4).filter(lambda q: q.norm() > 1e-3))
def test_quaternions_come_back_up_to_sign(quaternion):
    matrix = rot.quaternion_to_matrix(quaternion)
    assert is_rotation(matrix)
    again = rot.matrix_to_quaternion(matrix)
    unit = quaternion / quaternion.norm()
    assert again[0] >= 0
    assert min((again - unit).norm(), (again + unit).norm()) < 1e-7


@for_all(tensors(3, most=3.0))
def test_six_numbers_are_enough_for_a_rotation(axis_angle):
    matrix = rot.axis_angle_to_matrix(axis_angle)
    assert torch.allclose(rot.rotation_6d_to_matrix(rot.matrix_to_rotation_6d(matrix)), matrix, atol=TOLERANCE)


@for_all(tensors(3, 3))
@example(torch.zeros(3, 3, dtype=torch.float64))
@example(torch.ones(3, 3, dtype=torch.float64))
@example(-torch.eye(3, dtype=torch.float64))
def test_every_matrix_has_a_nearest_rotation(matrix):
    matrix = matrix.requires_grad_()
    nearest = nearest_rotation(matrix)
    assert is_rotation(nearest.detach())
    nearest.sum().backward()
    assert torch.isfinite(matrix.grad).all()


# --- cameras

cameras = st.builds(
    lambda focal, centre, size: Camera(focal, centre, size),
    st.tuples(st.floats(50, 5000), st.floats(50, 5000)),
    st.tuples(st.floats(-500, 2000), st.floats(-500, 2000)),
    st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
)
in_front = tensors(5, 3).map(lambda p: torch.cat([p[:, :2], p[:, 2:].abs() + 0.1], dim=1))


@for_all(cameras, in_front)
def test_what_is_projected_comes_back(camera, points):
    assert torch.allclose(camera.unproject(camera.project(points)), points, atol=1e-6)


@for_all(cameras, in_front, st.integers(1, 3000), st.integers(1, 3000))
def test_resizing_scales_pixels_from_the_pictures_corner(camera, points, width, height):
    ratio = torch.tensor([width / camera.size[0], height / camera.size[1]], dtype=torch.float64)
    expected = (camera.project(points)[:, :2] + 0.5) * ratio - 0.5
    found = camera.resized((width, height)).project(points)[:, :2]
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-2)


@for_all(cameras, in_front, st.floats(10, 3000), st.integers(16, 1024))
def test_a_crops_camera_sees_the_crop(camera, points, side, resolution):
    centre = (100.0, 50.0)
    corner = torch.tensor(centre, dtype=torch.float64) - side / 2
    expected = (camera.project(points)[:, :2] - corner) * resolution / side
    # Pixel centres are integers: the crop's left edge is half a pixel before its first centre.
    found = camera.crop(centre, side, resolution).project(points)[:, :2] + 0.5
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-1)


@for_all(st.floats(0.1, 3), tensors(2, most=2.0), st.floats(200, 5000))
def test_weak_perspective_and_its_perspective_agree_at_the_bodys_depth(scale, shift, focal):
    weak = WeakPerspectiveCamera(scale, tuple(shift.tolist()), (224, 224))
    camera, translation = weak.to_perspective(focal)
    flat = torch.tensor([[0.3, -0.8, 0.0], [-0.5, 0.9, 0.0]], dtype=torch.float64)
    assert torch.allclose(camera.project(flat + translation.double())[:, :2], weak.project(flat)[:, :2], atol=1e-1)


# --- alignment

clouds = tensors(8, 3).filter(lambda p: torch.linalg.svdvals(p - p.mean(0))[2] > 1e-2)


@for_all(clouds, tensors(3, most=3.0), tensors(3), st.floats(0.1, 10))
def test_procrustes_undoes_a_similarity(points, turn, shift, scale):
    moved = scale * points @ rot.axis_angle_to_matrix(turn).T + shift
    assert torch.allclose(procrustes(moved, points).apply(moved), points, atol=1e-6)
    found = procrustes(points, moved)
    assert float(found.scale) == pytest.approx(scale, rel=1e-6)


@for_all(clouds, clouds, tensors(3, most=3.0), tensors(3), st.floats(0.1, 10))
def test_aligned_error_ignores_where_and_how_large_the_prediction_is(points, target, turn, shift, scale):
    moved = scale * points @ rot.axis_angle_to_matrix(turn).T + shift
    error = meshrec.metrics.pa_mpjpe(points[None], target[None])
    assert torch.allclose(meshrec.metrics.pa_mpjpe(moved[None], target[None]), error, rtol=1e-4, atol=1e-6)
    assert error <= meshrec.metrics.mpjpe(points[None], target[None]) * math.sqrt(8) + 1e-9


@for_all(tensors(6, 3), tensors(6, 3), arrays(np.float64, 6, elements=st.sampled_from([0.0, 0.3, 1.0])))
@example(torch.zeros(6, 3, dtype=torch.float64), torch.ones(6, 3, dtype=torch.float64), np.ones(6))
@example(torch.ones(6, 3, dtype=torch.float64), torch.zeros(6, 3, dtype=torch.float64), np.zeros(6))
def test_flat_and_empty_point_sets_align_to_something_finite(source, target, weights):
    found = procrustes(source, target, torch.from_numpy(weights))
    assert is_rotation(found.rotation)
    assert torch.isfinite(found.apply(source)).all()


# --- files

floats32 = st.floats(-1e6, 1e6, width=32)
meshes = st.builds(
    lambda vertices, faces: Mesh(vertices, faces),
    arrays(np.float32, (6, 3), elements=floats32),
    arrays(np.int64, (4, 3), elements=st.integers(0, 5)),
)


@for_all(meshes, st.sampled_from([".ply", ".obj", ".glb"]), examples=25)
def test_meshes_come_back_from_files(tmp_path_factory, mesh, suffix):
    path = tmp_path_factory.mktemp("mesh") / f"a{suffix}"
    write_mesh(path, mesh)
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of trimesh, about colours
        again = trimesh.load(path, process=False, force="mesh", skip_materials=True, maintain_order=True)
    ours = mesh.vertices[mesh.faces]
    assert np.array_equal(np.asarray(again.vertices, np.float32)[again.faces], ours)


finite = arrays(np.float32, 10, elements=floats32)
people = st.builds(
    PersonParameters,
    body_name=st.text("abc_ é中", max_size=20),
    body_hash=st.just("0123456789abcdef"),
    betas=finite,
    pose=arrays(np.float32, (24, 3), elements=floats32),
    translation=arrays(np.float32, 3, elements=floats32),
    score=st.none() | st.floats(0, 1, width=32),
    box=st.none() | arrays(np.float32, 4, elements=floats32),
    camera=st.none() | cameras,
)


@for_all(people, st.sampled_from([".json", ".npz"]), examples=25)
def test_parameters_come_back_exactly(tmp_path_factory, person, suffix):
    path = tmp_path_factory.mktemp("person") / f"p{suffix}"
    write_parameters(path, person)
    again = read_parameters(path)
    assert (again.body_name, again.score) == (person.body_name, person.score)
    for name in ("betas", "pose", "translation"):
        assert np.array_equal(getattr(again, name), getattr(person, name))
    assert (again.box is None) == (person.box is None) and (again.camera is None) == (person.camera is None)
    if person.box is not None:
        assert np.array_equal(again.box, person.box)
    if person.camera is not None:
        assert again.camera.size == person.camera.size and torch.equal(again.camera.matrix, person.camera.matrix)


# --- the renderer

odd = st.floats(width=32, allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0, -1.0, 2.0**-100, 2.0**100])
plain = st.floats(-2, 2, width=32)


@st.composite
def garbage(draw) -> tuple[torch.Tensor, torch.Tensor]:
    """Vertices and faces that no body has: points at the camera and behind it, flat faces, NaN, nothing at all."""
    count = draw(st.integers(1, 8))
    elements = odd if draw(st.booleans()) else plain
    vertices = draw(arrays(np.float32, (count, 3), elements=elements))
    if draw(st.booleans()):
        vertices[:, 2] = np.abs(vertices[:, 2]) + 0.5
    faces = draw(arrays(np.int64, (draw(st.integers(0, 10)), 3), elements=st.integers(0, count - 1)))
    return torch.from_numpy(vertices), torch.from_numpy(faces)


views = st.sampled_from(
    [
        Camera(20.0, size=(16, 12)),
        Camera((5.0, 500.0), (100.0, -3.0), (16, 12)),
        Camera(1e6, size=(3, 1)),
        WeakPerspectiveCamera(0.9, (0.1, 0.0), (16, 12)),
    ]
)


@for_all(garbage(), views, st.sampled_from(["numba", "torch"]), st.sampled_from([1.0, 6.0]), examples=150)
def test_silhouettes_of_garbage_are_pictures_with_gradients(geometry, camera, backend, softness):
    vertices, faces = geometry
    vertices = vertices.requires_grad_()
    coverage = silhouette(vertices, faces, camera, softness, backend=backend)
    assert coverage.shape == camera.size[::-1]
    assert ((coverage >= 0) & (coverage <= 1)).all()
    coverage.sum().backward()
    assert vertices.grad is None or torch.isfinite(vertices.grad).all()


@for_all(garbage(), views, st.sampled_from(["numba", "torch"]), examples=100)
def test_maps_and_pictures_of_garbage_are_finite(geometry, camera, backend):
    vertices, faces = geometry
    picture = shaded(vertices, faces, camera, supersample=2, backend=backend)
    assert picture.shape == (*camera.size[::-1], 3) and ((picture >= 0) & (picture <= 1)).all()
    seen = normals(vertices, faces, camera, backend=backend)
    assert torch.isfinite(seen).all() and (seen.norm(dim=-1) < 1 + 1e-4).all()
    assert not depth(vertices, faces, camera, backend=backend).isnan().any()


@for_all(garbage(), views, examples=100)
def test_both_backends_see_the_same_garbage(geometry, camera):
    vertices, faces = geometry
    vertices = vertices.double()
    # Of a face seen exactly edge-on, rounding decides whether it is seen at all, and differently in each.
    a, b = camera.project(vertices)[faces].diff(dim=1)[..., :2].unbind(1)  # two edges of each face on the screen
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    faces = faces[~(area.abs() <= 1e-9 * a.norm(dim=1) * b.norm(dim=1))]
    ours, theirs = (silhouette(vertices, faces, camera, backend=name) for name in ("numba", "torch"))
    assert torch.allclose(ours, theirs, atol=1e-6)
