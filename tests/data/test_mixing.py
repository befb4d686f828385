"""Mixing: every part of the sequence keeps the proportions, and samples depend on the seed and their place alone."""

import numpy as np
import pytest
import torch
from helpers.people import JOINTS

from meshrec.data.augmentation import Augmentation
from meshrec.data.mixing import MixedSamples, spread
from meshrec.data.sample import concatenate, person_sample
from meshrec.errors import InputError


class Numbered:
    """A dataset whose samples have their number in the name, and pictures that follow from it."""

    def __init__(self, name, count):
        self.name, self.count = name, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        image = np.random.default_rng(index).integers(0, 256, (24, 24, 3)).astype(np.uint8)
        keypoints = np.random.default_rng(index).uniform(0, 24, (len(JOINTS), 3))
        return person_sample(f"{self.name} {index}", image, (np.full(2, 11.5), 24.0), JOINTS, keypoints)


SETS = [Numbered("a", 7), Numbered("b", 40), Numbered("c", 3)]


def mixed(**changes):
    settings = {"resolution": 16, "augmentation": Augmentation(), "seed": 5}
    return MixedSamples(SETS, [0.5, 0.3, 0.2], **(settings | changes))


def same(one, other):
    return one.names == other.names and all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in ("image", "keypoints_2d", "pose", "focal")
    )


def test_a_place_holds_the_same_sample_whatever_the_batch():
    row = mixed()
    together = row.batch(range(12))
    assert same(together, concatenate([row.batch(range(0, 5)), row.batch(range(5, 12))]))
    assert same(together, mixed().batch(range(12)))
    assert not same(row.batch(range(6)), row.batch(range(6, 12)))


def test_seeds_differ():
    assert not same(mixed().batch(range(6)), mixed(seed=6).batch(range(6)))


@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.2), (0.9, 0.1), (1,), (3, 1e-9), (0.35, 0.21, 0.19, 0.13, 0.12)])
def test_every_part_of_the_sequence_keeps_the_proportions(shares):
    pattern = spread(shares)
    assert set(pattern.tolist()) == set(range(len(shares)))
    due = np.array(shares) / sum(shares)
    total = np.bincount(pattern, minlength=len(shares)) / len(pattern)
    assert np.abs(total - due).max() <= 1.01e-3
    row = np.concatenate([pattern, pattern])
    for size in (8, 32, 200):
        for start in range(0, 1000, 37):
            counts = np.bincount(row[start : start + size], minlength=len(shares))
            assert np.abs(counts - due * size).max() < 2.5


def test_each_dataset_is_visited_evenly_in_new_orders():
    row = mixed()
    drawn = [row.drawn(place) for place in range(2000)]
    for number, dataset in enumerate(SETS):
        own = [index for which, index in drawn if which == number]
        epochs = [own[i : i + len(dataset)] for i in range(0, len(own) - len(dataset), len(dataset))]
        assert all(sorted(epoch) == list(range(len(dataset))) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > 1


def test_bad_mixtures():
    with pytest.raises(InputError, match="above 0"):
        spread([0.5, 0])
    with pytest.raises(InputError, match="as many proportions"):
        MixedSamples(SETS, [1.0])
    with pytest.raises(InputError, match="dataset 1"):
        MixedSamples([SETS[0], Numbered("none", 0)], [1, 1])
