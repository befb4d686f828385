"""What is evaluated: networks, alone or with the fit after them, as bodies of people at every stage of the way."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from meshrec.body import BodyModel
from meshrec.body.state import BodyState
from meshrec.data.sample import Sample, cut
from meshrec.evaluation.subjects import Subject, assumed_camera, far_camera, known_camera
from meshrec.geometry import Camera
from meshrec.geometry.crops import centre_maps, centred_focal, look_at
from meshrec.models.encoders import EncoderConfig, NetworkInput, normalize_rgb
from meshrec.models.estimate import Estimate
from meshrec.models.iterative import IterativeRegressor
from meshrec.models.mesh_to_params import MeshRecoveryOutput
from meshrec.regress.crops import person_inputs
from meshrec.regress.regressor import LEAST_SCALE, NetworkRegressor

Stages = dict[str, "Bodies"]


@dataclass(frozen=True)
class Bodies:
    """B bodies in the cameras of their pictures.

    Attributes:
        vertices: (B, V, 3) metres.
        betas: (B, S); None for meshes without parameters.
        state: Pose, place and shape; None for meshes without parameters.
        scores: (B,) confidence in [0, 1] that each body is right; None where the method gives none.
    """

    vertices: Tensor
    betas: Tensor | None
    state: BodyState | None = None
    scores: Tensor | None = None


class Predictor(Protocol):
    """What makes bodies.

    Attributes:
        stages: Of the bodies it makes, the last being its result.
        looks: Whether it looks at pictures.
    """

    @property
    def stages(self) -> Sequence[str]: ...

    @property
    def looks(self) -> bool: ...

    def camera_of(self, sample: Sample, size: tuple[int, int]) -> Camera:
        """The camera it assumes for a sample's picture of (width, height)."""
        ...

    def __call__(self, subjects: Sequence[Subject]) -> Stages:
        """Bodies of people."""
        ...


class FromDetections:
    """A network as the product uses it: it sees people where they were detected, through its own camera.

    Stages are ``feedback 1``, ``feedback 2``, ... of iterative networks, or ``mesh`` and ``body`` of those that make
    meshes; and ``mirrored``, the mean with what the network says of the mirror image, where the regressor takes it.

    Args:
        regressor: The network.
        body: Whose bodies it makes.
    """

    def __init__(self, regressor: NetworkRegressor, body: BodyModel) -> None:
        self.regressor, self._body = regressor, body
        self.looks = "rgb" in regressor.encoder.inputs
        self.stages = (*stages_of(regressor.network), *(["mirrored"] if regressor.mirror else []))

    def camera_of(self, sample: Sample, size: tuple[int, int]) -> Camera:
        return assumed_camera(sample, size)

    def __call__(self, subjects: Sequence[Subject]) -> Stages:
        """Bodies of people who were all detected."""
        encoder = self.regressor.encoder
        each = [person_inputs(encoder, s.picture, [s.detected], s.camera) for s in subjects]
        inputs, turn = NetworkInput.cat([one for one, _ in each]), torch.cat([turn for _, turn in each])
        output = run_network(self.regressor.network, inputs, self.regressor.device)
        focal = torch.cat([one.focal for one, _ in each if one.focal is not None])
        stages = bodies_of(output, self._body, focal, turn)
        if self.regressor.mirror:
            stages["mirrored"] = _posed(self.regressor.estimate(inputs), self._body, focal, turn)
        scores = torch.tensor([s.detected.score for s in subjects])  # as Reconstructor says without a fit
        return {name: replace(bodies, scores=scores) for name, bodies in stages.items()}


class FromCrops:
    """A network that sees pictures alone, cut as the data set says.

    Args:
        network: The network.
        body: Whose bodies it makes.
        centred: Whether crops are turned into the camera that looks at their centre, as those are that our networks
            are trained on. Published networks see crops as they are, through a camera far away.
    """

    looks = True

    def __init__(self, network: nn.Module, body: BodyModel, centred: bool) -> None:
        self.network = network.eval().to(body.v_template.device)
        regressor: Any = getattr(network, "regressor", network)
        self.encoder: EncoderConfig = regressor.config.encoder
        self.stages = stages_of(network)
        self._body, self._centred = body, centred

    def camera_of(self, sample: Sample, size: tuple[int, int]) -> Camera:
        return known_camera(sample, size) if self._centred else far_camera(sample, size)

    def __call__(self, subjects: Sequence[Subject]) -> Stages:
        """Bodies of people, detected or not."""
        crops = [
            cut(replace(s.sample, image=s.picture, mask=None), self.encoder.resolution).read_image() for s in subjects
        ]
        rgb = torch.from_numpy(np.stack(crops)).movedim(-1, 1).float() / 255
        focal, principal = (torch.stack(parts) for parts in zip(*(s.crop_camera for s in subjects)))
        seen = normalize_rgb(centre_maps(rgb, focal, principal))
        centred = centred_focal(focal, principal)
        output = run_network(self.network, NetworkInput(rgb=seen, focal=centred), self._body.v_template.device)
        return bodies_of(output, self._body, centred, look_at(focal, principal))


def stages_of(network: nn.Module) -> tuple[str, ...]:
    """What :func:`bodies_of` makes of a network's output."""
    if isinstance(network, IterativeRegressor):
        return tuple(f"feedback {i}" for i in range(1, network.config.corrections + 1))
    return ("mesh", "body")


@torch.inference_mode()
def run_network(network: nn.Module, inputs: NetworkInput, device: torch.device) -> list[Estimate] | MeshRecoveryOutput:
    """Its output, on the device of the body."""
    return network(inputs.to(device))


def bodies_of(output: list[Estimate] | MeshRecoveryOutput, body: BodyModel, focal: Tensor, turn: Tensor) -> Stages:
    """Every stage of a network's output in the cameras of the pictures.

    Args:
        output: Of B people.
        body: Whose.
        focal: (B,) of the cameras that the network looked through, over half the crop's side.
        turn: (B, 3, 3) from the pictures' cameras to those.
    """
    if isinstance(output, MeshRecoveryOutput):
        mesh = Estimate(output.body.rotations, output.body.betas, output.mesh.camera)
        whole = Bodies(_placed(output.mesh.vertices.cpu(), mesh, focal, turn), None)
        return {"mesh": whole, "body": _posed(output.body, body, focal, turn)}
    return {f"feedback {i}": _posed(estimate, body, focal, turn) for i, estimate in enumerate(output, start=1)}


@torch.inference_mode()
def _posed(estimate: Estimate, body: BodyModel, focal: Tensor, turn: Tensor) -> Bodies:
    device = body.v_template.device
    rotations, betas = estimate.rotations.to(device), estimate.betas.to(device)
    out = body(betas, rotations[:, 1:], rotations[:, :1])
    # Cameras turn about themselves, bodies about their pelvis.
    pelvis, back = out.joints[:, :1].cpu(), turn.mT
    translation = (_placed(pelvis, estimate, focal, turn) - pelvis)[:, 0]
    turned = torch.cat([back[:, None] @ rotations[:, :1].cpu(), rotations[:, 1:].cpu()], dim=1)
    state = BodyState(turned.double(), translation.double(), betas.cpu().double())
    return Bodies(_placed(out.vertices.cpu(), estimate, focal, turn), betas.cpu(), state)


def _placed(vertices: Tensor, estimate: Estimate, focal: Tensor, turn: Tensor) -> Tensor:
    """Vertices (B, V, 3) of crops where they stand, in the pictures' cameras."""
    camera = estimate.camera.cpu()
    place = Estimate(
        estimate.rotations, estimate.betas, torch.cat([camera[:, :1].clamp(min=LEAST_SCALE), camera[:, 1:]], dim=1)
    ).translation(focal)
    return (vertices + place[:, None]) @ turn
