"""Textures: texels lie where their part of the body is, and people differ."""

import pytest
import torch

from meshrec.body import BodyModel
from meshrec.data.streams import Streams
from meshrec.synthetic.textures import TextureLayout, draw_textures


@pytest.fixture(scope="module")
def layout(body: BodyModel) -> TextureLayout:
    return TextureLayout.of_body(body, 128)


def test_texels_lie_where_their_part_of_the_body_is(body, layout):
    face = torch.arange(0, len(body.faces), 50)
    uv = layout.uv[layout.faces[face].long()].mean(1)
    column, row = (uv * 128).long().unbind(1)
    found = layout.position[127 - row, column]
    expected = body.v_template[body.faces[face]].mean(1)
    assert (found - expected).norm(dim=1).median() < 0.012
    hand = body.v_template[body.faces].mean(1)[:, 0].argmax()  # the tip of the left hand
    column, row = (layout.uv[layout.faces[hand].long()].mean(0) * 128).long()
    assert layout.arm[127 - row, column] > 1 and layout.leg[127 - row, column] < 0
    assert 0.02 < (layout.hair > 0).float().mean() < 0.4
    assert layout.eyes.any() and layout.lips.any()


def test_textures_are_colours_and_differ_between_people(layout):
    textures = draw_textures(Streams(0, range(12), "picture"), layout)
    assert textures.shape == (12, 128, 128, 3)
    assert textures.min() >= 0 and textures.max() <= 1
    assert textures.mean((1, 2)).std(0).min() > 0.03
    again = draw_textures(Streams(0, [7], "picture"), layout)
    assert torch.allclose(textures[7], again[0], atol=1e-5)
