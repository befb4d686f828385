"""What a network sees of the people in a photo: square crops through cameras that look at the crops' centres."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import convert_joints
from meshrec.detect import Detection
from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.geometry.affine import warp
from meshrec.geometry.crops import centre_maps, centre_points, look_at
from meshrec.models.encoders import EncoderConfig, NetworkInput, normalize_rgb

# Side of the crop over that of the keypoints' box. On synthetic people the body's own box is 1.13 times as large as the
# keypoints', and their crops are 1.08 to 1.4 times as large as that.
MARGIN = 1.3


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
