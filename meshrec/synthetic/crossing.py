"""Two people who walk past each other in a room, filmed by several calibrated cameras around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.geometry import Camera
from meshrec.geometry.calibrated_cameras import CalibratedCamera, Calibration
from meshrec.render import Phong, join, shaded
from meshrec.synthetic.clip_scene import GRAIN, LAMP, ClipScene, ClipSettings, Room, clip_scene, patterns
from meshrec.synthetic.example_photo import SHIRT, TROUSERS, painted_clothes

MIDDLE = (0.0, 4.0)  # of the place where they cross, metres to the right of the world's origin and ahead of it
CLOTHES = torch.tensor([[196, 74, 62], [52, 66, 104]]) / 255, torch.tensor([[60, 140, 90], [200, 190, 170]]) / 255
"""RGB of each person's shirt and trousers."""


@dataclass(frozen=True)
class CrossingSettings:
    """What the cameras film.

    Attributes:
        views: Number of cameras, evenly around the middle and at different heights; two stand at a right angle.
        frames: Number of frames.
        frame_rate: Frames per second.
        size: (W, H) pixels.
        fov: Angle of view across the diagonal, degrees.
        radius: Distance of the cameras from the middle, metres.
        apart: Metres by which they pass each other.
        supersample: Samples per pixel along each axis with which people are drawn.
        seed: Of the room's patterns and of the pictures' noise.
    """

    views: int = 4
    frames: int = 24
    frame_rate: float = 15.0
    size: tuple[int, int] = (640, 480)
    fov: float = 66.0
    radius: float = 3.5
    apart: float = 0.8
    supersample: int = 1
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Crossing:
    """Two people in several cameras, and what is true of them.

    Attributes:
        settings: What the cameras film.
        people: The two people. Their world, in which y points down, is that of the calibration.
        calibration: The cameras.

    Example:
        >>> from meshrec.synthetic.crossing import CrossingSettings, crossing
        >>> scene = crossing(CrossingSettings(views=2, frames=2, size=(64, 48)))
        >>> scene.image("cam2", 1).shape, scene.joints().shape
        ((48, 64, 3), (2, 2, 24, 3))
    """

    settings: CrossingSettings
    people: tuple[ClipScene, ClipScene]
    calibration: Calibration

    def image(self, name: str, number: int) -> np.ndarray:
        """Draw a frame of a camera, (H, W, 3) uint8 RGB."""
        camera = self.calibration.cameras[name].camera
        rotation = np.asarray(camera.rotation, np.float64)
        place = -rotation.T @ np.asarray(camera.translation, np.float64)
        plain = Camera(camera.focal, camera.center, camera.size)
        room = self._room.picture(rotation, place, plain)
        light = Phong(direction=tuple((torch.from_numpy(rotation).float() @ LAMP).tolist()), specular=0.04)
        own = [camera.world_to_camera(person.vertices(number)).float() for person in self.people]
        vertices, faces, _ = join(own, self.people[0].body.faces)
        colors = torch.cat([dressed(self.people[0].body, *clothes) for clothes in CLOTHES])
        picture = shaded(vertices, faces, plain, colors, light, room, self.settings.supersample).numpy()
        seed = (self.settings.seed, list(self.calibration.cameras).index(name), number)
        picture = picture + np.random.default_rng(seed).normal(0, GRAIN, picture.shape)
        return np.rint(255 * picture.clip(0, 1)).astype(np.uint8)

    def images(self, name: str) -> Iterator[np.ndarray]:
        """Draw all frames of a camera."""
        return (self.image(name, number) for number in range(self.settings.frames))

    def joints(self) -> np.ndarray:
        """(2, T, 24, 3) ``smpl24`` joints of both people in the world, metres."""
        return np.stack([_joints(person) for person in self.people])

    @cached_property
    def _room(self) -> Room:
        height = self.people[0].settings.height
        return Room(np.array([-5.0, height - 3.2, -1.5]), np.array([5.0, height, 9.5]), patterns(self.settings.seed))


def crossing(settings: CrossingSettings = CrossingSettings(), body: BodyModel | None = None) -> Crossing:
    """Make two people who walk past each other; frames are drawn when they are asked for.

    Args:
        settings: What the cameras film.
        body: Their body. Default: the shipped neutral one.
    """
    people = []
    for side, betas in ((-1, (0.8, 0.5)), (1, (-0.8, -0.5))):
        half = 0.45 * settings.frames / settings.frame_rate  # they walk 0.9 m a second
        own = ClipSettings(
            frames=settings.frames,
            frame_rate=settings.frame_rate,
            size=settings.size,
            betas=betas,
            start=(MIDDLE[0] + side * half, MIDDLE[1] - side * settings.apart / 2),
            heading=-90.0 * side,
            step=max(1, round(30 / settings.frame_rate)),
        )
        people.append(clip_scene(own, body))
    cameras = {}
    for number in range(settings.views):
        angle = np.radians(45 + 360 * number / max(settings.views, 4 if settings.views == 2 else 1))
        height = (-0.4, 0.2, -0.7, 0.0)[number % 4]  # y down, of an origin 1.4 m above the floor
        eye = np.array([MIDDLE[0], height, MIDDLE[1]]) + settings.radius * np.array([np.sin(angle), 0, -np.cos(angle)])
        plain = Camera.from_fov(settings.size, np.radians(settings.fov))
        camera = towards(eye, np.array([MIDDLE[0], 0.5, MIDDLE[1]]), plain)
        cameras[f"cam{number + 1}"] = CalibratedCamera(f"cam{number + 1}", camera)
    return Crossing(settings, (people[0], people[1]), Calibration(cameras, up="-y"))


def towards(eye: np.ndarray, target: np.ndarray, camera: Camera) -> Camera:
    """A camera without extrinsics, level, at ``eye`` (3,) and looking at ``target`` (3,), metres; the world's y points
    down."""
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross([0.0, 1.0, 0.0], ahead)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    return Camera(camera.focal, camera.center, camera.size, rotation, -rotation @ eye)


def dressed(body: BodyModel, shirt: torch.Tensor, trousers: torch.Tensor) -> torch.Tensor:
    """RGB of each vertex (V, 3) in these clothes.

    Args:
        body: The body.
        shirt, trousers: (3,) RGB in [0, 1].
    """
    colors = painted_clothes(body)
    worn = [(colors == old).all(1, keepdim=True) for old in (SHIRT, TROUSERS)]
    return torch.where(worn[0], shirt, torch.where(worn[1], trousers, colors))


@torch.no_grad()
def _joints(person: ClipScene) -> np.ndarray:
    rotations, place = (torch.from_numpy(part).float() for part in (person.world_rotations, person.world_translation))
    betas = torch.from_numpy(person.betas)[None].expand(len(place), -1)
    return person.body(betas, rotations[:, 1:], rotations[:, 0], place).joints.numpy()
