"""Networks that are evaluated, and the bodies that they predict at every stage."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.state import BodyState
from meshrec.data.sample import Sample, cut
from meshrec.evaluation.subjects import Subject, assumed_camera, far_camera, known_camera
from meshrec.geometry import Camera
from meshrec.geometry.crops import centre_maps, centred_focal, look_at
from meshrec.models.encoders import EncoderConfig, NetworkInput, normalize_rgb
from meshrec.models.estimate import Estimate
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput
from meshrec.regress.crops import person_inputs
from meshrec.regress.regressor import LEAST_SCALE, NetworkRegressor

Stages = dict[str, "Bodies"]


@dataclass(frozen=True)
class Bodies:
    """B bodies in the cameras of their pictures.

    Attributes:
        vertices: (B, V, 3) metres.
        betas: (B, S), or None for meshes without parameters.
        state: Pose, place and shape; None for meshes without parameters.
        scores: (B,) confidence in [0, 1] that each body is right; None where the method gives none.
    """

    vertices: Tensor
    betas: Tensor | None
    state: BodyState | None = None
    scores: Tensor | None = None


class Predictor(Protocol):
    """A method that predicts bodies.

    Attributes:
        stages: Names of its stages, of which the last is its result.
        looks: Whether it needs the pictures.
    """

    @property
    def stages(self) -> Sequence[str]:
        """Names of its stages, of which the last is its result."""
        ...

    @property
    def looks(self) -> bool:
        """Whether it needs the pictures."""
        ...

    def camera_of(self, sample: Sample, size: tuple[int, int]) -> Camera:
        """The camera that the method assumes for the picture of a sample.

        Args:
            sample: The sample.
            size: (width, height) of its picture, pixels.
        """
        ...

    def __call__(self, subjects: Sequence[Subject]) -> Stages:
        """Predict the bodies of B people.

        Args:
            subjects: B people, all detected unless the method sees crops as the data set cuts them.

        Returns:
            The B bodies of each stage by its name, in the cameras of the pictures, metres.
        """
        ...


class FromDetections:
    """A network as the product uses it: it sees people where they were detected, through its own camera.

    Its stages are those of the network (:func:`stages_of`), and ``mirrored``, the mean of the estimates from the person
    and from the mirror image, where the regressor takes it.

    Args:
        regressor: The network with its error covariance and calibration.
        body: Body model of its estimates.
    """

    def __init__(self, regressor: NetworkRegressor, body: BodyModel) -> None:
        self.regressor, self._body = regressor, body
        self.looks = "rgb" in regressor.encoder.inputs
        self.stages = (*stages_of(regressor.network), *(["mirrored"] if regressor.mirror else []))

    def camera_of(self, sample: Sample, size: tuple[int, int]) -> Camera:
        """The camera of the sample's picture of (width, height) pixels, or the default one if it is unknown."""
        return assumed_camera(sample, size)

    def __call__(self, subjects: Sequence[Subject]) -> Stages:
        """Bodies of people who were all detected."""
        encoder, margin = self.regressor.encoder, self.regressor.settings.margin
        each = [person_inputs(encoder, s.picture, [s.detected], s.camera, margin) for s in subjects]
        inputs, turn = NetworkInput.cat([one for one, _ in each]), torch.cat([turn for _, turn in each])
        output = run_network(self.regressor.network, inputs, self.regressor.device)
        focal = torch.cat([one.focal for one, _ in each if one.focal is not None])
        stages = bodies_of(output, stages_of(self.regressor.network), self._body, focal, turn)
        if self.regressor.mirror:
            stages["mirrored"] = _posed(self.regressor.estimate(inputs), self._body, focal, turn)
        scores = torch.tensor([s.detected.score for s in subjects])  # as Reconstructor says without a fit
        return {name: replace(bodies, scores=scores) for name, bodies in stages.items()}


class FromCrops:
    """A network that sees pictures alone, in crops as the data set defines them.

    Args:
        network: the network.
        body: the body that it estimates.
        centred: whether crops are turned into the camera that looks at their centre, as those are that our networks
            are trained on. Published networks see crops as they are, through a camera far away.
    """

    looks = True

    def __init__(self, network: Network, body: BodyModel, centred: bool) -> None:
        self.network = network.eval().to(body.v_template.device)
        self.encoder: EncoderConfig = network.encoder.config
        self.stages = stages_of(network)
        self._body, self._centred = body, centred

    def camera_of(self, sample: Sample, size: tuple[int, int]) -> Camera:
        """The camera of the sample's picture of (width, height) pixels, nearly orthographic for published networks."""
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
        return bodies_of(output, self.stages, self._body, centred, look_at(focal, principal))


def stages_of(network: Network) -> tuple[str, ...]:
    """Names of a network's stages: ``mesh``, if it regresses one, then those of its estimates."""
    mesh = () if network.mesh is None else ("mesh",)
    return (*mesh, *network.config.stages)


@torch.inference_mode()
def run_network(network: Network, inputs: NetworkInput, device: torch.device) -> NetworkOutput:
    """The network's output, on the device where the network is."""
    return network(inputs.to(device))


def bodies_of(output: NetworkOutput, stages: Sequence[str], body: BodyModel, focal: Tensor, turn: Tensor) -> Stages:
    """The bodies of every stage of a network's output, in the cameras of the pictures.

    Args:
        output: the output for B people.
        stages: their names, as :func:`stages_of` lists them.
        body: the body that the network estimates.
        focal: (B,) focal lengths of the network's cameras, over half the crop's side.
        turn: (B, 3, 3) rotations from the pictures' cameras to the network's.
    """
    bodies = [_posed(estimate, body, focal, turn) for estimate in output.estimates]
    if output.mesh is not None:
        place = replace(output.final, camera=output.mesh.camera)
        bodies.insert(0, Bodies(_placed(output.mesh.vertices.cpu(), place, focal, turn), None))
    return dict(zip(stages, bodies, strict=True))


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
    """Vertices (B, V, 3) from the crops' cameras to the pictures', translated to where the bodies stand."""
    camera = estimate.camera.cpu()
    place = Estimate(
        estimate.rotations, estimate.betas, torch.cat([camera[:, :1].clamp(min=LEAST_SCALE), camera[:, 1:]], dim=1)
    ).translation(focal)
    return (vertices + place[:, None]) @ turn
