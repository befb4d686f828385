"""Open eyes: the visible part of an eyeball as rings of points inside the eyelids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Angle of each ring from the middle of the eye, relative to the eyelids. The first ring lies behind the edge of the
# lids, so that they are as thick as their distance from the eyeball.
_RINGS = (1.0, 0.55)
_TEXTURE = 0.9  # distance of the first ring from the middle of the texture's opening, relative to the eyelids


@dataclass(frozen=True)
class EyeCap:
    """A grid that fills the opening between the lids, of P points: the rings from outside to inside, then the middle.

    Attributes:
        shares: (P, E) weights of the eyeball's E vertices in each point; rows sum to one. They may be negative.
        lid_shares: (P, L) weights of the L lids' texture coordinates in those of each point; rows sum to one.
        triangles: (T, 3) indices of lids (below L) and points (from L on), counter-clockwise from outside.
    """

    shares: np.ndarray
    lid_shares: np.ndarray
    triangles: np.ndarray


def eye_cap(eyeball: np.ndarray, lids: np.ndarray) -> EyeCap:
    """Cover the opening between the lids with points on the eyeball.

    Args:
        eyeball: (E, 3) vertices, nearly on a sphere.
        lids: (L, 3) vertices around the opening, in the direction of the skin's border edges.
    """
    count = len(lids)
    centre = eyeball.mean(axis=0)
    radius = np.linalg.norm(eyeball - centre, axis=1).mean()
    towards = _unit(lids - centre)
    middle = _unit(towards.mean(axis=0, keepdims=True))
    directions = np.concatenate([*[_unit(middle + ring * (towards - middle)) for ring in _RINGS], middle])
    around = np.eye(count) - 1 / count
    lid_shares = np.concatenate([*[_TEXTURE * ring * around for ring in _RINGS], np.zeros((1, count))]) + 1 / count
    return EyeCap(_affine_shares(eyeball, centre + radius * directions), lid_shares, _grid(count))


def _affine_shares(cloud: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The smallest weights (P, E) with which the cloud (E, 3) gives the points (P, 3), also after any affine map."""
    centre = cloud.mean(axis=0)
    spread = cloud - centre
    return (points - centre) @ np.linalg.solve(spread.T @ spread, spread.T) + 1 / len(cloud)


def _grid(count: int) -> np.ndarray:
    """Triangles between the lids and the rings of ``count`` vertices each, and the fan around the middle."""
    here = np.arange(count)
    following = np.roll(here, -1)
    bands = [
        np.concatenate(
            [
                np.stack([following + outer, here + outer, here + inner], axis=1),
                np.stack([following + outer, here + inner, following + inner], axis=1),
            ]
        )
        for outer, inner in ((k * count, (k + 1) * count) for k in range(len(_RINGS)))
    ]
    last = len(_RINGS) * count
    fan = np.stack([following + last, here + last, np.full(count, last + count)], axis=1)
    return np.concatenate([*bands, fan])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
