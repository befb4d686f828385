"""In which frames of a video a detector has taken a person's left for their right.

Pose networks exchange left and right now and then, mostly of people who are seen from behind or from the side. In one
photo nothing tells; in a video the limbs would have to jump to the other side of the body and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from meshrec.body.joints import LIMB_JOINTS, convert_joints, flip_permutation, mirror_name
from meshrec.detect.people import Detection


@dataclass(frozen=True)
class SideSettings:
    """What decides between the sides. Moves are mean ones of the limbs' joints, as shares of the box's longer side.

    On motion capture of walks, dances and martial arts from four sides, exchanged in runs of up to five frames, this
    finds 100 % of them at 30 frames per second, 96 % at 10 and 53 % at 5, and exchanges at most 0.4 % of the frames if
    all are right.

    Attributes:
        most_move: Greatest move that counts from one frame to the next: who was out of sight may be anywhere.
        penalty: Cost of an exchanged frame, in moves, at 20 frames per second. With a fourth of it the frames that are
            right are now and then taken for the exchanged ones, and with ten times as much exchanges are left.
        rate: Frames per second for which the penalty is meant. Over longer times moves count for less, in proportion:
            the legs of somebody who walks exchange places by themselves.
    """

    most_move: float = 0.15
    penalty: float = 0.002
    rate: float = 20.0


def settle_sides(
    detections: Sequence[Detection | None], times: np.ndarray | None = None, settings: SideSettings = SideSettings()
) -> np.ndarray:
    """Find the frames in which left and right are exchanged.

    It is the sequence of which the limbs move least and few frames are exchanged (Viterbi 1967, "Error bounds for
    convolutional codes and an asymptotically optimum decoding algorithm").

    Args:
        detections: The T detections of one person, None where the person is not seen.
        times: (T,) of the frames in seconds. Default: 20 frames per second.
        settings: What decides.

    Returns:
        (T,) bool, False where the person is not seen.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect import Detection
        >>> from meshrec.detect.sides import exchanged, settle_sides
        >>> keypoints = np.column_stack([np.random.default_rng(0).uniform(0, 100, (17, 2)), np.ones(17)])
        >>> person = Detection(np.array([0, 0, 100, 100]), keypoints, "coco17", 0.9)
        >>> settle_sides([person, person, exchanged(person), None, person]).tolist()
        [False, False, True, False, False]
    """
    seen = [i for i, person in enumerate(detections) if person is not None]
    people = [person for person in detections if person is not None]
    found = np.zeros(len(detections), bool)
    if len(people) < 2:
        return found
    step = 1 / settings.rate if times is None else float(np.median(np.diff(times)))
    penalty = settings.penalty * settings.rate * step
    gaps = np.diff(seen) * step if times is None else np.diff(np.asarray(times)[seen])
    moves = np.minimum([_moves(a, b) for a, b in pairwise(people)], settings.most_move)  # (T - 1, 2)
    moves *= np.minimum(1 / (settings.rate * gaps), 1)[:, None]
    cost, origin = np.array([0.0, penalty]), []
    for stay, change in moves:
        both = cost[:, None] + np.array([[stay, change], [change, stay]])  # from one state to another
        origin.append(both.argmin(0))
        cost = both.min(0) + (0.0, penalty)
    state = int(cost.argmin())
    found[seen[-1]] = state
    for i, before in zip(reversed(seen[:-1]), reversed(origin)):
        state = int(before[state])
        found[i] = state
    return found


def exchanged(detection: Detection) -> Detection:
    """The same person with left and right exchanged.

    Only names change: every point, also of ``world``, keeps its place. A face is on neither side.
    """
    swap = flip_permutation(detection.joint_set)
    return replace(
        detection,
        keypoints=detection.keypoints[swap],
        world=None if detection.world is None else detection.world[swap],
        close_ups=tuple(replace(part, joint=mirror_name(part.joint)) for part in detection.close_ups),
    )


def _moves(a: Detection, b: Detection) -> tuple[float, float]:
    """Mean move of the limbs' joints from ``a`` to ``b``, and to ``b`` with left and right exchanged.

    It is a share of the longer side of the boxes, weighted by confidence, without the move that all limbs share.
    """
    size = max(float((person.box[2:] - person.box[:2]).max()) for person in (a, b))
    first, second = (convert_joints(person.keypoints, person.joint_set, LIMB_JOINTS)[0] for person in (a, b))
    first, second = (np.concatenate([p[:, :2] - _center(p), p[:, 2:]], axis=1) for p in (first, second))

    def move(other: np.ndarray) -> float:
        weight = np.sqrt(first[:, 2] * other[:, 2])
        far = np.linalg.norm(first[:, :2] - other[:, :2], axis=1)
        return float((weight * far).sum() / max(weight.sum() * size, 1e-9))

    return move(second), move(second[flip_permutation(LIMB_JOINTS)])


def _center(points: np.ndarray) -> np.ndarray:
    """Mean (2,) of points (K, 3), weighted by their confidence."""
    return points[:, 2] @ points[:, :2] / max(float(points[:, 2].sum()), 1e-9)
