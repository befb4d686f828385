"""Masks as COCO's files hold them: lengths of runs of zeros and ones by turns, down the columns."""

from typing import Any

import numpy as np

MOST_PIXELS = 1 << 26
_CONTINUES, _SIGN, _BITS = 0x20, 0x10, 5  # of a character


def decode_mask(entry: Any) -> np.ndarray:
    """Decode a mask.

    Args:
        entry: ``{"size": [height, width], "counts": ...}`` with the lengths of the runs as a list, or as COCO's text,
            of which each character holds five bits of a number, and numbers from the fourth on are differences to the
            last but one (``rleFrString`` of pycocotools).

    Returns:
        (height, width) bool.

    Raises:
        ValueError: The entry is something else, or the runs do not fill the mask.

    Example:
        >>> from meshrec.files.coco_masks import decode_mask
        >>> decode_mask({"size": [2, 3], "counts": [1, 2, 3]}).astype(int).tolist()
        [[0, 1, 0], [1, 0, 0]]
        >>> decode_mask({"size": [2, 3], "counts": "123"}).astype(int).tolist()
        [[0, 1, 0], [1, 0, 0]]
    """
    if not isinstance(entry, dict):
        raise ValueError("a mask must be an object with size and counts")
    size, counts = entry.get("size"), entry.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(n) is int and n > 0 for n in size):
        raise ValueError("the size of a mask must be two whole numbers")
    if size[0] * size[1] > MOST_PIXELS:
        raise ValueError("a mask has too many pixels")
    if isinstance(counts, str):
        counts = _run_lengths(counts)
    if not isinstance(counts, list) or not all(type(n) is int and n >= 0 for n in counts):
        raise ValueError("the counts of a mask must be lengths of runs")
    if sum(counts) != size[0] * size[1]:
        raise ValueError("the runs do not fill the mask")
    values = np.repeat(np.arange(len(counts)) % 2 == 1, np.array(counts, np.int64))
    return values.reshape(size[1], size[0]).T


def _run_lengths(text: str) -> list[int]:
    """The numbers in COCO's text."""
    numbers: list[int] = []
    value, shift = 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("the counts of a mask hold a strange character")
        value |= (bits & 0x1F) << shift
        shift += _BITS
        if bits & _CONTINUES:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        numbers.append(value + numbers[-2] if len(numbers) > 2 else value)
        value, shift = 0, 0
    return numbers
