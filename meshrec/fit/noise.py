"""How far detected landmarks lie from where they should be."""

import torch
from torch import Tensor

# Standard deviation of a landmark seen with certainty, as a share of the longer side of the person's box.
DEVIATION = {"hip": 0.015, "shoulder": 0.011, "heel": 0.014, "foot_index": 0.014, "toe": 0.014}
USUAL = 0.01
FACE = 0.018  # the eleven points of a face err together: each counts for less
FINGERS = 0.02
FACE_PARTS = ("eye", "ear", "mouth", "nose")
FINGER_PARTS = ("pinky", "thumb", "index")
LEAST_CONFIDENCE = 0.1


def deviation(name: str) -> float:
    """Standard deviation of a landmark by its name, as a share of the box."""
    if any(part in name for part in FACE_PARTS):
        return FACE
    for part, value in DEVIATION.items():
        if part in name:
            return value
    return FINGERS if any(part in name for part in FINGER_PARTS) else USUAL


def precision(names: tuple[str, ...], keypoints: Tensor, box: Tensor, size: tuple[int, int]) -> Tensor:
    """One over the standard deviation of detected landmarks; 0 for those outside the photo or hardly seen.

    Args:
        names: K landmarks.
        keypoints: (B, K, 3) x, y in photo pixels and confidence.
        box: (B, 4) x0, y0, x1, y1 of the people.
        size: (W, H) of the photo.

    Returns:
        (B, K), 1 / pixels.
    """
    x, y, confidence = keypoints.unbind(-1)
    side = (box[:, 2:] - box[:, :2]).amax(1, keepdim=True).clamp(min=1)
    share = torch.tensor([deviation(name) for name in names], dtype=keypoints.dtype)
    inside = (x > -0.5) & (x < size[0] - 0.5) & (y > -0.5) & (y < size[1] - 0.5)
    seen = inside & (confidence >= LEAST_CONFIDENCE)
    return torch.where(seen, confidence.clamp(max=1), 0) / (share * side)
