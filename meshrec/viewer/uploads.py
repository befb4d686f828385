"""A photo or clip that somebody has uploaded: its limits, and the files that are made of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from meshrec.errors import InputError, MeshrecError
from meshrec.export import Animation, write_animated_scene, write_animation
from meshrec.files import read_photo
from meshrec.files.clips import is_clip, open_clip
from meshrec.geometry import axis_angle_to_matrix
from meshrec.jobs.plan import Job, Outcome, Progress, request_of
from meshrec.jobs.results import OVERLAY, RECORD
from meshrec.jobs.settings import Settings
from meshrec.jobs.thumbnails import thumbnail_name
from meshrec.jobs.work import work_on
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.render.overlay import person_colors

TURN_SECONDS, TURN_RATE = 8.0, 8.0  # of a full turn of the model, and its keys a second
TURNING = "turning.glb"


@dataclass(frozen=True)
class Limits:
    """Limits on what may be uploaded.

    Attributes:
        file_bytes: Size of a file.
        pixels: Pixels of a photo, or of a frame of a clip.
        seconds: Length of a clip.
        frames: Frames of a clip.
        waiting: Number of uploads that may wait for their turn; more are refused.
        kept_seconds: How long files stay for somebody who does not close the page.
    """

    file_bytes: int = 32 << 20
    pixels: int = 50_000_000
    seconds: float = 10.0
    frames: int = 300
    waiting: int = 16
    kept_seconds: int = 900


@dataclass(frozen=True)
class Made:
    """What was made of an upload.

    Attributes:
        summary: A sentence on what was found.
        overlay: The picture, or of a clip the video, with the bodies on it and from the side; None if nobody was found.
        model: A GLB to look at: of a photo everybody turning, of a clip everybody moving; None if nobody was found.
        files: All files to download.
        clip: Whether the upload was a clip.
    """

    summary: str
    overlay: Path | None
    model: Path | None
    files: tuple[Path, ...]
    clip: bool


def reconstruct_upload(
    file: Path, folder: Path, reconstructor: Reconstructor, settings: Settings, limits: Limits
) -> Iterator[Progress | Made]:
    """Reconstruct everyone in an upload.

    Args:
        file: The uploaded file.
        folder: An empty folder for the results.
        reconstructor: What reconstructs.
        settings: Its settings, for the results.
        limits: What is allowed.

    Yields:
        How far a clip is, and at last what was made.

    Raises:
        InputError: The file is too large, is no photo or clip, or its results cannot be written. The sentence names it
            without its folder.
    """
    try:
        clip = _checked(file, limits)
        request = request_of(settings) | {"formats": sorted(settings.formats), "skinned": settings.skinned}
        for message in work_on(Job(file, folder, request, clip=clip), reconstructor, settings):
            if isinstance(message, Progress):
                yield message
            elif message.error is not None:
                raise InputError(message.error)
            else:
                yield _made(message, folder, reconstructor)
    except MeshrecError as error:
        raise InputError(str(error).replace(str(file), file.name).replace(str(folder), "the folder")) from error


def turning(people: Sequence[Person]) -> list[Animation]:
    """People who stand still as the camera saw them, and turn together about the vertical line between them.

    Args:
        people: At least one person.

    Returns:
        An animation of one full turn for each.

    Example:
        >>> import numpy as np
        >>> from meshrec import Person, load_body
        >>> still = np.tile(np.diag([1, -1, -1]), (24, 1, 1)).astype(np.float32)
        >>> still[1:] = np.eye(3)
        >>> person = Person(load_body("neutral"), np.zeros(10, np.float32), still, np.array([0, 0, 4], np.float32))
        >>> turning([person])[0].duration
        8.125
    """
    count = round(TURN_SECONDS * TURN_RATE) + 1  # the last frame is the first one again
    angles = torch.arange(count, dtype=torch.float64) * (2 * math.pi / (count - 1))
    turns = axis_angle_to_matrix(torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64) * angles[:, None]).numpy()
    standing = [person.skinned() for person in people]
    pelvises = np.stack([np.asarray(body.translation) + body.rig.joints[0] for body in standing])
    middle = pelvises.mean(0)
    colors = person_colors(len(people)).tolist()
    animations = []
    for number, (person, body, pelvis) in enumerate(zip(people, standing, pelvises)):
        rotations = np.tile(np.asarray(body.pose, np.float64), (count, 1, 1, 1))
        rotations[:, 0] = turns @ rotations[:, 0]
        moved = turns @ (pelvis - middle) - body.rig.joints[0]
        name, color = f"person_{number}", tuple(colors[number])
        animations.append(Animation(person.body, person.betas, rotations, moved, TURN_RATE, name, color))
    return animations


def _checked(file: Path, limits: Limits) -> bool:
    """Whether an upload is a clip.

    Raises:
        InputError: It exceeds the limits or is damaged.
    """
    size = file.stat().st_size
    if size > limits.file_bytes:
        raise InputError(
            f"{file}: the file has {size / (1 << 20):.0f} MiB; up to {limits.file_bytes >> 20} MiB can be uploaded."
        )
    if not is_clip(file):
        _check_pixels(file, read_photo(file).image.shape[1::-1], limits)
        return False
    clip = open_clip(file)
    _check_pixels(file, clip.size, limits)
    if clip.count is None or clip.times is None:
        raise InputError(f"{file}: this video does not tell its length; save it as MP4.")
    seconds = float(clip.times[-1] - clip.times[0]) if clip.count else 0.0
    if seconds > limits.seconds or clip.count > limits.frames:
        raise InputError(
            f"{file}: the clip has {seconds:.1f} seconds and {clip.count} frames; up to {limits.seconds:g} seconds and "
            f"{limits.frames} frames can be uploaded."
        )
    return True


def _check_pixels(file: Path, size: tuple[int, ...], limits: Limits) -> None:
    if size[0] * size[1] > limits.pixels:
        raise InputError(f"{file}: {size[0]} x {size[1]} pixels are too many; up to {limits.pixels:,} can be uploaded.")


def _made(outcome: Outcome, folder: Path, reconstructor: Reconstructor) -> Made:
    """What to show of finished results, with the files that an upload gets in addition."""
    count = outcome.people or 0
    found = "Nobody was found" if not count else f"{count} {'person' if count == 1 else 'people'}"
    summary = "; ".join([f"{found} in {outcome.source.name}", *outcome.notes]).rstrip(".") + "."
    record = folder / ("clip.json" if outcome.clip else RECORD)
    record.unlink()  # it names folders of the server
    (folder / thumbnail_name(OVERLAY)).unlink(missing_ok=True)
    if not count:
        return Made(summary, None, None, (), outcome.clip)
    if outcome.clip:
        overlay, model = folder / "overlay.mp4", folder / ("scene.glb" if count > 1 else "track_0.glb")
    else:
        overlay, model = folder / OVERLAY, folder / TURNING
        people = [Person.load(folder / f"person_{i}.json", reconstructor.body) for i in range(count)]
        animations = turning(people)
        write_animated_scene(model, animations)
        for i, animation in enumerate(animations):
            still = replace(animation, rotations=animation.rotations[:1], translation=animation.translation[:1])
            write_animation(folder / f"person_{i}.bvh", still)
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return Made(summary, overlay, model, tuple(files), outcome.clip)
