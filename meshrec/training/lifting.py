"""Training of methods that lift 2D joints to 3D joints, all on the same synthetic people.

People are made once, and every method sees them in the same order. A network is trained with the squared error of its
standardised joints, with Adam (Kingma and Ba 2015) and a learning rate that falls along a cosine (Loshchilov and
Hutter 2017).
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_set
from meshrec.body.joints import flip_permutation, root_indices
from meshrec.data.sample import Batch
from meshrec.errors import TrainingDiverged
from meshrec.fit.pose_dictionary import learn_dictionary
from meshrec.fit.sparse_pose import SparseLifter, SparsePoseConfig
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.locally_connected import BONES
from meshrec.models.standardised import Standardised
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.synthetic.detector_noise import DetectorNoise
from meshrec.synthetic.keypoint_batches import SyntheticKeypoints
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.random_poses import PoseMix

MADE_AT_ONCE = 4096  # people; a fixed number, since a batch of synthetic people is a function of its size too
Network = TypeVar("Network", bound=Standardised)

POSES = PoseMix(everyday=0.35, upright=0.12)  # those of the shipped networks, configs/iterative_keypoints.yaml


class Schedule(Protocol):
    """What the order of people and the learning rate depend on, as :class:`LiftingTraining` has it."""

    @property
    def seed(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def warmup(self) -> int: ...


@dataclass(frozen=True)
class LiftingTraining:
    """How all methods are trained.

    Attributes:
        people: number of synthetic people.
        seed: seed of the people, of the order in which they are seen, and of the networks' first weights.
        steps: number of steps of a network's optimizer.
        batch_size: number of people in a step.
        rate: largest learning rate.
        warmup: steps in which the rate rises to it.
    """

    people: int = 65536
    seed: int = 0
    steps: int = 2000
    batch_size: int = 256
    rate: float = 1e-3
    warmup: int = 100

    def __post_init__(self) -> None:
        if min(self.people, self.steps, self.batch_size) < 1 or self.warmup < 0 or self.rate <= 0:
            raise ValueError("people, steps, batch_size and rate must be above 0, and warmup at least 0")


@dataclass(frozen=True, eq=False)
class LiftedPeople:
    """N people whose joints are seen by a detector and known in space.

    Attributes:
        keypoints: (N, S, 3) x and y in the crop, whose edges are -1 and 1, and confidence; x and y of missing joints
            are zero.
        joints: (N, K, 3) positions relative to the root, in the space of the camera that looks at the crop's centre,
            metres.
        focal: (N,) focal lengths, in half crop sides.
    """

    keypoints: Tensor
    joints: Tensor
    focal: Tensor

    def __len__(self) -> int:
        return len(self.joints)


def people_to_lift(
    body: BodyModel,
    count: int,
    seed: int = 0,
    joints: str = "h36m17",
    noise: DetectorNoise | None = None,
    split: Literal["train", "held_out"] = "train",
    detected: str | None = None,
) -> LiftedPeople:
    """Make synthetic people.

    Args:
        body: Their body.
        count: Number of people.
        seed: Seed of the people.
        joints: Name of the joint set that is lifted.
        noise: Errors of the detector; by default those measured on MediaPipe.
        split: The poses to draw from.
        detected: Name of the joint set that is detected. Default: the one that is lifted.

    Example:
        >>> import meshrec
        >>> from meshrec.training.lifting import people_to_lift
        >>> people_to_lift(meshrec.load_body("neutral"), 4).joints.shape
        torch.Size([4, 17, 3])
    """
    source = SyntheticKeypoints(SyntheticPeople(body, seed, split, poses=POSES), detected or joints, noise)
    parts = []
    for number in range(math.ceil(count / MADE_AT_ONCE)):
        batch, seen = source.batch(MADE_AT_ONCE, number)
        parts.append((without_missing(seen.keypoints), relative_joints(batch, joints), batch.focal[:, 0]))
    return LiftedPeople(*(torch.cat(values)[:count] for values in zip(*parts)))


def relative_joints(batch: Batch, joints: str) -> Tensor:
    """The joints (B, K, 3) of a set in a batch of synthetic people, relative to the root, metres."""
    names = joint_set(batch.joint_set)
    points = batch.joints_3d[:, [names.index(name) for name in joint_set(joints)], :3]
    return points - points[:, root_indices(joints)].mean(1, keepdim=True)


def without_missing(keypoints: Tensor) -> Tensor:
    """Keypoints (..., K, 3) with x and y of zero where the confidence is zero."""
    return keypoints * (keypoints[..., 2:] > 0)


# Any: people of some kind, a dataclass of tensors whose first axis counts them.
People = TypeVar("People", bound=Any)


def shuffled(people: People, training: Schedule) -> Iterator[People]:
    """The batches of a training, in an order that depends on its seed alone.

    Args:
        people: A dataclass of tensors whose first axis counts people.
        training: Seed, number of steps and batch size.
    """
    generator = torch.Generator().manual_seed(training.seed)
    order, first = torch.randperm(len(people), generator=generator), 0
    for _ in range(training.steps):
        if first + training.batch_size > len(order) and first > 0:
            order, first = torch.randperm(len(people), generator=generator), 0
        rows = order[first : first + training.batch_size]
        first += training.batch_size
        yield replace(people, **{name: values[rows] for name, values in vars(people).items()})


def learn_sparse_lifter(
    body: BodyModel, config: SparsePoseConfig, seed: int = 0, every: int = 8
) -> tuple[SparseLifter, float]:
    """Learn the dictionary of a :class:`meshrec.fit.sparse_pose.SparseLifter` from the pose bank's takes for training.

    Its poses are those of the mean body, which faces the way of its rest pose; mirrored poses count too.

    Args:
        body: The body.
        config: Constants of the method.
        seed: Seed of the poses to start with.
        every: Stride over the poses.

    Returns:
        The lifter for ``h36m17``, and the processor time that it took, seconds.
    """
    start = time.process_time()
    rotations = load_pose_bank("train").rotations(slice(None, None, every)).clone()
    rotations[:, 0] = torch.eye(3)
    names, landmarks = joint_set("h36m17"), TorchLandmarks(LandmarkMoments.of_body(body, "h36m17"))
    points = landmarks(rotations, torch.zeros(len(rotations), body.num_betas))
    points = points - points[:, root_indices("h36m17")].mean(1, keepdim=True)
    mirrored = points[:, torch.from_numpy(flip_permutation("h36m17"))] * torch.tensor([-1.0, 1, 1])
    poses = torch.cat([points, mirrored]).mT.flatten(1)
    generator = torch.Generator().manual_seed(seed)
    atoms, _ = learn_dictionary(poses, config.atoms, config.code_penalty, generator)
    bones = torch.tensor([[names.index(name) for name in bone] for bone in BONES])
    length = float((points[:, bones[:, 0]] - points[:, bones[:, 1]]).norm(dim=-1).sum(1).mean())
    lifter = SparseLifter(atoms.unflatten(1, (3, -1)), bones, length, config)
    return lifter, time.process_time() - start


def train_lifter(make: Callable[[], Network], people: LiftedPeople, training: LiftingTraining) -> tuple[Network, float]:
    """Train a network with 3D labels.

    Args:
        make: Makes the network; it is called after the seed is set.
        people: The people to learn from.
        training: How to train.

    Returns:
        The network in evaluation mode, and the processor time that it took, seconds.

    Raises:
        TrainingDiverged: The loss is not finite.
    """
    return train_network(make, people, training, lambda network, batch: network.loss(batch.keypoints, batch.joints))


def train_network(
    make: Callable[[], Network],
    people: People,
    training: LiftingTraining,
    loss_of: Callable[[Network, People], Tensor],
) -> tuple[Network, float]:
    """Train a network with a loss of its own.

    Args:
        make, people, training: As for :func:`train_lifter`.
        loss_of: The loss of a batch of people.

    Returns, Raises:
        As :func:`train_lifter`.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(training.seed)
        network = make()
        network.standardise(people.keypoints, people.joints)
        optimizer = torch.optim.Adam(network.parameters(), lr=training.rate)
        schedule = falling_rate(optimizer, training)
        network.train()
        start = time.process_time()
        for batch in shuffled(people, training):
            loss = loss_of(network, batch)
            step(optimizer, loss)
            schedule.step()
            network.after_step()
    return network.eval(), time.process_time() - start


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of an optimizer.

    Raises:
        TrainingDiverged: The loss is not finite.
    """
    if not loss.isfinite():
        raise TrainingDiverged("a loss is not finite; try a lower rate")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def falling_rate(
    optimizer: torch.optim.Optimizer, training: Schedule, first: int = 0
) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate of an optimizer whose first step is step ``first`` of the training."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(first + step, training))


def rate_at(step: int, training: Schedule) -> float:
    """The share of the largest learning rate in a step: a linear rise, then half a cosine."""
    if step < training.warmup:
        return (step + 1) / training.warmup
    past = (step - training.warmup) / max(1, training.steps - training.warmup)
    return (1 + math.cos(math.pi * min(past, 1.0))) / 2
