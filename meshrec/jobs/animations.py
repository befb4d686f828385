"""Motions of other programs and of meshrec as animations: files for 3D programs, and videos to look at."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from meshrec.body import NUM_JOINTS, BodyModel, load_body
from meshrec.body.library import OPEN_BODIES
from meshrec.errors import InputError
from meshrec.export import ANIMATION_SUFFIXES, Animation, write_animated_scene, write_animation
from meshrec.export.animation import UNITS, bvh_motion
from meshrec.files.atomic import known_suffix, require_writable
from meshrec.geometry import CAMERA_TO_Y_UP, Camera
from meshrec.motion.recorded import UP, RecordedMotion, bridged, in_file
from meshrec.motion.sequences import JOINT_NAMES, read_motions
from meshrec.reconstruct.person import Person, matching_body
from meshrec.render.overlay import PAPER, as_bytes, overlay, person_colors

SUFFIXES = (*ANIMATION_SUFFIXES, ".mp4")
BONE_ERROR = 1e-5  # metres by which the bones of a file are trusted


@dataclass(frozen=True)
class AnimateSettings:
    """What the user says of a motion and of the file to write.

    Attributes:
        frame_rate: Frames per second. Default: what the file says.
        up: Which of the file's axes points up, one of y, z and -y. Default: what the file says.
        person: Number of the person. Default: everyone.
        body: Name or path of the body, as for :func:`meshrec.load_body`. Default: the one that the file names, and for
            files of others the open body of the person's gender.
        names: Names of the joints in a ``.bvh``, ``smpl`` or ``mixamo``.
        unit: Unit of lengths in a ``.bvh``, ``cm`` or ``m``.

    Raises:
        InputError: A setting is none of these.
    """

    frame_rate: float | None = None
    up: str | None = None
    person: int | None = None
    body: str | None = None
    names: str = "smpl"
    unit: str = "cm"

    def __post_init__(self) -> None:
        if self.frame_rate is not None and not 0 < self.frame_rate <= 1000:
            raise InputError(f"--fps must be above 0 and at most 1000, not {self.frame_rate:g}")
        for name, known in (("up", UP), ("names", JOINT_NAMES), ("unit", UNITS)):
            if getattr(self, name) is not None and getattr(self, name) not in known:
                raise InputError(f"--{name} must be one of {', '.join(known)}, not '{getattr(self, name)}'")


@dataclass(frozen=True)
class Look:
    """How a video is drawn.

    Attributes:
        size: (W, H) of the picture, pixels.
        field_of_view: Of the longer side, degrees.
        pitch: By how much the camera looks down, degrees.
        margin: Free space around the joints of everyone at all times, metres.
        most_rate: Largest number of frames per second; of faster motions some are left out.
        line: Colour of the floor's lines, one a metre, RGB bytes.
    """

    size: tuple[int, int] = (960, 720)
    field_of_view: float = 40.0
    pitch: float = 12.0
    margin: float = 0.3
    most_rate: float = 60.0
    line: tuple[int, int, int] = (200, 200, 196)


def animate(
    source: str | os.PathLike, out: str | os.PathLike, settings: AnimateSettings = AnimateSettings()
) -> tuple[str, ...]:
    """Turn a motion into an animation; the suffix chooses the format.

    Args:
        source: A file of :func:`meshrec.motion.sequences.read_motions`; the folder of a clip's results, with a
            ``track_0.npz`` for each person; or the folder of results of the frames of a film, with a ``person_0.json``
            in a folder for each frame.
        out: The file to write: ``.glb``, of everyone on one clock; ``.bvh`` or ``.npz`` of one person; or ``.mp4``,
            drawn by a camera that stands still.
        settings: What the user says.

    Returns:
        Notes on what was assumed and left out, one sentence each.

    Raises:
        InputError: The file cannot be read or written, or does not tell what a setting would have to say.
    """
    suffix = known_suffix(out, SUFFIXES)
    require_writable(out)
    animations, notes = read_animations(source, settings)
    if suffix == ".mp4":
        draw(out, animations)
    elif len(animations) == 1:
        notes += write_animation(out, animations[0], names=settings.names, unit=settings.unit)
    elif suffix == ".glb":
        notes += write_animated_scene(out, animations)
    else:
        raise InputError(
            f"{source} holds {len(animations)} people, but a {suffix} has one: choose one with --person, of "
            f"{', '.join(animation.name for animation in animations)}"
        )
    return notes


def read_animations(
    source: str | os.PathLike, settings: AnimateSettings = AnimateSettings()
) -> tuple[list[Animation], tuple[str, ...]]:
    """Read everyone's motion, as :func:`animate` does.

    Returns:
        At least one animation, and notes on what was assumed.

    Raises:
        InputError: The file cannot be read, or does not tell what a setting would have to say.
    """
    path = Path(source)
    if path.is_dir() and (tracks := sorted(path.glob("track_*.npz"), key=lambda track: _natural(track.name))):
        motions = [motion for track in tracks for motion in read_motions(track, np.zeros((NUM_JOINTS, 3)))]
        found = [_with_body(path, motion, settings, None) for motion in _chosen(path, motions, settings.person)]
    elif path.is_dir():
        found = [_from_folder(path, settings)]
    else:
        asked = load_body(settings.body) if settings.body is not None else None
        shape = (asked or load_body("neutral")) if path.suffix.lower() == ".bvh" else None
        rest = np.zeros((NUM_JOINTS, 3)) if shape is None else shape.rest()[1][0].cpu().numpy()
        motions = _chosen(path, read_motions(path, rest, settings.up), settings.person)
        found = [_with_body(path, motion, settings, asked) for motion in motions]
    colors = person_colors(len(found)).tolist() if len(found) > 1 else [Animation.color]
    animations = [
        _animation(path, motion, body, settings, (r, g, b)) for (body, motion), (r, g, b) in zip(found, colors)
    ]
    return animations, tuple(dict.fromkeys(note for _, motion in found for note in motion.notes))


def _chosen(path: Path, motions: list[RecordedMotion], person: int | None) -> list[RecordedMotion]:
    """The motion of a person's number, by which ``person_3`` and ``track_3`` are known."""
    if person is None:
        return motions
    chosen = [motion for motion in motions if re.fullmatch(rf"(person|track)_{person}", motion.name)]
    if not chosen:
        names = ", ".join(motion.name for motion in motions)
        raise InputError(f"{path}: there is no person {person}; there are {names}")
    return chosen


def _with_body(
    path: Path, motion: RecordedMotion, settings: AnimateSettings, asked: BodyModel | None
) -> tuple[BodyModel, RecordedMotion]:
    """The body of a motion, and the motion with betas of that body."""
    if motion.body_hash is not None and motion.betas is not None:
        name, count = motion.body_name or "", len(motion.betas)
        return matching_body(path, name, motion.body_hash, count, settings.body), motion
    body = load_body(motion.gender or "neutral") if asked is None else asked
    betas, note = motion.betas, ""
    if betas is None and motion.bones is not None:
        betas, error = _shape_of(motion.bones, body)
        note = f"A .bvh has no betas: the body's shape is the one whose bones fit best, to {1000 * error:.1f} mm."
    elif betas is None:
        betas = np.zeros(0)
    elif settings.body is None or settings.body in OPEN_BODIES:
        betas, note = np.zeros(0), "The body has its mean shape: the file's betas are of SMPL, which --body can name."
    elif len(betas) > body.num_betas:
        note = f"Of {len(betas)} betas the first {body.num_betas} are used, which the body has."
        betas = betas[: body.num_betas]
    return body, replace(motion, betas=betas, notes=(*motion.notes, note) if note else motion.notes)


def _shape_of(bones: np.ndarray, body: BodyModel) -> tuple[np.ndarray, float]:
    """The betas (S,) of a body with given bones (24, 3), and how much its bones differ from them, RMS in metres.

    The joints of a body are linear in its betas. A Gaussian prior with a deviation of 1 decides where bones do not.
    """
    joints, change = body.data.joint_maps
    parents = np.array(body.parents[1:])
    mean, basis = joints[1:] - joints[parents], change[1:] - change[parents]
    matrix, rest = basis.reshape(-1, basis.shape[-1]), (bones[1:] - mean).ravel()
    normal = matrix.T @ matrix + BONE_ERROR**2 * np.eye(matrix.shape[1])
    betas = np.linalg.solve(normal, matrix.T @ rest)
    return betas, float(np.sqrt(np.mean((matrix @ betas - rest) ** 2)))


def _animation(
    path: Path, motion: RecordedMotion, body: BodyModel, settings: AnimateSettings, color: tuple[float, float, float]
) -> Animation:
    frame_rate = settings.frame_rate or motion.frame_rate
    if frame_rate is None:
        raise InputError(f"{path} does not say how many frames a second has: give --fps, such as --fps 30")
    up = settings.up or motion.up
    if up is None:
        raise InputError(f"{path} does not tell which axis points up: give --up=y, --up=z or --up=-y")
    assert motion.betas is not None
    try:
        with torch.no_grad():
            joints = body.rest(torch.from_numpy(motion.betas)[None].to(body.v_template))[1][0].cpu().numpy()
        rotations, translation = motion.upright(joints.astype(np.float64), up)
        start = motion.start / frame_rate
        return Animation(body, motion.betas, rotations, translation, frame_rate, motion.name, color, start)
    except ValueError as error:
        raise in_file(path, error) from error


def _from_folder(folder: Path, settings: AnimateSettings) -> tuple[BodyModel, RecordedMotion]:
    """One person in the results of photos that are the frames of a film."""
    name = f"person_{settings.person or 0}.json"
    folders = {path.parent for pattern in ("photo.json", name) for path in folder.rglob(pattern)}
    frames = sorted(folders, key=lambda path: _natural(path.relative_to(folder).as_posix()))
    found = [(number, frame / name) for number, frame in enumerate(frames) if (frame / name).is_file()]
    if not found:
        raise InputError(f"{folder}: no {name} in it or below it")
    people: list[Person] = []
    for _, path in found:
        people.append(Person.load(path, people[0].body if people else settings.body))
    notes = [f"One shape for all {len(people)} frames: the median of their betas."]
    if settings.person is None and any((frame / "person_1.json").is_file() for frame in frames):
        notes.append("Only person_0 of each frame is animated; --person chooses another one.")
    motion = RecordedMotion(
        np.stack([person.rotations for person in people]),
        np.stack([person.translation for person in people]),
        np.median([person.betas for person in people], axis=0),
        up="-y",
        name=name.removesuffix(".json"),
        notes=tuple(notes),
    )
    return people[0].body, bridged([number for number, _ in found], motion)


def _natural(text: str) -> list[tuple[int, str]]:
    """A key by which frame_10 comes after frame_9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d{1,18})", text)]


def draw(out: str | os.PathLike, animations: Sequence[Animation], look: Look = Look()) -> None:
    """Draw people into a video, seen by a camera that stands still and sees everyone at all times.

    Args:
        out: The ``.mp4``.
        animations: At least one person.
        look: How it is drawn.

    Raises:
        InputError: The file cannot be written.
    """
    from meshrec.files.videos import VideoWriter

    rate = max(animation.frame_rate for animation in animations)
    every = int(np.ceil(rate / look.most_rate - 1e-9))
    until = max(animation.start + animation.duration for animation in animations)
    camera, rotation, place, background = _stage(animations, look)
    colors = np.array([animation.color for animation in animations])
    faces = [animation.body.faces.cpu().numpy() for animation in animations]
    with VideoWriter(out, look.size, rate / every) as video:
        for number in range(0, max(1, round(until * rate)), every):
            indices = [round((number / rate - person.start) * person.frame_rate) for person in animations]
            there = [i for i, index in enumerate(indices) if 0 <= index < len(animations[i])]
            meshes = [((animations[i].vertices(indices[i]) - place) @ rotation.T).astype(np.float32) for i in there]
            shown = [faces[i] for i in there]
            video.write(overlay(background, meshes, shown, camera, colors[there], 1.0) if meshes else background)


def _stage(animations: Sequence[Animation], look: Look) -> tuple[Camera, np.ndarray, np.ndarray, np.ndarray]:
    """The camera, the rotation (3, 3) from y-up space to it, its place (3,), and the picture of the empty floor."""
    import cv2

    joints = np.concatenate([bvh_motion(person, unit="m").joint_positions().reshape(-1, 3) for person in animations])
    low, high = joints.min(0) - [look.margin, 0, look.margin], joints.max(0) + look.margin
    middle, half = (low + high) / 2, (high - low) / 2
    focal = max(look.size) / 2 / np.tan(np.radians(look.field_of_view) / 2)
    pitch = np.radians(look.pitch)
    back = np.array([0.0, np.sin(pitch), np.cos(pitch)])
    tilt = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    rotation = CAMERA_TO_Y_UP.double().numpy() @ tilt
    # Along the axis of the camera, what is nearest needs the most room.
    tall = half[1] * np.cos(pitch) + half[2] * np.sin(pitch)
    room = max(half[0] * focal / (look.size[0] / 2), tall * focal / (look.size[1] / 2))
    place = middle + back * (room + half[2] * np.cos(pitch) + half[1] * np.sin(pitch))
    camera = Camera(focal, size=look.size)
    background = np.empty((look.size[1], look.size[0], 3), np.uint8)
    background[:] = as_bytes(np.array(PAPER, np.float32))
    first, last = np.floor(low).astype(int) - 1, np.ceil(high).astype(int) + 1
    last[2] = max(first[2], min(last[2], int(np.floor(high[2] + look.margin))))  # nothing beside or behind the camera
    lines = [((x, z), (x, last[2])) for x in range(first[0], last[0] + 1) for z in (first[2],)]
    lines += [((first[0], z), (last[0], z)) for z in range(first[2], last[2] + 1)]
    ends = np.array([[(x, low[1], z) for x, z in line] for line in lines])
    screen = camera.project(torch.from_numpy((ends - place) @ rotation.T)).numpy()
    before = (screen[..., 2] > 0.1).all(1)
    pixels = np.rint(screen[before, :, :2] * 16).clip(-1e7, 1e7).astype(np.int32)
    cv2.polylines(background, list(pixels), False, look.line, 1, cv2.LINE_AA, 4)
    return camera, rotation, place, background
