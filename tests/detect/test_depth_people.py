"""The search for people in depth maps, on maps whose content is known."""

import numpy as np
import torch

from meshrec.detect.depth_people import find_candidates
from meshrec.geometry import Camera
from meshrec.synthetic.depth_maps import RoomMix, SyntheticDepthMaps

CAMERA = Camera(150.0, size=(160, 120))


def room() -> np.ndarray:
    """A wall 4 m away, and a floor 1 m below the camera."""
    wall = np.full((120, 160), 4.0, np.float32)
    rows = np.arange(120) - CAMERA.center[1]
    floor = np.where(rows > 0, 150.0 / np.maximum(rows, 1e-3), np.inf)[:, None]
    return np.minimum(wall, floor).astype(np.float32)


def test_walls_and_floors_are_nobody():
    found = find_candidates(room(), CAMERA)
    assert not found.candidates


def test_what_stands_before_a_wall_is_found():
    depth = room()
    depth[20:90, 60:85] = 2.0
    (person,) = find_candidates(depth, CAMERA).candidates
    assert np.allclose(person.box, [59.5, 19.5, 84.5, 89.5], atol=3)
    assert np.isclose(person.area, 70 * 25 * (2 / 150) ** 2, rtol=0.1)
    assert np.allclose(np.median(person.points[:, 2]), 2.0)


def test_two_things_are_two_candidates_and_a_box_chooses():
    depth = room()
    depth[20:90, 30:55] = 2.0
    depth[30:80, 100:120] = 2.5
    assert len(find_candidates(depth, CAMERA).candidates) == 2
    (chosen,) = find_candidates(depth, CAMERA, np.array([95, 20, 130, 90])).candidates
    assert chosen.box[0] > 90


def test_lost_pixels_do_not_part_a_person():
    depth = room()
    depth[20:90, 60:85] = 2.0
    depth[50:52] = 0
    assert len(find_candidates(depth, CAMERA).candidates) == 1


def test_an_empty_map_shows_nobody():
    assert not find_candidates(np.zeros((120, 160), np.float32), CAMERA).candidates


def test_synthetic_people_are_among_the_candidates(body):
    maps = SyntheticDepthMaps(body, seed=8, split="held_out", size=(240, 180), rooms=RoomMix(in_front=0, clothed=0))
    for seen in maps.draw(range(8)):
        shares = []
        for candidate in find_candidates(seen.depth, seen.camera).candidates:
            columns, rows = seen.camera.project(torch.from_numpy(candidate.points))[:, :2].round().long().numpy().T
            shares.append(float(seen.person[rows, columns].mean()))
        assert max(shares) > 0.5
