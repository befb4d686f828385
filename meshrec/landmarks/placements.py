"""Where detectors and annotators place landmarks on the body, and the covariance of their errors.

The landmarks of a detector are not the landmarks of the body. MediaPipe places ankles 3 cm above the ankle joint; a fit
that takes one for the other bends the knees of people who stand straight. The table of MediaPipe was measured on
renders of the open body in clothes, whose landmarks are known: 1,024 people with seed 1000, of whom the heavy network
found 1,017 (``tools/detect_renders.py --clothes``, ``tools/measure_detector.py``).

Annotators do not mark the centres of rotation of a skeleton either. They mark what is visible: the top of the shoulder,
the side of the hip, the kneecap. For this reason published bodies have separate joints for the labels of LSP (SPIN's
``J_regressor_extra``). The table of LSP was measured on the training photos of LSP-extended
(``tools/measure_annotators.py``).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import joint_index, joint_set
from meshrec.body.joints import mirror_name

Offset = tuple[float, float, float]


@dataclass(frozen=True)
class Placement:
    """Where a detector or an annotator sees a landmark.

    Attributes:
        offsets: Offsets (x, y, z) from the landmark of the body, by the name of the joint that each turns with;
            millimetres in rest orientation. Several offsets add up.
        deviation: Standard deviation of the error along x and along y at full confidence, as a share of the longer side
            of the person's box.
    """

    offsets: dict[str, Offset]
    deviation: float


# Left and central landmarks; the right ones are their mirror images. MediaPipe's elbow is the outer corner of the elbow
# and moves with both the upper arm and the forearm.
MEDIAPIPE = {
    "nose": Placement({"head": (0, 11, -20)}, 0.0095),
    "left_eye_inner": Placement({"head": (-4, 6, -12)}, 0.0086),
    "left_eye": Placement({"head": (-9, 5, -17)}, 0.0085),
    "left_eye_outer": Placement({"head": (-12, 4, -18)}, 0.0087),
    "left_ear": Placement({"head": (-31, 7, 29)}, 0.0085),
    "mouth_left": Placement({"head": (-8, 11, -12)}, 0.0088),
    "left_shoulder": Placement({"spine3": (11, 28, -8)}, 0.0109),
    "left_elbow": Placement({"left_shoulder": (24, 4, 3), "left_elbow": (-33, -1, 2)}, 0.0073),
    "left_wrist": Placement({"left_wrist": (13, 0, 4)}, 0.0063),
    "left_pinky": Placement({"left_wrist": (-9, -9, 24)}, 0.0067),
    "left_index": Placement({"left_wrist": (-15, -6, -11)}, 0.0071),
    "left_thumb": Placement({"left_wrist": (-2, 22, -24)}, 0.0081),
    "left_hip": Placement({"pelvis": (6, -8, 10)}, 0.015),
    "left_knee": Placement({"left_hip": (3, -17, 13)}, 0.0101),
    "left_ankle": Placement({"left_knee": (0, 28, 5)}, 0.0063),
    "left_heel": Placement({"left_ankle": (-1, 5, 20)}, 0.0086),
    "left_foot_index": Placement({"left_ankle": (-11, 14, -23)}, 0.0085),
}

LSP = {
    "left_shoulder": Placement({"spine3": (3, 33, -4)}, 0.0269),
    "left_elbow": Placement({"left_shoulder": (39, -4, 2), "left_elbow": (-41, 6, 1)}, 0.0209),
    "left_wrist": Placement({"left_wrist": (18, -3, 0)}, 0.0218),
    "left_hip": Placement({"pelvis": (31, 20, 12)}, 0.0342),
    "left_knee": Placement({"left_hip": (9, -31, 5)}, 0.0278),
    "left_ankle": Placement({"left_knee": (9, 28, 11)}, 0.0257),
}
PLACEMENTS = {"mediapipe33": MEDIAPIPE, "lsp14": LSP}

# For detectors that were not measured; their landmarks are assumed to coincide with those of the body.
USUAL_DEVIATION = 0.01
DEVIATIONS = {"hip": 0.015, "heel": 0.013, "toe": 0.013, "head_top": 0.02, "neck": 0.015}

FACE = ("nose", "eye", "ear", "mouth")
FACE_POINTS = 4  # errors of the points of a face are correlated: together they count as this many at most
# Detectors are less accurate on faces and ends of limbs in photos than in renders. With twice the deviation the fit is
# better on the training photos of LSP-extended (PCK of limbs 0.653, else 0.649) and on held-out renders (83.0 mm, else
# 83.6).
ENDS, ROUGHER = ("pinky", "index", "thumb", "heel", "toe"), 2.0
LEAST_CONFIDENCE = 0.02
# In photos the detected face is displaced as a whole, and its front besides: see meshrec/synthetic/photo_faces.py.
# Standard deviations along x and along y, as shares of the longer side of the box.
WHOLE_FACE, FRONT_OF_FACE = 0.012, 0.012


def placement(name: str, joints: str) -> Placement | None:
    """The placement of one landmark by the detector or annotators of a joint set; None if it was not measured."""
    table = PLACEMENTS.get(joints, {})
    if name in table or mirror_name(name) not in table:
        return table.get(name)
    twin = table[mirror_name(name)]
    mirrored = {mirror_name(joint): (-x, y, z) for joint, (x, y, z) in twin.offsets.items()}
    return Placement(mirrored, twin.deviation)


def offsets(joints: str) -> list[dict[int, np.ndarray]]:
    """Offsets of each landmark of a joint set, metres, by the number of the ``smpl24`` joint that they turn with."""
    places = [placement(name, joints) for name in joint_set(joints)]
    return [
        {joint_index(joint, "smpl24"): np.array(offset) / 1000 for joint, offset in place.offsets.items()}
        if place
        else {}
        for place in places
    ]


def on_face(joints: str, ears: bool = True) -> np.ndarray:
    """(K,) bool mask of the landmarks of a joint set that lie on the face, with or without the ears."""
    return _named(joints, FACE) & (ears | ~_named(joints, ("ear",)))


def deviations(joints: str) -> np.ndarray:
    """Standard deviations (K,) along x and along y of the landmarks of a joint set in photos.

    They are shares of the longer side of the person's box.
    """
    names, face = joint_set(joints), on_face(joints)
    rough = face | _named(joints, ENDS)
    crowd = max(1.0, face.sum() / FACE_POINTS) ** 0.5
    return np.array([_deviation(n, joints) for n in names]) * np.where(face, crowd, 1) * np.where(rough, ROUGHER, 1)


def face_errors(joints: str, box: Tensor) -> Tensor:
    """Standard deviations of the errors that all landmarks of a face have in common.

    Args:
        joints: Joint set of the landmarks.
        box: (B, 4) x0, y0, x1, y1 of the people, pixels.

    Returns:
        (B, 2, K) pixels along x and along y by which each landmark moves with a displacement of the whole face, and
        with one of its front, which has no ears; 0 for all other landmarks.
    """
    face, front = (torch.from_numpy(part) for part in (on_face(joints), on_face(joints, ears=False)))
    return _side(box)[..., None] * torch.stack([WHOLE_FACE * face, FRONT_OF_FACE * front]).to(box)


def precision(joints: str, keypoints: Tensor, box: Tensor, size: tuple[int, int]) -> Tensor:
    """One over the standard deviation of detected landmarks; 0 outside the photo and below the least confidence.

    Args:
        joints: Joint set of the landmarks.
        keypoints: (B, K, 3) x, y in photo pixels, and confidence.
        box: (B, 4) x0, y0, x1, y1 of the people, pixels.
        size: (W, H) of the photo, pixels.

    Returns:
        (B, K), 1 / pixels.
    """
    x, y, confidence = keypoints.unbind(-1)
    inside = (x > -0.5) & (x < size[0] - 0.5) & (y > -0.5) & (y < size[1] - 0.5)
    seen = inside & (confidence >= LEAST_CONFIDENCE)
    spread = torch.as_tensor(deviations(joints), dtype=keypoints.dtype) * _side(box)
    return torch.where(seen, confidence.clamp(max=1), 0) / spread


def _named(joints: str, parts: tuple[str, ...]) -> np.ndarray:
    """(K,) bool mask of the landmarks of a joint set whose names contain one of the given parts."""
    return np.array([any(part in name for part in parts) for name in joint_set(joints)])


def _side(box: Tensor) -> Tensor:
    """Longer sides (B, 1) of boxes (B, 4), pixels."""
    return (box[:, 2:] - box[:, :2]).amax(1, keepdim=True).clamp(min=1)


def _deviation(name: str, joints: str) -> float:
    place = placement(name, joints)
    if place is not None:
        return place.deviation
    return next((value for part, value in DEVIATIONS.items() if part in name), USUAL_DEVIATION)
