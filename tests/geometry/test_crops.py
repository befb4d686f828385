"""The camera that looks at a crop's centre sees exactly what a turned camera must see."""

import pytest
import torch

from meshrec.geometry import Camera
from meshrec.geometry.crops import centre_maps, centre_points, centred_focal, look_along, look_at


@pytest.fixture
def crops():
    """Focal lengths (6, 2), principal points (6, 2) of crops, and points (6, 40, 3) that lie in them."""
    generator = torch.Generator().manual_seed(0)
    focal = (1.5 + 3 * torch.rand(6, 1, generator=generator)) * torch.tensor([1.0, 1.07])
    principal = 4 * torch.rand(6, 2, generator=generator) - 2
    depth = 2 + torch.rand(6, 40, 1, generator=generator)
    places = 2 * torch.rand(6, 40, 2, generator=generator) - 1
    return focal, principal, torch.cat([(places - principal[:, None]) / focal[:, None] * depth, depth], -1)


def test_points_move_as_a_turned_camera_sees_them(crops):
    focal, principal, points = (t.double() for t in crops)
    places = points[..., :2] / points[..., 2:] * focal[:, None] + principal[:, None]
    moved, centred = centre_points(places, focal, principal)
    turned = points @ look_at(focal, principal).mT
    expected = turned[..., :2] / turned[..., 2:] * centred[:, None, None]
    torch.testing.assert_close(moved, expected, atol=1e-12, rtol=0)


def test_single_precision_is_enough(crops):
    focal, principal, points = crops
    places = points[..., :2] / points[..., 2:] * focal[:, None] + principal[:, None]
    exact, _ = centre_points(places.double(), focal.double(), principal.double())
    assert (centre_points(places, focal, principal)[0] - exact).abs().max() < 1e-5


def test_the_centre_stays_and_so_does_the_area_around_it(crops):
    focal, principal = (t.double() for t in crops[:2])
    step = 1e-5
    places = step * torch.tensor([[0.0, 0], [1, 0], [0, 1]]).double().repeat(6, 1, 1)
    moved, _ = centre_points(places, focal, principal)
    torch.testing.assert_close(moved[:, 0], torch.zeros(6, 2).double(), atol=1e-12, rtol=0)
    area = torch.linalg.det(moved[:, 1:]) / step**2
    torch.testing.assert_close(area, torch.ones(6).double(), atol=1e-4, rtol=0)


def test_a_centred_crop_stays_as_it_is():
    focal, principal = torch.tensor([[2.0, 2.0]]), torch.zeros(1, 2)
    places = torch.rand(1, 9, 2)
    torch.testing.assert_close(look_at(focal, principal), torch.eye(3)[None])
    torch.testing.assert_close(centre_points(places, focal, principal), (places, torch.tensor([2.0])))
    pictures = torch.rand(1, 3, 10, 12)
    torch.testing.assert_close(centre_maps(pictures, focal, principal), pictures, atol=1e-5, rtol=0)


def test_cameras_turn_to_directions_without_rolling():
    directions = torch.randn(20, 3, generator=torch.Generator().manual_seed(1)).double()
    turn = look_along(directions)
    torch.testing.assert_close(torch.linalg.det(turn), torch.ones(20).double())
    brought = (turn @ directions[..., None]).squeeze(-1)
    torch.testing.assert_close(brought[:, 2], directions.norm(dim=1))
    assert turn[:, 0, 1].abs().max() == 0  # the x axis has no part in what was down


def test_pictures_move_like_points():
    """A blob drawn at a point is found at the point's new place."""
    camera = Camera((90.0, 94.0), (-30.0, 100.0), (160, 160))
    focal, principal = camera.matrix[[0, 1], [0, 1]][None] / 80, (camera.matrix[None, :2, 2] * 2 + 1) / 160 - 1
    place = torch.tensor([[[0.3, -0.4]]])
    row = (torch.arange(160) * 2 + 1) / 160 - 1
    near = (row - place[..., :1]).square() + (row - place[..., 1:]).mT.square()
    blob = (-near / (2 * 0.03**2)).exp()[:, None]
    seen = centre_maps(blob, focal, principal)[0, 0]
    found = torch.stack([(seen.sum(0) * row).sum(), (seen.sum(1) * row).sum()]) / seen.sum()
    expected = centre_points(place, focal, principal)[0][0, 0]
    assert (expected - place[0, 0]).norm() > 0.05
    assert (found - expected).norm() < 0.01
    assert centred_focal(focal, principal)[0] > focal.max()
