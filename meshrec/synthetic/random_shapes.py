"""Random body shapes: the body's population, with wider spreads and heavier people than it has."""

from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.topology import enclosed_volume
from meshrec.data.streams import Streams

WIDE = 1.5  # standard deviations of the betas of the wide share, where the population's are 1
HEAVY = 2.5  # how far heavy people are moved along the direction of heaviness, standard deviations of the betas


@dataclass(frozen=True)
class ShapeMix:
    """Shares of unusual shapes. All others are drawn from the body's population, betas ~ N(0, 1).

    Attributes:
        wide: Share of people with betas ~ N(0, 1.5^2), so that training sees shapes that are rare in the population.
        heavy: Share of people moved by 2.5 standard deviations towards heaviness.
    """

    wide: float = 0.25
    heavy: float = 0.06


def draw_shapes(streams: Streams, heavier: Tensor, mix: ShapeMix = ShapeMix()) -> tuple[Tensor, Tensor]:
    """Draw shape coefficients.

    Args:
        streams: One random stream per person.
        heavier: (S,) unit direction of :func:`heaviness`.
        mix: Shares of unusual shapes.

    Returns:
        Betas (B, S), and whether a person was made heavy (B,), bool.
    """
    betas = streams.normal(len(heavier))
    betas = torch.where(streams.happens(mix.wide)[:, None], WIDE * betas, betas)
    heavy = streams.happens(mix.heavy)
    return betas + HEAVY * heavy[:, None] * heavier, heavy


def heaviness(body: BodyModel) -> Tensor:
    """The direction in the space of betas in which volume over squared stature grows fastest, at the mean shape.

    Args:
        body: A body with S shape components.

    Returns:
        (S,) of unit length, float32 on the CPU.
    """
    step = torch.eye(body.num_betas, dtype=body.v_template.dtype, device=body.v_template.device)
    vertices, _ = body.rest(torch.cat([step, -step]))
    stature = vertices[..., 1].amax(1) - vertices[..., 1].amin(1)
    index = enclosed_volume(vertices, body.faces) / stature**2
    slope = index[: len(step)] - index[len(step) :]
    return (slope / slope.norm()).float().cpu()
