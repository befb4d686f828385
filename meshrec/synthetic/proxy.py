"""What a detector would say of synthetic people: noisy keypoints and an imperfect mask."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from meshrec.body import BodyModel
from meshrec.data.proxies import Proxies
from meshrec.data.streams import Streams
from meshrec.geometry import Camera
from meshrec.render.backends import pick, rasterizer
from meshrec.render.screen import to_screen
from meshrec.synthetic.detector_noise import DetectorNoise, detected, detector_offsets, known_landmarks
from meshrec.synthetic.occluders import inside_photo
from meshrec.synthetic.people import People, project, to_normalized

HIDDEN_DEPTH = 0.13  # metres: a landmark further behind the visible surface is hidden; joints lie inside limbs


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
    seen, depth = visible_faces(people.vertices, body.faces, people.camera)
    landmarks = body.joints_from(people.vertices, joints)
    known = known_landmarks(streams, joints, noise.fewer).to(landmarks.device)
    if noise.scale:  # other detectors' landmarks are taken to lie where the body's do
        landmarks = landmarks + detector_offsets(joints, people.global_rotations) * known.all(1)[:, None, None]
    pixels = project(people, landmarks)

    hidden = behind_surface(pixels, landmarks[..., 2], seen, body.faces, depth)
    hidden = hidden | _at(people.covered, pixels) | beyond(people.photo, pixels)

    inside = inside_photo(people.photo, size)
    exact = (seen >= 0) & ~people.covered & inside
    mask = detected_masks(exact, inside, streams, noise.mask)
    side = (people.box[:, 2:] - people.box[:, :2]).amax(1)
    keypoints = detected(pixels, hidden, side, joints, streams, noise)
    known &= ~beyond(people.photo, keypoints[..., :2])
    place = to_normalized(keypoints[..., :2], size[0])
    keypoints = torch.cat([place, keypoints[..., 2:] * known[..., None]], -1)
    return Proxies(keypoints, mask[:, None].float(), exact[:, None].float(), hidden)


def visible_faces(vertices: Tensor, faces: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """The visible face (B, H, W) of every pixel, -1 for none, and the depth (B, V) of every vertex in metres.

    Args:
        vertices: (B, V, 3) in camera space.
        faces: (F, 3).
        camera: Of the pictures.
    """
    screen = to_screen(vertices, camera)
    draw = rasterizer(pick(None, screen.device)).visible_faces
    return draw(screen, faces, camera.size, True), screen[..., 2]


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


def detected_masks(exact: Tensor, inside: Tensor, streams: Streams, noise: float) -> Tensor:
    """Masks as a detector reports them.

    Args:
        exact: (B, N, N) bool, the true ones.
        inside: (B, N, N) bool, the pixels that the photos have.
        streams: One for each person.
        noise: :attr:`meshrec.synthetic.detector_noise.DetectorNoise.mask`.

    Returns:
        (B, N, N) bool.
    """
    if not noise:
        return exact
    pixel = exact.shape[-1] / 224
    return wavering(exact, streams, noise * pixel * (0.6 * streams.normal()).exp(), 2 * pixel) & inside


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
