"""Winding numbers against closed forms, and forearms that go through the body."""

import math

import pytest
import torch
import trimesh

from meshrec.geometry import axis_angle_to_matrix
from meshrec.metrics import forearms_inside, share_inside, winding_numbers


def tensors(mesh: trimesh.Trimesh) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(mesh.vertices), torch.tensor(mesh.faces)


def boxes(*places: tuple[float, float, float]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cubes of side 2 in one mesh, and the number of the cube to which each vertex belongs."""
    vertices, faces = tensors(trimesh.creation.box((2, 2, 2)))
    shifted = torch.cat([vertices + torch.tensor(place, dtype=torch.float64) for place in places])
    numbers = torch.arange(len(places))
    return shifted, torch.cat([faces + 8 * i for i in numbers]), numbers.repeat_interleave(8)


@pytest.mark.parametrize("mesh", [trimesh.creation.icosphere(3), trimesh.creation.box((2, 2, 2))])
def test_a_closed_mesh_winds_once_about_the_points_inside(mesh):
    generator = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(200, 3, generator=generator, dtype=torch.float64), dim=-1)
    inside, outside = 0.9 * points, 1.8 * points
    assert torch.allclose(winding_numbers(inside, *tensors(mesh)), torch.ones(200).double(), atol=1e-9)
    assert torch.allclose(winding_numbers(outside, *tensors(mesh)), torch.zeros(200).double(), atol=1e-9)


def test_an_open_hemisphere_winds_by_its_solid_angle():
    vertices, faces = tensors(trimesh.creation.icosphere(6))
    faces = faces[(vertices[faces, 2] > -1e-9).all(1)]
    for height in (0.8, 0.2, -0.5, -3.0):
        number = winding_numbers(torch.tensor([[0.0, 0, height]], dtype=torch.float64), vertices, faces)
        hole = 2 * math.pi * (1 - abs(height) / math.hypot(height, 1))  # solid angle of the open disk
        expected = 1 - hole / (4 * math.pi) if height > 0 else hole / (4 * math.pi)
        assert float(number) == pytest.approx(expected, abs=0.002)


def test_the_corners_of_a_box_that_lie_in_another_are_counted():
    vertices, faces, number = boxes((0, 0, 0), (1.5, 0.1, 0.2), (9, 0, 0))
    nothing = torch.zeros(len(vertices), dtype=torch.bool)
    assert float(share_inside(vertices, faces, number == 1, nothing)) == 1 / 8  # one corner of the four is low enough
    assert float(share_inside(vertices, faces, number == 2, nothing)) == 0
    assert float(share_inside(vertices, faces, number == 1, number == 0)) == 0  # a part that is joined to it


def test_only_forearms_in_the_body_are_inside(body):
    turns = torch.zeros(2, 23, 3)
    turns[1, 15] = torch.tensor([0.0, 0.0, -1.75])  # the left arm hangs down, through the hip
    with torch.no_grad():
        vertices = body(body_pose=axis_angle_to_matrix(turns)).vertices
    shares = forearms_inside(body, vertices, every=4)
    assert shares[0].tolist() == [0, 0]
    assert shares[1, 0] > 0.3
    assert shares[1, 1] == 0
