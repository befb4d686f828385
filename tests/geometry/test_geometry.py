"""Rotations, cameras and Procrustes against scipy, OpenCV and closed forms."""

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from meshrec.geometry import (
    Camera,
    WeakPerspectiveCamera,
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    matrix_to_rotation_6d,
    nearest_rotation,
    procrustes,
    quaternion_to_matrix,
    random_rotations,
    rotation_6d_to_matrix,
    rotation_angle,
)
from meshrec.geometry.alignment import polar_rotation


def rotations(count: int = 500) -> torch.Tensor:
    return random_rotations(count, torch.Generator().manual_seed(0), torch.float64)


def test_axis_angle_equals_scipy():
    vectors = torch.randn(500, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3
    expected = Rotation.from_rotvec(vectors.numpy()).as_matrix()
    assert np.allclose(axis_angle_to_matrix(vectors), expected, atol=1e-12)
    matrices = rotations()
    assert np.allclose(matrix_to_axis_angle(matrices), Rotation.from_matrix(matrices.numpy()).as_rotvec(), atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.floats(0, math.pi), st.integers(0, 10_000))
def test_axis_angle_round_trip_at_any_angle(angle, seed):
    axis = torch.nn.functional.normalize(
        torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=0
    )
    matrix = axis_angle_to_matrix(axis * angle)
    assert torch.allclose(axis_angle_to_matrix(matrix_to_axis_angle(matrix)), matrix, atol=1e-7)
    assert rotation_angle(matrix, torch.eye(3, dtype=torch.float64)).item() == pytest.approx(angle, abs=1e-6)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 1e-3, 1.0, math.pi - 1e-4])
def test_axis_angle_gradient(angle):
    vector = (torch.tensor([1.0, -2.0, 2.0], dtype=torch.float64) / 3 * angle).requires_grad_()
    assert torch.autograd.gradcheck(axis_angle_to_matrix, vector)


def test_quaternions_equal_scipy():
    matrices = rotations()
    expected = Rotation.from_matrix(matrices.numpy()).as_quat()[:, [3, 0, 1, 2]]
    expected *= np.sign(expected[:, :1])
    assert np.allclose(matrix_to_quaternion(matrices), expected, atol=1e-12)
    assert torch.allclose(quaternion_to_matrix(matrix_to_quaternion(matrices) * 3), matrices)


def test_six_numbers_are_the_first_two_columns():
    matrices = rotations(5)
    six = matrix_to_rotation_6d(matrices)
    assert torch.equal(six[:, :3], matrices[:, :, 0]) and torch.equal(six[:, 3:], matrices[:, :, 1])
    # Gram-Schmidt undoes a scaled first column and a sheared second one.
    mangled = torch.cat([six[:, :3] * 2, six[:, 3:] + 0.3 * six[:, :3]], -1)
    assert torch.allclose(rotation_6d_to_matrix(mangled), matrices)


def test_random_rotations_are_uniform():
    matrices = random_rotations(20_000, torch.Generator().manual_seed(2))
    assert matrices.mean(0).abs().max() < 0.02
    assert torch.allclose(torch.linalg.det(matrices), torch.ones(20_000), atol=1e-5)


def test_perspective_equals_opencv():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3)) + [0, 0, 4]
    camera = Camera(focal=(700.0, 650.0), center=(301.5, 240.25), size=(640, 480))
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.matrix.double().numpy(), None)
    screen = camera.project(torch.tensor(points))
    assert np.allclose(screen[:, :2], expected[:, 0], atol=1e-4)
    assert np.allclose(screen[:, 2], points[:, 2])
    assert np.allclose(camera.unproject(screen), points)


def test_a_calibration_matrix_makes_the_camera_it_came_from():
    matrix = np.array([[700.0, 0, 301.5], [0, 650, 240.25], [0, 0, 1]])
    camera = Camera.from_matrix(matrix, (640, 480))
    assert (camera.focal, camera.center, camera.size) == ((700.0, 650.0), (301.5, 240.25), (640, 480))
    assert Camera.from_matrix(camera.matrix, camera.size) == camera


def test_per_sample_cameras():
    points = torch.rand(2, 5, 3) + 1
    focal, center = torch.tensor([[500.0, 510.0], [300.0, 310.0]]), torch.tensor([[10.0, 20.0], [30.0, 40.0]])
    batched = Camera(focal, center, (64, 64)).project(points)
    for i in range(2):
        assert torch.allclose(batched[i], Camera(focal[i], center[i], (64, 64)).project(points[i]))


def test_camera_gradients():
    points = torch.rand(3, 3, dtype=torch.float64) + 1
    focal = torch.tensor([500.0, 400.0], dtype=torch.float64, requires_grad=True)
    center = torch.tensor([31.0, 32.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, c: Camera(f, c, (64, 64)).project(points), (focal, center))


def test_crop_and_resize_move_pixels_with_the_picture():
    camera, point = Camera(500.0, size=(640, 480)), torch.tensor([[0.3, -0.2, 3.0]])
    u, v = camera.project(point)[0, :2]
    crop = camera.crop(center=(350.0, 200.0), side=100.0, resolution=224).project(point)[0, :2]
    # The crop's edges, half a pixel outside its first and last centres, are at -1 and 1.
    assert torch.allclose((crop + 0.5) / 224 * 2 - 1, (torch.stack([u, v]) - torch.tensor([350.0, 200.0])) / 50)
    half = camera.resized((320, 240)).project(point)[0, :2]
    assert torch.allclose((half + 0.5) * 2 - 0.5, torch.stack([u, v]), atol=1e-4)


def test_field_of_view():
    camera = Camera.from_fov((600, 800), math.radians(60))
    corner = torch.tensor([[600.0, 800.0, 2 * camera.focal[0]]]) / 2
    middle_to_corner = camera.project(corner)[0, :2] - torch.tensor([299.5, 399.5])
    assert torch.allclose(middle_to_corner, torch.tensor([300.0, 400.0]))
    assert camera.focal[0] == camera.focal[1]
    assert 2 * math.atan(500 / camera.focal[0]) == pytest.approx(math.radians(60))


def test_weak_perspective_is_perspective_from_afar():
    body = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)) * 0.3
    weak = WeakPerspectiveCamera(scale=0.9, translation=(0.1, -0.2), size=(224, 224))
    camera, translation = weak.to_perspective(focal=1e5)
    screen = weak.project(body)
    assert torch.allclose(screen[:, :2], camera.project(body + translation)[:, :2], atol=0.1)
    assert torch.equal(screen[:, 2], body[:, 2])


@pytest.mark.parametrize("focal", [500, np.float32(500), (500, 500.0), [500, 500], np.full(2, 500), np.full(2, 5e2)])
def test_plain_parameters_are_pairs_of_floats(focal):
    camera = Camera(focal, [3, np.float64(4)], (np.int64(6), 8))
    assert camera == Camera((500.0, 500.0), (3.0, 4.0), (6, 8)) and hash(camera) == hash(Camera(500, (3, 4), (6, 8)))
    assert all(type(number) is float for number in camera.focal + camera.center)
    assert Camera(focal, size=(6, 8)).center == (2.5, 3.5)


def test_tensors_stay_as_they_are():
    focal, center = torch.rand(4, 2) + 1, torch.zeros(2, requires_grad=True)
    camera = Camera(focal, center)
    assert camera.focal is focal and camera.center is center
    Camera(torch.empty(4, 2, device="meta"))  # whose values cannot be read, as a GPU's should not be
    assert torch.equal(Camera(torch.tensor(3.0)).focal, torch.full((2,), 3.0))


ODD = torch.tensor([[1.0, 0.0], [2.0, 3.0]])


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"size": (0, 5)}, "at least 1 x 1"),
        ({"focal": 0}, "positive, not"),
        ({"focal": (500.0, -1.0)}, "positive, not"),
        ({"focal": math.nan}, "must be finite"),
        ({"focal": math.inf}, "must be finite"),
        ({"focal": (1.0, 2.0, 3.0)}, "2 numbers, or a tensor"),
        ({"focal": None}, "2 numbers, or a tensor"),
        ({"focal": np.ones((4, 2))}, "2 numbers, or a tensor"),
        ({"focal": torch.ones(3)}, r"not \(3,\)"),
        ({"focal": ODD}, "positive, not"),
        ({"focal": ODD + math.nan}, "must be finite"),
        ({"center": (math.inf, 0.0)}, "center must be finite"),
        ({"center": 3.0}, "center must be 2 numbers"),
        ({"center": ODD / 0}, "center must be finite"),
        ({"rotation": np.eye(2)}, "rotation must be 3 numbers"),
        ({"rotation": torch.eye(4)}, r"\(3, 3\), or a tensor"),
        ({"rotation": 2 * np.eye(3)}, "orthonormal"),
        ({"rotation": torch.diag(torch.tensor([1.0, 1.0, -1.0]))}, "orthonormal"),
        ({"translation": (0.0, 0.0)}, "translation must be 3 numbers"),
        ({"translation": (0.0, 0.0, math.nan)}, "translation must be finite"),
    ],
    ids=str,
)
def test_impossible_cameras_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        Camera(**{"focal": 100.0} | parameters)


def test_extrinsics_equal_opencv():
    rng = np.random.default_rng(1)
    turn, place, points = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(50, 3)) + [0, 0, 4]
    rotation = cv2.Rodrigues(turn)[0]
    camera = Camera((700.0, 650.0), (301.5, 240.25), (640, 480), rotation, place)
    expected, _ = cv2.projectPoints(points, turn, place, camera.matrix.double().numpy(), None)
    in_camera = camera.world_to_camera(torch.tensor(points))
    assert np.allclose(camera.project(in_camera)[:, :2], expected[:, 0], atol=1e-4)
    assert np.allclose(camera.camera_to_world(in_camera), points)
    for other in (camera.crop((350.0, 200.0), 100.0, 224), camera.resized((320, 240))):
        assert torch.equal(other.world_to_camera(torch.tensor(points)), in_camera)
    plain = Camera(700.0)
    assert torch.equal(plain.world_to_camera(in_camera), in_camera)


def test_extrinsics_of_a_batch_with_gradients():
    points = torch.rand(2, 5, 3, dtype=torch.float64)
    turns = rotations(2).requires_grad_()
    places = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)

    def there(rotation, translation):
        return Camera(1.0, rotation=rotation, translation=translation).world_to_camera(points)

    for i in range(2):
        alone = Camera(1.0, rotation=turns[i].detach(), translation=places[i].tolist())
        assert torch.allclose(there(turns, places)[i], alone.world_to_camera(points[i]))
    assert torch.autograd.gradcheck(there, (turns, places))


def project(focal: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Makes a camera of tensors and one of numbers."""
    camera = Camera(focal, size=(64, 64), translation=(0.0, 0.0, 1.0))
    return camera.project(points) + Camera(50.0, size=(64, 64)).project(camera.world_to_camera(points))


@pytest.mark.parametrize("how", ["compile", "strict export", "export", "vmap", "jacobian"])
def test_cameras_can_be_made_while_tracing(how):
    focal, points = torch.tensor([[50.0, 60.0], [30.0, 40.0]]), torch.rand(2, 5, 3) + 1
    expected = project(focal, points)
    if how == "compile":
        found = torch.compile(project, backend="aot_eager", fullgraph=True)(focal, points)
    elif how == "vmap":
        found = torch.func.vmap(project)(focal, points)
    elif how == "jacobian":
        found, expected = (jacobian(project)(focal, points) for jacobian in (torch.func.jacrev, torch.func.jacfwd))
    else:
        module = torch.nn.Module()
        module.forward = project
        found = torch.export.export(module, (focal, points), strict=how == "strict export").module()(focal, points)
    assert torch.allclose(found, expected)


def random_sets(seed: int = 0, batch: int = 8, points: int = 12) -> torch.Tensor:
    return torch.randn(batch, points, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_procrustes_recovers_a_known_motion():
    source, rotation = random_sets(), rotations(8)
    scale, translation = torch.linspace(0.5, 2, 8, dtype=torch.float64), random_sets(1)[:, 0]
    target = scale[:, None, None] * source @ rotation.transpose(1, 2) + translation[:, None]
    found = procrustes(source, target)
    assert torch.allclose(found.rotation, rotation) and torch.allclose(found.scale, scale)
    assert torch.allclose(found.apply(source), target)


def test_procrustes_never_reflects_and_equals_scipy():
    source, target = random_sets(2), random_sets(3) * torch.tensor([-1.0, 1, 1], dtype=torch.float64)
    found = procrustes(source, target, with_scale=False)
    assert torch.allclose(torch.linalg.det(found.rotation), torch.ones(8, dtype=torch.float64))
    for x, y, r in zip(source, target, found.rotation):
        expected, _ = Rotation.align_vectors((y - y.mean(0)).numpy(), (x - x.mean(0)).numpy())
        assert np.allclose(r, expected.as_matrix(), atol=1e-9)


def test_procrustes_leaves_out_points_of_weight_zero():
    source, target = random_sets(4), random_sets(5)
    weights = torch.ones(8, 12, dtype=torch.float64)
    weights[:, 9:] = 0
    some, all_ = procrustes(source, target, weights), procrustes(source[:, :9], target[:, :9])
    assert torch.allclose(some.apply(source), all_.apply(source))


@pytest.mark.parametrize("points", [torch.zeros(1, 5, 3), torch.linspace(0, 1, 5)[None, :, None].expand(1, 5, 3)])
def test_degenerate_sets_give_finite_motions(points):
    found = procrustes(points, points)
    assert torch.allclose(found.apply(points), points, atol=1e-6)


def test_nearest_rotation_is_nearest():
    noisy = rotations(20) + 0.2 * torch.randn(20, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    best = (nearest_rotation(noisy) - noisy).flatten(1).norm(dim=1)
    for candidate in rotations(200):
        assert ((candidate - noisy).flatten(1).norm(dim=1) >= best - 1e-9).all()


def test_exported_programs_find_the_same_nearest_rotation():
    """By Newton's iteration instead of singular values, down to matrices that are nearly flat."""
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(300, 3, 3, generator=generator, dtype=torch.float64)
    matrices = torch.where(torch.linalg.det(matrices)[:, None, None] < 0, -matrices, matrices)
    assert torch.allclose(polar_rotation(matrices), nearest_rotation(matrices), atol=1e-9)
    turns = random_rotations(300, generator, torch.float64)
    sums = turns[:150] + turns[150:]
    assert torch.allclose(polar_rotation(sums), nearest_rotation(sums), atol=1e-9)


def test_nearest_rotation_gradient():
    """Also at rotations themselves, where singular values coincide, and where the determinant is negative."""
    general = torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (torch.linalg.det(general) < 0).any()
    for matrix in (general, rotations(3), 2 * torch.eye(3, dtype=torch.float64)):
        leaf = matrix.clone().requires_grad_()
        assert torch.autograd.gradcheck(nearest_rotation, leaf)


@pytest.mark.parametrize("matrix", [torch.zeros(3, 3), torch.ones(3, 3), torch.diag(torch.tensor([1.0, 1.0, -1.0]))])
def test_nearest_rotation_gradient_is_finite_where_many_are_nearest(matrix):
    leaf = matrix.requires_grad_()
    weights = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.grad((nearest_rotation(leaf) * weights).sum(), leaf)[0].isfinite().all()


@pytest.mark.parametrize(
    "source, target, weights, error, message",
    [
        ([[0.0, 0, 0]], torch.zeros(1, 3), None, TypeError, "source must be a tensor of floating numbers, not list"),
        (torch.zeros(4, 3), torch.zeros(4, 3).long(), None, TypeError, "target must be .*, not int64"),
        (torch.zeros(4, 2), torch.zeros(4, 3), None, ValueError, r"source must be \(..., N, 3\), not \(4, 2\)"),
        (torch.zeros(4, 3), torch.zeros(3), None, ValueError, r"target must be \(..., N, 3\), not \(3,\)"),
        (torch.zeros(4, 3), torch.zeros(5, 3), None, ValueError, "target has 5 points, but source 4"),
        (torch.zeros(4, 3), torch.zeros(4, 3), torch.ones(3), ValueError, r"weights must be \(..., 4\), .* not \(3,\)"),
        (
            torch.zeros(2, 4, 3),
            torch.zeros(3, 4, 3),
            None,
            ValueError,
            "source, target of shapes .* do not correspond",
        ),
        (torch.zeros(2, 4, 3), torch.zeros(4, 3), torch.ones(3, 4), ValueError, "source, target, weights of shapes"),
    ],
)
def test_procrustes_names_what_is_wrong(source, target, weights, error, message):
    with pytest.raises(error, match=message):
        procrustes(source, target, weights)


def test_procrustes_gradient():
    source, target = random_sets(6, 2, 5).requires_grad_(), random_sets(7, 2, 5)
    weights = torch.rand(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: procrustes(s, target, weights).apply(s), source)
    flat = (source.detach() * torch.tensor([1.0, 1.0, 0.0])).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: procrustes(s, target, weights).apply(s), flat)
