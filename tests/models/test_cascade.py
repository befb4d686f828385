"""The cascade of regressors: its squares cut out of pictures, its coordinates, and a dot that is found more exactly."""

import numpy as np
import pytest
import torch
from helpers.dots import dots

from meshrec.body import joint_set
from meshrec.errors import InputError
from meshrec.models.cascade import Cascade, CascadeConfig, squares
from meshrec.training.seeing import SeeingTraining, train_to_see

NAMES = joint_set("h36m17")


def test_squares_on_the_grid_of_pixels_are_parts_of_the_picture():
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    corners = torch.tensor([[[3, 5], [20, 24], [0, 0]], [[8, 1], [11, 12], [24, 24]]])  # x, y of 8 x 8 pixels
    centre = (corners + 4).double() / 16 - 1
    found = squares(pictures, centre, torch.full((2, 1, 1), 0.25, dtype=torch.float64), 8)
    for person in range(2):
        for joint, (x, y) in enumerate(corners[person].tolist()):
            torch.testing.assert_close(found[person, joint], pictures[person, :, y : y + 8, x : x + 8])


def test_stages_start_where_the_one_before_ends_and_losses_are_in_their_squares():
    torch.manual_seed(0)
    network = Cascade(CascadeConfig(channels=8, width=16, crop=1.5)).eval()
    people = dots(torch.tensor([[0.2, -0.4], [0.6, 0.1], [0.0, 0.0]]), 0.3 * torch.randn(17, 2), size=64)
    with torch.no_grad():
        first, *later = network(people.image)
        for places in later:
            torch.testing.assert_close(places, first)  # a stage that is not trained leaves joints where they are
        loss = float(network.loss(people.image, people.places))
    estimate, true = first.numpy(), people.places.numpy()
    of = {name: estimate[:, NAMES.index(name)] for name in NAMES}
    diagonals = [
        np.linalg.norm(of[f"{side}_shoulder"] - of[f"{other}_hip"], axis=1)
        for side, other in (("left", "right"), ("right", "left"))
    ]
    half = 1.5 / 2 * np.maximum(np.mean(diagonals, 0), 0.2)
    within = np.clip((true - estimate) / half[:, None, None], -1, 1)
    assert loss == pytest.approx(((true - estimate) ** 2).mean() + 2 * (within**2).mean(), rel=1e-4)


def test_later_stages_are_more_exact():
    around = torch.zeros(17, 2)
    for name, y in (("shoulder", -0.2), ("hip", 0.2)):
        for side in ("left", "right"):
            around[NAMES.index(f"{side}_{name}"), 1] = y
    generator = torch.Generator().manual_seed(1)
    people = dots(1.2 * torch.rand(128, 2, generator=generator) - 0.6, around, 64)
    config = CascadeConfig(channels=8, width=32, stages=2, crop=2.0, crop_channels=8, crop_width=8)
    training = SeeingTraining(steps=150, batch_size=16, rate=5e-3, warmup=5, flip=0, half=False)
    network, _ = train_to_see(
        lambda: Cascade(config), people, lambda network, batch: network.loss(batch.image, batch.places), training
    )
    with torch.no_grad():
        first, second = ((found - people.places).norm(dim=-1).mean() for found in network(people.image))
    assert second < 0.8 * first and first < 0.4


def test_wrong_settings_are_refused():
    for wrong, words in (
        ({"channels": 7}, "even"), ({"pixels": 6}, "four"), ({"stages": 0}, "stages"), ({"joints": "smpl"}, "joint"),
    ):  # fmt: skip
        with pytest.raises((InputError, ValueError), match=words):
            CascadeConfig(**wrong)
