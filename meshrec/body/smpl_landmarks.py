"""Surface landmarks of the official 6,890-vertex SMPL mesh.

Vertex numbers are published facts of the topology: face, toes, heels and finger tips as listed by the smplx package
(``vertex_ids.py``), the head top as used by SMPLify and its successors. Points without a published vertex are linear
combinations of these and of SMPL's joints, listed in :data:`BLENDS`, with an error of a centimetre or two.
"""

import numpy as np

from meshrec.body.joints import joint_set

SMPL_VERTEX_COUNT = 6890

VERTICES = {
    "nose": 332, "left_eye": 2800, "right_eye": 6260, "left_ear": 583, "right_ear": 4071, "head_top": 411,
    "left_big_toe": 3216, "left_small_toe": 3226, "left_heel": 3387,
    "right_big_toe": 6617, "right_small_toe": 6624, "right_heel": 6787,
    "left_thumb_tip": 2746, "left_index_tip": 2319, "left_pinky_tip": 2673,
    "right_thumb_tip": 6191, "right_index_tip": 5782, "right_pinky_tip": 6133,
}  # fmt: skip

# The rows of J_regressor_extra.npy in SPIN's order. "neck" and "head_top" are LSP's, "head_h36m" is H36M's jaw. A ninth
# row, H36M's own top of the head, has no name here.
SPIN_EXTRA = ("right_hip", "left_hip", "neck", "head_top", "mid_hip", "thorax", "spine_h36m", "head_h36m")

BLENDS: dict[str, dict[str, float]] = {
    "mid_hip": {"left_hip": 0.5, "right_hip": 0.5},
    "thorax": {"left_shoulder": 0.5, "right_shoulder": 0.5},
    "spine_h36m": {"left_hip": 0.25, "right_hip": 0.25, "left_shoulder": 0.25, "right_shoulder": 0.25},
    "head_h36m": {"nose": 0.5, "head": 0.5},
    "head_mpi": {"left_ear": 0.5, "right_ear": 0.5},
    "chin": {"nose": 1.0, "neck": 0.5, "head": -0.5},
}
for _side, _other in (("left", "right"), ("right", "left")):
    BLENDS |= {
        f"{_side}_eye_inner": {f"{_side}_eye": 0.75, f"{_other}_eye": 0.25},
        f"{_side}_eye_outer": {f"{_side}_eye": 1.25, f"{_other}_eye": -0.25},
        # A third of the way from the nose towards the chin, as wide as the inner corners of the eyes.
        f"mouth_{_side}": {
            "nose": 1.0, "neck": 0.25, "head": -0.25, f"{_side}_eye": 0.35, f"{_other}_eye": -0.35,
        },
        # MediaPipe marks the knuckles, SMPL's published vertices are the tips.
        f"{_side}_index": {f"{_side}_hand": 0.6, f"{_side}_index_tip": 0.4},
        f"{_side}_pinky": {f"{_side}_hand": 0.6, f"{_side}_pinky_tip": 0.4},
        f"{_side}_thumb": {f"{_side}_wrist": 0.4, f"{_side}_thumb_tip": 0.6},
        f"{_side}_foot_index": {f"{_side}_big_toe": 0.7, f"{_side}_small_toe": 0.3},
    }  # fmt: skip


def smpl_landmarks(joint_regressor: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The landmark regressor of the official topology.

    Args:
        joint_regressor: (24, 6890) SMPL's joint regressor.

    Returns:
        Names (L,), and vertex weights (L, 6890) whose rows sum to one, as those of the joint regressor do.
    """
    rows = dict(zip(joint_set("smpl24"), joint_regressor))
    for name, vertex in VERTICES.items():
        rows[name] = np.zeros(SMPL_VERTEX_COUNT, joint_regressor.dtype)
        rows[name][vertex] = 1
    for name, parts in BLENDS.items():
        rows[name] = sum(share * rows[part] for part, share in parts.items())
    names = tuple(name for name in rows if name not in joint_set("smpl24"))
    return names, np.stack([rows[name] for name in names])
