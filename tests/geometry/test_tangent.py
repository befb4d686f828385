"""Steps of rotations and their inverse. The derivatives are tested with the pose prior, which needs them."""

import torch

from meshrec.geometry import random_rotations
from meshrec.geometry.rotations import skew
from meshrec.geometry.tangent import turned, turns_between


def test_a_step_is_a_turn_in_the_rotations_own_frame():
    generator = torch.Generator().manual_seed(0)
    rotations = random_rotations(6, generator, torch.float64).view(2, 3, 3, 3)
    turns = 0.8 * torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    assert torch.allclose(turned(rotations, turns), rotations @ torch.matrix_exp(skew(turns)))
    assert torch.allclose(turns_between(rotations, turned(rotations, turns)), turns)
