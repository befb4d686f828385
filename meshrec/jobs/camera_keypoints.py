"""The user's own keypoints of several cameras: a file or folder of each, or one of all."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from meshrec.detect import Detection
from meshrec.detect.inputs import found_in_frames, read_keypoints
from meshrec.errors import InputError
from meshrec.files.names import natural_key
from meshrec.files.still_frames import frames_in
from meshrec.jobs.camera_records import names_in
from meshrec.jobs.settings import Settings


def keypoints_of_clips(files: Mapping[str, Path], settings: Settings) -> dict[str, dict[int, list[Detection]]]:
    """The user's keypoints by name of the camera and number of the frame.

    Args:
        files: The clips by name of the camera.
        settings: Settings of the run, with keypoints.

    Returns:
        Detections in pixels of the clips' pictures; frames that are not named are missing.

    Raises:
        InputError: They cannot be read, or those of a camera are missing.
    """
    assert settings.keypoints is not None
    parts = keypoint_parts(settings.keypoints, list(files))
    found = {}
    for name, clip in files.items():
        evidence = read_keypoints(parts[name] if parts else settings.keypoints, settings.keypoint_layout)
        found[name] = found_in_frames(evidence, clip, frames_in(clip) if clip.is_dir() else [])
        if not found[name]:
            raise InputError(f"{parts[name] if parts else settings.keypoints} names no frames of {clip}.")
    return found


def keypoint_parts(path: Path, names: Sequence[str]) -> dict[str, Path]:
    """Which sub-folder or file of a folder has the keypoints of which camera.

    Args:
        path: A folder with a sub-folder or a JSON file for each camera, whose names are in theirs, or which are in
            their order; or anything else that :func:`meshrec.detect.inputs.read_keypoints` reads.
        names: Names of the cameras.

    Returns:
        Sub-folder or file by name of the camera; empty if the folder is not divided by cameras.

    Raises:
        InputError: A camera has none.
    """
    if not path.is_dir():
        return {}
    entries = sorted((p for p in path.iterdir() if not p.name.startswith(".")), key=lambda p: natural_key(p.name))
    parts = [entry for entry in entries if entry.is_dir()]
    if not parts:
        parts = [entry for entry in entries if entry.suffix == ".json"]
        if not all(names_in(entry, names) for entry in parts) or len(parts) > len(names):
            return {}  # a file for each photo or frame
    chosen = {name: entry for entry in parts if (name := names_in(entry, names)) is not None}
    if not chosen and len(parts) == len(names):
        chosen = dict(zip(names, parts))
    if missing := [name for name in names if name not in chosen]:
        raise InputError(f"{path}: there are no keypoints of camera {missing[0]}; name its sub-folder after it.")
    return chosen


def digest_of(found: Mapping[str, Mapping[int, Sequence[Detection]]]) -> str:
    """A short text that is another for other keypoints."""
    digest = hashlib.sha256()
    for name, frames in found.items():
        for number, people in frames.items():
            digest.update(f"{name} {number}".encode())
            for person in people:
                digest.update(person.keypoints.tobytes() + person.joint_set.encode())
    return digest.hexdigest()[:16]
