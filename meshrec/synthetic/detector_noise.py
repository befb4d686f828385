"""How a detector errs: keypoints that are a little or far off, and how sure it is of them.

The noise was measured on MediaPipe: per landmark the deviations of :mod:`meshrec.landmarks.placements`, in which some
pictures and some landmarks are worse than others (log-normal), with Student-t tails; more where a landmark is hidden.
Of people, limbs and landmarks it may be in doubt, and where it is, it says so, and whole limbs are elsewhere. Now and
then a limb is somewhere else without doubt, or left and right are exchanged. Faces are as in photos
(:mod:`meshrec.synthetic.photo_faces`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from meshrec.body import joint_set
from meshrec.body.joints import flip_permutation
from meshrec.data.streams import Streams
from meshrec.landmarks.placements import FACE, offsets, on_face, placement
from meshrec.synthetic.photo_faces import faces_as_in_photos

TAILS = 4  # degrees of freedom of Student's t
LIMBS = (("elbow", "wrist", "hand", "pinky", "index", "thumb"), ("knee", "ankle", "heel", "foot", "toe"))
ALWAYS_SURE = (*FACE, "hip", "shoulder")  # MediaPipe says so even where it cannot see them
FEWER = ("coco17", "openpose25")  # what other detectors look for
USUAL_DEVIATION = 0.0115  # share of the box's longer side, where the table has nothing

# How doubtful landmarks are, in standard deviations. On 3,000 renders the logit of the detector's confidence is normal,
# and a landmark's error hardly changes until the confidence falls to a half, where it grows sevenfold within a step.
ALIKE = (0.4, 0.4, 0.2)  # shares of variance of doubts and of their errors: of person, limb, and landmark
HIDDEN_DOUBT, SURE_DOUBT = 1.2, -0.9  # more where a landmark is hidden, less where the detector is always sure
CONFIDENCE = (1.9, -2.4)  # logit of the confidence without doubt, and its change with doubt
LOST = (0.7, 6.0)  # doubt at which half of the landmarks are lost, and how steeply their share grows there


@dataclass(frozen=True)
class DetectorNoise:
    """How a detector errs.

    Attributes:
        scale: Times the deviations measured on clean renders; zero gives exact keypoints. At 1.2 a landmark's typical
            standard deviation is 0.0075 of the longer side of the person's box.
        spread: Deviation of the logarithm of a landmark's standard deviation, half of its variance the picture's.
        hidden: How many times larger the error of a hidden landmark is.
        displaced: Share of limbs seen somewhere else.
        displacement: How far, standard deviation as a share of the box's longer side.
        face: How far eyes, nose and mouth are off together, likewise. At zero faces are as in renders.
        swapped: Share of people whose left and right are exchanged, of body or legs alone.
        missing: Share of landmarks not found.
        doubt: How far off landmarks are that the detector has lost, standard deviation as a share of the box's longer
            side. At zero its confidence tells who is hidden, and nothing else.
        fewer: Share of people seen by a detector with fewer landmarks; what it lacks is missing.
        mask: Pixels of 224 by which a typical mask's outline wavers, standard deviation.
    """

    scale: float = 1.6
    spread: float = 0.6
    hidden: float = 2.5
    displaced: float = 0.015
    displacement: float = 0.12
    face: float = 0.01
    swapped: float = 0.03
    missing: float = 0.01
    doubt: float = 0.08
    fewer: float = 0.1
    mask: float = 0.5


EXACT = DetectorNoise(scale=0, displaced=0, face=0, swapped=0, missing=0, doubt=0, fewer=0, mask=0)


def detected(
    pixels: Tensor, hidden: Tensor, side: Tensor, joints: str, streams: Streams, noise: DetectorNoise
) -> Tensor:
    """Landmarks as a detector reports them.

    Args:
        pixels: (B, K, 2) where they are.
        hidden: (B, K) bool.
        side: (B,) the longer side of the people's boxes, pixels.
        joints: Their set.
        streams: One for each person.
        noise: How it errs.

    Returns:
        (B, K, 3) x, y in pixels and confidence.
    """
    names, device = joint_set(joints), pixels.device
    count = len(names)
    normal = streams.normal(count, 2)
    # The points of a face err together.
    face = torch.from_numpy(on_face(joints))[:, None]
    normal = torch.where(face, 0.8 * streams.normal(1, 2) + 0.6 * normal, normal)
    heavy_tails = streams.tails(TAILS, count)
    uneven = (noise.spread * math.sqrt(0.5) * (streams.normal(count) + streams.normal(1))).exp()
    # So that the whole has the measured deviation: of Student's t, and of the log-normal factor.
    whole = math.sqrt(TAILS / (TAILS - 2)) * math.exp(noise.spread**2)
    size = noise.scale / whole * _deviations(joints) * heavy_tails * uneven
    size = size.to(device) * torch.where(hidden, noise.hidden, 1.0)
    error = normal.to(device) * size[..., None]

    for side_name in ("left", "right"):
        for parts in LIMBS:
            limb = torch.tensor([side_name in n and any(p in n for p in parts) for n in names])
            gone = streams.happens(noise.displaced)[:, None] & limb
            where = noise.displacement * streams.normal(1, 2)
            error = error + (gone[..., None] * where).to(device)

    always = torch.tensor([any(part in name for part in ALWAYS_SURE) for name in names]).to(device)
    if noise.doubt:
        confidence, lost = _doubted(hidden, always, _limbs(names), streams)
        error = error + noise.doubt * lost
    else:
        sure = 1 - 0.05 * streams.normal(count).abs()
        doubtful = streams.uniform(count, low=0.1, high=0.8)
        confidence = torch.where(hidden & ~always, doubtful.to(device), sure.to(device)).clamp(0.05, 1)
    pixels = faces_as_in_photos(pixels, side, joints, noise.face, streams) + error * side[:, None, None]
    confidence = confidence * ~streams.happens(noise.missing, count).to(device)
    found = torch.cat([pixels, confidence[..., None]], dim=-1)

    flip = torch.from_numpy(flip_permutation(joints))
    legs = torch.tensor([any(part in name for part in ("hip", *LIMBS[1])) for name in names])
    which = streams.pick((noise.swapped / 2, noise.swapped / 2))
    exchanged = (which == 0)[:, None] | ((which == 1)[:, None] & legs)
    return torch.where(exchanged[..., None].to(device), found[:, flip.to(device)], found)


def known_landmarks(streams: Streams, joints: str, fewer: float) -> Tensor:
    """(B, K) bool: all landmarks of a set, but for some people those alone that other detectors have too.

    Args:
        streams: One for each person.
        joints: The set.
        fewer: The share of such people.
    """
    names = joint_set(joints)
    if not fewer:  # nothing is drawn: what was made without stays what it was
        return torch.ones(len(streams), len(names), dtype=torch.bool)
    sets = torch.tensor([[name in joint_set(other) for name in names] for other in FEWER] + [[True] * len(names)])
    return sets[streams.pick([fewer / len(FEWER)] * len(FEWER))]


def _doubted(hidden: Tensor, always: Tensor, limbs: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
    """Confidences (B, K), and errors (B, K, 2) of what the detector has lost, in standard deviations.

    Args:
        hidden: (B, K) bool.
        always: (K,) bool, of which landmarks the detector is always sure.
        limbs: (K,) of which limb each landmark is.
        streams: One for each person.
    """
    doubt = _alike(streams, limbs).to(hidden.device)
    doubt = doubt + torch.where(always, SURE_DOUBT, HIDDEN_DOUBT * hidden)
    usual, change = CONFIDENCE
    half, steepness = LOST
    lost = (steepness * (doubt - half)).sigmoid()
    far = (0.6 * streams.normal(1, 1)).exp()  # some people are lost altogether
    return (usual + change * doubt).sigmoid(), lost[..., None] * (far * _alike(streams, limbs, 2)).to(lost)


def _alike(streams: Streams, limbs: Tensor, *shape: int) -> Tensor:
    """(B, K, *shape) standard normal, alike within a person and more so within a limb."""
    person, limb, own = (math.sqrt(share) for share in ALIKE)
    of_limb = streams.normal(int(limbs.max()) + 1, *shape)[:, limbs]
    return person * streams.normal(1, *shape) + limb * of_limb + own * streams.normal(len(limbs), *shape)


def _limbs(names: Sequence[str]) -> Tensor:
    """(K,) 0 for landmarks of head and trunk; 1, 2, 3, 4 for those of arms and legs, shoulders and hips among them."""
    arm, leg = ("shoulder", *LIMBS[0]), ("hip", *LIMBS[1])
    sides = [(side, parts) for parts in (arm, leg) for side in ("left", "right")]
    found = [[side in n and any(p in n for p in parts) for side, parts in sides] for n in names]
    return torch.tensor([1 + row.index(True) if any(row) else 0 for row in found])


def detector_offsets(joints: str, rotations: Tensor) -> Tensor:
    """(B, K, 3) metres from the body's landmarks to where the detector sees them."""
    table = offsets(joints)
    by_joint = rotations.new_zeros(len(table), rotations.shape[1], 3)
    for k, vectors in enumerate(table):
        for joint, vector in vectors.items():
            by_joint[k, joint] = torch.as_tensor(vector)
    return torch.einsum("bjxy,kjy->bkx", rotations, by_joint)


@cache
def _deviations(joints: str) -> Tensor:
    """(K,) measured standard deviations along x and along y, shares of the box's longer side."""
    places = [placement(name, joints) for name in joint_set(joints)]
    return torch.tensor([USUAL_DEVIATION if place is None else place.deviation for place in places])
