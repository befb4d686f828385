"""People who stand in a room: they are in all pictures, and stand on the floor."""

import numpy as np
import torch

from meshrec.synthetic.gathering import FLOOR, SIZE, gathering


def test_people_are_seen_whole_by_all_cameras():
    for seed in (0, 4):
        scene = gathering(seed)
        assert list(scene.images) == [f"cam{n + 1}" for n in range(len(scene.cameras))]
        feet = scene.joints[:, [10, 11], 1].max(1)
        assert (FLOOR - feet > -0.01).all() and (FLOOR - feet < 0.15).all()
        for camera in scene.cameras:
            pixels = camera.project(camera.world_to_camera(torch.from_numpy(scene.joints).double())).numpy()
            inside = ((pixels[..., :2] >= 0) & (pixels[..., :2] < SIZE)).all(-1)
            assert inside.mean() > 0.95 and pixels[..., 2].min() > 1


def test_the_seed_decides():
    first, again, other = gathering(2), gathering(2), gathering(3)
    assert (first.images["cam1"] == again.images["cam1"]).all()
    assert not np.array_equal(first.images["cam1"], other.images["cam1"])
