"""People from a photo: they are detected, and a body is estimated for each and fitted to the detection."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from PIL import Image
from torch import nn

from meshrec.body import NUM_BETAS, BodyData, BodyModel, joint_set, load_body
from meshrec.body.state import BodyState
from meshrec.body.tailor import covariance_given_stature
from meshrec.compiled.device import usable_device
from meshrec.compiled.threads import require_own_threads
from meshrec.detect import Detection, Detector, load_detector
from meshrec.detect.inputs import boxes_in_photo, people_in_photo
from meshrec.detect.layouts import find_layout, known_counts
from meshrec.detect.people import as_confidence, keypoint_box
from meshrec.errors import InputError
from meshrec.files import Photo, as_photo
from meshrec.files.photos import FILM_DIAGONAL, field_of_view, is_plausible
from meshrec.fit import Fitter, Initial
from meshrec.fit.gravity import GravitySettings, gravity_of
from meshrec.fit.stature import LEAST, MOST, with_stature
from meshrec.geometry import Camera
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.track import Track
from meshrec.regress.focal_lengths import load_focal_network
from meshrec.regress.weights import NONE, load_regressor, regressor_name

if TYPE_CHECKING:
    from meshrec.files.clips import Clip
    from meshrec.geometry.calibrated_cameras import Calibration
    from meshrec.reconstruct.clips import ClipSettings
    from meshrec.reconstruct.depth import DepthReconstructor

Regressor = Callable[[np.ndarray, Sequence[Detection], Camera], Initial]
FocalEstimator = Callable[[np.ndarray], float]
Picture = Photo | Image.Image | np.ndarray | bytes | str | os.PathLike
"""What stands for one photo; :func:`meshrec.files.as_photo` says more."""
FrameKeypoints = Sequence[Sequence[Detection] | np.ndarray | None]
"""The user's own keypoints (N, K, 3) or detections in each frame of a clip; None for nobody."""
_loading = threading.Lock()  # one thread loads the default detector, and the others wait for it


class Reconstructor:
    """Turns photos into people: ``people = Reconstructor()("photo.jpg")``. Keep it for several photos.

    Threads may share it, if the regressor and the detector allow it, as the shipped ones do. The same photo and
    arguments give bit for bit the same people, in whatever thread, order or process, as long as the machine, the
    installed versions and the number of threads that torch uses are the same.

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
        focal_network: Estimates the focal length of a photo whose file does not tell it, and of a clip by its first
            frame: the ``.safetensors`` file of a network for fields of view
            (:func:`meshrec.regress.focal_lengths.load_focal_network`), or any function of an image (H, W, 3) uint8 RGB
            that returns pixels. Default: such photos have a diagonal field of view of 55 degrees.

    Raises:
        InputError: There is no such body, device, regressor, detector or network for fields of view, or there is
            neither a regressor nor a fit.

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
        focal_network: FocalEstimator | str | Path | None = None,
    ) -> None:
        require_own_threads()
        self.body_name = str(body) if isinstance(body, str | Path) else "neutral" if body is None else ""
        own = load_body("neutral" if body is None else body)  # a new body, also of a BodyModel: it may be moved
        self.body = own.truncated(NUM_BETAS).to(usable_device(device))
        self.body_name = self.body_name or self.body.data.name
        self.regressor, name = _as_regressor(regressor, self.body)
        if self.regressor is None and not refine:
            raise InputError("without the fit a regressor is needed: one of them has to estimate the body.")
        self._detector = load_detector(detector) if isinstance(detector, str | Path) else detector
        self.fitter = Fitter(self.body) if refine else None
        self._depth: DepthReconstructor | None = None
        if isinstance(focal_network, str | Path):
            focal_network = load_focal_network(focal_network, self.body.v_template.device)
        self.focal_network = focal_network
        self.made_by = " + ".join([*([name] if name else []), *(["fit"] if refine else [])])

    @overload
    def __call__(
        self,
        photo: Picture,
        boxes: np.ndarray | None = None,
        keypoints: np.ndarray | Sequence[Detection] | None = None,
        focal: float | None = None,
        camera: Camera | None = None,
        height: float | Sequence[float] | np.ndarray | None = None,
    ) -> list[Person]: ...

    @overload
    def __call__(
        self,
        photo: list[Picture] | tuple[Picture, ...],
        boxes: Sequence[np.ndarray | None] | None = None,
        keypoints: Sequence[np.ndarray | Sequence[Detection] | None] | None = None,
        focal: float | Sequence[float | None] | None = None,
        camera: Camera | Sequence[Camera | None] | None = None,
        height: float | Sequence[float | Sequence[float] | None] | None = None,
    ) -> list[list[Person]]: ...

    def __call__(
        self,
        photo: Any,
        boxes: Any = None,
        keypoints: Any = None,
        focal: Any = None,
        camera: Any = None,
        height: Any = None,
    ) -> list[Person] | list[list[Person]]:
        """Reconstruct the people in a photo, or in each of several.

        Args:
            photo: A file or its content, a Pillow image, or an array: gray (H, W) or (H, W, 1), RGB (H, W, 3) or RGBA
                (H, W, 4), of uint8 or of floats in [0, 1]. Or a list of photos, for each of which the other arguments
                have an entry in a list; a focal length or camera may be that of all.
            boxes: (N, 4) x0, y0, x1, y1 in photo pixels. If given, only the people in these boxes are reconstructed;
                boxes that show nobody are left out.
            keypoints: (N, K, 3) x, y in photo pixels and confidence, in a layout of :mod:`meshrec.detect.layouts`, such
                as COCO (K = 17), OpenPose (25 or 18), MediaPipe (33) or Halpe (26 or 136); or detections. If given, no
                detector is needed.
            focal: Focal length in pixels. Default: that of the photo's EXIF data, else the estimate of
                ``focal_network``, else one that gives a diagonal field of view of 55 degrees.
            camera: The photo's camera, instead of ``focal``.
            height: Stature of everyone in metres, or (N,) of each person in the order of the result. It settles how far
                away people are. Default: what the photo suggests.

        Returns:
            People in camera space. Without boxes or keypoints everyone found, highest score of the detection first;
            otherwise one for each box or set of keypoints, in their order. The list is empty if there are none. Of a
            list of photos, a list for each.

        Raises:
            InputError: The photo cannot be read, or boxes, keypoints, focal, camera or height do not fit it.
            MeshrecError: This process was forked from one that has used meshrec; use ``spawn``.
        """
        require_own_threads()
        if isinstance(photo, list | tuple):
            others = [_each(value, len(photo)) for value in (boxes, keypoints, focal, camera, height)]
            return [self(*one) for one in zip(photo, *others)]
        if height is not None:
            require_height(height)
        photo = as_photo(photo)
        camera = photo_camera(photo, focal, camera, self.focal_network)
        people = self._find(photo, boxes, keypoints)
        if height is not None and np.ndim(height) and len(people) not in (0, len(height)):
            who = "1 person" if len(people) == 1 else f"{len(people)} people"
            raise InputError(f"{photo.path}: {len(height)} heights for {who}: give one, or one a person.")
        return self.embody(photo.image, people, camera, height) if people else []

    def _find(
        self, photo: Photo, boxes: np.ndarray | None, keypoints: np.ndarray | Sequence[Detection] | None
    ) -> list[Detection]:
        if boxes is not None and keypoints is not None:
            raise InputError("give boxes or keypoints, not both: keypoints already tell where people are.")
        size = photo.image.shape[1], photo.image.shape[0]
        if keypoints is not None:
            return people_in_photo(as_detections(keypoints, size), size, photo.path)
        if boxes is not None:
            boxes = boxes_in_photo(boxes, size, photo.path)
            if not len(boxes):
                return []
        return [person for person in self.detector(photo.image, boxes) if person.score > 0]

    def depth(
        self,
        depth_map: np.ndarray | str | os.PathLike,
        focal: float | None = None,
        camera: Camera | None = None,
        boxes: np.ndarray | None = None,
        unit: float | None = None,
    ) -> list[Person]:
        """Reconstruct the person in a map of a depth camera, or the one in each box; distances are the map's.

        Neither the regressor nor the detector takes part.

        Args:
            depth_map: A 16-bit PNG or TIFF, a 32-bit TIFF or a ``.npy`` file, or an array (H, W) of such numbers.
            focal: Focal length of the depth camera in pixels; or give ``camera``.
            camera: The map's camera.
            boxes: (N, 4) x0, y0, x1, y1 in pixels of the map, one person in each. Default: one person is searched for.
            unit: Metres per unit. Default: whole numbers are millimetres, others metres.

        Returns:
            People in camera space, in the order of the boxes; those of boxes that show nobody are left out.

        Raises:
            InputError: The map or the camera is wrong, or nobody is found in a map without boxes.
        """
        from meshrec.files.depth_maps import as_depth, read_depth
        from meshrec.reconstruct.depth import DepthReconstructor, depth_camera

        require_own_threads()
        if isinstance(depth_map, np.ndarray):
            name, depth = "depth map", as_depth(depth_map, unit)
        else:
            name, depth = os.fspath(depth_map), read_depth(Path(depth_map), unit).depth
        seen_by = depth_camera(depth, focal, camera, name)
        if boxes is not None:
            boxes = boxes_in_photo(boxes, seen_by.size, Path(name))
        with _loading:
            if self._depth is None:
                self._depth = DepthReconstructor(self.body, self.body_name)
        return self._depth(depth, seen_by, boxes, name)

    @property
    def detector(self) -> Detector:
        """The detector, which is loaded when it is first needed."""
        if self._detector is None:
            with _loading:
                self._detector = self._detector or load_detector()
        return self._detector

    def embody(
        self,
        image: np.ndarray,
        found: Sequence[Detection],
        camera: Camera,
        height: float | Sequence[float] | np.ndarray | None = None,
    ) -> list[Person]:
        """Bodies of people who are detected already; what a call does once it has found them.

        Args:
            image: (H, W, 3) uint8 RGB.
            found: N people, at least one, photo pixels, with keypoints of one joint set.
            camera: Camera of the photo.
            height: Stature of everyone, or (N,) statures, metres. Default: not known.

        Returns:
            One person a detection, in their order.
        """
        require_own_threads()
        initial = self.regressor(image, found, camera) if self.regressor else None
        if self.fitter:
            bodies = [vars(fit) for fit in self.fitter(found, camera, initial)]
        else:
            assert initial is not None
            state = initial.state
            rows = zip(state.rotations, state.translation, state.betas, found)
            bodies = [{"rotations": r, "translation": t, "betas": b, "score": f.score} for r, t, b, f in rows]
        if height is not None:
            bodies = self._with_heights(bodies, height)
        people = [
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
        return _with_gravity(people, GravitySettings() if height is None else GravitySettings(stature=0.0))

    def _with_heights(
        self, bodies: list[dict[str, Any]], height: float | Sequence[float] | np.ndarray
    ) -> list[dict[str, Any]]:
        """Bodies, as the fields of a person, with the given statures."""
        fields = ("rotations", "translation", "betas")
        state = BodyState(*(torch.from_numpy(np.stack([body[name] for body in bodies])).double() for name in fields))
        model = self.body if self.body.v_template.device.type == "cpu" else copy(self.body).cpu()
        state = with_stature(model, state, torch.as_tensor(np.broadcast_to(height, len(bodies)).copy()))
        changed = [
            body | {"translation": translation.numpy(), "betas": betas.numpy()}
            for body, translation, betas in zip(bodies, state.translation, state.betas)
        ]
        for body in changed:  # what the photo leaves open once the stature is known
            if (known := body.get("shape_covariance")) is not None:
                left = covariance_given_stature(model, torch.from_numpy(body["betas"]), torch.from_numpy(known))
                body["shape_covariance"] = left.numpy()
        return changed

    def clip(
        self,
        source: Any,
        calibration: Calibration | str | Path | None = None,
        *,
        fps: float | None = None,
        stride: int = 1,
        start: float | None = None,
        end: float | None = None,
        keypoints: FrameKeypoints | Mapping[str, FrameKeypoints] | None = None,
        focal: float | None = None,
        camera: Camera | None = None,
        height: float | Sequence[float] | np.ndarray | None = None,
        people: int | None = None,
        smooth: float = 0.5,
        static_camera: bool = False,
        offsets: Mapping[str, float] | str | None = None,
    ) -> list[Track]:
        """Reconstruct the people in a clip: each is followed through the frames, with one shape and a smooth motion.

        Args:
            source: A video file, an animated GIF, WebP or PNG, a folder of frames, or an iterable of frames, (H, W, 3)
                uint8 RGB, with ``fps``. Frames are decoded one by one. Of several cameras, a mapping of such clips, or
                of :func:`meshrec.files.open_clip`, by name of the camera in the calibration; some may be missing.
            calibration: The cameras of a mapping of clips, or a file of them, as :meth:`cameras` takes it, also
                ``"auto"``; ``focal`` and ``height`` are then those of all cameras and of everyone, if they are known.
            fps: Frames per second to which a file is resampled (default: its own), or at which frames were taken.
            stride: Every so many frames one is used.
            start: Seconds at which to begin. Default: at the clip's begin.
            end: Seconds at which to end. Default: at the clip's end.
            keypoints: For each frame that is used, (N, K, 3) keypoints or detections, as a call takes them. If given,
                no detector is needed. Of several cameras, a mapping by name of the camera.
            focal: Focal length of the first frame in pixels. Default: the estimate of ``focal_network``, else a
                diagonal field of view of 55 degrees.
            camera: The camera of the first frame, instead of ``focal``.
            height: Stature of everyone in metres, or of each person in the order of the result. Default: what the clip
                suggests.
            people: Number of people to keep: those seen longest and largest. Default: everyone.
            smooth: How smooth motions are, from 0 for each frame alone to 1.
            static_camera: Whether the camera is known to stand still. By default its rotation and zoom are found from
                the background. Several cameras stand still.
            offsets: Of several cameras, by name seconds to add to a camera's times to get those of the others, default
                0; or "auto": they are found from the motion of the people.

        Returns:
            A track for each person, those seen longest and largest first; empty if nobody is found. Those of several
            cameras are in the level world, as people of :meth:`cameras` are, at the instants that the cameras share.

        Raises:
            InputError: The clip cannot be read, or an argument does not fit it.
        """
        from meshrec.reconstruct.clips import ClipSettings, reconstruct_clip

        settings = ClipSettings(start, end, stride, fps, people, smooth, static_camera)
        if isinstance(source, Mapping):
            from meshrec.reconstruct.camera_clips import reconstruct_camera_clips

            if calibration is None:
                raise InputError('the clips of several cameras need their calibration, or "auto" if there is none.')
            if isinstance(calibration, str) and calibration == "auto":
                return self._uncalibrated_clips(source, settings, keypoints, offsets, height, focal, camera)
            if focal is not None or camera is not None or height is not None:
                raise InputError("focal, camera and height have no meaning with a calibration, which tells sizes.")
            if keypoints is not None and not isinstance(keypoints, Mapping):
                raise InputError("the keypoints of several cameras are a mapping by the names of the cameras.")
            known = _as_calibration(calibration)
            return reconstruct_camera_clips(self, source, known, settings, keypoints, offsets)
        if calibration is not None or offsets is not None or isinstance(keypoints, Mapping):
            raise InputError("a calibration, offsets and keypoints by camera are for a mapping of several clips.")
        return reconstruct_clip(self, source, settings, keypoints, focal, camera, height)

    def _uncalibrated_clips(
        self,
        source: Mapping[str, Any],
        settings: ClipSettings,
        keypoints: FrameKeypoints | Mapping[str, FrameKeypoints] | None,
        offsets: Mapping[str, float] | str | None,
        height: float | Sequence[float] | np.ndarray | None,
        focal: float | None,
        camera: Camera | None,
    ) -> list[Track]:
        """What :meth:`clip` does with the clips of several cameras without calibration."""
        from meshrec.reconstruct.uncalibrated_clips import reconstruct_uncalibrated_clips

        if camera is not None:
            raise InputError("with several cameras without calibration, give a focal length, and no camera.")
        if height is not None and np.ndim(height):
            raise InputError("several cameras without calibration take one height, that of everyone.")
        if keypoints is not None and not isinstance(keypoints, Mapping):
            raise InputError("the keypoints of several cameras are a mapping by the names of the cameras.")
        tall = None if height is None else float(height)  # type: ignore[arg-type]
        return reconstruct_uncalibrated_clips(self, source, settings, keypoints, offsets, tall, focal)[0]

    def cameras(
        self,
        images: Mapping[str, Picture],
        calibration: Calibration | str | Path,
        keypoints: Mapping[str, np.ndarray | Sequence[Detection]] | None = None,
        height: float | None = None,
    ) -> list[Person]:
        """Reconstruct the people in pictures that several cameras took at one instant.

        Args:
            images: By name of the camera in the calibration, its picture. Some cameras may be missing.
            calibration: The cameras, or a file of them as :func:`meshrec.geometry.calibration_files.read_calibration`
                reads it. Lens distortion is removed first. ``"auto"``: there is no calibration, and the cameras are
                found from the people (:mod:`meshrec.reconstruct.uncalibrated`, which also returns the cameras).
            keypoints: By name of the camera, (N, K, 3) keypoints in pixels of its picture or detections, as a call
                takes them. If given, no detector is needed.
            height: With ``"auto"`` the stature of everyone in metres. Default: what the pictures suggest.

        Returns:
            The people, those in most cameras first, in the calibration's world, whose axes are turned so that it is
            level: x right, y down, z forward (:mod:`meshrec.reconstruct.cameras`). Files of meshes have y up.

        Raises:
            InputError: A picture cannot be read or does not belong to its camera, or the calibration is wrong.
        """
        if isinstance(calibration, str) and calibration == "auto":
            from meshrec.reconstruct.uncalibrated import people_and_cameras

            return [seen.person for seen in people_and_cameras(self, images, keypoints, height)[0]]
        if height is not None:
            raise InputError("a height has no meaning with a calibration, which tells sizes; leave it out.")
        from meshrec.reconstruct.cameras import reconstruct_cameras

        return reconstruct_cameras(self, images, _as_calibration(calibration), keypoints)


def _as_calibration(calibration: Calibration | str | Path) -> Calibration:
    """A calibration as it is, or that of a file."""
    from meshrec.geometry.calibrated_cameras import Calibration
    from meshrec.geometry.calibration_files import read_calibration

    return calibration if isinstance(calibration, Calibration) else read_calibration(calibration)


def require_height(height: float | Sequence[float] | np.ndarray) -> None:
    """Refuse statures that nobody has.

    Raises:
        InputError: One is not a number of metres from 0.3 to 2.6.
    """
    for metres in np.atleast_1d(np.asarray(height, dtype=object)).tolist():
        if not (isinstance(metres, int | float) and LEAST <= metres <= MOST):  # false for NaN
            raise InputError(f"a height must be a number of metres from {LEAST} to {MOST}, not {metres}.")


def _with_gravity(people: list[Person], settings: GravitySettings) -> list[Person]:
    """Everyone in a photo with the direction of gravity in it."""
    joints = np.stack([p.joints() for p in people])
    deviations = [p.joint_deviation for p in people if p.joint_deviation is not None]
    gravity = gravity_of(joints, np.stack(deviations) if deviations else None, settings)
    return [replace(p, gravity=gravity.direction, gravity_deviation=gravity.deviation) for p in people]


def clip_camera(
    clip: Clip, focal: float | None, camera: Camera | None, name: str, estimate: FocalEstimator | None = None
) -> Camera:
    """Choose the camera of a clip's first frame.

    Args:
        clip: The clip.
        focal: Focal length in pixels. Default: an estimate, else one that gives a diagonal field of view of 55 degrees.
        camera: The camera, instead of ``focal``.
        name: Name of the clip, for messages.
        estimate: Estimates the focal length from the first frame.

    Raises:
        InputError: As for :func:`photo_camera`.
    """
    known = None
    if estimate is not None and focal is None and camera is None and (first := clip.first()) is not None:
        known = estimate(first.image)
    return _camera(clip.size, name, known, focal, camera)


def photo_camera(
    photo: Photo, focal: float | None = None, camera: Camera | None = None, estimate: FocalEstimator | None = None
) -> Camera:
    """Choose the camera of a photo.

    Args:
        photo: The photo.
        focal: Focal length in pixels. Default: that of the photo's EXIF data, which tells of the lens itself, else an
            estimate, else one that gives a diagonal field of view of 55 degrees.
        camera: The camera, instead of ``focal``.
        estimate: Estimates the focal length from the picture.

    Returns:
        The camera that is given, or one with this focal length.

    Raises:
        InputError: The camera has another picture size, both are given, or the focal length is not a positive number of
            pixels with which a camera could have taken the photo.
    """
    known = photo.focal_px
    if estimate is not None and known is None and focal is None and camera is None:
        known = estimate(photo.image)
    return _camera((photo.image.shape[1], photo.image.shape[0]), photo.path, known, focal, camera)


def _camera(
    size: tuple[int, int], name: object, known: float | None, focal: float | None, camera: Camera | None
) -> Camera:
    """The camera that is given, else one with the given focal length, or the known one."""
    if camera is not None:
        if focal is not None:
            raise InputError("give a focal length or a camera, not both.")
        if camera.size != size:
            width, height = camera.size
            raise InputError(
                f"{name}: the pictures have {size[0]} x {size[1]} pixels, their camera {width} x {height}."
            )
        return camera
    if focal is not None and not (math.isfinite(focal) and focal > 0):
        raise InputError(f"the focal length must be a positive number of pixels, not {focal}.")
    focal = known if focal is None else float(focal)
    if focal is not None and not is_plausible(focal, size):
        raise InputError(
            f"{name}: a focal length of {focal:g} pixels would be a field of view of "
            f"{field_of_view(focal, size):.3g} degrees; give it in pixels, not in millimetres (1 mm of a 35 mm camera "
            f"is {math.hypot(*size) / FILM_DIAGONAL:.3g} pixels here)."
        )
    return Camera.from_fov(size) if focal is None else Camera(float(focal), size=size)


def as_detections(keypoints: np.ndarray | Sequence[Detection], size: tuple[int, int]) -> list[Detection]:
    """Detections as they are, or those of keypoints (N, K, 3) in a picture of size (W, H).

    Raises:
        InputError: The array is not one of keypoints.
    """
    if not isinstance(keypoints, np.ndarray):
        return list(keypoints)
    if keypoints.ndim != 3 or keypoints.shape[2] != 3:
        raise InputError(
            f"keypoints must have the shape (N, K, 3) with K one of {known_counts()}, not {keypoints.shape}."
        )
    try:
        layout = find_layout(keypoints.shape[1])
    except ValueError as error:
        raise InputError(f"an array of keypoints must have {error}, or be given as detections.") from None
    rows = keypoints[:, : layout.used].astype(np.float32)
    rows[..., 2] = as_confidence(rows[..., 2])
    if not np.isfinite(rows).all():
        raise InputError("keypoints must be finite, with confidences from 0 to 1; give a missing one the confidence 0.")
    return [Detection(keypoint_box(row, size), row, layout.joints, float(row[:, 2].mean())) for row in rows]


def _each(value: Any, count: int) -> list[Any]:
    """An argument for each of several photos: a list has an entry for each, anything else is that of all."""
    if isinstance(value, list | tuple):
        if len(value) != count:
            raise InputError(f"there are {count} photos, but a list of boxes, keypoints or cameras has {len(value)}.")
        return list(value)
    if isinstance(value, np.ndarray):
        raise InputError("for a list of photos, boxes and keypoints must be lists with an entry for each photo.")
    return [value] * count


def _as_regressor(regressor: Regressor | str | Path | None, body: BodyModel) -> tuple[Regressor | None, str]:
    """The regressor and its name; None and "" for no regressor."""
    if callable(regressor):
        return regressor, getattr(regressor, "__name__", type(regressor).__name__)
    name = regressor_name(regressor)
    return (None, "") if name == NONE else (load_regressor(name, body), Path(name).stem)
