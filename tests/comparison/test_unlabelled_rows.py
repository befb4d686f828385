"""Rows of methods without 3D labels, of tiny networks: each is made, kept, and knows no 3D joints."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshrec.comparison.bench import Bench, Made
from meshrec.comparison.unlabelled_rows import UNLABELLED_ROWS
from meshrec.evaluation.lifting import lifting_errors
from meshrec.models.adversarial_lifting import AdversarialConfig
from meshrec.models.deep_nrsfm import DeepNRSfMConfig
from meshrec.models.nrsfm import NRSfMConfig
from meshrec.models.repnet import RepNetConfig
from meshrec.training.lifting import LiftedPeople, LiftingTraining
from meshrec.training.lifting_config import LiftingConfig

CONFIG = LiftingConfig(
    training=LiftingTraining(people=200, batch_size=16),
    nrsfm=NRSfMConfig(steps=3, width=8, blocks=1, rigid_steps=1),
    deep_nrsfm=DeepNRSfMConfig(steps=3, atoms=(8, 4)),
    adversarial=AdversarialConfig(steps=3, width=8, critic_width=8),
    repnet=RepNetConfig(steps=3, width=8, critic_width=8, camera_steps=1),
)


class JointsBench(Bench):
    """People without 3D labels to learn from, and no bodies to fit."""

    @property
    def people(self) -> LiftedPeople:
        return replace(super().people, joints=torch.full((200, 17, 3), torch.nan))

    def lifted(self, lifter, weights, seconds) -> Made:
        one = self.measured.keypoints[:1]
        return Made(lifting_errors(lifter, self.measured), lambda: lifter(one), weights, seconds / 60, lifter)


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    return JointsBench(tmp_path_factory.mktemp("rows"), CONFIG, 12)


@pytest.mark.parametrize("name", [name for name in UNLABELLED_ROWS if name != "nrsfm_better"])
def test_rows_are_made_without_3d_labels_and_kept(bench, name):
    made = UNLABELLED_ROWS[name].make(bench, name)
    assert all(values.shape == (12,) and np.isfinite(values).all() for values in made.errors.values())
    assert made.weights > 0 and made.call().shape == (1, 17, 3)
    again = UNLABELLED_ROWS[name].make(bench, name)
    assert np.array_equal(made.errors["mpjpe"], again.errors["mpjpe"]) and made.minutes == pytest.approx(
        again.minutes, abs=0.01
    )


def test_the_better_reflection_is_never_worse(bench):
    one, better = (UNLABELLED_ROWS[name].make(bench, name) for name in ("nrsfm", "nrsfm_better"))
    for key, values in better.errors.items():
        assert (values <= one.errors[key]).all() and (values < one.errors[key]).any()
