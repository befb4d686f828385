"""Meshes, cameras and checks of gradients for the tests of the renderer."""

from functools import cache

import torch
from torch import Tensor

import meshrec
from meshrec.geometry import camera_to_y_up
from meshrec.geometry.cameras import Camera
from meshrec.geometry.rotations import axis_angle_to_matrix

NATIVE = ("numba", "torch")  # the renderer's backends that need no package of their own


@cache
def _body():
    return meshrec.load_body("neutral")


def posed_body(seed: int = 0, depth: float = 2.4) -> tuple[Tensor, Tensor]:
    """The open body in a random pose, upright in front of a camera: vertices (V, 3) float64, faces (F, 3)."""
    generator = torch.Generator().manual_seed(seed)
    pose = 0.25 * torch.randn(1, 69, generator=generator)
    turn = torch.rand(3, generator=generator, dtype=torch.float64) * torch.tensor([0.4, 6.28, 0.4]) - 0.2
    vertices = _body()(body_pose=pose).vertices[0].double()
    vertices = (vertices - vertices.mean(0)) @ axis_angle_to_matrix(turn).T
    return camera_to_y_up(vertices) + torch.tensor([0.0, 0.0, depth]), _body().faces


def screen_camera(size: tuple[int, int]) -> Camera:
    """A camera for which x and y of a point at depth 1 are its pixels."""
    return Camera(focal=1.0, center=(0.0, 0.0), size=size)


def rectangle(left: float, top: float, right: float, bottom: float, z: float = 1.0) -> tuple[Tensor, Tensor]:
    """A rectangle of two triangles: vertices (4, 3) float64, faces (2, 3)."""
    corners = [[left, top, z], [right, top, z], [right, bottom, z], [left, bottom, z]]
    return torch.tensor(corners, dtype=torch.float64), torch.tensor([[0, 2, 1], [0, 3, 2]])


def finite_difference(function, x: Tensor, index: tuple, step: float) -> float:
    """Central difference of a scalar function of a tensor in one of its entries."""
    values = []
    for sign in (1, -1):
        moved = x.detach().clone()
        moved[index] += sign * step
        values.append(float(function(moved)))
    return (values[0] - values[1]) / (2 * step)


def assert_gradient(function, x: Tensor, indices, step: float = 1e-7, relative: float = 1e-4) -> None:
    """Check the gradient of a scalar function against central differences at the given entries of its argument."""
    x = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(x), x)
    scale = float(gradient.abs().max())
    assert scale > 0
    for index in indices:
        numeric = finite_difference(function, x, index, step)
        assert abs(numeric - float(gradient[index])) <= relative * max(abs(numeric), 1e-2 * scale), index


def lively_coordinates(function, x: Tensor, count: int, seed: int = 0) -> list[tuple]:
    """Indices of random entries of a tensor on which a scalar function depends noticeably."""
    x = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(x), x)
    alive = (gradient.abs() > 1e-3 * gradient.abs().max()).nonzero()
    chosen = torch.randperm(len(alive), generator=torch.Generator().manual_seed(seed))[:count]
    return [tuple(row) for row in alive[chosen].tolist()]
