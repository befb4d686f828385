"""Training batches of detected renders: the real errors of a detector, on people who are varied at every draw.

A detector's errors depend on the pose, but vary slowly with it. So people are turned, bent and reshaped a little, and
their detected keypoints move along with the landmarks; nothing is rendered or detected again. Masks cannot be moved
like that: people whose masks are needed are not varied.
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
from meshrec.synthetic.batches import labels
from meshrec.synthetic.detected_renders import SURE, DetectedRenders
from meshrec.synthetic.detector_noise import known_landmarks
from meshrec.synthetic.keypoint_batches import CROP, JOINTS
from meshrec.synthetic.loose_clothes import Clothes
from meshrec.synthetic.photo_faces import faces_as_in_photos
from meshrec.synthetic.random_poses import perturbed
from meshrec.synthetic.render_masks import RenderMasks, crop_cameras


@dataclass(frozen=True)
class Variation:
    """How far people and crops are varied at every draw.

    Attributes:
        mirrored: Share of people who are mirrored.
        perturbed: Share of people whose joints are turned a little at random.
        turn: Standard deviation of the whole body's rotation about each axis, degrees.
        shape: Standard deviation of the change of each beta.
        roll: Standard deviation of the picture's rotation, degrees.
        scale: Standard deviation of the logarithm of the crop's side.
        shift: Standard deviation of the crop's centre, as a share of half its side.
        fewer: Share of people of whom only the landmarks are kept that another detector has too.
        face: As in :class:`meshrec.synthetic.detector_noise.DetectorNoise`. It alone also holds for people with masks.
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
    """B people in centred crops.

    Attributes:
        pose: (B, 24, 3, 3) local rotations, the first in camera space.
        betas: (B, S) shape coefficients.
        points: (B, 55, 3) ``union55`` joints in camera space, metres.
        keypoints: (B, K, 3) detected x and y in crop coordinates, and confidence.
        focal: (B,) focal lengths over half the crop's side.
    """

    pose: Tensor
    betas: Tensor
    points: Tensor
    keypoints: Tensor
    focal: Tensor


class DetectedKeypoints:
    """The people of detected renders, by their rows or in endless random batches.

    Args:
        renders: Detected renders of one detector. People whom it did not find are left out.
        body: The body that they were made with.
        seed: Seed of the batches: batch i of a seed is always the same.
        variation: How far people are varied in batches.
        masks: Whether masks are needed too.

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
        """People as they were rendered, centred and without pictures.

        The labels have no true masks, because renders do not keep them: ``mask_confidence`` is 0.

        Args:
            rows: Indices of B people among those whom the detector found.
            resolution: Side of the masks in pixels.
            clothes: Clothes to add to the detected masks; by default none.
            streams: One random stream per person, with which faces are moved to where photos have them; by default they
                stay where the detector found them in renders.
        """
        rows = torch.as_tensor(rows)
        people = self._chosen(rows)
        if streams is not None:
            people = self._with_photo_faces(people, streams)
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
            count: Number of people.
            number: Number of the batch. Equal arguments give equal batches.
            process: Rank of the training process; the batches of different ranks differ.
        """
        how, streams = self.variation, BatchStream(count, (self.seed, number, process), "detected keypoints")
        people = self._moved(self._chosen(streams.whole(len(self))), streams)
        people = self._with_photo_faces(people, streams)
        people = self._mirrored(_rolled(people, (how.roll * streams.normal()).deg2rad()), streams.happens(how.mirrored))
        scale, shift = (how.scale * streams.normal(1)).exp(), how.shift * streams.normal(2)
        place, confidence = people.keypoints.split((2, 1), dim=-1)
        confidence = confidence * known_landmarks(streams, self.detected_joints, how.fewer)[..., None]
        keypoints = torch.cat([(place - shift[:, None]) / scale[..., None], confidence], dim=-1)
        people = replace(people, keypoints=keypoints)
        return self._labelled(people, (people.focal[:, None] / scale).expand(-1, 2), -shift / scale)

    def _found(self, part: DetectedRenders) -> _People:
        """The people of a file whom the detector found, centred."""
        names = ("rotations", "betas", "translation", "keypoints", "focal")
        pose, betas, translation, keypoints, focal = (torch.from_numpy(getattr(part, n)[part.score > 0]) for n in names)
        people = _People(pose, betas, self._landmarks(pose, betas) + translation[:, None], keypoints, focal[:, 0])
        batch, seen = self._labelled(people, *crop_cameras(part))
        return _People(batch.pose, betas, batch.joints_3d[..., :3], seen.keypoints, batch.focal[:, 0])

    def _chosen(self, rows: Tensor) -> _People:
        return _People(**{name: values[rows] for name, values in vars(self._people).items()})

    def _moved(self, people: _People, streams: BatchStream) -> _People:
        """Turn, bend and reshape people about their pelvis, and move detected keypoints along with their landmarks."""
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

    def _with_photo_faces(self, people: _People, streams: Streams) -> _People:
        """Move detected faces to where photos have them, see :mod:`meshrec.synthetic.photo_faces`."""
        place, confidence = people.keypoints.split((2, 1), dim=-1)
        high, low = (torch.where(confidence > 0, place, end) for end in (-torch.inf, torch.inf))
        side = (high.amax(1) - low.amin(1)).amax(1).clamp(min=0)
        place = faces_as_in_photos(place, side, self.detected_joints, self.variation.face, streams)
        return replace(people, keypoints=torch.cat([place, confidence], dim=-1))

    def _projected(self, points: Tensor, focal: Tensor) -> Tensor:
        """Project the detector's landmarks among points (B, 55, 3) to crop coordinates (B, K, 2) of centred crops."""
        points = points[:, self._seen]
        return focal[:, None, None] * points[..., :2] / points[..., 2:]

    def _mirrored(self, people: _People, which: Tensor) -> _People:
        """Mirror the people for whom ``which`` (B,) is true."""
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
        """Centred labels and detections of people.

        Args:
            people: The B people in the crops' cameras, which need not be centred.
            focal: (B, 2) focal lengths over half the crop's side.
            principal: (B, 2) principal points in crop coordinates.
        """
        nothing = torch.empty(0)
        names = ("detected render",) * len(focal)
        camera = Camera(focal * CROP / 2, (principal + 1) * CROP / 2 - 0.5, (CROP, CROP))
        batch = labels(people.points, people.pose, people.betas, camera, self.body_hash, JOINTS, names)
        return centred(batch, Proxies(people.keypoints, nothing, nothing, people.keypoints[..., 2] < SURE))


def _rolled(people: _People, angle: Tensor) -> _People:
    """Rotate the pictures of people by angles (B,), radians."""
    axis_angle = torch.zeros(len(angle), 3)
    axis_angle[:, 2] = angle
    roll = axis_angle_to_matrix(axis_angle)
    pose = torch.cat([roll[:, None] @ people.pose[:, :1], people.pose[:, 1:]], dim=1)
    # The third column of the keypoints is their confidence, which a rotation about the third axis keeps.
    return replace(people, pose=pose, points=people.points @ roll.mT, keypoints=people.keypoints @ roll.mT)
