"""From a photo to the people in it: find them, fit a body to each."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from meshrec.body import BodyData, BodyModel, joint_set, load_body
from meshrec.compiled.device import usable_device
from meshrec.detect import Detection, Detector
from meshrec.detect.inputs import boxes_in_photo, people_in_photo
from meshrec.detect.people import keypoint_box
from meshrec.errors import InputError
from meshrec.files import Photo, read_photo
from meshrec.fit import Fitter, Initial
from meshrec.geometry import Camera
from meshrec.reconstruct.person import Person
from meshrec.regress.weights import NONE, load_regressor, regressor_name

BETAS = 10
Regressor = Callable[[np.ndarray, Sequence[Detection], Camera], Initial]
KEYPOINT_SETS = {17: "coco17", 25: "openpose25", 33: "mediapipe33"}  # by the number of keypoints


class Reconstructor:
    """Turns photos into people; call it with one photo after another.

        people = Reconstructor()("photo.jpg")

    Args:
        device: Where bodies are posed and networks run, such as "cpu" or "cuda".
        regressor: What estimates bodies, from which the fit then starts: ``"keypoints"``, ``"proxy"`` or ``"graph"``
            for the shipped networks, a checkpoint's file, or anything that takes (H, W, 3) uint8 RGB, detections and
            camera. Default: the best of the shipped ones. ``"none"``: the fit finds its starts by itself.
        body: As for :func:`meshrec.load_body`; default the open neutral body.
        detector: Finds people (:class:`meshrec.detect.Detector`); default MediaPipe, loaded when first needed.
        refine: Fit the regressor's estimates to the detections; without, they are the result.

    A shipped network knows the shapes of the open neutral body only. Of another body it gives the pose, and the fit
    finds the shape.

    Raises:
        InputError: There is no such body, device or regressor, or there is nothing that makes bodies.
    """

    def __init__(
        self,
        device: str | torch.device = "cpu",
        regressor: Regressor | str | Path | None = None,
        body: str | Path | BodyData | nn.Module | None = None,
        detector: Detector | None = None,
        refine: bool = True,
    ) -> None:
        self.body_name = str(body) if isinstance(body, str | Path) else "neutral" if body is None else ""
        self.body = _ten_betas(load_body("neutral" if body is None else body)).to(usable_device(device))
        self.body_name = self.body_name or self.body.data.name
        self._regressor, name = _as_regressor(regressor, self.body)
        if self._regressor is None and not refine:
            raise InputError("without the fit, a regressor is needed: one of them has to make the body.")
        self._detector = detector
        self._fitter = Fitter(self.body) if refine else None
        self.made_by = " + ".join([*([name] if name else []), *(["fit"] if refine else [])])

    def __call__(
        self,
        photo: str | Path | Photo | np.ndarray,
        boxes: np.ndarray | None = None,
        keypoints: np.ndarray | Sequence[Detection] | None = None,
        focal: float | None = None,
        camera: Camera | None = None,
    ) -> list[Person]:
        """Everyone in a photo, most certain first, or one for each box or set of keypoints in their order.

        Args:
            photo: A file, or (H, W, 3) uint8 RGB.
            boxes: (N, 4) x0, y0, x1, y1 in photo pixels: only the people in these. Boxes that show nobody are left
                out.
            keypoints: (N, K, 3) x, y in photo pixels and confidence, of COCO (K = 17), OpenPose (25) or MediaPipe (33);
                or detections. No detector is needed then.
            focal: Focal length in pixels. Default: the photo's EXIF, else a diagonal field of view of 55 degrees.
            camera: The photo's camera, instead of ``focal``.

        Returns:
            People in camera space; an empty list where there are none.

        Raises:
            InputError: The photo cannot be read, or boxes, keypoints, focal or camera do not fit it.
        """
        photo = _as_photo(photo)
        camera = photo_camera(photo, focal, camera)
        people = self._find(photo, boxes, keypoints)
        return self.embody(photo.image, people, camera) if people else []

    def _find(
        self, photo: Photo, boxes: np.ndarray | None, keypoints: np.ndarray | Sequence[Detection] | None
    ) -> list[Detection]:
        if boxes is not None and keypoints is not None:
            raise InputError("give boxes or keypoints, not both: keypoints already say where people are.")
        size = photo.image.shape[1], photo.image.shape[0]
        if keypoints is not None:
            return people_in_photo(_as_detections(keypoints, size), size, photo.path)
        if boxes is not None:
            boxes = boxes_in_photo(boxes, size, photo.path)
            if not len(boxes):
                return []
        if self._detector is None:
            from meshrec.detect.mediapipe_detector import MediaPipeDetector

            self._detector = MediaPipeDetector()
        return [person for person in self._detector(photo.image, boxes) if person.score > 0]

    def embody(self, image: np.ndarray, found: Sequence[Detection], camera: Camera) -> list[Person]:
        """Bodies of people who are detected already; what a call does once it has found them.

        Args:
            image: (H, W, 3) uint8 RGB.
            found: N people, at least one, photo pixels, with keypoints of one joint set.
            camera: Camera of the photo.

        Returns:
            One person a detection, in their order.
        """
        initial = self._regressor(image, found, camera) if self._regressor else None
        if self._fitter:
            bodies = [vars(fit) for fit in self._fitter(found, camera, initial)]
        else:
            assert initial is not None
            state = initial.state
            rows = zip(state.rotations, state.translation, state.betas, found)
            bodies = [{"pose": r, "translation": t, "betas": b, "score": f.score} for r, t, b, f in rows]
        return [
            Person(
                self.body,
                camera=camera,
                box=detection.box,
                keypoints_2d=detection.keypoints,
                keypoint_names=joint_set(detection.joint_set),
                body_name=self.body_name,
                made_by=self.made_by,
                **body,
            )
            for body, detection in zip(bodies, found)
        ]


def photo_camera(photo: Photo, focal: float | None = None, camera: Camera | None = None) -> Camera:
    """The camera of a photo: the one given, or from the focal length in pixels given, of its EXIF, or by default.

    Raises:
        InputError: The camera is of another picture size, the focal length is none, or both are given.
    """
    size = photo.image.shape[1], photo.image.shape[0]
    if camera is not None:
        if focal is not None:
            raise InputError("give a focal length or a camera, not both.")
        if camera.size != size:
            raise InputError(f"{photo.path}: the photo is {size[0]} x {size[1]}, the camera {camera.size}.")
        return camera
    if focal is not None and not (math.isfinite(focal) and focal > 0):
        raise InputError(f"the focal length must be a positive number of pixels, not {focal}.")
    focal = photo.focal_px if focal is None else focal
    return Camera.from_fov(size) if focal is None else Camera(float(focal), size=size)


def _as_photo(photo: str | Path | Photo | np.ndarray) -> Photo:
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, str | Path):
        return read_photo(photo)
    if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        described = f"{photo.dtype} {photo.shape}" if isinstance(photo, np.ndarray) else type(photo).__name__
        raise InputError(f"a photo is a file or an (H, W, 3) uint8 RGB array, not {described}.")
    return Photo(photo, None, Path("photo"))


def _as_detections(keypoints: np.ndarray | Sequence[Detection], size: tuple[int, int]) -> list[Detection]:
    if not isinstance(keypoints, np.ndarray):
        return list(keypoints)
    if keypoints.ndim != 3 or keypoints.shape[1] not in KEYPOINT_SETS or keypoints.shape[2] != 3:
        counts = ", ".join(str(count) for count in KEYPOINT_SETS)
        raise InputError(f"keypoints are (N, K, 3) with K one of {counts}, not {keypoints.shape}.")
    if not np.isfinite(keypoints).all():
        raise InputError("keypoints must be finite; give a missing one the confidence 0.")
    joints, rows = KEYPOINT_SETS[keypoints.shape[1]], keypoints.astype(np.float32)
    return [Detection(keypoint_box(row, size), row, joints, float(row[:, 2].mean())) for row in rows]


def _as_regressor(regressor: Regressor | str | Path | None, body: BodyModel) -> tuple[Regressor | None, str]:
    """The regressor, or None for none, and its name."""
    if callable(regressor):
        return regressor, getattr(regressor, "__name__", type(regressor).__name__)
    name = regressor_name(regressor)
    return (None, "") if name == NONE else (load_regressor(name, body), Path(name).stem)


def _ten_betas(body: BodyModel) -> BodyModel:
    """Bodies with hundreds of shape components are used with the first ten."""
    return body if body.num_betas <= BETAS else load_body(body.data.with_betas(BETAS))
