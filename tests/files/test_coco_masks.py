"""COCO's run-length encoded masks."""

import numpy as np
import pytest

from meshrec.files.coco_masks import decode_mask


def lengths(mask):
    values = [False, *mask.T.ravel().tolist(), None]
    edges = [i for i in range(1, len(values)) if values[i] != values[i - 1]]
    return np.diff([1, *edges]).tolist()


def as_text(counts):
    """pycocotools' rleToString, from its description: five bits a character, the highest bit says that more follow."""
    text = ""
    for index, count in enumerate(counts):
        number = count - counts[index - 2] if index > 2 else count
        while True:
            bits, number = number & 0x1F, number >> 5
            done = number == (-1 if bits & 0x10 else 0)
            text += chr(48 + (bits if done else bits | 0x20))
            if done:
                break
    return text


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_round_trip(share):
    mask = np.random.default_rng(0).random((37, 61)) < share
    counts = lengths(mask)
    for entry in (counts, as_text(counts)):
        assert (decode_mask({"size": [37, 61], "counts": entry}) == mask).all()


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {"size": [2, 2]},
        {"size": [2, 2], "counts": [1]},
        {"size": [2, 2], "counts": [-1, 5]},
        {"size": [2, 2], "counts": [4.0]},
        {"size": [2, 2], "counts": "\n"},
        {"size": [2, 2], "counts": "~" * 100},
        {"size": [2, 2], "counts": "é"},
        {"size": [0, 2], "counts": []},
        {"size": [1 << 20, 1 << 20], "counts": [1 << 40]},
        {"size": "ab", "counts": []},
    ],
)
def test_damage(entry):
    with pytest.raises(ValueError, match="mask"):
        decode_mask(entry)
