"""A regressor's estimates of people, with their uncertainty, from which a fit starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.body import NUM_JOINTS
from meshrec.body.state import BodyState


@dataclass(frozen=True)
class Initial:
    """A regressor's estimates of N people, and their uncertainty.

    The fit starts from the estimates and uses them as a Gaussian prior. It then adds no prior of shapes: a regressor
    that was trained on many bodies already leans towards the mean shape, and doing so twice would make heavy people
    too light.

    Attributes:
        state: N bodies in camera space.
        whiten: (N, M, P) square roots of the information matrices; see :class:`meshrec.fit.terms.Closeness`.
            :meth:`from_deviations` makes them of standard deviations.

    Example:
        >>> import torch
        >>> from meshrec.body.state import BodyState
        >>> from meshrec.fit import Initial
        >>> state = BodyState(torch.eye(3).expand(2, 24, 3, 3), torch.zeros(2, 3), torch.zeros(2, 10))
        >>> len(Initial(state, torch.zeros(2, 82, 85)).repeated(3).state)  # two people, three bodies each
        6
    """

    state: BodyState
    whiten: Tensor

    @classmethod
    def from_deviations(
        cls,
        state: BodyState,
        turn: float | Sequence[float] | Tensor = 0.3,
        beta: float | Sequence[float] | Tensor = 1.0,
        place: float | None = None,
    ) -> Initial:
        """Estimates whose errors are taken to be independent of each other.

        Args:
            state: N bodies in camera space, of any floating type.
            turn: Standard deviation of the rotation of a joint about each axis of its own frame, radians: one number,
                or (24,) or (N, 24) of them. The fit trusts a joint more, the smaller it is.
            beta: Standard deviation of the betas: one number, or (S,) or (N, S) of them.
            place: Standard deviation of the translation along each axis, metres. Default: unknown, so that the
                detections alone decide it, as the networks of meshrec have it.

        Raises:
            ValueError: A deviation is not positive, or its shape is none of these.

        Example:
            A regressor of one's own, here one that takes everyone to stand before the camera:

            >>> import numpy as np
            >>> import torch
            >>> import meshrec
            >>> from meshrec.body.state import BodyState
            >>> from meshrec.fit import Initial
            >>> def standing(image, detections, camera):
            ...     count = len(detections)
            ...     rotations = torch.eye(3).repeat(count, 24, 1, 1)
            ...     rotations[:, 0] = meshrec.geometry.CAMERA_TO_Y_UP  # bodies are y up, cameras y down
            ...     place = torch.tensor([0.0, 0.0, 4.0]).repeat(count, 1)
            ...     return Initial.from_deviations(BodyState(rotations, place, torch.zeros(count, 10)), turn=0.2)
            >>> reconstructor = meshrec.Reconstructor(regressor=standing)
            >>> keypoints = np.random.default_rng(0).uniform((90, 50, 1), (160, 200, 1), (1, 17, 3))
            >>> (person,) = reconstructor(np.zeros((256, 256, 3), np.uint8), keypoints=keypoints)
            >>> person.made_by, bool(np.isfinite(person.vertices).all())
            ('standing + fit', True)
        """
        state = BodyState(*(part.double() for part in (state.rotations, state.translation, state.betas)))
        turns = _deviations(turn, (len(state), NUM_JOINTS), "turn").repeat_interleave(3, 1)
        betas = _deviations(beta, tuple(state.betas.shape), "beta")
        places = turns.new_zeros(len(state), 3)
        if place is not None:
            places = 1 / _deviations(place, (len(state), 3), "place")
        return cls(state, torch.cat([1 / turns, places, 1 / betas], dim=1).diag_embed())

    def __getitem__(self, index: slice | Tensor) -> Initial:
        return Initial(self.state[index], self.whiten[index])

    def repeated(self, count: int) -> Initial:
        """The estimates for ``count`` bodies of each person, those of one person next to each other."""
        return Initial(self.state.repeated(count), self.whiten.repeat_interleave(count, 0))


def _deviations(values: float | Sequence[float] | Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    """Standard deviations as float64 of a shape to which they broadcast."""
    found = torch.as_tensor(values, dtype=torch.float64)
    if found.shape not in ((), shape[1:], shape):
        raise ValueError(f"{name} should be one number, {shape[1:]} or {shape}, not {tuple(found.shape)}")
    if not (found > 0).all():
        raise ValueError(f"{name} holds standard deviations, which must be positive")
    return found.expand(shape)
