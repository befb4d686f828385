"""Files of detections, by the names of the samples."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.progress import track

from meshrec.data.sample import Sample, Samples
from meshrec.detect.people import CloseUp, Detection, Mask
from meshrec.errors import InputError
from meshrec.files.atomic import write_file
from meshrec.files.npz import read_npz
from meshrec.synthetic.detected_renders import MASK_SIDE

SAVED_EVERY = 64  # people


def detect_samples(
    samples: Samples, detect: Callable[[Sample, np.ndarray], Detection | None], path: str | Path, count: int
) -> dict[str, Detection | None]:
    """Detect people and keep the detections in a file; another call goes on where an interrupted one stopped.

    Args:
        samples: Labelled people.
        detect: Gives the detection of a sample in its picture, None where the person is not found.
        path: File, as :func:`save_detections` writes it.
        count: Number of people to detect, from the first on.

    Returns:
        Detections by name, of this call and of earlier ones.
    """
    found = load_detections(path) if Path(path).exists() else {}
    for i in track(range(count), "detecting"):
        sample = samples[i]
        if sample.name not in found:
            found[sample.name] = detect(sample, sample.read_image())
        if (i + 1) % SAVED_EVERY == 0 or i + 1 == count:
            save_detections(path, found)
    return found


def save_detections(path: str | Path, found: dict[str, Detection | None]) -> Path:
    """Write detections by the names of their samples, all of one joint set, as an ``.npz`` file."""
    known = {name: detection for name, detection in found.items() if detection is not None}
    some = next(iter(known.values()), None)
    side = (MASK_SIDE, MASK_SIDE)
    arrays = {
        "missed": np.array([name for name in found if name not in known], str),
        "names": np.array(list(known), str),
        "joint_set": np.array("" if some is None else some.joint_set),
        "box": np.array([d.box for d in known.values()], np.float32),
        "keypoints": np.array([d.keypoints for d in known.values()], np.float32),
        "score": np.array([d.score for d in known.values()], np.float32),
        "has_mask": np.array([d.mask is not None for d in known.values()], bool),
        "mask_box": np.array([np.zeros(4) if d.mask is None else d.mask.box for d in known.values()], np.float32),
        "mask": np.array(
            [
                np.zeros(side, np.uint8) if d.mask is None else np.rint(255 * d.mask.crop(d.mask.box, side))
                for d in known.values()
            ],
            np.uint8,
        ),
        **_close_arrays(list(known.values())),
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return write_file(path, stream.getvalue())


def load_detections(path: str | Path) -> dict[str, Detection | None]:
    """Read a file of :func:`save_detections`: detections by the names of samples, None where nobody was found.

    Raises:
        InputError: It is missing or not such a file.
    """
    arrays = read_npz(path)
    try:
        found: dict[str, Detection | None] = {str(name): None for name in arrays["missed"]}
        close = _close_ups(arrays)
        for i, name in enumerate(arrays["names"]):
            mask = Mask(arrays["mask"][i], arrays["mask_box"][i]) if arrays["has_mask"][i] else None
            box, keypoints = arrays["box"][i], arrays["keypoints"][i]
            score = float(arrays["score"][i])
            found[str(name)] = Detection(
                box, keypoints, str(arrays["joint_set"]), score, mask, close_ups=close.get(i, ())
            )
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"{path} holds no detections that `meshrec evaluate` wrote ({error!r}).") from None
    return found


def _close_arrays(people: list[Detection]) -> dict[str, np.ndarray]:
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


def _close_ups(arrays: dict[str, np.ndarray]) -> dict[int, tuple[CloseUp, ...]]:
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
