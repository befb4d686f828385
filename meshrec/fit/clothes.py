"""Clothes and hair between the skin and the outline of a mask, as an unknown thickness over each region of the body.

The thickness is a nuisance parameter (:mod:`meshrec.fit.nuisance`): it is estimated with the body and left out of the
result, so that it is not mistaken for girth. What an outline says about the pose, where one side of a limb moves out
and the other in, keeps its full weight.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from meshrec.body import NUM_JOINTS, BodyModel, joint_index

# Joints whose parts of the skin belong to each region. Hands and feet belong to none, since they are mostly bare.
REGIONS = {
    "trunk": ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"),
    "upper arms": ("left_shoulder", "right_shoulder"),
    "forearms": ("left_elbow", "right_elbow"),
    "thighs": ("left_hip", "right_hip"),
    "calves": ("left_knee", "right_knee"),
    "head": ("neck", "head"),
}


@dataclass(frozen=True)
class ClothesPrior:
    """Gaussian prior of the thickness of clothes over each of the :data:`REGIONS`.

    The values cover shirts as well as coats. Most of the variance is shared by all regions, since whoever wears a coat
    wears it on the arms too. They were chosen on synthetic people with and without clothes, and on the training photos
    of LSP-extended.

    Attributes:
        mean: Mean thickness, metres.
        shared: Standard deviation of the part that all regions share, metres.
        own: Standard deviation of each region's own part, metres.
    """

    mean: float = 0.01
    shared: float = 0.012
    own: float = 0.005

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """The mean (R,), metres, and the information matrix (R, R), the inverse of the covariance; both float64."""
        mean = torch.full((len(REGIONS),), self.mean, dtype=torch.float64)
        covariance = torch.full((len(mean), len(mean)), self.shared**2, dtype=torch.float64)
        return mean, torch.linalg.inv(covariance + self.own**2 * torch.eye(len(mean), dtype=torch.float64))


def worn_over(body: BodyModel, vertices: np.ndarray) -> Tensor:
    """Find the regions to which vertices belong.

    Args:
        body: The body.
        vertices: (N,) vertex indices.

    Returns:
        (N, R) float64, 1 if the vertex belongs to the region and 0 otherwise; see :data:`REGIONS`.
    """
    return torch.from_numpy(_regions_of_parts()[body.part_labels[vertices]])


@cache
def _regions_of_parts() -> np.ndarray:
    """(24, R) 1 if the part of a joint belongs to a region, 0 otherwise."""
    regions = np.zeros((NUM_JOINTS, len(REGIONS)))
    for number, names in enumerate(REGIONS.values()):
        regions[[joint_index(name, "smpl24") for name in names], number] = 1
    return regions
