"""Stand-ins for published checkpoints, whose weights follow from their names alone and so are the same everywhere.

The outputs of the authors' own networks with these weights are stored in ``tests/helpers/stored``.
"""

import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from helpers.paths import STORED
from meshrec.models.checkpoints import write_checkpoint
from meshrec.models.efficientnet import EfficientNetLite0
from meshrec.models.field_of_view import ARCHITECTURE, FieldOfViewConfig, FieldOfViewNetwork
from meshrec.models.hrnet import HRNetConfig

WIDTHS = (64, 128, 256, 512)


def seeded(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers, float32, that depend only on a name and a shape."""
    return np.random.RandomState(zlib.crc32(f"meshrec {name}".encode())).standard_normal(shape).astype(np.float32)


def seeded_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights and batch statistics with which activations neither vanish nor explode."""
    weights = {}
    for name, shape in shapes.items():
        kind = name.rsplit(".", 1)[-1]
        normal = seeded(name, shape)
        if kind == "num_batches_tracked":
            value = np.array(0)
        elif kind == "running_var":
            value = 0.8 + 0.1 * np.abs(normal)
        elif len(shape) == 1 and kind in ("weight", "W"):  # of a normalisation
            # That of the last layer of a residual branch is small, or the sum over 50 layers would grow to a thousand.
            value = (0.2 if ".bn3." in name or ".bn2." in name else 1.0) + 0.05 * normal
        elif len(shape) == 1:
            value = 0.3 * normal
        else:
            # All weights are (out, in, ...), except those of graph convolutions, (in, out), which are square.
            value = normal * float(np.sqrt(1.5 / np.prod(shape[1:])))
        if name.endswith("gc.0.W"):  # or the three coordinates of a node would not count among 2,048 features
            value[:, :3] *= 30
        weights[name] = torch.tensor(value)
    return weights


def seeded_images(count: int) -> Tensor:
    """Pictures (count, 3, 224, 224) of large coloured squares with noise."""
    squares = np.kron(seeded("squares", (count, 3, 4, 4)), np.ones((56, 56), np.float32))
    return torch.from_numpy(2 * squares + 0.3 * seeded("noise", (count, 3, 224, 224)))


def downsampling_matrices() -> dict[str, list[sp.csr_matrix]]:
    """A random hierarchy of meshes in GraphCMR's sizes: adjacency A, up-sampling U and down-sampling D."""
    random = np.random.RandomState(0)
    sizes = (6890, 1723, 431)
    adjacency, up, down = [], [], []
    for size in sizes:
        i, j = random.randint(0, size, (2, 3 * size))
        # GraphCMR's matrices hold numbers of shared faces, which have to be read as ones.
        links = sp.coo_matrix((random.randint(1, 3, 3 * size), (i, j)), (size, size))
        adjacency.append(sp.csc_matrix(links + links.T, dtype=np.float64))
    for fine, coarse in ((6890, 1723), (1723, 431)):
        columns, weights = random.randint(0, coarse, (fine, 3)), random.uniform(0.2, 0.4, (fine, 3))
        up.append(sp.csc_matrix((weights.ravel(), (np.repeat(np.arange(fine), 3), columns.ravel())), (fine, coarse)))
        kept = np.sort(random.permutation(fine)[:coarse])
        down.append(sp.csc_matrix((np.ones(coarse), (np.arange(coarse), kept)), (coarse, fine)))
    return {"A": adjacency, "U": up, "D": down}


def write_downsampling(path: Path) -> None:
    """Write a file in the format of GraphCMR's ``mesh_downsampling.npz``: arrays of pickled sparse matrices."""
    arrays = {}
    for name, matrices in downsampling_matrices().items():
        arrays[name] = np.empty(len(matrices), object)
        arrays[name][:] = matrices
    np.savez_compressed(path, **arrays)


def resnet_shapes(depth: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of torchvision's weights, written out from the table in the paper on ResNets."""
    counts = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}[depth]
    kernels = (1, 3, 1) if depth == 50 else (3, 3)
    shapes = {"conv1.weight": (64, 3, 7, 7), **norm_shapes("bn1", 64)}
    inputs = 64
    for stage, (width, count) in enumerate(zip(WIDTHS, counts), start=1):
        outputs = 4 * width if depth == 50 else width
        for block in range(count):
            prefix, size = f"layer{stage}.{block}", inputs
            for k, kernel in enumerate(kernels, start=1):
                wide = outputs if k == len(kernels) else width
                shapes[f"{prefix}.conv{k}.weight"] = (wide, size, kernel, kernel)
                shapes |= norm_shapes(f"{prefix}.bn{k}", wide)
                size = wide
            if block == 0 and (stage > 1 or inputs != outputs):
                shapes[f"{prefix}.downsample.0.weight"] = (outputs, inputs, 1, 1)
                shapes |= norm_shapes(f"{prefix}.downsample.1", outputs)
            inputs = outputs
    return shapes | linear_shapes("fc", inputs, 1000)


def norm_shapes(prefix: str, size: int) -> dict[str, tuple[int, ...]]:
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{prefix}.{name}": (size,) for name in names} | {f"{prefix}.num_batches_tracked": ()}


def linear_shapes(prefix: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}.weight": (outputs, inputs), f"{prefix}.bias": (outputs,)}


def spin_weights() -> dict[str, Tensor]:
    """A state dict as SPIN's."""
    shapes = {key: shape for key, shape in resnet_shapes(50).items() if not key.startswith("fc.")}
    shapes |= linear_shapes("fc1", 2048 + 144 + 13, 1024) | linear_shapes("fc2", 1024, 1024)
    for name, size in (("pose", 144), ("shape", 10), ("cam", 3)):
        shapes |= linear_shapes(f"dec{name}", 1024, size) | {f"init_{name}": (1, size)}
    weights = seeded_weights(shapes)
    weights["init_pose"] = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(1, 24) + 0.2 * weights["init_pose"]
    return weights


def write_focal_network(path: Path, vertical: float) -> None:
    """Write a small network for fields of view, which finds the same vertical one, in radians, in all photos."""
    settings = FieldOfViewConfig(HRNetConfig(width=4, stem=8, modules=(1, 1, 1), blocks=1, stem_blocks=1), hidden=8)
    network = FieldOfViewNetwork(settings)
    torch.nn.init.zeros_(network.output.weight)
    network.output.bias.data = torch.tensor([1.2, vertical])
    write_checkpoint(path, ARCHITECTURE, asdict(settings), network.state_dict(), "")


def stored(name: str) -> dict[str, Tensor]:
    """Stored outputs of the authors' code."""
    with np.load(STORED / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-4) -> bool:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max()) < tolerance


def efficientnet_weights() -> dict[str, Tensor]:
    """Weights of an EfficientNet-Lite0 by the names in the package ``efficientnet_lite_pytorch``."""
    shapes = {key: tuple(value.shape) for key, value in EfficientNetLite0().state_dict().items()}
    named = {
        ".".join(part if part.isdigit() or part == parts[-1] else f"_{part}" for part in parts): shape
        for parts, shape in ((key.split("."), shape) for key, shape in shapes.items())
    }
    return seeded_weights(named | {"_fc.weight": (1000, 1280), "_fc.bias": (1000,)})
