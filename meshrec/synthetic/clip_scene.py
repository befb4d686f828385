"""Synthetic clips: the open body walks through a room in front of a camera that turns, zooms, shakes or walks.

Everything is known: the pose in each frame, the place in the world and in the camera space of each frame, and how the
camera stands. The world is the camera space of the first frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch

from meshrec.body import BodyModel, joint_index, load_body
from meshrec.body.model import BodyOutput
from meshrec.detect import Detection, Mask
from meshrec.detect.people import person_box, photo_edges
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix, camera_space_motion
from meshrec.geometry.turning_cameras import Turned, lens
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.render import Phong, shaded, silhouette
from meshrec.synthetic.example_photo import painted_clothes

TAKE = "walking_train_2"  # of the pose bank: a man walks, and turns to his right in the end
FEET = tuple(joint_index(f"{side}_{part}", "smpl24") for side in ("left", "right") for part in ("ankle", "foot"))
LAMP = torch.tensor([-0.4, -0.8, -0.7])  # towards it, in the world
GRAIN = 0.012  # standard deviation of the pictures' noise


@dataclass(frozen=True)
class CameraPath:
    """How a camera moves in a clip: a smooth pan, tilt, zoom and walk from the first frame to the last, and a shake.

    Attributes:
        pan: Angle by which it turns to the right, degrees.
        tilt: Angle by which it turns up, degrees.
        zoom: Last focal length over the first.
        shake: Standard deviation of each angle of a handheld camera, degrees.
        walk: Its last place in the world, metres.
        seed: Of the shake.
    """

    pan: float = 0.0
    tilt: float = 0.0
    zoom: float = 1.0
    shake: float = 0.0
    walk: tuple[float, float, float] = (0.0, 0.0, 0.0)
    seed: int = 0

    def views(self, frames: int, frame_rate: float) -> list[Turned]:
        """Turn and zoom in each frame; the first is neither turned nor zoomed."""
        share = _eased(frames)
        angles = np.zeros((frames, 3))
        angles[:, 0], angles[:, 1] = math.radians(self.tilt) * share, math.radians(self.pan) * share
        angles[:, :] += math.radians(self.shake) * _shake(frames, frame_rate, self.seed)
        pan, tilt, roll = (_about(axis, -angles[:, axis]) for axis in (1, 0, 2))
        turns = roll @ tilt @ pan
        turns = turns @ turns[0].T
        return [Turned(turn, float(self.zoom**t)) for turn, t in zip(turns, share)]

    def places(self, frames: int) -> np.ndarray:
        """(T, 3) where the camera is in the world, metres."""
        return _eased(frames)[:, None] * np.array(self.walk)


@dataclass(frozen=True)
class ClipSettings:
    """What a synthetic clip shows.

    Attributes:
        frames: Number of frames.
        frame_rate: Frames per second.
        size: (W, H) pixels.
        fov: Angle of view across the diagonal in the first frame, degrees.
        path: How the camera moves.
        take: Take of the pose bank that the person moves by, from its first frame on, and backwards after its end.
        betas: The person's shape.
        start: Where the person begins on the floor, metres to the right of the camera and ahead of it.
        heading: Direction of the take's start, degrees: 0 is towards the camera, 90 to its right.
        step: Frames of the take from one frame to the next; takes have about 30 per second.
        still: Whether the person keeps the first pose and place.
        height: Height of the camera above the floor, metres.
        room: Half the room's width, and its length before and behind the camera, metres.
        supersample: Samples per pixel along each axis with which the person is drawn.
        seed: Of the room's patterns and of the pictures' noise.
    """

    frames: int = 60
    frame_rate: float = 30.0
    size: tuple[int, int] = (640, 360)
    fov: float = 55.0
    path: CameraPath = CameraPath()
    take: str = TAKE
    betas: tuple[float, ...] = ()
    start: tuple[float, float] = (-1.2, 6.0)
    heading: float = 70.0
    step: int = 1
    still: bool = False
    height: float = 1.4
    room: tuple[float, float] = (5.0, 8.0)
    supersample: int = 2
    seed: int = 0


@dataclass(frozen=True, eq=False)
class ClipScene:
    """A synthetic clip with all that is true of it.

    Attributes:
        settings: What it shows.
        body: The person's body.
        betas: (S,) shape.
        camera: The camera of the first frame.
        views: How the camera is turned and zoomed in each frame.
        places: (T, 3) where it is in the world, metres.
        world_rotations: (T, 24, 3, 3) joint rotations in the world.
        world_translation: (T, 3) translation in the world, metres.
        rotations: (T, 24, 3, 3) joint rotations in the camera space of each frame.
        translation: (T, 3) translation in the camera space of each frame.

    Example:
        >>> from meshrec.synthetic.clip_scene import CameraPath, ClipSettings, clip_scene
        >>> scene = clip_scene(ClipSettings(frames=5, size=(64, 36), path=CameraPath(pan=10.0)))
        >>> scene.image(4).shape, scene.detection(4).joint_set, scene.turns.shape
        ((36, 64, 3), 'coco17', (5, 3, 3))
    """

    settings: ClipSettings
    body: BodyModel
    betas: np.ndarray
    camera: Camera
    views: tuple[Turned, ...]
    places: np.ndarray
    world_rotations: np.ndarray
    world_translation: np.ndarray
    rotations: np.ndarray
    translation: np.ndarray

    def __len__(self) -> int:
        return len(self.views)

    @property
    def turns(self) -> np.ndarray:
        """(T, 3, 3) rotations from the world to each frame's camera."""
        return np.stack([view.turn for view in self.views])

    @property
    def zooms(self) -> np.ndarray:
        """(T,) focal lengths over that of the first frame."""
        return np.array([view.zoom for view in self.views])

    @property
    def times(self) -> np.ndarray:
        """(T,) seconds."""
        return np.arange(len(self)) / self.settings.frame_rate

    def camera_of(self, number: int) -> Camera:
        """The camera of a frame, without extrinsics."""
        focal, _ = lens(self.camera)
        return Camera(tuple(self.views[number].zoom * focal), size=self.camera.size)

    def vertices(self, number: int) -> torch.Tensor:
        """(V, 3) the body in the camera space of a frame, metres."""
        return _posed(self.body, self.betas, self.rotations[number], self.translation[number]).vertices[0]

    def image(self, number: int) -> np.ndarray:
        """Draw a frame, (H, W, 3) uint8 RGB."""
        view, camera = self.views[number], self.camera_of(number)
        room = self._room.picture(view.turn, self.places[number], camera)
        light = Phong(direction=tuple((torch.from_numpy(view.turn).float() @ LAMP).tolist()), specular=0.04)
        mesh = self.vertices(number), self.body.faces
        drawn = shaded(*mesh, camera, self._colors, light, room, self.settings.supersample)
        picture = drawn.numpy()
        grain = np.random.default_rng((self.settings.seed, number)).normal(0, GRAIN, picture.shape)
        return np.rint(255 * (picture + grain).clip(0, 1)).astype(np.uint8)

    def images(self) -> Iterator[np.ndarray]:
        """Draw all frames."""
        return (self.image(number) for number in range(len(self)))

    def detection(self, number: int) -> Detection:
        """What a detector without errors finds in a frame: COCO's keypoints, and the mask."""
        vertices, camera = self.vertices(number), self.camera_of(number)
        seen = camera.project(self.body.joints_from(vertices[None], "coco17"))[0].numpy()
        keypoints = np.concatenate([seen[:, :2], np.ones((len(seen), 1))], axis=-1).astype(np.float32)
        coverage = silhouette(vertices, self.body.faces, camera).numpy()
        mask = Mask(np.rint(255 * coverage).astype(np.uint8), photo_edges(camera.size))
        return Detection(person_box(keypoints, mask, camera.size), keypoints, "coco17", 1.0, mask)

    @cached_property
    def _room(self) -> Room:
        settings = self.settings
        half, length = settings.room
        low = np.array([-half, settings.height - 3.2, -length])
        return Room(low, np.array([half, settings.height, length]), patterns(settings.seed))

    @cached_property
    def _colors(self) -> torch.Tensor:
        return painted_clothes(self.body)


def clip_scene(settings: ClipSettings = ClipSettings(), body: BodyModel | None = None) -> ClipScene:
    """Make a synthetic clip; its frames are drawn when they are asked for.

    Args:
        settings: What it shows.
        body: The person's body. Default: the shipped neutral one.

    Raises:
        ValueError: The pose bank has no such take.
    """
    body = body or load_body()
    betas = np.zeros(body.num_betas, np.float32)
    betas[: len(settings.betas)] = settings.betas
    rotations, translation = _walk(body, betas, settings)
    views = settings.path.views(settings.frames, settings.frame_rate)
    places = settings.path.places(settings.frames)
    pelvis = body.rest(torch.from_numpy(betas)[None])[1][0, 0].numpy()
    turns = np.stack([view.turn for view in views])
    seen = camera_space_motion(rotations, translation - places.astype(np.float32), pelvis, turns)
    camera = Camera.from_fov(settings.size, math.radians(settings.fov))
    return ClipScene(settings, body, betas, camera, tuple(views), places, rotations, translation, *seen)


def _walk(body: BodyModel, betas: np.ndarray, settings: ClipSettings) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (T, 24, 3, 3) and translation (T, 3) in the world of someone who moves by a take.

    The bank has no translations. The lowest of ankles and toes stays where it is from one frame to the next, and the
    lowest vertex is on the floor.
    """
    bank = load_pose_bank("all", upright=True)
    if settings.take not in bank.takes:
        raise ValueError(f"the pose bank has no take {settings.take}; it has {', '.join(bank.takes)}")
    rows = torch.nonzero(bank.take == bank.takes.index(settings.take))[:, 0]
    steps = np.arange(settings.frames) * (0 if settings.still else settings.step)
    steps = (len(rows) - 1) - np.abs((len(rows) - 1) - steps % (2 * len(rows) - 2))  # there and back
    rotations = bank.rotations(rows[torch.from_numpy(steps)]).numpy()
    turn = CAMERA_TO_Y_UP.numpy() @ _about(1, np.array([math.radians(settings.heading)]))[0]
    rotations[:, 0] = turn @ rotations[:, 0]
    translation = np.zeros((settings.frames, 3))
    feet = np.empty((settings.frames, len(FEET), 3))
    for frame, pose in enumerate(rotations):
        posed = _posed(body, betas, pose, np.zeros(3))
        feet[frame] = posed.joints[0, FEET].numpy()
        translation[frame, 1] = settings.height - float(posed.vertices[0, :, 1].max())
    stands = feet[:, :, 1].argmax(-1)
    for frame in range(1, settings.frames):
        foot = stands[frame - 1]
        translation[frame, ::2] = (translation[frame - 1] + feet[frame - 1, foot] - feet[frame, foot])[::2]
    translation[:, ::2] += settings.start - (feet[0, :, ::2].mean(0) + translation[0, ::2])
    return rotations, translation.astype(np.float32)


@torch.no_grad()
def _posed(body: BodyModel, betas: np.ndarray, rotations: np.ndarray, translation: np.ndarray) -> BodyOutput:
    """The posed body."""
    pose = torch.from_numpy(rotations)[None].float()
    place = torch.from_numpy(np.asarray(translation, np.float32))[None]
    return body(torch.from_numpy(betas)[None], pose[:, 1:], pose[:, 0], place)


def _eased(frames: int) -> np.ndarray:
    """Numbers from 0 to 1 that begin and end slowly, (T,)."""
    t = np.linspace(0, 1, frames) if frames > 1 else np.zeros(1)
    return t * t * (3 - 2 * t)


def _shake(frames: int, frame_rate: float, seed: int) -> np.ndarray:
    """(T, 3) angles of a hand that holds a camera, of standard deviation 1 and 0 in the first frame: sums of waves."""
    random = np.random.default_rng(seed)
    hertz, phase = random.uniform(0.3, 4.0, (8, 3)), random.uniform(0, 2 * np.pi, (8, 3))
    t = np.arange(frames)[:, None, None] / frame_rate
    waves = np.sin(2 * np.pi * hertz * t + phase).sum(1) / 2
    return waves - waves[0]


def _about(axis: int, angles: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) about an axis."""
    vectors = torch.zeros(len(angles), 3, dtype=torch.float64)
    vectors[:, axis] = torch.from_numpy(angles)
    return axis_angle_to_matrix(vectors).numpy()


@dataclass(frozen=True, eq=False)
class Room:
    """A box with patterns on its six sides, seen from inside.

    Attributes:
        low, high: (3,) corners in the world, metres.
        patterns: (6 N, N, 3) uint8 RGB, one below the other: left, right, ceiling, floor, behind, ahead.
    """

    low: np.ndarray
    high: np.ndarray
    patterns: np.ndarray

    def picture(self, turn: np.ndarray, place: np.ndarray, camera: Camera) -> np.ndarray:
        """What a camera sees, (H, W, 3) float32 RGB."""
        import cv2

        width, height = camera.size
        (fx, fy), (cx, cy) = lens(camera)
        u, v = np.meshgrid((np.arange(width) - cx) / fx, (np.arange(height) - cy) / fy)
        rays = np.stack([u, v, np.ones_like(u)], -1) @ turn
        with np.errstate(divide="ignore"):
            depth = np.where(rays > 0, self.high - place, self.low - place) / rays
        axis = np.abs(depth).argmin(-1)
        side = 2 * axis + (np.take_along_axis(rays, axis[..., None], -1)[..., 0] > 0)
        points = place + rays * np.take_along_axis(depth, axis[..., None], -1)
        share = (points - self.low) / (self.high - self.low)
        across = np.where(axis == 0, share[..., 2], share[..., 0])
        down = np.where(axis == 1, share[..., 2], share[..., 1])
        count = self.patterns.shape[1]
        column = across.clip(0, 1) * (count - 1)
        row = down.clip(0, 1) * (count - 1) + side * count
        maps = column.astype(np.float32), row.astype(np.float32)
        seen = cv2.remap(self.patterns, *maps, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return seen.astype(np.float32) / 255


@lru_cache(maxsize=2)
def patterns(seed: int, side: int = 1024) -> np.ndarray:
    """Six square patterns one below the other, (6 N, N, 3) uint8 RGB: fields of colour with boards and frames."""
    import cv2

    random = np.random.default_rng(seed)
    pictures = []
    for _ in range(6):
        cells = random.normal(size=(9, 9, 3)).astype(np.float32)
        picture = 0.55 + 0.06 * cv2.resize(cells, (side, side), interpolation=cv2.INTER_CUBIC)
        fine = random.normal(size=(160, 160)).astype(np.float32)
        picture += 0.03 * cv2.resize(fine, (side, side), interpolation=cv2.INTER_CUBIC)[..., None]
        for _ in range(90):
            x, y = random.integers(0, side, 2)
            across, down = random.integers(side // 50, side // 9, 2)
            color = random.uniform(0.15, 0.95, 3)
            thickness = -1 if random.random() < 0.6 else int(random.integers(2, 8))
            end = (int(x + across), int(y + down))
            cv2.rectangle(picture, (int(x), int(y)), end, color.tolist(), thickness, cv2.LINE_AA)
        pictures.append(np.rint(255 * picture.clip(0, 1)).astype(np.uint8))
    return np.concatenate(pictures)
