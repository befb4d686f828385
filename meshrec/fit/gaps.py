"""Gaps of a track: the times in which a person is not seen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from meshrec.body.state import BodyState, choose
from meshrec.fit.film import Film
from meshrec.geometry.tangent import turned, turns_between


def segments(film: Film, longest: float) -> list[tuple[int, int]]:
    """Beginnings and ends of the parts of a track between gaps that are too long."""
    index = torch.nonzero(film.seen).flatten()
    apart = torch.nonzero(film.times[index].diff() > longest).flatten()
    starts = [int(index[0]), *(int(index[k + 1]) for k in apart)]
    stops = [*(int(index[k]) + 1 for k in apart), int(index[-1]) + 1]
    return list(zip(starts, stops))


def bridged(film: Film, state: BodyState, pelvis: Tensor, known: Tensor) -> BodyState:
    """Interpolate the bodies of frames that are not known in the world, between those before and after.

    Args:
        film: The input.
        state: T bodies of one shape.
        pelvis: (3,) place of the pelvis at rest.
        known: (T,) bool, the frames that stay.
    """
    if known.all():
        return state
    index = torch.nonzero(known).flatten().numpy()
    frames = np.arange(len(state))
    after = index[np.searchsorted(index, frames).clip(0, len(index) - 1)]
    before = index[(np.searchsorted(index, frames, side="right") - 1).clip(0)]
    first, last = film.times[before], film.times[after]
    share = ((film.times - first) / (last - first).clamp(min=1e-9)).clamp(0, 1)
    rotations = state.rotations.clone()
    rotations[:, 0] = film.turns.mT @ rotations[:, 0]
    moves = turns_between(rotations[before], rotations[after])
    rotations = turned(rotations[before], share[:, None, None] * moves)
    place = (film.turns.mT @ (pelvis + state.translation)[..., None]).squeeze(-1)
    place = place[before] + share[:, None] * (place[after] - place[before])
    rotations[:, 0] = film.turns @ rotations[:, 0]
    translation = (film.turns @ place[..., None]).squeeze(-1) - pelvis
    return choose(known, state, BodyState(rotations, translation, state.betas))
