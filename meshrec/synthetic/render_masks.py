"""Detected masks of renders, centred for training, and with clothes added, which renders show only as paint."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from meshrec.body import BodyModel
from meshrec.body.coarse import coarse_body
from meshrec.geometry import Camera
from meshrec.geometry.crops import centre_maps
from meshrec.synthetic.detected_renders import DetectedRenders
from meshrec.synthetic.loose_clothes import Clothes, Tailor

# Clothes are visible up to this many pixels from the detected mask. Further away an occluder hides them, as it hid the
# body.
AROUND = 3


@dataclass(frozen=True)
class RenderMasks:
    """Masks of the N people whom the detector found, with their bodies and cameras.

    Attributes:
        mask: (N, M, M) uint8 masks over the crops, 255 where the person is.
        rotations: (N, 24, 3, 3) local rotations, the first in camera space.
        betas: (N, S) shape coefficients.
        translation: (N, 3) in camera space, metres.
        focal: (N, 2) focal lengths over half the crop's side.
        principal: (N, 2) principal points in crop coordinates.
        dressed: (N,) bool, whether people wear garments, to which no clothes are added.
        tailor: Makes the clothes of the people's body.
    """

    mask: Tensor
    rotations: Tensor
    betas: Tensor
    translation: Tensor
    focal: Tensor
    principal: Tensor
    dressed: Tensor
    tailor: Tailor

    @classmethod
    def of(cls, renders: Sequence[DetectedRenders], body: BodyModel) -> "RenderMasks":
        """The masks of some files.

        Args:
            renders: Detected renders of ``body``.
            body: The body that they were made with.
        """

        def found(name: str) -> Tensor:
            return torch.from_numpy(np.concatenate([getattr(part, name)[part.score > 0] for part in renders]))

        focal, principal = (torch.cat(values) for values in zip(*map(crop_cameras, renders)))
        mask, rotations, betas, translation = map(found, ("mask", "rotations", "betas", "translation"))
        dressed = torch.cat([torch.full((int((part.score > 0).sum()),), bool(part.dressed)) for part in renders])
        return cls(mask, rotations, betas, translation, focal, principal, dressed, Tailor(coarse_body(body)))

    @torch.no_grad()
    def centred(self, rows: Tensor, resolution: int, clothes: Clothes | None = None) -> Tensor:
        """Masks of some people, seen by cameras that look at the crops' centres (:mod:`meshrec.data.centred`).

        Args:
            rows: (B,) indices of the people.
            resolution: Side R of the masks in pixels.
            clothes: Clothes to add; by default none.

        Returns:
            (B, 1, R, R) in [0, 1].
        """
        mask = interpolate(self.mask[rows, None].float(), (resolution, resolution), mode="bilinear") > 127
        if clothes is not None:
            nearby = max_pool2d(mask.float(), 2 * AROUND + 1, stride=1, padding=AROUND) > 0
            mask |= (self._cloth(rows, resolution, clothes) & ~self.dressed[rows, None, None])[:, None] & nearby
        return centre_maps(mask.float(), self.focal[rows], self.principal[rows])

    def _cloth(self, rows: Tensor, resolution: int, clothes: Clothes) -> Tensor:
        """(B, R, R) bool, the pixels that clothes cover and the body does not."""
        body, half = self.tailor.body, resolution / 2
        pose = self.rotations[rows]
        vertices = body(self.betas[rows], pose[:, 1:], pose[:, 0], self.translation[rows]).vertices
        camera = Camera(self.focal[rows] * half, (self.principal[rows] + 1) * half - 0.5, (resolution, resolution))
        return self.tailor.mask(vertices, camera, clothes) & ~self.tailor.mask(vertices, camera)


def crop_cameras(part: DetectedRenders) -> tuple[Tensor, Tensor]:
    """Cameras of the crops of the N people whom the detector found.

    Returns:
        Focal lengths over half the crop's side and principal points in crop coordinates, (N, 2) each.
    """
    focal, center = (torch.from_numpy(values[part.score > 0]) for values in (part.focal, part.center))
    half = int(part.resolution) / 2
    return focal / half, (center + 0.5) / half - 1
