"""The interface that all networks share, so that the code that uses a network does not depend on its class."""

from typing import Protocol

from torch import nn

from meshrec.models.encoders import Crops, Encoder, EncoderConfig
from meshrec.models.graph import GraphMesh


class NetworkSettings(Protocol):
    """The settings of a network, a frozen dataclass of values that JSON and YAML can hold.

    Attributes:
        encoder: settings of the encoder, with the inputs that it sees.
        num_betas: number of shape components that the network estimates.
        stages: names of the estimates of a :class:`meshrec.models.output.NetworkOutput`, in their order.
    """

    @property
    def encoder(self) -> EncoderConfig:
        """Settings of the encoder, with the inputs that it sees."""

    @property
    def num_betas(self) -> int:
        """Number of shape components that the network estimates."""

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the estimates, in their order."""


class Network(nn.Module):
    """A network that estimates bodies from a :class:`meshrec.models.encoders.NetworkInput`.

    Its ``forward`` returns a :class:`meshrec.models.output.NetworkOutput`. To add an architecture, derive from this
    class and add a row to :data:`meshrec.models.build.ARCHITECTURES`; a network of one's own can be named in a
    configuration by its import path instead, see :func:`meshrec.models.build.architecture_row`.

    Attributes:
        config: the settings of the network.
        encoder: the module that turns the input into a feature vector; ``encoder.config`` describes the input.
        mesh: the graph on which the network regresses a mesh; None for networks that regress none.
        architecture: the name with which :func:`meshrec.models.build.build_network` was called; empty for networks that
            were made without it.
    """

    config: NetworkSettings
    encoder: Encoder | Crops
    mesh: GraphMesh | None = None
    architecture: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The fields of the input that the network reads, except for the focal length, which every network may use."""
        fields = {"keypoints" if name == "heatmaps" else name for name in self.encoder.config.inputs}
        return tuple(name for name in ("rgb", "silhouette", "keypoints") if name in fields)
