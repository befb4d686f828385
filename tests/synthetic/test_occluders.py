"""Occluders in front of synthetic people."""

import pytest
import torch

from meshrec.data.streams import Streams
from meshrec.synthetic.occluders import draw_occluders


def test_occluders_cover_their_share_of_people():
    box = torch.tensor([[10.0, 5, 40, 45]]).repeat(600, 1)
    covered = draw_occluders(Streams(0, range(600), "occluder"), box, 0.25).pictures((50, 50))
    some = covered.flatten(1).any(1)
    assert some.float().mean() == pytest.approx(0.25, abs=0.05)
    assert 0.01 < covered[some].float().mean() < 0.3
