"""Methods that find 3D joints in pictures by volumes of scores, with and without objects pasted in training."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from meshrec.comparison.bench import GROUPS, SEEN_AT_ONCE, Bench, Made, Row, Tables, kept_training
from meshrec.metrics import pa_mpjpe
from meshrec.models.volumetric import Volumetric
from meshrec.training.occluded import with_occluders
from meshrec.training.pictured import PicturedPeople
from meshrec.training.seeing import train_to_see

DEPTHS_TITLE = "PA-MPJPE by cells in depth, usual / hard"
OBJECTS_TITLE = "PA-MPJPE with objects pasted into the pictures, usual / hard"
BY_CELL = {"integral": False, "soft": False}
OCCLUDED_SEED = 1  # of the objects in front of the people to measure on; those in training have seed 0


def volumetric(label: str, occluders: bool = False, **changes: Any) -> Callable[[Bench, str], Made]:
    """A volumetric network with some settings changed. Its weights are kept as NAME.safetensors.

    Args:
        label: What the table of objects calls it; the table leaves out what has none.
        occluders: Whether objects are pasted into half of the pictures to learn from.
        changes: Settings of :class:`meshrec.models.volumetric.VolumetricConfig`.
    """

    def train(bench: Bench, name: str) -> Made:
        config = replace(bench.config.volumetric, **changes)
        settings: dict[str, Any] = {"pictures": asdict(bench.config.pictures), "seeing": asdict(bench.config.seeing)}
        settings |= {"network": asdict(config), "occluders": occluders}

        def learn() -> tuple[Volumetric, float]:
            people = with_occluders(bench.pictures) if occluders else bench.pictures
            return train_to_see(lambda: Volumetric(config), people, loss_of, bench.config.seeing)

        file = bench.out / f"{name}.safetensors"
        network, seconds = kept_training(file, Volumetric(config), settings, learn)
        made = bench.seen(network.points, network.count_weights(), seconds)
        more: Tables = {} if len(config.depths) > 1 or occluders else by_reading(network, bench)
        if label:
            more |= {OBJECTS_TITLE: {label: among_objects(network, bench)}}
        return replace(made, more=more)

    return train


def loss_of(network: Volumetric, people: PicturedPeople) -> Tensor:
    """The loss () of a network for people in pictures."""
    return network.loss(people.image, people.places, people.joints, people.root, people.focal)


def by_reading(network: Volumetric, bench: Bench) -> Tables:
    """The errors of joints that are read by the highest cell and by the mean."""
    people, config = bench.pictured, network.config
    trained = "the mean" if config.integral else "target volumes"
    lines = {}
    for soft in (False, True):
        points = _points(network, people.image, soft)
        label = f"trained by {trained}, read by {'the mean' if soft else 'the highest cell'}"
        lines[label] = {str(config.depths[-1]): _errors(points, bench)}
    return {DEPTHS_TITLE: lines}


def among_objects(network: Volumetric, bench: Bench) -> dict[str, str]:
    """The errors in the pictures as they are, and with objects pasted into all of them."""
    people = bench.pictured
    hidden = with_occluders(people, share=1.0, seed=OCCLUDED_SEED)
    return {
        head: _errors(_points(network, part.image, network.config.soft), bench)
        for head, part in (("as they are", people), ("with objects", hidden))
    }


@torch.inference_mode()
def _points(network: Volumetric, image: Tensor, soft: bool) -> Tensor:
    return torch.cat([network.points(part, soft) for part in image.split(SEEN_AT_ONCE)])


def _errors(points: Tensor, bench: Bench) -> str:
    rows = [bench.groups[group] for group in GROUPS]
    return " / ".join(f"{float(pa_mpjpe(points[row], bench.pictured.joints[row])):.1f}" for row in rows)


def _by_cell(depth: int) -> Callable[[Bench, str], Made]:
    return volumetric("", depths=(depth,), **BY_CELL)


def _by_mean(depth: int) -> Callable[[Bench, str], Made]:
    return volumetric("", depths=(depth,))


VOLUMETRIC_ROWS = {
    "volumes_8": Row("volumetric heatmaps, 8 cells in depth (Pavlakos 2017)", "3D", _by_cell(8)),
    "volumes": Row("- 16 cells in depth", "3D", _by_cell(16)),
    "volumes_32": Row("- 32 cells in depth", "3D", _by_cell(32)),
    "volumes_stacked": Row("- two stacks of 16 cells", "3D", volumetric("", depths=(16, 16), **BY_CELL)),
    "volumes_coarse": Row(
        "- coarse to fine: stacks of 4 and 16 cells", "3D", volumetric("", depths=(4, 16), **BY_CELL)
    ),
    "integral_8": Row("soft-argmax, 8 cells in depth (Sun 2018)", "3D", _by_mean(8)),
    "integral": Row("- 16 cells in depth", "3D", volumetric("trained without objects", depths=(16,))),
    "integral_32": Row("- 32 cells in depth", "3D", _by_mean(32)),
    "integral_occluders": Row(
        "- 16 cells, objects pasted in training (Sárándi 2018)",
        "3D",
        volumetric("objects pasted into half of the pictures", occluders=True, depths=(16,)),
    ),
}
