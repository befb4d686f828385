"""Squares of a photo in which a detector searches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from meshrec.detect.people import Detection

Square = tuple[int, int, int, int]  # x0, y0, x1, y1 in whole pixels


def tiles(size: tuple[int, int], side: int, overlap: float) -> list[Square]:
    """Overlapping squares that cover a photo. Along a side shorter than the squares they are centred on it.

    Args:
        size: (width, height) of the photo, pixels.
        side: Side of the squares, pixels.
        overlap: Least overlap of neighbouring squares, as a share of their side.

    Returns:
        Squares in photo pixels; parts of them may lie outside the photo.
    """
    starts = []
    for length in size:
        slack = length - side
        count = int(np.ceil(max(slack, 0) / (side * (1 - overlap)))) + 1
        starts.append(np.linspace(0, slack, count).astype(int).tolist() if slack > 0 else [slack // 2])
    return [(x, y, x + side, y + side) for y in starts[1] for x in starts[0]]


def beside(people: Sequence[Detection], scale: float, side: float, least: int) -> list[Square]:
    """Squares to the left and right of people, centred on the edges of their boxes.

    Args:
        people: The people, in photo pixels.
        scale: Photo pixels per pixel of the shrunk photo.
        side: Side of the squares, as a multiple of the longer side of the person's box.
        least: Least side of the squares, pixels of the shrunk photo.

    Returns:
        Two squares for each person, in pixels of the shrunk photo.
    """
    squares = []
    for x0, y0, x1, y1 in (person.box / scale for person in people):
        length = max(round(float(side * max(x1 - x0, y1 - y0))), least)
        top = round(float(y0 + y1 - length) / 2)
        for left in (round(float(edge) - length / 2) for edge in (x0, x1)):
            squares.append((left, top, left + length, top + length))
    return squares


def cut_out(image: np.ndarray, tile: Square) -> np.ndarray:
    """A square of a photo (H, W, 3), black outside the photo."""
    x0, y0, x1, y1 = tile
    height, width = image.shape[:2]
    part = image[max(y0, 0) : y1, max(x0, 0) : x1]
    return np.pad(part, ((max(-y0, 0), max(y1 - height, 0)), (max(-x0, 0), max(x1 - width, 0)), (0, 0)))


def overlaps(a: Square, b: np.ndarray) -> bool:
    """Whether a square and a box (4,) x0, y0, x1, y1 share pixels."""
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def share_inside(keypoints: np.ndarray, tile: Square, size: tuple[int, int]) -> float:
    """Share of the visible keypoints inside a tile, where keypoints beyond the photo's own edge count as inside."""
    low = np.where(np.array(tile[:2]) > 0, tile[:2], -np.inf)
    high = np.where(np.array(tile[2:]) < size, tile[2:], np.inf)
    inside = ((keypoints[:, :2] >= low) & (keypoints[:, :2] < high)).all(1)
    return float((inside * keypoints[:, 2]).sum() / max(keypoints[:, 2].sum(), 1e-6))
