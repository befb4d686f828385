"""ONNX files of bodies and networks, which other programs run without torch and without this package.

They are written by torch's exporter, and then compared with torch in ONNX Runtime: a file that differs is refused.
"""

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from logging import CRITICAL, disable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from meshrec.body import NUM_JOINTS, POSE_SIZE, BodyModel, joint_set
from meshrec.errors import MeshrecError, MissingDependency
from meshrec.files.atomic import known_suffix, reported_writing, write_file
from meshrec.geometry import axis_angle_to_matrix

OPSET = 20
"""The version of ONNX's operators in the files. ONNX Runtime knows it since 1.17, of February 2024."""
TOLERANCE = 1e-4
"""Largest difference from torch: metres of points and translations, elements of rotation matrices, betas."""
BATCHES = (1, 2, 5)
"""Numbers of people with which a file is compared with torch."""
LARGEST = 2_000_000_000
"""Bytes of weights above which they lie in a file of their own, since a file of protobuf has at most 2 GiB."""
PREFIX = "meshrec."
"""What the keys of this package's metadata in a file begin with."""


@dataclass(frozen=True)
class OnnxExport:
    """A file that was written.

    Attributes:
        path: The file.
        opset: Version of ONNX's operators in it.
        inputs, outputs: Names and shapes of what goes in and comes out, without the dimension of people.
        difference: Largest difference of an output in ONNX Runtime from torch.
        size: Bytes of the file, and of that of its weights.
        weights: The file beside it that holds the weights, if they are too large for one file.
    """

    path: Path
    opset: int
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]
    difference: float
    size: int
    weights: Path | None = None


class PosedBody(nn.Module):
    """A body as a function of tensors alone: betas, rotations and translation to vertices and joints.

    Args:
        body: The body.
    """

    def __init__(self, body: BodyModel) -> None:
        super().__init__()
        self.body = body

    def forward(self, betas: Tensor, rotations: Tensor, translation: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices (B, V, 3) and joints (B, 24, 3) of betas (B, S), rotations (B, 24, 3, 3), translation (B, 3)."""
        out = self.body(betas, rotations[:, 1:], rotations[:, 0], translation)
        return out.vertices, out.joints


class PosedByAxisAngle(PosedBody):
    """:class:`PosedBody` of a pose (B, 72) in axis-angle, radians, in the place of rotations."""

    def forward(self, betas: Tensor, pose: Tensor, translation: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices (B, V, 3) and joints (B, 24, 3)."""
        out = self.body(betas, pose[:, 3:], pose[:, :3], translation)
        return out.vertices, out.joints


def export_body(path: str | os.PathLike, body: BodyModel, axis_angle: bool = False) -> OnnxExport:
    """Write a body with its skinning as an ONNX file, for any number of people at a time.

    Inputs are ``betas`` (B, S), ``rotations`` (B, 24, 3, 3) or ``pose`` (B, 72), and ``translation`` (B, 3); outputs
    ``vertices`` (B, V, 3) and ``joints`` (B, 24, 3), metres. The metadata hold the faces too.

    Args:
        path: The ``.onnx`` file.
        body: The body, on the CPU.
        axis_angle: Whether the pose is given as axis-angle vectors and not as matrices.

    Raises:
        InputError: The suffix is another one, or the file cannot be written.
        MissingDependency: A package for ONNX is not installed.
    """

    def people(count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        sizes = (body.num_betas, POSE_SIZE, 3)
        betas, pose, place = (torch.randn(count, size, generator=generator) for size in sizes)
        if axis_angle:
            return betas, 0.3 * pose, place
        return betas, axis_angle_to_matrix(0.3 * pose.view(count, NUM_JOINTS, 3)), place

    pose = (
        "(B, 72) axis-angle, radians, in the order of joints"
        if axis_angle
        else "(B, 24, 3, 3) rotation of each joint relative to its parent, in the order of joints"
    )
    metadata = {
        "kind": "body",
        "body": {"name": body.data.name, "hash": body.hash},
        "joints": joint_set("smpl24"),
        "faces": body.faces.tolist(),
        "inputs": {
            "betas": f"(B, {body.num_betas}) shape coefficients",
            "pose" if axis_angle else "rotations": pose,
            "translation": "(B, 3) metres, added to the posed body",
        },
        "outputs": {"vertices": "(B, V, 3) metres", "joints": "(B, 24, 3) metres"},
    }
    module = PosedByAxisAngle(body) if axis_angle else PosedBody(body)
    return write_onnx(path, module, people, metadata)


def write_onnx(
    path: str | os.PathLike,
    module: nn.Module,
    people: Callable[[int, torch.Generator], Sequence[Tensor]],
    metadata: Mapping[str, Any],
) -> OnnxExport:
    """Write a module as an ONNX file with a dynamic first dimension, and compare it with torch in ONNX Runtime.

    Args:
        path: The ``.onnx`` file; it is written completely or not at all. Weights of more than :data:`LARGEST` bytes go
            to a file beside it, whose name has ``.data`` added.
        module: The module, on the CPU; its ``forward`` takes tensors (B, ...) and returns a tuple of such.
        people: Function of a number B and a source of randomness that returns the module's arguments.
        metadata: What the file says about itself, by key, as JSON can hold it. ``inputs`` and ``outputs`` are tables of
            the names of arguments and results, in their order, and their descriptions.

    Returns:
        What was written, and how much it differs from torch.

    Raises:
        InputError: The suffix is another one, or the file cannot be written.
        MissingDependency: A package for ONNX is not installed.
        MeshrecError: The file's results differ from torch's by more than :data:`TOLERANCE`.
    """
    known_suffix(path, [".onnx"])
    require_onnx()
    import onnx
    import onnxruntime

    path = Path(path)
    inputs, outputs = list(metadata["inputs"]), list(metadata["outputs"])
    module = module.eval()
    batch = torch.export.Dim("people")
    generator = torch.Generator().manual_seed(0)
    example = tuple(people(2, generator))  # not one: the exporter takes a size of one as a constant
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            _AnyArguments(module),
            example,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            dynamic_shapes=(tuple({0: batch} for _ in example),),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    del model.metadata_props[:]
    for node in model.graph.node:  # where in the source a node comes from: paths of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    for key, value in {**metadata, "opset": OPSET}.items():
        text = value if isinstance(value, str) else json.dumps(value)
        model.metadata_props.add(key=f"{PREFIX}{key}", value=text)
    given = {name: tuple(value.shape[1:]) for name, value in zip(inputs, example)}

    def compared(source: bytes | str) -> tuple[float, dict[str, tuple[int, ...]]]:
        session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
        difference, shapes = 0.0, {}
        for count in BATCHES:
            arguments = people(count, generator)
            with torch.no_grad():
                expected = module(*arguments)
            found = session.run(outputs, {name: value.numpy() for name, value in zip(inputs, arguments, strict=True)})
            for name, ours, theirs in zip(outputs, found, expected, strict=True):
                difference = max(difference, float(np.abs(ours - theirs.numpy()).max(initial=0)))
                shapes[name] = ours.shape[1:]
        if not difference <= TOLERANCE:
            raise MeshrecError(
                f"{path}: ONNX Runtime differs from torch by {difference:.2g}, so that nothing was written."
            )
        return difference, shapes

    if sum(value.nbytes for value in (*module.parameters(), *module.buffers())) <= LARGEST:
        data = model.SerializeToString()
        difference, shapes = compared(data)
        return OnnxExport(write_file(path, data), OPSET, given, shapes, difference, len(data))
    weights = path.with_name(f"{path.name}.data")
    with reported_writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with reported_writing(path), TemporaryDirectory(prefix=".meshrec-", dir=path.parent) as scratch:
        parts = [Path(scratch, file.name) for file in (weights, path)]
        onnx.save_model(model, str(parts[1]), save_as_external_data=True, location=weights.name)
        difference, shapes = compared(str(parts[1]))
        size = sum(part.stat().st_size for part in parts)
        for part, file in zip(parts, (weights, path)):
            os.replace(part, file)
    return OnnxExport(path, OPSET, given, shapes, difference, size, weights)


class _AnyArguments(nn.Module):
    """A module whose arguments the exporter sees as one tuple, whether or not they have names."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        results: tuple[Tensor, ...] = self.module(*arguments)
        return results


def require_onnx() -> None:
    """Raise a MissingDependency if a package for ONNX is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f'ONNX files need {error.name or "onnx"}, which is not installed: pip install "meshrec[onnx]"'
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which logs and warns of what it leaves out."""
    disable(CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        disable(0)
