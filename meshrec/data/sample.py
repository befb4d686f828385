"""One labelled person in one picture, and batches of them.

A missing label is zero and has a confidence of 0. The crop is given by an affine map, so that augmentation can move,
rotate and mirror it together with the labels without touching pixels; :func:`cut` then resamples the picture once.
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

FAR = 5000 / 112  # SPIN's focal length over half the crop's side, nearly orthographic, for samples without a camera
MIDDLES = {"mid_hip": ("left_hip", "right_hip"), "thorax": ("left_shoulder", "right_shoulder")}


class Readable(Protocol):
    """A picture that is read or rendered when it is needed, such as :class:`meshrec.files.picture.Picture`."""

    def read(self) -> np.ndarray:
        """The picture, (H, W, 3) uint8 RGB."""
        ...


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled person in one picture.

    Crop coordinates are those of the square crop, whose edges are at -1 and 1. Camera space is OpenCV's.

    Attributes:
        name: Where the sample comes from, such as ``train.npz row 17``, for messages.
        image: The picture: (H, W, 3) uint8 RGB, or an object that reads it when it is needed.
        to_crop: (2, 3) affine map from the picture's pixels to crop coordinates.
        joints: Names of the K joints.
        keypoints_2d: (K, 3) x and y in crop coordinates, and confidence.
        joints_3d: (K, 4) x, y and z in metres, and confidence. They are in camera space if the camera is known;
            otherwise along the camera's axes with an arbitrary origin.
        pose: (24, 3, 3) local rotations of the ``smpl24`` joints, the first in camera space.
        pose_confidence: (24,) confidences of the rotations.
        betas: (10,) shape coefficients.
        betas_confidence: Confidence of the betas.
        body: Hash of the body that the betas belong to.
        focal: (2,) focal lengths over half the crop's side.
        principal: (2,) principal point in crop coordinates.
        camera_confidence: Confidence of ``focal`` and ``principal``.
        mask: (H, W) uint8 mask over the picture's pixels, 255 where the person is; None if unknown.
        sequence: Name of the sequence of which the picture is a frame; empty for a single picture.
        time: Seconds from the start of the sequence.

    Example:
        >>> keypoints = np.array([[60.0, 50, 1], [0, 0, 0]])
        >>> picture = np.zeros((100, 120, 3), np.uint8)
        >>> sample = person_sample("demo", picture, (np.array([50.0, 50]), 40), ("nose", "neck"), keypoints)
        >>> sample.keypoints_2d.tolist(), cut(sample, 64).read_image().shape
        ([[0.5, 0.0, 1.0], [0.0, 0.0, 0.0]], (64, 64, 3))
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
            InputError: The picture cannot be read; the message names the sample too.
        """
        if isinstance(self.image, np.ndarray):
            return self.image
        try:
            return self.image.read()
        except InputError as error:
            raise InputError(f"{error} It is the picture of {self.name}.") from error


class Samples(Protocol):
    """A sequence of samples, which is what the readers of datasets return."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def crop_map(center: np.ndarray, side: float) -> np.ndarray:
    """The affine map (2, 3) from pixels to crop coordinates.

    Args:
        center: (2,) centre of the square crop, pixels.
        side: Side of the crop, pixels.
    """
    scale = 2 / side
    return np.array([[scale, 0, -scale * center[0]], [0, scale, -scale * center[1]]])


def box_crop(box: np.ndarray, margin: float = 1.2) -> tuple[np.ndarray, float]:
    """The square crop around a person's box.

    Args:
        box: (4,) x0, y0, x1, y1, pixels.
        margin: Side of the crop over the longer side of the box; 1.2 is usual since SPIN.

    Returns:
        Centre (2,) and side of the crop, pixels.
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
    """Make a sample of labels in the picture's pixels. Labels that are None get a confidence of 0.

    Args:
        name, image, mask, sequence, time: As in :class:`Sample`.
        crop: Centre (2,) and side of the square crop, pixels.
        joints: Names of the K joints.
        keypoints_2d: (K, 3) x and y in pixels, and confidence.
        joints_3d: (K, 4) x, y and z in metres, in camera space, and confidence.
        pose: (24, 3, 3) local rotations, the first in camera space.
        betas: (S,) shape coefficients, S at most ``NUM_BETAS``.
        body: Hash of the body that the betas belong to. Without it the betas get a confidence of 0.
        camera: Camera of the whole picture.
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
    """Cut the crop out of the picture and the mask; both are zero where the crop reaches beyond the picture.

    Args:
        sample: The sample.
        resolution: Side R of the crop in pixels.

    Returns:
        The sample with an image (R, R, 3) and, if it has one, a mask (R, R).

    Raises:
        InputError: The picture cannot be read.
    """
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
    """B samples of one joint set and resolution, with labels in the units and spaces of :class:`Sample`.

    Attributes:
        image: (B, 3, R, R) uint8 RGB crops, or empty in a batch without pictures.
        mask: (B, R, R) uint8 masks, 255 where the person is, or empty in a batch without masks.
        mask_confidence: (B,) 1 where the mask is known, else 0.
        joint_set: Name of the joint set of the K joints.
        keypoints_2d: (B, K, 3).
        joints_3d: (B, K, 4).
        pose: (B, 24, 3, 3).
        pose_confidence: (B, 24).
        betas: (B, 10).
        betas_confidence: (B,).
        bodies: B hashes of the bodies that the betas belong to.
        focal: (B, 2), nearly orthographic where the camera is unknown.
        principal: (B, 2).
        camera_confidence: (B,).
        names: B names of the samples.
        sequences: B names of the sequences.
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
        """The batch in page-locked memory, from which copies to a GPU are asynchronous; called by the data loader."""
        return self._map(Tensor.pin_memory)

    def camera(self, resolution: int) -> Camera:
        """The cameras of the crops, for pictures with a side of ``resolution`` pixels."""
        half = resolution / 2
        center = (self.principal + 1) * half - 0.5
        return Camera(focal=self.focal * half, center=center, size=(resolution, resolution))

    def betas_confidence_for(self, body: str) -> Tensor:
        """Confidence of the betas (B,), 0 where they belong to another body than the one with the hash ``body``."""
        same = [hash_ == body for hash_ in self.bodies]
        return self.betas_confidence * torch.tensor(same, device=self.betas.device)

    def _map(self, change: Any) -> "Batch":
        values: Mapping[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{name: change(v) if isinstance(v, Tensor) else v for name, v in values.items()})


def collate(samples: Sequence[Sample], joints: str) -> Batch:
    """Make a batch of samples.

    Args:
        samples: Samples whose pictures :func:`cut` has cut to one resolution.
        joints: Joint set of the batch, such as ``union55``, to which all labels are converted. Joints that a sample
            lacks get a confidence of 0; 3D midpoints of hips and shoulders are filled in by :func:`with_middles`.
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
    """Join batches in their order.

    Raises:
        ValueError: The batches have different joint sets or resolutions.
    """
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
    """The affine map (2, 3) from crop coordinates to pixels, in which the edges are at -0.5 and resolution - 0.5."""
    half = resolution / 2
    return np.array([[half, 0, half - 0.5], [0, half, half - 0.5]])


def _known(labels: np.ndarray) -> np.ndarray:
    """Labels (K, D + 1) with zeros where the confidence, the last column, is 0. What is there may not be a number."""
    return np.where(labels[:, -1:] > 0, labels, 0).astype(np.float32)


def with_middles(points: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Fill in missing midpoints of hips and shoulders where both sides are known, so that poses have their root joint.

    Args:
        points: (K, 4) 3D joints and confidence.
        names: Names of the K joints.

    Returns:
        (K, 4); a midpoint has the smaller one of the two confidences.
    """
    points = points.copy()
    for middle, sides in MIDDLES.items():
        if {middle, *sides} <= set(names):
            one, other = (points[names.index(side)] for side in sides)
            if points[names.index(middle), 3] == 0 and min(one[3], other[3]) > 0:
                points[names.index(middle)] = [*(one[:3] + other[:3]) / 2, min(one[3], other[3])]
    return points
