"""Depth maps of synthetic people in rooms, as a depth camera measures them, with everything about them known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.data.streams import Streams
from meshrec.geometry import Camera
from meshrec.render import rasterize
from meshrec.synthetic.depth_sensor import DepthSensor, measured
from meshrec.synthetic.loose_clothes import ClothesMix, Tailor, draw_clothes
from meshrec.synthetic.random_cameras import ViewMix, draw_orientations
from meshrec.synthetic.random_poses import PoseMix, PoseSources, draw_poses
from meshrec.synthetic.random_shapes import ShapeMix, draw_shapes, heaviness

# Corners and faces of a box with sides of 2.
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
BOX_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]]
)  # fmt: skip


@dataclass(frozen=True)
class RoomMix:
    """Distribution of the cameras and of what is around a person.

    Attributes:
        field: Smallest and largest horizontal field of view, degrees.
        fill: Smallest and largest share of the map's height, or width, that a person takes.
        distance: Least and greatest distance of a person, metres; it goes before ``fill``.
        floor: Share of maps with a floor below the person.
        wall: Share of maps with a wall behind the person.
        wall_gap: Least and greatest distance of the wall behind the person, metres.
        boxes: Greatest number of boxes; the number is uniform.
        box_size: Smallest and largest side of a box, metres.
        in_front: Share of maps that may have boxes between the camera and the person.
        clothed: Share of people in clothes that stand off the body.
    """

    field: tuple[float, float] = (55.0, 75.0)
    fill: tuple[float, float] = (0.35, 1.0)
    distance: tuple[float, float] = (1.2, 4.5)
    floor: float = 0.85
    wall: float = 0.75
    wall_gap: tuple[float, float] = (0.1, 2.5)
    boxes: int = 4
    box_size: tuple[float, float] = (0.15, 1.2)
    in_front: float = 0.1
    clothed: float = 0.7


@dataclass(frozen=True, eq=False)
class DepthMap:
    """A person in front of a depth camera.

    Attributes:
        depth: (H, W) float32 measured distances along the camera's axis, metres, 0 where nothing was measured.
        person: (H, W) bool, the pixels that show the person before the errors of the sensor.
        camera: The camera.
        rotations: (24, 3, 3) local rotations, the first from body space to camera space.
        betas: (S,) shape coefficients.
        translation: (3,) metres.
        vertices: (V, 3) of the body without clothes, metres.
    """

    depth: np.ndarray
    person: np.ndarray
    camera: Camera
    rotations: Tensor
    betas: Tensor
    translation: Tensor
    vertices: Tensor


class SyntheticDepthMaps:
    """An endless data set in which map i of a seed is always the same.

    Args:
        body: The body model of the people, on the CPU.
        seed: Seed of the data set.
        split: Which of the shipped poses, captured and written, to draw from.
        size: Width and height of the maps, pixels.
        rooms, poses, shapes: Distributions.
        sensor: The errors of the camera.

    Example:
        >>> import meshrec
        >>> from meshrec.synthetic.depth_maps import SyntheticDepthMaps
        >>> (seen,) = SyntheticDepthMaps(meshrec.load_body("neutral"), size=(160, 120)).draw([3])
        >>> seen.depth.shape, bool(seen.person.any())
        ((120, 160), True)
    """

    def __init__(
        self,
        body: BodyModel,
        seed: int = 0,
        split: Literal["train", "held_out", "all"] = "train",
        size: tuple[int, int] = (320, 240),
        rooms: RoomMix | None = None,
        poses: PoseMix | None = None,
        shapes: ShapeMix | None = None,
        sensor: DepthSensor | None = None,
    ) -> None:
        self.body, self.seed, self.size = body, seed, size
        self.sources = PoseSources.load(split)
        self.rooms, self.poses, self.shapes = rooms or RoomMix(), poses or PoseMix(), shapes or ShapeMix()
        self.sensor = sensor or DepthSensor()
        self.heaviness, self.tailor = heaviness(body), Tailor(body)
        self._faces = body.faces.numpy()

    @torch.no_grad()
    def draw(self, indices: Sequence[int]) -> list[DepthMap]:
        """Make maps.

        Args:
            indices: Numbers of the maps, from 0 on.
        """
        streams = {name: Streams(self.seed, indices, f"depth {name}") for name in ("pose", "view", "shape", "clothes")}
        pose, _ = draw_poses(streams["pose"], self.sources, self.poses)
        turn = draw_orientations(streams["view"], ViewMix())
        pose[:, 0] = turn @ pose[:, 0]
        betas, _ = draw_shapes(streams["shape"], self.heaviness, self.shapes)
        posed = self.body(betas, pose[:, 1:], pose[:, 0]).vertices
        mix = ClothesMix(bare=1 - self.rooms.clothed, skirts=0.0)
        clothed = draw_clothes(streams["clothes"], mix).thickness
        surface = self.tailor.dressed(posed, clothed) if self.rooms.clothed else posed
        maps = []
        for i, index in enumerate(indices):
            generator = np.random.default_rng((self.seed, int(index), 0xD3))
            camera, shift = self._placed(posed[i].numpy(), generator)
            up = turn[i].numpy() @ np.array([0, 1, 0], np.float32)
            depth, person = self._scene(surface[i].numpy() + shift, up, camera, generator)
            seen = measured(depth, float(camera.focal[0]), generator, self.sensor)
            move = torch.from_numpy(shift)
            maps.append(DepthMap(seen, person, camera, pose[i], betas[i], move, posed[i] + move))
        return maps

    def _placed(self, points: np.ndarray, generator: np.random.Generator) -> tuple[Camera, np.ndarray]:
        """A camera, and the translation (3,) of a person of these points (V, 3) in front of it."""
        (width, height), mix = self.size, self.rooms
        focal = width / 2 / np.tan(np.radians(generator.uniform(*mix.field)) / 2)
        low, high = points.min(0), points.max(0)
        extent, sight = high - low, np.array([width, height]) / focal
        fill = generator.uniform(*mix.fill)
        distance = float(np.clip((extent[:2] / (fill * sight)).max(), *mix.distance))
        distance = max(distance, extent[2] / 2 + self.sensor.range[0] + 0.2)
        room = np.maximum(sight * distance - extent[:2], 0) / 2
        middle = np.append(generator.uniform(-1, 1, 2) * room, distance)
        return Camera(float(focal), size=self.size), (middle - (low + high) / 2).astype(np.float32)

    def _scene(
        self, points: np.ndarray, up: np.ndarray, camera: Camera, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """True distances (H, W) of a person of these points (V, 3) in a room, and the pixels (H, W) of the person."""
        boxes = self._boxes(points, up, generator)
        faces = [self._faces] + [BOX_FACES + len(points) + len(CORNERS) * k for k in range(len(boxes))]
        fragments = rasterize(np.concatenate([points, *boxes]), np.concatenate(faces), camera)
        depth = fragments.picture(fragments.depth[:, None])[0, ..., 0].numpy()
        face = fragments.face_id[0].numpy()
        person = (face >= 0) & (face < len(self._faces))
        rays = camera.unproject(_pixels(self.size)).numpy()
        for normal, level in self._planes(points, up, generator):
            facing = rays @ normal
            away = np.where(np.abs(facing) > 1e-6, level / np.where(facing == 0, 1, facing), 0)
            nearer = (away > 0) & ((away < depth) | (depth == 0))
            depth, person = np.where(nearer, away, depth), person & ~nearer
        return depth.astype(np.float32), person

    def _planes(
        self, points: np.ndarray, up: np.ndarray, generator: np.random.Generator
    ) -> list[tuple[np.ndarray, float]]:
        """Floor and wall as normals (3,) and levels: n . x = level."""
        planes, mix = [], self.rooms
        ground = float((points @ up).min()) - 0.005
        if generator.random() < mix.floor and ground < -0.2:  # the camera is above the floor
            planes.append((up, ground))
        ahead = np.array([0, 0, 1], np.float32)
        level = ahead - (ahead @ up) * up
        if generator.random() < mix.wall and np.linalg.norm(level) > 0.3:
            level /= np.linalg.norm(level)
            aside = np.cross(up, level)
            angle = generator.uniform(-1, 1)
            normal = np.cos(angle) * level + np.sin(angle) * aside
            planes.append((normal, float((points @ normal).max() + generator.uniform(*mix.wall_gap))))
        return planes

    def _boxes(self, points: np.ndarray, up: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
        """Corners (8, 3) of boxes that stand on the floor around a person and do not touch the person."""
        mix, boxes = self.rooms, []
        ahead = np.array([0, 0, 1], np.float32)
        aside = np.cross(up, ahead if abs(up[2]) < 0.9 else np.array([0, 1, 0], np.float32))
        aside /= np.linalg.norm(aside)
        axes = np.stack([aside, up, np.cross(aside, up)])
        ground, in_front = float((points @ up).min()), generator.random() < mix.in_front
        core = points[::7] @ axes.T
        middle = core.mean(0)
        for _ in range(generator.integers(mix.boxes + 1)):
            half = generator.uniform(*mix.box_size, 3) / 2
            yaw, way, gap = generator.uniform(0, np.pi), generator.uniform(0, 2 * np.pi), generator.uniform(0.3, 2.0)
            place = middle + gap * np.array([np.cos(way), 0, np.sin(way)])
            place[1] = ground + half[1]
            turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
            if (np.abs((core - place) @ turn.T) < half + 0.03).all(1).any():
                continue
            corners = ((CORNERS * half) @ turn + place) @ axes
            behind = corners[:, 2].min() > np.median(points[:, 2])
            if corners[:, 2].min() > 0.4 and (behind or in_front or gap > 0.8):
                boxes.append(corners.astype(np.float32))
        return boxes


def _pixels(size: tuple[int, int]) -> Tensor:
    """(H, W, 3) x and y of all pixels, at a depth of 1."""
    y, x = torch.meshgrid(torch.arange(size[1]).float(), torch.arange(size[0]).float(), indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], -1)
