"""A person who stands upright in front of a camera, for tests of the fit."""

import torch

from meshrec.body.state import BodyState
from meshrec.geometry import CAMERA_TO_Y_UP, Camera

CAMERA = Camera(900.0, size=(480, 640))


def standing(betas: float = 0.0) -> BodyState:
    """One person in the rest pose, whose first two betas have the given value."""
    rotations = torch.eye(3, dtype=torch.float64).repeat(1, 24, 1, 1)
    rotations[:, 0] = CAMERA_TO_Y_UP
    shape = torch.zeros(1, 10, dtype=torch.float64)
    shape[:, :2] = betas
    return BodyState(rotations, torch.tensor([[0.0, 0.1, 3.5]], dtype=torch.float64), shape)


def rather_sure(betas: float) -> torch.Tensor:
    """The regressor's certainty: the square root of the information matrix, (1, 85, 85).

    Rotations and translation have a standard deviation of 0.1, the betas one of ``betas``.
    """
    return torch.diag(1 / torch.cat([torch.full((75,), 0.1), torch.full((10,), betas)]).double())[None]
