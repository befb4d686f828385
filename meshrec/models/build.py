"""Build networks from the name of an architecture and plain settings, as configurations and checkpoints store them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from meshrec.body import BodyModel
from meshrec.errors import InputError
from meshrec.files.imports import imported, is_import_path
from meshrec.models.cliff import Cliff, CliffConfig
from meshrec.models.graph import FullyConnectedMesh, GraphConfig, GraphMesh, GraphRegressor
from meshrec.models.hmr2 import HMR2, HMR2Config
from meshrec.models.iterative import IterativeConfig, IterativeRegressor
from meshrec.models.mesh_to_params import MeshRecovery
from meshrec.models.network import Network

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Config = TypeVar("Config", bound=DataclassInstance)


@dataclass(frozen=True)
class Architecture:
    """How the networks of one architecture are made.

    Attributes:
        config: the class of their settings, a :class:`meshrec.models.network.NetworkSettings`.
        make: builds a network with random weights from its settings, the body and the graph. Body and graph may be
            None; if the network needs one that is missing, ``make`` raises an InputError.
        published: whether its networks come from published checkpoints only. They may be large, so they are built
            without weights where weights follow, and must need nothing but these.
    """

    config: type[Any]
    make: Callable[[Any, BodyModel | None, GraphMesh | None], Network]
    published: bool = False


def _iterative(config: IterativeConfig, body: BodyModel | None, mesh: GraphMesh | None) -> Network:
    if config.feedback == "residuals" and body is None:
        raise InputError("this network compares a body's landmarks with keypoints: say which body it is for")
    return IterativeRegressor(config, body)


def _graph(config: GraphConfig, body: BodyModel | None, mesh: GraphMesh | None) -> Network:
    return MeshRecovery(GraphRegressor(mesh or _own_mesh(config, body), config))


def _fully_connected(config: GraphConfig, body: BodyModel | None, mesh: GraphMesh | None) -> Network:
    return MeshRecovery(FullyConnectedMesh(mesh or _own_mesh(config, body), config))


def _hmr2(config: HMR2Config, body: BodyModel | None, mesh: GraphMesh | None) -> Network:
    return HMR2(config)


def _cliff(config: CliffConfig, body: BodyModel | None, mesh: GraphMesh | None) -> Network:
    return Cliff(config)


def _own_mesh(config: GraphConfig, body: BodyModel | None) -> GraphMesh:
    if body is None:
        raise InputError("a mesh network needs the body whose mesh it makes")
    return GraphMesh.of_body(body.data, config.nodes)


ARCHITECTURES: dict[str, Architecture] = {
    "iterative": Architecture(IterativeConfig, _iterative),
    "graph": Architecture(GraphConfig, _graph),
    "fully_connected": Architecture(GraphConfig, _fully_connected),
    "hmr2": Architecture(HMR2Config, _hmr2, published=True),
    "camera_hmr": Architecture(HMR2Config, _hmr2, published=True),
    "cliff": Architecture(CliffConfig, _cliff, published=True),
}
"""The architectures by name. Training, evaluation, checkpoints and error messages all use this one table."""


def architecture_row(name: str) -> Architecture:
    """How the networks of an architecture are made.

    Args:
        name: one of :data:`ARCHITECTURES`, or an import path of the user's own, such as
            ``my_package.my_module:MyNetwork``, whose module is imported: never pass a name that stood in a checkpoint.
            It names an :class:`Architecture`; or a class derived from :class:`meshrec.models.network.Network` which is
            called with its settings, and whose ``config`` is annotated with their dataclass.

    Raises:
        InputError: There is no such architecture, or the object is neither of these.

    Example:
        >>> from meshrec.models.build import architecture_row
        >>> architecture_row("iterative").config.__name__
        'IterativeConfig'
    """
    if not is_import_path(name):
        if name not in ARCHITECTURES:
            raise InputError(f"there is no architecture '{name}'; choose of {', '.join(ARCHITECTURES)}")
        return ARCHITECTURES[name]
    found = imported(name)
    if isinstance(found, Architecture):
        return found
    if not (isinstance(found, type) and issubclass(found, Network)):
        raise InputError(f"'{name}' is neither a class derived from meshrec.models.network.Network nor an Architecture")
    try:
        config = get_type_hints(found)["config"]
    except NameError as error:
        raise InputError(f"an annotation of '{name}' cannot be read: {error}") from None
    if not (isinstance(config, type) and is_dataclass(config)):
        raise InputError(f"'{name}' must annotate its settings, as in `config: MySettings`, with a dataclass")
    needed = ("encoder", "num_betas", "stages")
    if lacking := [key for key in needed if not hasattr(config, key) and key not in get_type_hints(config)]:
        raise InputError(f"the settings of '{name}' lack {' and '.join(lacking)}; see NetworkSettings")
    return Architecture(config, lambda settings, body, mesh: found(settings))


def build_network(
    architecture: str,
    settings: Mapping,
    body: BodyModel | None = None,
    mesh: GraphMesh | None = None,
    row: Architecture | None = None,
) -> Network:
    """Build a network with random weights.

    Args:
        architecture: a name in :data:`ARCHITECTURES`, or the name of the user's own network in ``row``.
        settings: values of the architecture's settings by name; those left out have their defaults.
        body: the body that the network estimates. Iterative regression needs it only for residual feedback.
        mesh: the graph of a mesh network. Default: the graph that :meth:`GraphMesh.of_body` makes of the body.
        row: how the network is made, from :func:`architecture_row`. Default: the row of :data:`ARCHITECTURES`. Nothing
            is imported here, so that the name may come from a file.

    Returns:
        The network, in training mode on the CPU.

    Raises:
        InputError: There is no such architecture or setting, or the network needs the body and it is missing.
    """
    if row is None:
        if architecture not in ARCHITECTURES:
            raise InputError(f"there is no architecture '{architecture}'; choose of {', '.join(ARCHITECTURES)}")
        row = ARCHITECTURES[architecture]
    network = row.make(read_config(row.config, settings), body, mesh)
    network.architecture = architecture
    return network


def describe_network(network: Network) -> tuple[str, dict]:
    """The architecture's name and settings from which :func:`build_network` makes the same network.

    Raises:
        ValueError: The network was not made by :func:`build_network`.
    """
    if not network.architecture:
        raise ValueError(f"this {type(network).__name__} was not made by build_network, so its architecture is unknown")
    config: Any = network.config
    return network.architecture, asdict(config)


def read_config(kind: type[Config], settings: Mapping) -> Config:
    """Make a configuration from plain settings.

    Args:
        kind: the dataclass of the configuration.
        settings: values of its fields by name; those of a field that is itself a configuration are a mapping.

    Raises:
        InputError: A setting is unknown, or its value is not allowed.
    """
    known = [f.name for f in fields(kind)]
    if unknown := [name for name in settings if name not in known]:
        raise InputError(f"unknown settings of a network: {', '.join(unknown)}; there are {', '.join(known)}")
    values = dict(settings)
    for name, hint in get_type_hints(kind).items():
        part = next((of for of in (hint, *get_args(hint)) if isinstance(of, type) and is_dataclass(of)), None)
        is_left_out = name not in values or (values[name] is None and type(None) in get_args(hint))
        if part is not None and not is_left_out:
            values[name] = read_config(part, values[name])
    return kind(**values)
