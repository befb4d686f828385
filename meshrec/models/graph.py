"""Regression of a whole mesh by graph convolutions over the body's own mesh (GraphCMR).

The method is that of Kolotouros et al. 2019, "Convolutional Mesh Regression for Single-Image Human Shape
Reconstruction". The fully connected network to which they compare it is here too. Node features are (B, C, N), since
1x1 convolutions are the fastest linear layers on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from meshrec.body import NUM_BETAS, BodyData
from meshrec.compiled.operators import is_exporting
from meshrec.errors import InputError
from meshrec.models.checks import check_sizes
from meshrec.models.encoders import Encoder, EncoderConfig, NetworkInput
from meshrec.models.output import MeshEstimate

if TYPE_CHECKING:  # the import takes a tenth of a second, and the reconstruction of photos does not need it
    import scipy.sparse as sp


@dataclass(frozen=True)
class GraphConfig:
    """Settings of a mesh regressor.

    Attributes:
        encoder: settings of the encoder, with the inputs that it sees.
        nodes: approximate number of nodes of the graph: 1,700 as published, or fewer for speed.
        channels: channels of the graph blocks, a multiple of 16.
        blocks: number of graph blocks between the first one and the heads.
        width: units in each fully connected layer, of the baseline and of the network from mesh to parameters.
        num_betas: number of shape components.
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
        """Names of the estimates. There is one: the body that comes closest to the mesh."""
        return ("body",)


@dataclass(frozen=True)
class GraphMesh:
    """The mesh of a graph network, whose N vertices are the nodes of the graph.

    Attributes:
        template: (N, 3) rest positions of the nodes, shifted and scaled so that the bounding box of the full mesh is
            centred at the origin and its longest side has a length of 2.
        neighbours: (2, E) int64 pairs of nodes that are neighbours or equal, sorted: the row and column of each entry
            of the adjacency matrix with self loops.
        up: (2, M) int64 rows and columns, sorted, of the sparse matrix (V, N) that interpolates the vertices of the
            full mesh from the nodes.
        up_weights: (M,) float32 entries of that matrix.
        vertex_count: number V of vertices of the full mesh.
    """

    template: Tensor
    neighbours: Tensor
    up: Tensor
    up_weights: Tensor
    vertex_count: int

    @classmethod
    def of_body(cls, body: BodyData, nodes: int = 1700) -> GraphMesh:
        """Coarsen the mesh of a body.

        Args:
            body: a body with a closed mesh.
            nodes: approximate number of nodes.

        Raises:
            InputError: The body has no more than ``nodes`` vertices.
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
        """Make the mesh from matrices.

        Args:
            vertices: (V, 3) rest vertices of the full mesh, metres.
            adjacency: (N, N) adjacency of the nodes, without self loops.
            down: (N, V) matrix that gives the nodes' positions from the vertices.
            up: (V, N) matrix that interpolates the vertices from the nodes.
        """
        import scipy.sparse as sp

        middle = (vertices.max(0) + vertices.min(0)) / 2
        template = down @ ((vertices - middle) / np.abs(vertices - middle).max())
        links = sp.csr_matrix(adjacency + sp.eye(adjacency.shape[0]))
        neighbours, _ = _entries(links)
        return cls(torch.tensor(template, dtype=torch.float32), neighbours, *_entries(sp.csr_matrix(up)), up.shape[0])


class GraphRegressor(nn.Module):
    """Regresses a mesh by graph convolutions.

    The encoder's feature is concatenated to the template position of each node; graph blocks follow.

    Args:
        mesh: the graph of the body.
        config: the settings. Default: those of the paper.
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
        # With weights of both signs the single channel behind the ReLU is often zero for all inputs, and the camera
        # never learns.
        nn.init.uniform_(single.weight, 0, width**-0.5)

    def forward(self, inputs: NetworkInput) -> MeshEstimate:
        """Estimate the meshes of B people from the inputs that the encoder uses."""
        return self.from_features(self.encoder(inputs))

    def from_features(self, features: Tensor) -> MeshEstimate:
        """Estimate meshes from the encoder's features (B, F)."""
        # The first layer is linear in [position, feature]. The feature is the same at all nodes, so that its part needs
        # to be computed only once.
        of_position, of_feature = self.embed.weight.split([3, features.shape[1]], dim=1)
        shared = nn.functional.linear(features, of_feature.squeeze(2), self.embed.bias)
        x = self.blocks(nn.functional.conv1d(self.template, of_position) + shared[:, :, None])
        coarse = self.shape(x)
        return MeshEstimate(self.upsample(coarse).mT, coarse.mT, self.camera(x))


class FullyConnectedMesh(nn.Module):
    """The baseline: regresses the nodes by fully connected layers, which do not know the mesh's connectivity.

    Args:
        mesh: the graph of the body, used only for up-sampling.
        config: the settings, of which ``encoder`` and ``width`` count.
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
        """Estimate the meshes of B people from the inputs that the encoder uses."""
        values = self.layers(self.encoder(inputs))
        coarse = values[:, :-3].unflatten(1, (3, -1))
        return MeshEstimate(self.upsample(coarse).mT, coarse.mT, values[:, -3:])


class GraphBlock(nn.Module):
    """A bottleneck block with group normalisation, whose middle layer is a graph convolution (Kipf & Welling 2017).

    Args:
        inputs: number of input channels, a multiple of 8.
        outputs: number of output channels, a multiple of 16.
        neighbours: (N, N) matrix that averages each node with its neighbours.
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
        """Map node features (B, inputs, N) to (B, outputs, N)."""
        y = self.linear1(self.norm1(x).relu_())
        y = self.mix(self.neighbours(self.norm2(y).relu_()))
        return self.linear2(self.norm3(y).relu_()) + self.skip(x)


class SparseMatrix(nn.Module):
    """A constant sparse matrix (M, N) that is applied to the nodes of a batch of features.

    Args:
        index: (2, E) int64 rows and columns of the entries, sorted.
        values: (E,) entries.
        shape: (M, N).

    Raises:
        RuntimeError: Indices lie outside the shape or are not sorted.
    """

    index: Tensor
    values: Tensor
    padded_columns: Tensor
    padded_values: Tensor

    def __init__(self, index: Tensor, values: Tensor, shape: tuple[int, int]) -> None:
        super().__init__()
        torch.sparse_coo_tensor(index, values, shape, is_coalesced=True, check_invariants=True)
        self.shape = shape
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("values", values, persistent=False)
        columns, weights = _padded(index, values, shape[0])
        self.register_buffer("padded_columns", columns, persistent=False)
        self.register_buffer("padded_values", weights, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the matrix to features (B, C, N); the result is (B, C, M)."""
        if is_exporting():  # ONNX has no sparse matrices
            return (x[:, :, self.padded_columns] * self.padded_values).sum(-1)
        # The buffers are dense tensors, which distributed training can broadcast. Making the sparse tensor of them here
        # takes no time. Batch and channels together are the columns of one product.
        matrix = torch.sparse_coo_tensor(self.index, self.values, self.shape, is_coalesced=True, check_invariants=False)
        columns = x.flatten(0, 1).T.contiguous().to(self.values.dtype)  # half precision would be slower on a CPU
        with torch.autocast(x.device.type, enabled=False):
            product = torch.sparse.mm(matrix, columns)
        return product.to(x.dtype).T.reshape(*x.shape[:2], -1)


def neighbour_mean(mesh: GraphMesh) -> SparseMatrix:
    """The row-normalised adjacency (N, N) with self loops (Kipf & Welling 2017; Kolotouros et al. 2019, equation 1)."""
    counts = torch.bincount(mesh.neighbours[0], minlength=len(mesh.template))
    return SparseMatrix(mesh.neighbours, 1 / counts[mesh.neighbours[0]], (len(mesh.template),) * 2)


def upsampling(mesh: GraphMesh) -> SparseMatrix:
    """The matrix (V, N) that interpolates the vertices of the full mesh from the nodes."""
    return SparseMatrix(mesh.up, mesh.up_weights, (mesh.vertex_count, len(mesh.template)))


def _padded(index: Tensor, values: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Columns and values (M, most) of each row's entries side by side; short rows are padded with values of zero."""
    counts = torch.bincount(index[0], minlength=rows)
    place = torch.arange(index.shape[1]) - (counts.cumsum(0) - counts)[index[0]]
    size = (rows, int(counts.max()))
    columns, weights = torch.zeros(size, dtype=torch.int64), values.new_zeros(size)
    columns[index[0], place], weights[index[0], place] = index[1], values
    return columns, weights


def _norm(channels: int) -> nn.GroupNorm:
    """Group normalisation of groups of eight channels."""
    return nn.GroupNorm(channels // 8, channels)


def _entries(matrix: sp.csr_matrix) -> tuple[Tensor, Tensor]:
    """A matrix's entries: rows and columns (2, E), sorted, and values (E,) float32."""
    matrix.sum_duplicates()
    entries = matrix.tocoo()
    index = torch.tensor(np.stack([entries.row, entries.col]), dtype=torch.int64)
    return index, torch.tensor(entries.data, dtype=torch.float32)
