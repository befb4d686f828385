"""The best of several poses, and the coverage of intervals, where both are known."""

import numpy as np
import pytest
import torch

from meshrec.body import joint_set
from meshrec.evaluation.hypotheses import best_of, coverage
from meshrec.evaluation.lifting import LiftingSet


def _people(count: int) -> LiftingSet:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(count, 17, 3, generator=generator)
    true = torch.cat([points, torch.ones(count, 17, 1)], dim=-1)
    return LiftingSet("h36m17", torch.zeros(count, 17, 3), true, torch.empty(0), torch.empty(0), {})


def test_the_best_pose_is_found_among_the_first_ones():
    """A wrist that is 17 times 3, 1 and 2 cm off, of 17 joints: MPJPE 30, 10 and 20 mm."""
    people = _people(4)
    poses = people.true[:, None, :, :3].repeat(1, 3, 1, 1)
    poses[:, :, joint_set("h36m17").index("left_wrist"), 0] += 17 * torch.tensor([0.03, 0.01, 0.02])
    found = best_of(poses, people, (1, 2, 3), "mpjpe")
    assert {n: np.round(of, 3).tolist() for n, of in found.items()} == {1: [30] * 4, 2: [10] * 4, 3: [10] * 4}
    with pytest.raises(ValueError, match="3 poses"):
        best_of(poses, people, (4,))


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_coverage_is_the_share_of_the_right_distribution_and_less_of_a_narrow_one(share):
    generator = torch.Generator().manual_seed(1)
    true = torch.cat([torch.randn(3000, 2, 3, generator=generator), torch.ones(3000, 2, 1)], dim=-1)
    deviation = torch.tensor([1.0, 0.5])[:, None]
    poses = deviation * torch.randn(3000, 300, 2, 3, generator=generator)
    right, narrow = coverage(poses, true, share).tolist()
    half = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor((1 + share) / 2)).item() / 2
    assert right == pytest.approx(share, abs=0.02)
    assert narrow == pytest.approx(float(torch.erf(torch.tensor(half / 2**0.5))), abs=0.02)


def test_unknown_joints_do_not_count():
    poses = torch.randn(10, 50, 1, 3, generator=torch.Generator().manual_seed(2))
    true = torch.zeros(10, 1, 4)
    true[:5, :, 3] = 1
    true[5:, :, :3] = 100.0  # far outside, but not known
    assert coverage(poses, true, 0.9).item() == 1
