"""People who stand together in a room, in the pictures that several cameras take of them at one instant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from meshrec.body import BodyModel, load_body
from meshrec.geometry import Camera, axis_angle_to_matrix
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.render import Phong, join, shaded
from meshrec.synthetic.clip_scene import GRAIN, LAMP, Room, patterns
from meshrec.synthetic.crossing import dressed, towards

SIZE = (640, 480)
FLOOR = 1.4  # metres below the world's origin; y points down
MOST_PEOPLE, MOST_CAMERAS = 3, 4
FIELDS = (44.0, 76.0)  # least and greatest field of view across the diagonal, degrees


@dataclass(frozen=True, eq=False)
class Gathering:
    """Pictures of people, and what is true of them.

    Attributes:
        images: V pictures, (H, W, 3) uint8 RGB, by name of the camera.
        cameras: The V cameras, with extrinsics from a world whose y points down.
        joints: (N, 24, 3) ``smpl24`` joints of the people in the world, metres.
    """

    images: dict[str, np.ndarray]
    cameras: list[Camera]
    joints: np.ndarray


@torch.no_grad()
def gathering(seed: int, body: BodyModel | None = None) -> Gathering:
    """Draw one to three people in two to four cameras of one random focal length.

    The people have random shapes and clothes, and poses of motion capture for training. The cameras stand around them,
    so far away that a person fills about three quarters of the picture's height.

    Args:
        seed: Seed of everything random.
        body: The people's body. Default: the shipped neutral one.

    Example:
        >>> from meshrec.synthetic.gathering import gathering
        >>> scene = gathering(1)
        >>> scene.joints.shape, len(scene.cameras), scene.images["cam1"].shape
        ((2, 24, 3), 3, (480, 640, 3))
    """
    random, body = np.random.default_rng(seed), load_body("neutral") if body is None else body
    number, count = int(random.integers(1, MOST_PEOPLE + 1)), int(random.integers(2, MOST_CAMERAS + 1))
    focal = float(np.hypot(*SIZE) / 2 / np.tan(np.radians(random.uniform(*FIELDS)) / 2))
    vertices, joints = _people(random, body, number)
    colors = torch.cat([dressed(body, _color(random), _color(random)) for _ in range(number)])
    room = Room(np.array([-6.0, FLOOR - 3.2, -6.0]), np.array([6.0, FLOOR, 6.0]), patterns(3))
    first, far = random.uniform(0, 2 * np.pi), max(2.6, 1.15 * focal * 2.0 / SIZE[1]) + 0.6
    images, cameras = {}, []
    for view in range(count):
        angle = first + 2 * np.pi * view / max(count, 4) + np.radians(random.uniform(-20, 20))
        eye = np.array([far * np.sin(angle), random.uniform(-0.7, 0.4), -far * np.cos(angle)])
        camera = towards(eye, np.array([0.0, 0.5, 0.0]), Camera(focal, size=SIZE))
        rotation, plain = np.asarray(camera.rotation, np.float64), Camera(focal, size=SIZE)
        light = Phong(direction=tuple((torch.from_numpy(rotation).float() @ LAMP).tolist()), specular=0.04)
        seen = [camera.world_to_camera(person).float() for person in vertices]
        drawn, faces, _ = join(seen, body.faces)
        picture = shaded(drawn, faces, plain, colors, light, room.picture(rotation, eye, plain), 1).numpy()
        picture = picture + random.normal(0, GRAIN, picture.shape)
        images[f"cam{view + 1}"] = np.rint(255 * picture.clip(0, 1)).astype(np.uint8)
        cameras.append(camera)
    return Gathering(images, cameras, joints.numpy())


def _people(random: np.random.Generator, body: BodyModel, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Vertices (N, V, 3) and joints (N, 24, 3) of people who stand around the middle, each turned at random."""
    bank = load_pose_bank("train", upright=True)
    rotations = bank.rotations(torch.as_tensor(random.integers(len(bank), size=number)))
    heading = torch.zeros(number, 3)
    heading[:, 1] = torch.from_numpy(random.uniform(0, 2 * np.pi, number)).float()
    rotations[:, 0] = axis_angle_to_matrix(heading) @ rotations[:, 0]
    betas = torch.from_numpy(random.normal(0, 0.8, (number, 10))).float()
    posed = body(betas, rotations[:, 1:], rotations[:, :1])
    angles = random.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(number) / max(number, 2)
    places = 0.55 * np.stack([np.cos(angles), np.sin(angles)], 1) + random.normal(0, 0.1, (number, 2))
    y_down = torch.tensor([1.0, -1.0, -1.0])
    vertices, joints = posed.vertices * y_down, posed.joints * y_down
    x, z = torch.from_numpy(places).float().T
    shift = torch.stack([x, FLOOR - vertices[..., 1].amax(1), z], 1)[:, None]
    return vertices + shift, joints + shift


def _color(random: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(random.uniform(0.1, 0.9, 3)).float()
