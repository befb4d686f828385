"""Networks as ONNX files: what a :class:`meshrec.regress.NetworkRegressor` estimates of people in their crops."""

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from meshrec.body import BodyModel, joint_set, load_body
from meshrec.errors import InputError
from meshrec.export.onnx_files import OnnxExport, write_onnx
from meshrec.models.checkpoints import read_header
from meshrec.models.encoders import IMAGENET_MEAN, IMAGENET_STD, NetworkInput
from meshrec.regress.regressor import LEAST_SCALE, NetworkRegressor
from meshrec.regress.weights import find_weights, load_regressor


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


def export_named(path: str | os.PathLike, name: str | Path, body: BodyModel) -> OnnxExport:
    """Write a shipped network or a checkpoint file as an ONNX file; see :func:`export_network`.

    Args:
        path: The ``.onnx`` file.
        name: ``keypoints``, ``proxy`` or ``graph``, or a checkpoint file.
        body: The body with which it was trained, on the CPU.

    Raises:
        InputError: There is no such network, it was trained with another body, it sees crops of its own kind, or the
            file cannot be written.
        MissingDependency: A package for ONNX is not installed.
    """
    trained = read_header(find_weights(name))["body"]
    if trained != body.hash:
        raise InputError(f"{name} was trained with the body {trained}, not with this one ({body.hash}); name that body")
    regressor = load_regressor(name, body)
    if not isinstance(regressor, NetworkRegressor):
        raise InputError(f"{name} is a published network with crops of its own kind, which is not exported to ONNX")
    return export_network(path, regressor, Path(name).stem, body.hash)


def export_network(path: str | os.PathLike, regressor: NetworkRegressor, name: str, body_hash: str) -> OnnxExport:
    """Write a network as an ONNX file, for any number of people at a time.

    The file holds what :meth:`meshrec.regress.NetworkRegressor.estimate` does: the network, the mean over mirror
    images, and the calibration of betas. Its translation is that of the body's root from the crop's camera. Making
    crops, and turning bodies from the cameras of the crops to the photo's, are left to the program that runs it.

    Args:
        path: The ``.onnx`` file.
        regressor: The regressor, on the CPU.
        name: Name of the network, for the file's metadata.
        body_hash: Hash of the body that its betas belong to.

    Raises:
        InputError: The suffix is another one, or the file cannot be written.
        MissingDependency: A package for ONNX is not installed.
    """
    encoder, module = regressor.encoder, CropEstimates(regressor)
    side, joints, betas = encoder.resolution, joint_set(encoder.joints), regressor.network.config.num_betas
    size = f"(B, {{}}, {side}, {side})"
    described = {
        "rgb": f"{size.format(3)} square crop, RGB in [0, 1] minus rgb_mean, divided by rgb_std",
        "silhouette": f"{size.format(1)} share of each pixel of the crop that the person covers; all zero if unknown",
        "keypoints": f"(B, {len(joints)}, 3) x and y in the crop, whose edges are at -1 and 1, and confidence, in the "
        "order of joints; all three zero for a keypoint that is missing",
        "focal": "(B,) focal length of the crop's camera, in half sides of the crop",
    }
    metadata = {
        "kind": "network",
        "network": name,
        "architecture": regressor.network.architecture,
        "body": {"hash": body_hash},
        "joint_set": encoder.joints,
        "joints": joints,
        "margin": regressor.settings.margin,
        "rgb_mean": IMAGENET_MEAN,
        "rgb_std": IMAGENET_STD,
        "inputs": {key: described[key] for key in module.names},
        "outputs": {
            "rotations": "(B, 24, 3, 3) rotation of each joint relative to its parent; the first one is from body "
            "space to the camera of the crop: x right, y down, z forward",
            "betas": f"(B, {betas}) shape coefficients",
            "translation": "(B, 3) metres, of the body's pelvis in the camera of the crop",
        },
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

    return write_onnx(path, module, people, metadata)


def _standing(joints: str) -> Tensor:
    """Where the joints of a set are in a crop that shows the open body in its rest pose, (K, 2)."""
    body = load_body()
    with torch.no_grad():
        points = body.joints_from(body().vertices, joints)[0, :, :2] * torch.tensor([1.0, -1.0])
    points = points - (points.amax(0) + points.amin(0)) / 2
    return 0.75 * points / points.abs().max()
