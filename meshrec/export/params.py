"""One person's parameters as a file: ``.json`` for people to read and edit, ``.npz`` for programs. Both hold the same.

JSON, schema ``meshrec.person``, version 1. Unknown keys are ignored; version grows when a meaning changes. All keys are
written; those that are optional may also be missing, and are null where nothing is known. Numbers are always finite.
``schemas/person.json`` says the same, and more, as a JSON Schema (:func:`meshrec.export.load_schema`).

==================  ==============================================================================================
key                 value
==================  ==============================================================================================
schema, version     ``"meshrec.person"``, 1
space               ``"camera, OpenCV: x right, y down, z forward; metres"``: the space of every 3D value
body                ``{"name", "hash"}`` of the body model that betas and pose belong to
camera              ``{"focal": [fx, fy], "center": [cx, cy], "size": [W, H]}`` of the whole photo, pixels; optional
betas               [n] shape coefficients
pose                [24][3] axis-angle, radians, in SMPL's joint order, the first one global
translation         [3] added to the posed body
box                 [4] x0, y0, x1, y1 in photo pixels; optional
made_by             what estimated the body, such as ``"keypoints + fit"``; optional
notes               reasons to distrust the body, sentences; optional, and not read back
score               confidence in [0, 1] that the body is right; optional
reprojection_error  mean distance of detected and projected landmarks over the box's longer side; optional
mask_iou            overlap of the body's outline with the person's mask in the photo; optional
keypoints_2d        ``{name: [x, y, confidence]}``, as detected, photo pixels; optional
joints_3d           ``{name: [x, y, z]}``; optional, as are the next three
joints_2d           ``{name: [u, v]}``, projections of ``joints_3d``, photo pixels; null if one is not before the camera
joint_deviation     ``{name: metres}``, standard deviation of each joint's position relative to the pelvis
joint_confidence    ``{name: confidence}``, the probability that the joint is within 10 cm of its true position
gravity             [3] unit vector in whose direction things fall, the same for everyone in a photo; optional
gravity_deviation   [2] standard deviations of gravity's pitch and roll, radians; optional
shape_covariance    [n][n] covariance of the errors of the betas; optional
==================  ==============================================================================================

An ``.npz`` holds arrays of the same names, except that body and camera are spread over ``body_name``, ``body_hash``,
``camera_focal``, ``camera_center`` and ``camera_size``, and that what JSON holds by name is one array beside
``keypoint_names`` or ``joint_names``.
"""

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.body.joints import NUM_JOINTS
from meshrec.errors import InputError
from meshrec.export.mesh import float_array, to_numpy
from meshrec.files.atomic import known_suffix, write_file
from meshrec.files.json_text import parse_json
from meshrec.files.npz import read_npz
from meshrec.files.regular import read_regular
from meshrec.geometry import Camera

PARAMETER_SUFFIXES = (".json", ".npz")
SCHEMA, VERSION = "meshrec.person", 1
SPACE = "camera, OpenCV: x right, y down, z forward; metres"

MOST_BYTES = 16 << 20  # of a file, packed or not; those of a person have some 20 kB
MOST_TEXT = 300  # characters of a name
LARGEST = 1e9  # radians, metres or pixels; computations with larger numbers overflow
OTHER_BODIES = {3 * 52: "SMPL-H", 3 * 55: "SMPL-X"}  # by the size of their poses, three numbers a joint

_SHAPES = {
    "betas": (None,),
    "pose": (NUM_JOINTS, 3),
    "translation": (3,),
    "box": (4,),
    "score": (),
    "reprojection_error": (),
    "mask_iou": (),
    "keypoints_2d": (None, 3),
    "joints_3d": (None, 3),
    "joints_2d": (None, 2),
    "joint_deviation": (None,),
    "joint_confidence": (None,),
    "gravity": (3,),
    "gravity_deviation": (2,),
    "shape_covariance": (None, None),
}
_REQUIRED = ("body_name", "body_hash", "betas", "pose", "translation")
_CAMERA = ("focal", "center", "size")
_NAMES = {
    "keypoints_2d": "keypoint_names",
    "joints_3d": "joint_names",
    "joints_2d": "joint_names",
    "joint_deviation": "joint_names",
    "joint_confidence": "joint_names",
}


@dataclass(frozen=True, eq=False)
class PersonParameters:
    """The content of a parameter file, described in the module's table. Camera space, metres, float32 arrays.

    Attributes:
        body_name, body_hash: The body model that betas and pose belong to.
        betas: (n,) shape coefficients.
        pose: (24, 3) axis-angle, radians.
        translation: (3,) metres, added to the posed body.
        camera: The camera of the whole photo.
        made_by: What estimated the body: the regressor's name, ``fit``, or both.
        box: (4,) x0, y0, x1, y1 in photo pixels.
        score: Confidence in [0, 1] that the body is right.
        reprojection_error, mask_iou: How well the body explains the photo.
        keypoints_2d: (K, 3) x, y, confidence as detected, named by ``keypoint_names``.
        joints_3d, joints_2d, joint_deviation, joint_confidence: (J, 3), (J, 2), (J,), (J,), named by ``joint_names``.
        gravity: (3,) unit vector in whose direction things fall.
        gravity_deviation: (2,) standard deviations of its pitch and roll, radians.
        shape_covariance: (n, n) covariance of the errors of the betas.
        notes: Reasons to distrust the body, for the user; they are written, but not read back.

    Raises:
        ValueError: A shape is wrong or a number is not finite.

    Example:
        >>> import numpy as np
        >>> from meshrec.export import PersonParameters
        >>> person = PersonParameters("neutral", "0123abcd", np.zeros(10), np.zeros((24, 3)), np.zeros(3))
        >>> person.pose.dtype
        dtype('float32')
    """

    body_name: str
    body_hash: str
    betas: np.ndarray
    pose: np.ndarray
    translation: np.ndarray
    camera: Camera | None = None
    made_by: str = ""
    box: np.ndarray | None = None
    score: float | None = None
    reprojection_error: float | None = None
    mask_iou: float | None = None
    keypoints_2d: np.ndarray | None = None
    keypoint_names: tuple[str, ...] = ()
    joints_3d: np.ndarray | None = None
    joints_2d: np.ndarray | None = None
    joint_deviation: np.ndarray | None = None
    joint_confidence: np.ndarray | None = None
    joint_names: tuple[str, ...] = ()
    gravity: np.ndarray | None = None
    gravity_deviation: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    shape_covariance: np.ndarray | None = None

    def __post_init__(self) -> None:
        for key, shape in _SHAPES.items():
            if getattr(self, key) is None:
                continue
            array = float_array(getattr(self, key), shape, key)
            object.__setattr__(self, key, float(array) if shape == () else array)
            if key in _NAMES and len(array) != len(getattr(self, _NAMES[key])):
                raise ValueError(f"{key} has {len(array)} rows for {len(getattr(self, _NAMES[key]))} {_NAMES[key]}")
        known = self.shape_covariance
        if known is not None and known.shape != 2 * self.betas.shape:
            raise ValueError(f"shape_covariance is {known.shape} for {len(self.betas)} betas")

    def to_dict(self) -> dict[str, Any]:
        """What a ``.json`` holds: dictionaries, lists, strings and Python's own finite numbers, None where unknown."""
        plain: dict[str, Any] = {key: _plain(value) for key, value in _to_fields(self).items()}
        document = {key: plain[key] for key in ("schema", "version", "space")}
        document["body"] = {"name": plain["body_name"], "hash": plain["body_hash"]}
        known = "camera_focal" in plain
        document["camera"] = {key: plain[f"camera_{key}"] for key in _CAMERA} if known else None
        document["made_by"] = plain.get("made_by")
        document["notes"] = plain.get("notes", [])
        for key in _SHAPES:
            value = plain.get(key)
            document[key] = dict(zip(plain[_NAMES[key]], value)) if key in _NAMES and value is not None else value
        return document

    def to_json(self) -> str:
        """:meth:`to_dict` as JSON text, with one line for each entry and each row of a table."""
        return _layout(self.to_dict()) + "\n"


def write_parameters(path: str | os.PathLike, person: PersonParameters) -> Path:
    """Write a person's parameters; the suffix, ``.json`` or ``.npz``, chooses the format.

    Returns:
        The path.

    Raises:
        InputError: The suffix is unknown, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from meshrec.export import PersonParameters, write_parameters
        >>> person = PersonParameters("neutral", "0123abcd", np.zeros(10), np.zeros((24, 3)), np.zeros(3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_parameters(f"{folder}/person.npz", person).name
        'person.npz'
    """
    suffix = known_suffix(path, PARAMETER_SUFFIXES)
    return write_file(path, person.to_json().encode() if suffix == ".json" else _npz_bytes(_to_fields(person)))


def read_parameters(path: str | os.PathLike) -> PersonParameters:
    """Read a file that :func:`write_parameters` wrote, and that a user may have edited.

    Raises:
        InputError: The file is missing, damaged or of another kind, or a value in it is wrong; the message says which.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from meshrec.export import PersonParameters, read_parameters, write_parameters
        >>> person = PersonParameters("neutral", "0123abcd", np.zeros(10), np.zeros((24, 3)), np.array([0, 0, 3]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     read_parameters(write_parameters(f"{folder}/person.json", person)).translation.tolist()
        [0.0, 0.0, 3.0]
    """
    path = Path(path)
    suffix = known_suffix(path, PARAMETER_SUFFIXES)
    try:
        data = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    try:
        return _from_fields(_fields_of_json(data) if suffix == ".json" else read_npz(path, data, MOST_BYTES))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: {error}.") from error


def _to_fields(person: PersonParameters) -> dict[str, np.ndarray]:
    """A person as the arrays of an ``.npz``."""
    fields: dict[str, object] = {"schema": SCHEMA, "version": VERSION, "space": SPACE}
    fields |= {"body_name": person.body_name, "body_hash": person.body_hash}
    if person.camera is not None:
        k = to_numpy(person.camera.matrix)
        camera = (k.diagonal()[:2], k[:2, 2], person.camera.size)
        fields |= {f"camera_{key}": value for key, value in zip(_CAMERA, camera)}
    tables = {key for key, names in _NAMES.items() if not getattr(person, names)}  # nothing is in them
    fields |= {key: getattr(person, key) for key in _SHAPES if key not in tables and getattr(person, key) is not None}
    fields |= {
        key: getattr(person, key)
        for key in ("keypoint_names", "joint_names", "made_by", "notes")
        if getattr(person, key)
    }
    return {key: np.asarray(value, np.float32 if isinstance(value, float) else None) for key, value in fields.items()}


def _from_fields(fields: Mapping[str, object]) -> PersonParameters:
    """Build a person, and check what the constructor does not: the file's schema and version, and types of values."""
    schema = _text(fields, "schema") if "schema" in fields else "none"
    if schema != SCHEMA:
        raise ValueError(f"this is no parameter file: its schema is {schema}, not {SCHEMA}")
    version = np.asarray(fields.get("version"))
    if version.dtype.kind not in "iu" or version.shape != ():
        raise ValueError("the schema version should be a whole number")
    if version > VERSION:
        raise ValueError(f"schema version {version} is not known here, {VERSION} is the newest that is; update meshrec")
    if version < 1:
        raise ValueError(f"there is no schema version {version}")
    if "space" in fields and (space := _text(fields, "space")) != SPACE:
        raise ValueError(f"its space must be '{SPACE}', not '{space}'")
    missing = [key for key in _REQUIRED if key not in fields]
    if missing:
        raise ValueError(f"the {missing[0].replace('_', ' ')} is missing")
    _refuse_other_bodies(_table(fields["pose"], "pose"))
    values: dict[str, Any] = {key: _numbers(fields[key], shape, key) for key, shape in _SHAPES.items() if key in fields}
    if any(f"camera_{key}" in fields for key in _CAMERA):
        values["camera"] = _camera(fields)
    for key in ("keypoint_names", "joint_names"):
        values[key] = _texts(fields, key) if key in fields else ()
    if "made_by" in fields:
        values["made_by"] = _text(fields, "made_by")
    return PersonParameters(_text(fields, "body_name"), _text(fields, "body_hash"), **values)


def _refuse_other_bodies(pose: np.ndarray) -> None:
    if pose.size in OTHER_BODIES:
        other, joints = OTHER_BODIES[pose.size], pose.size // 3
        raise ValueError(f"its pose is of {other} with {joints} joints, but only those of SMPL with 24 can be read")


def _text(fields: Mapping[str, object], key: str) -> str:
    """A short printable text. A damaged file may hold anything in its place, and error messages repeat it."""
    value = fields[key]
    text = value.item() if isinstance(value, np.ndarray) and value.shape == () else value
    if not isinstance(text, str) or len(text) > MOST_TEXT or not text.isprintable():
        raise ValueError(f"the {key.replace('_', ' ')} should be a short text")
    return text


def _texts(fields: Mapping[str, object], key: str) -> tuple[str, ...]:
    names = np.asarray(fields[key])
    if names.ndim != 1 or (len(names) and names.dtype.kind != "U"):
        raise ValueError(f"{key} should be a list of names")
    return tuple(str(name) for name in names)


def _numbers(value: object, shape: tuple[int | None, ...], key: str) -> np.ndarray:
    return float_array(_table(value, key), shape, key, np.float64)


def _table(value: object, key: str) -> np.ndarray:
    """An array of numbers of any shape."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{key} is no regular table of numbers") from None
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{key} holds something that is not a number")
    if (abs(array) > LARGEST).any():
        raise ValueError(f"{key} holds a value beyond {LARGEST:g}")
    return array


def _camera(fields: Mapping[str, object]) -> Camera:
    if any(f"camera_{key}" not in fields for key in _CAMERA):
        raise ValueError("camera needs focal, center and size")
    focal, center, size = (_numbers(fields[f"camera_{key}"], (2,), f"camera {key}") for key in _CAMERA)
    if (focal <= 0).any() or (size < 1).any() or (size != size.round()).any():
        raise ValueError("camera needs a positive focal length and a size of whole pixels")
    return Camera(focal, center, tuple(size.astype(int).tolist()))


def _npz_bytes(fields: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **fields)
    return file.getvalue()


def _fields_of_json(data: bytes) -> dict[str, object]:
    try:
        document = parse_json(data)
    except ValueError as error:
        raise ValueError(f"this is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("this is no parameter file: it holds no JSON object")
    document = {key: value for key, value in document.items() if value is not None}
    fields = {key: document[key] for key in ("schema", "version", "space", "made_by", *_SHAPES) if key in document}
    for group in ("body", "camera"):
        entries = _object(document, group) if group in document else {}
        fields |= {f"{group}_{key}": value for key, value in entries.items() if value is not None}
    for key, names_key in _NAMES.items():
        if key in document:
            by_name = _object(document, key)
            names = fields.setdefault(names_key, tuple(by_name))
            if set(names) != set(by_name):
                raise ValueError(f"{key} does not name the same joints as the tables before it")
            fields[key] = [by_name[name] for name in names]
    return fields


def _object(document: Mapping[str, object], key: str) -> dict[str, object]:
    value = document[key]
    if not isinstance(value, dict):
        raise ValueError(f"{key} must be an object of names and values")
    return value


def _plain(value: np.ndarray) -> Any:
    """Convert an array to JSON's own types; a float32 becomes the number with the fewest digits that rounds to it."""
    if value.dtype == np.float32:
        value = np.array([float(str(number)) for number in value.ravel()]).reshape(value.shape)
    return value.tolist()


def _layout(value: object, indent: str = "") -> str:
    """Format JSON with one line for each entry of an object and each row of a table."""
    if isinstance(value, dict):
        rows = [f"{json.dumps(key)}: {_layout(entry, indent + '  ')}" for key, entry in value.items()]
    elif isinstance(value, list) and value and isinstance(value[0], list):
        rows = [json.dumps(row) for row in value]
    else:
        return json.dumps(value)
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    inner = ",\n".join(f"{indent}  {row}" for row in rows)
    return f"{opening}\n{inner}\n{indent}{closing}"
