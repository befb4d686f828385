"""MediaPipe's pose networks as a small function: image in, poses out. The only file that imports mediapipe."""

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

from meshrec.errors import InputError

MISSING = 'finding people needs MediaPipe: pip install "meshrec[detect]", or give keypoints of your own.'
NO_NETWORKS = (
    "MediaPipe {version} carries no pose networks: name a pose_landmarker .task file, or install mediapipe 0.10.21."
)
# The wheel's networks, their names inside a .task bundle, and the mean and deviation their input is scaled by.
NETWORKS = (
    ("pose_detection/pose_detection.tflite", "pose_detector.tflite", 127.5, 127.5),
    ("pose_landmark/pose_landmark_full.tflite", "pose_landmarks_detector.tflite", 0.0, 255.0),
)
LEAST_PRESENCE = 0.1  # of a pose; what has been computed is judged by who asked for it
# Lines of no use to a user: information and warnings of glog, absl and TensorFlow Lite.
NOISE = re.compile(rb"^([IW]\d{4} |INFO: |WARNING: All log messages before absl)")


@dataclass(frozen=True)
class Pose:
    """One pose in the coordinates of the image that was shown to the network.

    Attributes:
        keypoints: (33, 3) x, y in pixels, visibility in [0, 1].
        world: (33, 3) metres, hips at the origin.
        mask: (H, W) float32 in [0, 1], or None.
    """

    keypoints: np.ndarray
    world: np.ndarray
    mask: np.ndarray | None


class PoseNetwork:
    """MediaPipe's PoseLandmarker for single images. Threads may share it: each takes a copy of its own meanwhile.

    Args:
        model: Bytes of a .task bundle.
        max_poses: Most people found in one image.
        masks: Whether to compute masks.
        confidence: Least confidence of the person detector; each person it finds costs a run of the larger network.
    """

    def __init__(self, model: bytes, max_poses: int, masks: bool, confidence: float) -> None:
        mediapipe = import_mediapipe()
        vision = mediapipe.tasks.vision
        options = vision.PoseLandmarkerOptions(
            base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=model),
            num_poses=max_poses,
            min_pose_detection_confidence=confidence,
            min_pose_presence_confidence=LEAST_PRESENCE,
            output_segmentation_masks=masks,
        )
        self._create = lambda: vision.PoseLandmarker.create_from_options(options)
        self._image = lambda pixels: mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        self._idle: SimpleQueue[_Copy] = SimpleQueue()
        self._idle.put(self._copy())

    def __call__(self, image: np.ndarray) -> list[Pose]:
        """Poses of the people in an (H, W, 3) uint8 RGB image."""
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
        """Give back the networks' memory and threads."""
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
    """A landmarker, used by one thread at a time; its graph warns once, when it first meets a person."""

    landmarker: Any
    talkative: bool = True


def import_mediapipe() -> Any:
    """The mediapipe module, or an InputError that says how to get it working."""
    try:
        with quiet_stderr():
            import mediapipe
    except ModuleNotFoundError as error:
        raise InputError(MISSING) from error
    except ImportError as error:
        if ".so" not in str(error):
            raise
        raise InputError(
            f"MediaPipe needs a system library that is missing ({error}); "
            "on Debian or Ubuntu: apt install libgl1 libglib2.0-0 libegl1 libgles2."
        ) from error
    return mediapipe


def load_model(path: str | Path | None = None) -> bytes:
    """The pose model as bytes of a .task bundle.

    Args:
        path: A pose_landmarker .task file; None takes the networks that MediaPipe's wheel carries (up to 0.10.21).

    Raises:
        InputError: There is none.
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
    """The two networks in MediaPipe's wheel.

    Raises:
        InputError: MediaPipe or they are missing.
    """
    mediapipe = import_mediapipe()
    modules = Path(mediapipe.__file__).parent / "modules"
    paths = [modules / name for name, *_ in NETWORKS]
    if not all(path.is_file() for path in paths):
        raise InputError(NO_NETWORKS.format(version=mediapipe.__version__))
    return paths


def bundle_from_wheel() -> bytes:
    """The wheel's two networks as a .task bundle, which adds how their input is scaled.

    The legacy graphs keep that scaling in their own code; the Tasks API reads it from metadata in the file.
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
    """Drop the information and warning lines that native code writes to stderr; everything else passes.

    Native libraries write to file descriptor 2 past Python, so that is what is redirected, for the whole
    process: one thread at a time.
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
