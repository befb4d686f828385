"""Faces as detectors find them in photos, which is not as they find them in renders of a bare body.

Of people who stand upright, MediaPipe's shoulders, hips and legs have the same proportions in photos and in renders,
but its faces do not. In photos they lie nearer to the shoulders and are wider (medians of heads that look ahead, 14 in
photos and 401 in renders: ears over shoulders .392 +- .018 of the trunk's length instead of .425; between the ears
.245 +- .010 instead of .222), and now and then the front of a face is off as a whole, so that someone who looks ahead
seems to bow. A network that does not know this explains such faces by trunks that lean forward.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from meshrec.body import joint_set
from meshrec.data.streams import Streams
from meshrec.landmarks.placements import on_face

LOWER = (
    0.07,
    0.06,
)  # by how much faces are nearer to the shoulders, share of the distance: mean and standard deviation
WIDER = (0.1, 0.1)  # by how much they are wider, likewise
TAILS = 4  # degrees of freedom of Student's t, of the front's error


def faces_as_in_photos(keypoints: Tensor, side: Tensor, joints: str, amount: float, streams: Streams) -> Tensor:
    """Landmarks with their faces elsewhere, all others as they are.

    Args:
        keypoints: (B, K, 2).
        side: (B,) the longer side of the people's boxes, in the keypoints' unit.
        joints: Their set; those of sets without ears stay where they are.
        amount: Standard deviation of the error that eyes, nose and mouth share, as a share of the box's side. At zero
            everything stays where it is, and nothing is drawn.
        streams: One for each person.

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
