"""A body in a few poses, as meshes and as a picture, to check a body file."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from meshrec.body import BodyModel, load_body
from meshrec.errors import InputError
from meshrec.export import MESH_SUFFIXES, Mesh, Rig, write_mesh, write_skinned
from meshrec.files.atomic import write_file
from meshrec.geometry import axis_angle_to_matrix, camera_to_y_up
from meshrec.poses.named_poses import POSE_NAMES, named_pose

PICTURE = "poses.png"
SKINNED = "skinned.glb"


def write_showcase(
    folder: Path,
    body: str = "neutral",
    poses: Sequence[str] | None = None,
    betas: Sequence[float] = (),
    formats: Sequence[str] = ("obj", "glb"),
) -> list[Path]:
    """Write a body in several poses as meshes, with its skeleton as a skinned GLB, and a picture of all poses.

    Args:
        folder: Folder to write into; it is made if it is missing.
        body: Name or path of the body, as for :func:`meshrec.load_body`.
        poses: Names of poses, of :data:`meshrec.poses.named_poses.POSE_NAMES`. Default: all.
        betas: Shape coefficients. Default: the mean shape.
        formats: Formats of the meshes, of obj, ply and glb.

    Returns:
        The files written.

    Raises:
        InputError: A pose, format or the body is unknown, there are too many betas or some are not finite, or the
            folder cannot be written to.
    """
    from meshrec.render.overlay import encode_png

    poses = list(POSE_NAMES) if poses is None else list(poses)
    suffixes = [f".{name.lstrip('.')}" for name in formats]
    _check(poses, POSE_NAMES, "poses")
    _check(suffixes, MESH_SUFFIXES, "formats")
    model = load_body(body)
    if len(betas) > model.num_betas or not np.isfinite(betas).all():
        raise InputError(f"betas must be up to {model.num_betas} finite numbers, not {list(betas)}")
    shape = torch.tensor([betas], dtype=torch.float32)
    with torch.no_grad():
        posed = model(betas=shape, body_pose=torch.stack([named_pose(pose) for pose in poses])).vertices
    data, written = model.data, []
    for pose, vertices in zip(poses, posed.numpy()):
        mesh = Mesh(vertices, data.faces, data.uv, data.uv_faces, name=pose)
        for suffix in suffixes:
            written.append(folder / f"{pose.replace(' ', '_')}{suffix}")
            write_mesh(written[-1], mesh)
    written.append(folder / SKINNED)
    _write_skinned(written[-1], model, shape)
    written.append(folder / PICTURE)
    write_file(written[-1], encode_png(_picture(posed, model)))
    return written


def _write_skinned(path: Path, model: BodyModel, betas: torch.Tensor) -> None:
    vertices, joints = (part[0].numpy() for part in model.rest(betas))
    rest = Mesh(vertices, model.data.faces, model.data.uv, model.data.uv_faces)
    rig = Rig(joints, np.array(model.parents), model.weights.numpy(), model.joint_names)
    write_skinned(path, rest, rig, pose_correctives=model.has_posedirs)


def _picture(posed: torch.Tensor, model: BodyModel) -> np.ndarray:
    """The poses in two rows: from the front, turned a little to the side, and from behind."""
    from meshrec.render.overlay import contact_sheet, turned

    cells = []
    for yaw in (25, 205):
        turn = axis_angle_to_matrix(torch.tensor([0.0, math.radians(yaw), 0.0]))
        for vertices in posed:
            # The view "front" looks along the z axis of camera space, and a body faces along its own z axis. So that
            # they face each other, the body makes the half turn of a written mesh.
            in_camera = camera_to_y_up(vertices @ turn.T)
            cells.append(turned([in_camera], model.faces, "front", size=(320, 440)))
    return contact_sheet(cells, columns=len(posed), height=440)


def _check(given: Sequence[str], known: Sequence[str], what: str) -> None:
    unknown = [name for name in given if name not in known]
    if unknown or not given:
        raise InputError(f"unknown {what} {', '.join(unknown)}: choose of {', '.join(n.lstrip('.') for n in known)}")
