"""What a detector would say of synthetic people: noisy keypoints and an imperfect mask.

The noise was measured on MediaPipe: per landmark the deviations of :mod:`meshrec.detect.noise`, in which some pictures
and some landmarks are worse than others (log-normal), with Student-t tails; more where a landmark is hidden. Of people,
limbs and landmarks it may be in doubt, and where it is, it says so, and whole limbs are elsewhere. Now and then a limb
is somewhere else without doubt, or left and right are exchanged.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from meshrec.body import BodyModel, joint_set
from meshrec.body.joints import flip_permutation
from meshrec.data.streams import Streams
from meshrec.data.synthetic.occluders import inside_photo
from meshrec.data.synthetic.people import People, project, to_normalized
from meshrec.detect.noise import FACE, offsets, placement
from meshrec.render.backends import pick, rasterizer
from meshrec.render.screen import to_screen

HIDDEN_DEPTH = 0.13  # metres: a landmark further behind the visible surface is hidden; joints lie inside limbs
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
    swapped: float = 0.03
    missing: float = 0.01
    doubt: float = 0.08
    fewer: float = 0.1
    mask: float = 0.5


EXACT = DetectorNoise(scale=0, displaced=0, swapped=0, missing=0, doubt=0, fewer=0, mask=0)


@dataclass(frozen=True)
class Proxies:
    """What a network sees instead of the picture.

    Attributes:
        keypoints: (B, K, 3) x and y in the crop, whose edges are -1 and 1, and confidence in [0, 1].
        silhouette: (B, 1, H, W) 0 or 1, with the detector's errors.
        exact_silhouette: (B, 1, H, W) 0 or 1, without them: what the photo shows of the body.
        hidden: (B, K) bool: landmarks behind the body itself, something in front of it, or beyond the photo.
    """

    keypoints: Tensor
    silhouette: Tensor
    exact_silhouette: Tensor
    hidden: Tensor


@torch.no_grad()
def observe(
    people: People, body: BodyModel, streams: Streams, joints: str = "mediapipe33", noise: DetectorNoise | None = None
) -> Proxies:
    """Detect synthetic people.

    Args:
        people: Whom.
        body: Whose mesh they have.
        streams: One for each person.
        joints: Which landmarks; those of ``mediapipe33`` are put where MediaPipe sees them unless noise is off.
        noise: How much; default as measured.
    """
    noise = noise or DetectorNoise()
    size = people.camera.size
    screen = to_screen(people.vertices, people.camera)
    seen = rasterizer(pick(None, screen.device)).visible_faces(screen, body.faces, size, True)
    landmarks = body.joints_from(people.vertices, joints)
    known = known_landmarks(streams, joints, noise.fewer).to(landmarks.device)
    if noise.scale:  # other detectors' landmarks are taken to lie where the body's do
        landmarks = landmarks + detector_offsets(joints, people.global_rotations) * known.all(1)[:, None, None]
    pixels = project(people, landmarks)

    hidden = behind_surface(pixels, landmarks[..., 2], seen, body.faces, screen[..., 2])
    hidden = hidden | _at(people.covered, pixels) | beyond(people.photo, pixels)

    inside = inside_photo(people.photo, size)
    exact = (seen >= 0) & ~people.covered & inside
    mask = exact
    if noise.mask:
        pixel = size[0] / 224
        mask = wavering(exact, streams, noise.mask * pixel * (0.6 * streams.normal()).exp(), 2 * pixel) & inside
    side = (people.box[:, 2:] - people.box[:, :2]).amax(1)
    keypoints = detected(pixels, hidden, side, joints, streams, noise)
    known &= ~beyond(people.photo, keypoints[..., :2])
    place = to_normalized(keypoints[..., :2], size[0])
    keypoints = torch.cat([place, keypoints[..., 2:] * known[..., None]], -1)
    return Proxies(keypoints, mask[:, None].float(), exact[:, None].float(), hidden)


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
    face = torch.tensor([any(part in name for part in FACE) for name in names])[:, None]
    normal = torch.where(face, 0.8 * streams.normal(1, 2) + 0.6 * normal, normal)
    heavy_tails = (TAILS / streams.normal(count, TAILS).square().sum(-1)).sqrt()
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
    pixels = pixels + error * side[:, None, None]
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


def behind_surface(pixels: Tensor, depth: Tensor, face_id: Tensor, faces: Tensor, vertex_depth: Tensor) -> Tensor:
    """Which landmarks lie behind a surface that hides them.

    Args:
        pixels: (B, K, 2) and depth: (B, K), metres, of the landmarks.
        face_id: (B, H, W) the visible face of every pixel, -1 for none.
        faces: (F, 3).
        vertex_depth: (B, V) metres.

    Returns:
        (B, K) bool; landmarks outside the picture are not.
    """
    face = _at(face_id, pixels, outside=-1).long()
    corners = faces[face.clamp_min(0)].flatten(1)
    surface = vertex_depth.gather(1, corners).view(*face.shape, 3).mean(-1)
    return (face >= 0) & (depth - surface > HIDDEN_DEPTH)


def wavering(mask: Tensor, streams: Streams, amount: Tensor, reach: float) -> Tensor:
    """Move a mask's outline in and out by smooth random distances.

    Args:
        mask: (B, H, W) bool.
        streams: One for each.
        amount: (B,) standard deviations of the distance, pixels.
        reach: How far it may move, pixels; what is thinner may be lost.
    """
    half = max(1, round(reach))
    window = 2 * half + 1
    # Across an edge this ramps linearly from one to zero within ``half`` pixels either side.
    ramp = avg_pool2d(mask[:, None].float(), window, stride=1, padding=half, count_include_pad=False)
    grid = 1.5 / window * amount[:, None, None, None] * streams.normal(1, 14, 14)  # interpolation evens out a third
    noise = interpolate(grid.to(ramp), mask.shape[1:], mode="bilinear", align_corners=False)
    return (ramp > 0.5 + noise.clamp(-0.45, 0.45))[:, 0]


def beyond(photo: Tensor, pixels: Tensor) -> Tensor:
    """(B, K) bool: points outside the photo."""
    return ((pixels < photo[:, None, :2]) | (pixels > photo[:, None, 2:])).any(-1)


def _at(pictures: Tensor, pixels: Tensor, outside: int = 0) -> Tensor:
    """(B, K) values of pictures (B, H, W) at the pixels nearest to points (B, K, 2)."""
    height, width = pictures.shape[1:]
    x, y = pixels.round().long().unbind(-1)
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    place = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return pictures.flatten(1).gather(1, place).masked_fill(~within, outside)


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
