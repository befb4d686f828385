"""What networks put out, whatever their architecture."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.models.estimate import Estimate


@dataclass
class MeshEstimate:
    """Meshes in camera space, metres, before translation by the camera.

    Attributes:
        vertices: (B, V, 3) of the body's full mesh.
        coarse: (B, N, 3) of the mesh whose vertices are the graph's nodes.
        camera: (B, 3) as s, tx, ty; see :class:`meshrec.models.estimate.Estimate`.
    """

    vertices: Tensor
    coarse: Tensor
    camera: Tensor


@dataclass(frozen=True)
class NetworkOutput:
    """The output for a batch of B people. What a network does not estimate is None.

    Attributes:
        estimates: body parameters after each stage of the network, at least one.
        mesh: the mesh, of networks that regress one.
        heatmaps: (B, K, H, W) of the K keypoints of the encoder's joint set over the crop.
        joints: (B, K, 3) of the same joint set, metres in camera space before translation by the camera.
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
