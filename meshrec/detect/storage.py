"""Detections as arrays, to keep many of them in one ``.npz`` file."""

from collections.abc import Mapping, Sequence

import numpy as np

from meshrec.detect.people import CloseUp, Detection, Mask


def detection_arrays(people: Sequence[Detection], mask_side: int) -> dict[str, np.ndarray]:
    """Detections of one joint set as arrays.

    Args:
        people: N people.
        mask_side: Side of the square maps to which masks are resampled, pixels.

    Returns:
        Arrays by name, for :func:`detections_of`. World landmarks and regions are left out.
    """
    side = (mask_side, mask_side)
    masks = [None if d.mask is None else np.rint(255 * d.mask.crop(d.mask.box, side)) for d in people]
    return {
        "joint_set": np.array(people[0].joint_set if people else ""),
        "box": np.array([d.box for d in people], np.float32),
        "keypoints": np.array([d.keypoints for d in people], np.float32),
        "score": np.array([d.score for d in people], np.float32),
        "has_mask": np.array([d.mask is not None for d in people], bool),
        "mask_box": np.array([np.zeros(4) if d.mask is None else d.mask.box for d in people], np.float32),
        "mask": np.array([np.zeros(side) if mask is None else mask for mask in masks], np.uint8),
        **_close_arrays(people),
    }


def detections_of(arrays: Mapping[str, np.ndarray]) -> list[Detection]:
    """The detections of :func:`detection_arrays`.

    Raises:
        KeyError, IndexError, ValueError: The arrays are none of its.
    """
    close = _close_ups(arrays)
    return [
        Detection(
            arrays["box"][i],
            arrays["keypoints"][i],
            str(arrays["joint_set"]),
            float(arrays["score"][i]),
            Mask(arrays["mask"][i], arrays["mask_box"][i]) if arrays["has_mask"][i] else None,
            close_ups=close.get(i, ()),
        )
        for i in range(len(arrays["score"]))
    ]


def _close_arrays(people: Sequence[Detection]) -> dict[str, np.ndarray]:
    """The close-ups of all people, one after the other, with the number of the person and the count of landmarks."""
    rows = [(i, close) for i, person in enumerate(people) for close in person.close_ups]
    return {
        "close_person": np.array([i for i, _ in rows], int),
        "close_joint": np.array([close.joint for _, close in rows], str),
        "close_center": np.array([close.center for _, close in rows], np.float32).reshape(-1, 2),
        "close_score": np.array([close.score for _, close in rows], np.float32),
        "close_count": np.array([len(close.points) for _, close in rows], int),
        "close_points": np.concatenate([np.zeros((0, 3), np.float32), *(close.points for _, close in rows)]),
    }


def _close_ups(arrays: Mapping[str, np.ndarray]) -> dict[int, tuple[CloseUp, ...]]:
    """The close-ups of :func:`_close_arrays` by the number of the person; none in files from before there were any."""
    found: dict[int, tuple[CloseUp, ...]] = {}
    if "close_person" not in arrays:
        return found
    points = np.split(arrays["close_points"], np.cumsum(arrays["close_count"])[:-1])
    for row, person in enumerate(arrays["close_person"].tolist()):
        center, score = arrays["close_center"][row], float(arrays["close_score"][row])
        close = CloseUp(str(arrays["close_joint"][row]), points[row], center, score)
        found[person] = (*found.get(person, ()), close)
    return found
