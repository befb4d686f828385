"""Methods from 2D joints to 3D joints that learn without 3D labels."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshrec.comparison.bench import Bench, Made, Row, kept_training
from meshrec.evaluation.lifting import lifting_errors
from meshrec.models.adversarial_lifting import AdversarialLifter
from meshrec.models.deep_nrsfm import DeepNRSfM
from meshrec.models.nrsfm import NRSfM
from meshrec.models.repnet import RepNet
from meshrec.models.unscaled import Unscaled
from meshrec.training.adversarial_lifting import train_adversarial
from meshrec.training.deep_nrsfm import train_deep_nrsfm
from meshrec.training.nrsfm import train_nrsfm
from meshrec.training.repnet import train_repnet
from meshrec.training.unpaired_poses import unpaired_poses, usual_length

FLAT_ATOMS = 8
"""Atoms of the only dictionary of the row without a hierarchy: a code has as many entries as the hierarchy's."""

OTHER_PEOPLE = 1
"""Added to the seed of the people who are seen, for the seed of those whose poses are known."""


def nrsfm(**changes: Any) -> Callable[[Bench, str], Made]:
    """Non-rigid structure from motion with some settings changed."""
    return lambda bench, name: bench.lifted(*_trained_nrsfm(bench, name, **changes))


def nrsfm_better(bench: Bench, name: str) -> Made:
    """The same network, each person measured with the better of the result and its reflection in depth.

    It is not known which of the two that is without the truth, so that no body is fitted.
    """
    network, weights, seconds = _trained_nrsfm(bench, "nrsfm")

    def measured(side: float) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
        def lifter(seen: Tensor) -> Tensor:
            return network(seen) * torch.tensor([1.0, 1.0, side])

        return lifting_errors(lifter, bench.measured), bench.on_photos(lambda of: lifter(of.keypoints), fits=False)

    (one, one_photo), (other, other_photo) = measured(1.0), measured(-1.0)
    first = bench.measured.keypoints[:1]
    photos = None if one_photo is None or other_photo is None else _smaller(one_photo, other_photo)
    return Made(_smaller(one, other), lambda: network(first), weights, seconds / 60, photos=photos)


def _smaller(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.minimum(values, other[name]) for name, values in one.items()}


def deep_nrsfm(**changes: Any) -> Callable[[Bench, str], Made]:
    """The hierarchy of block-sparse dictionaries with some settings changed."""

    def make(bench: Bench, name: str) -> Made:
        config = replace(bench.config.deep_nrsfm, **changes)
        training = replace(bench.config.training, steps=config.steps, rate=config.rate)
        length = usual_length(bench.body)
        network = _trained(
            bench, name, DeepNRSfM(config), lambda: train_deep_nrsfm(config, bench.people, length, training)
        )
        return bench.lifted(*network)

    return make


def repnet(**changes: Any) -> Callable[[Bench, str], Made]:
    """RepNet with some settings changed."""

    def make(bench: Bench, name: str) -> Made:
        config = replace(bench.config.repnet, **changes)
        training = replace(bench.config.training, steps=config.steps)

        def train() -> tuple[RepNet, float]:
            poses = unpaired_poses(bench.body, training.people, training.seed + OTHER_PEOPLE)
            return train_repnet(config, bench.people, poses, usual_length(bench.body), training)

        return bench.lifted(*_trained(bench, name, RepNet(config), train))

    return make


def adversarial(**changes: Any) -> Callable[[Bench, str], Made]:
    """Adversarial lifting with some settings changed."""

    def make(bench: Bench, name: str) -> Made:
        config = replace(bench.config.adversarial, **changes)
        training = replace(bench.config.training, steps=config.steps)
        network = _trained(
            bench,
            name,
            AdversarialLifter(config),
            lambda: train_adversarial(config, bench.people, usual_length(bench.body), training),
        )
        return bench.lifted(*network)

    return make


def _trained_nrsfm(bench: Bench, name: str, **changes: Any) -> tuple[Unscaled, int, float]:
    config = replace(bench.config.nrsfm, **changes)
    training = replace(bench.config.training, steps=config.steps)
    length = usual_length(bench.body)
    return _trained(bench, name, NRSfM(config), lambda: train_nrsfm(config, bench.people, length, training))


def _trained(
    bench: Bench, name: str, network: Unscaled, train: Callable[[], tuple[Unscaled, float]]
) -> tuple[Unscaled, int, float]:
    """A network, the number of its weights and the seconds that it took. Its weights are kept as NAME.safetensors."""
    settings = {"training": asdict(bench.config.training), "network": asdict(network.config)}
    network, seconds = kept_training(bench.out / f"{name}.safetensors", network, settings, train)
    return network, network.count_weights(), seconds


UNLABELLED_ROWS = {
    "nrsfm": Row("NRSfM (C3DPO, Novotny 2019)", "2D only", nrsfm()),
    "nrsfm_better": Row("- the better reflection of each person, as the paper measures", "2D only", nrsfm_better),
    "nrsfm_no_canonical": Row("- without canonicalisation", "2D only", nrsfm(canonical=0.0)),
    "deep_nrsfm": Row("Deep NRSfM (Kong 2019)", "2D only", deep_nrsfm()),
    "deep_nrsfm_flat": Row("- one dictionary", "2D only", deep_nrsfm(atoms=(FLAT_ATOMS,))),
    "adversarial": Row("adversarial lifting (Drover 2018, Chen 2019, Kudo 2018)", "2D only", adversarial()),
    "adversarial_no_critic": Row("- without the critic", "2D only", adversarial(critic=0.0)),
    "adversarial_no_loop": Row("- without self-consistency", "2D only", adversarial(picture=0.0, space=0.0)),
    "adversarial_no_face": Row("- without knees and face", "2D only", adversarial(face=0.0)),
    "repnet": Row("RepNet (Wandt 2019)", "2D, unpaired poses", repnet()),
    "repnet_no_chains": Row("- without kinematic chains", "2D, unpaired poses", repnet(chains=False)),
}
"""The rows by name, in the order of the table."""
