"""Trained networks on disk: one safetensors file, whose header describes the network and names its body in JSON.

Safetensors files hold only numbers and text, so that reading one cannot execute code.
"""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from meshrec.body import POSE_SIZE, BodyModel
from meshrec.errors import InputError
from meshrec.files.atomic import known_suffix
from meshrec.files.imports import is_import_path
from meshrec.files.json_text import parse_json
from meshrec.files.tensors import write_tensors
from meshrec.models.build import ARCHITECTURES, Architecture, architecture_row, build_network, describe_network
from meshrec.models.graph import GraphMesh
from meshrec.models.network import Network

HEADER = "meshrec"
FORMAT = 1
MESH_TENSORS = ("template", "neighbours", "up", "up_weights")
COVARIANCE, CALIBRATION = "error_covariance", "shape_calibration"


@dataclass(frozen=True)
class Checkpoint:
    """A trained network, the body it belongs to, and what was measured of its errors.

    Attributes:
        network: the network on the CPU, in evaluation mode.
        architecture: the name of its row in :data:`meshrec.models.build.ARCHITECTURES`, or its import path.
        body_hash: hash of the body that its betas and vertices belong to.
        provenance: notes from when the file was written, such as data, date and scores.
        error_covariance: (K, 72 + S, 72 + S) covariances of its errors on people it was not trained on, radians and
            betas, or None if they were not measured. The first is for people with a mask; if K is 2, the second is for
            people without. See :func:`meshrec.regress.calibration.error_covariance`.
        shape_calibration: (K, S + 1, S) calibrations of its betas for the same kinds of people, or None. See
            :func:`meshrec.regress.calibration.shape_calibration`.
    """

    network: Network
    architecture: str
    body_hash: str
    provenance: dict
    error_covariance: Tensor | None = None
    shape_calibration: Tensor | None = None


def save_checkpoint(
    path: str | Path,
    network: Network,
    body_hash: str,
    provenance: dict | None = None,
    error_covariance: Tensor | None = None,
    shape_calibration: Tensor | None = None,
    precision: torch.dtype = torch.float32,
) -> Path:
    """Write a network that :func:`meshrec.models.build.build_network` made.

    Args:
        path: the file, which ends in ``.safetensors``.
        network: the network, on any device.
        body_hash: hash of the body it was trained with.
        provenance: notes to store, anything that JSON can hold.
        error_covariance, shape_calibration: as in :class:`Checkpoint`; stored in single precision.
        precision: type of the weights in the file; ``torch.float16`` halves its size. Loaded weights are always in
            single precision.

    Returns:
        The path.

    Raises:
        InputError: The suffix is another one, or the file cannot be written.
        ValueError: The network was not made by :func:`meshrec.models.build.build_network`.
    """
    architecture, settings = describe_network(network)
    tensors = {key: t.to(precision) if t.is_floating_point() else t for key, t in network.state_dict().items()}
    measured = {COVARIANCE: error_covariance, CALIBRATION: shape_calibration}
    tensors |= {key: matrices.float() for key, matrices in measured.items() if matrices is not None}
    return write_checkpoint(path, architecture, settings, tensors, body_hash, provenance, network.mesh)


def write_checkpoint(
    path: str | Path,
    architecture: str,
    settings: Mapping,
    tensors: Mapping[str, Tensor],
    body_hash: str,
    provenance: dict | None = None,
    mesh: GraphMesh | None = None,
) -> Path:
    """Write the weights of a network that need not be built for it.

    Args:
        path: the file, which ends in ``.safetensors``.
        architecture, settings: as :func:`meshrec.models.build.build_network` takes them.
        tensors: the network's weights by name, in the types in which they are to be stored.
        body_hash, provenance: as in :func:`save_checkpoint`.
        mesh: the graph of a mesh network.

    Returns:
        The path.

    Raises:
        InputError: The suffix is another one, or the file cannot be written.
    """
    known_suffix(path, [".safetensors"])
    header = {
        "format": FORMAT,
        "architecture": architecture,
        "settings": dict(settings),
        "body": body_hash,
        "provenance": provenance or {},
    }
    if mesh is not None:
        header["vertices"] = mesh.vertex_count
        tensors = {**tensors, **{f"mesh.{name}": getattr(mesh, name) for name in MESH_TENSORS}}
    return write_tensors(path, tensors, {HEADER: json.dumps(header)})


def load_checkpoint(path: str | Path, body: BodyModel | None = None, network: str = "") -> Checkpoint:
    """Read a network that :func:`save_checkpoint` or :func:`meshrec.models.published.import_checkpoint` wrote.

    Args:
        path: the file.
        body: the body with which the network will be used; its hash is compared with the file's. Networks with
            residual feedback need it; the others load without it.
        network: import path of the user's own network that the file may hold, such as
            ``my_package.my_module:MyNetwork``. Its module is imported; a file by itself cannot have any imported.

    Raises:
        InputError: The file is missing, damaged or no checkpoint, its weights do not fit the network that its header
            describes, or it was made with another body.
    """
    header, tensors = _read(Path(path))
    try:
        name, body_hash = header["architecture"], header["body"]
        if body is not None and body.hash != body_hash:
            raise InputError(
                f"{path} was made with the body {body_hash}, not with this one ({body.hash}): betas would mean other "
                "shapes; load the body it was made with, or train on this one"
            )
        mesh = None
        if "vertices" in header:
            mesh = GraphMesh(
                **{key: tensors.pop(f"mesh.{key}") for key in MESH_TENSORS}, vertex_count=header["vertices"]
            )
        own = _own_row(name, network)
        published = isinstance(name, str) and own is None and name in ARCHITECTURES and ARCHITECTURES[name].published
        with torch.device("meta") if published else nullcontext():
            model = build_network(name, header["settings"], body, mesh, own)
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except (KeyError, TypeError, IndexError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: its header does not describe a network ({error!r:.200})") from None
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    betas = model.config.num_betas
    for key, size in {COVARIANCE: (POSE_SIZE + betas,) * 2, CALIBRATION: (betas + 1, betas)}.items():
        if key in tensors:
            if tensors[key].ndim == 2:  # older files hold a single matrix without the dimension K
                tensors[key] = tensors[key][None]
            expected[key] = (len(tensors[key]), *size)
    check_weights(tensors, expected, path)
    # Copies, since each tensor of a file keeps the whole file in memory.
    measured = [tensors.pop(key).clone() if key in tensors else None for key in (COVARIANCE, CALIBRATION)]
    if published:
        # Its weights stay where they lie in the file, which is mapped to memory, unless they are of a narrow type.
        tensors = {key: tensor.float() for key, tensor in tensors.items()}
    model.load_state_dict(tensors, assign=published)
    return Checkpoint(model.eval(), name, body_hash, header.get("provenance", {}), *measured)


def _own_row(name: object, network: str) -> Architecture | None:
    """The row of the user's own network that a file names, if the user names it too."""
    if not is_import_path(name):
        return None
    if name != network:
        raise InputError(
            f"it holds a network of code outside meshrec, {name!r:.100}, and a file cannot have code imported; if you "
            "trust it, name it yourself: meshrec evaluate --network, or load_regressor(..., network=...) in Python"
        )
    return architecture_row(network)


def read_header(path: str | Path) -> dict:
    """Read a checkpoint's header without its weights.

    Returns:
        A dictionary with the keys ``architecture``, ``settings``, ``body`` (the hash) and ``provenance``.

    Raises:
        InputError: The file is missing, damaged or no checkpoint.
    """
    return _read(Path(path), weights=False)[0]


def check_weights(weights: dict[str, Tensor], expected: dict[str, tuple[int, ...]], path: str | Path) -> None:
    """Refuse weights that do not fit a network.

    Args:
        weights: the tensors by key.
        expected: the shapes that the network needs, by key.
        path: the file of the weights, which the message names.

    Raises:
        InputError: Keys are missing or unknown, or tensors have the wrong shape or are not finite; the message lists
            them.
    """
    missing = [key for key in expected if key not in weights]
    unknown = [key for key in weights if key not in expected]
    common = [key for key in expected if key in weights]
    misshapen = [
        f"{key} is {_size(weights[key].shape)} where {_size(expected[key])} is needed"
        for key in common
        if tuple(weights[key].shape) != tuple(expected[key])
    ]
    fitting = [key for key in common if tuple(weights[key].shape) == tuple(expected[key])]
    broken = [key for key in fitting if not bool(torch.isfinite(weights[key]).all())]
    faults = {"missing keys": missing, "unknown keys": unknown, "wrong shapes": misshapen, "not finite": broken}
    found = [f"{fault}: {_some(keys)}" for fault, keys in faults.items() if keys]
    if found:
        raise InputError(f"{path} does not fit this network; {'; '.join(found)}")


def _read(path: Path, weights: bool = True) -> tuple[dict, dict[str, Tensor]]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            header = parse_json((file.metadata() or {}).get(HEADER, "null").encode())
            tensors = {key: file.get_tensor(key) for key in file.keys()} if weights else {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path} is not a readable .safetensors file ({error}); `meshrec import-checkpoint` converts published "
            "checkpoints"
        ) from None
    written = header.get("format") if isinstance(header, dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise InputError(
            f"{path} is a checkpoint of format {written}, but {FORMAT} is the newest known; update meshrec"
        )
    if written != FORMAT:
        raise InputError(f"{path} holds weights but no network of this version of meshrec")
    return header, tensors


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _some(names: list[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
