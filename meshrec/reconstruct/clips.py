"""People from clips: they are followed through the frames, and one body is fitted to all that is seen of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from meshrec.detect.inputs import people_in_photo
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.files.clips import Clip, open_clip
from meshrec.geometry import Camera
from meshrec.reconstruct.body_estimator import BodyEstimator
from meshrec.reconstruct.given import as_detections, require_height
from meshrec.reconstruct.observations import Observations
from meshrec.reconstruct.photo_cameras import clip_camera
from meshrec.reconstruct.track import Track
from meshrec.reconstruct.track_fitting import tracks_in
from meshrec.reconstruct.watching import watch


@dataclass(frozen=True)
class ClipSettings:
    """What is wanted of a clip.

    Attributes:
        start, end: Seconds between which frames are used. Default: all.
        stride: Every so many frames one is used.
        fps: Frames per second to which the clip is resampled. Default: the clip's own.
        people: Number of people to keep: those who are seen longest and largest. Default: everyone.
        smooth: How smooth motions are, from 0 for each frame alone to 1.
        static: Whether the camera stands still. Otherwise its rotation and zoom are found from the background.

    Raises:
        InputError: A number has no meaning.
    """

    start: float | None = None
    end: float | None = None
    stride: int = 1
    fps: float | None = None
    people: int | None = None
    smooth: float = 0.5
    static: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.smooth <= 1:
            raise InputError(f"smooth must be a number from 0 to 1, not {self.smooth}.")
        if self.people is not None and self.people < 1:
            raise InputError(f"the number of people to keep must be at least 1, not {self.people}.")


def reconstruct_clip(
    estimator: BodyEstimator,
    source: Any,
    settings: ClipSettings = ClipSettings(),
    keypoints: Sequence[Sequence[Detection] | np.ndarray | None] | None = None,
    focal: float | None = None,
    camera: Camera | None = None,
    height: float | Sequence[float] | np.ndarray | None = None,
) -> list[Track]:
    """What :meth:`meshrec.Reconstructor.clip` does."""
    if height is not None:
        require_height(height)
    clip = opened(source, settings)
    camera = clip_camera(clip, focal, camera, str(clip.path), estimator.focal_network)

    def found_in(number: int, image: np.ndarray) -> Sequence[Detection]:
        assert keypoints is not None
        found = keypoints[number] if number < len(keypoints) else None
        if found is None:
            return []
        return people_in_photo(as_detections(found, clip.size), clip.size, f"{clip.path}, frame {number}")

    with TemporaryDirectory(prefix="meshrec_") as folder:
        observations = Observations(Path(folder))
        for _ in watch(estimator, clip, camera, observations, settings.static, found_in if keypoints else None):
            pass
        return tracks_in(estimator, observations, camera, clip.rate, settings.people, settings.smooth, height)


def opened(source: Any, settings: ClipSettings) -> Clip:
    """Open the part of a clip that the settings name."""
    return open_clip(source, start=settings.start, end=settings.end, stride=settings.stride, fps=settings.fps)
