"""Clothes in masks: they surround the body at their thickness, and skirts close the gap between the legs."""

import pytest
import torch

from meshrec.body import joint_set, load_body
from meshrec.body.coarse import coarse_body
from meshrec.data.streams import Streams
from meshrec.geometry import Camera, camera_to_y_up
from meshrec.synthetic.loose_clothes import HEMS, Clothes, ClothesMix, Tailor, draw_clothes

SIZE = 128
PIXELS_A_METRE = SIZE / 2.4


@pytest.fixture(scope="module")
def tailor() -> Tailor:
    return Tailor(coarse_body(load_body("neutral")))


@pytest.fixture(scope="module")
def standing(tailor: Tailor) -> tuple[torch.Tensor, Camera]:
    """The body at rest, facing a camera so far away that the projection is orthographic."""
    far = 1000.0
    vertices = camera_to_y_up(tailor.body.rest()[0]) + torch.tensor([0.0, 0.0, far])
    pelvis = (SIZE - 1) / 2, SIZE * 0.45
    return vertices, Camera(far * PIXELS_A_METRE, pelvis, (SIZE, SIZE))


def _worn(thickness: float, hem: int = -1) -> Clothes:
    return Clothes(torch.full((1, 24), thickness), torch.tensor([hem]))


def test_clothes_stand_off_as_far_as_they_are_thick(tailor: Tailor, standing):
    vertices, _ = standing
    moved = tailor.dressed(vertices, _worn(0.03).thickness) - vertices
    assert torch.allclose(moved.norm(dim=-1), torch.tensor(0.03), atol=2e-4)
    assert torch.allclose(tailor.dressed(vertices, _worn(0).thickness), vertices)


def test_a_mask_in_clothes_grows_by_its_outline_times_their_thickness(tailor: Tailor, standing):
    bare = tailor.mask(*standing)
    worn = tailor.mask(*standing, _worn(0.02))
    assert not (bare & ~worn).any()
    # The area of a band along the outline, whose length is that of its steps in x and y, on the mean of directions.
    steps = (bare[:, 1:] ^ bare[:, :-1]).sum() + (bare[..., 1:] ^ bare[..., :-1]).sum()
    outline = float(steps) * torch.pi / 4
    assert float((worn & ~bare).sum()) == pytest.approx(outline * 0.02 * PIXELS_A_METRE, rel=0.2)


def test_a_skirt_fills_what_is_between_the_legs_down_to_its_hem(tailor: Tailor, standing):
    vertices, camera = standing
    joints = dict(zip(joint_set("smpl24"), tailor.body.rest()[1][0]))
    hip, ankle = joints["left_hip"][1], joints["left_ankle"][1]
    bare = tailor.mask(vertices, camera)
    for hem, share in enumerate(HEMS):
        worn = tailor.mask(vertices, camera, _worn(0, hem))
        assert not (bare & ~worn).any()
        for down in (share - 0.1, share + 0.1):
            row = round(camera.center[1] - float(hip - down * (hip - ankle)) * PIXELS_A_METRE)
            assert bool(worn[0, row, SIZE // 2]) == (down < share), (share, down)


def test_everybody_is_dressed_as_the_mix_says_whoever_else_is_there():
    mix = ClothesMix(bare=0.3, thickness=0.02, skirts=0.2)
    clothes = draw_clothes(Streams(0, range(4000), "clothes"), mix)
    trunk = clothes.thickness[:, joint_set("smpl24").index("spine2")]
    assert float((trunk == 0).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float(trunk[trunk > 0].median()) == pytest.approx(0.02, rel=0.1)
    assert float((clothes.hem >= 0)[trunk > 0].float().mean()) == pytest.approx(0.2, abs=0.03)
    assert (trunk[clothes.hem >= 0] > 0).all() and clothes.thickness.min() == 0
    alone = draw_clothes(Streams(0, [17], "clothes"), mix)
    assert torch.equal(alone.thickness[0], clothes.thickness[17]) and alone.hem[0] == clothes.hem[17]


def test_people_of_another_body_can_be_dressed():
    male = Tailor(load_body("male"))
    vertices = camera_to_y_up(male.body.rest()[0]) + torch.tensor([0.0, 0.0, 4.0])
    bare, worn = (male.mask(vertices, Camera.from_fov((SIZE, SIZE)), worn) for worn in (None, _worn(0.02, 2)))
    assert bare.sum() < worn.sum() and not (bare & ~worn).any()
