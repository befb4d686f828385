"""Objects pasted over pictured people: how many pictures, how much of them, and nothing but pixels."""

import torch

from meshrec.training.occluded import with_occluders
from meshrec.training.pictured import PicturedPeople


def grey_people(count: int) -> PicturedPeople:
    return PicturedPeople(
        torch.full((count, 3, 32, 32), 128, dtype=torch.uint8), torch.rand(count, 17, 2), torch.rand(count, 17, 3),
        torch.rand(count, 3), torch.rand(count, 24, 3, 3), torch.rand(count, 10), torch.rand(count),
    )  # fmt: skip


def test_a_share_of_the_pictures_has_objects_and_labels_stay():
    people = grey_people(400)
    changed = with_occluders(people, share=0.5, seed=1)
    touched = (changed.image != people.image).flatten(1).any(1)
    assert 0.4 < touched.float().mean() < 0.6  # five standard deviations
    assert changed.image.dtype == torch.uint8 and changed.image.shape == people.image.shape
    assert (people.image == 128).all()
    for name in ("places", "joints", "root", "pose", "betas", "focal"):
        assert getattr(changed, name) is getattr(people, name)
    again = with_occluders(people, share=0.5, seed=1)
    assert torch.equal(again.image, changed.image)


def test_more_objects_hide_more():
    people, hidden = grey_people(200), []
    for most in (1, 8):
        changed = with_occluders(people, share=1.0, most=most, seed=2)
        hidden.append(float((changed.image != people.image).any(1).float().mean()))
    assert 0.01 < hidden[0] < 0.2 and 2 * hidden[0] < hidden[1] < 0.7
