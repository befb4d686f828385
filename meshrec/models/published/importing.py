"""Conversion of published checkpoints to files of this package's networks."""

from dataclasses import asdict, dataclass
from pathlib import Path

from meshrec.body import BodyModel
from meshrec.body.smpl_landmarks import SMPL_VERTEX_COUNT
from meshrec.errors import InputError
from meshrec.models.build import ARCHITECTURES, read_config
from meshrec.models.checkpoints import write_checkpoint
from meshrec.models.published.cliff import convert_cliff, is_cliff
from meshrec.models.published.field_of_view import NAME as FIELD_OF_VIEW
from meshrec.models.published.field_of_view import convert_field_of_view, is_field_of_view
from meshrec.models.published.graph_cmr import convert_graph_cmr, is_graph_cmr
from meshrec.models.published.hmr2 import convert_camera_hmr, convert_hmr2, is_camera_hmr, is_hmr2
from meshrec.models.published.kinds import Converted, Kind, Source
from meshrec.models.published.reading import read_weights, state_dict
from meshrec.models.published.spin import convert_spin, is_spin

KINDS = (
    Kind("HMR2.0", is_hmr2, convert_hmr2),
    Kind("CameraHMR", is_camera_hmr, convert_camera_hmr),
    Kind("CLIFF", is_cliff, convert_cliff),
    Kind("GraphCMR", is_graph_cmr, convert_graph_cmr),
    Kind("HMR or SPIN", is_spin, convert_spin),
)
"""The kinds of checkpoints that can be converted. The first that recognises the weights converts them."""


@dataclass(frozen=True)
class ImportedCheckpoint:
    """What :func:`import_checkpoint` wrote.

    Attributes:
        path: the file.
        kind: what the published checkpoint was.
        architecture: the name of its row in :data:`meshrec.models.build.ARCHITECTURES`.
        body_hash: hash of the body that its betas and vertices belong to; empty if it makes no body.
        parameters: number of its weights.
    """

    path: Path
    kind: str
    architecture: str
    body_hash: str
    parameters: int


def import_checkpoint(
    source: str | Path, target: str | Path, body: BodyModel | None = None, graph: str | Path | None = None
) -> ImportedCheckpoint:
    """Convert a published checkpoint. Its kind is recognised from the names of its weights.

    Args:
        source: a ``.pt``, ``.pth`` or ``.ckpt`` file of one of :data:`KINDS`, or of CameraHMR's network for the field
            of view.
        target: the ``.safetensors`` file to write.
        body: the body with which it was trained, which is SMPL's neutral one. Only the network for the field of view
            needs none.
        graph: ``mesh_downsampling.npz`` of GraphCMR, which only its checkpoints need.

    Returns:
        What was written; :func:`meshrec.models.checkpoints.load_checkpoint` reads it, or
        :func:`meshrec.models.field_of_view.load_field_of_view`.

    Raises:
        InputError: The file is no such checkpoint, contains code, or its keys, shapes or number of vertices do not fit.
    """
    weights, provenance = state_dict(read_weights(source)), {"converted_from": Path(source).name}
    if is_field_of_view(weights):
        made = convert_field_of_view(weights, Path(source))
        path = write_checkpoint(target, made.architecture, made.settings, made.weights, "", provenance)
        return ImportedCheckpoint(path, FIELD_OF_VIEW, made.architecture, "", _size(made))
    if body is None:
        raise InputError(f"{source}: converting it needs the body with which it was trained, SMPL's own neutral file")
    if len(body.v_template) != SMPL_VERTEX_COUNT:
        raise InputError(
            f"published checkpoints make SMPL's {SMPL_VERTEX_COUNT} vertices, but this body has "
            f"{len(body.v_template)}: give SMPL's own neutral file"
        )
    kind = next((kind for kind in KINDS if kind.recognises(weights)), None)
    if kind is None:
        some = ", ".join(f"{key:.80}" for key in list(weights)[:3]) or "nothing"
        names = ", ".join([*(kind.name for kind in KINDS), FIELD_OF_VIEW])
        raise InputError(f"{source} holds no weights of {names}, but {some} and so on")
    given = Source(Path(source), weights, body, None if graph is None else Path(graph))
    made = kind.convert(given)
    settings = asdict(read_config(ARCHITECTURES[made.architecture].config, made.settings))
    path = write_checkpoint(target, made.architecture, settings, made.weights, body.hash, provenance, made.mesh)
    return ImportedCheckpoint(path, kind.name, made.architecture, body.hash, _size(made))


def _size(made: Converted) -> int:
    """Number of the weights of a network."""
    return sum(weight.numel() for weight in made.weights.values() if weight.is_floating_point())
