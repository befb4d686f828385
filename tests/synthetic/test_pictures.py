"""Pictures of synthetic people: the person is where the mask is; light and blur."""

import pytest
import torch

from meshrec.body import BodyModel
from meshrec.data.streams import Streams
from meshrec.synthetic.batches import synthetic_batch
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures, blurred, draw_lamps, lit, photograph
from meshrec.synthetic.random_cameras import ViewMix
from meshrec.synthetic.textures import TextureLayout
from meshrec.synthetic.visibility import inside_photo


@pytest.fixture(scope="module")
def layout(body: BodyModel) -> TextureLayout:
    return TextureLayout.of_body(body, 128)


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
        return photograph(source.draw(indices), body, Pictures(layout), source.streams(indices, "picture"))

    difference = (draw(range(4))[[3, 1]].int() - draw([3, 1]).int()).abs()
    assert difference.float().mean() < 0.05


def test_light_falls_from_lamps_above():
    normals = torch.tensor([[0.0, -1, 0], [0.0, 1, 0]]).repeat(200, 1)  # up and down, one pair for each person
    sample = torch.arange(200).repeat_interleave(2)
    light = lit(normals, sample, draw_lamps(Streams(0, range(200), "picture"))).view(200, 2, 3)
    assert (light >= 0).all()
    assert (light[:, 0] >= light[:, 1] - 1e-6).all()
    assert light.mean((1, 2)).std() > 0.05


def test_blur_keeps_brightness():
    picture = torch.zeros(5, 3, 41, 41)
    picture[:, :, 20, 20] = 1
    result = blurred(picture, Streams(0, range(5), "picture"))
    assert torch.allclose(result.sum((2, 3)), torch.ones(5, 3), atol=1e-5)
    assert result[:, :, 20, 20].unique().numel() == 5
