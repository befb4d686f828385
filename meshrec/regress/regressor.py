"""Networks as regressors of a reconstruction: detected people in, first estimates of their bodies out.

A network sees each person in a square crop, through a camera that looks at the crop's centre
(:mod:`meshrec.geometry.crops`), as in training. What it says is turned back into the photo's camera, and goes to the
fit together with how far such estimates were off on people the network had not seen.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from meshrec.body import BodyModel, joint_index
from meshrec.body.state import BodyState
from meshrec.detect import Detection
from meshrec.fit import Initial
from meshrec.geometry import Camera
from meshrec.models.encoders import EncoderConfig, NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.mirrored import final_estimate, mirror_averaged
from meshrec.regress.calibration import calibrated, whitening
from meshrec.regress.crops import person_inputs

LEAST_SCALE = 0.1  # crops of more than twenty metres show nobody: the estimate stays in front of the camera


class NetworkRegressor:
    """A network that estimates the bodies of detected people: ``initial = regressor(image, detections, camera)``.

    Args:
        network: As :func:`meshrec.models.build.build_network` makes them. It is moved to the trained body's device.
        trained: The body it was trained with.
        body: The body to estimate. Of another one than the trained, only the pose is the network's.
        covariance: (K, 72 + S, 72 + S) of the network's errors, see :mod:`meshrec.regress.calibration`: of people with
            a mask, and if K is 2, of people without.
        calibration: (K, S + 1, S) of the network's betas, likewise.
        mirror: Also look at the mirror image, and take the mean.
    """

    def __init__(
        self,
        network: nn.Module,
        trained: BodyModel,
        body: BodyModel | None = None,
        covariance: Tensor | None = None,
        calibration: Tensor | None = None,
        mirror: bool = True,
    ) -> None:
        self.device = trained.v_template.device
        self.network = network.eval().to(self.device)
        iterative_or_mesh: Any = getattr(network, "regressor", network)
        self.encoder: EncoderConfig = iterative_or_mesh.config.encoder
        self.mirror = mirror
        body = trained if body is None else body
        self._num_betas = body.num_betas
        self._knows_shape = body.hash == trained.hash
        pelvis = joint_index("pelvis", "smpl24")
        self._pelvis = [torch.from_numpy(rows[pelvis]) for rows in body.data.joint_maps]
        self._whiten = whitening(covariance, body.num_betas, self._knows_shape)
        self._calibration = calibration

    def __call__(self, image: np.ndarray, detections: Sequence[Detection], camera: Camera) -> Initial:
        """What the network says of everyone in a photo, for a fit to start from.

        Args:
            image: (H, W, 3) uint8 RGB.
            detections: N people, photo pixels, with keypoints of one joint set.
            camera: The photo's, with a single focal length and centre.

        Raises:
            InputError: The network's ResNet sees masks, and somebody has none.
        """
        inputs, turn = person_inputs(self.encoder, image, detections, camera)
        assert inputs.focal is not None
        state = self.in_photo(self.estimate(inputs), inputs.focal, turn)
        return Initial(state, self._whiten[_without_mask(inputs, len(self._whiten))])

    @torch.no_grad()
    def estimate(self, inputs: NetworkInput) -> Estimate:
        """What the network says of people in their crops' cameras, float32 on the CPU."""
        moved = inputs.to(self.device)
        if self.mirror:
            estimate = mirror_averaged(self.network, moved, self.encoder.joints)
        else:
            estimate = final_estimate(self.network(moved))
        estimate = Estimate(*(value.cpu() for value in vars(estimate).values()))
        if self._calibration is None:
            return estimate
        which = _without_mask(inputs, len(self._calibration))
        return replace(estimate, betas=calibrated(estimate.betas, self._calibration[which]))

    def in_photo(self, estimate: Estimate, focal: Tensor, turn: Tensor) -> BodyState:
        """Bodies of centred crops in the photo's camera.

        Args:
            estimate: N bodies.
            focal: (N,) of the centred crops.
            turn: (N, 3, 3) from the photo's camera to the crops'.
        """
        betas = estimate.betas if self._knows_shape else estimate.betas.new_zeros(len(turn), self._num_betas)
        scale = estimate.camera[:, :1].clamp(min=LEAST_SCALE)
        placed = Estimate(estimate.rotations, betas, torch.cat([scale, estimate.camera[:, 1:]], dim=1))
        back, betas = turn.double().mT, betas.double()
        rotations = estimate.rotations.double()
        # Cameras turn about themselves, bodies about their pelvis.
        pelvis = self._pelvis[0] + betas @ self._pelvis[1].T
        place = pelvis + placed.translation(focal).double()
        translation = (back @ place[..., None]).squeeze(-1) - pelvis
        return BodyState(torch.cat([back[:, None] @ rotations[:, :1], rotations[:, 1:]], 1), translation, betas)


def _without_mask(inputs: NetworkInput, kinds: int) -> Tensor:
    """(B,) 1 for those without a mask and 0 for all others; where there is a single kind of people, they are all 0."""
    if inputs.silhouette is None or kinds == 1:
        people = next(len(seen) for seen in vars(inputs).values() if seen is not None)
        return torch.zeros(people, dtype=torch.long)
    return 1 - inputs.silhouette.flatten(1).any(1).long()
