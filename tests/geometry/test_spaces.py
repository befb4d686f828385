"""Camera space and y-up space."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from meshrec.geometry import CAMERA_TO_Y_UP, Placement, camera_to_y_up

HALF_TURN = Rotation.from_rotvec([math.pi, 0, 0]).as_matrix()


def test_it_is_half_a_turn_about_x():
    points = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert np.allclose(CAMERA_TO_Y_UP.numpy(), HALF_TURN)
    assert np.allclose(camera_to_y_up(points), points @ HALF_TURN.T)
    assert np.array_equal(camera_to_y_up(camera_to_y_up(points)), points)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_type_and_gradients_are_kept(dtype):
    points = torch.ones(4, 3, dtype=dtype, requires_grad=True)
    turned = camera_to_y_up(points)
    turned.sum().backward()
    assert turned.dtype == dtype and torch.equal(points.grad, torch.tensor([[1, -1, -1]], dtype=dtype).expand(4, 3))
    assert camera_to_y_up(points.detach().numpy()).dtype == points.detach().numpy().dtype


def test_a_placement_moves_points_and_bodies_alike():
    rotation = Rotation.from_euler("xyz", [0.3, -0.2, 0.5]).as_matrix()
    placement = Placement(rotation, np.array([0.1, 1.5, -2.0]))
    rng = np.random.default_rng(0)
    pose, translation, pelvis = Rotation.random(3, random_state=0).as_matrix(), rng.normal(size=3), rng.normal(size=3)
    point = rng.normal(size=3)  # of the body at rest; the root turns it about the pelvis
    here = pose[0] @ (point - pelvis) + pelvis + translation
    turned, moved = placement.body(pose, translation, pelvis)
    assert np.allclose(turned[0] @ (point - pelvis) + pelvis + moved, rotation @ here + placement.translation)
    assert np.allclose(placement.points(here), rotation @ here + placement.translation)
    assert np.array_equal(turned[1:], pose[1:])
    assert placement.points(np.ones((2, 3), np.float32)).dtype == np.float32
