"""Body files: SMPL's format as ``.npz``, ``.safetensors`` or official ``.pkl``, read, checked and written.

The keys are SMPL's: ``v_template (V, 3)``, ``shapedirs (V, 3, S)``, ``posedirs (V, 3, 207)``, ``J_regressor (24, V)``,
``weights (V, 24)``, ``kintree_table (2, 24)``, ``f (F, 3)``. Optional keys that SMPL does not have: ``uv (T, 2)``,
``uv_faces (F, 3)``, ``part_labels (V,)``, ``mirror_vertices (V,)``, ``landmark_names (L,)`` with ``landmark_regressor
(L, V)``, and the strings ``name``, ``gender``, ``licence``.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from meshrec.body.genders import gender_named
from meshrec.body.joints import NUM_JOINTS
from meshrec.errors import InputError
from meshrec.files.json_text import parse_json
from meshrec.files.npz import read_npz, read_objects
from meshrec.files.regular import regular_size

POSE_FEATURES = 9 * (NUM_JOINTS - 1)
MIN_BETAS, MAX_BETAS = 1, 300
MOST_NUMBERS = 32_000_000  # in shapedirs and posedirs together; SMPL has 4.5 million, with 300 betas 10 million
MOST_BYTES = 640 << 20  # of a file, also unpacked; those of SMPL-X, which are told by their contents, have up to 550 MB
MOST_METRES = 10.0  # largest extent of a rest mesh; a larger one is in centimetres
SUFFIXES = (".npz", ".safetensors", ".pkl")
REQUIRED = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
TEXTS = ("name", "gender", "licence")
# Models of SMPL's family by their pose columns, nine for each joint but the root.
RELATIVES = {135: "MANO, a hand", 36: "FLAME, a head", 459: "SMPL-H", 486: "SMPL-X"}


@dataclass(frozen=True, eq=False)
class BodyData:
    """The arrays of a body as the file holds them.

    Attributes:
        v_template: (V, 3) rest vertices of the mean shape, metres, y up, z forward, +x the subject's left.
        shapedirs: (V, 3, S) vertex displacement per unit of each beta.
        posedirs: (V, 3, 207) vertex displacement per element of R - I of the 23 body joints.
        joint_regressor: (24, V) weights whose product with the rest vertices is the joints.
        weights: (V, 24) skinning weights.
        parents: (24,) index of each joint's parent, -1 for the root; a parent comes before its children.
        faces: (F, 3) vertex indices, counter-clockwise from outside.
        uv: (T, 2) texture coordinates, origin at the bottom left; ``uv_faces`` (F, 3) indexes them.
        part_labels: (V,) index of the joint whose part a vertex belongs to.
        mirror_vertices: (V,) index of each vertex's mirror image, where the mesh is symmetric.
        landmark_names, landmark_regressor: Names (L,) and vertex weights (L, V) of surface landmarks.
        name, gender, licence: Texts in the file.

    Example:
        >>> from meshrec.body import find_body, read_body
        >>> data = read_body(find_body("neutral"))
        >>> data.name, data.joint_regressor.shape[0], data.with_betas(4).shapedirs.shape[-1]
        ('open_neutral', 24, 4)
    """

    v_template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    joint_regressor: np.ndarray
    weights: np.ndarray
    parents: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None = None
    uv_faces: np.ndarray | None = None
    part_labels: np.ndarray | None = None
    mirror_vertices: np.ndarray | None = None
    landmark_names: tuple[str, ...] = ()
    landmark_regressor: np.ndarray | None = None
    name: str = ""
    gender: str = ""
    licence: str = field(default="", repr=False)

    def with_betas(self, count: int) -> "BodyData":
        """The same body with only its first ``count`` shape components.

        Raises:
            InputError: The body has fewer.
        """
        available = self.shapedirs.shape[-1]
        if not MIN_BETAS <= count <= available:
            raise InputError(f"this body has {available} shape components, so num_betas cannot be {count}")
        return replace(self, shapedirs=self.shapedirs[..., :count])

    @cached_property
    def joint_maps(self) -> tuple[np.ndarray, np.ndarray]:
        """Rest joints (24, 3) of the mean shape, metres, and their change (24, 3, S) with each beta, float64.

        Joints are rows of the regressor times rest vertices, so they are linear in the betas as these are.
        """
        regressor = self.joint_regressor.astype(np.float64)
        shapedirs = self.shapedirs.astype(np.float64)
        return regressor @ self.v_template.astype(np.float64), np.einsum("jv,vcs->jcs", regressor, shapedirs)

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits that identify this body: only bodies of equal hash can share betas."""
        digest = hashlib.sha256()
        for array in (self.v_template, self.shapedirs, self.posedirs, self.joint_regressor, self.weights):
            digest.update(np.ascontiguousarray(array, dtype="<f4").data)
        digest.update(np.ascontiguousarray(self.faces, dtype="<i4").data)
        return digest.hexdigest()[:16]


def read_body(path: str | Path) -> BodyData:
    """Read and check a body file.

    Args:
        path: An ``.npz``, a ``.safetensors``, or an official SMPL ``.pkl`` (chumpy is not needed).

    Returns:
        The arrays of the body.

    Raises:
        InputError: The file is missing, damaged, of an unknown kind, or not a valid body; the message says which.

    Example:
        >>> from meshrec.body import find_body, read_body
        >>> body = read_body(find_body("neutral"))
        >>> body.v_template.shape, body.weights.shape
        ((7644, 3), (7644, 24))
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: a body file ends in {', '.join(SUFFIXES)}, not '{path.suffix}'")
    if not path.is_file():
        raise InputError(f"{path}: there is no such body file")
    reader = {".npz": _read_npz, ".safetensors": _read_safetensors, ".pkl": _read_pickle}[path.suffix]
    return body_from_arrays(reader(path), str(path))


def write_body(body: BodyData, path: str | Path) -> None:
    """Write a body as ``.npz`` or ``.safetensors``; reading it gives equal arrays of equal types.

    Raises:
        InputError: The suffix is another one, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> from meshrec.body import find_body, read_body, write_body
        >>> body = read_body(find_body("neutral"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_body(body, f"{folder}/copy.safetensors")
        ...     read_body(f"{folder}/copy.safetensors").hash == body.hash
        True
    """
    from meshrec.files.atomic import write_file

    path = Path(path)
    arrays, texts = _to_arrays(body)
    if path.suffix == ".npz":
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays, **{key: np.array(text) for key, text in texts.items()})
        write_file(path, stream.getvalue())
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save

        texts["landmark_names"] = json.dumps(body.landmark_names)
        numbers = {key: np.ascontiguousarray(array) for key, array in arrays.items() if array.dtype.kind != "U"}
        write_file(path, save(numbers, texts))
    else:
        raise InputError(f"{path}: bodies are written as .npz or .safetensors, not '{path.suffix}'")


def body_from_arrays(arrays: Mapping[str, object], source: str) -> BodyData:
    """Check arrays with SMPL's names and make a body of them.

    Args:
        arrays: Arrays under the keys of the file format above; unknown keys are ignored.
        source: Name of the arrays for error messages, usually the file's path.

    Returns:
        The body.

    Raises:
        InputError: The arrays are not a valid body; the message names ``source`` and says why.
    """
    missing = [key for key in REQUIRED if key not in arrays]
    if missing:
        raise InputError(f"{source}: not an SMPL body: it lacks {', '.join(missing)}")
    a = {key: _array(arrays[key], key, source) for key in REQUIRED}
    _check_family(a["posedirs"], source)
    for key, array in a.items():
        _check_numbers(array, key, source)

    vertex_count = a["v_template"].shape[0] if a["v_template"].ndim else 0
    shapes = {
        "v_template": (vertex_count, 3),
        "shapedirs": (vertex_count, 3, None),
        "posedirs": (vertex_count, 3, POSE_FEATURES),
        "J_regressor": (NUM_JOINTS, vertex_count),
        "weights": (vertex_count, NUM_JOINTS),
        "kintree_table": (2, NUM_JOINTS),
        "f": (None, 3),
    }
    for key, shape in shapes.items():
        _check_shape(a[key], shape, key, source)
    if not MIN_BETAS <= a["shapedirs"].shape[2] <= MAX_BETAS:
        count = a["shapedirs"].shape[2]
        raise InputError(f"{source}: {count} shape components; a body has {MIN_BETAS} to {MAX_BETAS}")
    if (count := a["shapedirs"].size + a["posedirs"].size) > MOST_NUMBERS:
        raise InputError(
            f"{source}: shapedirs and posedirs hold {count:,} numbers; a body has at most {MOST_NUMBERS:,}"
        )
    for key in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights"):
        _check_finite(a[key], key, source)
    size = np.ptp(a["v_template"], axis=0).max() if vertex_count else 0.0
    if not 0 < size <= MOST_METRES:
        raise InputError(f"{source}: v_template spans {size:.3g} m; a body's vertices are in metres")
    sums = a["weights"].sum(1)
    if a["weights"].min() < -1e-6 or abs(sums - 1).max() > 1e-3:
        raise InputError(f"{source}: the skinning weights of vertex {abs(sums - 1).argmax()} do not sum to one")
    sums = a["J_regressor"].sum(1)
    if abs(sums - 1).max() > 1e-2:
        raise InputError(f"{source}: the J_regressor row of joint {abs(sums - 1).argmax()} does not sum to one")
    _check_faces(a["f"], vertex_count, "f", source)

    body = BodyData(
        v_template=a["v_template"],
        shapedirs=a["shapedirs"],
        posedirs=a["posedirs"],
        joint_regressor=a["J_regressor"],
        weights=a["weights"],
        parents=_parents(a["kintree_table"], source),
        faces=a["f"].astype(np.int32),
    )
    return replace(body, **_optional_fields(arrays, vertex_count, len(body.faces), source))


def _check_family(posedirs: np.ndarray, source: str) -> None:
    """Refuse by its name a body of another model of SMPL's family, which has other joints."""
    family = RELATIVES.get(posedirs.shape[-1] if posedirs.ndim == 3 else 0)
    if family is not None:
        raise InputError(
            f"{source}: this is a body of {family}, with {posedirs.shape[-1]} pose columns in posedirs where SMPL has "
            f"{POSE_FEATURES}; give a body of SMPL itself, such as SMPL_NEUTRAL.pkl"
        )


def _optional_fields(arrays: Mapping[str, object], vertex_count: int, face_count: int, source: str) -> dict[str, Any]:
    """Check the optional keys, which SMPL does not have."""
    values: dict[str, Any] = {key: _text(arrays[key], key, source) for key in TEXTS if key in arrays}
    if "gender" in values:  # it is for people to read, so that another word than the known ones stays as it is
        values["gender"] = gender_named(values["gender"]) or values["gender"]
    if "uv" in arrays and "uv_faces" in arrays:
        uv, uv_faces = (_array(arrays[key], key, source) for key in ("uv", "uv_faces"))
        _check_numbers(uv, "uv", source)
        _check_shape(uv, (None, 2), "uv", source)
        _check_finite(uv, "uv", source)
        _check_shape(uv_faces, (face_count, 3), "uv_faces", source)
        _check_faces(uv_faces, len(uv), "uv_faces", source)
        values |= {"uv": uv, "uv_faces": uv_faces.astype(np.int32)}
    for key, limit in (("part_labels", NUM_JOINTS), ("mirror_vertices", vertex_count)):
        if key in arrays:
            labels = _array(arrays[key], key, source)
            _check_shape(labels, (vertex_count,), key, source)
            if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= limit:
                raise InputError(f"{source}: {key} should be integers from 0 to {limit - 1}")
            values[key] = labels
    if "landmark_names" in arrays and "landmark_regressor" in arrays:
        labels, rows = (_array(arrays[key], key, source) for key in ("landmark_names", "landmark_regressor"))
        if labels.ndim != 1 or (labels.size and labels.dtype.kind != "U"):
            raise InputError(f"{source}: landmark_names should be a list of names")
        names = tuple(str(name) for name in labels)
        _check_numbers(rows, "landmark_regressor", source)
        _check_shape(rows, (len(names), vertex_count), "landmark_regressor", source)
        _check_finite(rows, "landmark_regressor", source)
        if len(rows) and abs(rows.sum(1) - 1).max() > 1e-2:
            raise InputError(f"{source}: the rows of landmark_regressor do not sum to one")
        values |= {"landmark_names": names, "landmark_regressor": rows}
    return values


def _text(value: object, key: str, source: str) -> str:
    if isinstance(value, np.ndarray) and value.dtype == object:
        return ""  # a text that is a Python object, which is not loaded, and which nothing needs
    text = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    if isinstance(text, bytes):  # as Python 2 wrote it
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str):
        raise InputError(f"{source}: {key} should be text")
    return text


def _array(value: object, key: str, source: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:  # lists of different lengths
        raise InputError(f"{source}: {key} is no array ({error})") from None


def _check_numbers(array: np.ndarray, key: str, source: str) -> None:
    if array.dtype.kind not in "fiu":
        raise InputError(f"{source}: {key} should hold numbers, not {array.dtype}")


def _check_finite(array: np.ndarray, key: str, source: str) -> None:
    """Check that values are finite as float32, the type of all computations."""
    if not (abs(array) <= np.finfo(np.float32).max).all():
        raise InputError(f"{source}: {key} contains NaN or infinite values")


def _check_shape(array: np.ndarray, shape: tuple[int | None, ...], key: str, source: str) -> None:
    if array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape)):
        return
    wanted = " x ".join("any" if size is None else str(size) for size in shape)
    have = " x ".join(map(str, array.shape)) or "a single number"
    raise InputError(f"{source}: {key} should be {wanted}, but is {have}")


def _check_faces(faces: np.ndarray, count: int, key: str, source: str) -> None:
    if faces.dtype.kind not in "iu" or (faces.size and (faces.min() < 0 or faces.max() >= count)):
        raise InputError(f"{source}: {key} should index {count} points, but holds other values")


def _parents(kintree_table: np.ndarray, source: str) -> np.ndarray:
    """Parents of the joints (24,) from SMPL's table, in which the root's parent is 2^32 - 1 or -1, as files differ."""
    parents, joints = kintree_table.astype(np.int64)
    index = np.arange(NUM_JOINTS)
    parents = np.where(index == 0, -1, parents)
    if (joints != index).any() or (parents[1:] < 0).any() or (parents >= index).any():
        raise InputError(f"{source}: kintree_table is no tree with each parent before its children")
    return parents


def _read_npz(path: Path) -> dict[str, object]:
    from meshrec.files.arrays import SparseMatrix, unpickle_element

    stored = read_npz(path, most_bytes=MOST_BYTES, pass_objects=True)
    arrays: dict[str, object] = dict(stored)
    for key in REQUIRED:
        if key in stored and stored[key].dtype == object and stored[key].ndim == 0:
            element = unpickle_element(read_objects(path, key), 0, path)
            try:
                arrays[key] = element.dense() if isinstance(element, SparseMatrix) else element
            except ValueError as error:
                raise InputError(f"{path}: {key} holds {error}, which no body has") from None
    return arrays


def _read_safetensors(path: Path) -> dict[str, object]:
    from safetensors import safe_open

    regular_size(path, MOST_BYTES)
    try:
        with safe_open(path, framework="numpy") as archive:
            arrays: dict[str, object] = {key: archive.get_tensor(key) for key in archive.keys()}  # noqa: SIM118
            texts = dict(archive.metadata() or {})
        if "landmark_names" in texts:
            texts["landmark_names"] = parse_json(texts["landmark_names"].encode())
    # Types that numpy lacks, such as bfloat16, cause errors of numpy.
    except Exception as error:
        raise InputError(f"{path}: not a readable .safetensors file ({error})") from None
    return arrays | texts


def _read_pickle(path: Path) -> Mapping[str, object]:
    from meshrec.files.arrays import unpickle_arrays

    return unpickle_arrays(path)


def _to_arrays(body: BodyData) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """A body's arrays and texts under the file format's keys."""
    keys = {"joint_regressor": "J_regressor", "faces": "f"}
    arrays, texts = {}, {}
    for f in fields(body):
        value = getattr(body, f.name)
        if f.name == "parents":
            arrays["kintree_table"] = np.stack([value, np.arange(len(value))])
        elif f.name == "landmark_names":
            if value:
                arrays[f.name] = np.array(value)
        elif isinstance(value, str):
            texts[f.name] = value
        elif value is not None:
            arrays[keys.get(f.name, f.name)] = value
    return arrays, texts
