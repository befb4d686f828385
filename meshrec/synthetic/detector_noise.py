"""The errors of a pose detector: keypoints that are a little or far off, their confidences, and imperfect masks.

The model of the keypoints was measured on MediaPipe's heavy network. The errors of each landmark have the standard
deviation in :mod:`meshrec.landmarks.placements`; a log-normal factor makes some pictures and some landmarks worse than
others, the tails are Student's t, and the errors of hidden landmarks are larger. On top of that the detector loses
people, limbs and landmarks, whose confidences then are low and whose limbs lie elsewhere as a whole. Now and then a
limb is displaced with full confidence, or left and right are exchanged. Faces lie where they do in photos
(:mod:`meshrec.synthetic.photo_faces`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from meshrec.body import joint_set
from meshrec.body.joints import flip_permutation
from meshrec.data.streams import Streams
from meshrec.landmarks.placements import FACE, offsets, on_face, placement
from meshrec.synthetic.photo_faces import faces_as_in_photos

TAILS = 4  # degrees of freedom of Student's t
LIMBS = (("elbow", "wrist", "hand", "pinky", "index", "thumb"), ("knee", "ankle", "heel", "foot", "toe"))
ALWAYS_SURE = (*FACE, "hip", "shoulder")  # MediaPipe gives these a high confidence even where they are hidden
FEWER = ("coco17", "openpose25")  # the joint sets of other detectors
USUAL_DEVIATION = 0.0115  # share of the box's longer side, for landmarks that the table lacks

# The detector's doubt about a landmark, in standard deviations. On renders the logit of the detector's confidence is
# normally distributed, and a landmark's error hardly changes until the confidence falls to a half, where it grows
# sevenfold within a narrow range. ``tools/measure_detector.py --errors`` prints the figures that these constants
# reproduce.
ALIKE = (0.5, 0.35, 0.15)  # shares of the variance of doubt, and of error in doubt, by person, limb and landmark
HIDDEN_ARM, HIDDEN_LEG = 1.8, 1.2  # doubt that is added where a landmark is hidden
SURE_DOUBT, HIDDEN_SURE = -0.9, 0.5  # doubt that is added where the detector is always sure, and if it is hidden there
CONFIDENCE = (1.55, -2.3)  # the logit of the confidence is linear in the doubt: its intercept and slope
LOST = (1.0, 4.0)  # the share of lost landmarks is a logistic function of the doubt: its midpoint and steepness
FAR = 1.1  # standard deviation of the logarithm of a person's errors in doubt


@dataclass(frozen=True)
class DetectorNoise:
    """Sizes and frequencies of a detector's errors.

    Attributes:
        scale: Factor on the standard deviations of :mod:`meshrec.landmarks.placements`, which are robust ones of
            landmarks that the detector is sure of; 0 gives exact keypoints.
        spread: Standard deviation of the logarithm of the errors' scale.
        common: Share of its variance that is common to all landmarks of a picture.
        hidden: Factor on the errors of hidden landmarks.
        displaced: Share of limbs that are displaced as a whole.
        displacement: Standard deviation of that displacement, as a share of the box's longer side.
        face: Standard deviation of the error that eyes, nose and mouth share, likewise. At 0 faces are as in renders.
        swapped: Share of people whose left and right are exchanged, in half of them of the legs alone.
        missing: Share of landmarks that are not found.
        doubt: Standard deviation of the error of lost landmarks, as a share of the box's longer side. At 0 no landmark
            is lost, and the confidence depends only on whether a landmark is hidden.
        fewer: Share of people seen by a detector with fewer landmarks, the others of which are missing.
        mask: Standard deviation of the distance between the mask's outline and the true one, pixels at a resolution of
            224.
    """

    scale: float = 2.0
    spread: float = 0.7
    common: float = 0.9
    hidden: float = 2.5
    displaced: float = 0.015
    displacement: float = 0.12
    face: float = 0.01
    swapped: float = 0.03
    missing: float = 0.01
    doubt: float = 0.09
    fewer: float = 0.1
    mask: float = 0.9


EXACT = DetectorNoise(scale=0, displaced=0, face=0, swapped=0, missing=0, doubt=0, fewer=0, mask=0)


def detected(
    pixels: Tensor, hidden: Tensor, side: Tensor, joints: str, streams: Streams, noise: DetectorNoise
) -> Tensor:
    """Landmarks as a detector reports them.

    Args:
        pixels: (B, K, 2) true places of the landmarks.
        hidden: (B, K) bool, whether a landmark is hidden.
        side: (B,) the longer sides of the people's boxes, pixels.
        joints: Name of the landmarks' joint set.
        streams: One random stream per person.
        noise: Sizes and frequencies of the errors.

    Returns:
        (B, K, 3) x and y in pixels, and confidence.
    """
    names, device = joint_set(joints), pixels.device
    count = len(names)
    normal = streams.normal(count, 2)
    # The errors of a face's points are correlated.
    face = torch.from_numpy(on_face(joints))[:, None]
    normal = torch.where(face, 0.8 * streams.normal(1, 2) + 0.6 * normal, normal)
    heavy_tails = streams.tails(TAILS, count)
    own, common = (noise.spread * math.sqrt(share) for share in (1 - noise.common, noise.common))
    uneven = (own * streams.normal(count) + common * streams.normal(1)).exp()
    # Standard deviations of Student's t and of the log-normal factor, so that the product has the measured one.
    whole = math.sqrt(TAILS / (TAILS - 2)) * math.exp(noise.spread**2)
    size = noise.scale / whole * _deviations(joints) * heavy_tails * uneven
    size = size.to(device) * torch.where(hidden, noise.hidden, 1.0)
    error = normal.to(device) * size[..., None]

    for side_name in ("left", "right"):
        for parts in LIMBS:
            limb = torch.tensor([side_name in n and any(p in n for p in parts) for n in names])
            displaced = streams.happens(noise.displaced)[:, None] & limb
            where = noise.displacement * streams.normal(1, 2)
            error = error + (displaced[..., None] * where).to(device)

    always = torch.tensor([any(part in name for part in ALWAYS_SURE) for name in names]).to(device)
    if noise.doubt:
        confidence, lost = _doubted(hidden, always, names, streams)
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


def detected_masks(exact: Tensor, inside: Tensor, streams: Streams, noise: float) -> Tensor:
    """Masks as a detector reports them.

    Args:
        exact: (B, N, N) bool, the true masks.
        inside: (B, N, N) bool, whether a pixel lies inside the photo.
        streams: One random stream per person.
        noise: :attr:`DetectorNoise.mask`, pixels at a resolution of 224.

    Returns:
        (B, N, N) bool.
    """
    if not noise:
        return exact
    pixel = exact.shape[-1] / 224
    return wavering(exact, streams, noise * pixel * (0.6 * streams.normal()).exp(), 2 * pixel) & inside


def wavering(mask: Tensor, streams: Streams, amount: Tensor, reach: float) -> Tensor:
    """Move the outlines of masks in and out by smooth random distances.

    Args:
        mask: (B, H, W) bool.
        streams: One random stream per mask.
        amount: (B,) standard deviations of the distances, pixels.
        reach: The largest distance, pixels. Parts that are thinner may vanish.

    Returns:
        (B, H, W) bool.
    """
    half = max(1, round(reach))
    window = 2 * half + 1
    # Across an edge this ramps linearly from one to zero within ``half`` pixels on either side.
    ramp = avg_pool2d(mask[:, None].float(), window, stride=1, padding=half, count_include_pad=False)
    # The factor makes up for the third of the standard deviation that interpolating the grid takes away.
    grid = 1.5 / window * amount[:, None, None, None] * streams.normal(1, 14, 14)
    noise = interpolate(grid.to(ramp), mask.shape[1:], mode="bilinear", align_corners=False)
    return (ramp > 0.5 + noise.clamp(-0.45, 0.45))[:, 0]


def known_landmarks(streams: Streams, joints: str, fewer: float) -> Tensor:
    """Which landmarks a detector looks for: all, or for some people those that another detector has too.

    Args:
        streams: One random stream per person.
        joints: Name of the landmarks' joint set.
        fewer: Share of people with another detector's landmarks.

    Returns:
        (B, K) bool.
    """
    names = joint_set(joints)
    if not fewer:  # draw nothing, so that what follows in the stream stays the same
        return torch.ones(len(streams), len(names), dtype=torch.bool)
    sets = torch.tensor([[name in joint_set(other) for name in names] for other in FEWER] + [[True] * len(names)])
    return sets[streams.pick([fewer / len(FEWER)] * len(FEWER))]


def detector_offsets(joints: str, rotations: Tensor) -> Tensor:
    """Offsets from the body's landmarks to the places where the detector sees them.

    Args:
        joints: Name of the landmarks' joint set.
        rotations: (B, 24, 3, 3) global rotations of the joints, from rest to camera space.

    Returns:
        (B, K, 3) in camera space, metres.
    """
    table = offsets(joints)
    by_joint = rotations.new_zeros(len(table), rotations.shape[1], 3)
    for k, vectors in enumerate(table):
        for joint, vector in vectors.items():
            by_joint[k, joint] = torch.as_tensor(vector)
    return torch.einsum("bjxy,kjy->bkx", rotations, by_joint)


def _doubted(hidden: Tensor, always: Tensor, names: Sequence[str], streams: Streams) -> tuple[Tensor, Tensor]:
    """Confidences, and the errors of landmarks that the detector has lost.

    Args:
        hidden: (B, K) bool, whether a landmark is hidden.
        always: (K,) bool, whether the detector is always sure of a landmark.
        names: The landmarks' names.
        streams: One random stream per person.

    Returns:
        Confidences (B, K), and errors (B, K, 2) in units of :attr:`DetectorNoise.doubt`.
    """
    limbs = _limbs(names)
    leg = torch.tensor([any(part in name for part in LIMBS[1]) for name in names]).to(always)
    unseen = torch.where(always, HIDDEN_SURE, torch.where(leg, HIDDEN_LEG, HIDDEN_ARM))
    doubt = _correlated(streams, limbs).to(hidden.device) + SURE_DOUBT * always + unseen * hidden
    intercept, slope = CONFIDENCE
    midpoint, steepness = LOST
    lost = (steepness * (doubt - midpoint)).sigmoid()
    far = (FAR * streams.normal(1, 1)).exp()  # the errors of some people are larger altogether
    return (intercept + slope * doubt).sigmoid(), lost[..., None] * (far * _correlated(streams, limbs, 2)).to(lost)


def _correlated(streams: Streams, limbs: Tensor, *shape: int) -> Tensor:
    """Standard normal numbers (B, K, *shape), correlated within a person and more strongly within a limb."""
    person, limb, own = (math.sqrt(share) for share in ALIKE)
    of_limb = streams.normal(int(limbs.max()) + 1, *shape)[:, limbs]
    return person * streams.normal(1, *shape) + limb * of_limb + own * streams.normal(len(limbs), *shape)


def _limbs(names: Sequence[str]) -> Tensor:
    """The limb of each landmark, (K,): 1 and 2 are the left and right arm with the shoulders, 3 and 4 the legs with the
    hips, 0 is head and trunk.
    """
    arm, leg = ("shoulder", *LIMBS[0]), ("hip", *LIMBS[1])
    sides = [(side, parts) for parts in (arm, leg) for side in ("left", "right")]
    found = [[side in n and any(p in n for p in parts) for side, parts in sides] for n in names]
    return torch.tensor([1 + row.index(True) if any(row) else 0 for row in found])


@cache
def _deviations(joints: str) -> Tensor:
    """Measured standard deviations (K,) along x and along y, as shares of the box's longer side."""
    places = [placement(name, joints) for name in joint_set(joints)]
    return torch.tensor([USUAL_DEVIATION if place is None else place.deviation for place in places])
