"""Detected renders as training batches: a detector's real errors, on people varied at every draw.

A detector's errors hang on the pose, but not on its last degree: people are turned, bent and reshaped a little, and
their detected keypoints move as their landmarks do. Nothing is drawn or detected again.
Masks cannot be moved like that: with them people stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_set
from meshrec.body.joints import flip_permutation
from meshrec.body.kinematics import mirror_pose
from meshrec.data.centred import centred
from meshrec.data.proxies import Proxies
from meshrec.data.sample import Batch
from meshrec.data.streams import BatchStream, Streams
from meshrec.errors import InputError
from meshrec.geometry import Camera, axis_angle_to_matrix
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.synthetic.detected_renders import SURE, DetectedRenders
from meshrec.synthetic.detector_noise import known_landmarks
from meshrec.synthetic.keypoints import CROP, JOINTS, keypoint_labels
from meshrec.synthetic.loose_clothes import Clothes
from meshrec.synthetic.photo_faces import faces_as_in_photos
from meshrec.synthetic.poses import perturbed
from meshrec.synthetic.render_masks import RenderMasks, crop_cameras


@dataclass(frozen=True)
class Variation:
    """How far people and crops are moved.

    Attributes:
        mirrored: Share of people who are mirrored.
        perturbed: Share of people whose joints are turned a little at random.
        turn: Standard deviation of the whole body's turn about each axis, degrees.
        shape: Standard deviation of what is added to each beta.
        roll: Standard deviation of the picture's turn, degrees.
        scale: Standard deviation of the logarithm of the crop's side.
        shift: Standard deviation of the crop's centre, share of half its side.
        fewer: Share of people of whom only those landmarks are kept that other detectors have too.
        face: As in :class:`meshrec.synthetic.detector_noise.DetectorNoise`, also of people whose masks are needed.
    """

    mirrored: float = 0.5
    perturbed: float = 0.7
    turn: float = 5.0
    shape: float = 0.5
    roll: float = 5.0
    scale: float = 0.08
    shift: float = 0.05
    fewer: float = 0.1
    face: float = 0.01


@dataclass(frozen=True)
class _People:
    """B people: rotations (B, 24, 3, 3), betas (B, S), points of ``union55`` (B, 55, 3), what a detector says of them
    (B, K, 3), and the focal length (B,) of their centred crop."""

    pose: Tensor
    betas: Tensor
    points: Tensor
    keypoints: Tensor
    focal: Tensor


class DetectedKeypoints:
    """Detected renders in random batches: batch i of a seed is always the same one.

    Args:
        renders: Those to draw from; people whom the detector did not find are left out.
        body: The one they were made with.
        seed: Of the order and of the variation.
        variation: How far people are moved.
        masks: Whether masks are wanted too.

    Raises:
        InputError: The renders show another body, or the detector found nobody.
    """

    def __init__(
        self,
        renders: Sequence[DetectedRenders],
        body: BodyModel,
        seed: int = 0,
        variation: Variation | None = None,
        masks: bool = False,
    ) -> None:
        if any(str(part.body) != body.hash for part in renders):
            raise InputError("these renders show another body than the one given: make them anew with it")
        if not any((part.score > 0).any() for part in renders):
            raise InputError("the detector found nobody in these renders")
        self.detected_joints = str(renders[0].joint_set)
        self.seed, self.body_hash, self.variation = seed, body.hash, variation or Variation()
        self._landmarks = TorchLandmarks(LandmarkMoments.of_body(body, JOINTS))
        names = joint_set(JOINTS)
        self._root, self._seen = names.index("pelvis"), [names.index(n) for n in joint_set(self.detected_joints)]
        parts = [vars(self._found(part)) for part in renders]
        self._people = _People(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})
        self._masks = RenderMasks.of(renders, body) if masks else None

    def __len__(self) -> int:
        return len(self._people.focal)

    def rows(
        self,
        rows: Sequence[int] | Tensor,
        resolution: int = CROP,
        clothes: Clothes | None = None,
        streams: Streams | None = None,
    ) -> tuple[Batch, Proxies]:
        """Some people, centred, without pictures, neither moved nor mirrored.

        Their true masks are not kept: where masks are wanted, ``mask_confidence`` is 0.

        Args:
            rows: Which.
            resolution: Side of the masks in pixels.
            clothes: What they wear in the masks; default nothing but the renders' paint.
            streams: One for each person, to have faces as in photos; default as they are in renders.
        """
        rows = torch.as_tensor(rows)
        people = self._chosen(rows)
        if streams is not None:
            people = self._misread(people, streams)
        focal, principal = people.focal[:, None].expand(-1, 2), torch.zeros(len(rows), 2)
        batch, seen = self._labelled(people, focal, principal)
        if self._masks is None:
            return batch, seen
        nothing = torch.zeros(len(rows), resolution, resolution, dtype=torch.uint8)
        return replace(batch, mask=nothing), replace(seen, silhouette=self._masks.centred(rows, resolution, clothes))

    @torch.no_grad()
    def batch(self, count: int, number: int, process: int = 0) -> tuple[Batch, Proxies]:
        """Random people, varied and centred, without pictures and masks.

        Args:
            count: How many people.
            number: Of the batch; the same one is the same in every run.
            process: Which of several processes wants it; each has batches of its own.
        """
        how, streams = self.variation, BatchStream(count, (self.seed, number, process), "detected keypoints")
        people = self._moved(self._chosen(streams.whole(len(self))), streams)
        people = self._misread(people, streams)
        people = self._mirrored(_rolled(people, (how.roll * streams.normal()).deg2rad()), streams.happens(how.mirrored))
        scale, shift = (how.scale * streams.normal(1)).exp(), how.shift * streams.normal(2)
        place, confidence = people.keypoints.split((2, 1), dim=-1)
        confidence = confidence * known_landmarks(streams, self.detected_joints, how.fewer)[..., None]
        keypoints = torch.cat([(place - shift[:, None]) / scale[..., None], confidence], dim=-1)
        people = replace(people, keypoints=keypoints)
        return self._labelled(people, (people.focal[:, None] / scale).expand(-1, 2), -shift / scale)

    def _found(self, part: DetectedRenders) -> _People:
        """The people of a file whom the detector found."""
        names = ("rotations", "betas", "translation", "keypoints", "focal")
        pose, betas, translation, keypoints, focal = (torch.from_numpy(getattr(part, n)[part.score > 0]) for n in names)
        people = _People(pose, betas, self._landmarks(pose, betas) + translation[:, None], keypoints, focal[:, 0])
        batch, seen = self._labelled(people, *crop_cameras(part))
        return _People(batch.pose, betas, batch.joints_3d[..., :3], seen.keypoints, batch.focal[:, 0])

    def _chosen(self, rows: Tensor) -> _People:
        return _People(**{name: values[rows] for name, values in vars(self._people).items()})

    def _moved(self, people: _People, streams: BatchStream) -> _People:
        """Turn, bend and reshape people about their pelvis, and take what is detected along."""
        how = self.variation
        pose = torch.where(
            streams.happens(how.perturbed)[:, None, None, None], perturbed(people.pose, streams), people.pose
        )
        turn = axis_angle_to_matrix((how.turn * streams.normal(3)).deg2rad())
        pose = torch.cat([turn[:, None] @ pose[:, :1], pose[:, 1:]], dim=1)
        betas = people.betas + how.shape * streams.normal(people.betas.shape[1])
        points = self._landmarks(pose, betas)
        points = points + (people.points - points)[:, self._root, None]
        place, confidence = people.keypoints.split((2, 1), dim=-1)
        place = place + self._projected(points, people.focal) - self._projected(people.points, people.focal)
        keypoints = torch.cat([place, confidence], dim=-1)
        return replace(people, pose=pose, betas=betas, points=points, keypoints=keypoints)

    def _misread(self, people: _People, streams: Streams) -> _People:
        """Put faces where they are in photos."""
        place, confidence = people.keypoints.split((2, 1), dim=-1)
        high, low = (torch.where(confidence > 0, place, end) for end in (-torch.inf, torch.inf))
        side = (high.amax(1) - low.amin(1)).amax(1).clamp(min=0)
        place = faces_as_in_photos(place, side, self.detected_joints, self.variation.face, streams)
        return replace(people, keypoints=torch.cat([place, confidence], dim=-1))

    def _projected(self, points: Tensor, focal: Tensor) -> Tensor:
        """Where the landmarks that the detector looks for are in centred crops."""
        points = points[:, self._seen]
        return focal[:, None, None] * points[..., :2] / points[..., 2:]

    def _mirrored(self, people: _People, which: Tensor) -> _People:
        """Mirror those of ``which`` (B,)."""
        mirror, which = torch.tensor([-1.0, 1.0, 1.0]), which[:, None, None]
        points = people.points[:, flip_permutation(JOINTS)] * mirror
        keypoints = people.keypoints[:, flip_permutation(self.detected_joints)] * mirror
        return replace(
            people,
            pose=torch.where(which[..., None], mirror_pose(people.pose), people.pose),
            points=torch.where(which, points, people.points),
            keypoints=torch.where(which, keypoints, people.keypoints),
        )

    def _labelled(self, people: _People, focal: Tensor, principal: Tensor) -> tuple[Batch, Proxies]:
        """Centred labels and detections of people whose crop has this camera, (B, 2) and (B, 2)."""
        nothing = torch.empty(0)
        names = ("detected render",) * len(focal)
        # A crop of two pixels: half its side is one.
        camera = Camera(focal * CROP / 2, (principal + 1) * CROP / 2 - 0.5, (CROP, CROP))
        batch = keypoint_labels(people.points, people.pose, people.betas, camera, self.body_hash, names)
        return centred(batch, Proxies(people.keypoints, nothing, nothing, people.keypoints[..., 2] < SURE))


def _rolled(people: _People, angle: Tensor) -> _People:
    """Turn pictures by angles (B,), radians."""
    axis_angle = torch.zeros(len(angle), 3)
    axis_angle[:, 2] = angle
    roll = axis_angle_to_matrix(axis_angle)
    pose = torch.cat([roll[:, None] @ people.pose[:, :1], people.pose[:, 1:]], dim=1)
    # The confidence stays where the third axis would be.
    return replace(people, pose=pose, points=people.points @ roll.mT, keypoints=people.keypoints @ roll.mT)
