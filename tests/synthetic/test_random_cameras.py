"""Random cameras: orientations, and how often and how much photos cut people."""

import pytest
import torch

from meshrec.data.streams import Streams
from meshrec.synthetic.random_cameras import ViewMix, draw_orientations, draw_views


def test_the_photo_cuts_as_many_as_asked_and_as_much(body):
    points = torch.rand(1000, 40, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    views = draw_views(points, Streams(0, range(1000), "view"), 100, ViewMix(truncated=0.3))
    assert views.truncated.float().mean() == pytest.approx(0.3, abs=0.04)
    pixels = views.camera.project(points + views.translation[:, None])[..., :2]
    low, high = pixels.amin(1), pixels.amax(1)
    cut = ((views.photo[:, :2] > low) | (views.photo[:, 2:] < high)).any(1)
    assert torch.equal(cut, views.truncated)
    kept = (views.box[:, 2:] - views.box[:, :2]) / (high - low)
    assert torch.allclose(kept[cut].amax(1), torch.ones(int(cut.sum())), atol=1e-3)
    assert (kept[cut].amin(1) > 0.39).all() and (kept[cut].amin(1) < 0.91).all()
    bottom = views.photo[:, 3] < high[:, 1]
    assert bottom.float().sum() / cut.sum() == pytest.approx(0.6, abs=0.1)


def test_cameras_above_look_down_and_rolls_are_small():
    views = draw_orientations(Streams(0, range(500), "view"), ViewMix(elevation=(30, 1), any_elevation=0, roll=4))
    up = views[:, :, 1]
    assert torch.allclose(torch.rad2deg(torch.asin(-up[:, 2])), torch.tensor(30.0), atol=4)  # the head is nearer
    assert (up[:, 1] < 0).all()
    assert torch.rad2deg(torch.atan2(up[:, 0], -up[:, 1])).std() == pytest.approx(4 / 0.87, abs=1.2)
    heading = torch.atan2(views[:, 0, 2], views[:, 0, 0])
    assert heading.cos().mean().abs() < 0.1 and heading.sin().mean().abs() < 0.1
