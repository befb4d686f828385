"""Pose and shape of a mesh file as a parameter file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from meshrec.body import load_body
from meshrec.body.correspondence import read_correspondence
from meshrec.body.mesh_fit import fit_parameters
from meshrec.errors import InputError
from meshrec.export import PARAMETER_SUFFIXES, PersonParameters, write_parameters
from meshrec.files.atomic import known_suffix
from meshrec.files.mesh_vertices import read_mesh_vertices
from meshrec.geometry import camera_to_y_up, matrix_to_axis_angle


@dataclass(frozen=True)
class MeshFit:
    """What was written, and how well it fits.

    Attributes:
        path: The parameter file.
        mean_mm, largest_mm: Mean and largest distance of the body's vertices from those of the mesh, millimetres.
    """

    path: Path
    mean_mm: float
    largest_mm: float


def write_mesh_parameters(
    mesh: Path,
    out: Path,
    body: str = "neutral",
    correspondence: Path | None = None,
    units_per_metre: float = 1.0,
) -> MeshFit:
    """Fit a body to a mesh, y up as meshrec writes them, and write its parameters in camera space.

    Args:
        mesh: An OBJ or PLY file with the body's vertices in their order, or with others if a correspondence is given.
        out: The ``.json`` or ``.npz`` to write.
        body: Name or path of the body, as for :func:`meshrec.load_body`.
        correspondence: File that says where the body's vertices lie on the mesh; its layout is in
            :mod:`meshrec.body.correspondence`.
        units_per_metre: 1 for a mesh in metres, 100 for centimetres, 1000 for millimetres.

    Returns:
        What was written, and the remaining distances, which also stand in the file's ``notes``.

    Raises:
        InputError: A file cannot be read or written, the mesh does not have the vertices that are needed, or the unit
            is no positive number.
    """
    known_suffix(out, PARAMETER_SUFFIXES)
    if not (np.isfinite(units_per_metre) and units_per_metre > 0):
        raise InputError(f"the units of a metre should be a positive number, not {units_per_metre}.")
    model = load_body(body)
    count = len(model.v_template)
    vertices = torch.from_numpy(read_mesh_vertices(mesh))[None] / units_per_metre
    weights = None
    if correspondence is not None:
        try:
            vertices, weights = read_correspondence(correspondence, count).targets(vertices)
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"{mesh} has {vertices.shape[1]} vertices, but {error}.") from error
    elif vertices.shape[1] != count:
        raise InputError(
            f"{mesh} has {vertices.shape[1]} vertices, but {model.data.name} has {count}: choose its own body by "
            "--body, or give a --correspondence."
        )
    targets = camera_to_y_up(vertices).float()  # half a turn about x, which is its own inverse
    found = fit_parameters(model, targets, vertex_weights=weights)
    seen = slice(None) if weights is None else weights > 0
    distances = 1e3 * (found.vertices(model) - targets)[0, seen].norm(dim=-1)
    mean, largest = float(distances.mean()), float(distances.max())
    parameters = PersonParameters(
        model.data.name,
        model.hash,
        found.betas[0].numpy(),
        matrix_to_axis_angle(found.rotations[0]).numpy(),
        found.translation[0].numpy(),
        made_by=f"vertices of {mesh.name[:200]}",
        notes=(f"Its vertices are {mean:.1f} mm from those of the mesh in the mean, and {largest:.1f} mm at most.",),
    )
    return MeshFit(write_parameters(out, parameters), mean, largest)
