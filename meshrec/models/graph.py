"""Regression of a whole mesh from a picture by graph convolutions over the body's own mesh (GraphCMR).

Kolotouros et al. 2019, "Convolutional Mesh Regression for Single-Image Human Shape Reconstruction". Also the fully
connected network that they compare with. Node features are (B, C, N): a 1x1 convolution is then the fastest linear map.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from meshrec.body import NUM_BETAS, BodyData
from meshrec.errors import InputError
from meshrec.models.encoders import Encoder, EncoderConfig, NetworkInput, check_sizes
from meshrec.models.output import MeshEstimate

if TYPE_CHECKING:  # its import takes a tenth of a second, which those who reconstruct photos need not wait
    import scipy.sparse as sp


@dataclass(frozen=True)
class GraphConfig:
    """A mesh regressor.

    Attributes:
        encoder: what it sees, and through which encoder.
        nodes: of the graph, about; the published 1,700, or fewer for speed.
        channels: of the graph blocks; a multiple of 16.
        blocks: graph blocks between the first one and the heads.
        width: of fully connected layers: those of the baseline, and those that turn a mesh into parameters.
        num_betas: shape components.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    nodes: int = 1700
    channels: int = 256
    blocks: int = 5
    width: int = 1024
    num_betas: int = NUM_BETAS

    def __post_init__(self) -> None:
        check_sizes(self, nodes=16, channels=16, blocks=0, width=1, num_betas=1)
        if self.channels % 16:
            raise InputError(f"a graph network's channels are a multiple of 16, not {self.channels}")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the estimates: the body that comes closest to the mesh."""
        return ("body",)


@dataclass(frozen=True)
class GraphMesh:
    """The mesh that a graph network works on. All matrices are sparse: indices (2, M) of rows and columns, and values.

    Attributes:
        template: (N, 3) rest positions of the nodes: the full mesh's box centred, its largest coordinate 1.
        neighbours: (2, E) int64, for every node its neighbours and itself.
        up: (2, M) int64 and up_weights: (M,) interpolate the full mesh's vertices from the nodes.
        vertex_count: of the full mesh.
    """

    template: Tensor
    neighbours: Tensor
    up: Tensor
    up_weights: Tensor
    vertex_count: int

    @classmethod
    def of_body(cls, body: BodyData, nodes: int = 1700) -> GraphMesh:
        """The body's own mesh, coarsened to about so many nodes.

        Raises:
            InputError: It has no more vertices than that.
        """
        from meshrec.body.hierarchy import mesh_hierarchy
        from meshrec.body.topology import adjacency

        if nodes >= len(body.v_template):
            raise InputError(f"a graph of {nodes} nodes is no coarser than the body's {len(body.v_template)} vertices")
        _, level = mesh_hierarchy(body, (nodes,))
        return cls.from_matrices(body.v_template, adjacency(level.faces, len(level.vertices)), level.down, level.up)

    @classmethod
    def from_matrices(
        cls, vertices: np.ndarray, adjacency: sp.spmatrix, down: sp.spmatrix, up: sp.spmatrix
    ) -> GraphMesh:
        """From the full mesh's rest vertices (V, 3), the nodes' adjacency (N, N), and (N, V) and (V, N) resampling."""
        import scipy.sparse as sp

        middle = (vertices.max(0) + vertices.min(0)) / 2
        template = down @ ((vertices - middle) / np.abs(vertices - middle).max())
        links = sp.csr_matrix(adjacency + sp.eye(adjacency.shape[0]))
        neighbours, _ = _entries(links)
        return cls(torch.tensor(template, dtype=torch.float32), neighbours, *_entries(sp.csr_matrix(up)), up.shape[0])


class GraphRegressor(nn.Module):
    """A picture to a mesh: the picture's feature joins every node's template position, then blocks mix neighbours.

    Args:
        mesh: of the body.
        config: the architecture.
    """

    template: Tensor

    def __init__(self, mesh: GraphMesh, config: GraphConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GraphConfig()
        self.mesh = mesh
        self.encoder = Encoder(config.encoder)
        neighbours, self.upsample = neighbour_mean(mesh), upsampling(mesh)
        self.register_buffer("template", mesh.template.T[None], persistent=False)
        width, nodes = config.channels, len(mesh.template)
        self.embed = nn.Conv1d(3 + self.encoder.features, 2 * width, 1)
        self.blocks = nn.Sequential(
            GraphBlock(2 * width, width, neighbours),
            *(GraphBlock(width, width, neighbours) for _ in range(config.blocks)),
        )
        self.shape = nn.Sequential(
            GraphBlock(width, 64, neighbours), GraphBlock(64, 32, neighbours), _norm(32), nn.ReLU(), nn.Conv1d(32, 3, 1)
        )
        single = nn.Conv1d(width, 1, 1)
        self.camera = nn.Sequential(_norm(width), nn.ReLU(), single, nn.ReLU(), nn.Flatten(), nn.Linear(nodes, 3))
        # One channel between two ReLUs: with weights of both signs it is often born dead, and the camera never learns.
        nn.init.uniform_(single.weight, 0, width**-0.5)

    def forward(self, inputs: NetworkInput) -> MeshEstimate:
        return self.from_features(self.encoder(inputs))

    def from_features(self, features: Tensor) -> MeshEstimate:
        """The mesh from the encoder's features (B, F)."""
        # One linear map of [position, feature]: the feature is the same at all nodes, and so its part is done once.
        positions, pictures = self.embed.weight.split([3, features.shape[1]], dim=1)
        shared = nn.functional.linear(features, pictures.squeeze(2), self.embed.bias)
        x = self.blocks(nn.functional.conv1d(self.template, positions) + shared[:, :, None])
        coarse = self.shape(x)
        return MeshEstimate(self.upsample(coarse).mT, coarse.mT, self.camera(x))


class FullyConnectedMesh(nn.Module):
    """The baseline: every vertex from the feature through fully connected layers, ignorant of who its neighbours are.

    Args:
        mesh: of the body.
        config: the architecture; of it, encoder and width.
    """

    def __init__(self, mesh: GraphMesh, config: GraphConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GraphConfig()
        self.mesh = mesh
        self.encoder = Encoder(config.encoder)
        self.upsample = upsampling(mesh)
        self.layers = nn.Sequential(
            *(nn.Linear(self.encoder.features, config.width), nn.ReLU()),
            *(nn.Linear(config.width, config.width), nn.ReLU()),
            nn.Linear(config.width, 3 * len(mesh.template) + 3),
        )

    def forward(self, inputs: NetworkInput) -> MeshEstimate:
        values = self.layers(self.encoder(inputs))
        coarse = values[:, :-3].unflatten(1, (3, -1))
        return MeshEstimate(self.upsample(coarse).mT, coarse.mT, values[:, -3:])


class GraphBlock(nn.Module):
    """A bottleneck block whose middle convolution averages over neighbours (Kipf & Welling 2017), with group norm.

    Args:
        inputs, outputs: channels.
        neighbours: averages every node and its neighbours.
    """

    def __init__(self, inputs: int, outputs: int, neighbours: SparseMatrix) -> None:
        super().__init__()
        half = outputs // 2
        self.norm1, self.linear1 = _norm(inputs), nn.Conv1d(inputs, half, 1)
        self.norm2, self.mix = _norm(half), nn.Conv1d(half, half, 1)
        self.norm3, self.linear2 = _norm(half), nn.Conv1d(half, outputs, 1)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv1d(inputs, outputs, 1)
        self.neighbours = neighbours

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, N) to (B, outputs, N)."""
        y = self.linear1(self.norm1(x).relu_())
        y = self.mix(self.neighbours(self.norm2(y).relu_()))
        return self.linear2(self.norm3(y).relu_()) + self.skip(x)


class SparseMatrix(nn.Module):
    """A constant sparse matrix (M, N) that acts on the nodes of a batch of features.

    Args:
        index: (2, E) rows and columns, sorted.
        values: (E,).
        shape: (M, N).

    Raises:
        RuntimeError: Indices lie outside the shape or are not sorted.
    """

    index: Tensor
    values: Tensor

    def __init__(self, index: Tensor, values: Tensor, shape: tuple[int, int]) -> None:
        super().__init__()
        torch.sparse_coo_tensor(index, values, shape, is_coalesced=True, check_invariants=True)
        self.shape = shape
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("values", values, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, N) to (B, C, M): batch and channels together are the columns of one product."""
        # The buffers are plain tensors, which distributed training can broadcast; the matrix itself costs nothing.
        matrix = torch.sparse_coo_tensor(self.index, self.values, self.shape, is_coalesced=True, check_invariants=False)
        columns = x.flatten(0, 1).T.contiguous().to(self.values.dtype)  # in half precision it is slower on processors
        with torch.autocast(x.device.type, enabled=False):
            product = torch.sparse.mm(matrix, columns)
        return product.to(x.dtype).T.reshape(*x.shape[:2], -1)


def neighbour_mean(mesh: GraphMesh) -> SparseMatrix:
    """The row-normalised adjacency with self loops (Kipf & Welling 2017; Kolotouros et al. 2019, equation 1)."""
    counts = torch.bincount(mesh.neighbours[0], minlength=len(mesh.template))
    return SparseMatrix(mesh.neighbours, 1 / counts[mesh.neighbours[0]], (len(mesh.template),) * 2)


def upsampling(mesh: GraphMesh) -> SparseMatrix:
    """The full mesh's vertices from the nodes."""
    return SparseMatrix(mesh.up, mesh.up_weights, (mesh.vertex_count, len(mesh.template)))


def _norm(channels: int) -> nn.GroupNorm:
    """Groups of eight channels."""
    return nn.GroupNorm(channels // 8, channels)


def _entries(matrix: sp.csr_matrix) -> tuple[Tensor, Tensor]:
    """Indices (2, E), sorted by row and column, and values (E,) float32."""
    matrix.sum_duplicates()
    entries = matrix.tocoo()
    index = torch.tensor(np.stack([entries.row, entries.col]), dtype=torch.int64)
    return index, torch.tensor(entries.data, dtype=torch.float32)
