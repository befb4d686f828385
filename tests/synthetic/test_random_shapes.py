"""Random shapes: the heavy are heavy."""

import numpy as np
import pytest
import torch

from meshrec.data.streams import Streams
from meshrec.synthetic.random_shapes import ShapeMix, draw_shapes, heaviness


def test_the_heavy_are_heavy(body):
    heavier = heaviness(body)
    betas, heavy = draw_shapes(Streams(0, range(800), "shape"), heavier, ShapeMix(wide=0, heavy=0.2))
    assert heavy.float().mean() == pytest.approx(0.2, abs=0.05)
    along = betas @ heavier
    assert (along[heavy].mean() - along[~heavy].mean()).item() == pytest.approx(2.5, abs=0.3)
    mean, fat = body.rest(torch.stack([0 * heavier, 3 * heavier]))[0]
    waist = [v[(v[:, 1] - 0.05).abs() < 0.02, 2] for v in (mean, fat)]
    assert np.ptp(waist[1].numpy()) > 1.2 * np.ptp(waist[0].numpy())
