"""Heads and hands as rigid shapes of close-up landmarks: the rotation of a joint from the landmarks that move with it.

MediaPipe's face landmarks are none of the body's, and its hands are not shaped like the body's hands. What they have in
common is measured on renders, where the rotations of joints are known: the mean shape of the landmarks in the frame of
the joint. The rotation that brings this shape onto detected landmarks is then that of the joint, and its scatter around
the truth is the deviation. ``tools/measure_close_ups.py`` prints the table.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from meshrec.geometry import procrustes
from meshrec.geometry.crops import look_along

MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class RigidPart:
    """Landmarks that move with a joint.

    Attributes:
        points: Position (x, y, z) of each landmark in the rest frame of the joint, by its number; the origin is their
            mean, and the root mean square of their distances from it is 100.
        deviation: Standard deviations of the rotation about the joint's own x, y and z axes, degrees.
    """

    points: dict[int, tuple[float, float, float]]
    deviation: tuple[float, float, float]


# fmt: off
HEAD = RigidPart(
    {
        33: (-68.7, 34.7, 20.3), 133: (-27.3, 31.2, 29.1), 61: (-36.7, -67.0, 22.2), 127: (-105.3, 36.8, -51.5),
        234: (-103.5, 16.6, -60.1), 58: (-91.4, -51.9, -57.5), 4: (0.0, -19.3, 79.7), 10: (0.0, 108.1, 53.5),
        152: (0.0, -126.3, 8.9), 168: (0.0, 36.9, 52.7), 263: (68.7, 34.7, 20.3), 362: (27.3, 31.2, 29.1),
        291: (36.7, -67.0, 22.2), 356: (105.3, 36.8, -51.5), 454: (103.5, 16.6, -60.1), 288: (91.4, -51.9, -57.5),
    },
    deviation=(7.2, 4.7, 5.4),
)
LEFT_WRIST = RigidPart(
    {
        0: (-157.9, 4.1, -2.3), 1: (-83.9, -21.1, 57.3), 5: (83.1, 5.4, 41.5), 9: (77.7, 13.9, 2.7),
        13: (56.5, 6.7, -32.9), 17: (24.6, -9.0, -66.3),
    },
    deviation=(9.3, 7.8, 12.2),
)
# fmt: on
PARTS = {"head": HEAD, "left_wrist": LEFT_WRIST}


def deviations(joint: str) -> Tensor:
    """Standard deviations (3,) of the observed rotation of a joint about its own axes, radians, float64."""
    part = PARTS.get(joint) or PARTS[joint.replace("right", "left")]
    return torch.tensor(part.deviation, dtype=torch.float64).deg2rad()


def observed_rotation(joint: str, points: np.ndarray, ray: Tensor) -> Tensor:
    """The rotation of a joint from its rest to camera space that close-up landmarks show.

    Args:
        joint: "head", "left_wrist" or "right_wrist".
        points: (K, 3) all landmarks of the face or hand, at any place and scale: x right, y down, z away from a camera
            that looks at them.
        ray: (3,) direction in which the photo's camera sees them.

    Returns:
        (3, 3) float64.
    """
    index, shape = _shape(joint)
    seen = torch.as_tensor(points, dtype=torch.float64)[index] @ look_along(ray.double()[None])[0]
    return procrustes(shape, seen).rotation


@cache
def _shape(joint: str) -> tuple[list[int], Tensor]:
    """Numbers of the landmarks of a joint, and their rest positions (N, 3)."""
    part = PARTS.get(joint)
    mirror = MIRROR if part is None else np.ones(3)
    part = part or PARTS[joint.replace("right", "left")]
    return list(part.points), torch.from_numpy(np.array(list(part.points.values())) * mirror)
