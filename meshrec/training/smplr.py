"""Training of :class:`meshrec.models.smplr.PointsToBody` from motion capture alone, and labels of its points."""

import time
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from meshrec.body import NUM_BETAS, BodyModel
from meshrec.data.streams import BatchStream
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.smplr import PointsToBody, SmplrConfig
from meshrec.models.volumetric import Volumetric
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.random_cameras import draw_orientations
from meshrec.synthetic.random_poses import draw_poses
from meshrec.synthetic.random_shapes import draw_shapes
from meshrec.training.lifting import POSES, LiftingTraining, falling_rate, step
from meshrec.training.losses import absolute, betas_loss, rotation_loss
from meshrec.training.pictured import PicturedPeople

POINTS_WEIGHT = 10.0  # of absolute differences in metres, beside squared differences of rotation matrices
BETAS_WEIGHT = 0.1


def posed_people(
    body: BodyModel, count: int, seed: int = 0, split: Literal["train", "held_out"] = "train"
) -> tuple[Tensor, Tensor]:
    """Draw poses and shapes of synthetic people, without cameras' pictures or a detector.

    Args:
        body: Their body.
        count: Number of people.
        seed: Seed of the people.
        split: The poses to draw from.

    Returns:
        Rotations (N, 24, 3, 3), the first from body space to the camera's, and betas (N, S).
    """
    source = SyntheticPeople(body, seed, split, poses=POSES)

    def stream(purpose: str) -> BatchStream:
        return BatchStream(count, (seed, 0, 0), purpose)

    pose, _ = draw_poses(stream("pose"), source.pose_sources, source.poses)
    pose[:, 0] = draw_orientations(stream("view"), source.views) @ pose[:, 0]
    betas, _ = draw_shapes(stream("shape"), source.heaviness, source.shapes)
    return pose, betas


def train_points_to_body(
    body: BodyModel, config: SmplrConfig, people: tuple[Tensor, Tensor], training: LiftingTraining
) -> tuple[PointsToBody, float]:
    """Train the network from points to a body, with noise on the points.

    Args:
        body: The body.
        config: Settings of the network.
        people: Rotations (N, 24, 3, 3) and betas (N, S) to learn from.
        training: How to train; its number of people does not count.

    Returns:
        The network in evaluation mode, and the processor time that it took, seconds.

    Raises:
        TrainingDiverged: The loss is not finite.
    """
    pose, betas = people[0], people[1][:, :NUM_BETAS]
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(training.seed)
        network = PointsToBody(body, config)
        exact = network.points(pose, betas)
        network.standardise(with_noise(exact, config.noise))
        optimizer = torch.optim.Adam(network.parameters(), lr=training.rate)
        schedule = falling_rate(optimizer, training)
        start = time.process_time()
        for _ in range(training.steps):
            rows = torch.randint(len(pose), (training.batch_size,))
            rotations, shape = network(with_noise(exact[rows], config.noise))
            off = network.points(rotations, shape) - exact[rows]
            loss = rotation_loss(rotations, pose[rows], None) + BETAS_WEIGHT * betas_loss(shape, betas[rows], None)
            loss = loss + POINTS_WEIGHT * absolute(off).mean()
            step(optimizer, loss)
            schedule.step()
    return network.eval(), time.process_time() - start


def with_noise(points: Tensor, largest: float) -> Tensor:
    """Points (N, P, 3) with Gaussian noise, whose standard deviation is drawn uniformly for each of the N people."""
    return points + largest * torch.rand(len(points), 1, 1) * torch.randn_like(points)


def points_of(people: PicturedPeople, network: PointsToBody, hips: TorchLandmarks) -> tuple[Tensor, Tensor, Tensor]:
    """The points of people in pictures, as labels of a :class:`meshrec.models.volumetric.Volumetric`.

    They follow from pose and shape, so that mirrored pictures have the landmarks of the mirrored people.

    Args:
        people: N people.
        network: The network whose points are wanted.
        hips: The landmarks of the people's root joint, one (N, 1, 3) for rotations and betas.

    Returns:
        Places (N, P, 2) in the crop, whose edges are -1 and 1; positions (N, P, 3) relative to the first, metres; and
        the position (N, 3) of the first, metres.
    """
    betas = people.betas[:, :NUM_BETAS]
    points = network.points(people.pose, betas) + (people.root[:, None] - hips(people.pose, betas))
    places = people.focal[:, None, None] * points[..., :2] / points[..., 2:]
    return places, points - points[:, :1], points[:, 0]


def points_loss(hips: TorchLandmarks, points: PointsToBody) -> Callable[[Volumetric, PicturedPeople], Tensor]:
    """The loss of a volumetric network that finds a body's points in pictures."""

    def loss(network: Volumetric, people: PicturedPeople) -> Tensor:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            places, positions, root = points_of(people, points, hips)
        return network.loss(people.image, places, positions, root, people.focal)

    return loss
