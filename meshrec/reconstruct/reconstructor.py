"""People from a photo: they are detected, and a body is estimated for each and fitted to the detection."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from meshrec.compiled.threads import require_own_threads
from meshrec.detect import Detection
from meshrec.detect.inputs import boxes_in_photo, people_in_photo
from meshrec.errors import InputError
from meshrec.files import Photo, as_photo
from meshrec.geometry import Camera
from meshrec.reconstruct.body_estimator import BodyEstimator
from meshrec.reconstruct.given import FrameKeypoints, Picture, as_calibration, as_detections, for_each, require_height
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.photo_cameras import photo_camera
from meshrec.reconstruct.track import Track

if TYPE_CHECKING:
    from meshrec.geometry.calibrated_cameras import Calibration
    from meshrec.reconstruct.clips import ClipSettings
    from meshrec.reconstruct.depth import DepthReconstructor


class Reconstructor(BodyEstimator):
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
            others = [for_each(value, len(photo)) for value in (boxes, keypoints, focal, camera, height)]
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
        from meshrec.reconstruct.depth import depth_camera

        require_own_threads()
        if isinstance(depth_map, np.ndarray):
            name, depth = "depth map", as_depth(depth_map, unit)
        else:
            name, depth = os.fspath(depth_map), read_depth(Path(depth_map), unit).depth
        seen_by = depth_camera(depth, focal, camera, name)
        if boxes is not None:
            boxes = boxes_in_photo(boxes, seen_by.size, Path(name))
        return self._depth(depth, seen_by, boxes, name)

    @cached_property
    def _depth(self) -> DepthReconstructor:
        from meshrec.reconstruct.depth import DepthReconstructor

        return DepthReconstructor(self.body, self.body_name)

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
            known = as_calibration(calibration)
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

        return reconstruct_cameras(self, images, as_calibration(calibration), keypoints)
