"""People in several calibrated cameras at one instant: one body of each, in the world of the calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from meshrec.detect.inputs import people_in_photo
from meshrec.detect.matching import match_people
from meshrec.detect.mirrored_views import mirrored_views
from meshrec.detect.people import Detection
from meshrec.detect.view_search import QuickDetector, find_in_views
from meshrec.errors import InputError
from meshrec.files import as_photo
from meshrec.fit.initial import Initial
from meshrec.fit.views import MultiViewFitter
from meshrec.geometry import Camera
from meshrec.geometry.calibrated_cameras import CalibratedCamera, Calibration, undistort_image, undistort_points
from meshrec.reconstruct.body_estimator import BodyEstimator
from meshrec.reconstruct.given import as_detections
from meshrec.reconstruct.person import Person
from meshrec.regress.regressor import NetworkRegressor

# From a world whose axis of this name points up to a level one: x right, y down, z forward. People in it stand as
# before a level camera at the world's origin, so that everything that writes or draws people works as for photos.
LEVEL = {
    "-y": np.eye(3),
    "y": np.diag([1.0, -1.0, -1.0]),
    "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "-z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "x": np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]),
    "-x": np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]),
}


@dataclass(frozen=True, eq=False)
class Views:
    """Pictures of one instant, without lens distortion.

    Attributes:
        names: Names of the V cameras.
        images: V pictures, (H, W, 3) uint8 RGB.
        cameras: V cameras with extrinsics from the level world, see :data:`LEVEL`.
        level: (3, 3) rotation from the calibration's world to the level one.
        up: Whether it is known what is up in the calibration's world; otherwise its own axes are kept.
        notes: Remarks for the user.
    """

    names: tuple[str, ...]
    images: tuple[np.ndarray, ...]
    cameras: tuple[Camera, ...]
    level: np.ndarray
    up: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SeenPerson:
    """A person, and the cameras that see them.

    Attributes:
        person: The body in the level world.
        errors: By name of the camera, the reprojection error as a share of the box's longer side.
        exchanged: Names of the cameras in which the detector exchanged left and right.
    """

    person: Person
    errors: dict[str, float]
    exchanged: tuple[str, ...]


def views_of(images: Mapping[str, Any], calibration: Calibration) -> Views:
    """The pictures of one instant as pinhole cameras would have taken them.

    Args:
        images: By name of the camera, a file or a picture, as :class:`meshrec.Reconstructor` takes photos.
        calibration: The cameras.

    Raises:
        InputError: A picture cannot be read or has no camera, a camera has no extrinsics or another size than its
            picture, or there are no pictures.
    """
    if not images:
        raise InputError("there are no pictures of cameras.")
    level = LEVEL["-y" if calibration.up is None else calibration.up]
    pictures, cameras, notes = [], [], [*calibration.notes]
    for name, image in images.items():
        photo = as_photo(image)
        lens = calibrated_camera(calibration, name).for_picture((photo.image.shape[1], photo.image.shape[0]))
        pictures.append(undistort_image(np.ascontiguousarray(photo.image), lens))
        cameras.append(in_level_world(lens.camera, level))
        notes += [*photo.notes, *lens.notes]
    return Views(tuple(images), tuple(pictures), tuple(cameras), level, calibration.up is not None, tuple(notes))


def calibrated_camera(calibration: Calibration, name: str) -> CalibratedCamera:
    """A camera of a calibration by its name.

    Raises:
        InputError: There is none, or it has no extrinsics.
    """
    if name not in calibration.cameras:
        raise InputError(f"the calibration has no camera {name}; it has {', '.join(calibration.cameras)}.")
    camera = calibration.cameras[name]
    if not camera.placed:
        raise InputError(f"camera {name} has no rotation and translation in the calibration.")
    return camera


def in_level_world(camera: Camera, level: np.ndarray) -> Camera:
    """A camera with extrinsics from the level world instead of the calibration's.

    Args:
        camera: With extrinsics from the calibration's world.
        level: (3, 3) rotation from that world to the level one.
    """
    return replace(camera, rotation=np.asarray(camera.rotation, np.float64) @ level.T)


def people_in_views(
    estimator: BodyEstimator,
    views: Views,
    keypoints: Mapping[str, Any] | None = None,
    matched: Sequence[Mapping[int, int]] | None = None,
) -> list[SeenPerson]:
    """Reconstruct the people in several pictures of one instant.

    Args:
        estimator: Whose detector, regressor and fit are used.
        views: The pictures and their cameras.
        keypoints: By name of the camera, detections without lens distortion, instead of the detector's.
        matched: For each person, by index of the camera, the index of the detection of ``keypoints``. Default: people
            are matched by rays.

    Returns:
        Everyone, those in most cameras first.

    Raises:
        InputError: The estimator has no fit, or a regressor needs what there is not.
    """
    if estimator.fitter is None:
        raise InputError("several cameras are fitted together; leave the fit in.")
    seen = found_in_views(estimator, views) if keypoints is None else keypoints
    found = [list(seen.get(name, ())) for name in views.names]
    guesses = _estimates(estimator, views, found)
    fitter = MultiViewFitter(estimator.fitter)
    up = np.array([0.0, -1.0, 0.0]) if views.up else None
    matches = [match.views for match in match_people(found, views.cameras)] if matched is None else matched
    own = [[found[c][match[c]] if c in match else None for match in matches] for c in range(len(found))]
    others = [[[d for d in seen if d is not one] for one in ones] for seen, ones in zip(found, own)]
    # Of somebody whom a camera does not see, any estimate will do: it is not read.
    index = [torch.tensor([match.get(c, 0) for match in matches]) for c in range(len(found))]
    initial = [None if guess is None else guess[rows] for guess, rows in zip(guesses, index)]
    people = []
    for fit in fitter.everyone(own, views.cameras, initial, up, others) if matches else ():
        known = {name: float(e) for name, e in zip(views.names, fit.reprojection_error) if np.isfinite(e)}
        ious = fit.mask_iou[np.isfinite(fit.mask_iou)]
        person = Person(
            estimator.body,
            fit.betas,
            fit.rotations,
            fit.translation,
            score=fit.score,
            reprojection_error=float(np.mean(list(known.values()))),
            mask_iou=float(ious.mean()) if len(ious) else None,
            joint_deviation=fit.joint_deviation,
            shape_covariance=fit.shape_covariance,
            gravity=np.array([0.0, 1.0, 0.0]) if views.up else None,
            gravity_deviation=np.zeros(2) if views.up else None,
            body_name=estimator.body_name,
            made_by=estimator.made_by,
        )
        people.append(SeenPerson(person, known, tuple(np.array(views.names)[fit.exchanged].tolist())))
    return people


def undistorted(people: Sequence[Detection], lens: CalibratedCamera) -> list[Detection]:
    """Detections in pixels of a picture as the pinhole camera would have seen them; masks are left out.

    Args:
        people: The detections.
        lens: The camera that took the picture.
    """
    if not lens.distorts:
        return list(people)
    moved = []
    for person in people:
        corners = person.box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)
        corners = undistort_points(corners, lens)
        box = np.concatenate([corners.min(0), corners.max(0)]).astype(np.float32)
        keypoints = undistort_points(person.keypoints, lens).astype(np.float32)
        moved.append(replace(person, box=box, keypoints=keypoints, mask=None, close_ups=()))
    return moved


def reconstruct_cameras(
    estimator: BodyEstimator,
    images: Mapping[str, Any],
    calibration: Calibration,
    keypoints: Mapping[str, Any] | None = None,
) -> list[Person]:
    """What :meth:`meshrec.Reconstructor.cameras` does."""
    views = views_of(images, calibration)
    own = None if keypoints is None else detections_of(keypoints, views, calibration)
    return [seen.person for seen in people_in_views(estimator, views, own)]


def detections_of(
    keypoints: Mapping[str, np.ndarray | Sequence[Detection]], views: Views, calibration: Calibration
) -> dict[str, list[Detection]]:
    """The user's keypoints in pixels without lens distortion, by name of the camera.

    Args:
        keypoints: By name of the camera, (N, K, 3) keypoints or detections in pixels of its picture.
        views: The pictures.
        calibration: The cameras.

    Raises:
        InputError: Keypoints are no such array, or lie far outside their picture.
    """
    found = {}
    for name, camera in zip(views.names, views.cameras):
        people = people_in_photo(as_detections(keypoints.get(name, ()), camera.size), camera.size, name)
        found[name] = undistorted(people, calibration.cameras[name].for_picture(camera.size))
    return found


def found_in_views(estimator: BodyEstimator, views: Views) -> dict[str, list[Detection]]:
    """Everyone whom the detector finds in pictures of one instant, by name of the camera."""
    detector = estimator.detector
    if isinstance(detector, QuickDetector):
        return dict(zip(views.names, find_in_views(detector, views.images, views.cameras)))
    return {name: found_in(estimator, image, None) for name, image in zip(views.names, views.images)}


def mirrored_notes(
    names: Sequence[str], instants: Sequence[Sequence[Sequence[Detection]]], cameras: Sequence[Camera]
) -> list[str]:
    """Remarks for the user on cameras whose pictures are mirrored.

    Args:
        names: Names of the V cameras.
        instants: For each instant everyone who is seen in each of them.
        cameras: The V cameras.
    """
    return [
        f"camera {names[view]}: its pictures seem to be mirrored, for only then its people are those of the other "
        "cameras; mirror them back, and start again"
        for view in mirrored_views(instants, cameras)
    ]


def found_in(estimator: BodyEstimator, image: np.ndarray, people: Sequence[Detection] | None) -> list[Detection]:
    """Everyone whom the detector finds in a picture, or the given people."""
    if people is not None:
        return list(people)
    return [person for person in estimator.detector(image, None) if person.score > 0]


def _estimates(estimator: BodyEstimator, views: Views, found: Sequence[Sequence[Detection]]) -> list[Initial | None]:
    """The regressor's estimates of everyone in each picture, in camera space; None where there are none."""
    regressor = estimator.regressor
    seen = [c for c, people in enumerate(found) if people]
    result: list[Initial | None] = [None] * len(found)
    if regressor is None or not seen:
        return result
    plain = [Camera(camera.focal, camera.center, camera.size) for camera in views.cameras]
    if isinstance(regressor, NetworkRegressor):
        images = [views.images[c] for c in seen]
        estimates = regressor.in_views(images, [found[c] for c in seen], [plain[c] for c in seen])
    else:
        estimates = [regressor(views.images[c], list(found[c]), plain[c]) for c in seen]
    for c, own in zip(seen, estimates):
        result[c] = own
    return result


def estimates_in(estimator: BodyEstimator, image: np.ndarray, people: list[Detection], camera: Camera) -> list[Initial]:
    """The regressor's estimates of everyone in a picture, in camera space; none without a regressor."""
    if estimator.regressor is None or not people:
        return []
    plain = Camera(camera.focal, camera.center, camera.size)
    together = estimator.regressor(image, people, plain)
    return [together[i : i + 1] for i in range(len(people))]
