"""Rotations of heads and wrists from landmarks whose true rotation is known."""

import numpy as np
import pytest
import torch

from meshrec.geometry import Camera, random_rotations, rotation_angle
from meshrec.geometry.crops import look_along
from meshrec.landmarks.rigid_parts import MIRROR, PARTS, deviations, observed_rotation

COUNTS = {"head": 468, "left_wrist": 21, "right_wrist": 21}


def rest(joint: str) -> np.ndarray:
    """(K, 3) landmarks in the frame of the joint; those that are not in the table lie anywhere."""
    part = PARTS[joint.replace("right", "left")]
    points = np.random.default_rng(0).normal(size=(COUNTS[joint], 3))
    points[list(part.points)] = np.array(list(part.points.values()))
    return points * (MIRROR if joint == "right_wrist" else 1)


@pytest.mark.parametrize("joint", COUNTS)
def test_rotations_are_found_again_wherever_the_camera_sees_the_part(joint):
    """A camera that looks at the part sees it turned by the angle between the part and the photo's axis."""
    generator = torch.Generator().manual_seed(1)
    ray = Camera(800.0, size=(640, 480)).unproject(torch.tensor([[500.0, 40.0, 1.0]]))[0].double()
    for rotation in random_rotations(5, generator, torch.float64):
        seen = 0.3 * rest(joint) @ rotation.numpy().T @ look_along(ray[None])[0].numpy().T + [1, 2, 3]
        found = observed_rotation(joint, seen.astype(np.float32), ray)
        assert float(rotation_angle(found, rotation)) < 1e-3


def test_both_hands_have_one_deviation():
    assert torch.equal(deviations("left_wrist"), deviations("right_wrist"))
    assert (deviations("head") > 0.01).all() and (deviations("head") < 0.5).all()


def test_the_shapes_stand_as_faces_and_hands_do():
    """In the rest pose a face looks along z with its forehead up; fingers point to the side, and thumbs forward."""
    head, hand = (PARTS[name].points for name in ("head", "left_wrist"))
    assert head[4][2] > max(head[234][2], head[454][2]) and head[10][1] > head[152][1]
    assert head[33][0] < 0 < head[263][0]  # the right eye's outer corner, and the left one's
    assert hand[9][0] > hand[0][0] and hand[5][2] > hand[17][2] and hand[1][1] < hand[9][1]
