"""The relaxed hand of the rest pose: MakeHuman's finger bones turned as fingers hang from an arm at rest."""

from __future__ import annotations

import numpy as np

# Angles of the three bones of fingers 2 to 5 (index to little finger), degrees: from the plane of the palm towards the
# palm, and in this plane from the direction of the middle finger's knuckle towards the thumb.
_FLEXION = {2: (14.0, 32.0, 45.0), 3: (18.0, 38.0, 52.0), 4: (21.0, 44.0, 59.0), 5: (24.0, 50.0, 67.0)}
_SPREAD = {2: -5.0, 3: -3.0, 4: -5.0, 5: -7.0}
# Directions of the thumb's bones: along the hand, out of the palm's side, towards the thumb.
_THUMB = ((0.50, 0.64, 0.58), (0.80, 0.46, 0.38), (0.87, 0.46, 0.15))
_REFLECT = np.diag([-1.0, 1.0, 1.0])


def relax_fingers(
    vertices: np.ndarray, bones: np.ndarray, names: list[str], weights: np.ndarray, palms: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the finger bones of mirror-symmetric people into the relaxed hand, the same for everybody.

    Each bone takes the shortest turn to its direction, and linear blend skinning moves the skin.

    Args:
        vertices: (N, V, 3) in MakeHuman's rest pose, metres.
        bones: (N, 2, B, 3) heads and tails of bones.
        names: Names of the B bones.
        weights: (V, B) MakeHuman's skinning weights.
        palms: (N, 3, 3) world rotations that take the left hand along +x with the palm down and the thumb at +z.

    Returns:
        Moved vertices and bones.
    """
    vertices, bones, still = vertices.copy(), bones.copy(), vertices
    for finger in range(1, 6):
        head = bones[:, 0, names.index(f"finger{finger}-1.L")]
        for part, direction in enumerate(_directions(finger)):
            left, right = (names.index(f"finger{finger}-{part + 1}.{side}") for side in "LR")
            start, end = bones[:, 0, left].copy(), bones[:, 1, left].copy()
            turn = _shortest_turn(end - start, direction @ palms)
            tail = head + _apply(turn, end - start)
            bones[:, 0, left], bones[:, 1, left] = head, tail
            bones[:, 0, right], bones[:, 1, right] = head @ _REFLECT, tail @ _REFLECT
            _move(vertices, still, weights[:, left], turn, start, head)
            _move(vertices, still, weights[:, right], _REFLECT @ turn @ _REFLECT, start @ _REFLECT, head @ _REFLECT)
            head = tail
    return vertices, bones


def _directions(finger: int) -> np.ndarray:
    """The directions (3, 3) of a left finger's bones in T-pose: +x along the arm, y up, +z towards the thumb."""
    if finger == 1:
        directions = np.array(_THUMB) * [1.0, -1.0, 1.0]
        return directions / np.linalg.norm(directions, axis=1, keepdims=True)
    flexion, spread = np.radians(_FLEXION[finger]), np.radians(_SPREAD[finger])
    return np.stack([np.cos(flexion) * np.cos(spread), -np.sin(flexion), np.cos(flexion) * np.sin(spread)], axis=1)


def _move(
    vertices: np.ndarray, still: np.ndarray, weight: np.ndarray, turn: np.ndarray, start: np.ndarray, head: np.ndarray
) -> None:
    """Add one bone's share (V,) of the displacement, in place: a turn (N, 3, 3) that takes ``start`` to ``head``."""
    ids = np.flatnonzero(weight)
    moved = _apply(turn[:, None], still[:, ids] - start[:, None]) + head[:, None]
    vertices[:, ids] += weight[ids, None] * (moved - still[:, ids])


def _shortest_turn(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The rotations (N, 3, 3) by the smallest angle that take directions (N, 3) to others, which are not opposite."""
    a, b = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (start, end))
    axis = np.cross(a, b)
    skew = np.cross(axis[:, None], np.eye(3)).swapaxes(-1, -2)
    return np.eye(3) + skew + skew @ skew / (1 + (a * b).sum(-1))[:, None, None]


def _apply(rotations: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.einsum("...ab,...b->...a", rotations, points)
