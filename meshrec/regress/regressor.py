"""Networks as regressors of a reconstruction: detected people in, first estimates of their bodies out.

A network sees each person in a square crop, through a camera that looks at the crop's centre
(:mod:`meshrec.geometry.crops`), as in training. Its estimate is turned back into the photo's camera, and goes to the
fit together with the covariance of its errors on people it had not seen.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.state import BodyState
from meshrec.detect import Detection
from meshrec.fit import Initial
from meshrec.geometry import Camera
from meshrec.models.encoders import EncoderConfig, NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.mirrored import mirror_averaged
from meshrec.models.network import Network
from meshrec.regress.calibration import calibrated, whitening
from meshrec.regress.crops import person_inputs

LEAST_SCALE = 0.1  # crops of more than twenty metres show nobody: the estimate stays in front of the camera


class NetworkRegressor:
    """A network that estimates the bodies of detected people: ``initial = regressor(image, detections, camera)``.

    Args:
        network: any network. It is moved to the device of ``trained``.
        trained: the body it was trained with.
        body: the body to estimate. If it is not ``trained``, only the pose comes from the network.
        covariance: (K, 72 + S, 72 + S) covariance of the network's errors, see :mod:`meshrec.regress.calibration`: for
            people with a mask, and if K is 2, for people without.
        calibration: (K, S + 1, S) calibration of the network's betas, likewise.
        mirror: estimate from the mirror image too, and take the mean.
    """

    def __init__(
        self,
        network: Network,
        trained: BodyModel,
        body: BodyModel | None = None,
        covariance: Tensor | None = None,
        calibration: Tensor | None = None,
        mirror: bool = True,
    ) -> None:
        self.device = trained.v_template.device
        self.network = network.eval().to(self.device)
        self.encoder: EncoderConfig = network.encoder.config
        self.mirror = mirror
        body = trained if body is None else body
        self._num_betas = body.num_betas
        self._knows_shape = body.hash == trained.hash
        self._pelvis = [torch.tensor(rows, dtype=torch.float64) for rows in _pelvis(body)]
        self._whiten = whitening(covariance, body.num_betas, self._knows_shape)
        self._calibration = calibration

    def __call__(self, image: np.ndarray, detections: Sequence[Detection], camera: Camera) -> Initial:
        """The network's estimates of all people in a photo, for a fit to start from.

        Args:
            image: (H, W, 3) uint8 RGB.
            detections: N people, photo pixels, with keypoints of one joint set.
            camera: the photo's camera, with a single focal length and centre.

        Raises:
            InputError: The network's ResNet sees masks, and somebody has none.
        """
        inputs, turn = person_inputs(self.encoder, image, detections, camera)
        assert inputs.focal is not None
        state = self.in_photo(self.estimate(inputs), inputs.focal, turn)
        return Initial(state, self._whiten[_without_mask(inputs, len(self._whiten))])

    @torch.no_grad()
    def estimate(self, inputs: NetworkInput) -> Estimate:
        """The network's estimates of people in their crops' cameras, float32 on the CPU."""
        moved = inputs.to(self.device)
        if self.mirror:
            estimate = mirror_averaged(self.network, moved, self.encoder.joints)
        else:
            estimate = self.network(moved).final
        estimate = Estimate(*(value.cpu() for value in vars(estimate).values()))
        if self._calibration is None:
            return estimate
        which = _without_mask(inputs, len(self._calibration))
        return replace(estimate, betas=calibrated(estimate.betas, self._calibration[which]))

    def in_photo(self, estimate: Estimate, focal: Tensor, turn: Tensor) -> BodyState:
        """Bodies of centred crops in the photo's camera.

        Args:
            estimate: N bodies.
            focal: (N,) focal lengths of the crops' cameras, over half the crop's side.
            turn: (N, 3, 3) rotations from the photo's camera to those of the crops.
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


def _pelvis(body: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """The pelvis of the mean shape (3,), and its change with the betas (3, S)."""
    row = body.data.joint_regressor[0].astype(np.float64)
    return row @ body.data.v_template, np.einsum("v,vcs->cs", row, body.data.shapedirs)
