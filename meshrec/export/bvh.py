"""Writing motions as Biovision BVH files, the inverse of :func:`meshrec.motion.bvh.read_bvh`.

The root has the channels ``Xposition Yposition Zposition Zrotation Xrotation Yrotation``, every other joint the three
rotations in the same order, R = Rz Rx Ry, which is that of most files. The root's OFFSET is zero, so that its position
channels are its place in the world for readers that add the OFFSET too.
"""

import os
from pathlib import Path

import numpy as np
from numpy import ndarray

from meshrec.files.atomic import known_suffix, write_file
from meshrec.motion.motion import Motion, continuous_euler, matrix_to_euler

ORDER = "ZXY"
_ROTATIONS = " ".join(f"{axis}rotation" for axis in ORDER)
_POSITIONS = " ".join(f"{axis}position" for axis in "XYZ")


def write_bvh(path: str | os.PathLike, motion: Motion) -> Path:
    """Write a motion. Lengths stay in its unit; centimetres are usual.

    Angles have six digits behind the point, lengths eight: neither loses what can be seen.

    Args:
        path: The file, ending in .bvh.
        motion: The motion. A joint without children whose name is its parent's with ``_end`` becomes an End Site.

    Returns:
        The path.

    Raises:
        InputError: The suffix is another one, or the file cannot be written.
        ValueError: A joint's name has a space in it, or there are no frames.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from meshrec.export import write_bvh
        >>> from meshrec.motion.bvh import read_bvh
        >>> from meshrec.motion.motion import Motion, Skeleton
        >>> arm = Skeleton(("arm", "arm_end"), np.array([-1, 0]), np.array([[0.0, 0.0, 0.0], [60.0, 0.0, 0.0]]))
        >>> still = Motion(arm, np.tile(np.eye(3), (5, 2, 1, 1)), np.tile([0.0, 140.0, 0.0], (5, 1)), 1 / 30)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     read_bvh(write_bvh(f"{folder}/arm.bvh", still)).joint_positions()[4].tolist()
        [[0.0, 140.0, 0.0], [60.0, 140.0, 0.0]]
    """
    known_suffix(path, (".bvh",))
    names, parents = motion.skeleton.names, motion.skeleton.parents.tolist()
    if any(len(name.split()) != 1 for name in names):
        raise ValueError("names of joints in a .bvh must be words without spaces")
    if not len(motion):
        raise ValueError("a motion needs at least one frame")
    children = [[child for child, parent in enumerate(parents) if parent == joint] for joint in range(len(names))]
    ends = {joint for joint in range(1, len(names)) if _is_end(names, parents, children, joint)}
    lines, order = ["HIERARCHY"], []

    def add(joint: int, indent: str) -> None:
        end = joint in ends
        lines.append(indent + ("End Site" if end else f"{'JOINT' if indent else 'ROOT'} {names[joint]}"))
        offset = motion.skeleton.offsets[joint] if indent else np.zeros(3)
        lines.extend((f"{indent}{{", f"{indent}\tOFFSET {_row(offset)}"))
        if not end:
            order.append(joint)
            channels = f"3 {_ROTATIONS}" if indent else f"6 {_POSITIONS} {_ROTATIONS}"
            lines.append(f"{indent}\tCHANNELS {channels}")
        for child in children[joint]:
            add(child, indent + "\t")
        lines.append(f"{indent}}}")

    add(0, "")
    angles = np.rad2deg(continuous_euler(matrix_to_euler(motion.rotations[:, order], ORDER)))
    lines += ["MOTION", f"Frames: {len(motion)}", f"Frame Time: {motion.frame_time:.12f}"]
    lines += [f"{_row(place)} {_row(turns.ravel(), 6)}" for place, turns in zip(motion.translation, angles)]
    return write_file(path, ("\n".join(lines) + "\n").encode())


def _is_end(names: tuple[str, ...], parents: list[int], children: list[list[int]], joint: int) -> bool:
    return not children[joint] and names[joint].startswith(f"{names[parents[joint]]}_end")


def _row(values: ndarray, digits: int = 8) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values.tolist())
