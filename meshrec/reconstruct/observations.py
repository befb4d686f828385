"""What is seen in the frames of a clip, kept in a folder, so that memory stays flat and an interrupted run goes on."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from meshrec.body.state import BodyState
from meshrec.detect.people import Detection, Mask
from meshrec.detect.storage import detection_arrays, detections_of
from meshrec.errors import InputError
from meshrec.files.atomic import write_file
from meshrec.files.npz import read_npz
from meshrec.fit import Initial
from meshrec.fit.kept import Kept

FRAMES_A_FILE = 50
MASK_SIDE = 128  # of the maps in which masks are kept, pixels; the fit compares outlines on 112
KEPT_IN_MEMORY = ("number", "time", "scene", "turn", "zoom", "tracks", "counts")
FILES = re.compile(r"frames_\d{8}\.npz")

State = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Observed:
    """What is seen in one frame.

    Attributes:
        number: Number of the frame in the clip.
        time: Seconds.
        scene: Number of the scene.
        turn: (3, 3) rotation from the camera of the scene's first frame to that of this frame.
        zoom: Focal length over that of the scene's first frame.
        people: The people, by the number of their track.
        initial: A regressor's estimates of these people, in their order, where it needs the picture.
        colors: (N, 2, 3) colours of these people's clothes, where they are wanted.
    """

    number: int
    time: float
    scene: int
    turn: np.ndarray
    zoom: float
    people: dict[int, Detection]
    initial: Initial | None = None
    colors: np.ndarray | None = None


@dataclass(frozen=True)
class Glimpse:
    """A person in one frame, as it is kept.

    Attributes:
        detection: The person; the mask is compressed.
        colors: (2, 3) colours of the clothes; None if they were not wanted.
        initial: The regressor's estimate, where it needed the picture.
    """

    detection: Detection
    colors: np.ndarray | None = None
    initial: Initial | None = None


@dataclass(frozen=True)
class Seen:
    """One person in all frames between the first and the last in which they are seen, N of T of them.

    Attributes:
        frames: (T,) indices among all frames that were watched.
        present: (N,) indices among the T frames, of those in which the person is seen.
        detections: N detections.
        others: The other people in each of the T frames.
        initial: The regressor's N estimates, where it needed the pictures.
    """

    frames: np.ndarray
    present: np.ndarray
    detections: list[Detection]
    others: list[list[Detection]]
    initial: Initial | None

    @property
    def nearest(self) -> np.ndarray:
        """(T,) index of the detection in the nearest frame that has one."""
        middle = (self.present[1:] + self.present[:-1]) / 2
        return np.searchsorted(middle, np.arange(len(self.frames)))


class Observations:
    """The observations of a clip, in files of :data:`FRAMES_A_FILE` frames.

    Args:
        folder: Their folder. If it has observations, :meth:`add` continues them.

    Attributes:
        state: What the tracker and others wanted to remember with the last file; empty if there is none.

    Raises:
        InputError: A file in the folder is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state: State = {}
        self._files: list[Path] = []
        self._waiting: list[Observed] = []
        frames = []
        for path in sorted(p for p in folder.iterdir() if FILES.fullmatch(p.name)) if folder.is_dir() else ():
            arrays = _read(path)
            self._files.append(path)
            frames.append({name: arrays[name] for name in KEPT_IN_MEMORY})
            self.state = {name[6:]: value for name, value in arrays.items() if name.startswith("state.")}
        self._frames = frames

    def __len__(self) -> int:
        return sum(len(part["number"]) for part in self._frames) + len(self._waiting)

    @property
    def last(self) -> int | None:
        """Number of the last frame; None if there is none."""
        if self._waiting:
            return self._waiting[-1].number
        return int(self._frames[-1]["number"][-1]) if self._frames else None

    def add(self, frame: Observed) -> bool:
        """Add a frame. Returns whether it is time to :meth:`save`."""
        self._waiting.append(frame)
        return len(self._waiting) >= FRAMES_A_FILE

    def save(self, state: State) -> None:
        """Write the frames that are not yet written, and what to remember with them."""
        if not self._waiting:
            return
        people = [person for frame in self._waiting for person in frame.people.values()]
        frames = {
            "number": np.array([frame.number for frame in self._waiting]),
            "time": np.array([frame.time for frame in self._waiting]),
            "scene": np.array([frame.scene for frame in self._waiting]),
            "turn": np.stack([frame.turn for frame in self._waiting]),
            "zoom": np.array([frame.zoom for frame in self._waiting]),
            "tracks": np.array([track for frame in self._waiting for track in frame.people], np.int64),
            "counts": np.array([len(frame.people) for frame in self._waiting]),
        }
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            **frames,
            **detection_arrays(people, MASK_SIDE),
            **_initial_arrays([frame.initial for frame in self._waiting if frame.initial is not None]),
            **_color_arrays([frame.colors for frame in self._waiting if frame.colors is not None]),
            **{f"state.{name}": value for name, value in state.items()},
        )
        path = self.folder / f"frames_{len(self) - len(self._waiting):08d}.npz"
        self._files.append(write_file(path, stream.getvalue()))
        self._frames.append(frames)
        self._waiting = []
        self.state = state

    def of_frames(self, name: str) -> np.ndarray:
        """``number``, ``time``, ``scene``, ``turn`` or ``zoom`` of all frames that are written, (F, ...)."""
        return np.concatenate([part[name] for part in self._frames])

    def tracks(self) -> dict[int, np.ndarray]:
        """The tracks' numbers, and for each the indices of the frames in which the person is seen."""
        tracks = np.concatenate([part["tracks"] for part in self._frames]) if self._frames else np.zeros(0, int)
        counts = np.concatenate([part["counts"] for part in self._frames]) if self._frames else np.zeros(0, int)
        frames = np.repeat(np.arange(len(counts)), counts)
        return {int(track): frames[tracks == track] for track in np.unique(tracks)}

    def glimpses(self) -> Iterator[dict[int, Glimpse]]:
        """Everyone in each frame that is written, by the number of their track."""
        for path in self._files:
            arrays = _read(path)
            everyone = [_lean(detection) for detection in detections_of(arrays)]
            colors = list(arrays["colors"]) if "colors" in arrays else [None] * len(everyone)
            rows, initial = np.arange(len(everyone)), None
            if "rotations" in arrays:
                initial = _initial_of(arrays, rows)
            tracks, first = arrays["tracks"].tolist(), 0
            for count in arrays["counts"].tolist():
                own = range(first, first + count)
                yield {
                    tracks[i]: Glimpse(everyone[i], colors[i], None if initial is None else initial[i : i + 1])
                    for i in own
                }
                first += count

    def person(self, track: int) -> Seen:
        """Everything that was seen of one person."""
        present = self.tracks()[track]
        frames = np.arange(present[0], present[-1] + 1)
        detections: list[Detection] = []
        others: list[list[Detection]] = [[] for _ in frames]
        initials: list[Initial] = []
        first = 0
        for part, path in zip(self._frames, self._files):
            last = first + len(part["number"])
            if first <= present[-1] and last > present[0]:
                arrays = _read(path)
                everyone = [_lean(detection) for detection in detections_of(arrays)]
                where = np.repeat(np.arange(first, last), arrays["counts"]) - present[0]
                for row, frame in enumerate(where.tolist()):
                    if arrays["tracks"][row] == track:
                        detections.append(everyone[row])
                    elif 0 <= frame < len(frames):
                        others[frame].append(everyone[row])
                if "rotations" in arrays:
                    initials.append(_initial_of(arrays, np.flatnonzero(arrays["tracks"] == track)))
            first = last
        return Seen(frames, present - present[0], detections, others, joined(initials) if initials else None)

    def boxes(self) -> dict[int, list[Detection | None]]:
        """For each track a detection in all frames, with box and score alone; None where the person is not seen."""
        tracks: dict[int, list[Detection | None]] = {track: [None] * len(self) for track in self.tracks()}
        nothing, first = np.zeros((0, 3), np.float32), 0
        for part, path in zip(self._frames, self._files):
            arrays = _read(path)
            frames = np.repeat(np.arange(len(part["number"])), arrays["counts"]) + first
            for track, frame, box, score in zip(arrays["tracks"], frames, arrays["box"], arrays["score"]):
                tracks[int(track)][frame] = Detection(box, nothing, "", float(score))
            first += len(part["number"])
        return tracks


def kept_in(folder: Path) -> Kept:
    """Keeps parts of a fit in a folder, one file each, for :class:`meshrec.fit.sequence.SequenceFitter`.

    A damaged file counts as none.

    Args:
        folder: The folder of the fit of one person; it is made when there is something to keep.
    """

    def kept(name: str, make: Callable[[], dict[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
        path = folder / f"{name}.npz"
        with suppress(InputError):
            return read_npz(path)
        arrays, stream = make(), io.BytesIO()
        np.savez(stream, **arrays)
        write_file(path, stream.getvalue())
        return arrays

    return kept


def _lean(person: Detection) -> Detection:
    """A detection that keeps no array of its file alive."""
    mask = None if person.mask is None else PackedMask(person.mask)
    return replace(person, box=person.box.copy(), keypoints=person.keypoints.copy(), mask=mask)


def _read(path: Path) -> dict[str, np.ndarray]:
    arrays = read_npz(path)
    if not {*KEPT_IN_MEMORY, "box", "score"} <= arrays.keys():
        raise InputError(f"{path} is damaged; delete {path.parent} and start again.")
    return arrays


def _color_arrays(colors: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {"colors": np.concatenate(colors)} if colors else {}


def _initial_arrays(initials: list[Initial]) -> dict[str, np.ndarray]:
    if not initials:
        return {}
    everyone = joined(initials)
    whiten = everyone.whiten if everyone.whiten.stride(0) else everyone.whiten[:1]
    parts = {**everyone.state.parts, "whiten": whiten}
    return {name: part.float().numpy() for name, part in parts.items()}


def _initial_of(arrays: Mapping[str, np.ndarray], rows: np.ndarray) -> Initial:
    state = (torch.from_numpy(arrays[name][rows]).double() for name in ("rotations", "translation", "betas"))
    whiten = torch.from_numpy(arrays["whiten"])
    same = len(whiten) == 1 < len(arrays["rotations"])
    return Initial(BodyState(*state), whiten.expand(len(rows), -1, -1) if same else whiten[rows])


def joined(initials: Sequence[Initial]) -> Initial:
    """The estimates of several people, or of one in several frames, one after the other.

    Where the uncertainty of all is the same, as a regressor without one of its own has it, it is an expanded tensor,
    which takes no memory: at 28 KB an estimate it is otherwise most of what a long clip keeps.
    """
    states = [initial.state.parts for initial in initials]
    state = BodyState(**{name: torch.cat([one[name] for one in states]) for name in states[0]})
    first = initials[0].whiten[:1]
    if all(torch.equal(initial.whiten, first.expand_as(initial.whiten)) for initial in initials):
        return Initial(state, first.clone().expand(len(state), -1, -1))
    return Initial(state, torch.cat([initial.whiten for initial in initials]))


class PackedMask(Mask):
    """A mask that is compressed in memory, since a long clip has one for each person in each frame.

    Args:
        mask: The mask.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect import Mask
        >>> from meshrec.reconstruct.observations import PackedMask
        >>> mask = Mask(np.eye(128, dtype=np.uint8), np.array([0, 0, 64, 64]))
        >>> bool((PackedMask(mask).values == mask.values).all())
        True
    """

    def __init__(self, mask: Mask) -> None:
        object.__setattr__(self, "box", mask.box.copy())
        object.__setattr__(self, "_shape", mask.values.shape)
        object.__setattr__(self, "_packed", zlib.compress(mask.values.tobytes(), 1))

    def moved(self, shift: np.ndarray) -> PackedMask:
        """The same mask elsewhere in the picture; ``shift``: (2,) x, y in pixels."""
        other = copy(self)
        object.__setattr__(other, "box", (self.box + np.tile(shift, 2)).astype(self.box.dtype))
        return other

    @property
    def values(self) -> np.ndarray:
        """(h, w) uint8, unpacked each time."""
        return np.frombuffer(zlib.decompress(self._packed), np.uint8).reshape(self._shape)  # type: ignore[attr-defined]
