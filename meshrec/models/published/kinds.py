"""What each kind of published checkpoint is converted from and to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshrec.body import BodyModel
from meshrec.models.graph import GraphMesh
from meshrec.models.published.reading import Weights


@dataclass(frozen=True)
class Source:
    """A published checkpoint as it was read.

    Attributes:
        path: its file, which messages name.
        weights: what the file holds by name, without prefixes; see :func:`meshrec.models.published.reading.state_dict`.
            Values need not be tensors.
        body: the body with which it was trained.
        graph: the file of its graph, which only GraphCMR's checkpoints need.
    """

    path: Path
    weights: dict
    body: BodyModel
    graph: Path | None = None


@dataclass(frozen=True)
class Converted:
    """A network of this package, whose weights came from a published checkpoint.

    Attributes:
        architecture: the name of its row in :data:`meshrec.models.build.ARCHITECTURES`.
        settings: all settings that differ from that row's defaults.
        weights: the weights by this package's names, in the types that they have in the file.
        mesh: the graph of a network that regresses a mesh.
    """

    architecture: str
    settings: dict
    weights: Weights
    mesh: GraphMesh | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of published checkpoint.

    Attributes:
        name: what messages call it.
        recognises: whether weights, as in :class:`Source`, are of this kind.
        convert: converts them, or raises an InputError that says what does not fit.
    """

    name: str
    recognises: Callable[[dict], bool]
    convert: Callable[[Source], Converted]
