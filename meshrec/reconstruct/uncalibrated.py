"""The calibration of cameras of one instant, found from the people in their pictures.

The world that is found has its origin at the first camera, and z up as far as people stand upright. How large it is
follows from a stature that is given, or else from what the bodies' proportions suggest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from meshrec.body.state import BodyState
from meshrec.detect.clothes_colors import NO_COLORS, clothes_colors
from meshrec.detect.inputs import people_in_photo
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.files import as_photo
from meshrec.fit.bundle import CameraDeviations
from meshrec.fit.gravity import Gravity, gravity_of
from meshrec.fit.in_view import ViewSpace
from meshrec.fit.same_people import SeenBodies, same_people
from meshrec.fit.uncalibrated import FoundCameras, bundle_adjust
from meshrec.geometry import Camera
from meshrec.geometry.calibrated_cameras import CalibratedCamera, Calibration
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.reconstruct.body_estimator import BodyEstimator
from meshrec.reconstruct.cameras import SeenPerson, Views, estimates_in, found_in, people_in_views, views_of
from meshrec.reconstruct.given import as_detections, require_height
from meshrec.reconstruct.photo_cameras import photo_camera

UNDECIDED = 3.0  # cost within which another assignment of people is tried, too
AMBIGUOUS = 5.0  # energy within which two assignments explain the pictures as well as each other


@dataclass(frozen=True, eq=False)
class FoundCalibration:
    """Cameras that were found from people.

    Attributes:
        calibration: The cameras, in a world with z up whose origin is the first one's place.
        deviations: How uncertain they are, relative to the first.
        detections: Everyone who was found in each picture, by name of the camera.
        matched: For each person, by index of the camera, the index of the detection.
        gravity_deviation: (2,) standard deviations of the first camera's pitch and roll, radians.
        guessed: (V,) the cameras whose focal length was not known, and was found.
    """

    calibration: Calibration
    deviations: CameraDeviations
    detections: dict[str, list[Detection]]
    matched: tuple[dict[int, int], ...]
    gravity_deviation: np.ndarray
    guessed: tuple[bool, ...]


def find_cameras(
    estimator: BodyEstimator,
    images: Mapping[str, Any],
    keypoints: Mapping[str, np.ndarray | Sequence[Detection]] | None = None,
    height: float | None = None,
    focal: float | None = None,
) -> FoundCalibration:
    """Find out where the cameras of pictures of one instant stand.

    Args:
        estimator: Whose detector, regressor and fit are used.
        images: By name of the camera, a file or a picture, as :class:`meshrec.Reconstructor` takes photos.
        keypoints: By name of the camera, (N, K, 3) keypoints or detections, instead of the detector's.
        height: Stature of everyone, metres. Default: what the pictures suggest.
        focal: Focal length of all cameras in pixels. Default: that of each picture's EXIF data, else one that is found
            with the rest, from the estimate of the estimator's network or a diagonal field of view of 55 degrees.

    Returns:
        The cameras, and who was seen.

    Raises:
        InputError: There is one picture only, one shows nobody, or nobody who is in another one; or a picture, height
            or focal length is wrong.
    """
    if len(images) < 2:
        raise InputError("cameras are found from two pictures or more of one instant; give another one.")
    if estimator.fitter is None:
        raise InputError("cameras are found by the fit; leave the fit in.")
    if height is not None:
        require_height(height)
    photos = {name: as_photo(image) for name, image in images.items()}
    cameras = [photo_camera(photo, focal, None, estimator.focal_network) for photo in photos.values()]
    guessed = tuple(focal is None and photo.focal_px is None for photo in photos.values())
    found, bodies = [], []
    for (name, photo), camera in zip(photos.items(), cameras):
        given = None if keypoints is None else as_detections(keypoints.get(name, ()), camera.size)
        given = None if given is None else people_in_photo(given, camera.size, name)
        people = found_in(estimator, photo.image, given)
        if not people:
            raise InputError(
                f"{name}: nobody is found in this picture, which tells where its camera stands; leave it out."
            )
        found.append(people)
        bodies.append(_bodies(estimator, photo.image, people, camera))
    images_of = [photo.image for photo in photos.values()]
    seen = [_seen(estimator, *own) for own in zip(images_of, found, bodies)]
    best, matched, notes = _assigned(estimator, list(photos), found, bodies, seen, cameras, guessed, height)
    calibration, gravity = calibration_of(estimator, list(photos), best, height, guessed, notes)
    return FoundCalibration(
        calibration=calibration,
        deviations=best.deviations,
        detections=dict(zip(photos, found)),
        matched=matched,
        gravity_deviation=gravity,
        guessed=guessed,
    )


def calibration_of(
    estimator: BodyEstimator,
    names: Sequence[str],
    found: FoundCameras,
    height: float | None,
    guessed: Sequence[bool],
    notes: Sequence[str] = (),
) -> tuple[Calibration, np.ndarray]:
    """The calibration of cameras that were found, in a world with z up.

    Args:
        estimator: Of whose body the people are.
        names: The cameras' names.
        found: The cameras, and the people.
        height: Stature of everyone that was given, metres.
        guessed: Which focal lengths were not known.
        notes: Remarks for the user, to which those on what was guessed are added.

    Returns:
        The calibration, and the standard deviations (2,) of the first camera's pitch and roll, radians.
    """
    gravity, remarks = _gravity(estimator, found), list(notes)
    world = _with_z_up(gravity.direction)
    placed = {
        name: CalibratedCamera(name, replace(own, rotation=(np.array(own.rotation) @ world.T).tolist()))
        for name, own in zip(names, found.cameras)
    }
    if height is None:
        remarks.append("how large the world is was guessed from the people's proportions; --height gives their stature")
    if any(guessed):
        unknown = ", ".join(name for name, own in zip(names, guessed) if own)
        remarks.append(f"the focal length of {unknown} was not known and was found with the rest")
    remarks.append("z is up in this calibration as far as people stand upright")
    return Calibration(placed, "z", tuple(remarks)), gravity.deviation


def people_and_cameras(
    estimator: BodyEstimator,
    images: Mapping[str, Any],
    keypoints: Mapping[str, np.ndarray | Sequence[Detection]] | None = None,
    height: float | None = None,
    focal: float | None = None,
) -> tuple[list[SeenPerson], Views, FoundCalibration]:
    """Find cameras as :func:`find_cameras` does, and reconstruct the people in their pictures as with a calibration."""
    found = find_cameras(estimator, images, keypoints, height, focal)
    views = views_of(images, found.calibration)
    people = people_in_views(estimator, views, found.detections, found.matched)
    known = [replace(seen.person, gravity_deviation=found.gravity_deviation) for seen in people]
    return [replace(seen, person=person) for seen, person in zip(people, known)], views, found


def _bodies(estimator: BodyEstimator, image: np.ndarray, people: list[Detection], camera: Camera) -> BodyState:
    """Estimates of everyone in a picture: the regressor's, or without one the fit's."""
    if guesses := estimates_in(estimator, image, people, camera):
        states = [guess.state for guess in guesses]
        return BodyState(*(torch.cat([getattr(s, n) for s in states]) for n in ("rotations", "translation", "betas")))
    assert estimator.fitter is not None
    fits = estimator.fitter(people, camera)
    parts = ([getattr(fit, name) for fit in fits] for name in ("rotations", "translation", "betas"))
    return BodyState(*(torch.from_numpy(np.stack(part)).double() for part in parts))


def _seen(estimator: BodyEstimator, image: np.ndarray, people: Sequence[Detection], bodies: BodyState) -> SeenBodies:
    assert estimator.fitter is not None
    space = ViewSpace.of(Camera(1.0), estimator.fitter.skeleton)
    colors = [clothes_colors(image, person) if person.keypoints[:, 2].any() else NO_COLORS for person in people]
    places = (space.rest(bodies) + bodies.translation).numpy()
    return SeenBodies(bodies.rotations.numpy(), places, np.stack(colors))


def _assigned(
    estimator: BodyEstimator,
    names: Sequence[str],
    found: Sequence[Sequence[Detection]],
    bodies: Sequence[BodyState],
    seen: Sequence[SeenBodies],
    cameras: Sequence[Camera],
    guessed: Sequence[bool],
    height: float | None,
) -> tuple[FoundCameras, tuple[dict[int, int], ...], list[str]]:
    """The cameras of the likeliest assignment of people, the assignment, and remarks.

    Where assignments are about as likely, the one whose bodies and cameras explain the pictures best is taken.

    Raises:
        InputError: Nobody in one of the pictures is in another one.
    """
    candidates = same_people(seen)
    first = candidates[0]
    for v, name in enumerate(names):
        if not any(v in person and len(person) > 1 for person in first.people):
            raise InputError(
                f"{name}: nobody in this picture is recognised in another one, which would tell where its camera "
                "stands; leave it out."
            )
    tried = [
        other for other in candidates if other.cost <= first.cost + UNDECIDED and len(other.people) == len(first.people)
    ]
    assert estimator.fitter is not None
    results = []
    for assignment in tried:
        people = assignment.people
        views = [[found[v][own[v]] if v in own else None for own in people] for v in range(len(names))]
        index = [torch.tensor([own.get(v, 0) for own in people]) for v in range(len(names))]
        estimates = [state[rows] for state, rows in zip(bodies, index)]
        heights = None if height is None else [height] * len(people)
        owner = list(range(len(people)))
        adjusted = bundle_adjust(estimator.fitter, views, cameras, estimates, owner, heights, guessed)
        results.append((adjusted, people))
    results.sort(key=lambda pair: pair[0].energy)
    notes = []
    if len(results) > 1 and results[1][0].energy - results[0][0].energy < AMBIGUOUS:
        notes.append(
            "who is who in the pictures is uncertain: people taken the other way round explain them as well; "
            "look at the overlays"
        )
    return *results[0], notes


def _gravity(estimator: BodyEstimator, found: FoundCameras) -> Gravity:
    """Gravity in the first camera's space, the mean of what it seems to each camera."""
    assert estimator.fitter is not None
    points = landmark_positions(estimator.fitter.skeleton, found.state)
    directions, deviations = [], []
    for camera in found.cameras:
        own = gravity_of(camera.world_to_camera(points).numpy())
        directions.append(own.direction @ np.array(camera.rotation))
        deviations.append(own.deviation)
    mean = np.mean(directions, 0)
    return Gravity(mean / np.linalg.norm(mean), np.mean(deviations, 0))


def _with_z_up(gravity: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) from the first camera's space to a world with z up, whose y is ahead of the camera."""
    up = -gravity
    ahead = np.array([0.0, 1e-6, 1.0])  # a camera that looks straight up has the lower edge ahead
    ahead -= (ahead @ up) * up
    ahead /= np.linalg.norm(ahead)
    return np.stack([np.cross(ahead, up), ahead, up])
