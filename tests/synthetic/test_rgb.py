"""Pictures of synthetic people: textures, light, backgrounds, the whole."""

import numpy as np
import pytest
import torch

from meshrec.body import BodyModel
from meshrec.data.streams import Streams
from meshrec.errors import InputError
from meshrec.synthetic.backgrounds import FolderBackgrounds, noise_backgrounds
from meshrec.synthetic.cameras import ViewMix
from meshrec.synthetic.clothes import TextureLayout, draw_textures
from meshrec.synthetic.labels import Pictures, synthetic_batch
from meshrec.synthetic.occluders import inside_photo
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.rgb import blurred, lit, photograph


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


def test_pictures_show_the_person_where_the_mask_is(body, layout):
    size = 64
    source = SyntheticPeople(body, seed=5, resolution=size, views=ViewMix(occluded=0))
    green = lambda streams, n, device: torch.tensor([0.0, 1, 0])[:, None, None].expand(len(streams), 3, n, n)  # noqa: E731
    batch, seen = synthetic_batch(source, range(8), pictures=Pictures(layout, green))
    assert batch.image.shape == (8, 3, size, size) and batch.image.dtype == torch.uint8
    inside = inside_photo(source.draw(range(8)).photo, (size, size))
    assert (batch.image.amax(1)[~inside] == 0).all()
    red, grass, blue = batch.image.float().unbind(1)
    is_green = grass > 1.6 * torch.maximum(red, blue)
    mask = seen.exact_silhouette[:, 0] > 0
    inner = torch.nn.functional.max_pool2d(1 - mask[:, None].float(), 7, 1, 3)[:, 0] == 0
    outer = torch.nn.functional.max_pool2d(mask[:, None].float(), 9, 1, 4)[:, 0] == 0
    assert is_green[outer & inside].float().mean() > 0.97
    assert is_green[inner].float().mean() < 0.2  # some clothes are green


def test_a_picture_is_the_same_in_every_batch(body, layout):
    source = SyntheticPeople(body, seed=6, resolution=48)

    def draw(indices):
        return photograph(source.draw(indices), body, layout, source.streams(indices, "picture"))

    difference = (draw(range(4))[[3, 1]].int() - draw([3, 1]).int()).abs()
    assert difference.float().mean() < 0.05


def test_light_falls_from_lamps_above():
    normals = torch.tensor([[0.0, -1, 0], [0.0, 1, 0]]).repeat(200, 1)  # up and down, one pair for each person
    sample = torch.arange(200).repeat_interleave(2)
    light = lit(normals, sample, Streams(0, range(200), "picture")).view(200, 2, 3)
    assert (light >= 0).all()
    assert (light[:, 0] >= light[:, 1] - 1e-6).all()
    assert light.mean((1, 2)).std() > 0.05


def test_blur_keeps_brightness():
    picture = torch.zeros(5, 3, 41, 41)
    picture[:, :, 20, 20] = 1
    result = blurred(picture, Streams(0, range(5), "picture"))
    assert torch.allclose(result.sum((2, 3)), torch.ones(5, 3), atol=1e-5)
    assert result[:, :, 20, 20].unique().numel() == 5


def test_noise_backgrounds_fill_the_picture_with_contours():
    pictures = noise_backgrounds(Streams(0, range(6), "picture"), 64)
    assert pictures.shape == (6, 3, 64, 64)
    assert pictures.min() >= 0 and pictures.max() <= 1
    assert (pictures.diff(dim=-1).abs().amax((1, 2, 3)) > 0.05).float().mean() > 0.6


def test_backgrounds_come_from_a_folder(tmp_path):
    cv2 = pytest.importorskip("cv2")
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[..., 2] = 200  # red in OpenCV's order
    (tmp_path / "sub").mkdir()
    cv2.imwrite(str(tmp_path / "sub" / "red.png"), picture)
    backgrounds = FolderBackgrounds(tmp_path)
    drawn = backgrounds(Streams(0, range(3), "picture"), 32)
    assert drawn.shape == (3, 3, 32, 32)
    assert torch.allclose(drawn[:, 0], torch.tensor(200 / 255)) and (drawn[:, 1:] == 0).all()


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no pictures"):
        FolderBackgrounds(tmp_path)
