"""What a network sees of people instead of the picture."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Proxies:
    """What a network sees instead of the picture. Masks that nobody needs are empty.

    Attributes:
        keypoints: (B, K, 3) x and y in the crop, whose edges are -1 and 1, and confidence in [0, 1].
        silhouette: (B, 1, H, W) 0 or 1, with the detector's errors.
        exact_silhouette: (B, 1, H, W) 0 or 1, without them: what the photo shows of the body.
        hidden: (B, K) bool: landmarks behind the body itself, something in front of it, or beyond the photo.
    """

    keypoints: Tensor
    silhouette: Tensor
    exact_silhouette: Tensor
    hidden: Tensor
