"""Reader of 3DPW's sequence files (von Marcard et al. 2018, "Recovering Accurate 3D Human Pose in The Wild").

There is a ``.pkl`` per sequence, which is read by an unpickler that knows only array types. Lists have an entry for
each of the one or two people; T is the number of pictures. These fields are read:

- ``sequence``: name of the sequence; picture t is ``<sequence>/image_<t in five digits>.jpg``.
- ``cam_intrinsics`` (3, 3) and ``cam_poses`` (T, 4, 4): calibration matrix, and world to camera.
- ``campose_valid``: list of (T,), 1 where the camera fits the person; a person's other pictures are left out.
- ``poses``: list of (T, 72), axis-angle, the root rotation in the world.
- ``betas``: list of (10,) or longer, of which the first ten are read; ``genders``: list of ``m`` or ``f``, the body
  that the betas belong to.
- ``jointPositions``: list of (T, 72), the 24 SMPL joints in the world, metres.
- ``poses2d``: list of (T, 3, 18), detected x, y in pixels and confidence, in the order of :data:`DETECTED`.

The side of the crop is 1.2 times the longer side of the box around the detections, as is usual in the field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import ConcatDataset

from meshrec.body import NUM_BETAS, NUM_JOINTS, POSE_SIZE
from meshrec.body.joints import joint_set
from meshrec.data.sample import Sample, Samples, box_crop, person_sample
from meshrec.datasets.columns import blank, calibrations, labels, numbers
from meshrec.datasets.multiview import to_camera
from meshrec.datasets.spin_npz import GENDERS
from meshrec.detect.people import keypoint_box
from meshrec.errors import InputError
from meshrec.files.picture import Picture
from meshrec.files.unpickle import unpickle_arrays
from meshrec.geometry import Camera, axis_angle_to_matrix

FRAMES_PER_SECOND = 30
DETECTED = (
    "nose", "thorax", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
)  # fmt: skip
JOINTS = tuple(dict.fromkeys((*joint_set("smpl24"), *DETECTED)))


@dataclass(frozen=True, eq=False)
class ThreedpwSamples:
    """One person of one sequence in the N pictures whose camera fits. The K joints are :data:`JOINTS`.

    Attributes:
        path: The sequence file.
        folder: The folder with a folder of pictures for each sequence.
        sequence: Name of the sequence.
        person: Number of the person in it.
        frames: (N,) numbers of the pictures.
        boxes: (N, 4) boxes x0, y0, x1, y1 around the person, pixels.
        keypoints_2d: (N, K, 3) x and y in pixels, and confidence: projections of SMPL's joints, and detections of the
            other joints.
        joints_3d: (N, K, 4) in camera space, metres, and confidence.
        pose: (N, 24, 3, 3) local rotations, the first in camera space.
        betas: (10,) shape coefficients.
        body: Hash of the body that the betas belong to, empty where unknown.
        calibration: (3, 3) calibration matrix K.
    """

    path: Path
    folder: Path
    sequence: str
    person: int
    frames: np.ndarray
    boxes: np.ndarray
    keypoints_2d: np.ndarray
    joints_3d: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    body: str
    calibration: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        frame = int(self.frames[index])
        matrix = self.calibration
        return person_sample(
            name=f"{self.path.name} person {self.person} frame {frame}",
            image=Picture(self.folder / self.sequence / f"image_{frame:05d}.jpg"),
            crop=box_crop(self.boxes[index]),
            joints=JOINTS,
            keypoints_2d=self.keypoints_2d[index],
            joints_3d=self.joints_3d[index],
            pose=self.pose[index],
            betas=self.betas,
            body=self.body,
            camera=Camera.from_matrix(matrix),
            sequence=f"{self.sequence} person {self.person}",
            time=frame / FRAMES_PER_SECOND,
        )


def read_threedpw(path: str | Path, folder: str | Path, bodies: Mapping[str, str] | None = None) -> Samples:
    """Read sequences.

    Args:
        path: A sequence file, or a folder of them, such as ``sequenceFiles/test``.
        folder: 3DPW's folder ``imageFiles``.
        bodies: Hashes of the bodies that the betas belong to, under the keys ``male`` and ``female``. Betas of a body
            that is not given here get a confidence of 0.

    Raises:
        InputError: A file is not one of 3DPW's, asks to run code, or has damaged fields; the message names file and
            row.
    """
    path = Path(path)
    files = sorted(path.glob("*.pkl")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: the folder holds no sequence files (.pkl).")
    people = [person for file in files for person in _read_sequence(file, Path(folder), bodies or {})]
    if not any(len(person) for person in people):
        raise InputError(f"{path}: there is no picture whose camera fits a person.")
    return ConcatDataset(people)  # type: ignore[arg-type]  # it only counts and indexes


def _read_sequence(path: Path, folder: Path, bodies: Mapping[str, str]) -> list[ThreedpwSamples]:
    """The people of one sequence file."""
    try:
        fields = unpickle_arrays(path)
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error
    lists = ("poses", "betas", "genders", "jointPositions", "poses2d", "campose_valid")
    if missing := [name for name in ("sequence", "cam_intrinsics", "cam_poses", *lists) if name not in fields]:
        raise InputError(f"{path}: not a 3DPW sequence: {missing[0]} is missing.")
    values: dict[str, Any] = fields
    if wrong := [name for name in lists if not isinstance(values[name], list)]:
        raise InputError(f"{path}: {wrong[0]} must be a list with an entry for each person.")
    count = len(values["poses"])
    if wrong := [name for name in lists if len(values[name]) != count]:
        raise InputError(f"{path}: {wrong[0]} has {len(values[wrong[0]])} people, poses has {count}.")
    try:
        return [_read_person(path, folder, values, person, bodies) for person in range(count)]
    except InputError:
        raise
    except (TypeError, ValueError) as error:  # what is not even an array
        raise InputError(f"{path}: not a 3DPW sequence ({error}).") from error


def _read_person(
    path: Path, folder: Path, fields: dict[str, Any], person: int, bodies: Mapping[str, str]
) -> ThreedpwSamples:
    """One person of a sequence, from the fields of its file."""
    rows = len(fields["cam_poses"])
    own = f" of person {person}"
    columns = {
        name + own: np.asarray(fields[name][person]) for name in ("poses", "jointPositions", "poses2d", "campose_valid")
    }
    columns["cam_poses"] = np.asarray(fields["cam_poses"])
    valid = numbers(path, columns, "campose_valid" + own, (), rows) > 0
    frames = np.flatnonzero(valid)
    # The labels of pictures whose camera does not fit are not checked. They are set to zero instead of left out, so
    # that messages count rows as the file does.
    columns = {name: blank(values, ~valid) for name, values in columns.items()}
    if columns["poses2d" + own].ndim == 3:
        columns["poses2d" + own] = columns["poses2d" + own].swapaxes(1, 2)
    extrinsics = numbers(path, columns, "cam_poses", (4, 4), rows)[frames]
    positions = numbers(path, columns, "jointPositions" + own, (POSE_SIZE,), rows)[frames].reshape(-1, NUM_JOINTS, 3)
    detections = labels(path, columns, "poses2d" + own, (len(DETECTED), 3), rows)[frames]
    pose = torch.from_numpy(numbers(path, columns, "poses" + own, (POSE_SIZE,), rows)[frames]).view(-1, NUM_JOINTS, 3)
    columns = {"cam_intrinsics": np.asarray(fields["cam_intrinsics"])[None]}
    columns["betas" + own] = np.asarray(fields["betas"][person]).reshape(1, -1)[:, :NUM_BETAS]
    (calibration,) = calibrations(path, columns, "cam_intrinsics", 1)
    betas = numbers(path, columns, "betas" + own, (NUM_BETAS,), 1)[0]

    rotations = axis_angle_to_matrix(pose).numpy()
    rotations[:, 0] = extrinsics[:, :3, :3] @ rotations[:, 0]
    world = np.concatenate([positions, np.ones_like(positions[..., :1])], axis=2)
    seen, pixels = to_camera(world, extrinsics[:, :3, :3], extrinsics[:, :3, 3], calibration)
    keypoints = np.zeros((len(frames), len(JOINTS), 3), np.float32)
    keypoints[:, [JOINTS.index(name) for name in DETECTED]] = detections
    keypoints[:, :NUM_JOINTS] = pixels
    joints_3d = np.zeros((len(frames), len(JOINTS), 4), np.float32)
    joints_3d[:, :NUM_JOINTS] = seen
    return ThreedpwSamples(
        path=path,
        folder=folder,
        sequence=str(fields["sequence"]),
        person=person,
        frames=frames,
        boxes=np.stack([_box(*both) for both in zip(detections, pixels)]) if len(frames) else np.zeros((0, 4)),
        keypoints_2d=keypoints,
        joints_3d=joints_3d,
        pose=rotations,
        betas=betas,
        body=bodies.get(GENDERS.get(str(fields["genders"][person]), ""), ""),
        calibration=calibration,
    )


def _box(detected: np.ndarray, projected: np.ndarray) -> np.ndarray:
    """The box (4,) around the detections (18, 3), or around the projected joints (24, 3) if there are none."""
    found = detected[detected[:, 2] > 0]
    return keypoint_box(found if len(found) else projected, margin=0, least=0)
