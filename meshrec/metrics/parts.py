"""Which joints, vertices and faces make up a part of the body. Left and right of joints and vertices are one part."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from meshrec.body.joints import joint_set

if TYPE_CHECKING:
    from meshrec.body import BodyModel

# The parts of which Lassner et al. 2017 label pictures, and SPIN and GraphCMR report silhouettes.
SILHOUETTE_PARTS = ("head", "torso", "left_arm", "right_arm", "left_leg", "right_leg")
_LIMBS = {"arm": ("shoulder", "elbow", "wrist", "hand"), "leg": ("hip", "knee", "ankle", "foot")}


def joint_parts(joints: str | Sequence[str]) -> dict[str, list[int]]:
    """The joints of a set (or of a list of names) by part: ``{"hip": [1, 4], "knee": [2, 5], ...}``."""
    return _grouped(joint_set(joints) if isinstance(joints, str) else joints)


def vertex_parts(body: "BodyModel") -> dict[str, list[int]]:
    """The vertices of a body by part, named after the joint that moves each most."""
    return _grouped(body.joint_names[joint] for joint in body.data.weights.argmax(1))


def face_parts(body: "BodyModel") -> np.ndarray:
    """(F,) of each face, the number in :data:`SILHOUETTE_PARTS` of the part that most of its corners belong to."""
    part_of_joint = np.array([SILHOUETTE_PARTS.index(_silhouette_part(name)) for name in body.joint_names])
    corners = np.sort(part_of_joint[body.part_labels][body.data.faces], axis=1)
    return corners[:, 1]  # of two alike in three, the middle one is one


def _silhouette_part(joint: str) -> str:
    side, _, name = joint.partition("_")
    for limb, joints in _LIMBS.items():
        if name in joints:
            return f"{side}_{limb}"
    return "head" if joint in ("neck", "head") else "torso"


def _grouped(names: Iterable[str]) -> dict[str, list[int]]:
    parts: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        sideless = "_".join(word for word in name.split("_") if word not in ("left", "right"))
        parts.setdefault(sideless, []).append(index)
    return parts
