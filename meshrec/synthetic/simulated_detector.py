"""What a pose detector would report of synthetic people: noisy keypoints and an imperfect mask."""

import torch

from meshrec.body import BodyModel
from meshrec.data.proxies import Proxies
from meshrec.data.streams import Streams
from meshrec.synthetic.detector_noise import (
    DetectorNoise,
    detected,
    detected_masks,
    detector_offsets,
    known_landmarks,
)
from meshrec.synthetic.people import People, to_normalized
from meshrec.synthetic.visibility import at_pixels, behind_surface, inside_photo, outside_photo, visible_faces


@torch.no_grad()
def observe(
    people: People, body: BodyModel, streams: Streams, joints: str = "mediapipe33", noise: DetectorNoise | None = None
) -> Proxies:
    """Simulate a detector on synthetic people.

    Args:
        people: The B people.
        body: The body that they were made with.
        streams: One random stream per person.
        joints: Joint set of the detector. Landmarks of ``mediapipe33`` lie where MediaPipe sees them, unless
            ``noise.scale`` is 0.
        noise: Errors of the detector; by default those measured on MediaPipe.

    Returns:
        Keypoints, masks with and without the detector's errors, and which landmarks are hidden.
    """
    noise = noise or DetectorNoise()
    size = people.camera.size
    seen, depth = visible_faces(people.vertices, body.faces, people.camera)
    landmarks = body.joints_from(people.vertices, joints)
    known = known_landmarks(streams, joints, noise.fewer).to(landmarks.device)
    if noise.scale:  # detectors with fewer landmarks are assumed to see them where the body has them
        landmarks = landmarks + detector_offsets(joints, people.global_rotations) * known.all(1)[:, None, None]
    pixels = people.project(landmarks)

    hidden = behind_surface(pixels, landmarks[..., 2], seen, body.faces, depth)
    hidden = hidden | at_pixels(people.covered, pixels) | outside_photo(people.photo, pixels)

    inside = inside_photo(people.photo, size)
    exact = (seen >= 0) & ~people.covered & inside
    mask = detected_masks(exact, inside, streams, noise.mask)
    side = (people.box[:, 2:] - people.box[:, :2]).amax(1)
    keypoints = detected(pixels, hidden, side, joints, streams, noise)
    known &= ~outside_photo(people.photo, keypoints[..., :2])
    place = to_normalized(keypoints[..., :2], size[0])
    keypoints = torch.cat([place, keypoints[..., 2:] * known[..., None]], -1)
    return Proxies(keypoints, mask[:, None].float(), exact[:, None].float(), hidden)
