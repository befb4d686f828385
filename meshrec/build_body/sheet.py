"""One picture that shows the open body: its shapes and how it bends."""

import math

import cv2
import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.body.poses import POSE_NAMES, named_pose
from meshrec.geometry import Camera, axis_angle_to_matrix
from meshrec.render import shaded

_CELL = (300, 360)  # width, height in pixels
_DISTANCE = 8.0  # metres; far away, so that limbs keep their proportions
_SHOWN = 2.45  # metres from the lower to the upper edge of a cell
_SHAPES = 6
_SKIN = (0.78, 0.66, 0.58)


def contact_sheet(neutral: BodyModel, male: BodyModel, female: BodyModel) -> np.ndarray:
    """Shapes and poses, labelled.

    Returns:
        (H, W, 3) uint8 RGB. Rows: the two genders and beta 0..5 at -2; the same at +2; the T-pose and six poses from
        the front; and from behind.
    """
    size = neutral.num_betas
    low = [_cell(male, "male", torch.zeros(size))]
    high = [_cell(female, "female", torch.zeros(size))]
    for k in range(_SHAPES):
        low.append(_cell(neutral, f"beta {k} = -2", -2 * torch.eye(size)[k]))
        high.append(_cell(neutral, f"beta {k} = +2", 2 * torch.eye(size)[k]))
    rows = [low, high]
    for label, yaw in (("front", 25.0), ("back", 205.0)):
        rows.append([_cell(neutral, f"{name}, {label}", torch.zeros(size), name, yaw) for name in POSE_NAMES])
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def _cell(body: BodyModel, label: str, betas: torch.Tensor, pose: str = "t-pose", yaw: float = 20.0) -> np.ndarray:
    height = _CELL[1]
    turn = axis_angle_to_matrix(torch.tensor([0.0, math.radians(yaw), 0.0]))
    with torch.no_grad():
        vertices = body(betas=betas[None], body_pose=named_pose(pose)[None], global_orient=turn[None]).vertices[0]
    middle = (vertices.amax(dim=0) + vertices.amin(dim=0)) / 2
    # Half a turn about x takes body space (y up, z to the viewer) to camera space (y down, z away).
    in_camera = (vertices - middle) * torch.tensor([1.0, -1.0, -1.0]) + torch.tensor([0.0, 0.0, _DISTANCE])
    camera = Camera(focal=height / _SHOWN * _DISTANCE, size=_CELL)
    picture = shaded(in_camera, body.faces, camera, colors=_SKIN, supersample=2)
    picture = np.ascontiguousarray((picture.numpy() * 255).round().astype(np.uint8))
    cv2.putText(picture, label, (8, height - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (60, 60, 60), 1, cv2.LINE_AA)
    return picture
