"""Files of tracks: what animations hold, and in ``.npz`` and ``.json`` everything else that is known.

An ``.npz`` has the keys of AMASS (:mod:`meshrec.motion.amass`: ``poses``, ``trans``, ``betas``, ``gender`` and
``mocap_framerate``, z up in the world) and those below; a ``.json`` has those below, ``null`` for what is not known.
Values are in the camera space of each frame (x right, y down, z forward), metres, radians and pixels.

========================  ============================================================================================
key                       value
========================  ============================================================================================
track_schema, _version    ``"meshrec.track"``, 1
body_name, body_hash      the body that betas and pose belong to
made_by                   what estimated the bodies
number, scene             the track's number, and that of its scene, in its clip
frame_rate                frames per second; the average where ``times`` are not even. ``poses`` and ``trans`` are then
                          interpolated at this rate, and may be more or fewer than the frames
camera_focal, _center,    [2] each: the first frame's focal lengths, principal point, and picture size, pixels
_size
betas                     [n]
gravity                   [3] unit vector in the world, the camera space of the scene's first frame
gravity_deviation         [2] standard deviations of its pitch and roll
frames, times             [T] numbers of the frames in the clip, and seconds
pose                      [T][24][3] axis-angle, the first one global
translation               [T][3] added to the posed body
turns                     [T][3] axis-angle of the rotation from the world to each frame's camera
zooms                     [T] focal lengths over that of the first frame
seen                      [T] whether the detector saw the person
scores, boxes             [T], [T][4]
reprojection_errors       [T] shares of the box's longer side
mask_ious                 [T]
keypoints_2d              [T][K][3] x, y and confidence of the ``keypoint_names``
joint_deviations          [T][24] standard deviations relative to the pelvis
contacts                  [T][4] whether left heel, left toes, right heel and right toes stand
========================  ============================================================================================
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.errors import InputError
from meshrec.export import ANIMATION_SUFFIXES, Animation, animation_arrays, write_animation
from meshrec.files.atomic import known_suffix, write_file
from meshrec.files.json_text import parse_json
from meshrec.files.npz import checked_text, read_npz
from meshrec.files.regular import read_regular
from meshrec.geometry import Camera, axis_angle_to_matrix, matrix_to_axis_angle
from meshrec.reconstruct.person import matching_body
from meshrec.reconstruct.track import Track

SCHEMA, VERSION = "meshrec.track", 1
MOST_BYTES = 4 << 30  # unpacked
OPTIONAL = (
    "boxes",
    "scores",
    "reprojection_errors",
    "mask_ious",
    "keypoints_2d",
    "joint_deviations",
    "contacts",
    "gravity",
    "gravity_deviation",
)
PLAIN = ("betas", "frames", "times", "translation", "zooms", "seen")


def write_track(path: str | os.PathLike, track: Track, animation: Animation) -> None:
    """Write a track; the suffix chooses the format, as :meth:`Track.save` says."""
    suffix = known_suffix(path, (*ANIMATION_SUFFIXES, ".json"))
    if suffix == ".npz":
        stream = io.BytesIO()
        np.savez_compressed(stream, **(animation_arrays(animation) | track_fields(track)))
        write_file(path, stream.getvalue())
    elif suffix == ".json":
        # One array after the other: as Python's numbers they take ten times the memory.
        fields = track_fields(track).items()
        lines = (f"{json.dumps(key)}: {json.dumps(_plain(value), allow_nan=False)}" for key, value in fields)
        write_file(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
    else:
        write_animation(path, animation)


def read_track(path: str | os.PathLike, body: str | Path | BodyModel | None = None) -> Track:
    """Read a ``.npz`` or ``.json`` of :func:`write_track`.

    Raises:
        InputError: The file or the body cannot be read, or the betas belong to another body.
    """
    path = Path(path)
    suffix = known_suffix(path, (".npz", ".json"))
    try:
        fields = read_npz(path, most_bytes=MOST_BYTES) if suffix == ".npz" else _json_fields(path)
        return _track(path, fields, body)
    except KeyError as error:
        raise InputError(f"{path}: this is no track of meshrec; {error.args[0]} is missing.") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}.") from error


def track_fields(track: Track) -> dict[str, np.ndarray]:
    """A track as arrays; the module's table describes them."""
    fields: dict[str, Any] = {
        "track_schema": SCHEMA,
        "track_version": VERSION,
        "body_name": track.body_name,
        "body_hash": track.body.hash,
        "made_by": track.made_by,
        "number": track.number,
        "scene": track.scene,
        "frame_rate": track.frame_rate,
        "pose": _axis_angle(track.rotations),
        "turns": _axis_angle(track.turns),
        "keypoint_names": np.array(track.keypoint_names, str),
        **{name: getattr(track, name) for name in PLAIN},
    }
    if track.camera is not None:
        camera = track.camera
        fields |= {"camera_focal": camera.focal, "camera_center": camera.center, "camera_size": camera.size}
    fields |= {name: value for name in OPTIONAL if (value := getattr(track, name)) is not None}
    return {name: np.asarray(value) for name, value in fields.items()}


def _track(path: Path, fields: Mapping[str, np.ndarray], body: str | Path | BodyModel | None) -> Track:
    if _text(fields, "track_schema") != SCHEMA:
        raise ValueError(f"its track_schema should be {SCHEMA}")
    if int(fields["track_version"]) > VERSION:
        raise ValueError(f"version {fields['track_version']} is newer than {VERSION}; update meshrec")
    name, digest = _text(fields, "body_name"), _text(fields, "body_hash")
    model = matching_body(path, name, digest, len(fields["betas"]), body)
    camera = None
    if "camera_focal" in fields:
        width, height = (int(side) for side in fields["camera_size"])
        camera = Camera(fields["camera_focal"].tolist(), fields["camera_center"].tolist(), (width, height))
    return Track(
        model,
        rotations=_matrices(fields["pose"]),
        turns=_matrices(fields["turns"]),
        frame_rate=float(fields["frame_rate"]),
        camera=camera,
        keypoint_names=tuple(checked_text(fields["keypoint_names"], "keypoint_names").tolist()),
        number=int(fields["number"]),
        scene=int(fields.get("scene", 0)),
        body_name=name,
        made_by=_text(fields, "made_by"),
        **{key: fields[key] for key in PLAIN},
        **{key: fields[key] for key in OPTIONAL if key in fields},
    )


def _json_fields(path: Path) -> dict[str, np.ndarray]:
    try:
        document = parse_json(read_regular(path, MOST_BYTES))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    if not isinstance(document, dict):
        raise ValueError("it should hold an object")
    # In a list of numbers null is NaN, and means that a number is not known.
    fields = {key: np.array(value) for key, value in document.items() if value is not None}
    return {key: value.astype(float) if value.dtype == object else value for key, value in fields.items()}


def _text(fields: Mapping[str, np.ndarray], key: str) -> str:
    value = fields[key]
    if value.shape != () or value.dtype.kind not in "US":
        raise ValueError(f"its {key} should be a text")
    return str(value)


def _plain(value: np.ndarray) -> Any:
    """Lists, texts and Python's numbers; None for NaN."""
    if value.dtype.kind != "f":
        return value.tolist()
    rounded = value.astype(np.float64).round(6)
    if np.isfinite(rounded).all():
        return rounded.tolist()
    known = rounded.astype(object)
    known[~np.isfinite(rounded)] = None
    return known.tolist()


def _axis_angle(matrices: np.ndarray) -> np.ndarray:
    return matrix_to_axis_angle(torch.from_numpy(matrices)).numpy()


def _matrices(axis_angle: np.ndarray) -> np.ndarray:
    return axis_angle_to_matrix(torch.from_numpy(np.asarray(axis_angle, np.float32))).numpy()
