"""The output that networks of all architectures return."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.models.estimate import Estimate


@dataclass
class MeshEstimate:
    """B regressed meshes in camera space, before translation by the camera.

    Attributes:
        vertices: (B, V, 3) vertices of the body's full mesh, metres.
        coarse: (B, N, 3) vertices of the coarse mesh, which are the nodes of the graph, metres.
        camera: (B, 3) s, tx, ty; see :class:`meshrec.models.estimate.Estimate`.
    """

    vertices: Tensor
    coarse: Tensor
    camera: Tensor


@dataclass(frozen=True)
class NetworkOutput:
    """The output for a batch of B people. Fields that a network does not estimate are None.

    Attributes:
        estimates: body parameters after each stage of the network, at least one.
        mesh: the meshes, if the network regresses any.
        heatmaps: (B, K, H, W) heatmaps of the K keypoints of the encoder's joint set, over the crop.
        joints: (B, K, 3) positions of the same joint set in camera space, before translation by the camera, metres.
    """

    estimates: Sequence[Estimate]
    mesh: MeshEstimate | None = None
    heatmaps: Tensor | None = None
    joints: Tensor | None = None

    @property
    def final(self) -> Estimate:
        """The last estimate, which is the network's result."""
        return self.estimates[-1]


for kind in (MeshEstimate, NetworkOutput):
    torch.export.register_dataclass(kind)
