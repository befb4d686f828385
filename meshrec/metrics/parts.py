"""The joints, vertices and faces of each part of the body. Parts of joints and vertices do not tell left from right."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from meshrec.body.joints import joint_set

if TYPE_CHECKING:
    from meshrec.body import BodyModel

# The parts that Lassner et al. 2017 label in pictures, and for which SPIN and GraphCMR report the overlap.
SILHOUETTE_PARTS = ("head", "torso", "left_arm", "right_arm", "left_leg", "right_leg")
_LIMBS = {"arm": ("shoulder", "elbow", "wrist", "hand"), "leg": ("hip", "knee", "ankle", "foot")}


def joint_parts(joints: str | Sequence[str]) -> dict[str, list[int]]:
    """The indices of joints by part.

    Args:
        joints: Name of a joint set, or a list of joint names.

    Returns:
        Names of parts to indices in the set.

    Example:
        >>> from meshrec.metrics import joint_parts
        >>> joint_parts("h36m17")["knee"]
        [2, 5]
    """
    return _grouped(joint_set(joints) if isinstance(joints, str) else joints)


def vertex_parts(body: "BodyModel") -> dict[str, list[int]]:
    """The indices of a body's vertices by part, which has the name of the joint with the largest skinning weight.

    Example:
        >>> from meshrec.body import load_body
        >>> from meshrec.metrics import vertex_parts
        >>> "knee" in vertex_parts(load_body("neutral"))
        True
    """
    return _grouped(body.joint_names[joint] for joint in body.data.weights.argmax(1))


def face_parts(body: "BodyModel") -> np.ndarray:
    """The part of each face, that of most of its corners, as a number (F,) in :data:`SILHOUETTE_PARTS`.

    Example:
        >>> from meshrec.body import load_body
        >>> from meshrec.metrics import SILHOUETTE_PARTS, face_parts
        >>> sorted(set(face_parts(load_body("neutral")).tolist())) == list(range(len(SILHOUETTE_PARTS)))
        True
    """
    part_of_joint = np.array([SILHOUETTE_PARTS.index(_silhouette_part(name)) for name in body.joint_names])
    corners = np.sort(part_of_joint[body.part_labels][body.data.faces], axis=1)
    return corners[:, 1]  # where two or three of the sorted corners are equal, the middle one is among them


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
