"""Random streams: independent of the batch and of each other, with the distributions that are asked for."""

import pytest
import torch

from meshrec.data.streams import BatchStream, Streams


def test_streams_do_not_depend_on_the_batch_or_on_each_other():
    whole, part = Streams(5, range(10), "pose"), Streams(5, [7, 3], "pose")
    for draw in (
        lambda s: s.normal(4),
        lambda s: s.uniform(2, 2, low=-1),
        lambda s: s.whole(9),
        lambda s: s.pick([0.5]),
    ):
        assert torch.equal(draw(whole)[[7, 3]], draw(part))
    assert not torch.equal(Streams(5, [3], "shape").normal(4), Streams(5, [3], "pose").normal(4))
    assert not torch.equal(Streams(6, [3], "pose").normal(4), Streams(5, [3], "pose").normal(4))


def test_streams_follow_their_distributions():
    streams = Streams(0, range(4000), "test")
    assert streams.normal(20).std() == pytest.approx(1, abs=0.02)
    shares = torch.bincount(streams.pick((0.2, 0.0, 0.5)) + 1, minlength=4) / 4000
    assert shares.tolist() == pytest.approx([0.3, 0.2, 0, 0.5], abs=0.03)
    assert streams.happens(0.15, 5).float().mean() == pytest.approx(0.15, abs=0.01)


def test_what_a_stream_draws_is_spread_over_the_batch():
    stream = BatchStream(1000, (1, 2), "test")
    assert stream.normal(3).shape == (1000, 3) and stream.whole(5).dtype == torch.int64
    share = stream.happens(0.3).float().mean()
    assert 0.25 < share < 0.35
    assert not torch.equal(BatchStream(4, (1, 2), "a").normal(), BatchStream(4, (1, 2), "b").normal())
