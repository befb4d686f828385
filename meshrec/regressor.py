"""Networks as regressors of a reconstruction: detected people in, first estimates of their bodies out.

A network sees each person in a square crop, through a camera that looks at the crop's centre
(:mod:`meshrec.geometry.crops`), as in training. What it says is turned back into the photo's camera, and goes to the
fit together with how far such estimates were off on people the network had not seen.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from meshrec.body import BodyModel, load_body
from meshrec.body.joints import convert_joints
from meshrec.detect import Detection
from meshrec.errors import InputError
from meshrec.fit import BodyState, Initial
from meshrec.fit.state import TRANSLATION, TURNS
from meshrec.geometry import Camera, matrix_to_axis_angle
from meshrec.geometry.affine import warp
from meshrec.geometry.crops import centre_maps, centre_points, look_at
from meshrec.models.checkpoints import load_checkpoint, read_header
from meshrec.models.encoders import EncoderConfig, NetworkInput, normalize_rgb
from meshrec.models.estimate import Estimate
from meshrec.models.mirrored import final_estimate, mirror_averaged

WEIGHTS = Path(__file__).parent / "models" / "weights"
NAMES = {"keypoints": "iterative_keypoints", "proxy": "iterative_proxy", "graph": "graph_keypoints"}
DEFAULT, NONE = "proxy", "none"
# Side of the crop over that of the keypoints' box. On synthetic people the body's own box is 1.13 times as large as the
# keypoints', and their crops are 1.08 to 1.4 times as large as that.
MARGIN = 1.3
LEAST_SCALE = 0.1  # crops of more than twenty metres show nobody: the estimate stays in front of the camera
# What is taken for the errors of a network whose own are not known: radians and betas, standard deviations.
USUAL_ERRORS = (0.3, 1.0)
LEAST_ERRORS = (0.02, 0.1)  # no estimate is more certain than that
OTHER_REST = 0.1  # radians by which the limbs of two bodies at rest point elsewhere


class NetworkRegressor:
    """A network that estimates the bodies of detected people: ``initial = regressor(image, detections, camera)``.

    Args:
        network: As :func:`meshrec.models.build.build_network` makes them. It is moved to the trained body's device.
        trained: The body it was trained with.
        body: The body to estimate. Of another one than the trained, only the pose is the network's.
        covariance: (K, 72 + S, 72 + S) of the network's errors, see :func:`error_covariance`: of people with a mask,
            and if K is 2, of people without.
        calibration: (K, S + 1, S) of the network's betas, likewise; see :func:`shape_calibration`.
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
        self._pelvis = [torch.tensor(rows, dtype=torch.float64) for rows in _pelvis(body)]
        self._whiten = _whiten(covariance, body.num_betas, self._knows_shape)
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


def load_regressor(name: str | Path, body: BodyModel | None = None, mirror: bool = True) -> NetworkRegressor:
    """A trained network as a regressor.

    Args:
        name: ``"keypoints"``, ``"proxy"`` or ``"graph"`` for the shipped ones; or a checkpoint's file.
        body: Whose pose and shape to estimate; default the body it was trained with. The shape of another body is left
            to the fit: betas mean something else there. The network runs where the body is.
        mirror: As in :class:`NetworkRegressor`.

    Raises:
        InputError: There is no such network, the file is damaged, or the body it was trained with is not at hand.
    """
    path = find_weights(name)
    trained_hash = read_header(path)["body"]
    trained = body if body is not None and body.hash == trained_hash else load_body("neutral")
    if trained.hash != trained_hash:
        raise InputError(f"{path} was trained with the body {trained_hash}; name that body, or train with this one.")
    if body is not None:
        trained = trained.to(body.v_template.device)
    checkpoint = load_checkpoint(path, trained)
    return NetworkRegressor(
        checkpoint.network, trained, body, checkpoint.error_covariance, checkpoint.shape_calibration, mirror
    )


def regressor_name(name: str | Path | None) -> str:
    """The name of the regressor that is meant: for None the default one's, or ``"none"`` while it is not installed."""
    if name is None:
        return DEFAULT if _shipped(DEFAULT).is_file() else NONE
    return str(name)


def find_weights(name: str | Path) -> Path:
    """The file of a network: a shipped one's by its name, or any by its path.

    Raises:
        InputError: There is none; the message names those there are.
    """
    path = _shipped(name) if _shipped(name).is_file() else Path(name)
    if not path.is_file():
        known = ", ".join([*shipped_regressors(), "a checkpoint file"])
        raise InputError(f"there is no regressor '{name}': give {known}.")
    return path


def shipped_regressors() -> list[str]:
    """The names of those that are installed."""
    return [name for name in NAMES if _shipped(name).is_file()]


def _shipped(name: str | Path) -> Path:
    return WEIGHTS / f"{NAMES.get(str(name), name)}.safetensors"


def person_inputs(
    encoder: EncoderConfig, image: np.ndarray, detections: Sequence[Detection], camera: Camera
) -> tuple[NetworkInput, Tensor]:
    """What a network sees of the people in a photo, and the turns (N, 3, 3) from its camera to those of their crops.

    Args:
        encoder: What it is to see. Keypoints are matched to its joint set by name; what the detector does not have has
            the confidence 0, as has everything beyond the photo.
        image: (H, W, 3) uint8 RGB.
        detections: N people, photo pixels.
        camera: The photo's.

    Raises:
        InputError: The network's ResNet sees masks, and somebody has none; or the detections have different joint sets.
    """
    joints, size = detections[0].joint_set, (image.shape[1], image.shape[0])
    if any(person.joint_set != joints for person in detections):
        raise InputError("all people of a photo need keypoints of the same joint set.")
    keypoints = np.stack([_known(person, size) for person in detections])
    squares = [_square(points, person.box) for points, person in zip(keypoints, detections)]
    center, side = (np.array(values) for values in zip(*squares))
    keypoints = torch.from_numpy(convert_joints(keypoints, joints, encoder.joints)[0])
    # To the crops' own coordinates, whose edges are -1 and 1.
    middle, scale = torch.from_numpy(center).float(), torch.from_numpy(2 / side).float()[:, None]
    matrix = camera.matrix.float()
    focal, principal = matrix.diagonal()[:2] * scale, (matrix[:2, 2] - middle) * scale
    places, centred_focal = centre_points((keypoints[..., :2] - middle[:, None]) * scale[:, None], focal, principal)
    certain = keypoints[..., 2:]
    inputs = NetworkInput(keypoints=torch.cat([places * (certain > 0), certain], dim=-1), focal=centred_focal)
    if "silhouette" in encoder.inputs:
        masks = torch.from_numpy(np.stack([_mask(p, *s, encoder) for p, s in zip(detections, squares)]))
        inputs.silhouette = centre_maps(masks[:, None], focal, principal)
    if "rgb" in encoder.inputs:
        crops = torch.from_numpy(np.stack([_crop(image, *square, encoder.resolution) for square in squares]))
        inputs.rgb = normalize_rgb(centre_maps(crops.movedim(-1, 1).float() / 255, focal, principal))
    return inputs, look_at(focal, principal)


def error_covariance(estimate: Estimate, rotations: Tensor, betas: Tensor) -> Tensor:
    """How far a network's estimates are off: the mean outer product of the errors, with a floor under each.

    Errors are the steps from estimate to truth as the fit takes them (:meth:`meshrec.fit.BodyState.moved`): a turn of
    each joint in its own frame, then the betas. Where bodies stand is left to what is seen of them.

    Args:
        estimate: N bodies that the network has not seen in training; many more than 72 + S.
        rotations: (N, 24, 3, 3) and betas: (N, S), the true ones.

    Returns:
        (72 + S, 72 + S).
    """
    turns = matrix_to_axis_angle(estimate.rotations.double().mT @ rotations.double()).flatten(1)
    errors = torch.cat([turns, betas.double() - estimate.betas.double()], dim=1)
    least = errors.new_tensor([LEAST_ERRORS[0]] * turns.shape[1] + [LEAST_ERRORS[1]] * betas.shape[1])
    return errors.mT @ errors / len(errors) + torch.diag(least.square())


def shape_calibration(betas: Tensor, true: Tensor) -> Tensor:
    """(S + 1, S) the matrix C with which ``[betas, 1] @ C`` is the best linear guess of the true betas.

    Where there is little to tell a shape by, as without a mask, networks say more than they know; half of what they say
    may be the better guess. By least squares, with a trace of ridge for few people.

    Args:
        betas: (N, S) of a network, of people whom it has not seen in training.
        true: (N, S).
    """
    known = _with_one(betas.double())
    normal = known.mT @ known + 1e-3 * len(known) * torch.eye(known.shape[1], dtype=torch.float64)
    return torch.linalg.solve(normal, known.mT @ true.double())


def calibrated(betas: Tensor, calibration: Tensor) -> Tensor:
    """Betas (B, S) as calibrations (S + 1, S), or (B, S + 1, S), say they are."""
    return (_with_one(betas)[:, None] @ calibration.to(betas)).squeeze(-2)


def _with_one(betas: Tensor) -> Tensor:
    return torch.cat([betas, torch.ones_like(betas[:, :1])], dim=1)


def _without_mask(inputs: NetworkInput, kinds: int) -> Tensor:
    """(B,) 1 for those without a mask and 0 for all others; where there is a single kind of people, they are all 0."""
    if inputs.silhouette is None or kinds == 1:
        people = next(len(seen) for seen in vars(inputs).values() if seen is not None)
        return torch.zeros(people, dtype=torch.long)
    return 1 - inputs.silhouette.flatten(1).any(1).long()


def _whiten(covariance: Tensor | None, num_betas: int, knows_shape: bool) -> Tensor:
    """(K, M, P) rows that turn a step of the fit into M standard normal numbers; translations are free.

    Of the shape of another body than the trained nothing is known but that betas are standard normal.
    """
    turns = TURNS.stop
    if covariance is None:
        deviations = [USUAL_ERRORS[0]] * turns + [USUAL_ERRORS[1]] * num_betas
        covariance = torch.tensor(deviations).square().diag()[None]
    covariance = covariance.double()
    if not knows_shape:
        other = OTHER_REST**2 * torch.eye(turns, dtype=torch.float64)
        shape = torch.eye(num_betas, dtype=torch.float64)
        covariance = torch.stack([torch.block_diag(own + other, shape) for own in covariance[:, :turns, :turns]])
    rows = torch.linalg.inv(torch.linalg.cholesky(covariance))
    free = rows.new_zeros(*rows.shape[:2], TRANSLATION.stop - TRANSLATION.start)
    return torch.cat([rows[..., :turns], free, rows[..., turns:]], dim=-1)


def _pelvis(body: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """The pelvis of the mean shape (3,), and its change with the betas (3, S)."""
    row = body.data.joint_regressor[0].astype(np.float64)
    return row @ body.data.v_template, np.einsum("v,vcs->cs", row, body.data.shapedirs)


def _known(person: Detection, size: tuple[int, int]) -> np.ndarray:
    """(K, 3) a person's keypoints, with confidence 0 beyond the photo: there the detector only guesses."""
    keypoints = person.keypoints.astype(np.float32)
    inside = ((keypoints[:, :2] > -0.5) & (keypoints[:, :2] < np.array(size) - 0.5)).all(1)
    return np.column_stack([keypoints[:, :2], keypoints[:, 2] * inside])


def _square(keypoints: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (2,) and side of the crop around a person, in photo pixels."""
    seen = keypoints[keypoints[:, 2] > 0, :2]
    low, high = (seen.min(0), seen.max(0)) if len(seen) > 1 else (box[:2], box[2:])
    return (low + high) / 2, MARGIN * max(float((high - low).max()), 1.0)


def _mask(person: Detection, center: np.ndarray, side: float, encoder: EncoderConfig) -> np.ndarray:
    """(R, R) float32 coverage of the crop by the person; none of a person without mask."""
    size = (encoder.resolution, encoder.resolution)
    if person.mask is not None:
        return person.mask.crop(np.concatenate([center - side / 2, center + side / 2]), size)
    if encoder.channels:
        raise InputError(
            "this regressor sees people's masks, and these keypoints come without; use the regressor 'keypoints'."
        )
    return np.zeros(size, np.float32)


def _crop(image: np.ndarray, center: np.ndarray, side: float, resolution: int) -> np.ndarray:
    """(R, R, 3) uint8 the photo's part in a square, black where it ends."""
    scale = resolution / side
    shift = (resolution - 1) / 2 - scale * center
    return warp(image, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), (resolution, resolution))
