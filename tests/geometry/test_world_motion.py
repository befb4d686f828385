"""Motion in the camera space of each frame and in the world."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from meshrec.geometry import camera_space_motion, world_motion

PELVIS = np.array([0.01, -0.2, 0.03], np.float32)


def motion(frames: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random rotations (T, 24, 3, 3), translation (T, 3) and turns (T, 3, 3)."""
    random = np.random.default_rng(0)
    rotations = Rotation.random(24 * frames, random_state=0).as_matrix().reshape(frames, 24, 3, 3).astype(np.float32)
    turns = Rotation.from_rotvec(random.normal(0, 0.4, (frames, 3))).as_matrix()
    return rotations, random.normal(0, 2, (frames, 3)).astype(np.float32), turns


def test_there_and_back():
    rotations, translation, turns = motion()
    there = world_motion(rotations, translation, PELVIS, turns)
    back = camera_space_motion(*there, PELVIS, turns)
    assert [array.dtype for array in there] == [np.float32, np.float32]
    assert np.allclose(back[0], rotations, atol=1e-5) and np.allclose(back[1], translation, atol=1e-5)
    assert np.array_equal(there[0][:, 1:], rotations[:, 1:])


def test_the_body_in_the_world_is_the_turned_body(body):
    rotations, translation, turns = motion(2)
    pelvis = body.rest()[1][0, 0].numpy()

    def vertices(rotations: np.ndarray, translation: np.ndarray) -> np.ndarray:
        pose = torch.from_numpy(rotations)
        with torch.no_grad():
            return body(None, pose[:, 1:], pose[:, 0], torch.from_numpy(translation)).vertices.numpy()

    seen = vertices(rotations, translation)
    world = vertices(*world_motion(rotations, translation, pelvis, turns))
    assert np.allclose(world @ turns.swapaxes(-1, -2), seen, atol=1e-5)
