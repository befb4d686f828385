"""Methods that find 2D joints in pictures in several stages, and how many joints are right after each stage.

Their 2D joints become 3D joints by a lifting baseline, which learns from the joints that the network finds in the
pictures to learn from, so that it knows the network's errors.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from meshrec.comparison.bench import GROUPS, JOINTS, SEEN_AT_ONCE, Bench, Made, Row, Tables, kept_training
from meshrec.metrics import pck2d, torso_size
from meshrec.models.cascade import Cascade
from meshrec.models.compositional import Compositional
from meshrec.models.hourglass import HourglassConfig, StackedHourglass
from meshrec.models.lifting_baseline import LiftingBaseline
from meshrec.training.lifting import LiftedPeople, train_lifter
from meshrec.training.lifting_config import LiftingConfig
from meshrec.training.pictured import PicturedPeople
from meshrec.training.seeing import train_to_see

TITLE = "PCK@0.2 of the torso after each stage, usual / hard, %"
STAGES = 5  # columns of that table


class Staged(Protocol):
    """A network that finds 2D joints in pictures in several stages."""

    config: Any

    def loss(self, image: Tensor, places: Tensor) -> Tensor:
        """The loss () for pictures (B, 3, S, S) whose joints are at places (B, K, 2)."""
        ...

    def stages(self, image: Tensor) -> list[Tensor]:
        """For each stage (B, K, 3): x and y in the crop, and confidence."""
        ...


def staged(label: str, make: Callable[[LiftingConfig], Any]) -> Callable[[Bench, str], Made]:
    """A network that finds 2D joints in stages.

    Its weights are kept as NAME.safetensors, those of its lifter as NAME_lifter.safetensors, and not trained again.

    Args:
        label: What the table of stages calls it.
        make: Makes the network, which is a :class:`Staged`.
    """

    def train(bench: Bench, name: str) -> Made:
        config, network = bench.config, make(bench.config)
        seen = {"pictures": asdict(config.pictures), "seeing": asdict(config.seeing), "network": asdict(network.config)}
        network, seconds = kept_training(
            bench.out / f"{name}.safetensors", network, seen,
            lambda: train_to_see(lambda: make(config), bench.pictures, loss_of, config.seeing),
        )  # fmt: skip
        return lifted_stages(label, network, seconds, seen, bench, name)

    return train


def lifted_stages(label: str, network: Any, seconds: float, settings: dict[str, Any], bench: Bench, name: str) -> Made:
    """A trained network that finds 2D joints, measured with a lifter, which is kept as NAME_lifter.safetensors.

    Args:
        label: What the table of stages calls it.
        network: A :class:`Staged` in evaluation mode.
        seconds: Processor time of its training.
        settings: All settings of network and training.
        bench: What rows share.
        name: The row's name.
    """
    config = bench.config
    training = replace(config.training, steps=config.pictures.lifter_steps)
    baseline = replace(config.baseline, dropout=0.0)  # the better of its two rows
    lifter, more = kept_training(
        bench.out / f"{name}_lifter.safetensors", LiftingBaseline(baseline),
        settings | {"training": asdict(training), "lifter": asdict(baseline)},
        lambda: train_lifter(lambda: LiftingBaseline(baseline), found_joints(network, bench.pictures), training),
    )  # fmt: skip
    weights = sum(weight.numel() for both in (network, lifter) for weight in both.parameters())
    made = bench.seen(lambda image: lifter(network.stages(image)[-1]), weights, seconds + more)
    made.more.update(after_each_stage(label, network, bench))
    return made


def loss_of(network: Any, people: PicturedPeople) -> Tensor:
    """The loss of a :class:`Staged` network."""
    return network.loss(people.image, people.places)


@torch.no_grad()
def found_joints(network: Any, people: PicturedPeople) -> LiftedPeople:
    """People as the last stage of a network sees them, and their joints in space."""
    seen = torch.cat([network.stages(part)[-1] for part in people.image.split(SEEN_AT_ONCE)])
    return LiftedPeople(seen, people.joints, people.focal)


@torch.no_grad()
def after_each_stage(label: str, network: Any, bench: Bench) -> Tables:
    """The share of joints that are right after each stage, of those that lie in the picture."""
    people = bench.pictured
    cells = dict.fromkeys(map(str, range(1, STAGES + 1)), "-")
    parts = [network.stages(part) for part in people.image.split(SEEN_AT_ONCE)]
    size, inside = torso_size(people.places, JOINTS), (people.places.abs() <= 1).all(-1).float()
    for stage, found in enumerate(map(torch.cat, zip(*parts)), 1):
        shares = []
        for group in GROUPS:
            rows = bench.groups[group]
            shares.append(float(pck2d(found[rows, :, :2], people.places[rows], size[rows], inside[rows])))
        cells[str(stage)] = " / ".join(f"{100 * share:.1f}" for share in shares)
    return {TITLE: {label: cells}}


def hourglass(label: str, **changes: Any) -> Callable[[Bench, str], Made]:
    """Stacked hourglasses with some settings changed."""
    return staged(label, lambda config: StackedHourglass(replace(config.hourglass, **changes)))


def equal_stacks(config: LiftingConfig) -> StackedHourglass:
    """Hourglasses of the compositional network's size, all of whose maps are joints: as many weights to 0.2 %."""
    like = config.compositional
    return StackedHourglass(HourglassConfig(JOINTS, like.channels, like.halvings, STAGES, like.deviation))


def _row(label: str, make: Callable[[str], Callable[[Bench, str], Made]], short: str | None = None) -> Row:
    return Row(label, "2D, 3D", make(short or label))


HEATMAP_ROWS = {
    "cascade": _row(
        "cascade of regressors (Toshev 2014), then the lifting baseline",
        lambda label: staged(label, lambda config: Cascade(config.cascade)),
        "cascade of regressors (Toshev 2014)",
    ),
    "hourglass": _row(
        "stacked hourglass (Newell 2016), then the lifting baseline", hourglass, "stacked hourglass (Newell 2016)"
    ),
    "hourglass_last": _row(
        "- without intermediate supervision",
        lambda label: hourglass(label, intermediate=False),
    ),
    "compositional": _row(
        "compositional limbs (Tang 2018), then the lifting baseline",
        lambda label: staged(label, lambda config: Compositional(config.compositional)),
        "compositional limbs (Tang 2018): joints on the way up, and on the way down",
    ),
    "compositional_plain": _row(
        "- five stacks of joints alone, as many weights", lambda label: staged(label, equal_stacks)
    ),
}
