"""Reader of Acclaim motion: a skeleton (.asf) and its motion (.amc).

A bone has a direction and a length in the world at rest, and its own axes C, about which its degrees of freedom rotate.
With angles about x, y and z applied in that order, M = Rz Ry Rx, its rotation relative to its parent is C M C^-1
(Lander 1998, "Working with Motion Capture File Formats", Game Developer).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from meshrec.errors import InputError
from meshrec.files.regular import read_regular
from meshrec.motion.motion import Motion, Skeleton, euler_to_matrix

MOST_BYTES = 512 << 20  # of a file: a day of motion
LARGEST = 1e9  # absolute value of any number in a skeleton: sines of larger angles have no precision left


@dataclass(frozen=True)
class AcclaimSkeleton:
    """A skeleton with the axes and degrees of freedom of its bones.

    Attributes:
        skeleton: The joints. Joint ``b`` is the *start* of bone ``b``, about which the bone rotates. The tip of a bone
            that no other follows is a joint named ``<bone>_end``.
        axes: (J, 3, 3) the axes C of each bone in the world at rest.
        degrees_of_freedom: For each joint, the channels of its lines in an .amc file, e.g. ("rx", "rz").
    """

    skeleton: Skeleton
    axes: ndarray
    degrees_of_freedom: tuple[tuple[str, ...], ...]


def read_acclaim(asf: str | Path, amc: str | Path, frame_time: float = 1 / 120) -> Motion:
    r"""Read a take and its skeleton.

    Args:
        asf: The file of the skeleton.
        amc: The file of the take.
        frame_time: Seconds between frames, which the files do not give. CMU records at 120 Hz.

    Returns:
        The motion, with lengths in the files' unit.

    Raises:
        InputError: A file is missing or malformed, or the two do not belong together; the message names the line.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from meshrec.motion.acclaim import read_acclaim
        >>> asf = ":root\norder rz\n:bonedata\nname arm\ndirection 1 0 0\nlength 2\n:hierarchy\nroot arm\n"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.asf").write_text(asf), Path(folder, "a.amc").write_text("1\nroot 90\n")
        ...     motion = read_acclaim(Path(folder, "a.asf"), Path(folder, "a.amc"))
        >>> motion.skeleton.names, motion.joint_positions()[0, 2].round().astype(int).tolist()
        (('root', 'arm', 'arm_end'), [0, 2, 0])
    """
    source = read_asf(asf)
    frames, values = _read_amc(Path(amc), source)
    skeleton = source.skeleton
    rotations = np.tile(np.eye(3), (frames, len(skeleton.names), 1, 1))
    translation = np.tile(skeleton.offsets[0], (frames, 1))
    for joint, channels in enumerate(source.degrees_of_freedom):
        if not channels:
            continue
        columns = values[skeleton.names[joint]]
        # The file applies its angles in the order written, so that the last is the outermost.
        outermost_first = [c for c, channel in enumerate(channels) if channel[0] == "r"][::-1]
        turn = euler_to_matrix(columns[:, outermost_first], "".join(channels[c][1] for c in outermost_first))
        rotations[:, joint] = source.axes[joint] @ turn @ source.axes[joint].T
        for c, channel in enumerate(channels):
            if channel[0] == "t":
                translation[:, "xyz".index(channel[1])] += columns[:, c]
    return Motion(skeleton, rotations, translation, frame_time)


def read_asf(path: str | Path) -> AcclaimSkeleton:
    """Read an Acclaim skeleton; lengths stay in the file's unit.

    Raises:
        InputError: The file is missing or malformed; the message names the line.
    """
    path = Path(path)
    bones: dict[str, _Bone] = {}
    parents: dict[str, str] = {}
    root = _Bone("root", axis_order="xyz")
    bone, section, to_radians = root, "", np.deg2rad(1.0)
    for i, words in _lines(path):
        key, *rest = words
        try:
            if key.startswith(":"):
                section, bone = key[1:].lower(), root
            elif section == "units" and key == "angle":
                to_radians = _unit(rest[0])
            elif section == "root" and key == "order":
                root.dof = tuple(word.lower() for word in rest)
            elif section == "root" and key == "axis":
                root.axis_order = rest[0].lower()
            elif section == "root" and key == "orientation":
                root.axis = _three(rest)
            elif section == "root" and key == "position":
                root.position = _three(rest)
            elif section == "bonedata" and key == "name":
                if rest[0] in bones or rest[0] == "root":
                    raise ValueError(f"a second bone is called {rest[0]!r}")
                bone = bones[rest[0]] = _Bone(rest[0])
            elif section == "bonedata" and key == "direction":
                bone.direction = _three(rest)
            elif section == "bonedata" and key == "length":
                bone.length = _number(rest[0])
            elif section == "bonedata" and key == "axis":
                bone.axis, bone.axis_order = _three(rest[:3]), rest[3].lower()
            elif section == "bonedata" and key == "dof":
                bone.dof = tuple(word.lower() for word in rest)
            elif section == "hierarchy" and key not in ("begin", "end"):
                if key != "root" and key not in bones:
                    raise ValueError(f"the hierarchy names bone {key!r}, which bonedata lacks")
                for child in rest:
                    if child not in bones:
                        raise ValueError(f"the hierarchy names bone {child!r}, which bonedata lacks")
                    if child in parents:
                        raise ValueError(f"bone {child!r} has two parents")
                    parents[child] = key
            bone.check()
        except IndexError:
            raise InputError(f"{path} line {i}: {key!r} lacks its values") from None
        except ValueError as error:
            raise InputError(f"{path} line {i}: {error}") from None
    if not bones or not parents:
        raise InputError(f"{path} is not an Acclaim skeleton: it needs :bonedata and :hierarchy sections")
    return _assemble(path, {"root": root, **bones}, parents, to_radians)


@dataclass
class _Bone:
    name: str
    direction: tuple[float, ...] = (0.0, 0.0, 0.0)
    length: float = 0.0
    axis: tuple[float, ...] = (0.0, 0.0, 0.0)
    axis_order: str = "xyz"
    dof: tuple[str, ...] = ()
    position: tuple[float, ...] = (0.0, 0.0, 0.0)  # of the root only

    def check(self) -> None:
        if sorted(self.axis_order) != ["x", "y", "z"]:
            raise ValueError(f"the axis order of bone {self.name!r} must name x, y and z, not {self.axis_order!r}")
        allowed = ("rx", "ry", "rz", "tx", "ty", "tz") if self.name == "root" else ("rx", "ry", "rz")
        if wrong := [d for d in self.dof if d not in allowed]:
            raise ValueError(f"bone {self.name!r} has the degree of freedom {wrong[0]!r}; allowed are {allowed}")
        if len(set(self.dof)) < len(self.dof):
            raise ValueError(f"bone {self.name!r} has a degree of freedom twice")


def _assemble(path: Path, bones: dict[str, _Bone], parents: dict[str, str], to_radians: float) -> AcclaimSkeleton:
    children: dict[str, list[str]] = {name: [] for name in bones}
    for child, parent in parents.items():
        children[parent].append(child)
    names, indices, offsets, order = ["root"], [-1], [bones["root"].position], ["root"]
    tips: list[str] = []
    for parent in order:  # the list grows in the loop: breadth first, so that parents come before children
        order.extend(children[parent])
        bone = bones[parent]
        tip = tuple(bone.length * d for d in bone.direction)
        for child in children[parent] or [f"{parent}_end"]:
            names.append(child)
            indices.append(names.index(parent))
            offsets.append(tip)
        if not children[parent]:
            tips.append(f"{parent}_end")
    if missing := [name for name in bones if name not in order]:
        raise InputError(f"{path}: bone {missing[0]!r} does not hang on the root; the hierarchy must reach every bone")
    starting = [bones.get(name, _Bone(name)) for name in names]  # the bone that starts at each joint; none at a tip
    axes = [euler_to_matrix(np.multiply(bone.axis[::-1], to_radians), bone.axis_order[::-1]) for bone in starting]
    skeleton = Skeleton(tuple(names), np.array(indices), np.array(offsets))
    return AcclaimSkeleton(skeleton, np.stack(axes), tuple(bone.dof for bone in starting))


def _read_amc(path: Path, source: AcclaimSkeleton) -> tuple[int, dict[str, ndarray]]:
    """The number of frames T and the values (T, n) of each moving bone: radians, and lengths in the file's unit."""
    channels = {name: dof for name, dof in zip(source.skeleton.names, source.degrees_of_freedom) if dof}
    rows: dict[str, list[list[str]]] = {name: [] for name in channels}
    to_radians, frames, i = np.deg2rad(1.0), 0, 0

    def check_complete() -> None:
        if short := next((name for name in rows if len(rows[name]) != frames), None):
            raise InputError(f"{path} line {i}: frame {frames} has no values for bone {short!r} or has them twice")

    for i, words in _lines(path):
        key, *values = words
        if key.startswith(":"):
            to_radians = 1.0 if key.lower() == ":radians" else to_radians
        elif not values and key.isdigit():
            check_complete()
            frames += 1
        elif not frames:
            raise InputError(f"{path} line {i}: {key!r} stands before the first frame's number")
        elif key not in rows:
            raise InputError(
                f"{path} line {i}: bone {key!r} does not move in this skeleton; is it the take's own .asf?"
            )
        elif len(values) != len(channels[key]):
            wanted = " ".join(channels[key])
            raise InputError(f"{path} line {i}: bone {key!r} needs {wanted}, found {len(values)} values")
        else:
            rows[key].append(values)
    check_complete()
    if not frames:
        raise InputError(f"{path} holds no frames: it is not an Acclaim take")
    return frames, {name: _numbers(path, name, rows[name], channels[name], to_radians) for name in rows}


def _numbers(path: Path, name: str, rows: list[list[str]], channels: tuple[str, ...], to_radians: float) -> ndarray:
    try:
        values = np.array(rows, dtype=float)
    except ValueError as error:
        raise InputError(f"{path}: bone {name!r}: {error}") from None
    if not (finite := np.isfinite(values).all(1)).all():
        raise InputError(f"{path}: bone {name!r} in frame {int(np.argmin(finite)) + 1} is not a finite number")
    return values * [to_radians if channel[0] == "r" else 1.0 for channel in channels]


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Line numbers and words of the lines that are neither empty nor comments."""
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    split = ((i, line.split()) for i, line in enumerate(text.splitlines(), start=1))
    return [(i, words) for i, words in split if words and not words[0].startswith("#")]


def _unit(word: str) -> float:
    if word not in ("deg", "rad"):
        raise ValueError(f"angles are in 'deg' or 'rad', not {word!r}")
    return np.deg2rad(1.0) if word == "deg" else 1.0


def _three(words: list[str]) -> tuple[float, ...]:
    if len(words) != 3:
        raise ValueError(f"expected three numbers, found {' '.join(words) or 'nothing'}")
    return tuple(_number(word) for word in words)


def _number(word: str) -> float:
    value = float(word)
    if not abs(value) < LARGEST:
        raise ValueError(f"{word} is not a finite number")
    return value
