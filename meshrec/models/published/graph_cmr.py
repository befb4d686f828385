"""GraphCMR (Kolotouros et al. 2019, "Convolutional Mesh Regression for Single-Image Human Shape Reconstruction"), whose
graph is in a separate file.
"""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from torch import Tensor

from meshrec.body import NUM_BETAS, BodyModel
from meshrec.errors import InputError
from meshrec.files.arrays import unpickle_element
from meshrec.models.build import build_network
from meshrec.models.graph import GraphMesh
from meshrec.models.published.kinds import Converted, Source
from meshrec.models.published.reading import checked, state_dict

MOST_GRAPH_BYTES = 256 << 20  # of one of a graph's lists of matrices, unpacked


def is_graph_cmr(weights: dict) -> bool:
    """Whether weights are those of GraphCMR."""
    return "graph_cnn" in weights


def convert_graph_cmr(source: Source) -> Converted:
    """Make a graph network of the weights of GraphCMR.

    Raises:
        InputError: There is no graph, or graph or weights do not fit.
    """
    if source.graph is None:
        raise InputError(f"{source.path} is GraphCMR's: its graph is needed too, GraphCMR's mesh_downsampling.npz")
    mesh = read_graph(source.graph, source.body)
    state = {
        f"{part}.{key}": value
        for part in ("graph_cnn", "smpl_param_regressor")
        for key, value in state_dict(source.weights.get(part)).items()
    }
    settings = {"num_betas": NUM_BETAS}
    ours = build_network("graph", settings, mesh=mesh).state_dict()
    theirs = {key: _graph_cmr_name(key) for key in ours}
    used = set(theirs.values())
    # The authors' files also hold skip connections and a classifier that their networks never use.
    idle = [key for key in state if key not in used and re.search(r"\.(skip_conv|fc)\.", key)]
    state = {key: value for key, value in state.items() if key not in idle}
    expected = {theirs[key]: tuple(_like_theirs(value, theirs[key]).shape) for key, value in ours.items()}
    state = checked(state, expected, source.path)
    # The layout is its own inverse: flattened matrices are reshaped here, and transposed ones are transposed back.
    weights = {key: _like_theirs(state[theirs[key]], theirs[key]).reshape(ours[key].shape) for key in ours}
    return Converted("graph", settings, weights, mesh)


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


def read_graph(path: str | Path, body: BodyModel) -> GraphMesh:
    """Read the graph of GraphCMR.

    The matrices in the file are pickled. :mod:`meshrec.files.arrays` reads them, which executes no code.

    Args:
        path: ``mesh_downsampling.npz`` of GraphCMR.
        body: a body with SMPL's mesh.

    Raises:
        InputError: The file is no such graph, contains code, or belongs to another mesh.
    """
    adjacency, up, down = (_sparse_matrix(Path(path), name, index) for name, index in (("A", 1), ("U", 0), ("D", 0)))
    vertices, nodes = up.shape
    if vertices != len(body.v_template):
        raise InputError(f"{path} is for a mesh of {vertices} vertices, but this body has {len(body.v_template)}")
    if nodes > vertices or adjacency.shape != (nodes, nodes) or down.shape != (nodes, vertices):
        raise InputError(f"{path}: the sizes of its matrices do not agree")
    return GraphMesh.from_matrices(body.data.v_template, adjacency, down, up)


def _sparse_matrix(path: Path, name: str, index: int) -> sp.csr_matrix:
    """One matrix from one of the file's lists, which are ordered from the finest mesh to the coarsest."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(f"{name}.npy").file_size > MOST_GRAPH_BYTES:
                raise ValueError(f"{name} unpacks to far more than a graph has")
            stream = io.BytesIO(archive.read(f"{name}.npy"))
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        (*_, length), _, dtype = header(stream)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not GraphCMR's mesh_downsampling.npz ({error})") from None
    if not dtype.hasobject or length <= index:
        raise InputError(f"{path}: {name} should be a list of sparse matrices")
    element = unpickle_element(stream.read(), index, path)
    if isinstance(element, np.ndarray):
        return sp.csr_matrix(element)
    return sp.csr_matrix((element.data.astype(np.float64), (element.rows, element.columns)), element.shape)
