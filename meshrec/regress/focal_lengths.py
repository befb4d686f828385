"""The focal length of a photo whose file does not tell it, estimated by a network from what the photo shows."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from meshrec.files.photos import LEAST_VIEW, MOST_VIEW
from meshrec.models.encoders import normalize_rgb
from meshrec.models.field_of_view import RESOLUTION, FieldOfViewNetwork, load_field_of_view

WHITE = 255


class FocalNetwork:
    """Estimates focal lengths: ``pixels = FocalNetwork(network)(image)``.

    Args:
        network: The network, on any device.

    Example:
        >>> import numpy as np
        >>> from meshrec.models.field_of_view import FieldOfViewConfig, FieldOfViewNetwork
        >>> from meshrec.models.hrnet import HRNetConfig
        >>> from meshrec.regress.focal_lengths import FocalNetwork
        >>> small = FieldOfViewConfig(HRNetConfig(width=4, modules=(1, 1, 1), blocks=1), hidden=8)
        >>> FocalNetwork(FieldOfViewNetwork(small))(np.zeros((48, 64, 3), np.uint8)) > 0
        True
    """

    def __init__(self, network: FieldOfViewNetwork) -> None:
        self.network = network.eval()

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> float:
        """Estimate the focal length of the camera that took a photo.

        Args:
            image: (H, W, 3) uint8 RGB, the whole photo. Of a part of one, the centre of the picture would be elsewhere.

        Returns:
            Focal length, pixels. Its field of view is kept within those that cameras have (4 to 150 degrees along the
            diagonal).
        """
        device = next(self.network.parameters()).device
        views = self.network(letterboxed(image).to(device))
        return focal_of_view(float(views[0, 1]), (image.shape[1], image.shape[0]))


def load_focal_network(path: str | Path, device: torch.device | str = "cpu") -> FocalNetwork:
    """Read a network for fields of view.

    Args:
        path: The ``.safetensors`` file that ``meshrec import-checkpoint`` made of CameraHMR's.
        device: Where it computes.

    Raises:
        InputError: The file is missing, damaged or holds another network.
    """
    return FocalNetwork(load_field_of_view(path).to(device))


def focal_of_view(vertical: float, size: tuple[int, int]) -> float:
    """The focal length that a vertical field of view means, f = H / (2 tan(v / 2)).

    Args:
        vertical: Vertical field of view, radians. One that no camera has becomes the nearest that one has.
        size: (W, H) of the photo, pixels.

    Returns:
        Focal length, pixels.

    Example:
        >>> import math
        >>> from meshrec.regress.focal_lengths import focal_of_view
        >>> round(focal_of_view(math.radians(90), (640, 480)), 6)
        240.0
    """
    diagonal = math.hypot(*size)
    longest, shortest = (diagonal / 2 / math.tan(math.radians(view) / 2) for view in (LEAST_VIEW, MOST_VIEW))
    if vertical <= 0:
        return longest
    return min(max(size[1] / 2 / math.tan(min(vertical, math.pi) / 2), shortest), longest)


def letterboxed(image: np.ndarray) -> Tensor:
    """A whole photo in the middle of a white square, as the network sees it.

    Args:
        image: (H, W, 3) uint8 RGB.

    Returns:
        (1, 3, 256, 256) normalised by :func:`meshrec.models.encoders.normalize_rgb`.
    """
    import cv2

    height, width = image.shape[:2]
    aspect = width / height
    # Rounded down as in training, but never to nothing.
    size = max(int(RESOLUTION * min(aspect, 1)), 1), max(int(RESOLUTION / max(aspect, 1)), 1)
    left, top = ((RESOLUTION - side) // 2 for side in size)
    square = np.full((RESOLUTION, RESOLUTION, 3), WHITE, np.uint8)
    square[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return normalize_rgb(torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255)
