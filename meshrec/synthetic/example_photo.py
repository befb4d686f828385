"""The shipped example photo, and a clip like it: the open body, with clothes painted on, dancing in a room."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, load_body
from meshrec.geometry import Camera, axis_angle_to_matrix, camera_to_y_up
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.render import Phong, shaded

SIZE = 720, 900
FRAME = 2813  # a dancer's step to the side, among the training poses of the pose bank
TAKE = "salsa_27"
BETAS = (-0.6, 0.4, 0.3, 0, 0, 0, 0, 0, 0, 0)
CAMERA_HEIGHT, DISTANCE, TURN = 0.9, 2.7, math.radians(-15)
SKIN, SHIRT, TROUSERS, HAIR, EYES, LIPS = (
    torch.tensor(rgb) / 255
    for rgb in ((206, 158, 130), (196, 74, 62), (52, 66, 104), (58, 42, 34), (60, 44, 40), (172, 98, 88))
)
WALL, FLOOR, SKIRTING = (np.array(rgb, np.float32) / 255 for rgb in ((188, 200, 198), (150, 118, 88), (236, 234, 228)))


def draw_example_photo() -> np.ndarray:
    """Draw the photo, (900, 720, 3) uint8 RGB."""
    rotations = load_pose_bank("train").rotations(slice(FRAME, FRAME + 1))
    return _drawn(load_body(), rotations[0], supersample=3, seed=0)


def draw_example_clip(frames: int = 72, take: str = TAKE, step: int = 2) -> Iterator[np.ndarray]:
    """Draw a dance in the room of the photo, in poses that no network was trained with.

    Args:
        frames: Number of frames.
        take: Take of the pose bank. The bank has no translations: the dancer stays at one place on the floor.
        step: Frames of the take from one frame to the next; takes have about 30 per second.

    Yields:
        (900, 720, 3) uint8 RGB.

    Raises:
        ValueError: No take for evaluation has this name and enough poses.
    """
    bank, body = load_pose_bank("held_out"), load_body()
    rows = torch.nonzero(bank.take == bank.takes.index(take))[:, 0][::step][:frames] if take in bank.takes else ()
    if len(rows) < frames:
        raise ValueError(f"the pose bank has no held-out take '{take}' of {frames * step} poses")
    for number, row in enumerate(rows):
        yield _drawn(body, bank.rotations(row[None])[0], supersample=2, seed=number)


def _drawn(body: BodyModel, rotations: Tensor, supersample: int, seed: int) -> np.ndarray:
    """The room with the body in a pose (24, 3, 3), its feet on the floor."""
    turn = axis_angle_to_matrix(torch.tensor([0.0, TURN, 0.0]))
    with torch.no_grad():
        posed = body(torch.tensor([BETAS]), rotations[None, 1:], turn @ rotations[None, 0]).vertices[0]
    posed = posed - torch.stack([posed[:, 0].mean(), posed[:, 1].min(), posed[:, 2].mean()])
    vertices = camera_to_y_up(posed) + torch.tensor([0.0, CAMERA_HEIGHT, DISTANCE])
    camera = Camera(focal=1.1 * SIZE[1], size=SIZE)
    room = _room(camera, shadow=vertices)
    light = Phong(direction=(-0.5, -0.8, -0.9), specular=0.04)
    picture = shaded(vertices, body.faces, camera, painted_clothes(body), light, room, supersample)
    grain = np.random.default_rng(seed).normal(0, 0.012, picture.shape)
    return np.rint(255 * (picture.numpy() + grain).clip(0, 1)).astype(np.uint8)


def painted_clothes(body: BodyModel) -> Tensor:
    """RGB of each vertex (V, 3): skin, shirt, trousers, hair or face, depending on its place on the body at rest."""
    vertices, joints = (part[0] for part in body.rest())
    at = dict(zip(body.joint_names, joints))
    face = dict(zip(body.data.landmark_names, torch.from_numpy(body.data.landmark_regressor).float() @ vertices))
    x, y, z = vertices.unbind(1)
    color = SKIN.repeat(len(vertices), 1)
    color[(y < at["neck"][1]) & (x.abs() < at["left_elbow"][0] * 0.85)] = SHIRT
    color[(y < at["spine1"][1]) & (x.abs() < at["left_elbow"][0] * 0.6)] = TROUSERS
    color[y < at["left_ankle"][1] + 0.05] = SKIN
    forehead = face["left_eye"][1] + 0.045
    color[(y > at["head"][1]) & ((y > forehead) | (z < face["left_ear"][2] - 0.01))] = HAIR
    for name in ("left_eye", "right_eye"):
        color[(vertices - face[name]).norm(dim=1) < 0.011] = EYES
    for share in torch.linspace(0, 1, 7):
        lips = torch.lerp(face["mouth_left"], face["mouth_right"], share)
        color[(vertices - lips).norm(dim=1) < 0.008] = LIPS
    return color


def _room(camera: Camera, shadow: Tensor) -> np.ndarray:
    """Draw the room (H, W, 3), RGB: a floor of planks, a wall, and a soft shadow of points under a lamp.

    Args:
        camera: The photo's camera, at a height of :data:`CAMERA_HEIGHT`.
        shadow: (V, 3) points that throw the shadow, camera space, metres.
    """
    import cv2

    u, v = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    screen = torch.from_numpy(np.stack([u, v, np.ones(u.shape)], -1))
    rays = camera.unproject(screen).numpy()  # at a depth of 1 m
    wall = DISTANCE + 1.6
    depth = np.minimum(CAMERA_HEIGHT / np.maximum(rays[..., 1], 1e-6), wall)
    x, y = rays[..., 0] * depth, rays[..., 1] * depth
    planks = 0.92 + 0.08 * np.random.default_rng(1).random(400)[np.floor(x / 0.14).astype(int) + 200]
    room = np.where((depth < wall)[..., None], FLOOR * planks[..., None], WALL * (1 - 0.06 * (y + 2))[..., None])
    room[(depth == wall) & (y > CAMERA_HEIGHT - 0.1)] = SKIRTING
    on_floor = shadow.clone()
    on_floor[:, 0] += 0.25 * (CAMERA_HEIGHT - shadow[:, 1])
    on_floor[:, 1] = CAMERA_HEIGHT
    dark = np.zeros(u.shape, np.float32)
    for left, top, _ in camera.project(on_floor).round().int().tolist():
        cv2.circle(dark, (left, top), 4, 1.0, -1)
    dark = cv2.GaussianBlur(dark, (0, 0), 9) * (depth < wall)
    return (room * (1 - 0.4 * dark[..., None])).astype(np.float32)
