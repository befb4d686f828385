"""Parts of a fit over time as arrays that can be kept, so that an interrupted fit goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from meshrec.body.state import BodyState
from meshrec.fit.coupled import Past

Kept = Callable[[str, Callable[[], dict[str, np.ndarray]]], Mapping[str, np.ndarray]]
"""Gives the arrays that are kept under a name; if there are none, makes them by the function and keeps them."""


def not_kept(name: str, make: Callable[[], dict[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
    """Keeps nothing."""
    return make()


def arrays_of(state: BodyState, **others: Tensor) -> dict[str, np.ndarray]:
    """Bodies, and other tensors by name, as arrays; :func:`state_of` gives the bodies back."""
    return {name: part.numpy() for name, part in (state.parts | others).items()}


def state_of(arrays: Mapping[str, np.ndarray], prefix: str = "") -> BodyState:
    return BodyState(*(torch.from_numpy(arrays[prefix + name]) for name in ("rotations", "translation", "betas")))


def past_arrays(past: Past) -> dict[str, np.ndarray]:
    """What the frames before a window tell, as arrays, for :func:`past_of`."""
    arrays = arrays_of(past.reference, gradient=past.gradient, hessian=past.hessian)
    return {f"past_{name}": array for name, array in arrays.items()}


def past_of(arrays: Mapping[str, np.ndarray]) -> Past | None:
    if "past_gradient" not in arrays:
        return None
    gradient, hessian = (torch.from_numpy(arrays[f"past_{name}"]) for name in ("gradient", "hessian"))
    return Past(state_of(arrays, "past_"), gradient, hessian)
