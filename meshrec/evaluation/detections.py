"""Files of detections, by the names of the samples."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from meshrec.data.sample import Sample, Samples
from meshrec.detect.people import Detection
from meshrec.detect.storage import detection_arrays, detections_of
from meshrec.errors import InputError
from meshrec.evaluation.progress import followed
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
    for i in followed(range(count), "detecting"):
        sample = samples[i]
        if sample.name not in found:
            found[sample.name] = detect(sample, sample.read_image())
        if (i + 1) % SAVED_EVERY == 0 or i + 1 == count:
            save_detections(path, found)
    return found


def save_detections(path: str | Path, found: dict[str, Detection | None]) -> Path:
    """Write detections by the names of their samples, all of one joint set, as an ``.npz`` file."""
    known = {name: detection for name, detection in found.items() if detection is not None}
    arrays = {
        "missed": np.array([name for name in found if name not in known], str),
        "names": np.array(list(known), str),
        **detection_arrays(list(known.values()), MASK_SIDE),
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
        found |= zip((str(name) for name in arrays["names"]), detections_of(arrays), strict=True)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"{path} holds no detections that `meshrec evaluate` wrote ({error!r}).") from None
    return found
