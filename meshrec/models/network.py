"""What all networks have in common, so that nobody who uses one needs to know its class."""

from typing import Protocol

from torch import nn

from meshrec.models.encoders import Encoder, EncoderConfig
from meshrec.models.graph import GraphMesh


class NetworkSettings(Protocol):
    """The settings of a network, a frozen dataclass of values that JSON and YAML can hold.

    Attributes:
        encoder: which inputs the network sees, and through which encoder.
        num_betas: number of shape components that it estimates.
        stages: names of its estimates, in their order.
    """

    @property
    def encoder(self) -> EncoderConfig: ...

    @property
    def num_betas(self) -> int: ...

    @property
    def stages(self) -> tuple[str, ...]: ...


class Network(nn.Module):
    """A network that estimates bodies from a :class:`meshrec.models.encoders.NetworkInput`.

    Its ``forward`` returns a :class:`meshrec.models.output.NetworkOutput`. To add an architecture, derive from this
    class and add a row to :data:`meshrec.models.build.ARCHITECTURES`; a network of one's own can be named in a
    configuration by its import path instead, see :func:`meshrec.models.build.architecture_row`.

    Attributes:
        config: its settings.
        encoder: the module that turns the input into a feature vector; ``encoder.config`` describes the input.
        mesh: the graph on which it regresses a mesh; None for networks that regress none.
        architecture: the name under which :func:`meshrec.models.build.build_network` made it; empty if made otherwise.
    """

    config: NetworkSettings
    encoder: Encoder
    mesh: GraphMesh | None = None
    architecture: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The fields of the input that it reads, apart from the focal length, which every network may use."""
        seen = {"keypoints" if name == "heatmaps" else name for name in self.encoder.config.inputs}
        return tuple(name for name in ("rgb", "silhouette", "keypoints") if name in seen)
