"""Watching a clip: people are found and followed, and the camera's rotation is found from the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from meshrec.detect.camera_motion import CameraMotion
from meshrec.detect.clothes_colors import clothes_colors
from meshrec.detect.people import Detection
from meshrec.detect.tracking import Tracker
from meshrec.files.clips import Clip
from meshrec.fit import Initial
from meshrec.geometry import Camera
from meshrec.reconstruct.body_estimator import BodyEstimator
from meshrec.reconstruct.observations import Observations, Observed
from meshrec.regress.regressor import NetworkRegressor

TRACKER, CAMERA, SUMMARY = "tracker.", "camera.", "summary."  # beginnings of the names of what is remembered
STILL = "The camera is taken to stand still."

FoundIn = Callable[[int, np.ndarray], Sequence[Detection]]
"""The user's own detections in the frame of a number and a picture, (H, W, 3) uint8 RGB."""


def watch(
    estimator: BodyEstimator,
    clip: Clip,
    camera: Camera,
    observations: Observations,
    static: bool = False,
    found_in: FoundIn | None = None,
    colors: bool = False,
) -> Iterator[int]:
    """Watch a clip: find its people and follow them, and how the camera turns.

    A cut begins a new scene, in which the camera's turn and zoom count anew from its first frame.

    Args:
        estimator: Whose detector finds people, and whose regressor makes first estimates if it needs pictures for
            them; others wait until left and right are settled.
        clip: The clip.
        camera: Camera of its first frame, and of the first frame of each other scene.
        observations: Where what is seen is kept. Frames that it has are not watched again.
        static: Whether the camera is known to stand still. Otherwise its rotation and zoom are found.
        found_in: The user's own detections.
        colors: Whether the colours of people's clothes are kept.

    Yields:
        The number of frames that are seen so far, after each frame.
    """
    detector = _nobody if found_in else estimator.detector
    regressor = estimator.regressor
    state = observations.state
    tracker = Tracker.resumed(detector, _part(state, TRACKER)) if state else Tracker(detector)
    motions = {} if static else _motions(camera, state)  # by scene
    sentences = {int(scene): str(text) for scene, text in _part(state, SUMMARY).items()}

    def remembered() -> dict[str, np.ndarray]:
        parts = {TRACKER: tracker.state()}
        parts |= {f"{CAMERA}{scene}.": motion.state() for scene, motion in motions.items()}
        sentences.update({scene: motion.summary() for scene, motion in motions.items()})
        parts[SUMMARY] = {str(scene): text for scene, text in sentences.items()}
        return {part + name: np.asarray(value) for part, values in parts.items() for name, value in values.items()}

    looks = regressor if regressor is not None and needs_picture(regressor) else None
    frames = iter(clip) if observations.last is None else clip.after(observations.last)
    for frame in frames:
        found = None if found_in is None else found_in(frame.number, frame.image)
        people = {s.track: s.detection for s in tracker.step(frame.image, frame.time, found)}
        scene = tracker.scene
        if static:
            sentences.setdefault(scene, STILL)
        elif scene not in motions:
            sentences.update({number: motion.summary() for number, motion in motions.items()})
            motions = {number: motion for number, motion in motions.items() if number == tracker.scene_before}
            motions[scene] = CameraMotion(camera)
        view = None if static else motions[scene].step(frame.image, list(people.values()))
        turn, zoom = (np.eye(3), 1.0) if view is None else (view.turn, view.zoom)
        initial = looks(frame.image, list(people.values()), zoomed(camera, zoom)) if looks and people else None
        worn = _worn(frame.image, list(people.values())) if colors else None
        seen = Observed(frame.number, frame.time, scene, turn, zoom, people, initial, worn)
        if observations.add(seen):
            observations.save(remembered())
        yield len(observations)
    observations.save(remembered())


def _motions(camera: Camera, state: Mapping[str, np.ndarray]) -> dict[int, CameraMotion]:
    """The motions of the camera that are remembered, by scene."""
    scenes = {int(name.split(".")[0]) for name in _part(state, CAMERA)}
    return {scene: CameraMotion.resumed(camera, _part(state, f"{CAMERA}{scene}.")) for scene in sorted(scenes)}


def _part(state: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """What one part remembers."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def camera_summaries(observations: Observations) -> dict[int, str]:
    """A sentence on how the camera moves in each scene, by its number, for the user."""
    return {int(scene): str(text) for scene, text in _part(observations.state, SUMMARY).items()}


def _worn(image: np.ndarray, people: Sequence[Detection]) -> np.ndarray:
    """Colours (N, 2, 3) of the clothes of N people."""
    return np.array([clothes_colors(image, person) for person in people], np.float32).reshape(-1, 2, 3)


def _nobody(image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
    """The detector of clips in which everybody is known."""
    return []


def zoomed(camera: Camera, zoom: float) -> Camera:
    """A camera with its focal length multiplied."""
    return camera if zoom == 1 else replace(camera, focal=tuple(zoom * np.asarray(camera.focal)))


def needs_picture(regressor: Callable[..., Initial]) -> bool:
    """Whether a regressor's estimates depend on the picture, and not on detections alone."""
    return not isinstance(regressor, NetworkRegressor) or regressor.sees_pictures
