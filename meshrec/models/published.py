"""Conversion of published checkpoints to the networks of this package.

- SPIN and HMR-PyTorch (Kolotouros et al. 2019, "Learning to Reconstruct 3D Human Pose and Shape via Model-fitting in
  the Loop"), and HMR and SPIN as trained with MMHuman3D, which have the same network with other names of the weights.
- GraphCMR (Kolotouros et al. 2019), whose graph is in a separate file.
- ResNets trained on ImageNet, with torchvision's names.
"""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from meshrec.body import NUM_BETAS, NUM_JOINTS, BodyModel
from meshrec.body.smpl_landmarks import SMPL_VERTEX_COUNT
from meshrec.errors import InputError
from meshrec.files.unpickle import unpickle_element
from meshrec.models.build import build_network
from meshrec.models.checkpoints import Checkpoint, check_weights, save_checkpoint
from meshrec.models.graph import GraphMesh
from meshrec.models.network import Network
from meshrec.models.resnet import ResNet, with_input_channels

Weights = dict[str, Tensor]

WIDTH = 1024  # units in each of SPIN's fully connected layers
# SPIN stores the first two columns of a rotation row by row; here they are stored one column after the other.
_COLUMNS = torch.tensor([0, 2, 4, 1, 3, 5])
_POSE = (6 * torch.arange(NUM_JOINTS)[:, None] + _COLUMNS).flatten()
# Names of the fully connected layers in SPIN and here.
_LAYERS = (("fc1", "embed"), ("fc2", "head.2"))
# Sizes of the parts of the state by SPIN's names. Their order is the same in SPIN and here.
_PARTS = {"pose": 6 * NUM_JOINTS, "shape": NUM_BETAS, "cam": 3}


def import_checkpoint(
    source: str | Path, target: str | Path, body: BodyModel, graph: str | Path | None = None
) -> Checkpoint:
    """Convert a published checkpoint.

    Args:
        source: a ``.pt`` or ``.pth`` file of SPIN, HMR-PyTorch, MMHuman3D's HMR or SPIN, or GraphCMR.
        target: the ``.safetensors`` file to write.
        body: the body with which it was trained, which is SMPL's neutral one.
        graph: ``mesh_downsampling.npz`` of GraphCMR, which only its checkpoints need.

    Returns:
        The checkpoint that was written.

    Raises:
        InputError: The file is no such checkpoint, contains code, or its keys, shapes or number of vertices do not fit.
    """
    if len(body.v_template) != SMPL_VERTEX_COUNT:
        raise InputError(
            f"published checkpoints make SMPL's {SMPL_VERTEX_COUNT} vertices, but this body has "
            f"{len(body.v_template)}: give SMPL's own neutral file"
        )
    content = read_weights(source)
    if "graph_cnn" in content:
        if graph is None:
            raise InputError(f"{source} is GraphCMR's: its graph is needed too, GraphCMR's mesh_downsampling.npz")
        network = _graph_cmr(content, read_graph(graph, body), source)
    else:
        network = _spin(_state_dict(content), source)
    provenance = {"converted_from": Path(source).name}
    save_checkpoint(target, network, body.hash, provenance)
    return Checkpoint(network.eval(), network.architecture, body.hash, provenance)


def load_resnet(resnet: ResNet, path: str | Path) -> None:
    """Load the weights of a public checkpoint into a ResNet.

    Input channels beyond RGB get weights of zero, so that they have no effect at first.

    Args:
        resnet: a network of the checkpoint's depth, whose first three input channels are RGB.
        path: a ``.pth`` or ``.safetensors`` file with torchvision's names.

    Raises:
        InputError: The file is no such checkpoint, or its weights do not fit.
    """
    weights = {key: value for key, value in _state_dict(read_weights(path)).items() if not key.startswith("fc.")}
    expected = {key: tuple(value.shape) for key, value in resnet.state_dict().items()}
    first, wanted = weights.get("conv1.weight"), expected["conv1.weight"][1]
    if first is not None and first.dim() == 4 and first.shape[1] == 3 < wanted:
        weights["conv1.weight"] = with_input_channels(first, wanted)
    resnet.load_state_dict(_checked(weights, expected, path))


def read_weights(path: str | Path) -> dict:
    """Read a ``.pt``, ``.pth`` or ``.safetensors`` file without executing code that it may contain.

    Returns:
        The dictionary in the file: weights, or what a training stored beside them.

    Raises:
        InputError: The file is missing, damaged, no dictionary, or contains code.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such checkpoint")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        _refuse_packed(path)
        with torch.serialization.safe_globals(_numpy_scalars()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    # A damaged file can raise any exception.
    except Exception as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked:
            raise InputError(f"{path}: refused, because it asks to run '{asked[1]}'; weights need no code") from None
        # The message of torch is not passed on, because it advises to load the file unsafely.
        raise InputError(f"{path} is not a readable checkpoint: it is cut short, or no file of weights") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__} where checkpoints are dictionaries of weights")
    return content


def _refuse_packed(path: Path) -> None:
    """Refuse compressed archives, which may unpack to any size. torch never compresses the tensors that it stores.

    Raises:
        InputError: The archive is compressed.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise InputError(f"{path} is packed, as no checkpoint is; unpack it and save it with torch again")


def read_graph(path: str | Path, body: BodyModel) -> GraphMesh:
    """Read the graph of GraphCMR.

    The matrices in the file are pickled. :mod:`meshrec.files.unpickle` reads them, which executes no code.

    Args:
        path: ``mesh_downsampling.npz`` of GraphCMR.
        body: a body with SMPL's mesh.

    Raises:
        InputError: The file is no such graph, contains code, or belongs to another mesh.
    """
    adjacency, up, down = (_sparse_matrix(Path(path), name, index) for name, index in (("A", 1), ("U", 0), ("D", 0)))
    vertices, nodes = up.shape
    if adjacency.shape != (nodes, nodes) or down.shape != (nodes, vertices):
        raise InputError(f"{path}: the sizes of its matrices do not agree")
    if vertices != len(body.v_template):
        raise InputError(f"{path} is for a mesh of {vertices} vertices, but this body has {len(body.v_template)}")
    return GraphMesh.from_matrices(body.data.v_template, adjacency, down, up)


def _spin(state: Weights, source: str | Path) -> Network:
    """Make an iterative regressor of the weights of SPIN or HMR, or of their versions in MMHuman3D."""
    if any(key.startswith("head.") for key in state):  # MMHuman3D, whose files also hold body models and a critic
        parts = (key.partition(".") for key in state if key.startswith(("backbone.", "head.")))
        state = {rest: state[f"{part}.{rest}"] for part, _, rest in parts}
    state = {key: value for key, value in state.items() if not key.startswith("fc.")}
    if "decpose.weight" not in state:
        some = ", ".join(list(state)[:3]) or "nothing"
        raise InputError(f"{source} holds no weights of HMR, SPIN or GraphCMR, but {some} and so on")
    network = build_network("iterative", {"activation": False, "width": WIDTH, "num_betas": NUM_BETAS})
    ours = network.state_dict()
    same = {key.removeprefix("encoder.backbone."): key for key in ours if key.startswith("encoder.")}
    same |= {f"{theirs}.{kind}": f"{own}.{kind}" for theirs, own in _LAYERS for kind in ("weight", "bias")}
    expected = {theirs: tuple(ours[own].shape) for theirs, own in same.items()}
    for name, size in _PARTS.items():
        weight = (size, WIDTH)
        expected |= {f"dec{name}.weight": weight, f"dec{name}.bias": (size,), f"init_{name}": (1, size)}
    state = _checked(state, expected, source)

    converted = {own: state[theirs] for theirs, own in same.items()}
    columns = torch.arange(state["fc1.weight"].shape[1])
    start = network.encoder.features
    columns[start : start + len(_POSE)] = start + _POSE
    converted["embed.weight"] = state["fc1.weight"][:, columns]
    joined = (("update.weight", "dec{}.weight", 0), ("update.bias", "dec{}.bias", 0), ("mean", "init_{}", 1))
    for own, theirs, axis in joined:
        pose, *others = (state[theirs.format(name)] for name in _PARTS)
        converted[own] = torch.cat([pose.index_select(axis, _POSE), *others], axis)
    network.load_state_dict(converted)
    return network


def _graph_cmr(content: dict, mesh: GraphMesh, source: str | Path) -> Network:
    """Make a graph network of the weights of GraphCMR."""
    state = {
        f"{part}.{key}": value
        for part in ("graph_cnn", "smpl_param_regressor")
        for key, value in _state_dict(content.get(part)).items()
    }
    network = build_network("graph", {"num_betas": NUM_BETAS}, mesh=mesh)
    ours = network.state_dict()
    theirs = {key: _graph_cmr_name(key) for key in ours}
    used = set(theirs.values())
    # The authors' files also hold skip connections and a classifier that their networks never use.
    idle = [key for key in state if key not in used and re.search(r"\.(skip_conv|fc)\.", key)]
    state = {key: value for key, value in state.items() if key not in idle}
    expected = {theirs[key]: tuple(_like_theirs(value, theirs[key]).shape) for key, value in ours.items()}
    state = _checked(state, expected, source)
    # The layout is its own inverse: flattened matrices are reshaped here, and transposed ones are transposed back.
    network.load_state_dict(
        {key: _like_theirs(state[theirs[key]], theirs[key]).reshape(ours[key].shape) for key in ours}
    )
    return network


def _graph_cmr_name(key: str) -> str:
    """The name in GraphCMR of one of this package's weights."""
    for pattern, replacement in _GRAPH_CMR_NAMES:
        key = re.sub(pattern, replacement, key)
    return key


_GRAPH_CMR_NAMES = (
    (r"^to_parameters\.embed\.", "smpl_param_regressor.layers.0.fc_block."),
    (r"^to_parameters\.residuals\.0\.", "smpl_param_regressor.layers.1.fc_block."),
    (r"^to_parameters\.residuals\.1\.", "smpl_param_regressor.layers.2.fc_block."),
    (r"^to_parameters\.output\.", "smpl_param_regressor.layers.3."),
    (r"^regressor\.encoder\.backbone\.", "graph_cnn.resnet."),
    (r"^regressor\.embed\.", "graph_cnn.gc.0."),
    (r"^regressor\.blocks\.(\d+)", lambda found: f"graph_cnn.gc.{int(found[1]) + 1}"),
    (r"^regressor\.shape\.", "graph_cnn.shape."),
    (r"^regressor\.camera\.5\.", "graph_cnn.camera_fc.4."),
    (r"^regressor\.camera\.", "graph_cnn.camera_fc."),
    (r"(graph_cnn\.(?:gc|shape)\.\d+)\.norm1\.", r"\1.pre_norm."),
    (r"(graph_cnn\.(?:gc|shape)\.\d+)\.norm([23])\.", lambda found: f"{found[1]}.norm{int(found[2]) - 1}."),
    (r"\.mix\.", ".conv."),
    (r"\.linear([12])\.", r".lin\1."),
    (r"\.skip\.", ".skip_conv."),
    (r"(\.lin[12]|\.skip_conv|gc\.0|shape\.4|camera_fc\.2)\.weight$", r"\1.W"),
    (r"(\.lin[12]|\.skip_conv|gc\.0|shape\.4|camera_fc\.2)\.bias$", r"\1.b"),
)


def _like_theirs(value: Tensor, name: str) -> Tensor:
    """Lay out a weight as GraphCMR does for that name: 1x1 convolutions are matrices, those of ``conv`` transposed."""
    if name.endswith(".W"):
        return value.flatten(1)
    if re.search(r"(gc|shape)\.\d+\.conv\.weight$", name):
        return value.flatten(1).T
    return value


def _checked(state: dict, expected: dict[str, tuple[int, ...]], source: str | Path) -> Weights:
    """Check names and shapes of weights, and convert them to float32.

    The counts of batches in the normalisation layers may be missing, since nothing uses them.
    """
    counts = {key: torch.tensor(0) for key in expected if key.endswith("num_batches_tracked")}
    state = counts | state
    if strange := [key for key, value in state.items() if not isinstance(value, Tensor)]:
        raise InputError(f"{source}: {strange[0]} is no tensor")
    check_weights(state, expected, source)
    return {key: value if key in counts else value.float() for key, value in state.items()}


def _state_dict(content: object) -> dict:
    """The weights in a training checkpoint, without the prefix of parallel training; empty if it is no dictionary."""
    if not isinstance(content, dict):
        return {}
    for key in ("model", "state_dict"):
        if isinstance(inner := content.get(key), dict):
            content = inner
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _sparse_matrix(path: Path, name: str, index: int) -> sp.csr_matrix:
    """One matrix from one of the file's lists, which are ordered from the finest mesh to the coarsest."""
    try:
        with zipfile.ZipFile(path) as archive:
            stream = io.BytesIO(archive.read(f"{name}.npy"))
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        (*_, length), _, dtype = header(stream)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not GraphCMR's mesh_downsampling.npz ({error})") from None
    if not dtype.hasobject or length <= index:
        raise InputError(f"{path}: {name} should be a list of sparse matrices")
    return sp.csr_matrix(unpickle_element(stream.read(), index, path))


def _numpy_scalars() -> list:
    """The classes with which numpy numbers, such as the scores in a checkpoint, are pickled by any version of numpy."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")}
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]
