"""One person in one picture with whatever is known of it, and batches of them.

Missing labels are zeros of confidence 0. The crop is an affine map, so that augmentation can move, turn and mirror it
with its labels before any pixel is touched; :func:`cut` then samples the picture once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from meshrec.body import NUM_BETAS
from meshrec.body.joints import NUM_JOINTS, convert_joints, joint_set
from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.geometry.affine import apply, compose, inverse, warp

FAR = 5000 / 112  # the focal length given to samples without a camera, over half the crop: SPIN's, nearly orthographic
MIDDLES = {"mid_hip": ("left_hip", "right_hip"), "thorax": ("left_shoulder", "right_shoulder")}


class Readable(Protocol):
    """A picture that is read or drawn when it is needed, such as :class:`meshrec.files.picture.Picture` on disk."""

    def read(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        ...


@dataclass(frozen=True, eq=False)
class Sample:
    """One person in one picture.

    Crop coordinates are those of the crop's square, whose edges are -1 and 1. Camera space is OpenCV's.

    Attributes:
        name: Where it comes from, such as ``train.npz row 17``; messages start with it.
        image: The picture: what reads it when it is needed, or (H, W, 3) uint8 RGB.
        to_crop: (2, 3) affine map from the picture's pixels to crop coordinates.
        joints: Names of the K joints below.
        keypoints_2d: (K, 3) x, y in crop coordinates, and confidence.
        joints_3d: (K, 4) x, y, z in metres, and confidence. In camera space where the camera is known; elsewhere the
            axes are the camera's and the origin is any.
        pose: (24, 3, 3) rotations of ``smpl24``, the first in camera space.
        pose_confidence: (24,).
        betas: (10,) shape.
        betas_confidence: Of the betas.
        body: Hash of the body the betas belong to.
        focal: (2,) focal lengths over half the crop's side.
        principal: (2,) principal point in crop coordinates.
        camera_confidence: Of focal and principal.
        mask: (H, W) uint8 over the picture's pixels, 255 where the person is; None where unknown.
        sequence: Which motion it is a frame of; empty for a single picture.
        time: Seconds from the start of the sequence.
    """

    name: str
    image: Readable | np.ndarray
    to_crop: np.ndarray
    joints: tuple[str, ...]
    keypoints_2d: np.ndarray
    joints_3d: np.ndarray
    pose: np.ndarray
    pose_confidence: np.ndarray
    betas: np.ndarray
    betas_confidence: float
    body: str
    focal: np.ndarray
    principal: np.ndarray
    camera_confidence: float
    mask: np.ndarray | None = None
    sequence: str = ""
    time: float = 0.0

    def read_image(self) -> np.ndarray:
        """The picture, (H, W, 3) uint8 RGB.

        Raises:
            InputError: It cannot be read; the message names the sample too.
        """
        if isinstance(self.image, np.ndarray):
            return self.image
        try:
            return self.image.read()
        except InputError as error:
            raise InputError(f"{error} It is the picture of {self.name}.") from error


class Samples(Protocol):
    """What readers return: people by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def crop_map(center: np.ndarray, side: float) -> np.ndarray:
    """The affine map (2, 3) from pixels to the coordinates of a square crop.

    Args:
        center: (2,) pixels.
        side: Pixels.
    """
    scale = 2 / side
    return np.array([[scale, 0, -scale * center[0]], [0, scale, -scale * center[1]]])


def box_crop(box: np.ndarray, margin: float = 1.2) -> tuple[np.ndarray, float]:
    """Centre (2,) and side of the square around a box (4,) x0, y0, x1, y1: ``margin`` times its longer side.

    The default is the field's, as in SPIN's files.
    """
    return (box[:2] + box[2:]) / 2, float(margin * (box[2:] - box[:2]).max())


def person_sample(
    name: str,
    image: Readable | np.ndarray,
    crop: tuple[np.ndarray, float],
    joints: Sequence[str],
    keypoints_2d: np.ndarray | None = None,
    joints_3d: np.ndarray | None = None,
    pose: np.ndarray | None = None,
    betas: np.ndarray | None = None,
    body: str = "",
    camera: Camera | None = None,
    mask: np.ndarray | None = None,
    sequence: str = "",
    time: float = 0.0,
) -> Sample:
    """A sample from labels in the picture's pixels; what is None gets confidence 0.

    Args:
        name, image, mask, sequence, time: As in :class:`Sample`.
        crop: Centre (2,) and side of the square crop in pixels.
        joints: Names of the K joints.
        keypoints_2d: (K, 3) x, y in pixels, and confidence.
        joints_3d: (K, 4) x, y, z in metres in camera space, and confidence.
        pose: (24, 3, 3) rotations, the first in camera space.
        betas: (S,) shape, S up to 10.
        body: Hash of the body of the betas. Betas of no known body get confidence 0.
        camera: Of the whole picture.
    """
    to_crop = crop_map(*crop)
    keypoints = np.zeros((len(joints), 3), np.float32)
    if keypoints_2d is not None:
        keypoints = np.column_stack([apply(to_crop, keypoints_2d[:, :2]), keypoints_2d[:, 2]])
    points = np.zeros((len(joints), 4), np.float32) if joints_3d is None else joints_3d
    focal, principal = np.full(2, FAR), np.zeros(2)
    if camera is not None:
        matrix = camera.matrix.numpy()
        focal = matrix[[0, 1], [0, 1]] * to_crop[0, 0]
        principal = apply(to_crop, matrix[:2, 2])
    shape = np.zeros(NUM_BETAS, np.float32)
    shape[: 0 if betas is None else len(betas)] = 0 if betas is None else betas
    return Sample(
        name=name,
        image=image,
        to_crop=to_crop,
        joints=tuple(joints),
        keypoints_2d=_known(keypoints),
        joints_3d=_known(points),
        pose=np.tile(np.eye(3, dtype=np.float32), (NUM_JOINTS, 1, 1)) if pose is None else pose.astype(np.float32),
        pose_confidence=np.full(NUM_JOINTS, pose is not None, np.float32),
        betas=shape,
        betas_confidence=float(betas is not None and body != ""),
        body=body,
        focal=focal.astype(np.float32),
        principal=principal.astype(np.float32),
        camera_confidence=float(camera is not None),
        mask=mask,
        sequence=sequence,
        time=time,
    )


def cut(sample: Sample, resolution: int) -> Sample:
    """The sample with its picture cut out: image (resolution, resolution, 3), mask likewise, black outside."""
    to_pixels = compose(pixels_of(resolution), sample.to_crop)
    size = (resolution, resolution)
    return replace(
        sample,
        image=warp(sample.read_image(), to_pixels, size),
        mask=None if sample.mask is None else warp(sample.mask, to_pixels, size),
        to_crop=inverse(pixels_of(resolution)),
    )


@dataclass(frozen=True, eq=False)
class Batch:
    """B samples side by side; attributes are as in :class:`Sample`.

    Attributes:
        image: (B, 3, R, R) uint8 RGB, or empty where a batch was made without pictures.
        mask: (B, R, R) uint8 coverage, 255 = the person.
        mask_confidence: (B,).
        joint_set: Name of the set of the K joints.
        keypoints_2d: (B, K, 3).
        joints_3d: (B, K, 4).
        pose: (B, 24, 3, 3), and its confidence (B, 24).
        betas: (B, 10), and their confidence (B,); ``bodies`` are the hashes of the bodies they belong to.
        focal: (B, 2), nearly orthographic where unknown, and ``principal`` (B, 2); their confidence (B,).
        names, sequences: (B,) strings.
        time: (B,) seconds.
    """

    image: Tensor
    mask: Tensor
    mask_confidence: Tensor
    joint_set: str
    keypoints_2d: Tensor
    joints_3d: Tensor
    pose: Tensor
    pose_confidence: Tensor
    betas: Tensor
    betas_confidence: Tensor
    bodies: tuple[str, ...]
    focal: Tensor
    principal: Tensor
    camera_confidence: Tensor
    names: tuple[str, ...]
    sequences: tuple[str, ...]
    time: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """The batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        """The batch in memory from which copies to a GPU are asynchronous; the data loader calls this."""
        return self._map(Tensor.pin_memory)

    def camera(self, resolution: int) -> Camera:
        """The cameras of the crops as pictures of ``resolution`` pixels a side."""
        half = resolution / 2
        center = (self.principal + 1) * half - 0.5
        return Camera(focal=self.focal * half, center=center, size=(resolution, resolution))

    def betas_confidence_for(self, body: str) -> Tensor:
        """(B,) confidence of the betas, 0 for those of another body than the one with this hash."""
        same = [hash_ == body for hash_ in self.bodies]
        return self.betas_confidence * torch.tensor(same, device=self.betas.device)

    def _map(self, change: Any) -> "Batch":
        values: Mapping[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{name: change(v) if isinstance(v, Tensor) else v for name, v in values.items()})


def collate(samples: Sequence[Sample], joints: str) -> Batch:
    """Samples whose pictures are cut, as a batch.

    Args:
        samples: As :func:`cut` returns them, all of one resolution.
        joints: Name of the set in which labels are put side by side, such as ``union55``. What a sample's own set
            lacks gets confidence 0; the middle of hips or shoulders that are known in 3D is filled in.
    """
    names = joint_set(joints)
    images = np.stack([sample.read_image() for sample in samples])
    blank = np.zeros(images.shape[1:3], np.uint8)

    def stack(values: Sequence[Any]) -> Tensor:
        return torch.from_numpy(np.stack(values).astype(np.float32))

    return Batch(
        image=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        mask=torch.from_numpy(np.stack([blank if s.mask is None else s.mask for s in samples])),
        mask_confidence=stack([s.mask is not None for s in samples]),
        joint_set=joints,
        keypoints_2d=stack([convert_joints(s.keypoints_2d, s.joints, names)[0] for s in samples]),
        joints_3d=stack([with_middles(convert_joints(s.joints_3d, s.joints, names)[0], names) for s in samples]),
        pose=stack([s.pose for s in samples]),
        pose_confidence=stack([s.pose_confidence for s in samples]),
        betas=stack([s.betas for s in samples]),
        betas_confidence=stack([s.betas_confidence for s in samples]),
        bodies=tuple(s.body for s in samples),
        focal=stack([s.focal for s in samples]),
        principal=stack([s.principal for s in samples]),
        camera_confidence=stack([s.camera_confidence for s in samples]),
        names=tuple(s.name for s in samples),
        sequences=tuple(s.sequence for s in samples),
        time=stack([s.time for s in samples]),
    )


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Batches of one joint set and resolution as one, in their order."""
    if len({(batch.joint_set, batch.image.shape[1:]) for batch in batches}) != 1:
        raise ValueError("batches of different joint sets or resolutions cannot be one batch")
    values: dict[str, Any] = {}
    for field in fields(Batch):
        parts = [getattr(batch, field.name) for batch in batches]
        if isinstance(parts[0], Tensor):
            values[field.name] = torch.cat(parts)
        else:
            values[field.name] = parts[0] if field.name == "joint_set" else sum(parts, ())
    return Batch(**values)


def pixels_of(resolution: int) -> np.ndarray:
    """(2, 3) from crop coordinates to the crop's pixels: its edges are at -0.5 and resolution - 0.5."""
    half = resolution / 2
    return np.array([[half, 0, half - 0.5], [0, half, half - 0.5]])


def _known(labels: np.ndarray) -> np.ndarray:
    """Labels (K, D + 1), zeros wherever the confidence is 0, whatever stood there."""
    return np.where(labels[:, -1:] > 0, labels, 0).astype(np.float32)


def with_middles(points: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """3D joints (K, 4) with the middles that follow from both their sides, so that every pose has its root."""
    points = points.copy()
    for middle, sides in MIDDLES.items():
        if {middle, *sides} <= set(names):
            one, other = (points[names.index(side)] for side in sides)
            if points[names.index(middle), 3] == 0 and min(one[3], other[3]) > 0:
                points[names.index(middle)] = [*(one[:3] + other[:3]) / 2, min(one[3], other[3])]
    return points
