"""Detectors by name.

To add a detector, write a module with a class that follows :class:`meshrec.detect.people.Detector`, and add its line to
:data:`DETECTORS`.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from meshrec.detect.people import Detector
from meshrec.errors import InputError


@dataclass(frozen=True)
class Entry:
    """Where a detector is defined.

    Attributes:
        module: The module of its class. It is imported when the detector is loaded, so that the libraries it needs stay
            optional.
        class_name: The class. Called without arguments it loads the detector's default networks, called with a path
            those in the file.
        suffix: Suffix of the network files that the class reads, such as ".task"; empty if it reads none.
    """

    module: str
    class_name: str
    suffix: str = ""

    def load(self, path: str | None = None) -> Detector:
        """Make the detector with the networks of one file, or with its default networks."""
        make = getattr(import_module(self.module), self.class_name)
        return make() if path is None else make(path)


DEFAULT = "blazepose"
DETECTORS = {
    DEFAULT: Entry("meshrec.detect.blazepose_detector", "BlazePoseDetector", ".task"),
    "rtmlib": Entry("meshrec.detect.rtmlib_detector", "RtmlibDetector"),
}


def load_detector(name_or_path: str | Path | None = None) -> Detector:
    """Load a detector.

    Args:
        name_or_path: ``"blazepose"``, which is the default and comes with meshrec; ``"rtmlib"``, which is RTMPose from
            the package of that name; or a network file of one of them, such as MediaPipe's
            ``pose_landmarker_heavy.task``.

    Returns:
        The detector; :class:`meshrec.detect.people.Detector` says how to call it.

    Raises:
        InputError: There is no detector of this name, or the file cannot be used.
        MissingDependency: The detector's library is not installed.

    Example:
        >>> import numpy as np
        >>> import meshrec
        >>> detector = meshrec.load_detector("blazepose")
        >>> detector(np.zeros((64, 64, 3), np.uint8))  # a black picture shows nobody
        []
    """
    name = DEFAULT if name_or_path is None else str(name_or_path)
    if name in DETECTORS:
        return DETECTORS[name].load()
    suffix = Path(name).suffix.lower()
    for entry in DETECTORS.values():
        if suffix and suffix == entry.suffix:
            return entry.load(name)
    files = [f"a {entry.suffix} file" for entry in DETECTORS.values() if entry.suffix]
    raise InputError(f"there is no detector '{name}': give {' or '.join([*DETECTORS, *files])}.")
