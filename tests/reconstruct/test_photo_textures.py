"""Textures made of photos: the colours that the surface has where the photo shows it, and near ones elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshrec import InputError, Person
from meshrec.body import BodyModel
from meshrec.geometry import Camera, axis_angle_to_matrix
from meshrec.poses.named_poses import named_pose
from meshrec.reconstruct.photo_textures import TextureSettings, photo_texture, require_uv
from meshrec.render import Texture, rasterize

SIZE = 240, 320
SETTINGS = TextureSettings(side=256)


def standing(body: BodyModel, turn: float = 0.0, place=(0.0, 0.2, 3.4)) -> Person:
    about_y, upright = axis_angle_to_matrix(torch.tensor([[0, turn, 0], [torch.pi, 0, 0]], dtype=torch.float32))
    rotations = torch.cat([(upright @ about_y)[None], named_pose("arms down")]).numpy()
    return Person(body, np.zeros(10), rotations, np.array(place), Camera(420.0, size=SIZE))


def painting(side: int = 256) -> np.ndarray:
    """A texture (S, S, 3) in [0, 1] that tells the place on it, in waves wider than the pixels of the photo."""
    v, u = np.mgrid[:side, :side] / side
    return 0.5 + 0.4 * np.stack([np.sin(9 * u), np.cos(7 * v), np.sin(5 * (u + v))], axis=2)


def photo_of(people: list[tuple[Person, np.ndarray]]) -> np.ndarray:
    """What the camera sees of people with textures, without light, before white; later ones may stand before others."""
    image = np.full((SIZE[1], SIZE[0], 3), 1.0)
    nearest = np.full((SIZE[1], SIZE[0]), np.inf)
    for person, paint in people:
        data = person.body.data
        seen = rasterize(torch.from_numpy(person.vertices), torch.from_numpy(person.faces), person.camera)
        skin = Texture(torch.from_numpy(paint), torch.from_numpy(data.uv), torch.from_numpy(data.uv_faces))
        row, column = np.divmod(seen.pixel.numpy(), SIZE[0])
        before = seen.depth.numpy() < nearest[row, column]
        row, column = row[before], column[before]
        image[row, column] = skin.at(seen).numpy()[before]
        nearest[row, column] = seen.depth.numpy()[before]
    return np.rint(image * 255).astype(np.uint8)


def test_what_the_photo_shows_comes_back(body):
    person, paint = standing(body), painting()
    texture = photo_texture(photo_of([(person, paint)]), person, settings=SETTINGS)
    seen = texture.seen > 0.95
    assert seen.sum() > 1500
    errors = np.abs(texture.image[seen] / 255 - paint[seen]).max(-1)
    assert np.median(errors) < 0.02
    assert np.quantile(errors, 0.95) < 0.1


def test_nobody_takes_the_colours_of_those_before_them(body):
    person, other = standing(body), standing(body, place=(0.15, 0.2, 2.6))
    green, red = (np.tile(np.array(color, float), (8, 8, 1)) for color in ((0, 1, 0), (1, 0, 0)))
    image = photo_of([(person, red), (other, green)])
    alone = photo_texture(image, person, settings=SETTINGS).image.astype(int)
    assert (alone[..., 1] > 200).mean() > 0.05  # who does not know the other takes their colour
    both = photo_texture(image, person, [other, person], SETTINGS).image.astype(int)
    assert (both[..., 1] > 60).mean() < 0.01
    assert (both[..., 0] > 200).mean() > 0.95


def test_what_the_photo_does_not_show_is_like_what_is_near(body):
    """A person of one colour above the waist and another below keeps them on the back, and on the far side."""
    template = body.v_template.numpy()
    waist = template[:, 1].mean()
    layout = body.data
    for turn in (0.0, torch.pi / 2):
        person = standing(body, turn)
        high = (template[:, 1] > waist)[layout.faces].mean(1) > 0.5
        paint = np.zeros((256, 256, 3))
        flat = np.column_stack([layout.uv[:, 0], 1 - layout.uv[:, 1], np.ones(len(layout.uv))]).astype(np.float32)
        on_mesh = rasterize(
            torch.from_numpy(flat), torch.from_numpy(layout.uv_faces), Camera(256.0, (-0.5, -0.5), (256, 256))
        )
        of_texel = on_mesh.face_id[0].numpy()
        paint[..., 0], paint[..., 2] = (high[of_texel], ~high[of_texel])
        texture = photo_texture(photo_of([(person, paint)]), person, settings=SETTINGS)
        there = of_texel >= 0
        reddish = texture.image[..., 0].astype(int) > texture.image[..., 2]
        assert (reddish == high[of_texel])[there].mean() > 0.9


def test_a_person_out_of_the_photo_is_grey(body):
    person = standing(body, place=(9.0, 0.2, 3.4))
    texture = photo_texture(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), person, settings=SETTINGS)
    assert not texture.seen.any()
    assert np.ptp(texture.image.astype(int)) <= 1


def test_what_cannot_have_a_texture_is_refused(body):
    person = standing(body)
    with pytest.raises(ValueError, match="of one size"):
        photo_texture(np.zeros((10, 10, 3), np.uint8), person)
    with pytest.raises(ValueError, match="needs the photo"):
        photo_texture(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), replace(person, camera=None))
    plain = BodyModel(replace(body.data, uv=None, uv_faces=None))
    with pytest.raises(InputError, match="has no texture coordinates"):
        require_uv(plain, "SMPL_NEUTRAL.pkl")
