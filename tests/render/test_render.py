"""Rasterisation, depth, normals and part maps; what happens at the edges of what can be drawn."""

import importlib
import subprocess
import sys

import numba
import numpy as np
import pytest
import torch
from helpers.scenes import NATIVE, assert_gradient, lively_coordinates, posed_body, rectangle, screen_camera

from meshrec import render
from meshrec.errors import MissingDependency
from meshrec.geometry.cameras import Camera, WeakPerspectiveCamera

PHOTO = Camera(focal=(300.0, 280.0), center=(90.0, 130.0), size=(200, 240))
CAMERAS = {
    "perspective": Camera.from_fov((224, 224)),
    "off centre": PHOTO,
    "wide": Camera(focal=60.0, size=(224, 160)),
    "long": Camera(focal=5000.0, center=(100.0, 90.0), size=(160, 224)),
    "weak": WeakPerspectiveCamera(scale=0.9, translation=(0.1, 0.0), size=(224, 200)),
}


def nearest_hits(vertices, faces, origins, directions):
    """Möller and Trumbore's ray cast against every face: the nearest face (N,), and its distance (N,)."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    e1, e2 = b - a, c - a
    p = np.cross(directions[:, None], e2)
    det = (e1 * p).sum(-1)
    s = origins[:, None] - a
    u = (s * p).sum(-1) / det
    q = np.cross(s, e1)
    v = (directions[:, None] * q).sum(-1) / det
    distance = np.where((u >= 0) & (v >= 0) & (u + v <= 1), (e2 * q).sum(-1) / det, np.inf)
    nearest = distance.argmin(1)
    distance = distance[np.arange(len(nearest)), nearest]
    return np.where(np.isinf(distance), -1, nearest), distance


@pytest.mark.parametrize("weak", [False, True])
def test_faces_and_depth_against_ray_casting(backend, weak):
    vertices, faces = posed_body()
    size = (18, 24)
    camera = WeakPerspectiveCamera(scale=1.0, size=size) if weak else Camera(25.0, (7.5, 12.0), size)
    grid = np.stack(np.meshgrid(np.arange(18), np.arange(24)), -1).reshape(-1, 2).astype(float)
    if weak:
        origins = np.c_[(grid + 0.5) / (np.array(size) / 2) - 1, np.zeros(len(grid))]
        directions = np.tile([0.0, 0.0, 1.0], (len(grid), 1))
    else:
        origins = np.zeros((len(grid), 3))
        directions = np.c_[(grid - [7.5, 12.0]) / 25.0, np.ones(len(grid))]
    face, z = nearest_hits(vertices.numpy(), faces.numpy(), origins, directions)
    fragments = render.rasterize(vertices, faces, camera, backend)
    assert (face >= 0).sum() > 40
    np.testing.assert_array_equal(fragments.face_id[0].numpy().ravel(), face)
    np.testing.assert_allclose(fragments.depth, z[face >= 0], rtol=1e-9)


@pytest.mark.parametrize("name", CAMERAS)
def test_interpolated_points_project_onto_their_pixels(name):
    vertices, faces = posed_body(1)
    camera = CAMERAS[name]
    fragments = render.rasterize(vertices, faces, camera)
    u, v, depth = camera.project(fragments.interpolate(vertices)).unbind(-1)
    width = camera.size[0]
    assert len(u) > 100
    torch.testing.assert_close(u, (fragments.pixel % width).double(), atol=1e-8, rtol=0)
    torch.testing.assert_close(v, (fragments.pixel // width).double(), atol=1e-8, rtol=0)
    torch.testing.assert_close(depth, fragments.depth, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", CAMERAS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backends_see_the_same_faces(name, dtype):
    vertices, faces = posed_body(2)
    ids = [render.rasterize(vertices.to(dtype), faces, CAMERAS[name], backend).face_id for backend in NATIVE]
    assert (ids[0] >= 0).sum() > 100
    assert (ids[0] == ids[1]).float().mean() >= 0.9999


def test_batch_is_its_samples_one_by_one(backend):
    vertices = torch.stack([posed_body(i)[0] for i in range(3)])
    faces = posed_body()[1]
    focal = torch.tensor([[250.0, 250.0], [220.0, 240.0], [280.0, 200.0]])
    together = render.depth(vertices, faces, Camera(focal, size=(100, 120)), backend=backend)
    alone = [render.depth(v, faces, Camera(f, size=(100, 120)), backend=backend) for v, f in zip(vertices, focal)]
    assert together.shape == (3, 120, 100)
    torch.testing.assert_close(together, torch.stack(alone))


def test_one_body_in_front_of_many_cameras():
    vertices, faces = posed_body()
    assert render.depth(vertices, faces, Camera(torch.full((2, 2), 200.0), size=(64, 80))).shape == (2, 80, 64)
    assert render.depth(vertices, faces, WeakPerspectiveCamera(torch.tensor([0.8, 1.0]))).shape == (2, 224, 224)


def test_depth_gradient_in_vertices_and_camera(backend):
    vertices, faces = posed_body(5)
    weights = torch.rand(240, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def by_vertices(v):
        return (render.depth(v, faces, PHOTO, backend=backend) * weights).sum()

    def by_focal(focal):
        return (
            render.depth(vertices, faces, Camera(focal, (90.0, 130.0), (200, 240)), backend=backend) * weights
        ).sum()

    assert_gradient(by_vertices, vertices, lively_coordinates(by_vertices, vertices, 20))
    assert_gradient(by_focal, torch.tensor([300.0, 280.0], dtype=torch.float64), [(0,), (1,)])


def test_normals_of_a_sphere_and_their_gradient():
    trimesh = pytest.importorskip("trimesh")
    ball = trimesh.creation.icosphere(4)
    vertices, faces = torch.tensor(ball.vertices) + torch.tensor([0.1, 0.2, 4.0]), torch.tensor(ball.faces)
    normals = render.normals(vertices, faces, PHOTO)
    fragments = render.rasterize(vertices, faces, PHOTO)
    truth = fragments.picture(fragments.interpolate(vertices) - torch.tensor([0.1, 0.2, 4.0]))[0]
    assert (normals - truth).abs().max() < 0.01
    inside_out = render.normals(vertices, faces.flip(-1), PHOTO)
    torch.testing.assert_close(inside_out, normals)

    def function(v):
        return (render.normals(v, faces, PHOTO) * weights).sum()

    weights = torch.rand(240, 200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_gradient(function, vertices, lively_coordinates(function, vertices, 10))


def test_part_map_shows_the_nearest_part():
    far, faces = rectangle(2, 2, 12, 12, z=1.0)
    near = rectangle(6, 4, 9, 7)[0] * 0.5  # nearer, at the same pixels
    vertices, triangles, _ = render.join([far, near], faces)
    parts = render.part_map(vertices, triangles, screen_camera((16, 14)), np.array([7, 7, 9, 9]))
    truth = torch.full((14, 16), -1)
    truth[2:13, 2:13] = 7
    truth[4:8, 6:10] = 9
    assert torch.equal(parts, truth)


def nasty(vertices, kind):
    """The body with some vertices that cannot be drawn, and which."""
    vertices = vertices.clone()
    bad = torch.zeros(len(vertices), dtype=torch.bool)
    bad[::50] = True
    value = {
        "nan": torch.nan,
        "infinite": torch.inf,
        "huge": 1e30,
        "behind": torch.tensor([0.1, 0.1, -1.0]),
        "in the camera's plane": torch.tensor([0.1, 0.0, 0.0]),
        "nearly there": torch.tensor([0.5, 0.0, 1e-6]),
    }[kind]
    vertices[bad] = torch.as_tensor(value, dtype=vertices.dtype)
    return vertices, bad


def draw_all(vertices, faces, camera, backend):
    """One picture of every kind."""
    return {
        "outline": render.silhouette(vertices, faces, camera, backend=backend),
        "soft": render.silhouette(vertices, faces, camera, soft=1e-4, backend=backend),
        "depth": render.depth(vertices, faces, camera, backend=backend),
        "normals": render.normals(vertices, faces, camera, backend=backend),
        "shaded": render.shaded(vertices, faces, camera, backend=backend),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["nan", "infinite", "huge", "behind", "in the camera's plane", "nearly there"])
def test_faces_with_undrawable_corners_are_left_out(kind, dtype, backend):
    vertices, faces = posed_body()
    vertices, bad = nasty(vertices.to(dtype), kind)
    left = faces[~bad[faces].any(1)]
    camera = Camera.from_fov((48, 64))
    leaf = vertices.clone().requires_grad_()
    pictures = draw_all(leaf, faces, camera, backend)
    for name, picture in pictures.items():
        assert picture.isfinite().all(), name
        if name in ("outline", "soft", "depth"):
            torch.testing.assert_close(picture, draw_all(vertices[:], left, camera, backend)[name])
        (gradient,) = torch.autograd.grad(picture.sum(), leaf)
        assert gradient.isfinite().all(), name
        assert (gradient[bad] == 0).all() or name in ("normals", "shaded"), name
        assert gradient.abs().sum() > 0, name


def test_camera_gradient_survives_undrawable_vertices(backend):
    vertices, faces = posed_body()
    for kind in ("nan", "huge", "in the camera's plane"):
        focal = torch.tensor([100.0, 100.0], dtype=torch.float64, requires_grad=True)
        render.silhouette(
            nasty(vertices, kind)[0], faces, Camera(focal, size=(64, 64)), backend=backend
        ).sum().backward()
        assert focal.grad.isfinite().all() and focal.grad.abs().min() > 0


def test_nothing_to_draw(backend):
    vertices, faces = posed_body()
    camera = Camera.from_fov((20, 30))
    square, zero_area = torch.rand(4, 3) + torch.tensor([0.0, 0.0, 2.0]), torch.tensor([[0, 1, 1], [2, 2, 2]])
    cases = {
        "no faces": (vertices, faces[:0]),
        "no vertices": (torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long)),
        "no area": (square, zero_area),
        "edge-on": (torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.5, 2.0], [0.0, 0.0, 3.0]]), torch.tensor([[0, 1, 2]])),
        "behind": (vertices * torch.tensor([1.0, 1.0, -1.0]), faces),
        "off screen": (vertices + torch.tensor([50.0, 0.0, 0.0]), faces),
    }
    for case, (points, triangles) in cases.items():
        for name, picture in draw_all(points, triangles, camera, backend).items():
            assert (picture == (1 if name == "shaded" else 0)).all(), (case, name)
    empty = torch.zeros(0, len(vertices), 3)
    assert render.silhouette(empty, faces, camera, backend=backend).shape == (0, 30, 20)


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (4000, 3), (4000, 4000)])
def test_extreme_picture_sizes(size, backend):
    camera = Camera(focal=0.5 * max(size), size=size)
    vertices, faces = rectangle(-0.1, -0.1, 0.1, 0.1)
    coverage = render.silhouette(vertices.requires_grad_(), faces, camera, backend=backend)
    assert coverage.shape == (size[1], size[0])
    coverage.sum().backward()
    assert vertices.grad.isfinite().all()
    seen = render.rasterize(vertices, faces, camera, backend).face_id >= 0
    assert coverage[seen[0]].min() >= 0.5
    if size == (4000, 4000):
        assert coverage.sum().item() == pytest.approx(400**2, rel=1e-3)


def test_a_face_through_the_camera_is_culled(backend):
    vertices = torch.tensor([[-1.0, 0.2, 2.0], [1.0, 0.2, 2.0], [0.0, 0.2, -1.0]])
    coverage = render.silhouette(vertices, torch.tensor([[0, 1, 2]]), Camera.from_fov((32, 32)), backend=backend)
    assert coverage.max() == 0


def test_numpy_arrays_are_welcome():
    vertices, faces = posed_body()
    camera = Camera.from_fov((32, 48))
    expected = render.depth(vertices.float(), faces, camera)
    arrays = render.depth(vertices.float().numpy(), faces.numpy().astype(np.uint32), camera)
    torch.testing.assert_close(arrays, expected)
    flipped = render.depth(vertices.float().numpy()[::-1], len(vertices) - 1 - faces.numpy()[:, ::-1], camera)
    torch.testing.assert_close(flipped, expected)


def test_mistakes_are_named():
    vertices, faces = posed_body()
    camera = Camera.from_fov((32, 48))
    for count in (7, len(vertices) - 1):
        with pytest.raises(ValueError, match=f"there are {count}"):
            render.depth(vertices[:count], faces, camera)
    with pytest.raises(ValueError, match="faces must be"):
        render.depth(vertices, faces[:, :2], camera)
    with pytest.raises(ValueError, match="vertices must be"):
        render.depth(vertices[:, :2], faces, camera)
    with pytest.raises(ValueError, match="backend must be one of numba, torch, pytorch3d"):
        render.depth(vertices, faces, camera, backend="opengl")
    with pytest.raises(ValueError, match="softness_px must be positive"):
        render.silhouette(vertices, faces, camera, softness_px=0)
    for draw in (render.silhouette, render.depth):
        with pytest.raises(TypeError, match="camera must be a Camera or a WeakPerspectiveCamera, not float"):
            draw(vertices, faces, 500.0)


def test_backends_that_are_missing(monkeypatch):
    assert render.backends()["numba"] and render.backends()["torch"]
    module = importlib.import_module("meshrec.render.backends")  # the function of that name hides it
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "pytorch3d" else object())
    assert not render.backends()["pytorch3d"]
    vertices, faces = posed_body()
    with pytest.raises(MissingDependency, match=r"pytorch3d backend needs .* pip install"):
        render.depth(vertices, faces, Camera.from_fov((32, 48)), backend="pytorch3d")


def test_importing_the_renderer_does_not_import_numba():
    code = "import sys, meshrec.render; assert not {'numba', 'cv2', 'pytorch3d'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_kernels_compile_where_no_cache_can_be_written(monkeypatch):
    from meshrec.compiled.jit import compiled

    real = numba.njit

    def njit(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(lambda x: x + 1)(2) == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_draws_what_the_cpu_draws():
    vertices, faces = posed_body()
    camera = Camera.from_fov((96, 128))
    cpu = draw_all(vertices.float(), faces, camera, "numba")
    gpu = draw_all(vertices.float().cuda(), faces.cuda(), camera, None)
    for name in cpu:
        assert gpu[name].is_cuda
        assert (cpu[name] - gpu[name].cpu()).abs().max() < 1e-3, name


def bytes_kept_for_backward(draw, vertices):
    """What a pass keeps besides tensors of the mesh's own size."""
    kept = []

    def keep(tensor):
        if tensor.shape[-2:-1] != vertices.shape[-2:-1]:
            kept.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        picture = draw(vertices.clone().requires_grad_())
    slopes = getattr(picture.grad_fn, "slopes", [])
    return sum(kept) + sum(array.nbytes for arrays in slopes for array in arrays)


def test_memory_is_linear_in_covered_pixels():
    """Four times the pixels keep at most four times the memory; a larger, emptier picture keeps no more."""
    vertices, faces = posed_body()
    vertices = vertices.float()[None]

    def kept(focal, size, draw):
        camera = Camera(focal=focal, size=(size, size))
        covered = len(render.rasterize(vertices, faces, camera).pixel)
        return bytes_kept_for_backward(lambda v: draw(v, faces, camera), vertices), covered

    for draw in (render.depth, render.shaded):
        (small, few), (large, many) = kept(200.0, 224, draw), kept(800.0, 896, draw)
        assert large / many <= 1.05 * small / few < 1500
        assert kept(200.0, 1500, draw)[0] <= 1.05 * small
    (small, few), (large, many) = kept(200.0, 224, render.silhouette), kept(800.0, 896, render.silhouette)
    assert large / small < 0.5 * many / few  # only the outline's pixels are kept
