"""Contact of written floor poses with the floor, and angles that restore it on a body that has changed.

The angles of :mod:`meshrec.poses.floor_poses` are numbers, and they fit one body. ``tools/settle_floor_poses.py`` finds
those of another one near them, by damped least squares in whole degrees.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.body.joints import joint_set
from meshrec.poses.authored_poses import Turns
from meshrec.poses.everyday_poses import draw_parts
from meshrec.poses.floor_poses import FloorPose


@dataclass(frozen=True)
class SettleSettings:
    """How angles are found.

    Attributes:
        draws: Number of draws of a pose's ranges that are to touch the floor.
        seed: Seed of these draws.
        gap: Standard deviation of the height of a part in contact, metres.
        turn: Standard deviation of the change of an angle, degrees.
        steps: Number of least-squares steps.
        longest: Longest step of an angle, degrees.
        sweeps: Largest number of times that each rounded angle is tried a degree lower and higher.
    """

    draws: int = 6
    seed: int = 1
    gap: float = 0.004
    turn: float = 8.0
    steps: int = 6
    longest: float = 4.0
    sweeps: int = 4


def contact_gaps(body: BodyModel, pose: FloorPose, draws: int = 6, seed: int = 1) -> dict[str, float]:
    """Heights of the parts that should touch the floor above the lowest point of the body.

    Args:
        body: The body, with part labels.
        pose: The pose.
        draws: Number of draws of its ranges.
        seed: Seed of the draws.

    Returns:
        The greatest height over all draws of each part's lowest point, metres.

    Example:
        >>> import meshrec
        >>> from meshrec.poses.floor_contact import contact_gaps
        >>> from meshrec.poses.floor_poses import FLOOR
        >>> gaps = contact_gaps(meshrec.load_body("neutral"), FLOOR["all fours"])
        >>> sorted(gaps)[:2], max(gaps.values()) < 0.03
        (['left_foot', 'left_knee'], True)
    """
    lowest = _lowest(body, [pose.turns], draws, seed)[0]
    above = lowest - lowest.min(1, keepdims=True)
    return {part: float(above[:, joint_set("smpl24").index(part)].max()) for part in pose.parts}


def settled(body: BodyModel, pose: FloorPose, settings: SettleSettings = SettleSettings()) -> FloorPose:
    """A pose near a given one whose parts touch one horizontal plane.

    Args:
        body: The body, with part labels.
        pose: The pose. Ranges of its joints stay as they are, and its other angles change.
        settings: How angles are found.

    Returns:
        The pose with its angles in whole degrees.
    """
    places = [
        (joint, number)
        for joint, text in pose.turns.items()
        for number, step in enumerate(text.split())
        if ".." not in step
    ]
    start = np.array([float(pose.turns[joint].split()[number][1:]) for joint, number in places])

    def residuals(trials: np.ndarray) -> np.ndarray:
        written = [_with_angles(pose.turns, places, angles) for angles in trials]
        lowest = _lowest(body, written, settings.draws, settings.seed)
        touching = np.isin(joint_set("smpl24"), pose.parts)
        height = lowest - lowest[..., touching].mean(-1, keepdims=True)
        return (np.where(touching, height, np.minimum(height, 0)) / settings.gap).reshape(len(trials), -1)

    def costs(trials: np.ndarray) -> np.ndarray:
        return np.square(residuals(trials)).sum(1) + settings.draws * np.square((trials - start) / settings.turn).sum(1)

    angles, eye = start.copy(), np.eye(len(start))
    for _ in range(settings.steps):
        here, *others = residuals(np.concatenate([angles[None], angles + eye]))
        slopes = (np.stack(others) - here).T
        stiff = settings.draws / settings.turn**2
        pull = slopes.T @ here + stiff * (angles - start)
        step = -np.linalg.solve(slopes.T @ slopes + stiff * eye, pull)
        angles = angles + np.clip(step, -settings.longest, settings.longest)
    angles = np.round(angles)
    for _ in range(settings.sweeps):
        before = angles
        for change in eye:
            trials = angles + change * np.array([[0], [-1], [1]])
            angles = trials[costs(trials).argmin()]
        if np.array_equal(before, angles):
            break
    return replace(pose, turns=_with_angles(pose.turns, places, angles))


def _with_angles(turns: Turns, places: list[tuple[str, int]], angles: np.ndarray) -> Turns:
    """Turns with other angles at some places: joints, and numbers of their steps."""
    steps = {joint: text.split() for joint, text in turns.items()}
    for (joint, number), angle in zip(places, angles):
        steps[joint][number] = f"{steps[joint][number][0]}{angle + 0.0:g}"
    return {joint: " ".join(parts) for joint, parts in steps.items()}


@torch.no_grad()
def _lowest(body: BodyModel, written: list[Mapping[str, str]], draws: int, seed: int) -> np.ndarray:
    """Height of the lowest point of each part (N, draws, 24) in N poses, metres."""
    poses = np.concatenate([draw_parts({"": (1, turns)}, draws, np.random.default_rng(seed)) for turns in written])
    rotations = torch.from_numpy(poses).to(body.v_template)
    height = body(body_pose=rotations[:, 1:], global_orient=rotations[:, 0]).vertices[..., 1]
    labels = torch.as_tensor(body.part_labels)
    parts = [height[:, labels == joint].amin(1) for joint in range(len(joint_set("smpl24")))]
    return torch.stack(parts, 1).reshape(len(written), draws, -1).double().numpy()
