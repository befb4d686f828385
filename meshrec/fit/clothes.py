"""Clothes and hair between a body and the outline that a mask shows, as an unknown thickness over each region of it.

How thick they are is a nuisance (:mod:`meshrec.fit.nuisance`): nobody asks for it, and it must not be read as girth.
What outlines say of pose, where one side moves out and the other in, is worth as much as before.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_index

# Hands, feet and faces are mostly bare, or as good as that.
REGIONS = {
    "trunk": ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"),
    "upper arms": ("left_shoulder", "right_shoulder"),
    "forearms": ("left_elbow", "right_elbow"),
    "thighs": ("left_hip", "right_hip"),
    "calves": ("left_knee", "right_knee"),
    "head": ("neck", "head"),
}
# Metres, from shirts to coats. Those who wear a coat wear it on their arms too: most of the deviation is of all regions
# together. Chosen on synthetic people in clothes and without, and on the training photos of LSP-extended.
THICKNESS = 0.01
SHARED, OWN = 0.012, 0.005


def worn_over(body: BodyModel, vertices: np.ndarray) -> Tensor:
    """(N, R) float64, 1 where a vertex (N,) of a body belongs to one of the :data:`REGIONS`."""
    parts = body.part_labels[vertices]
    regions = [np.isin(parts, [joint_index(name, "smpl24") for name in names]) for names in REGIONS.values()]
    return torch.from_numpy(np.stack(regions, axis=1).astype(np.float64))


@cache
def usual_thickness() -> tuple[Tensor, Tensor]:
    """The mean (R,) of the thickness of clothes over the :data:`REGIONS`, metres, and its information matrix (R, R)."""
    mean = torch.full((len(REGIONS),), THICKNESS, dtype=torch.float64)
    covariance = torch.full((len(mean), len(mean)), SHARED**2, dtype=torch.float64)
    return mean, torch.linalg.inv(covariance + OWN**2 * torch.eye(len(mean), dtype=torch.float64))
