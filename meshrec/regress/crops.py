"""The input of a network for the people in a photo: square crops, seen by cameras that look at the crops' centres."""

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
from meshrec.regress.settings import RegressorSettings


def person_inputs(
    encoder: EncoderConfig,
    image: np.ndarray,
    detections: Sequence[Detection],
    camera: Camera,
    margin: float = RegressorSettings.margin,
) -> tuple[NetworkInput, Tensor]:
    """Make the input of a network for the people in a photo.

    Args:
        encoder: The inputs of the network. Keypoints are matched to its joint set by name; those that the detector does
            not have, and those outside the photo, get the confidence 0.
        image: (H, W, 3) uint8 RGB.
        detections: N people in photo pixels.
        camera: The photo's camera.
        margin: Side of a crop, as a multiple of the longer side of the keypoints' box.

    Returns:
        The input, and the rotations (N, 3, 3) from the photo's camera to those of the crops.

    Raises:
        InputError: The network's ResNet sees masks and a person has none, or the detections have different joint sets.
    """
    joints, size = detections[0].joint_set, (image.shape[1], image.shape[0])
    if any(person.joint_set != joints for person in detections):
        raise InputError("all people of a photo need keypoints of the same joint set.")
    keypoints = np.stack([known_keypoints(person, size) for person in detections])
    squares = [_square(points, person.box, margin) for points, person in zip(keypoints, detections)]
    center, side = (np.array(values) for values in zip(*squares))
    keypoints = torch.from_numpy(convert_joints(keypoints, joints, encoder.joints)[0])
    # Convert pixels to the coordinates of the crops, whose edges are at -1 and 1.
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


def known_keypoints(person: Detection, size: tuple[int, int]) -> np.ndarray:
    """A person's keypoints (K, 3), with confidence 0 outside the photo: there the detector only guesses."""
    keypoints = person.keypoints.astype(np.float32)
    inside = ((keypoints[:, :2] > -0.5) & (keypoints[:, :2] < np.array(size) - 0.5)).all(1)
    return np.column_stack([keypoints[:, :2], keypoints[:, 2] * inside])


def _square(keypoints: np.ndarray, box: np.ndarray, margin: float) -> tuple[np.ndarray, float]:
    """Centre (2,) and side of the crop around a person, in photo pixels."""
    seen = keypoints[keypoints[:, 2] > 0, :2]
    low, high = (seen.min(0), seen.max(0)) if len(seen) > 1 else (box[:2], box[2:])
    return (low + high) / 2, margin * max(float((high - low).max()), 1.0)


def _mask(person: Detection, center: np.ndarray, side: float, encoder: EncoderConfig) -> np.ndarray:
    """Coverage (R, R) float32 of the crop by the person; zero for a person without a mask."""
    size = (encoder.resolution, encoder.resolution)
    if person.mask is not None:
        return person.mask.crop(np.concatenate([center - side / 2, center + side / 2]), size)
    if encoder.channels:
        raise InputError(
            "this regressor needs people's masks, and these keypoints have none; use the regressor 'keypoints'."
        )
    return np.zeros(size, np.float32)


def _crop(image: np.ndarray, center: np.ndarray, side: float, resolution: int) -> np.ndarray:
    """The photo (R, R, 3) uint8 in a square, black outside the photo."""
    scale = resolution / side
    shift = (resolution - 1) / 2 - scale * center
    return warp(image, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), (resolution, resolution))
