"""Steps of rotations and their inverse. The derivatives are tested with the pose prior, which needs them."""

import pytest
import torch

from meshrec.geometry import axis_angle_to_matrix, matrix_to_axis_angle, random_rotations
from meshrec.geometry.rotations import skew
from meshrec.geometry.tangent import right_jacobian_inverse, turned, turns_between


def test_a_step_is_a_turn_in_the_rotations_own_frame():
    generator = torch.Generator().manual_seed(0)
    rotations = random_rotations(6, generator, torch.float64).view(2, 3, 3, 3)
    turns = 0.8 * torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    assert torch.allclose(turned(rotations, turns), rotations @ torch.matrix_exp(skew(turns)))
    assert torch.allclose(turns_between(rotations, turned(rotations, turns)), turns)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 1.0, 3.0, torch.pi - 1e-9, torch.pi])
def test_compiled_loops_agree_with_what_has_derivatives(angle):
    axes = torch.nn.functional.normalize(
        torch.randn(50, 3, generator=torch.Generator().manual_seed(4)).double(), dim=-1
    )
    vectors = torch.cat([axes, torch.eye(3).double(), -torch.eye(3).double()]) * angle
    rotations = axis_angle_to_matrix(vectors)
    found, expected = matrix_to_axis_angle(rotations), matrix_to_axis_angle(rotations.clone().requires_grad_())
    # At a half turn, both directions of the axis are right.
    same = expected if angle < 3.14 else expected.detach() * (expected.detach() * found).sum(-1, keepdim=True).sign()
    assert (found - same).abs().max() < 1e-12
    found, expected = right_jacobian_inverse(vectors), right_jacobian_inverse(vectors.clone().requires_grad_())
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-12


def test_compiled_loops_accept_any_layout():
    rotations = axis_angle_to_matrix(torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(5)).double())
    assert torch.equal(matrix_to_axis_angle(rotations.mT), matrix_to_axis_angle(rotations.mT.contiguous()))
    assert matrix_to_axis_angle(rotations[:0]).shape == (0, 4, 3)
