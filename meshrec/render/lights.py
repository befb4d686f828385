"""Light: how bright a surface looks, from its normal and the direction to the eye."""

from dataclasses import dataclass, field
from math import sqrt

import torch
from torch import Tensor


@dataclass(frozen=True)
class Phong:
    """Ambient light and one distant lamp with diffuse and specular reflection (Phong 1975).

    Attributes:
        direction: Direction towards the lamp, of any length, in camera space (x right, y down, z forward). Default:
            behind the viewer, above and to the left.
        ambient: Share of the colour that is visible without the lamp.
        diffuse: Share that is added where the lamp shines perpendicularly on the surface.
        specular: Strength of the white highlight.
        shininess: Exponent of the highlight: the larger, the smaller and sharper it is.

    Example:
        >>> import torch
        >>> from meshrec.render import Phong
        >>> towards = torch.tensor([[0.0, 0.0, -1.0]])
        >>> factor, highlight = Phong(direction=(0.0, 0.0, -1.0))(towards, towards)
        >>> round(float(factor), 3), round(float(highlight), 3)
        (1.0, 0.08)
    """

    direction: tuple[float, float, float] = (-0.4, -0.7, -1.0)
    ambient: float = 0.45
    diffuse: float = 0.55
    specular: float = 0.08
    shininess: float = 16.0

    def __call__(self, normals: Tensor, to_eye: Tensor) -> tuple[Tensor, Tensor]:
        """Shade surface points.

        Args:
            normals: (P, 3) unit normals of the surface.
            to_eye: (P, 3) unit vectors towards the camera.

        Returns:
            The factor (P, 1) by which the surface's colour is multiplied, and the highlight (P, 1) that is added to it.
        """
        lamp = torch.nn.functional.normalize(normals.new_tensor(self.direction), dim=0)
        facing = (normals * lamp).sum(-1, keepdim=True)
        mirrored = 2 * facing * normals - lamp
        highlight = (mirrored * to_eye).sum(-1, keepdim=True).clamp_min(0) ** self.shininess * (facing > 0)
        return self.ambient + self.diffuse * facing.clamp_min(0), self.specular * highlight


@dataclass(frozen=True)
class SphericalHarmonics:
    """Soft environment light, diffusely reflected (Ramamoorthi and Hanrahan 2001).

    Attributes:
        coefficients: (9,) or (9, 3) for colour: the light's spherical-harmonics coefficients of order 0, 1 and 2 in the
            usual order (l, m) = (0, 0), (1, -1), (1, 0), (1, 1), (2, -2) ... (2, 2), over camera-space directions.
            The default is a bright sky, overhead and a little towards the viewer.

    Example:
        >>> import torch
        >>> from meshrec.render import SphericalHarmonics
        >>> up, down = torch.tensor([[0.0, -1.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
        >>> sky = SphericalHarmonics()
        >>> bool(sky(up, up)[0] > sky(down, down)[0])
        True
    """

    coefficients: Tensor = field(default_factory=lambda: torch.tensor([2.6, -0.75, -0.75, -0.25, 0, 0.1, 0.1, 0, 0]))

    def __call__(self, normals: Tensor, to_eye: Tensor) -> tuple[Tensor, Tensor]:
        """Shade surface points; arguments and results are those of :meth:`Phong.__call__`.

        The factor is the irradiance over pi, (P, 1) or (P, 3) for coloured light, and the highlight is zero.
        """
        # The cosine lobe keeps 1, 2/3 and 1/4 of orders 0, 1 and 2 (its coefficients pi, 2 pi / 3, pi / 4, over pi).
        kept = normals.new_tensor([1] + [2 / 3] * 3 + [1 / 4] * 5)
        light = self.coefficients.to(normals).reshape(9, -1) * kept[:, None]
        return (harmonics(normals) @ light).clamp_min(0), normals.new_zeros(len(normals), 1)


def harmonics(directions: Tensor) -> Tensor:
    """The nine real spherical harmonics of order 0 to 2 at unit ``directions`` (P, 3): (P, 9)."""
    x, y, z = directions.unbind(-1)
    return torch.stack(
        [
            torch.full_like(x, sqrt(1 / 4)),
            sqrt(3 / 4) * y,
            sqrt(3 / 4) * z,
            sqrt(3 / 4) * x,
            sqrt(15 / 4) * x * y,
            sqrt(15 / 4) * y * z,
            sqrt(5 / 16) * (3 * z * z - 1),
            sqrt(15 / 4) * x * z,
            sqrt(15 / 16) * (x * x - y * y),
        ],
        dim=-1,
    ) / sqrt(torch.pi)


Light = Phong | SphericalHarmonics
