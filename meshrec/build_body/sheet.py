"""A picture of the open body: shapes, poses, and close-ups of joints."""

import math

import cv2
import numpy as np
import torch

from meshrec.body import BodyModel, joint_index
from meshrec.geometry import Camera, axis_angle_to_matrix, camera_to_y_up
from meshrec.poses.named_poses import POSE_NAMES, named_pose
from meshrec.render import shaded

_CELL = (300, 360)  # width, height in pixels
_DISTANCE = 8.0  # metres; far away, so that limbs keep their proportions
_WHOLE = 2.45  # metres from the lower to the upper edge of a cell
_SHAPES = 6  # betas that are shown
_SKIN = (0.78, 0.66, 0.58)
# Close-ups of the joints where skinning fails first: the joint at the centre, the pose, the rotation about the vertical
# in degrees, and the metres from the lower to the upper edge.
_NEAR = [
    [("head", "t-pose", 25, 0.35), ("left_shoulder", "arms up", 0, 0.6), ("left_shoulder", "arms down", 20, 0.6),
     ("left_elbow", "running", -30, 0.4), ("left_wrist", "twist", -60, 0.4), ("left_hip", "sitting", -50, 0.6),
     ("pelvis", "sitting", 0, 0.6)],
    [("left_foot", "t-pose", 30, 0.4), ("left_shoulder", "arms up", 180, 0.6), ("left_shoulder", "arms down", 200, 0.6),
     ("right_elbow", "running", 60, 0.4), ("left_knee", "squat", -60, 0.6), ("left_hip", "squat", -90, 0.6),
     ("pelvis", "squat", 180, 0.6)],
    [("head", "t-pose", 0, 0.3), ("left_hand", "t-pose", 0, 0.3), ("left_hand", "t-pose", -70, 0.3),
     ("spine3", "t-pose", 35, 0.6), ("spine3", "t-pose", 90, 0.6), ("neck", "arms up", 20, 0.5),
     ("right_hip", "running", 90, 0.6)],
]  # fmt: skip


def body_sheet(neutral: BodyModel, male: BodyModel, female: BodyModel) -> np.ndarray:
    """Draw labelled shapes, poses and close-ups.

    Returns:
        (H, W, 3) uint8 RGB, in rows: the two genders and the first betas at -2 and at +2; the T-pose and six poses from
        the front and from behind; close-ups.
    """
    size = neutral.num_betas
    low, high = [_cell(male, "male")], [_cell(female, "female")]
    for k in range(_SHAPES):
        low.append(_cell(neutral, f"beta {k} = -2", betas=-2 * torch.eye(size)[k]))
        high.append(_cell(neutral, f"beta {k} = +2", betas=2 * torch.eye(size)[k]))
    rows = [low, high]
    for label, yaw in (("front", 25), ("back", 205)):
        rows.append([_cell(neutral, f"{name}, {label}", name, yaw=yaw) for name in POSE_NAMES])
    for row in _NEAR:
        cells = []
        for joint, pose, yaw, shown in row:
            label = f"{joint.replace('_', ' ')}, {pose}"
            cells.append(_cell(neutral, label, pose, yaw=yaw, centre=joint, shown=shown))
        rows.append(cells)
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def _cell(
    body: BodyModel,
    label: str,
    pose: str = "t-pose",
    betas: torch.Tensor | None = None,
    yaw: float = 20.0,
    centre: str | None = None,
    shown: float = _WHOLE,
) -> np.ndarray:
    height = _CELL[1]
    turn = axis_angle_to_matrix(torch.tensor([0.0, math.radians(yaw), 0.0]))
    with torch.no_grad():
        out = body(
            betas=None if betas is None else betas[None], body_pose=named_pose(pose)[None], global_orient=turn[None]
        )
    vertices = out.vertices[0]
    if centre is None:
        middle = (vertices.amax(dim=0) + vertices.amin(dim=0)) / 2
    else:
        middle = out.joints[0, joint_index(centre, "smpl24")]
    in_camera = camera_to_y_up(vertices - middle) + torch.tensor([0.0, 0.0, _DISTANCE])
    camera = Camera(focal=height / shown * _DISTANCE, size=_CELL)
    drawn = shaded(in_camera, body.faces, camera, colors=_SKIN, supersample=2)
    picture = np.ascontiguousarray((drawn.numpy() * 255).round().astype(np.uint8))
    cv2.putText(picture, label, (8, height - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return picture
