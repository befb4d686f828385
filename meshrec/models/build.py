"""Networks by the name of their architecture and plain settings, as configuration files and checkpoints hold them."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from torch import nn

from meshrec.body import BodyModel
from meshrec.errors import InputError
from meshrec.models.encoders import Encoder, EncoderConfig
from meshrec.models.graph import FullyConnectedMesh, GraphConfig, GraphMesh, GraphRegressor
from meshrec.models.iterative import IterativeConfig, IterativeRegressor
from meshrec.models.mesh_to_params import MeshRecovery

ARCHITECTURES = ("iterative", "graph", "fully_connected")

Config = TypeVar("Config", IterativeConfig, GraphConfig, EncoderConfig)


def build_network(
    architecture: str, settings: Mapping, body: BodyModel | None = None, mesh: GraphMesh | None = None
) -> IterativeRegressor | MeshRecovery:
    """A network with fresh weights.

    Args:
        architecture: one of :data:`ARCHITECTURES`.
        settings: values of :class:`IterativeConfig` or :class:`GraphConfig`; those left out have their defaults.
        body: the body it is for. Iterative regression needs it only for residual feedback.
        mesh: the graph's nodes. Default: the body's own.

    Raises:
        InputError: There is no such architecture or setting, or the body is missing.
    """
    if architecture == "iterative":
        config = read_config(IterativeConfig, settings)
        if config.feedback == "residuals" and body is None:
            raise InputError("this network compares a body's landmarks with keypoints: say which body it is for")
        return IterativeRegressor(config, body)
    if architecture in ("graph", "fully_connected"):
        graph = read_config(GraphConfig, settings)
        if mesh is None:
            if body is None:
                raise InputError("a mesh network needs the body whose mesh it makes")
            mesh = GraphMesh.of_body(body.data, graph.nodes)
        kind = GraphRegressor if architecture == "graph" else FullyConnectedMesh
        return MeshRecovery(kind(mesh, graph))
    raise InputError(f"there is no architecture '{architecture}'; choose of {', '.join(ARCHITECTURES)}")


def describe_network(network: nn.Module) -> tuple[str, dict]:
    """The architecture's name and settings from which :func:`build_network` makes the same network."""
    if isinstance(network, IterativeRegressor):
        return "iterative", asdict(network.config)
    if isinstance(network, MeshRecovery):
        graph = isinstance(network.regressor, GraphRegressor)
        return "graph" if graph else "fully_connected", asdict(network.regressor.config)
    raise ValueError(f"{type(network).__name__} is none of {', '.join(ARCHITECTURES)}")


def encoder_of(network: nn.Module) -> Encoder:
    """The encoder of a network that :func:`build_network` made."""
    holder: Any = network.regressor if isinstance(network, MeshRecovery) else network
    return holder.encoder


def read_config(kind: type[Config], settings: Mapping) -> Config:
    """A configuration from plain settings, nested as its dataclasses are.

    Raises:
        InputError: A setting is unknown.
    """
    known = [f.name for f in fields(kind)]
    if unknown := [name for name in settings if name not in known]:
        raise InputError(f"unknown settings of a network: {', '.join(unknown)}; there are {', '.join(known)}")
    values = dict(settings)
    if "encoder" in values:
        values["encoder"] = read_config(EncoderConfig, values["encoder"])
    return kind(**values)
