"""People from a photo: they are detected, and a body is estimated for each and fitted to the detection."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from meshrec.body import NUM_BETAS, BodyData, BodyModel, joint_set, load_body
from meshrec.compiled.device import usable_device
from meshrec.compiled.threads import require_own_threads
from meshrec.detect import Detection, Detector, load_detector
from meshrec.detect.inputs import boxes_in_photo, people_in_photo
from meshrec.detect.people import keypoint_box
from meshrec.errors import InputError
from meshrec.files import Photo, read_photo
from meshrec.fit import Fitter, Initial
from meshrec.geometry import Camera
from meshrec.reconstruct.person import Person
from meshrec.regress.weights import NONE, load_regressor, regressor_name

Regressor = Callable[[np.ndarray, Sequence[Detection], Camera], Initial]
KEYPOINT_SETS = {17: "coco17", 25: "openpose25", 33: "mediapipe33"}  # by the number of keypoints


class Reconstructor:
    """Turns photos into people: ``people = Reconstructor()("photo.jpg")``. Keep it for several photos.

    A shipped network knows the shapes of the open neutral body only. For another body it estimates the pose, and the
    fit finds the shape.

    Args:
        device: Device on which bodies are posed and networks run, such as "cpu" or "cuda".
        regressor: Makes the first estimates of bodies, from which the fit starts: ``"keypoints"``, ``"proxy"`` or
            ``"graph"`` for the shipped networks, a checkpoint file, or any function of an image (H, W, 3) uint8 RGB,
            detections and the camera. ``"none"``: the fit finds its starts without one. Default: the best of the
            shipped networks.
        body: Name, file or body, as for :func:`meshrec.load_body`. Default: the open neutral body. Only
            the first ten shape components are used; joint regressors of a :class:`meshrec.body.BodyModel` are kept.
        detector: Finds people: a name or network file as for :func:`meshrec.detect.load_detector`, or any function as
            :class:`meshrec.detect.Detector` describes it. Default: BlazePose, loaded when it is first needed.
        refine: Whether to fit the regressor's estimates to the detections. If not, they are the result.

    Raises:
        InputError: There is no such body, device, regressor or detector, or there is neither a regressor nor a fit.

    Example:
        >>> import numpy as np
        >>> import meshrec
        >>> reconstructor = meshrec.Reconstructor()
        >>> reconstructor.made_by, reconstructor(np.zeros((64, 64, 3), np.uint8))  # a black picture shows nobody
        ('proxy + fit', [])
    """

    def __init__(
        self,
        device: str | torch.device = "cpu",
        regressor: Regressor | str | Path | None = None,
        body: str | Path | BodyData | nn.Module | None = None,
        detector: Detector | str | Path | None = None,
        refine: bool = True,
    ) -> None:
        require_own_threads()
        self.body_name = str(body) if isinstance(body, str | Path) else "neutral" if body is None else ""
        own = load_body("neutral" if body is None else body)  # a new body, also of a BodyModel: it may be moved
        self.body = own.truncated(NUM_BETAS).to(usable_device(device))
        self.body_name = self.body_name or self.body.data.name
        self._regressor, name = _as_regressor(regressor, self.body)
        if self._regressor is None and not refine:
            raise InputError("without the fit a regressor is needed: one of them has to estimate the body.")
        self._detector = load_detector(detector) if isinstance(detector, str | Path) else detector
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
        """Reconstruct the people in a photo.

        Args:
            photo: A file, or an image (H, W, 3) uint8 RGB.
            boxes: (N, 4) x0, y0, x1, y1 in photo pixels. If given, only the people in these boxes are reconstructed;
                boxes that show nobody are left out.
            keypoints: (N, K, 3) x, y in photo pixels and confidence, of COCO (K = 17), OpenPose (25) or MediaPipe (33);
                or detections. If given, no detector is needed.
            focal: Focal length in pixels. Default: that of the photo's EXIF data, else one that gives a diagonal field
                of view of 55 degrees.
            camera: The photo's camera, instead of ``focal``.

        Returns:
            People in camera space. Without boxes or keypoints everyone found, highest score of the detection first;
            otherwise one for each box or set of keypoints, in their order. The list is empty if there are none.

        Raises:
            InputError: The photo cannot be read, or boxes, keypoints, focal or camera do not fit it.
            MeshrecError: This process was forked from one that has used meshrec; use ``spawn``.
        """
        require_own_threads()
        photo = _as_photo(photo)
        camera = photo_camera(photo, focal, camera)
        people = self._find(photo, boxes, keypoints)
        return self.embody(photo.image, people, camera) if people else []

    def _find(
        self, photo: Photo, boxes: np.ndarray | None, keypoints: np.ndarray | Sequence[Detection] | None
    ) -> list[Detection]:
        if boxes is not None and keypoints is not None:
            raise InputError("give boxes or keypoints, not both: keypoints already tell where people are.")
        size = photo.image.shape[1], photo.image.shape[0]
        if keypoints is not None:
            return people_in_photo(_as_detections(keypoints, size), size, photo.path)
        if boxes is not None:
            boxes = boxes_in_photo(boxes, size, photo.path)
            if not len(boxes):
                return []
        if self._detector is None:
            self._detector = load_detector()
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
        require_own_threads()
        initial = self._regressor(image, found, camera) if self._regressor else None
        if self._fitter:
            bodies = [vars(fit) for fit in self._fitter(found, camera, initial)]
        else:
            assert initial is not None
            state = initial.state
            rows = zip(state.rotations, state.translation, state.betas, found)
            bodies = [{"rotations": r, "translation": t, "betas": b, "score": f.score} for r, t, b, f in rows]
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
    """Choose the camera of a photo.

    Args:
        photo: The photo.
        focal: Focal length in pixels. Default: that of the photo's EXIF data, else one that gives a diagonal field of
            view of 55 degrees.
        camera: The camera, instead of ``focal``.

    Returns:
        The camera that is given, or one with this focal length.

    Raises:
        InputError: The camera has another picture size, the focal length is not a positive number, or both are given.
    """
    size = photo.image.shape[1], photo.image.shape[0]
    if camera is not None:
        if focal is not None:
            raise InputError("give a focal length or a camera, not both.")
        if camera.size != size:
            width, height = camera.size
            raise InputError(
                f"{photo.path}: the photo has {size[0]} x {size[1]} pixels, its camera {width} x {height}."
            )
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
        raise InputError(f"a photo must be a file or an (H, W, 3) uint8 RGB array, not {described}.")
    return Photo(photo, None, Path("photo"))


def _as_detections(keypoints: np.ndarray | Sequence[Detection], size: tuple[int, int]) -> list[Detection]:
    if not isinstance(keypoints, np.ndarray):
        return list(keypoints)
    if keypoints.ndim != 3 or keypoints.shape[1] not in KEYPOINT_SETS or keypoints.shape[2] != 3:
        counts = ", ".join(str(count) for count in KEYPOINT_SETS)
        raise InputError(f"keypoints must have the shape (N, K, 3) with K one of {counts}, not {keypoints.shape}.")
    if not np.isfinite(keypoints).all():
        raise InputError("keypoints must be finite; give a missing one the confidence 0.")
    joints, rows = KEYPOINT_SETS[keypoints.shape[1]], keypoints.astype(np.float32)
    return [Detection(keypoint_box(row, size), row, joints, float(row[:, 2].mean())) for row in rows]


def _as_regressor(regressor: Regressor | str | Path | None, body: BodyModel) -> tuple[Regressor | None, str]:
    """The regressor and its name; None and "" for no regressor."""
    if callable(regressor):
        return regressor, getattr(regressor, "__name__", type(regressor).__name__)
    name = regressor_name(regressor)
    return (None, "") if name == NONE else (load_regressor(name, body), Path(name).stem)
