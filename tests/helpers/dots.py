"""Pictures of a bright dot, from which joints are to be learned that lie at fixed places around it."""

import cv2
import numpy as np
import torch
from torch import Tensor

from meshrec.training.pictured import PicturedPeople


def dots(places: Tensor, around: Tensor | None = None, size: int = 32) -> PicturedPeople:
    """People whose joints lie around a dot in a noisy picture.

    Args:
        places: (N, 2) the dots' places in the pictures, whose edges are -1 and 1.
        around: (17, 2) the joints' places relative to the dot. Default: all are the dot.
        size: Side of the pictures in pixels.
    """
    rng, images = np.random.default_rng(0), []
    for x, y in ((places + 1) * size / 2 - 0.5).tolist():
        image = rng.integers(0, 60, (size, size, 3), np.uint8)
        radius = round(0.75 * size)  # in sixteenths of a pixel
        cv2.circle(image, (round(16 * x), round(16 * y)), radius, (220, 220, 220), -1, cv2.LINE_AA, shift=4)
        images.append(image)
    count = len(places)
    return PicturedPeople(
        image=torch.from_numpy(np.stack(images)).movedim(-1, 1).contiguous(),
        places=places[:, None] + (torch.zeros(17, 2) if around is None else around),
        joints=torch.zeros(count, 17, 3),
        root=torch.ones(count, 3),
        pose=torch.eye(3).expand(count, 24, 3, 3),
        betas=torch.zeros(count, 10),
        focal=torch.ones(count),
    )
