"""Watching a clip: people are found and followed, and the camera's rotation is found from the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from meshrec.detect.camera_motion import CameraMotion
from meshrec.detect.people import Detection
from meshrec.detect.tracking import Tracker
from meshrec.files.clips import Clip
from meshrec.fit import Initial
from meshrec.geometry import Camera
from meshrec.reconstruct.observations import Observations, Observed
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.regress.regressor import NetworkRegressor

TRACKER, CAMERA, SUMMARY = "tracker.", "camera.", "summary"  # beginnings of the names of what is remembered
STILL = "The camera is taken to stand still."

FoundIn = Callable[[int, np.ndarray], Sequence[Detection]]
"""The user's own detections in the frame of a number and a picture, (H, W, 3) uint8 RGB."""


def watch(
    reconstructor: Reconstructor,
    clip: Clip,
    camera: Camera,
    observations: Observations,
    static: bool = False,
    found_in: FoundIn | None = None,
) -> Iterator[int]:
    """Watch a clip: find its people and follow them, and how the camera turns.

    Args:
        reconstructor: Whose detector finds people, and whose regressor makes first estimates if it needs pictures for
            them; others wait until left and right are settled.
        clip: The clip.
        camera: Camera of its first frame.
        observations: Where what is seen is kept. Frames that it has are not watched again.
        static: Whether the camera is known to stand still. Otherwise its rotation and zoom are found.
        found_in: The user's own detections.

    Yields:
        The number of frames that are seen so far, after each frame.
    """
    detector = _nobody if found_in else reconstructor.detector
    regressor = reconstructor.regressor
    state = observations.state
    tracker = Tracker.resumed(detector, _part(state, TRACKER)) if state else Tracker(detector)
    motion = None
    if not static:
        motion = CameraMotion.resumed(camera, _part(state, CAMERA)) if state else CameraMotion(camera)

    def remembered() -> dict[str, np.ndarray]:
        parts = {TRACKER: tracker.state(), CAMERA: {} if motion is None else motion.state()}
        arrays = {part + name: np.asarray(value) for part, values in parts.items() for name, value in values.items()}
        return arrays | {SUMMARY: np.array(STILL if motion is None else motion.summary())}

    looks = regressor if regressor is not None and needs_picture(regressor) else None
    frames = iter(clip) if observations.last is None else clip.after(observations.last)
    for frame in frames:
        found = None if found_in is None else found_in(frame.number, frame.image)
        people = {s.track: s.detection for s in tracker.step(frame.image, frame.time, found)}
        view = None if motion is None else motion.step(frame.image, list(people.values()))
        turn, zoom = (np.eye(3), 1.0) if view is None else (view.turn, view.zoom)
        initial = looks(frame.image, list(people.values()), zoomed(camera, zoom)) if looks and people else None
        if observations.add(Observed(frame.number, frame.time, turn, zoom, people, initial)):
            observations.save(remembered())
        yield len(observations)
    observations.save(remembered())


def _part(state: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """What one part remembers."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def camera_summary(observations: Observations) -> str:
    """A sentence on how the camera moves, for the user."""
    return str(observations.state[SUMMARY])


def _nobody(image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
    """The detector of clips in which everybody is known."""
    return []


def zoomed(camera: Camera, zoom: float) -> Camera:
    """A camera with its focal length multiplied."""
    return camera if zoom == 1 else replace(camera, focal=tuple(zoom * np.asarray(camera.focal)))


def needs_picture(regressor: Callable[..., Initial]) -> bool:
    """Whether a regressor's estimates depend on the picture, and not on detections alone."""
    return not isinstance(regressor, NetworkRegressor) or regressor.sees_pictures
