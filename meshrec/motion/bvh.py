"""Reader of Biovision BVH motion files.

The format has no standard; its usual description is Meredith & Maddock 2001, "Motion Capture File Formats Explained".
A joint's Euler angles are intrinsic in the order of its CHANNELS line: ``Z X Y`` means R = Rz Rx Ry.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np

from meshrec.errors import InputError
from meshrec.files.regular import read_regular
from meshrec.motion.motion import Motion, Skeleton, euler_to_matrix

MOST_BYTES = 512 << 20  # of a file: a day of motion

_CHANNELS = {f"{axis}{kind}" for axis in "xyz" for kind in ("rotation", "position")}


def read_bvh(path: str | Path) -> Motion:
    r"""Read a BVH file.

    End sites become joints named ``<parent>_end``, further ones of the same parent ``<parent>_end2`` and so on, so that
    the last bones have a direction. The root's position is given by its position channels, and by its OFFSET only along
    axes without a channel. The positions of other joints have to be their OFFSET, or zero throughout, as some programs
    write them that mean the distance from it. Numbers may have a decimal comma.

    Returns:
        The motion, with lengths in the file's unit.

    Raises:
        InputError: The file is missing, malformed or cut short; the message names the line.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from meshrec.motion.bvh import read_bvh
        >>> skeleton = "HIERARCHY ROOT arm { OFFSET 0 0 0 CHANNELS 1 Zrotation End Site { OFFSET 2 0 0 } }"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.bvh").write_text(f"{skeleton}\nMOTION\nFrames: 1\nFrame Time: 0.1\n90\n")
        ...     motion = read_bvh(Path(folder, "a.bvh"))
        >>> motion.skeleton.names, motion.joint_positions()[0, 1].round().astype(int).tolist()
        (('arm', 'arm_end'), [0, 2, 0])
    """
    path = Path(path)
    try:
        lines = read_regular(path, MOST_BYTES).decode("utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"cannot read the BVH file {path}: {error.strerror}") from error
    start = next((i for i, line in enumerate(lines) if line.strip().upper() == "MOTION"), None)
    if start is None:
        raise InputError(f"{path} has no MOTION line: it is not a BVH file or was cut short")
    joints = _read_hierarchy(_Tokens(path, lines[:start]))
    values, frame_time = _read_frames(path, lines, start + 1, sum(len(joint.channels) for joint in joints))
    return _assemble(path, joints, values, frame_time)


@dataclass
class _Joint:
    name: str
    parent: int
    offset: list[float] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)


class _Tokens:
    """Hands out the words of lines one by one and keeps the line's number for error messages."""

    def __init__(self, path: Path, lines: list[str]):
        self._path, self._line = path, 1
        self._words = self._split(lines)

    def _split(self, lines: list[str]) -> Iterator[str]:
        for self._line, line in enumerate(lines, start=1):
            yield from line.split()

    def error(self, message: str) -> InputError:
        return InputError(f"{self._path} line {self._line}: {message}")

    def next(self, expected: str) -> str:
        word = next(self._words, None)
        if word is None:
            raise self.error(f"the skeleton ends where {expected} should follow")
        return word

    def expect(self, literal: str) -> None:
        word = self.next(literal)
        if word.upper() != literal:
            raise self.error(f"expected {literal}, found {word[:40]!r}")

    def number(self, expected: str) -> float:
        word = self.next(expected)
        try:
            value = _number(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(f"expected {expected}, found {word[:40]!r}")
        return value

    def end(self) -> None:
        word = next(self._words, None)
        if word is not None:
            raise self.error(f"expected MOTION, found {word[:40]!r}")


def _read_hierarchy(tokens: _Tokens) -> list[_Joint]:
    tokens.expect("HIERARCHY")
    tokens.expect("ROOT")
    joints = [_Joint(tokens.next("the root's name"), -1)]
    tokens.expect("{")
    names = {joints[0].name}
    open_joints = [0]  # the chain of joints whose braces are open
    while open_joints:
        joint = joints[open_joints[-1]]
        word = tokens.next("'}'")
        match word.upper():
            case "OFFSET":
                joint.offset = [tokens.number("a coordinate of OFFSET") for _ in range(3)]
            case "CHANNELS":
                many = tokens.number("the number of channels")
                if many not in range(len(_CHANNELS) + 1):
                    raise tokens.error(f"a joint has 0 to {len(_CHANNELS)} channels, not {many:g}")
                joint.channels = [tokens.next("a channel").lower() for _ in range(int(many))]
                if unknown := [channel for channel in joint.channels if channel not in _CHANNELS]:
                    raise tokens.error(
                        f"unknown channel {unknown[0][:40]!r} (a channel is e.g. Xposition or Zrotation)"
                    )
            case "JOINT" | "END":
                name = tokens.next("a joint's name")
                if word.upper() == "END":
                    name = _end_name(joint.name, names)
                if name in names:
                    raise tokens.error(f"a second joint is called {name[:40]!r}; names must differ")
                names.add(name)
                joints.append(_Joint(name, open_joints[-1]))
                tokens.expect("{")
                open_joints.append(len(joints) - 1)
            case "}":
                if not joint.offset:
                    raise tokens.error(f"joint {joint.name!r} has no OFFSET")
                open_joints.pop()
            case _:
                raise tokens.error(f"expected OFFSET, CHANNELS, JOINT, End Site or '}}', found {word[:40]!r}")
    tokens.end()
    return joints


def _end_name(parent: str, names: set[str]) -> str:
    """A name for an end site that no joint before it has."""
    if (first := f"{parent}_end") not in names:
        return first
    return next(name for number in count(2) if (name := f"{first}{number}") not in names)


def _number(word: str) -> float:
    """A number with a decimal point or, as some computers in Europe write it, a decimal comma."""
    return float(word.replace(",", ".") if word.count(",") == 1 else word)


def _read_frames(path: Path, lines: list[str], start: int, columns: int) -> tuple[np.ndarray, float]:
    """The (T, columns) numbers below MOTION and the frame time; ``start`` is the index of the first line below it."""
    numbered = [(i, line) for i, line in enumerate(lines[start:], start=start + 1) if line.strip()]
    if len(numbered) < 2:
        raise InputError(f"{path} line {start}: 'Frames:' and 'Frame Time:' must follow MOTION")
    announced = _header(path, *numbered[0], "frames:")
    frame_time = _header(path, *numbered[1], "frame time:")
    if not 0 < frame_time < math.inf:
        raise InputError(f"{path} line {numbered[1][0]}: the frame time must be positive, not {frame_time:g} seconds")
    rows = numbered[2:]
    if not rows:
        raise InputError(f"{path} holds no frames")
    if len(rows) != announced:
        raise InputError(f"{path} announces {announced:g} frames but holds {len(rows)}: it was cut short or edited")
    values = np.empty((len(rows), columns))
    for row, (i, line) in enumerate(rows):
        words = line.split()
        if len(words) != columns:
            raise InputError(f"{path} line {i}: {len(words)} numbers, but the skeleton has {columns} channels")
        try:
            values[row] = [_number(word) for word in words] if "," in line else words
        except ValueError as error:
            raise InputError(f"{path} line {i}: {str(error)[:80]}") from None
    if not (finite := np.isfinite(values).all(1)).all():
        raise InputError(f"{path} line {rows[int(np.argmin(finite))][0]}: a channel is not a finite number")
    return values, frame_time


def _header(path: Path, i: int, line: str, key: str) -> float:
    text = " ".join(line.split()).lower()
    try:
        if not text.startswith(key):
            raise ValueError
        return _number(text[len(key) :].strip())
    except ValueError:
        raise InputError(f"{path} line {i}: expected '{key}' and a number, found {line.strip()[:60]!r}") from None


def _assemble(path: Path, joints: list[_Joint], values: np.ndarray, frame_time: float) -> Motion:
    offsets = np.array([joint.offset for joint in joints])
    rotations = np.tile(np.eye(3), (len(values), len(joints), 1, 1))
    translation = np.tile(offsets[0], (len(values), 1))
    column, small = 0, 1e-3 * np.abs(offsets).max()
    for j, joint in enumerate(joints):
        channels = values[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        turns = [c for c, name in enumerate(joint.channels) if name.endswith("rotation")]
        axes = "".join(joint.channels[c][0] for c in turns)
        places = [c for c, name in enumerate(joint.channels) if name.endswith("position")]
        at_offset = j > 0 and (np.abs(channels[:, places]) < small).all()  # zero: the distance from the OFFSET
        rotations[:, j] = euler_to_matrix(np.deg2rad(channels[:, turns]), axes)
        for c, name in enumerate(joint.channels):
            if not name.endswith("position"):
                continue
            axis = "xyz".index(name[0])
            if j == 0:
                translation[:, axis] = channels[:, c]
            elif not at_offset and not np.allclose(channels[:, c], offsets[j, axis], atol=small):
                raise InputError(
                    f"{path}: joint {joint.name!r} moves away from its OFFSET; bones must keep their length"
                )
    skeleton = Skeleton(tuple(joint.name for joint in joints), np.array([joint.parent for joint in joints]), offsets)
    return Motion(skeleton, rotations, translation, frame_time)
