"""The search of :mod:`meshrec.models.part_search`: weights and logits learn in turn, from two halves of the people.

In the turn of the logits all operators are computed. When only the drawn ones were, and the logits began to learn after
300 steps, nearly every layer ended as nothing at all, since an operator that is not drawn then has no gradient.
"""

import time
from dataclasses import dataclass, replace

import torch

from meshrec.models.part_search import PartNetwork, PartSearchConfig
from meshrec.training.lifting import falling_rate, shuffled, step
from meshrec.training.pictured import PicturedPeople
from meshrec.training.seeing import SeeingTraining, changed_at_random


@dataclass(frozen=True)
class SearchTraining:
    """How a network is searched.

    Attributes:
        price: weight of the expected multiplications, as a share of the largest network's.
        rate: learning rate of the logits.
        first: steps of the weights before the logits learn.
        every: steps of the weights for each step of the logits.
    """

    price: float = 1e-4
    rate: float = 0.03
    first: int = 750
    every: int = 2

    def __post_init__(self) -> None:
        if min(self.price, self.first) < 0 or self.rate <= 0 or self.every < 1:
            raise ValueError("price and first must be at least 0, rate above 0 and every at least 1")


def search_operators(
    config: PartSearchConfig,
    people: PicturedPeople,
    training: SeeingTraining,
    search: SearchTraining,
    by_part: bool = True,
) -> tuple[PartNetwork, float]:
    """Search a network's operators.

    Args:
        config: The network; its operators are not used.
        people: The people to learn from; the first half is for the weights, the second for the logits.
        training: How weights are trained.
        search: How logits are trained.
        by_part: Whether each part of the body is searched by itself.

    Returns:
        The network of all operators, which knows the likeliest ones, and the processor time of the search, seconds.

    Raises:
        TrainingDiverged: The loss is not finite.
    """
    half = len(people) // 2
    halves = [
        replace(people, **{name: values[rows] for name, values in vars(people).items()})
        for rows in (slice(None, half), slice(half, None))
    ]
    generator = torch.Generator().manual_seed(training.seed + 1)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(training.seed)
        network = PartNetwork(config, search=True, by_part=by_part)
        logits = list(network.logits.parameters())
        known = set(map(id, logits))
        weights = [weight for weight in network.parameters() if id(weight) not in known]
        of_weights = torch.optim.Adam(weights, lr=training.rate)
        of_logits = torch.optim.Adam(logits, lr=search.rate)
        schedule = falling_rate(of_weights, training)
        network.train()
        start = time.process_time()
        for number, (batch, other) in enumerate(zip(*(shuffled(part, training) for part in halves))):
            turns = [(batch, of_weights)]
            if number >= search.first and number % search.every == 0:
                turns.append((other, of_logits))
            for people_of_turn, optimizer in turns:
                network.compare(optimizer is of_logits)
                changed = changed_at_random(people_of_turn, training, generator)
                with torch.autocast("cpu", torch.bfloat16, enabled=training.half):
                    loss = network.loss(changed.image, changed.places)
                step(optimizer, loss if optimizer is of_weights else loss + search.price * network.price())
            schedule.step()
    return network.eval(), time.process_time() - start
