"""Affine maps of the picture plane."""

import numpy as np

from meshrec.geometry.affine import apply, compose, inverse, warp


def test_affine_maps():
    rng = np.random.default_rng(0)
    one, other, points = rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), rng.normal(size=(5, 2))
    assert np.allclose(apply(compose(one, other), points), apply(one, apply(other, points)))
    assert np.allclose(apply(inverse(one), apply(one, points)), points)


def test_shrinking_averages():
    """A checkerboard of single pixels seen at a twentieth of its size is gray, not some of its pixels."""
    board = np.indices((400, 400)).sum(0).astype(np.uint8) % 2 * 255
    small = warp(board, np.array([[0.05, 0, 0], [0, 0.05, 0]]), (20, 20))
    assert np.abs(small[1:-1, 1:-1].astype(int) - 127).max() < 3
