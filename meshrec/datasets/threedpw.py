"""Reader of 3DPW's sequence files (von Marcard et al. 2018, "Recovering Accurate 3D Human Pose in The Wild").

A ``.pkl`` per sequence, read through the allow-list unpickler. Lists have an entry for each of the one or two people,
T is the number of pictures. These fields are read:

- ``sequence``: its name; picture t is ``<sequence>/image_<t in five digits>.jpg``.
- ``cam_intrinsics`` (3, 3) and ``cam_poses`` (T, 4, 4): calibration, and world to camera.
- ``campose_valid``: list of (T,); pictures whose camera does not fit a person are left out for that person.
- ``poses``: list of (T, 72) axis-angle, the root in the world; ``betas``: list of (10,) or more, of which ten count.
- ``genders``: list of ``m`` or ``f``, which body they belong to.
- ``jointPositions``: list of (T, 72), the 24 SMPL joints in the world, metres.
- ``poses2d``: list of (T, 3, 18) detections x, y, confidence in pixels, in the order of :data:`DETECTED`.

The crop is the field's: 1.2 times the longer side of the box around the detections.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import ConcatDataset

from meshrec.body import NUM_BETAS
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
    """The N pictures of one person of one sequence whose camera fits.

    Attributes:
        path: The sequence file.
        folder: Of the sequences' pictures.
        person: Number of the person.
        frames: (N,) numbers of the pictures.
        boxes: (N, 4) around the person.
        keypoints_2d: (N, K, 3) projected joints, and detections of what SMPL has no joint for; K as in :data:`JOINTS`.
        joints_3d: (N, K, 4) in camera space.
        pose: (N, 24, 3, 3), the root in camera space.
        betas: (10,), and ``body``, the hash of theirs.
        calibration: (3, 3).
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
        folder: 3DPW's ``imageFiles``.
        bodies: Hashes of the bodies that the betas belong to, by ``male`` and ``female``. Betas of a body not named
            here get confidence 0.

    Raises:
        InputError: A file is none of 3DPW's, asks to run code, or a field is damaged; the message names file and row.
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
    rows = len(fields["cam_poses"])
    own = f" of person {person}"
    columns = {
        name + own: np.asarray(fields[name][person]) for name in ("poses", "jointPositions", "poses2d", "campose_valid")
    }
    columns["cam_poses"] = np.asarray(fields["cam_poses"])
    valid = numbers(path, columns, "campose_valid" + own, (), rows) > 0
    frames = np.flatnonzero(valid)
    # Only pictures with a fitting camera must be sound; rows are counted among all, as in the file.
    columns = {name: blank(values, ~valid) for name, values in columns.items()}
    if columns["poses2d" + own].ndim == 3:
        columns["poses2d" + own] = columns["poses2d" + own].swapaxes(1, 2)
    extrinsics = numbers(path, columns, "cam_poses", (4, 4), rows)[frames]
    positions = numbers(path, columns, "jointPositions" + own, (72,), rows)[frames].reshape(-1, 24, 3)
    detections = labels(path, columns, "poses2d" + own, (18, 3), rows)[frames]
    pose = torch.from_numpy(numbers(path, columns, "poses" + own, (72,), rows)[frames]).view(-1, 24, 3)
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
    keypoints[:, :24] = pixels
    joints_3d = np.zeros((len(frames), len(JOINTS), 4), np.float32)
    joints_3d[:, :24] = seen
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
    """(4,) around the detections; around the projected joints where there are none."""
    found = detected[detected[:, 2] > 0]
    return keypoint_box(found if len(found) else projected, margin=0, least=0)
