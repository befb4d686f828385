"""Training of the network that finds landmarks in depth maps, on maps of synthetic people that are made on the way.

Maps take longer to make than to learn from, so that each is used several times: kept in a pool, and turned, shifted and
mirrored anew each time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from meshrec.body import BodyModel
from meshrec.body.joints import flip_permutation, joint_set
from meshrec.detect.depth_people import DepthCandidate, find_candidates
from meshrec.errors import InputError, TrainingDiverged
from meshrec.files.atomic import replacing
from meshrec.models.voxel_to_voxel import VoxelConfig, VoxelToVoxel, means_of, save_voxel_network
from meshrec.regress.voxel_cubes import Cube, belongs, cube_points, fill_voxels
from meshrec.synthetic.depth_maps import DepthMap, RoomMix, SyntheticDepthMaps
from meshrec.synthetic.random_poses import PoseMix
from meshrec.training.lifting import rate_at

WEIGHTS, STATE = "last.safetensors", "last.ckpt"
SIDEWAYS = 0.35  # cosine of the angle between facing and line of sight below which people are seen from the side
MARGIN = 0.4  # metres by which points are kept beyond the cube's sides, since cubes are shifted at random


@dataclass(frozen=True)
class DepthTraining:
    """How the network is trained.

    Attributes:
        seed: Seed of the maps, of the order in which they are seen, and of the network's first weights.
        steps: Number of steps.
        batch_size: Maps in a step.
        fresh: New maps in a step; the others are from the pool.
        pool: Most maps that are kept.
        size: Width and height of the maps, pixels.
        rate: Largest learning rate; it rises in the first steps and falls along a cosine.
        warmup: Steps in which the rate rises.
        weight_decay: Of AdamW (Loshchilov & Hutter 2019).
        average: Factor of the running average of the weights, which is the result.
        distance_weight: Weight of the distances of the means, 1 / metres, beside the cross-entropy of the heatmaps.
        bf16: Whether convolutions are computed in bfloat16.
        every: A checkpoint and a validation after so many steps.
        held_out: Held-out maps of a validation.
    """

    seed: int = 0
    steps: int = 2000
    batch_size: int = 16
    fresh: int = 8
    pool: int = 1500
    size: tuple[int, int] = (240, 180)
    rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 1e-2
    average: float = 0.995
    distance_weight: float = 10.0
    bf16: bool = True
    every: int = 100
    held_out: int = 64

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.fresh, self.pool, self.every) < 1 or self.rate <= 0:
            raise InputError("steps, batch_size, fresh, pool, every and rate must be above 0")


@dataclass(frozen=True)
class DepthConfig:
    """Settings of the network, its training and its people, as ``configs/depth.yaml`` holds them."""

    network: VoxelConfig = field(default_factory=VoxelConfig)
    training: DepthTraining = field(default_factory=DepthTraining)
    rooms: RoomMix = field(default_factory=RoomMix)
    poses: PoseMix = field(default_factory=PoseMix)


@dataclass(frozen=True, eq=False)
class CubeSample:
    """A person's surroundings and landmarks, about the centre of a cube and in its axes.

    Attributes:
        points: (N, 3) metres.
        own: (N,) bool, the points that were found to be the person's.
        full: Number of points of a voxel whose face looks at the camera.
        landmarks: (K, 3) metres.
    """

    points: np.ndarray
    own: np.ndarray
    full: float
    landmarks: np.ndarray


def person_candidate(seen: DepthMap, candidates: Sequence[DepthCandidate]) -> DepthCandidate | None:
    """The candidate with the largest area of the person in a synthetic map; None where the person is not among them."""
    best, most = None, 0.02
    height, width = seen.person.shape
    for candidate in candidates:
        pixels = seen.camera.project(torch.from_numpy(candidate.points))[:, :2].round().long().numpy()
        columns, rows = pixels.clip(0, (width - 1, height - 1)).T
        area = float(seen.person[rows, columns].mean()) * candidate.area
        if area > most:
            best, most = candidate, area
    return best


def cube_sample(body: BodyModel, seen: DepthMap, config: VoxelConfig) -> CubeSample | None:
    """The surroundings of the person in a synthetic map; None where the person is not found."""
    candidate = person_candidate(seen, find_candidates(seen.depth, seen.camera).candidates)
    if candidate is None:
        return None
    cube = Cube.around(candidate.points, config.side + MARGIN, config.voxels)
    points, full = cube_points(seen.depth, seen.camera, cube)
    own = belongs(points, cube.to_cube(candidate.points), cube.side)
    landmarks = cube.to_cube(body.joints_from(seen.vertices[None], config.landmarks)[0].numpy())
    # A voxel of the smaller cube has fewer points.
    return CubeSample(points.astype(np.float16), own, full * (config.side / cube.side) ** 2, landmarks)


def varied(sample: CubeSample, config: VoxelConfig, generator: np.random.Generator) -> CubeSample:
    """A sample shifted, turned a little and perhaps mirrored."""
    points, landmarks = sample.points.astype(np.float32), sample.landmarks
    if generator.random() < 0.5:  # as after a first estimate
        center = (landmarks.min(0) + landmarks.max(0)) / 2 + generator.normal(0, 0.04, 3)
    else:
        center = generator.normal(0, 0.06, 3)
    turn = _small_turn(generator.normal(0, np.radians([4.0, 4.0, 6.0])))
    points, landmarks = (((part - center) @ turn.T).astype(np.float32) for part in (points, landmarks))
    if generator.random() < 0.5:
        flip = np.array([-1, 1, 1], np.float32)
        points, landmarks = points * flip, landmarks[flip_permutation(config.landmarks)] * flip
    return CubeSample(points, sample.own, sample.full, landmarks)


def _small_turn(angles: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) about x, then y, then z by angles (3,), radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]) @ about_y @ about_x


def batch_of(samples: Sequence[CubeSample], config: VoxelConfig) -> tuple[Tensor, Tensor]:
    """Voxels (B, 2, G, G, G) and landmarks (B, K, 3) of samples."""
    grids = [fill_voxels(s.points, s.own, s.full, config.side, config.voxels) for s in samples]
    return torch.from_numpy(np.stack(grids)), torch.from_numpy(np.stack([s.landmarks for s in samples])).float()


def as_seen(landmarks: Tensor, joints: str) -> tuple[Tensor, Tensor]:
    """Landmarks with left and right exchanged of people who face away, and who faces neither way.

    From the front and from behind people look much alike in coarse voxels. So the network learns the sides as the
    camera sees them, as if everyone faced it, and the fit finds out who faces away.

    Args:
        landmarks: (B, K, 3) in a cube's axes, metres.
        joints: Name of their joint set.

    Returns:
        Landmarks (B, K, 3), and (B,) bool for people seen from the side, either of whose sides may be called left.
    """
    names = joint_set(joints)
    place = {
        name: landmarks[:, names.index(name)]
        for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip", "neck", "pelvis")
    }
    aside = place["left_shoulder"] + place["left_hip"] - place["right_shoulder"] - place["right_hip"]
    forward = nn.functional.normalize(torch.linalg.cross(aside, place["neck"] - place["pelvis"]), dim=-1)
    away = forward[:, 2] > 0
    exchanged = landmarks[:, torch.from_numpy(flip_permutation(joints))]
    return torch.where(away[:, None, None], exchanged, landmarks), forward[:, 2].abs() < SIDEWAYS


def heatmap_loss(heatmaps: Tensor, landmarks: Tensor, side: float, distance_weight: float) -> Tensor:
    """Cross-entropy of heatmaps, and distances of their means.

    The wanted distribution lies on the eight voxels around a landmark, and its mean is the landmark.

    Args:
        heatmaps: (B, K, D, D, D) logarithms of probabilities up to a constant.
        landmarks: (N, B, K, 3) N wanted sets of places in the cube, metres. Those outside are left out.
        side: Side of the cube, metres.
        distance_weight: Weight of the distances, 1 / metres.

    Returns:
        (N, B) losses.
    """
    count, flat = heatmaps.shape[-1], heatmaps.float().flatten(2)
    places = (landmarks / side + 0.5) * count - 0.5
    inside = ((places > 0) & (places < count - 1)).all(-1).float()
    low = places.floor().clamp(0, count - 2)
    part = places - low
    low, whole = low.long(), torch.logsumexp(flat, -1)
    steps = torch.tensor([[k & 1, k >> 1 & 1, k >> 2] for k in range(8)])
    weights = torch.where(steps == 1, part[..., None, :], 1 - part[..., None, :]).prod(-1)
    corners = low[..., None, :] + steps
    index = (corners[..., 2] * count + corners[..., 1]) * count + corners[..., 0]  # (N, B, K, 8)
    taken = flat.gather(-1, index.permute(1, 2, 0, 3).flatten(2)).unflatten(2, (len(index), 8)).permute(2, 0, 1, 3)
    expected = (weights * taken).sum(-1)
    means, _ = means_of((flat - whole[..., None]).exp(), count, side)
    distance = (means - landmarks).square().sum(-1).clamp(min=1e-12).sqrt()
    each = inside * (whole - expected + distance_weight * distance)
    return each.sum(-1) / inside.sum(-1).clamp(min=1)


class DepthTrainer:
    """A training that can be interrupted and continued.

    Args:
        body: The body of the people.
        config: All settings.
        out: Folder of the checkpoint and the weights.

    Raises:
        InputError: The folder's checkpoint does not fit the settings.
    """

    def __init__(self, body: BodyModel, config: DepthConfig, out: Path) -> None:
        self.body, self.config, self.out, self.step = body, config, out, 0
        training = config.training
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(training.seed)
            self.network = VoxelToVoxel(config.network)
        self.average = VoxelToVoxel(config.network).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=training.rate, weight_decay=training.weight_decay
        )
        self.maps = SyntheticDepthMaps(body, training.seed, "train", training.size, config.rooms, config.poses)
        self.pool: list[CubeSample] = []
        if (out / STATE).exists():
            self._resume(out / STATE)

    def run(self, report: Callable[[str], None]) -> VoxelToVoxel:
        """Train to the end, and write the weights.

        Args:
            report: Takes a line on each validation.

        Returns:
            The network with averaged weights, in evaluation mode.

        Raises:
            TrainingDiverged: The loss is not finite.
        """
        training, losses = self.config.training, []
        held_out = self._held_out()
        while self.step < training.steps:
            losses.append(self._advance())
            self.step += 1
            if self.step % training.every == 0 or self.step == training.steps:
                self._save()
                error = validation_error(self.average, held_out) if held_out else math.nan
                report(f"step {self.step}: loss {np.mean(losses):.3f}, held-out error {1000 * error:.1f} mm")
                losses = []
        return self.average

    def _advance(self) -> float:
        """One step; its loss."""
        training, config = self.config.training, self.config.network
        generator = np.random.default_rng((training.seed, self.step, 0xDE))
        first = self.step * training.fresh
        count = training.fresh if self.pool else max(training.fresh, 4 * training.batch_size)
        made = self.maps.draw(range(first, first + count))
        self.pool += [s for seen in made if (s := cube_sample(self.body, seen, config)) is not None]
        self.pool = self.pool[-training.pool :]
        chosen = generator.choice(len(self.pool), min(training.batch_size, len(self.pool)), replace=False)
        newest = range(max(0, len(self.pool) - training.fresh), len(self.pool))
        rows = [*newest, *(int(k) for k in chosen if k not in newest)][: training.batch_size]
        voxels, landmarks = batch_of([varied(self.pool[row], config, generator) for row in rows], config)
        for group in self.optimizer.param_groups:
            group["lr"] = training.rate * rate_at(self.step, training)
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=training.bf16):
            heatmaps = self.network(voxels)
        wanted, sideways = as_seen(landmarks, config.landmarks)
        exchanged = wanted[:, torch.from_numpy(flip_permutation(config.landmarks))]
        losses = heatmap_loss(heatmaps, torch.stack([wanted, exchanged]), config.side, training.distance_weight)
        loss = torch.where(sideways, losses.amin(0), losses[0]).mean()
        if not loss.isfinite():
            raise TrainingDiverged("the loss is not finite; try a lower rate")
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        self._follow(min(training.average, (1 + self.step) / (10 + self.step)))
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self, factor: float) -> None:
        """Move the average towards the network."""
        for own, new in zip(self.average.state_dict().values(), self.network.state_dict().values()):
            if own.is_floating_point():
                own.lerp_(new, 1 - factor)
            else:
                own.copy_(new)

    def _held_out(self) -> list[tuple[Tensor, Tensor]]:
        """Batches of held-out people."""
        training, config = self.config.training, self.config.network
        maps = SyntheticDepthMaps(
            self.body, training.seed, "held_out", training.size, self.config.rooms, self.config.poses
        )
        made = maps.draw(range(training.held_out))
        samples = [s for seen in made if (s := cube_sample(self.body, seen, config)) is not None]
        return [batch_of(samples[i : i + 16], config) for i in range(0, len(samples), 16)]

    def _save(self) -> None:
        """Write the state and the weights."""
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with replacing(self.out / STATE) as part:
            torch.save(state, part)
        note = f"trained on synthetic depth maps: {self.step} steps of {self.config.training.batch_size}"
        save_voxel_network(self.out / WEIGHTS, self.average, note)

    def _resume(self, path: Path) -> None:
        """Continue from a state."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = int(state["step"])
        except Exception as error:  # torch raises errors of any kind on damaged files
            raise InputError(f"{path} does not fit these settings ({str(error)[:100]}); remove it.") from error


@torch.no_grad()
def validation_error(network: VoxelToVoxel, batches: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Mean distance of estimated landmarks, metres, of batches of voxels and landmarks, whoever is called left."""
    flip, errors = torch.from_numpy(flip_permutation(network.config.landmarks)), []
    for voxels, landmarks in batches:
        places, _ = network.places(network(voxels))
        ways = [(places - wanted).norm(dim=-1).mean(1) for wanted in (landmarks, landmarks[:, flip])]
        errors.append(torch.minimum(*ways))
    return float(torch.cat(errors).mean())
