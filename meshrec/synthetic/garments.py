"""Clothes, shoes and hair as meshes, worn by a body of SMPL's format.

MakeHuman's community gives out garments as pairs of files: a mesh (``.obj``), and a table (``.mhclo``) that places each
of its vertices near three vertices of MakeHuman's base mesh. The open body's vertices are vertices of that base mesh.
A garment therefore takes its skinning weights, and its change with shape, from the body's vertices around it, and body
and garments together are a body again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.base_mesh import BaseMesh
from meshrec.body.files import BodyData
from meshrec.errors import InputError
from meshrec.files.regular import read_regular

BASE_MESH = "hm08"  # MakeHuman's name of the base mesh
MOST_BYTES = 64 << 20
NEIGHBOURS = 24  # vertices of the body that carry a vertex of a garment
TIGHT = 0.015  # least distance in metres over which their influence falls off
AXES = ("x_scale", "y_scale", "z_scale")
METRES_PER_UNIT = 0.1  # metres; the base mesh is in decimetres


@dataclass(frozen=True)
class Garment:
    """A garment on MakeHuman's base mesh.

    Attributes:
        name: As in its file.
        kind: "suit", "shoes", "hat" or "hair", by its tags and its folder.
        vertices: (G, 3) metres, in the pose and shape of the base mesh.
        faces: (F, 3) vertex indices.
        hidden: Vertices of the base mesh that the garment hides.
    """

    name: str
    kind: str
    vertices: np.ndarray
    faces: np.ndarray
    hidden: np.ndarray


def read_garments(folder: str | Path, base: BaseMesh) -> list[Garment]:
    """Read every ``.mhclo`` file of a folder and its sub-folders, sorted by path.

    Args:
        folder: The folder; ``makehuman-assets`` of MakeHuman's community is such a folder.
        base: The base mesh.

    Raises:
        InputError: The folder holds no garment, or one of its files is not one.
    """
    paths = sorted(Path(folder).rglob("*.mhclo"))
    if not paths:
        raise InputError(f"{folder} holds no garments (.mhclo files of MakeHuman).")
    return [read_garment(path, base) for path in paths]


def read_garment(path: str | Path, base: BaseMesh) -> Garment:
    """Read a garment: a ``.mhclo`` file and the ``.obj`` file beside it that it names.

    Args:
        path: The ``.mhclo`` file.
        base: The base mesh.

    Raises:
        InputError: A file is missing or damaged, or belongs to another base mesh.
    """
    path = Path(path)
    try:
        text = read_regular(path, MOST_BYTES).decode(errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    fields, rows, deleted = _parse(text)
    if fields.get("basemesh", BASE_MESH) != BASE_MESH:
        raise InputError(f"{path} belongs to the base mesh {fields['basemesh']}, not to {BASE_MESH}.")
    try:
        table = np.array(
            [row if len(row) == 9 else [row[0]] * 3 + ["1", "0", "0", "0", "0", "0"] for row in rows], float
        )
        corners = table[:, :3].astype(np.int64)
        hidden = np.concatenate([np.arange(low, high + 1) for low, high in deleted] or [np.zeros(0, np.int64)])
        scale = np.array([_scale(fields.get(name), base, axis) for axis, name in enumerate(AXES)])
        if (corners < 0).any() or (hidden < 0).any():
            raise IndexError
        vertices = np.einsum("gk,gkd->gd", table[:, 3:6], base.vertices[corners]) + table[:, 6:] * scale
        hidden = hidden[hidden < len(base.vertices)]
    except (ValueError, IndexError) as error:
        raise InputError(f"{path} is no garment of MakeHuman: its table of vertices is damaged.") from error
    faces = _read_faces(path.parent / fields.get("obj_file", path.stem + ".obj"), len(vertices))
    return Garment(fields.get("name", path.stem), _kind(path, fields.get("tag", "")), vertices, faces, hidden)


@dataclass(frozen=True)
class Worn:
    """A garment on a body in T-pose: what it adds to the arrays of :class:`meshrec.body.files.BodyData`.

    Attributes:
        template: (G, 3) rest vertices of the mean shape, metres.
        shapedirs: (G, 3, S) vertex displacement per unit of each beta.
        posedirs: (G, 3, 207) vertex displacement per element of R - I of the 23 body joints.
        weights: (G, 24) skinning weights.
        faces: (F, 3) indices of its own vertices.
        hidden: (V,) bool, the vertices of the body that it hides.
    """

    template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    weights: np.ndarray
    faces: np.ndarray
    hidden: np.ndarray


@dataclass(frozen=True)
class Dressed:
    """A body with garments.

    Attributes:
        body: The body with the garments' vertices after its own, and without the faces that garments hide. It has the
            same 24 joints and betas, and a hash of its own.
        part: (F,) for each face 0 if it is the body's own, else the number of its garment.
        kept: Faces of the body that no garment hides; they are the first ones.
    """

    body: BodyModel
    part: Tensor
    kept: Tensor


def put_on(garment: Garment, body: BodyModel, base: BaseMesh) -> Worn:
    """Fit a garment to a body.

    Its vertices are carried by the nearest vertices of the body, as weighted means of where each of these takes them.
    The farther a garment is from the body, the more vertices count, so that skirts and hair move as a whole.

    Args:
        garment: The garment.
        body: The open body, or another one with its vertices.
        base: The base mesh.

    Raises:
        ValueError: The body has other vertices than the open body.
    """
    data = body.data
    if len(data.v_template) != len(base.body_vertices):
        raise ValueError(f"garments fit the open body of {len(base.body_vertices)} vertices, not this one")
    skin = np.flatnonzero(base.body_vertices >= 0)
    distance, nearest = cKDTree(base.vertices[base.body_vertices[skin]]).query(garment.vertices, NEIGHBOURS)
    near = skin[nearest]
    width = np.maximum(TIGHT, distance[:, :1] / 2)
    share = np.exp(-(distance**2 - distance[:, :1] ** 2) / (2 * width**2))
    share /= share.sum(axis=1, keepdims=True)
    offset = garment.vertices[:, None] - base.vertices[base.body_vertices[near]]
    carried = data.v_template[near] + np.einsum("gkxy,gky->gkx", _to_t_pose(data, base)[near], offset)

    def mean(values: np.ndarray) -> np.ndarray:
        return (
            np.einsum("gk,gk...->g...", share, values[near])
            if values.any()
            else np.zeros((len(near), *values.shape[1:]))
        )

    return Worn(
        template=np.einsum("gk,gkx->gx", share, carried),
        shapedirs=mean(data.shapedirs),
        posedirs=mean(data.posedirs),
        weights=mean(data.weights),
        faces=garment.faces,
        hidden=np.isin(base.body_vertices, garment.hidden),
    )


def dress(body: BodyModel, outfit: Mapping[int, Worn]) -> Dressed:
    """Join a body and garments that were fitted to it.

    Args:
        body: The body.
        outfit: The garments by their numbers from 1 on.
    """
    data, garments = body.data, tuple(outfit.values())
    hidden = np.logical_or.reduce([np.zeros(len(data.v_template), bool), *(worn.hidden for worn in garments)])
    kept = np.flatnonzero(~hidden[data.faces].all(axis=1))
    starts = len(hidden) + np.cumsum([0, *(len(worn.template) for worn in garments)])
    faces = [data.faces[kept], *(worn.faces + start for worn, start in zip(garments, starts))]
    added = (0, starts[-1] - len(hidden))
    joined = {
        name: np.concatenate([getattr(data, other), *(getattr(worn, name) for worn in garments)]).astype(np.float32)
        for name, other in (("template", "v_template"), *((n, n) for n in ("shapedirs", "posedirs", "weights")))
    }
    dressed = replace(
        data,
        v_template=joined["template"],
        shapedirs=joined["shapedirs"],
        posedirs=joined["posedirs"],
        weights=joined["weights"],
        joint_regressor=np.pad(data.joint_regressor, ((0, 0), added)),
        faces=np.concatenate(faces),
        uv=None,
        uv_faces=None,
        part_labels=None,
        mirror_vertices=None,
        landmark_names=(),
        landmark_regressor=None,
    )
    part = np.repeat([0, *outfit], [len(part) for part in faces])
    like = body.v_template
    model = BodyModel(dressed, like.dtype).to(like.device)
    return Dressed(model, torch.from_numpy(part).to(like.device), torch.from_numpy(kept).to(like.device))


def _to_t_pose(data: BodyData, base: BaseMesh) -> np.ndarray:
    """Rotations (V, 3, 3) of the surface around each vertex from the base mesh's A-pose to the T-pose.

    Those of the 24 parts are the best ones over their vertices (Kabsch 1976), blended by the skinning weights.
    """
    weights = data.weights.astype(np.float64)
    turns = _part_turns(weights, data.v_template.astype(np.float64), base)
    return _nearest_rotations(np.einsum("vj,jxy->vxy", weights, turns))


def _part_turns(weights: np.ndarray, rest: np.ndarray, base: BaseMesh) -> np.ndarray:
    """Rotations (24, 3, 3) of the parts from the base mesh to rest vertices (V, 3)."""
    skin = base.body_vertices >= 0
    posed, rest, weights = base.vertices[base.body_vertices[skin]], rest[skin], weights[skin]
    total = weights.sum(axis=0)[:, None]
    from_mean, to_mean = weights.T @ posed / total, weights.T @ rest / total
    spread = np.einsum("vj,vx,vy->jxy", weights, rest, posed) - total[..., None] * np.einsum(
        "jx,jy->jxy", to_mean, from_mean
    )
    return _nearest_rotations(spread)


def _nearest_rotations(matrices: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(matrices)
    left[..., -1] *= np.sign(np.linalg.det(left @ right))[..., None]
    return left @ right


def _parse(text: str) -> tuple[dict[str, str], list[list[str]], list[tuple[int, int]]]:
    """The named fields of a .mhclo file, the rows of its table, and the ranges of hidden vertices."""
    fields: dict[str, str] = {}
    rows, deleted, table, deleting = [], [], False, False
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "verts":
            table = True
        elif words[0] == "delete_verts":
            table, deleting = False, True
        elif table and len(words) in (1, 9):
            rows.append(words)
        elif deleting:
            deleted += _ranges(words)
        else:
            earlier = fields.get("tag", "") + " " if words[0] == "tag" else ""
            fields[words[0]] = earlier + " ".join(words[1:])
    return fields, rows, deleted


def _kind(path: Path, tags: str) -> str:
    words = {tag.lower() for tag in tags.split()}
    if words & {"hats", "hat"}:
        return "hat"
    if "shoes" in words:
        return "shoes"
    return "hair" if "hair" in path.parts or "hair" in words else "suit"


def _ranges(words: list[str]) -> list[tuple[int, int]]:
    """Inclusive ranges of numbers such as ``12 - 20 31``; anything else is left out."""
    found: list[tuple[int, int]] = []
    up_to = False
    for word in words:
        if word == "-":
            up_to = bool(found)
        elif word.isdecimal():
            found.append((found.pop()[0] if up_to else int(word), int(word)))
            up_to = False
    return found


def _scale(field: str | None, base: BaseMesh, axis: int) -> float:
    """Metres per unit of a garment's offsets: the distance between two base vertices over what it was when made."""
    if field is None:
        return METRES_PER_UNIT
    first, second, length = field.split()[:3]
    return abs(base.vertices[int(first), axis] - base.vertices[int(second), axis]) / float(length)


def _read_faces(path: Path, count: int) -> np.ndarray:
    """The triangles (F, 3) of an .obj file with ``count`` vertices."""
    import trimesh

    try:
        content = BytesIO(read_regular(path, MOST_BYTES))
        mesh = trimesh.load(content, file_type="obj", process=False, maintain_order=True, skip_materials=True)
        vertices, faces = (np.asarray(getattr(mesh, name)) for name in ("vertices", "faces"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        raise InputError(f"{path} is no mesh in the OBJ format.") from error
    if len(vertices) != count or not len(faces):
        raise InputError(f"{path} has {len(vertices)} vertices, but its .mhclo file places {count}.")
    return faces.astype(np.int64)
