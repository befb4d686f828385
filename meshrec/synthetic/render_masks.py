"""The detector's masks of renders as training wants them, and in clothes, which renders only have painted on."""

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

AROUND = (
    3  # pixels around a detected mask where clothes are seen; further away something hides them, as it hid the body
)


@dataclass(frozen=True)
class RenderMasks:
    """Masks of N people whom the detector found, and who they are.

    Attributes:
        mask: (N, M, M) uint8 over their crops.
        rotations: (N, 24, 3, 3), betas: (N, S), translation: (N, 3) in the crops' camera.
        focal, principal: (N, 2) of the crops, whose edges are -1 and 1.
        tailor: Of their body.
    """

    mask: Tensor
    rotations: Tensor
    betas: Tensor
    translation: Tensor
    focal: Tensor
    principal: Tensor
    tailor: Tailor

    @classmethod
    def of(cls, renders: Sequence[DetectedRenders], body: BodyModel) -> "RenderMasks":
        """Those of some files of one body."""

        def found(name: str) -> Tensor:
            return torch.from_numpy(np.concatenate([getattr(part, name)[part.score > 0] for part in renders]))

        focal, principal = (torch.cat(values) for values in zip(*map(crop_cameras, renders)))
        mask, rotations, betas, translation = map(found, ("mask", "rotations", "betas", "translation"))
        return cls(mask, rotations, betas, translation, focal, principal, Tailor(coarse_body(body)))

    @torch.no_grad()
    def centred(self, rows: Tensor, resolution: int, clothes: Clothes | None = None) -> Tensor:
        """(B, 1, N, N) those of some people, as :mod:`meshrec.data.centred` turns them.

        Args:
            rows: Which people.
            resolution: N.
            clothes: What they wear on top; default nothing.
        """
        mask = interpolate(self.mask[rows, None].float(), (resolution, resolution), mode="bilinear") > 127
        if clothes is not None:
            nearby = max_pool2d(mask.float(), 2 * AROUND + 1, stride=1, padding=AROUND) > 0
            mask |= self._cloth(rows, resolution, clothes)[:, None] & nearby
        return centre_maps(mask.float(), self.focal[rows], self.principal[rows])

    def _cloth(self, rows: Tensor, resolution: int, clothes: Clothes) -> Tensor:
        """(B, N, N) bool: what clothes cover beyond the body."""
        body, half = self.tailor.body, resolution / 2
        pose = self.rotations[rows]
        vertices = body(self.betas[rows], pose[:, 1:], pose[:, 0], self.translation[rows]).vertices
        camera = Camera(self.focal[rows] * half, (self.principal[rows] + 1) * half - 0.5, (resolution, resolution))
        return self.tailor.mask(vertices, camera, clothes) & ~self.tailor.mask(vertices, camera)


def crop_cameras(part: DetectedRenders) -> tuple[Tensor, Tensor]:
    """Focal lengths and principal points (N, 2) of the crops of those whom the detector found, in the crops' units."""
    focal, center = (torch.from_numpy(values[part.score > 0]) for values in (part.focal, part.center))
    half = int(part.resolution) / 2
    return focal / half, (center + 0.5) / half - 1
