"""Networks that find 2D joints in pictures and whose operators are searched, beside those that are not."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from meshrec.comparison.bench import Bench, Made, Row, Tables, kept_training
from meshrec.comparison.heatmap_rows import lifted_stages
from meshrec.models.part_search import (
    BACKBONE,
    CELL,
    OPERATORS,
    PARTS,
    PartNetwork,
    PartSearchConfig,
    random_operators,
    total_multiplications,
)
from meshrec.training.part_search import search_operators
from meshrec.training.pictured import PicturedPeople
from meshrec.training.seeing import train_to_see

TITLE = "operators as kernel x expansion, - for none"
SMALLER = 2  # times fewer channels of the networks that are distilled
Choose = Callable[[Bench], tuple[PartSearchConfig, float]]


def searched(bench: Bench, by_part: bool = True) -> tuple[PartSearchConfig, float]:
    """The network that a search finds, and its processor time, seconds.

    The network of all operators is kept as search.safetensors, or as search_one_cell.safetensors.

    Args:
        bench: What rows share.
        by_part: Whether each part of the body is searched by itself.
    """
    config = bench.config
    settings = {"pictures": asdict(config.pictures), "seeing": asdict(config.seeing), "search": asdict(config.search)}
    settings["network"] = asdict(config.part_search)
    network, seconds = kept_training(
        bench.out / f"search{'' if by_part else '_one_cell'}.safetensors",
        PartNetwork(config.part_search, search=True, by_part=by_part),
        settings,
        lambda: search_operators(config.part_search, bench.pictures, config.seeing, config.search, by_part),
    )
    return replace(config.part_search, operators=network.likeliest()), seconds


def drawn(bench: Bench) -> tuple[PartSearchConfig, float]:
    """Operators drawn at random, with about as many multiplications as the searched network; no search is counted."""
    config, _ = searched(bench)
    generator = torch.Generator().manual_seed(bench.config.seeing.seed)
    return replace(config, operators=random_operators(config, generator)), 0.0


def part_network(
    label: str, choose: Choose, smaller: bool = False, distilled: bool = False
) -> Callable[[Bench, str], Made]:
    """A network of some operators, trained from its first weights. They are kept as NAME.safetensors.

    Args:
        label: What the tables call it.
        choose: Gives the network and the processor time that it took to find its operators, seconds.
        smaller: Whether it has fewer channels.
        distilled: Whether it learns from the searched network's maps too, whose training is counted.
    """

    def train(bench: Bench, name: str) -> Made:
        config, before = choose(bench)
        config = replace(config, channels=config.channels // SMALLER) if smaller else config
        teacher = None
        if distilled:
            teacher, more = trained(bench, "searched", searched(bench)[0])
            before += more
        network, seconds = trained(bench, name, config, teacher)
        settings = _settings(bench, config) | {"distilled": distilled}
        made = lifted_stages(label, network, before + seconds, settings, bench, name)
        made.more.update(operators_of(label, config))
        return made

    return train


def trained(
    bench: Bench, name: str, config: PartSearchConfig, teacher: PartNetwork | None = None
) -> tuple[PartNetwork, float]:
    """A network of some operators, and the processor time of its training, seconds. It is kept as NAME.safetensors."""

    def loss(network: PartNetwork, people: PicturedPeople) -> Tensor:
        if teacher is None:
            return network.loss(people.image, people.places)
        return network.distilled_loss(people.image, people.places, teacher)

    return kept_training(
        bench.out / f"{name}.safetensors",
        PartNetwork(config),
        _settings(bench, config) | {"distilled": teacher is not None},
        lambda: train_to_see(lambda: PartNetwork(config), bench.pictures, loss, bench.config.seeing),
    )


def operators_of(label: str, config: PartSearchConfig) -> Tables:
    """The operators of a network and its multiplications."""
    names = ["-" if not kernel else f"{kernel}x{expansion}" for kernel, expansion in OPERATORS]
    rows = [names[row] for row in config.operators]
    cells = {"all parts": " ".join(rows[: len(BACKBONE)])}
    for number, part in enumerate(PARTS):
        first = len(BACKBONE) + CELL * number
        cells[part] = " ".join(rows[first : first + CELL])
    return {TITLE: {label: cells | {"multiplications, M": f"{total_multiplications(config) / 1e6:.1f}"}}}


def _settings(bench: Bench, config: PartSearchConfig) -> dict[str, Any]:
    settings = {"pictures": asdict(bench.config.pictures), "seeing": asdict(bench.config.seeing)}
    return settings | {"network": asdict(config)}


def _row(label: str, choose: Choose, short: str = "", **changes: bool) -> Row:
    return Row(label, "2D, 3D", part_network(short or label, choose, **changes))


SEARCH_ROWS = {
    "searched": _row(
        "operators searched for each part (Chen 2020, Zhang 2021), then the lifting baseline",
        searched,
        "operators searched for each part (Chen 2020, Zhang 2021)",
    ),
    "searched_one_cell": _row("- searched for all parts together", lambda bench: searched(bench, by_part=False)),
    "searched_random": _row("- drawn at random, as many multiplications", drawn),
    "searched_largest": _row("- all the largest", lambda bench: (replace(bench.config.part_search, operators=()), 0.0)),
    "searched_half": _row("- searched, half the channels", searched, smaller=True),
    "searched_distilled": _row("- searched, half the channels, distilled", searched, smaller=True, distilled=True),
}
"""The rows by name, in the order of the table."""
