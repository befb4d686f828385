"""What a detector would say of synthetic people: noisy keypoints and an imperfect mask.

The noise was measured on MediaPipe: per landmark the deviations of :mod:`meshrec.detect.noise`, in which some pictures
and some landmarks are worse than others (log-normal), with Student-t tails; more where a landmark is hidden; now and
then a limb is somewhere else, or left and right are exchanged.
"""

import math
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
USUAL_DEVIATION = 0.0115  # share of the box's longer side, where the table has nothing


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
        mask: Pixels of 224 by which a typical mask's outline wavers, standard deviation.
    """

    scale: float = 1.2
    spread: float = 0.5
    hidden: float = 2.5
    displaced: float = 0.015
    displacement: float = 0.12
    swapped: float = 0.015
    missing: float = 0.01
    mask: float = 0.5


EXACT = DetectorNoise(scale=0, displaced=0, swapped=0, missing=0, mask=0)


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
    if noise.scale:
        landmarks = landmarks + detector_offsets(joints, people.global_rotations)
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
    known = keypoints[..., 2] * ~beyond(people.photo, keypoints[..., :2])
    place = to_normalized(keypoints[..., :2], size[0])
    keypoints = torch.cat([place, known[..., None]], -1)
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
    pixels = pixels + error * side[:, None, None]

    sure = 1 - 0.05 * streams.normal(count).abs()
    doubtful = streams.uniform(count, low=0.1, high=0.8)
    always = torch.tensor([any(part in name for part in ALWAYS_SURE) for name in names])
    confidence = torch.where(hidden & ~always.to(device), doubtful.to(device), sure.to(device)).clamp(0.05, 1)
    confidence = confidence * ~streams.happens(noise.missing, count).to(device)
    found = torch.cat([pixels, confidence[..., None]], dim=-1)

    flip = torch.from_numpy(flip_permutation(joints))
    legs = torch.tensor([any(part in name for part in ("hip", *LIMBS[1])) for name in names])
    which = streams.pick((noise.swapped / 2, noise.swapped / 2))
    exchanged = (which == 0)[:, None] | ((which == 1)[:, None] & legs)
    return torch.where(exchanged[..., None].to(device), found[:, flip.to(device)], found)


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
