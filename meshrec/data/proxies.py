"""Proxy representations of people: keypoints and masks, which networks see instead of, or beside, the picture."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Proxies:
    """What a detector reports of B people. Masks that nothing needs are empty.

    Attributes:
        keypoints: (B, K, 3) x and y in crop coordinates, and confidence in [0, 1].
        silhouette: (B, 1, H, W) masks with the detector's errors, 0 or 1.
        exact_silhouette: (B, 1, H, W) true masks of the visible parts of the bodies, 0 or 1.
        hidden: (B, K) bool, whether a landmark lies behind the body or an occluder, or outside the photo.
    """

    keypoints: Tensor
    silhouette: Tensor
    exact_silhouette: Tensor
    hidden: Tensor
