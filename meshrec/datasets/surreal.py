"""Reader of SURREAL's own files (Varol et al. 2017, "Learning from Synthetic Humans").

Each clip ``<name>.mp4`` has its labels beside it in ``<name>_info.mat``, of which these variables are read; T is the
number of frames:

- ``joints3D`` (3, 24, T): SMPL's joints in the world, metres.
- ``pose`` (72, T), ``shape`` (10, T): SMPL's parameters, axis-angle. ``zrot`` (T, 1): angle about z by which the person
  was turned after that, so that the root's rotation in the world is Rx(90 degrees) Rz(zrot) R(pose).
- ``gender`` (T, 1): 0 female, 1 male; the body that the betas belong to.
- ``camLoc`` (3, 1): place of the camera in the world, metres. The camera looks along -x with the focal length
  :data:`FOCAL` in pictures of 320 x 240 pixels.

The frames show the world in a mirror: its transformation to the camera has the determinant -1. The labels are those of
the person whom one sees: left and right are exchanged in joints and pose, and the betas are kept, since SMPL's bodies
are almost symmetric. The 2D keypoints are the projections of the 3D joints, which ``joints2D`` also holds. Masks of
parts, depth, normals and optical flow are not read. The layout, the camera and the order of rotations are known from
``smpl_relations.py`` of the data set's authors; whether pixels count from their middle there could not be found out, so
that all keypoints may be half a pixel off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import ConcatDataset

from meshrec.body import NUM_BETAS, NUM_JOINTS, POSE_SIZE
from meshrec.body.joints import flip_permutation, joint_set
from meshrec.data.sample import Sample, Samples, box_crop, person_sample
from meshrec.datasets.columns import numbers
from meshrec.datasets.multiview import to_camera
from meshrec.detect.people import keypoint_box
from meshrec.errors import InputError
from meshrec.files.matlab import read_mat
from meshrec.files.video_pictures import VideoPicture, Videos
from meshrec.geometry import Camera, axis_angle_to_matrix

FRAMES_PER_SECOND = 30
JOINTS = joint_set("smpl24")
SIZE = (320, 240)
FOCAL = 600.0  # pixels
# World to camera: x right, y down, z forward. Its determinant is -1.
WORLD_TO_CAMERA = np.array([[0.0, 0, -1], [0, 1, 0], [-1, 0, 0]], np.float32)
MIRROR = np.diag([-1.0, 1, 1]).astype(np.float32)
TURN = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)  # 90 degrees about x
SUFFIX = "_info.mat"
"""What the names of label files end in."""


@dataclass(frozen=True, eq=False)
class SurrealSamples:
    """The N frames of one clip. The 24 joints are :data:`JOINTS`.

    Attributes:
        path: The label file.
        keypoints_2d: (N, 24, 3) x and y in pixels, and confidence.
        joints_3d: (N, 24, 4) in camera space, metres, and confidence.
        pose: (N, 24, 3, 3) local rotations, the first in camera space.
        betas: (N, 10) shape coefficients.
        body: Hash of the body that the betas belong to, empty where unknown.
        videos: Reads the video.
    """

    path: Path
    keypoints_2d: np.ndarray
    joints_3d: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    body: str
    videos: Videos

    def __len__(self) -> int:
        return len(self.pose)

    def __getitem__(self, index: int) -> Sample:
        index = range(len(self))[index]
        name = self.path.name.removesuffix(SUFFIX)
        return person_sample(
            name=f"{self.path.name} frame {index}",
            image=VideoPicture(self.videos, self.path.with_name(f"{name}.mp4"), index),
            crop=box_crop(keypoint_box(self.keypoints_2d[index], margin=0)),
            joints=JOINTS,
            keypoints_2d=self.keypoints_2d[index],
            joints_3d=self.joints_3d[index],
            pose=self.pose[index],
            betas=self.betas[index],
            body=self.body,
            camera=Camera(FOCAL, (SIZE[0] / 2, SIZE[1] / 2), SIZE),
            sequence=name,
            time=index / FRAMES_PER_SECOND,
        )


def read_surreal(path: str | Path, bodies: Mapping[str, str] | None = None) -> Samples:
    """Read clips.

    Args:
        path: A label file, or a folder with such files at any depth, such as ``cmu/val``.
        bodies: Hashes of the bodies that the betas belong to, under the keys ``male`` and ``female``. Betas of a body
            that is not given here get a confidence of 0.

    Raises:
        InputError: There are no label files, or one is damaged; the message names file and frame.
    """
    path, videos = Path(path), Videos()
    files = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: the folder holds no clips (<name>.mp4 with <name>{SUFFIX}).")
    clips = [_read_clip(file, bodies or {}, videos) for file in files]
    return ConcatDataset(clips)  # type: ignore[arg-type]  # it only counts and indexes


def _read_clip(path: Path, bodies: Mapping[str, str], videos: Videos) -> SurrealSamples:
    """The frames of one clip."""
    content = read_mat(path, ("joints3D", "pose", "shape", "zrot", "gender", "camLoc"))
    # Frames are MATLAB's last axis.
    columns = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
    if "joints3D" in columns and columns["joints3D"].ndim == 2:  # of a single frame
        columns["joints3D"] = columns["joints3D"][..., None]
    for name in ("joints3D", "pose", "shape"):
        if name in columns:
            columns[name] = columns[name].T
    for name in ("zrot", "gender"):
        if name in columns:
            columns[name] = columns[name].reshape(-1)
    if "camLoc" in columns:
        columns["camLoc"] = columns["camLoc"].reshape(1, -1)
    rows = len(columns.get("pose", ()))
    turned = torch.from_numpy(numbers(path, columns, "pose", (POSE_SIZE,), rows)).view(-1, NUM_JOINTS, 3)
    joints = numbers(path, columns, "joints3D", (NUM_JOINTS, 3), rows)
    betas = numbers(path, columns, "shape", (NUM_BETAS,), rows)
    angles = numbers(path, columns, "zrot", (), rows)
    genders = numbers(path, columns, "gender", (), rows)
    place = numbers(path, columns, "camLoc", (3,), 1)[0]
    if not rows:
        raise InputError(f"{path}: the clip has no frames.")
    if not np.isin(genders, (0, 1)).all() or (genders != genders[0]).any():
        raise InputError(f"{path}: gender must be 0 in all frames, for female, or 1, for male.")

    pose = axis_angle_to_matrix(turned).numpy()
    about_z = np.zeros((rows, 3), np.float32)
    about_z[:, 2] = angles
    pose[:, 0] = WORLD_TO_CAMERA @ TURN @ axis_angle_to_matrix(torch.from_numpy(about_z)).numpy() @ pose[:, 0] @ MIRROR
    # The mirrored person has at each joint the mirrored rotation of the other side. For the root, the camera mirrors on
    # the left.
    swap = flip_permutation(JOINTS)
    pose[:, 1:] = MIRROR @ pose[:, swap][:, 1:] @ MIRROR
    world = np.concatenate([joints[:, swap], np.ones_like(joints[..., :1])], axis=2)
    rotation = np.repeat(WORLD_TO_CAMERA[None], rows, axis=0)
    matrix = Camera(FOCAL, (SIZE[0] / 2, SIZE[1] / 2), SIZE).matrix.numpy()
    seen, pixels = to_camera(world, rotation, -rotation @ place, matrix)
    return SurrealSamples(
        path=path,
        keypoints_2d=pixels,
        joints_3d=seen,
        pose=pose,
        betas=betas,
        body=bodies.get("male" if genders[0] else "female", ""),
        videos=videos,
    )
