"""Which joints, and which vertices, make up a part of the body. Left and right are one part."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from meshrec.body.joints import joint_set

if TYPE_CHECKING:
    from meshrec.body import BodyModel


def joint_parts(joints: str | Sequence[str]) -> dict[str, list[int]]:
    """The joints of a set (or of a list of names) by part: ``{"hip": [1, 4], "knee": [2, 5], ...}``."""
    return _grouped(joint_set(joints) if isinstance(joints, str) else joints)


def vertex_parts(body: "BodyModel") -> dict[str, list[int]]:
    """The vertices of a body by part, named after the joint that moves each most."""
    return _grouped(body.joint_names[joint] for joint in body.data.weights.argmax(1))


def _grouped(names: Iterable[str]) -> dict[str, list[int]]:
    parts: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        sideless = "_".join(word for word in name.split("_") if word not in ("left", "right"))
        parts.setdefault(sideless, []).append(index)
    return parts
