"""Moves faces to where detectors find them in photos, which differs from where they find them in renders.

For people who stand upright, the shoulders, hips and legs that MediaPipe reports have the same proportions in photos
and in renders. Faces do not: in photos they lie closer to the shoulders and are wider. Medians of heads that look
ahead, 14 in photos and 401 in renders: the height of the ears above the shoulders is 0.392 +- 0.018 of the trunk's
length in photos and 0.425 in renders; the distance between the ears 0.245 +- 0.010 and 0.222. Now and then the front of
a face is displaced as a whole, so that a person who looks ahead seems to bow. A network that is trained without these
errors explains such faces by a trunk that leans forward.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from meshrec.body import joint_set
from meshrec.data.streams import Streams
from meshrec.landmarks.placements import on_face

# Mean and standard deviation of how much closer faces are to the shoulders, as a share of the distance, and of how much
# wider they are, as a share of the width.
LOWER, WIDER = (0.07, 0.06), (0.1, 0.1)
TAILS = 4  # degrees of freedom of the front's error, Student's t


def faces_as_in_photos(keypoints: Tensor, side: Tensor, joints: str, amount: float, streams: Streams) -> Tensor:
    """Move the landmarks of faces; all others stay where they are.

    Args:
        keypoints: (B, K, 2) landmarks in renders.
        side: (B,) the longer sides of the people's boxes, in the unit of the keypoints.
        joints: Name of the joint set. Without ears in it, no landmark moves.
        amount: Standard deviation of the error that eyes, nose and mouth share, as a share of the box's side. At 0 no
            landmark moves, and no random number is drawn.
        streams: One random stream per person.

    Returns:
        (B, K, 2).
    """
    names, device = joint_set(joints), keypoints.device
    if not amount or "left_ear" not in names:
        return keypoints

    def between(part: str) -> Tensor:
        return keypoints[:, [names.index(f"left_{part}"), names.index(f"right_{part}")]].mean(1, keepdim=True)

    lower, wider = (mean + spread * streams.normal(1, 1).to(device) for mean, spread in (LOWER, WIDER))
    off = streams.normal(1, 2) * streams.tails(TAILS, 1)[..., None]
    ears, neck = between("ear"), between("ear") - between("shoulder")
    up = normalize(neck, dim=-1)
    across = torch.stack([-up[..., 1], up[..., 0]], dim=-1)
    from_middle = ((keypoints - ears) * across).sum(-1, keepdim=True) * across
    face, front = (torch.from_numpy(on_face(joints, ears)).to(device)[:, None] for ears in (True, False))
    error = amount * side[:, None, None] * off.to(keypoints)
    return keypoints + face * (wider * from_middle - lower * neck) + front * error
