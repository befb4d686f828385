"""The native backends against PyTorch3D, where it is installed."""

import pytest
import torch
from helpers.scenes import NATIVE, posed_body

from meshrec import render
from meshrec.geometry.cameras import Camera, WeakPerspectiveCamera

pytest.importorskip("pytorch3d", reason="needs PyTorch3D")
pytestmark = pytest.mark.filterwarnings("ignore:PyTorch3D takes seconds")

CAMERAS = {
    "square": Camera.from_fov((64, 64)),
    "wide": Camera(focal=(70.0, 90.0), center=(35.0, 22.0), size=(80, 56)),
    "tall": Camera(focal=(90.0, 80.0), center=(22.0, 45.0), size=(48, 80)),
    "weak": WeakPerspectiveCamera(scale=0.9, size=(56, 64)),
}


@pytest.mark.parametrize("name", CAMERAS)
@pytest.mark.parametrize("native", NATIVE)
def test_hard_faces_and_depth(name, native):
    vertices = torch.stack([posed_body(i)[0] for i in range(2)]).float()
    camera = render.screen.supersampled(CAMERAS[name], 2)  # enough pixels for a part in ten thousand to be some
    ours, theirs = (render.rasterize(vertices, posed_body()[1], camera, backend) for backend in (native, "pytorch3d"))
    assert (ours.face_id >= 0).sum() > 2000
    assert (ours.face_id == theirs.face_id).float().mean() >= 0.9999
    depths = [fragments.picture(fragments.depth[:, None]) for fragments in (ours, theirs)]
    assert ((depths[0] - depths[1]).abs() < 1e-5).float().mean() >= 0.9999


@pytest.mark.parametrize("name", ["square", "wide", "tall"])
@pytest.mark.parametrize("native", NATIVE)
@pytest.mark.parametrize("soft", [1e-4, 1e-5])
def test_soft_coverage_and_gradient_with_every_face_counted(soft, native, name, monkeypatch):
    from meshrec.render import pytorch3d_backend

    monkeypatch.setattr(pytorch3d_backend, "FACES_PER_PIXEL", 600)
    vertices, faces = posed_body(1)
    weights = torch.rand(CAMERAS[name].size[::-1], generator=torch.Generator().manual_seed(0))
    pictures, gradients = [], []
    for backend in (native, "pytorch3d"):
        leaf = vertices.float().requires_grad_()
        pictures.append(render.silhouette(leaf, faces, CAMERAS[name], soft=soft, backend=backend))
        gradients.append(torch.autograd.grad((pictures[-1] * weights).sum(), leaf)[0])
    assert (pictures[0] - pictures[1]).abs().max() <= 1e-4
    assert (gradients[0] - gradients[1]).norm() <= 1e-3 * gradients[0].norm()


def test_undrawable_vertices_do_not_reach_pytorch3d():
    vertices, faces = posed_body()
    vertices[::50] = torch.nan
    camera = Camera.from_fov((32, 48))
    depths = [render.depth(vertices.float(), faces, camera, backend=b) for b in ("numba", "pytorch3d")]
    torch.testing.assert_close(*depths, atol=1e-5, rtol=0)
    assert (render.depth(vertices.float(), faces[:0], camera, backend="pytorch3d") == 0).all()


def test_pytorch3d_has_no_outline_and_is_slow_on_a_cpu():
    vertices, faces = posed_body()
    camera = Camera.from_fov((16, 16))
    with pytest.raises(ValueError, match="soft silhouette only"):
        render.silhouette(vertices, faces, camera, backend="pytorch3d")
    with pytest.warns(UserWarning, match="takes seconds"):
        render.depth(vertices.float(), faces, camera, backend="pytorch3d")
