"""Networks as regressors: first estimates of the bodies of detected people.

A network sees each person in a square crop, through a camera that looks at the crop's centre
(:mod:`meshrec.geometry.crops`), as in training. Its estimates are transformed to the photo's camera. The fit gets them
with the covariance of the network's errors on people on whom it was not trained.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_index
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
from meshrec.regress.settings import RegressorSettings

# Least scale of an estimate's weak-perspective camera, half crop sides per metre. A crop that shows more than twenty
# metres shows nobody; the limit keeps every estimate in front of the camera.
LEAST_SCALE = 0.1


class NetworkRegressor:
    """A network that estimates the bodies of detected people: ``initial = regressor(image, detections, camera)``.

    Args:
        network: A network that :func:`meshrec.models.build.build_network` makes. It is moved to the device of
            ``trained``.
        trained: The body with which it was trained.
        body: The body to estimate. Default: ``trained``. For another body the network estimates only the pose.
        covariance: (K, 72 + S, 72 + S) covariances of the network's errors for people with a mask and, if K is 2, for
            people without; see :func:`meshrec.regress.calibration.error_covariance`. Default: the settings' standard
            deviations.
        calibration: (K, S + 1, S) calibrations of the network's betas for the same kinds of people; see
            :func:`meshrec.regress.calibration.shape_calibration`. Default: the betas stay as they are.
        mirror: Whether to average the estimates of each crop and its mirror image.
        settings: Margin of the crops, and assumed uncertainty.

    Example:
        >>> import numpy as np
        >>> import meshrec
        >>> from meshrec.regress import load_regressor
        >>> keypoints = np.random.default_rng(0).uniform((50, 50, 1), (200, 200, 1), (17, 3)).astype(np.float32)
        >>> person = meshrec.Detection(np.array([50, 50, 200, 200], np.float32), keypoints, "coco17", score=1.0)
        >>> regressor, camera = load_regressor("keypoints"), meshrec.Camera(300.0, size=(256, 256))
        >>> initial = regressor(np.zeros((256, 256, 3), np.uint8), [person], camera)
        >>> initial.state.rotations.shape, initial.state.betas.shape
        (torch.Size([1, 24, 3, 3]), torch.Size([1, 10]))
    """

    def __init__(
        self,
        network: Network,
        trained: BodyModel,
        body: BodyModel | None = None,
        covariance: Tensor | None = None,
        calibration: Tensor | None = None,
        mirror: bool = True,
        settings: RegressorSettings = RegressorSettings(),
    ) -> None:
        self.device = trained.v_template.device
        self.network = network.eval().to(self.device)
        self.encoder: EncoderConfig = network.encoder.config
        self.mirror = mirror
        self.settings = settings
        body = trained if body is None else body
        self._num_betas = body.num_betas
        self._knows_shape = body.hash == trained.hash
        pelvis = joint_index("pelvis", "smpl24")
        self._pelvis = [torch.from_numpy(rows[pelvis]) for rows in body.data.joint_maps]
        self._whiten = whitening(covariance, body.num_betas, self._knows_shape, settings)
        self._calibration = calibration

    @property
    def sees_pictures(self) -> bool:
        """Whether the network sees pictures, and not only what a detector says of them."""
        return "rgb" in self.encoder.inputs

    def __call__(self, image: np.ndarray, detections: Sequence[Detection], camera: Camera) -> Initial:
        """Estimate everyone in a photo.

        Args:
            image: (H, W, 3) uint8 RGB.
            detections: N people in photo pixels, with keypoints of one joint set.
            camera: The photo's camera, with a single focal length and centre.

        Returns:
            The N estimates and their uncertainty, in the form in which the fit starts from them.

        Raises:
            InputError: The network's ResNet sees masks and a person has none, or the detections have different joint
                sets.
        """
        return self.in_views([image], [detections], [camera])[0]

    def in_views(
        self, images: Sequence[np.ndarray], detections: Sequence[Sequence[Detection]], cameras: Sequence[Camera]
    ) -> list[Initial]:
        """Estimate everyone in several photos; the network runs once, which is faster than once for each.

        Args:
            images: The photos.
            detections: In each photo at least one person.
            cameras: The photos' cameras.

        Returns:
            For each photo what a call returns.

        Raises:
            InputError: As for a call.
        """
        margin = self.settings.margin
        parts = [person_inputs(self.encoder, *own, margin) for own in zip(images, detections, cameras)]
        inputs, turn = NetworkInput.cat([part for part, _ in parts]), torch.cat([turn for _, turn in parts])
        assert inputs.focal is not None
        state = self.in_photo(self.estimate(inputs), inputs.focal, turn)
        everyone = Initial(state, self._whiten[_without_mask(inputs, len(self._whiten))])
        ends = np.cumsum([len(people) for people in detections]).tolist()
        return [everyone[start:stop] for start, stop in zip([0, *ends], ends)]

    @torch.no_grad()
    def estimate(self, inputs: NetworkInput) -> Estimate:
        """Run the network on people in their crops.

        Args:
            inputs: The crops of N people.

        Returns:
            Calibrated estimates in the cameras of the crops, float32 on the CPU.
        """
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
        """Transform estimates from the cameras of the crops to the photo's camera.

        Args:
            estimate: Estimates of N people.
            focal: (N,) focal lengths of the crops' cameras, in half crop sides.
            turn: (N, 3, 3) rotations from the photo's camera to those of the crops.

        Returns:
            N bodies in the photo's camera space, metres.
        """
        betas = estimate.betas if self._knows_shape else estimate.betas.new_zeros(len(turn), self._num_betas)
        scale = estimate.camera[:, :1].clamp(min=LEAST_SCALE)
        placed = Estimate(estimate.rotations, betas, torch.cat([scale, estimate.camera[:, 1:]], dim=1))
        back, betas = turn.double().mT, betas.double()
        rotations = estimate.rotations.double()
        # A camera turns about its own centre, a body about its pelvis.
        pelvis = self._pelvis[0] + betas @ self._pelvis[1].T
        place = pelvis + placed.translation(focal).double()
        translation = (back @ place[..., None]).squeeze(-1) - pelvis
        return BodyState(torch.cat([back[:, None] @ rotations[:, :1], rotations[:, 1:]], 1), translation, betas)


def _without_mask(inputs: NetworkInput, kinds: int) -> Tensor:
    """Kinds (B,) of people: 1 for those without a mask, 0 for the others; 0 for everyone if there is only one kind."""
    if inputs.silhouette is None or kinds == 1:
        people = next(seen.shape[0] for seen in vars(inputs).values() if seen is not None)
        return torch.zeros(people, dtype=torch.long)
    return 1 - inputs.silhouette.flatten(1).any(1).long()
