"""Training of networks that see pictures, all on the same synthetic people in the same order.

As the networks that lift joints (:mod:`meshrec.training.lifting`), they are trained with Adam and a learning rate that
falls along a cosine. Pictures are mirrored, shifted and changed in colour, which costs little beside a network.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from meshrec.body.joints import flip_permutation
from meshrec.body.kinematics import mirror_pose
from meshrec.training.lifting import falling_rate, shuffled, step
from meshrec.training.pictured import PicturedPeople

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class SeeingTraining:
    """How networks that see pictures are trained.

    Attributes:
        seed: seed of the order of people, of their changes, and of the networks' first weights.
        steps: number of steps of the optimizer.
        batch_size: number of people in a step.
        rate: largest learning rate.
        warmup: steps in which the rate rises to it.
        flip: probability of mirroring.
        shift: largest shift of the picture in x and in y, pixels.
        colour: each channel is multiplied by a number drawn uniformly from 1 - colour to 1 + colour.
        half: whether networks compute in bfloat16, which is faster on processors that have it; their weights and losses
            stay float32.
    """

    seed: int = 0
    steps: int = 1000
    batch_size: int = 32
    rate: float = 1e-3
    warmup: int = 50
    flip: float = 0.5
    shift: int = 3
    colour: float = 0.3
    half: bool = True

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size) < 1 or self.warmup < 0 or self.rate <= 0:
            raise ValueError("steps, batch_size and rate must be above 0, and warmup at least 0")
        if not (0 <= self.flip <= 1 and self.shift >= 0 and 0 <= self.colour < 1):
            raise ValueError("flip must be in [0, 1], shift at least 0 and colour in [0, 1)")


def train_to_see(
    make: Callable[[], Network],
    people: PicturedPeople,
    loss: Callable[[Network, PicturedPeople], Tensor],
    training: SeeingTraining,
    joints: str = "h36m17",
) -> tuple[Network, float]:
    """Train a network with pictures.

    Args:
        make: Makes the network; it is called after the seed is set.
        people: The people to learn from.
        loss: The loss () of the network for the people of a batch, float32.
        training: How to train.
        joints: Name of the people's joint set.

    Returns:
        The network in evaluation mode, and the processor time that it took, seconds.

    Raises:
        TrainingDiverged: The loss is not finite.
    """
    generator = torch.Generator().manual_seed(training.seed + 1)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(training.seed)
        network = make()
        optimizer = torch.optim.Adam(network.parameters(), lr=training.rate)
        schedule = falling_rate(optimizer, training)
        network.train()
        start = time.process_time()
        for batch in shuffled(people, training):
            changed = changed_at_random(batch, training, generator, joints)
            with torch.autocast("cpu", torch.bfloat16, enabled=training.half):
                value = loss(network, changed)
            step(optimizer, value)
            schedule.step()
    return network.eval(), time.process_time() - start


def changed_at_random(
    people: PicturedPeople, training: SeeingTraining, generator: torch.Generator, joints: str = "h36m17"
) -> PicturedPeople:
    """Mirror some people, shift all pictures by one number of pixels, and change each picture's colours.

    Args:
        people: N people.
        training: Probabilities and strengths.
        generator: The random generator.
        joints: Name of the people's joint set.
    """
    chosen = torch.rand(len(people), generator=generator) < training.flip
    people = mirrored(people, chosen, joints)
    if training.shift:
        right, down = torch.randint(-training.shift, training.shift + 1, (2,), generator=generator).tolist()
        people = shifted(people, right, down)
    if training.colour:
        gain = 1 + training.colour * (2 * torch.rand(len(people), 3, 1, 1, generator=generator) - 1)
        image = (people.image * gain).round_().clamp_(max=255).to(torch.uint8)
        people = replace(people, image=image)
    return people


def mirrored(people: PicturedPeople, chosen: Tensor, joints: str = "h36m17") -> PicturedPeople:
    """Mirror the chosen people and exchange left and right. Betas stay: bodies are taken as symmetric.

    Args:
        people: N people.
        chosen: (N,) bool.
        joints: Name of their joint set.
    """
    order = torch.from_numpy(flip_permutation(joints))
    turned = replace(
        people,
        image=people.image.flip(-1),
        places=people.places[:, order] * people.places.new_tensor([-1, 1]),
        joints=people.joints[:, order] * people.joints.new_tensor([-1, 1, 1]),
        root=people.root * people.root.new_tensor([-1, 1, 1]),
        pose=mirror_pose(people.pose),
    )
    return replace(
        people,
        **{
            name: torch.where(chosen.reshape(-1, *[1] * (values.dim() - 1)), getattr(turned, name), values)
            for name, values in vars(people).items()
        },
    )


def shifted(people: PicturedPeople, right: int, down: int) -> PicturedPeople:
    """Shift all pictures by whole pixels; what comes into them is black.

    The camera that sees such a picture is turned by a degree or two, which positions in space leave out: they stay,
    but for the root, which goes to where the picture shows it.

    Args:
        people: N people.
        right, down: Pixels.
    """
    size = people.image.shape[-1]
    image = torch.zeros_like(people.image)
    to_x, from_x = _overlap(right, size)
    to_y, from_y = _overlap(down, size)
    image[..., to_y, to_x] = people.image[..., from_y, from_x]
    move = people.places.new_tensor([right, down]) * (2 / size)
    root = people.root.clone()
    root[:, :2] += move * (root[:, 2:] / people.focal[:, None])
    return replace(people, image=image, places=people.places + move, root=root)


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Where pixels of an axis go to, and where they come from."""
    return slice(max(0, shift), size + min(0, shift)), slice(max(0, -shift), size + min(0, -shift))
