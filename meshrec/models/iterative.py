"""Regression of body parameters with feedback.

From a mean state on, a head that sees the encoder's feature and the current state adds a correction, a few times over
(HMR: Kanazawa et al. 2018, "End-to-end Recovery of Human Shape and Pose"). It may also see how far the current body's
landmarks appear from the detected ones, which makes it a learned gradient descent (Song et al. 2020, "Human Body Model
Fitting by Learned Gradient Descent").
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
from meshrec.models.encoders import (
    Encoder,
    EncoderConfig,
    NetworkInput,
    ResidualBlock,
    check_share,
    check_sizes,
    known_keypoints,
)
from meshrec.models.estimate import Estimate
from meshrec.models.keypoint_step import keypoint_step
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput
from meshrec.models.silhouette_feedback import SilhouetteFeedback

POSE = 6 * NUM_JOINTS
OFFSETS = 10.0  # by how much residual offsets are enlarged: a hundredth of the crop matters, and shall be seen to
FARTHEST = 4.0  # halves of the crop: offsets are told up to here, so that an estimate that is lost does not run away


@dataclass(frozen=True)
class IterativeConfig:
    """An iterative regressor.

    Attributes:
        encoder: what it sees, and through which encoder.
        feedback: the head sees ``parameters`` (HMR), or also ``residuals`` between landmarks and keypoints.
        iterations: corrections from the mean state.
        refinements: further corrections, which see the silhouette. They need residuals.
        unmasked: share of people whose silhouette is hidden from them in training. If there are none, a person without
            silhouette gets no refinements.
        keypoint_steps: each refinement ends with a step towards the keypoints (:mod:`meshrec.models.keypoint_step`).
        width, blocks: of the head: units, and residual blocks after its two layers.
        activation: ReLU after the head's layers. HMR has it; SPIN's published weights are without.
        dropout: in the head.
        num_betas: shape components.
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
            raise InputError("steps towards the keypoints end refinements, and this network has none")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the estimates, one after each correction."""
        return tuple(f"feedback {i}" for i in range(1, self.iterations + self.refinements + 1))


class IterativeRegressor(Network):
    """Pictures, proxy maps or keypoints to body parameters.

    Args:
        config: the architecture.
        body: whose landmarks residual feedback compares; not needed without.
        mean: the state to start from, a batch of one. Default: arms out and upright, mean shape, filling the crop.
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
        seen = self.encoder.features + size
        self.landmarks: TorchLandmarks | None = None
        if config.feedback == "residuals":
            if body is None:
                raise ValueError("residual feedback needs the body whose landmarks it compares")
            landmarks = LandmarkMoments.of_body(body, config.encoder.joints, num_betas=config.num_betas)
            self.landmarks = TorchLandmarks(landmarks)
            seen += 3 * len(joint_set(config.encoder.joints)) + 1
            if config.refinements:
                parameters, keypoints = POSE_SIZE + config.num_betas + 3, len(joint_set(config.encoder.joints))
                said = size + config.keypoint_steps * (parameters + keypoints)
                known = seen - self.encoder.features
                self.refine = SilhouetteFeedback(body, said, known, config.width, config.num_betas, config.unmasked)
        activation = nn.ReLU() if config.activation else nn.Identity()
        self.embed = nn.Linear(seen, config.width)
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
        """As for all networks; feedback of residuals reads the keypoints too."""
        seen = super().inputs
        return seen if self.landmarks is None or "keypoints" in seen else (*seen, "keypoints")

    def forward(self, inputs: NetworkInput) -> NetworkOutput:
        """The estimates of all iterations."""
        feature = self.encoder(inputs)
        state = self.mean.expand(len(feature), -1)
        # The feature is the same in all iterations, and so its part of the first layer, the largest, is done once.
        of_feature, of_state = self.embed.weight.tensor_split([feature.shape[1]], dim=1)
        shared = nn.functional.linear(feature, of_feature, self.embed.bias)
        estimates: list[Estimate] = []
        for _ in range(self.config.iterations):
            seen = state
            if self.landmarks is not None:
                current = estimates[-1] if estimates else self._decode(state)
                seen = torch.cat([state, self._residuals(current, inputs)], dim=1)
            update = self.update(self.head(shared + nn.functional.linear(seen, of_state)))
            state = state + update.float()  # in mixed precision too, it is precise
            estimates.append(self._decode(state))
        return NetworkOutput(estimates + self._refined(state, estimates[-1], inputs))

    def _refined(self, state: Tensor, estimate: Estimate, inputs: NetworkInput) -> list[Estimate]:
        """The estimates that follow when the silhouette is seen; where none are, the same one again and again."""
        silhouette, share = inputs.silhouette, self.config.unmasked
        if not self.config.refinements or (silhouette is None and not share):
            return [estimate] * self.config.refinements
        if silhouette is None:
            silhouette = state.new_zeros(len(state), 1, *2 * [self.config.encoder.resolution])
        levels, estimates = self.refine.pyramid(silhouette), []
        for _ in range(self.config.refinements):
            seen = torch.cat([state, self._residuals(estimate, inputs)], dim=1)
            said = self.refine(levels, estimate, seen, inputs.focal).float()
            update, doubts = said.tensor_split([state.shape[1]], dim=1)
            state = state + update
            estimate = self._decode(state)
            if self.config.keypoint_steps:
                assert self.landmarks is not None
                estimate = keypoint_step(self.landmarks, estimate, known_keypoints(inputs), inputs.focal, doubts)
                state = _state(estimate)
            estimates.append(estimate)
        return estimates

    def _decode(self, state: Tensor) -> Estimate:
        six, betas, camera = state.split([POSE, self.config.num_betas, 3], dim=1)
        return Estimate(rotation_6d_to_matrix(six.unflatten(1, (NUM_JOINTS, 6))), betas, camera)

    def _residuals(self, estimate: Estimate, inputs: NetworkInput) -> Tensor:
        """(B, 3 K + 1): enlarged offsets in the crop weighted by confidence, confidences, how strong perspective is."""
        assert self.landmarks is not None
        keypoints = known_keypoints(inputs)
        points = self.landmarks(estimate.rotations, estimate.betas)
        offsets = (estimate.project(points, inputs.focal) - keypoints[..., :2]).clamp(-FARTHEST, FARTHEST)
        nearness = torch.zeros_like(estimate.camera[:, :1])
        if inputs.focal is not None:  # the body's size over its distance, but for a factor
            nearness = estimate.camera[:, :1] / inputs.focal[:, None]
        told = OFFSETS * offsets * keypoints[..., 2:]
        return torch.cat([told.flatten(1), keypoints[..., 2], nearness], dim=1)


def upright(num_betas: int = NUM_BETAS) -> Estimate:
    """A T-posed body of mean shape that faces the camera and fills most of the crop, as a batch of one."""
    rotations = torch.eye(3).repeat(1, NUM_JOINTS, 1, 1)
    rotations[:, 0] = CAMERA_TO_Y_UP
    return Estimate(rotations, torch.zeros(1, num_betas), torch.tensor([[0.9, 0.0, -0.2]]))


def _state(estimate: Estimate) -> Tensor:
    six = matrix_to_rotation_6d(estimate.rotations).flatten(1)
    return torch.cat([six, estimate.betas, estimate.camera], dim=1)
