"""Bodies of a given stature that look the same to the camera."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.measures import stature
from meshrec.body.state import BodyState
from meshrec.errors import InputError
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions

LEAST, MOST = 0.3, 2.6  # statures that people may have, metres
ROUNDS = 8  # the highest and the lowest vertex may change with the betas
ROUNDING = 1e-3  # metres


def with_stature(body: BodyModel, state: BodyState, heights: Tensor) -> BodyState:
    """Give bodies another stature, and move them along the line of sight so that they look the same.

    The betas become those of the body that comes closest to the scaled body, among those of the given stature. The
    translation becomes the one with which the joints lie on the lines of sight through the old ones (least squares).

    Args:
        body: The body model, on the CPU.
        state: B bodies in front of the camera.
        heights: (B,) statures, metres.

    Returns:
        The bodies, in the same poses.

    Raises:
        InputError: The body model has no shape of one of the statures.

    Example:
        >>> import torch
        >>> from meshrec.body import load_body
        >>> from meshrec.body.measures import stature
        >>> from meshrec.body.state import BodyState
        >>> from meshrec.fit.stature import with_stature
        >>> place = torch.tensor([[0.0, 0.0, 4.0]]).double()
        >>> state = BodyState(torch.eye(3).double().expand(1, 24, 3, 3), place, torch.zeros(1, 10).double())
        >>> body = load_body("neutral").truncated(10)
        >>> tall = with_stature(body, state, torch.tensor([2.0]))
        >>> round(float(stature(body.rest(tall.betas.float())[0])), 3), bool(tall.translation[0, 2] > 4)
        (2.0, True)
    """
    heights = heights.to(state.betas)
    betas = _scaled_shapes(body, state.betas, heights)
    missed = (stature(body.rest(betas.to(body.v_template))[0]) - heights).abs() > ROUNDING
    if missed.any():
        raise InputError(f"the body has no shape that is {heights[missed][0]:g} m tall.")
    joints = LandmarkMoments.of_body(body, "smpl24")
    old = landmark_positions(joints, state)
    other = replace(state, betas=betas, translation=torch.zeros_like(state.translation))
    return replace(other, translation=on_rays(old, landmark_positions(joints, other)))


def _scaled_shapes(body: BodyModel, betas: Tensor, heights: Tensor) -> Tensor:
    """Betas (B, S) of the given statures whose bodies are closest to the scaled ones, wherever these stand.

    Rest vertices are affine in the betas, so that this is a linear least-squares problem with one linear constraint.
    """
    count = betas.shape[1]
    shapes = torch.cat([betas.new_zeros(1, count), torch.eye(count).to(betas)])
    rest = body.rest(shapes.to(body.v_template))[0].double()
    template, slopes = rest[0], (rest[1:] - rest[0]).permute(1, 2, 0)  # (V, 3), (V, 3, S)
    design = (slopes - slopes.mean(0)).flatten(0, 1)
    own = template + torch.einsum("vxs,bs->bvx", slopes, betas)
    scale = heights / stature(own)
    target = scale[:, None, None] * own - template
    target = (target - target.mean(1, keepdim=True)).flatten(1)
    for _ in range(ROUNDS):
        level = template[:, 1] + betas @ slopes[:, 1].T
        top, bottom = level.argmax(1), level.argmin(1)
        along = slopes[top, 1] - slopes[bottom, 1]  # (B, S)
        needed = heights - (template[top, 1] - template[bottom, 1])
        system = betas.new_zeros(len(betas), count + 1, count + 1)
        system[:, :count, :count] = design.T @ design
        system[:, :count, count], system[:, count, :count] = along, along
        right = torch.cat([target @ design, needed[:, None]], 1)
        betas = torch.linalg.solve(system, right)[:, :count]
    return betas


def on_rays(old: Tensor, new: Tensor) -> Tensor:
    """Translations (B, 3) that bring points (B, K, 3) closest to the camera's rays through others (B, K, 3)."""
    ratio = old[..., :2] / old[..., 2:]
    eye = torch.eye(2).to(ratio).expand(*ratio.shape[:2], 2, 2)
    design = torch.cat([eye, -ratio[..., None]], -1).flatten(1, 2)  # (B, 2 K, 3)
    apart = (ratio * new[..., 2:] - new[..., :2]).flatten(1)
    return torch.linalg.lstsq(design, apart[..., None]).solution.squeeze(-1)
