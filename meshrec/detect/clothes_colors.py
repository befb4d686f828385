"""The colours of a detected person's clothes, by which people are told apart who stand close to each other."""

from __future__ import annotations

import numpy as np

from meshrec.body.joints import joint_index
from meshrec.detect.people import Detection

LEAST_CONFIDENCE = 0.3  # of the keypoints between which colours are taken
ALONG = np.linspace(0.2, 0.8, 9)[:, None]  # where on a line between joints
WIDTH = 0.06  # of the strip along a line, to each side, as a share of its length
NO_COLORS = np.full((2, 3), np.nan, np.float32)


def clothes_colors(image: np.ndarray, person: Detection) -> np.ndarray:
    """Mean colours of the trunk and of the thighs.

    Args:
        image: (H, W, 3) uint8 RGB.
        person: The person. Without keypoints, trunk and thighs are where they are in the box of who stands.

    Returns:
        (2, 3) float32 RGB in [0, 1] of trunk and thighs; NaN of what is not seen.
    """
    colors = NO_COLORS.copy()
    for part, lines in enumerate(_lines(person)):
        places = np.concatenate([_strip(a, b) for a, b in lines]) if lines else np.zeros((0, 2))
        x, y = np.round(places).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < image.shape[1]) & (y < image.shape[0])
        if inside.any():
            colors[part] = image[y[inside], x[inside]].mean(0) / 255
    return colors


def color_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference in [0, 1] of colours (2, 3), of the parts that both have; 0 if there is none."""
    difference = np.abs(a - b)
    known = ~np.isnan(difference)
    return float(difference[known].mean()) if known.any() else 0.0


def _lines(person: Detection) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[tuple[np.ndarray, np.ndarray]]]:
    """Pairs of ends of the lines in the middle of the trunk, and of the thighs."""
    if not person.keypoints[:, 2].any():
        at = lambda x, y: person.box[:2] + (person.box[2:] - person.box[:2]) * np.array([x, y])  # noqa: E731
        return [(at(0.5, 0.2), at(0.5, 0.5))], [(at(0.4, 0.5), at(0.4, 0.75)), (at(0.6, 0.5), at(0.6, 0.75))]
    joints = {
        (side, name): person.keypoints[joint_index(f"{side}_{name}", person.joint_set)]
        for side in ("left", "right")
        for name in ("shoulder", "hip", "knee")
    }
    seen = {key: point[:2] for key, point in joints.items() if point[2] >= LEAST_CONFIDENCE}
    middle = {}
    for name in ("shoulder", "hip"):
        ends = [seen[side, name] for side in ("left", "right") if (side, name) in seen]
        if ends:
            middle[name] = np.mean(ends, axis=0)
    trunk = [(middle["shoulder"], middle["hip"])] if len(middle) == 2 else []
    thighs = [
        (seen[side, "hip"], seen[side, "knee"])
        for side in ("left", "right")
        if (side, "hip") in seen and (side, "knee") in seen
    ]
    return trunk, thighs


def _strip(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Points (N, 2) on and beside the line from ``a`` to ``b``."""
    line = a + ALONG * (b - a)
    aside = WIDTH * np.array([a[1] - b[1], b[0] - a[0]])
    return np.concatenate([line + shift * aside for shift in (-1, 0, 1)])
