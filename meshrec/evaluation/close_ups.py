"""Heads and wrists on renders: what close looks say of them, and how far a fit turns them wrongly."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_index, joint_set
from meshrec.body.kinematics import global_rotations
from meshrec.data.streams import Streams
from meshrec.detect import Detection, Detector
from meshrec.detect.people import CloseUp, person_at
from meshrec.geometry import Camera, axis_angle_to_matrix, procrustes
from meshrec.geometry.crops import look_along
from meshrec.geometry.tangent import turns_between
from meshrec.landmarks.rigid_parts import MIRROR, RigidPart
from meshrec.synthetic.people import People, SyntheticPeople
from meshrec.synthetic.pictures import Pictures, photograph

# Standard deviations of the turns that renders add to poses, about x, y and z, degrees.
ADDED = {"neck": (8, 15, 6), "head": (10, 20, 8), "left_wrist": (25, 15, 25), "right_wrist": (25, 15, 25)}
FACING = {"head": (0.0, 0.0, 1.0), "left_wrist": (0.0, -1.0, 0.0), "right_wrist": (0.0, -1.0, 0.0)}
"""In the joints' rest frames, where a face looks and which way a palm faces."""
ROUNDS, ROBUST = 5, 0.25  # of the mean shapes; error from which an observation loses its pull, radians
# Pairs of face landmarks on both sides of the middle, and those in the middle.
FACE_PAIRS = (
    (33, 263), (133, 362), (61, 291), (127, 356), (234, 454), (58, 288), (4, 4), (10, 10), (152, 152), (168, 168),
)  # fmt: skip
PALM = (0, 1, 5, 9, 13, 17)  # wrist, base of the thumb, and the knuckles
MAD_TO_DEVIATION = 1.4826


@dataclass(frozen=True)
class Seen:
    """A rendered person with their detection.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        detection: What the detector says, with close-ups.
        camera: The picture's camera.
        rotations: (24, 3, 3) local rotations, the first in camera space.
        joints: (24, 3) metres, camera space.
    """

    image: np.ndarray
    detection: Detection
    camera: Camera
    rotations: Tensor
    joints: Tensor


@torch.no_grad()
def look_at_renders(
    source: SyntheticPeople, indices: range, pictures: Pictures, detector: Detector, chunk: int = 4
) -> Iterator[Seen]:
    """Render people whose heads and wrists are turned, and detect them.

    Args:
        source: The data set. In crops of 900 pixels most faces and hands have 40 pixels and more.
        indices: Numbers of the people in it.
        pictures: How to draw them.
        detector: A detector that gives close-ups.
        chunk: Number of people to render at once.

    Yields:
        Each person whom the detector finds.
    """
    for start in range(0, len(indices), chunk):
        part = indices[start : start + chunk]
        people = _turned(source.draw(part), source.body, source.streams(part, "turns"))
        images = photograph(people, source.body, pictures, source.streams(part, "picture")).movedim(1, -1).cpu().numpy()
        for i, image in enumerate(images):
            x0, y0, x1, y1 = np.clip(np.ceil(people.photo[i].cpu().numpy()).astype(int), 0, len(image))
            box: np.ndarray = people.box[i].cpu().numpy() - np.array([x0, y0, x0, y0], np.float32)
            photo = np.ascontiguousarray(image[y0:y1, x0:x1])
            found = person_at(detector(photo, box[None]), box)
            if found is not None and found.score > 0:
                focal, center = (torch.as_tensor(v)[i].tolist() for v in (people.camera.focal, people.camera.center))
                camera = Camera(focal, (center[0] - x0, center[1] - y0), (int(x1 - x0), int(y1 - y0)))
                yield Seen(photo, found, camera, people.rotations[i].cpu(), people.joints[i].cpu())


def measure_parts(people: Sequence[Seen], body: BodyModel) -> dict[str, RigidPart]:
    """Shapes and deviations of close-ups: the table :data:`meshrec.landmarks.rigid_parts.PARTS`.

    Heads and their mirror images count, and right hands as mirror images of left ones.

    Args:
        people: Detected renders of the body.
        body: The body.
    """
    heads, hands = [], []
    for person in people:
        frames = global_rotations(person.rotations[None].double(), body.tree)[0]
        for close in person.detection.close_ups:
            points, own = _in_camera(close, person.camera), frames[joint_index(close.joint, "smpl24")].numpy()
            if close.joint == "head":
                one, other = (points[[pair[side] for pair in FACE_PAIRS]] for side in (0, 1))
                both = np.concatenate([one, other])
                heads += [(both, own), (np.concatenate([other, one]) * MIRROR, _mirrored(own))]
            elif close.joint == "left_wrist":
                hands.append((points[list(PALM)], own))
            else:
                hands.append((points[list(PALM)] * MIRROR, _mirrored(own)))
    numbers = [pair[side] for side in (0, 1) for pair in FACE_PAIRS]
    return {"head": _part(numbers, heads), "left_wrist": _part(PALM, hands)}


def facing_errors(fitted: Tensor, true: Tensor, body: BodyModel) -> dict[str, np.ndarray]:
    """Angles between fitted and true directions of the face and the palms.

    Args:
        fitted: (N, 24, 3, 3) local rotations, the first in camera space.
        true: (N, 24, 3, 3) the true ones.
        body: The body.

    Returns:
        (N,) degrees for each of :data:`FACING`.
    """
    both = [global_rotations(rotations.double(), body.tree) for rotations in (fitted, true)]
    errors = {}
    for joint, axis in FACING.items():
        ways = [frames[:, joint_index(joint, "smpl24")] @ torch.tensor(axis).double() for frames in both]
        errors[joint] = torch.linalg.vecdot(*ways).clamp(-1, 1).acos().rad2deg().numpy()
    return errors


def _turned(people: People, body: BodyModel, streams: Streams) -> People:
    """The people with their heads and wrists turned at random."""
    names = joint_set("smpl24")
    spread = torch.tensor([ADDED.get(name, (0, 0, 0)) for name in names]).float().deg2rad()
    turns = axis_angle_to_matrix(streams.normal(len(names), 3) * spread).to(people.rotations)
    rotations = people.rotations @ turns
    out = body(people.betas, rotations[:, 1:], rotations[:, 0], people.translation)
    return replace(
        people, rotations=rotations, vertices=out.vertices, joints=out.joints, global_rotations=out.rotations
    )


def _in_camera(close: CloseUp, camera: Camera) -> np.ndarray:
    """The landmarks (K, 3) of a close-up in camera space, but for place and scale."""
    ray = camera.unproject(torch.tensor([[*close.center.tolist(), 1.0]], dtype=torch.float64))
    return close.points.astype(np.float64) @ look_along(ray)[0].numpy()


def _mirrored(rotation: np.ndarray) -> np.ndarray:
    """A rotation (3, 3) of a joint as the mirror image of the body has it at the joint's counterpart."""
    return rotation * MIRROR * MIRROR[:, None]


def _part(numbers: Sequence[int], seen: list[tuple[np.ndarray, np.ndarray]]) -> RigidPart:
    """The mean shape of landmarks in the frame of their joint, and the scatter of the rotations that it gives.

    Args:
        numbers: (N,) numbers of the landmarks; repeated ones are averaged.
        seen: Landmarks (N, 3) in camera space, and the rotation (3, 3) of the joint, of each observation.
    """
    points, own = (torch.from_numpy(np.stack(parts)) for parts in zip(*seen))
    points = points - points.mean(1, keepdim=True)
    points = points / points.square().sum(-1).mean(1).sqrt()[:, None, None]
    rest = points @ own  # own^T p, row by row
    weight = torch.ones(len(rest)).double()
    for _ in range(ROUNDS):
        shape = (weight[:, None, None] * rest).sum(0) / weight.sum()
        errors = turns_between(own, procrustes(shape.expand(len(points), -1, -1), points).rotation)
        weight = 1 / (1 + errors.square().sum(-1) / ROBUST**2).square()
    rows = {n: shape[[i for i, other in enumerate(numbers) if other == n]].mean(0) for n in dict.fromkeys(numbers)}
    shape = torch.stack(list(rows.values()))
    shape = shape - shape.mean(0)
    shape = 100 * shape / shape.square().sum(-1).mean().sqrt()
    deviation = MAD_TO_DEVIATION * errors.abs().median(0).values.rad2deg()
    rounded = {n: tuple(round(x, 1) + 0.0 for x in row) for n, row in zip(rows, shape.tolist())}
    return RigidPart(rounded, tuple(round(x, 1) for x in deviation.tolist()))
