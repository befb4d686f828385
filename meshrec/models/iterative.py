"""Regression of body parameters with iterative error feedback.

The estimate starts at a mean state. In each iteration a head, which sees the encoder's feature and the current state,
adds a correction to the state (HMR: Kanazawa et al. 2018, "End-to-end Recovery of Human Shape and Pose"). The head may
also see the residuals between the current body's projected landmarks and the keypoints, which makes it a learned
gradient descent (Song et al. 2020, "Human Body Model Fitting by Learned Gradient Descent").
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from meshrec.body import NUM_BETAS, NUM_JOINTS, POSE_SIZE, BodyModel, joint_set
from meshrec.errors import InputError
from meshrec.geometry import CAMERA_TO_Y_UP, matrix_to_rotation_6d, rotation_6d_to_matrix
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.checks import check_share, check_sizes
from meshrec.models.encoders import (
    Encoder,
    EncoderConfig,
    NetworkInput,
    ResidualBlock,
    known_keypoints,
)
from meshrec.models.estimate import Estimate
from meshrec.models.keypoint_step import keypoint_step
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput
from meshrec.models.silhouette_feedback import SilhouetteFeedback

POSE = 6 * NUM_JOINTS  # size of a pose in 6D rotations
OFFSET_SCALE = 10.0  # factor of the residuals that the head sees, since a hundredth of the crop already matters
LARGEST_OFFSET = 4.0  # half crop sides; residuals are clamped to it, so that estimates far off do not diverge further


@dataclass(frozen=True)
class IterativeConfig:
    """Settings of an iterative regressor.

    Attributes:
        encoder: settings of the encoder, with the inputs that it sees.
        feedback: what the head sees of the current state: its ``parameters`` (HMR), or also the ``residuals`` between
            projected landmarks and keypoints.
        iterations: number of corrections from the mean state.
        refinements: number of further corrections, which see the silhouette. They need feedback of residuals.
        unmasked: share of people whose silhouettes are hidden from the refinements in training. With 0, the refinements
            never learn to do without, and a person without a silhouette gets none.
        keypoint_steps: whether each refinement ends with a step towards the keypoints
            (:mod:`meshrec.models.keypoint_step`).
        width: units in each layer of the head.
        blocks: number of residual blocks after the head's two layers.
        activation: whether a ReLU follows each of the head's two layers. HMR has it; SPIN's published weights were
            trained without.
        dropout: dropout probability in the head.
        num_betas: number of shape components.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    feedback: Literal["parameters", "residuals"] = "parameters"
    iterations: int = 3
    refinements: int = 0
    unmasked: float = 0.0
    keypoint_steps: bool = False
    width: int = 1024
    blocks: int = 0
    activation: bool = True
    dropout: float = 0.5
    num_betas: int = NUM_BETAS

    def __post_init__(self) -> None:
        if self.feedback not in ("parameters", "residuals"):
            raise InputError(f"feedback is of parameters or of residuals, not '{self.feedback}'")
        check_sizes(self, iterations=1, refinements=0, width=1, blocks=0, num_betas=1)
        check_share(self, "dropout")
        check_share(self, "unmasked")
        if self.refinements and (self.feedback != "residuals" or "silhouette" not in self.encoder.inputs):
            raise InputError("refinements need a silhouette among the encoder's inputs, and feedback of residuals")
        if self.keypoint_steps and not self.refinements:
            raise InputError("keypoint_steps needs refinements, and this network has none")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the estimates, one after each correction."""
        return tuple(f"feedback {i}" for i in range(1, self.iterations + self.refinements + 1))


class IterativeRegressor(Network):
    """Regresses body parameters from pictures, proxy maps or keypoints.

    Args:
        config: the settings. Default: those of HMR.
        body: the body whose landmarks are compared with the keypoints; only residual feedback needs it.
        mean: the state to start from, a batch of one. Default: :func:`upright`.

    Raises:
        ValueError: The settings ask for residual feedback and there is no body.
    """

    config: IterativeConfig
    mean: Tensor

    def __init__(
        self, config: IterativeConfig | None = None, body: BodyModel | None = None, mean: Estimate | None = None
    ) -> None:
        super().__init__()
        self.config = config = config or IterativeConfig()
        self.encoder = Encoder(config.encoder)
        size = POSE + config.num_betas + 3
        known = size  # number of inputs of the head besides the encoder's feature
        self.landmarks: TorchLandmarks | None = None
        if config.feedback == "residuals":
            if body is None:
                raise ValueError("residual feedback needs the body whose landmarks it compares")
            landmarks = LandmarkMoments.of_body(body, config.encoder.joints, num_betas=config.num_betas)
            self.landmarks = TorchLandmarks(landmarks)
            known += 3 * len(joint_set(config.encoder.joints)) + 1
            if config.refinements:
                parameters, keypoints = POSE_SIZE + config.num_betas + 3, len(joint_set(config.encoder.joints))
                outputs = size + config.keypoint_steps * (parameters + keypoints)
                self.refine = SilhouetteFeedback(body, outputs, known, config.width, config.num_betas, config.unmasked)
        activation = nn.ReLU() if config.activation else nn.Identity()
        self.embed = nn.Linear(self.encoder.features + known, config.width)
        self.head = nn.Sequential(
            *(activation, nn.Dropout(config.dropout)),
            *(nn.Linear(config.width, config.width), activation, nn.Dropout(config.dropout)),
            *(ResidualBlock(config.width, config.dropout) for _ in range(config.blocks)),
        )
        self.update = nn.Linear(config.width, size)
        nn.init.xavier_uniform_(self.update.weight, gain=0.01)
        nn.init.zeros_(self.update.bias)
        self.register_buffer("mean", _state(mean or upright(config.num_betas)))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The fields of the input that the network reads. Residual feedback always reads the keypoints."""
        fields = super().inputs
        return fields if self.landmarks is None or "keypoints" in fields else (*fields, "keypoints")

    def forward(self, inputs: NetworkInput) -> NetworkOutput:
        """Estimate B people; the output holds the estimates of all iterations and refinements."""
        feature = self.encoder(inputs)
        state = self.mean.expand(feature.shape[0], -1)
        # The feature is the same in all iterations, so that its part of the first layer, which is the largest, is
        # computed only once.
        of_feature, of_state = self.embed.weight.tensor_split([feature.shape[1]], dim=1)
        shared = nn.functional.linear(feature, of_feature, self.embed.bias)
        estimates: list[Estimate] = []
        for _ in range(self.config.iterations):
            known = state
            if self.landmarks is not None:
                current = estimates[-1] if estimates else self._decode(state)
                known = torch.cat([state, self._residuals(current, inputs)], dim=1)
            update = self.update(self.head(shared + nn.functional.linear(known, of_state)))
            state = state + update.float()  # the state stays in single precision under mixed precision
            estimates.append(self._decode(state))
        return NetworkOutput(estimates + self._refined(state, estimates[-1], inputs))

    def _refined(self, state: Tensor, estimate: Estimate, inputs: NetworkInput) -> list[Estimate]:
        """The estimates of the refinements. If there is no silhouette to refine by, the given estimate is repeated."""
        silhouette, share = inputs.silhouette, self.config.unmasked
        if not self.config.refinements or (silhouette is None and not share):
            return [estimate] * self.config.refinements
        if silhouette is None:
            silhouette = state.new_zeros(state.shape[0], 1, *2 * [self.config.encoder.resolution])
        levels, estimates = self.refine.pyramid(silhouette), []
        for _ in range(self.config.refinements):
            known = torch.cat([state, self._residuals(estimate, inputs)], dim=1)
            outputs = self.refine(levels, estimate, known, inputs.focal).float()
            update, log_deviations = outputs.tensor_split([state.shape[1]], dim=1)
            state = state + update
            estimate = self._decode(state)
            if self.config.keypoint_steps:
                assert self.landmarks is not None
                keypoints = known_keypoints(inputs)
                estimate = keypoint_step(self.landmarks, estimate, keypoints, inputs.focal, log_deviations)
                state = _state(estimate)
            estimates.append(estimate)
        return estimates

    def _decode(self, state: Tensor) -> Estimate:
        six, betas, camera = state.split([POSE, self.config.num_betas, 3], dim=1)
        return Estimate(rotation_6d_to_matrix(six.unflatten(1, (NUM_JOINTS, 6))), betas, camera)

    def _residuals(self, estimate: Estimate, inputs: NetworkInput) -> Tensor:
        """Scaled residuals of the K keypoints weighted by confidence, confidences, and perspective: (B, 3 K + 1)."""
        assert self.landmarks is not None
        keypoints = known_keypoints(inputs)
        points = self.landmarks(estimate.rotations, estimate.betas)
        offsets = (estimate.project(points, inputs.focal) - keypoints[..., :2]).clamp(-LARGEST_OFFSET, LARGEST_OFFSET)
        nearness = torch.zeros_like(estimate.camera[:, :1])
        if inputs.focal is not None:  # one over the body's distance in metres, which measures how strong perspective is
            nearness = estimate.camera[:, :1] / inputs.focal[:, None]
        residuals = OFFSET_SCALE * offsets * keypoints[..., 2:]
        return torch.cat([residuals.flatten(1), keypoints[..., 2], nearness], dim=1)


def upright(num_betas: int = NUM_BETAS) -> Estimate:
    """A T-posed body of mean shape that stands upright, faces the camera and fills most of the crop: a batch of one."""
    rotations = torch.eye(3).repeat(1, NUM_JOINTS, 1, 1)
    rotations[:, 0] = CAMERA_TO_Y_UP
    return Estimate(rotations, torch.zeros(1, num_betas), torch.tensor([[0.9, 0.0, -0.2]]))


def _state(estimate: Estimate) -> Tensor:
    """Estimates as states (B, 144 + S + 3): 6D rotations, betas and camera."""
    six = matrix_to_rotation_6d(estimate.rotations).flatten(1)
    return torch.cat([six, estimate.betas, estimate.camera], dim=1)
