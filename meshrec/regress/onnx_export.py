"""Networks as ONNX files: what regressors estimate of people in their crops."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from meshrec.body import BodyModel, joint_set, load_body
from meshrec.errors import InputError
from meshrec.export.onnx_files import OnnxExport, write_onnx
from meshrec.models.checkpoints import read_header
from meshrec.models.encoders import IMAGENET_MEAN, IMAGENET_STD, NetworkInput
from meshrec.regress.full_frame import FullFrameRegressor
from meshrec.regress.regressor import LEAST_SCALE, NetworkRegressor
from meshrec.regress.weights import find_weights, load_regressor

NORMALISED = "RGB in [0, 1] minus rgb_mean, divided by rgb_std"
People: TypeAlias = Callable[[int, torch.Generator], Sequence[Tensor]]


class CropEstimates(nn.Module):
    """A regressor as a function of tensors alone, without the photo.

    Args:
        regressor: The regressor, on the CPU.
    """

    def __init__(self, regressor: NetworkRegressor) -> None:
        super().__init__()
        self.network = regressor.network
        self.regressor = regressor
        self.names = (*regressor.network.inputs, "focal")

    def forward(self, *values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotations (B, 24, 3, 3), betas (B, S) and translation (B, 3) of the inputs that ``names`` lists."""
        given = dict(zip(self.names, values, strict=True))
        estimate = self.regressor.estimate(NetworkInput(**given))
        scale = estimate.camera[:, 0].clamp(min=LEAST_SCALE)
        translation = torch.cat([estimate.camera[:, 1:], (given["focal"] / scale)[:, None]], dim=1)
        return estimate.rotations, estimate.betas, translation


class FullFrameEstimates(nn.Module):
    """A published network with crops of its own kind as a function of tensors alone.

    Args:
        regressor: The regressor, on the CPU. Its network is brought to float32.
    """

    def __init__(self, regressor: FullFrameRegressor) -> None:
        super().__init__()
        self.network = regressor.network.float()  # its transformer may be in bfloat16
        self.regressor = regressor
        self.names = ("rgb",) if regressor.family.box == "nothing" else ("rgb", "box")

    def forward(self, *values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotations (B, 24, 3, 3), betas (B, S) and camera (B, 3) of the inputs that ``names`` lists."""
        estimate = self.regressor.estimate(NetworkInput(**dict(zip(self.names, values, strict=True))))
        return estimate.rotations, estimate.betas, estimate.camera


def export_named(path: str | os.PathLike, name: str | Path, body: BodyModel) -> OnnxExport:
    """Write a shipped network or a checkpoint file as an ONNX file; see :func:`export_network`.

    Args:
        path: The ``.onnx`` file.
        name: ``keypoints``, ``proxy`` or ``graph``, or a checkpoint file.
        body: The body with which it was trained, on the CPU.

    Raises:
        InputError: There is no such network, it was trained with another body, or the file cannot be written.
        MissingDependency: A package for ONNX is not installed.
    """
    trained = read_header(find_weights(name))["body"]
    if trained != body.hash:
        raise InputError(f"{name} was trained with the body {trained}, not with this one ({body.hash}); name that body")
    return export_network(path, load_regressor(name, body), Path(name).stem, body.hash)


def export_network(
    path: str | os.PathLike, regressor: NetworkRegressor | FullFrameRegressor, name: str, body_hash: str
) -> OnnxExport:
    """Write a network as an ONNX file, for any number of people at a time.

    The file holds what the regressor's ``estimate`` does: the network, the mean over mirror images, and the calibration
    of betas. Its translation is that of the body's root from the crop's camera; a published network with crops of its
    own kind gives a weak-perspective camera instead. Making crops, and bringing bodies from the crops to the photo's
    camera, are left to the program that runs it.

    Args:
        path: The ``.onnx`` file.
        regressor: The regressor, on the CPU.
        name: Name of the network, for the file's metadata.
        body_hash: Hash of the body that its betas belong to.

    Raises:
        InputError: The suffix is another one, or the file cannot be written.
        MissingDependency: A package for ONNX is not installed.
    """
    of_kind = _full_frame if isinstance(regressor, FullFrameRegressor) else _cropped
    module, people, described = of_kind(regressor)  # type: ignore[arg-type]
    metadata = {
        "kind": "network",
        "network": name,
        "architecture": regressor.network.architecture,
        "body": {"hash": body_hash},
        "rgb_mean": IMAGENET_MEAN,
        "rgb_std": IMAGENET_STD,
        **described,
    }
    return write_onnx(path, module, people, metadata)


def _outputs(regressor: NetworkRegressor | FullFrameRegressor, camera: str) -> dict[str, str]:
    """What all networks put out, and to which camera the first rotation is."""
    return {
        "rotations": "(B, 24, 3, 3) rotation of each joint relative to its parent; the first one is from body space to "
        f"{camera}: x right, y down, z forward",
        "betas": f"(B, {regressor.network.config.num_betas}) shape coefficients",
    }


def _cropped(regressor: NetworkRegressor) -> tuple[nn.Module, People, dict[str, Any]]:
    """A network of perspective crops, people for it, and what a file says about it."""
    encoder, module = regressor.encoder, CropEstimates(regressor)
    side, joints = encoder.resolution, joint_set(encoder.joints)
    size = f"(B, {{}}, {side}, {side})"
    inputs = {
        "rgb": f"{size.format(3)} square crop, {NORMALISED}",
        "silhouette": f"{size.format(1)} share of each pixel of the crop that the person covers; all zero if unknown",
        "keypoints": f"(B, {len(joints)}, 3) x and y in the crop, whose edges are at -1 and 1, and confidence, in the "
        "order of joints; all three zero for a keypoint that is missing",
        "focal": "(B,) focal length of the crop's camera, in half sides of the crop",
    }
    described = {
        "joint_set": encoder.joints,
        "joints": joints,
        "margin": regressor.settings.margin,
        "inputs": {key: inputs[key] for key in module.names},
        "outputs": _outputs(regressor, "the camera of the crop")
        | {"translation": "(B, 3) metres, of the body's pelvis in the camera of the crop"},
    }
    template = _standing(encoder.joints)

    def people(count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        # Keypoints of nobody would make the corrections by them ill-conditioned.
        near = template + 0.05 * torch.randn(count, len(joints), 2, generator=generator)
        standing = torch.cat([near, 0.2 + 0.8 * torch.rand(count, len(joints), 1, generator=generator)], dim=2)
        picture = torch.randn(count, 3, side, side, generator=generator)
        mask = torch.zeros(count, 1, side, side)
        mask[: count - count // 2, :, side // 8 : -side // 8, side // 3 : -side // 3] = 1  # the others have none
        values = {"rgb": picture, "silhouette": mask, "keypoints": standing}
        values["focal"] = 2 + 2 * torch.rand(count, generator=generator)
        return tuple(values[key] for key in module.names)

    return module, people, described


def _full_frame(regressor: FullFrameRegressor) -> tuple[nn.Module, People, dict[str, Any]]:
    """A published network with crops of its own kind, people for it, and what a file says about it."""
    module, family, side = FullFrameEstimates(regressor), regressor.family, regressor.encoder.resolution
    place = "x and y of the crop's centre from the principal point, and its side, all over the focal length"
    inputs = {
        "rgb": f"(B, 3, {side}, {side}) square crop, {NORMALISED}",
        "box": f"(B, 3) {place}" + ("; then 2.8 x, 2.8 y and (side - 0.24) / 0.06" if family.box == "scaled" else ""),
    }
    described = {
        "margin": family.margin,
        "aspect": family.aspect,
        "blur": family.blur,
        "inputs": {key: inputs[key] for key in module.names},
        "outputs": _outputs(regressor, "the photo's camera")
        | {
            "camera": "(B, 3) s, tx, ty; with k = s side / 2 pixels a metre, the body's translation in the photo's "
            "camera is (tx + x / k, ty + y / k, focal / k), where x and y are the crop's centre from the principal "
            "point, and side, x, y and focal are in pixels"
        },
    }

    def people(count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        values = {
            "rgb": torch.randn(count, 3, side, side, generator=generator),
            "box": 0.3 * torch.randn(count, 3, generator=generator),
        }
        return tuple(values[key] for key in module.names)

    return module, people, described


def _standing(joints: str) -> Tensor:
    """Where the joints of a set are in a crop that shows the open body in its rest pose, (K, 2)."""
    body = load_body()
    with torch.no_grad():
        points = body.joints_from(body().vertices, joints)[0, :, :2] * torch.tensor([1.0, -1.0])
    points = points - (points.amax(0) + points.amin(0)) / 2
    return 0.75 * points / points.abs().max()
