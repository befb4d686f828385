"""The picture track of a clip: its frames with the meshes on them, and everybody from the side."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import cv2
import numpy as np

from meshrec.errors import InputError
from meshrec.files.atomic import write_file
from meshrec.files.clips import Clip
from meshrec.files.npz import read_npz
from meshrec.files.videos import VideoWriter, join_videos
from meshrec.geometry import Placement, camera_to_y_up
from meshrec.reconstruct.timing import is_constant
from meshrec.reconstruct.track import Track
from meshrec.render.overlay import PAPER, as_bytes, overlay, person_colors, turned

TALLEST = 720  # pixels of a frame in the video; larger ones are shrunk
SIDE_ASPECT = 0.6  # width over height of the view from the side
LEAST_VIEW = 2.6  # metres that the height of the view from the side shows
MARGIN = 0.6  # metres around the pelvises that the view from the side shows too, on each side
AT_ONCE = 32  # frames whose bodies are posed at a time
FRAMES_A_PART = 50  # of the video, which an interrupted run keeps


def write_clip_video(
    path: Path, clip: Clip, tracks: Sequence[Track], places: Sequence[Placement], work: Path
) -> Iterator[int]:
    """Draw a clip's people on its frames, and everybody from the side, into a video.

    The video is drawn in parts of :data:`FRAMES_A_PART` frames, which are joined in the end, so that an interrupted run
    loses no more than one of them. Its frames are shown at the times of the clip's, from 0; where these are those of a
    constant rate, it has this rate exactly.

    Args:
        path: The ``.mp4`` file.
        clip: The clip.
        tracks: At least one track in it.
        places: From the world of each track to its floor, on which the view from the side shows it.
        work: The folder for the parts. Those that it has, from an interrupted call with the same arguments, are not
            drawn again.

    Yields:
        The number of frames that are drawn, after each frame.

    Raises:
        InputError: The clip cannot be read, or the files cannot be written.
    """
    width, height = clip.size
    scale = min(1.0, TALLEST / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    drawing = _Drawing(tracks, places, size)
    parts, numbers, times = _drawn_parts(work)
    frames = clip.after(int(numbers[-1])) if len(numbers) else iter(clip)
    while part := list(islice(frames, 1)):
        name = work / f"drawn_{len(numbers):08d}.mp4"
        own = []
        with VideoWriter(name, (size[0] + drawing.panel[0], size[1]), clip.rate) as video:
            for frame in chain(part, islice(frames, FRAMES_A_PART - 1)):
                small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA) if scale < 1 else frame.image
                video.write(np.concatenate(drawing.of_frame(frame.number, small), axis=1))
                own.append((frame.number, frame.time))
                yield len(numbers) + len(own)
        parts.append(name)
        numbers = np.append(numbers, [number for number, _ in own])
        times = np.append(times, [time for _, time in own])
        _keep(name, numbers[-len(own) :], times[-len(own) :])
    if not parts:
        raise InputError(f"{clip.path}: the clip has no frames.")
    join_videos(parts, path, clip.rate, None if is_constant(times, clip.rate) else times)


def _keep(part: Path, numbers: np.ndarray, times: np.ndarray) -> None:
    """Write numbers and times of the frames of a part beside it, which shows that the part is whole."""
    stream = io.BytesIO()
    np.savez(stream, number=numbers, time=times)
    write_file(part.with_suffix(".npz"), stream.getvalue())


def _drawn_parts(work: Path) -> tuple[list[Path], np.ndarray, np.ndarray]:
    """The parts that are there, and the numbers and times of all their frames."""
    parts, numbers, times = [], np.zeros(0, np.int64), np.zeros(0)
    while (part := work / f"drawn_{len(numbers):08d}.mp4").is_file():
        try:
            own = read_npz(part.with_suffix(".npz"))
            numbers, times = np.append(numbers, own["number"]), np.append(times, own["time"])
        except (InputError, KeyError):
            break
        parts.append(part)
    return parts, numbers, times


class _Drawing:
    """Draws the people of a clip, frame by frame.

    Args:
        tracks: The tracks.
        places: From the world of each to its floor.
        size: (width, height) of the frames, pixels.

    Attributes:
        panel: (width, height) of the view from the side.
    """

    def __init__(self, tracks: Sequence[Track], places: Sequence[Placement], size: tuple[int, int]) -> None:
        self.panel = round(size[1] * SIDE_ASPECT), size[1]
        self._size, self._tracks, self._places = size, tracks, places
        self._colors = person_colors(len(tracks))
        self._faces = tracks[0].body.faces
        # In the world, so that a camera that turns does not turn the people.
        self._pelvises = [
            camera_to_y_up(place.points(track.in_world()[1] + track.pelvis))
            for place, track in zip(self._places, tracks)
        ]
        self._metres = _view_height(tracks, self._pelvises)
        self._posers = [_Poser(track) for track in tracks]

    def of_frame(self, number: int, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A frame with the meshes on it, and everybody from the side, uint8 RGB.

        Args:
            number: Number of the frame in the clip.
            picture: (H, W, 3) uint8 RGB, the frame.
        """
        here = [(i, p.index[number]) for i, p in enumerate(self._posers) if number in p.index]
        if not here:
            width, height = self.panel
            return picture, np.broadcast_to(as_bytes(np.array(PAPER)), (height, width, 3))
        vertices = [self._posers[i].vertices(index) for i, index in here]
        colors = self._colors[[i for i, _ in here]]
        first, index = here[0]
        camera = self._tracks[first].person(index).camera
        assert camera is not None
        drawn = overlay(picture, vertices, self._faces, camera.resized(self._size), colors, samples=1)
        upright = [
            camera_to_y_up(self._places[i].points(mesh @ self._tracks[i].turns[k]))
            for mesh, (i, k) in zip(vertices, here)
        ]
        middle = np.mean([self._pelvises[i][k] for i, k in here], axis=0).tolist()
        side = turned(upright, self._faces, "side", self.panel, colors, (middle, self._metres), samples=1)
        return drawn, side


class _Poser:
    """The vertices of a track's frames, posed in batches as they are asked for in order."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self.index = {int(frame): index for index, frame in enumerate(track.frames)}
        self._first, self._posed = 0, np.zeros((0, 0, 3), np.float32)

    def vertices(self, index: int) -> np.ndarray:
        """(V, 3) in the camera space of the frame."""
        first = index - index % AT_ONCE  # the same frames together wherever drawing begins, as sums are rounded
        if first != self._first or not len(self._posed):
            self._first = first
            self._posed = self.track.vertices(slice(first, first + AT_ONCE))
        return self._posed[index - self._first]


def _view_height(tracks: Sequence[Track], pelvises: Sequence[np.ndarray]) -> float:
    """Metres that the view from the side shows of its height, so that everybody in each frame is in it."""
    frames = np.unique(np.concatenate([track.frames for track in tracks]))
    places = np.full((len(tracks), len(frames), 3), np.nan)
    for i, track in enumerate(tracks):
        places[i, np.searchsorted(frames, track.frames)] = pelvises[i]
    around = np.abs(places - np.nanmean(places, axis=0))
    depth, height = np.nanmax(around[..., 2]) + MARGIN, np.nanmax(around[..., 1])
    return float(max(LEAST_VIEW, 2 * depth / SIDE_ASPECT, LEAST_VIEW + 2 * height))
