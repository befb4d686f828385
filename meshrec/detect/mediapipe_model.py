"""MediaPipe's pose networks as a function from a picture to poses. No other module imports mediapipe."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from meshrec.errors import InputError, MissingDependency

MISSING = 'finding people needs MediaPipe: pip install "meshrec[detect]", or give keypoints of your own.'
NO_NETWORKS = (
    "MediaPipe {version} contains no pose networks: name a pose_landmarker .task file, or install mediapipe 0.10.21."
)
# The networks in MediaPipe's wheel: file, name inside a .task bundle, and the mean and standard deviation by which
# pixel values are normalised.
NETWORKS = (
    ("pose_detection/pose_detection.tflite", "pose_detector.tflite", 127.5, 127.5),
    ("pose_landmark/pose_landmark_full.tflite", "pose_landmarks_detector.tflite", 0.0, 255.0),
)
# Information and warnings of glog, absl and TensorFlow Lite, which are of no use to the user.
NOISE = re.compile(rb"^([IW]\d{4} |INFO: |WARNING: All log messages before absl)")


@dataclass(frozen=True)
class Pose:
    """One pose in the coordinates of the picture that was shown to the network.

    Attributes:
        keypoints: (33, 3) landmarks of ``mediapipe33``: x, y in pixels and visibility in [0, 1].
        world: (33, 3) the same landmarks in space as the network estimates them, metres, origin between the hips.
        mask: (H, W) float32 probability of the person at each pixel, or None if masks are not computed.
    """

    keypoints: np.ndarray
    world: np.ndarray
    mask: np.ndarray | None


class PoseNetwork:
    """MediaPipe's PoseLandmarker for single pictures.

    Threads may share it: each call uses a copy of the landmarker that no other call is using, and makes one if needed.

    Args:
        model: Bytes of a .task bundle.
        max_poses: Most people found in one picture.
        masks: Whether to compute masks.
        confidence: Least confidence of the person detector, in [0, 1].
        presence: Least confidence of the landmark network that there is a pose, in [0, 1].

    Raises:
        InputError: MediaPipe cannot load the bundle.
        MissingDependency: MediaPipe is not installed.
    """

    def __init__(self, model: bytes, max_poses: int, masks: bool, confidence: float, presence: float) -> None:
        mediapipe = import_mediapipe()
        vision = mediapipe.tasks.vision
        options = vision.PoseLandmarkerOptions(
            base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=model),
            num_poses=max_poses,
            min_pose_detection_confidence=confidence,
            min_pose_presence_confidence=presence,
            output_segmentation_masks=masks,
        )
        self._create = lambda: vision.PoseLandmarker.create_from_options(options)
        self._image = lambda pixels: mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        self._idle: SimpleQueue[_Copy] = SimpleQueue()
        self._idle.put(self._copy())

    def __call__(self, image: np.ndarray) -> list[Pose]:
        """Find people.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            One pose for each person that MediaPipe finds.
        """
        try:
            copy = self._idle.get_nowait()
        except Empty:
            copy = self._copy()
        try:
            with quiet_stderr() if copy.talkative else contextlib.nullcontext():
                result = copy.landmarker.detect(self._image(np.ascontiguousarray(image)))
            copy.talkative = copy.talkative and not result.pose_landmarks
        finally:
            self._idle.put(copy)
        size = image.shape[1], image.shape[0]
        masks = result.segmentation_masks or [None] * len(result.pose_landmarks)
        return [
            Pose(
                np.array([(p.x * size[0] - 0.5, p.y * size[1] - 0.5, p.visibility) for p in points], np.float32),
                np.array([(p.x, p.y, p.z) for p in world], np.float32),
                None if mask is None else mask.numpy_view().squeeze().copy(),
            )
            for points, world, mask in zip(result.pose_landmarks, result.pose_world_landmarks, masks)
        ]

    def close(self) -> None:
        """Release the memory and threads of the networks."""
        while not self._idle.empty():
            self._idle.get().landmarker.close()

    def _copy(self) -> _Copy:
        try:
            with quiet_stderr():
                return _Copy(self._create())
        except (RuntimeError, ValueError) as error:
            raise InputError(f"MediaPipe cannot load the pose model ({_first_line(error)}).") from error


@dataclass
class _Copy:
    """A landmarker, used by one thread at a time.

    Attributes:
        landmarker: MediaPipe's PoseLandmarker.
        talkative: Whether it still has to write its warnings, which it does once, when it first finds a person.
    """

    landmarker: Any
    talkative: bool = True


def import_mediapipe() -> Any:
    """Import mediapipe without the lines that its libraries write to stderr.

    Returns:
        The module.

    Raises:
        MissingDependency: It or a system library that it needs is not installed. The message says how to install it.
    """
    try:
        with quiet_stderr():
            import mediapipe
    except ModuleNotFoundError as error:
        raise MissingDependency(MISSING) from error
    except ImportError as error:
        if ".so" not in str(error):
            raise
        raise MissingDependency(
            f"MediaPipe needs a system library that is missing ({error}); "
            "on Debian or Ubuntu: apt install libgl1 libglib2.0-0 libegl1 libgles2."
        ) from error
    return mediapipe


def load_model(path: str | Path | None = None) -> bytes:
    """Read a pose model.

    Args:
        path: A pose_landmarker .task file. Default: the networks in MediaPipe's wheel, which versions up to 0.10.21
            contain.

    Returns:
        Bytes of a .task bundle.

    Raises:
        InputError: There is no such file, or it is not a .task bundle.
        MissingDependency: MediaPipe is not installed, or its wheel does not contain the networks.
    """
    if path is None:
        return bundle_from_wheel()
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such pose model file.")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: this is not a MediaPipe .task file.")
    return path.read_bytes()


def find_networks() -> list[Path]:
    """Find the files of the two networks in MediaPipe's wheel.

    Returns:
        The person detector's and the landmark network's file.

    Raises:
        MissingDependency: MediaPipe is not installed, or its wheel does not contain them.
    """
    mediapipe = import_mediapipe()
    modules = Path(mediapipe.__file__).parent / "modules"
    paths = [modules / name for name, *_ in NETWORKS]
    if not all(path.is_file() for path in paths):
        raise MissingDependency(NO_NETWORKS.format(version=mediapipe.__version__))
    return paths


def bundle_from_wheel() -> bytes:
    """Pack the two networks of MediaPipe's wheel into a .task bundle, with metadata on how to normalise their input.

    The wheel's networks belong to the legacy graphs, whose code contains the normalisation. The Tasks API reads it from
    metadata in the file.

    Returns:
        Bytes of the bundle.

    Raises:
        MissingDependency: MediaPipe is not installed, or its wheel does not contain the networks.
    """
    paths = find_networks()
    from mediapipe.tasks.python.metadata.metadata_writers import metadata_writer, model_asset_bundle_utils

    members = {}
    for path, (_, member, mean, deviation) in zip(paths, NETWORKS):
        writer = metadata_writer.MetadataWriter.create(bytearray(path.read_bytes()))
        members[member] = bytes(writer.add_image_input([mean], [deviation]).populate()[0])
    bundle = io.BytesIO()
    model_asset_bundle_utils.create_model_asset_bundle(members, bundle)
    return bundle.getvalue()


_redirect = threading.RLock()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop the information and warning lines that native code writes to stderr; all other lines pass.

    Native libraries write to file descriptor 2 without Python's knowledge, so the descriptor itself is redirected. That
    concerns the whole process, so only one thread at a time can do it.
    """
    with _redirect, tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            for line in caught:
                if not NOISE.match(line):
                    os.write(2, line)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
