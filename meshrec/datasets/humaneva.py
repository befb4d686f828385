"""Reader of HumanEva-I (Sigal et al. 2010), with joints as its own toolbox computes them.

The data set holds markers, of which only its toolbox for MATLAB makes joints. They are read from what the field's usual
script for this toolbox writes, ``ConvertHumanEva.m`` of VideoPose3D: ``Train/S1/Walking_1.mat`` and
``Validate/S1/Walking_1.mat`` with ``poses_3d`` (N, 15, 3), millimetres in the world, NaN in frames without valid motion
capture, which are left out. Of the data set itself these files are read, for each colour camera C1, C2 and C3 for which
there is a video:

- ``S1/Image_Data/Walking_1_(C1).avi`` at 60 frames per second.
- ``S1/Calibration_Data/C1.cal``: 22 numbers, one a line: focal lengths, principal point, skew, five coefficients of
  distortion as in OpenCV, the rows of the rotation from world to camera, and the translation in millimetres.
- ``S1/Sync_Data/Walking_1_(C1).ofs``: its first number is the frame of the video, from 1, at which the motion begins.

The first five frames of a motion are in no part, ``Validate`` follows, and ``Train`` follows on that, so that the place
of a training part is known only if the validation part of the same motion is there. Pictures are undistorted when they
are read. The toolbox's ends of limbs count as the joints of the same names, the lower end of the torso as ``mid_hip``,
the middle of its upper end and that of the neck as ``thorax``, and the end of the head as ``head_top``. The layout is
known from public code (VideoPose3D, PosePile), not from the data.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import ConcatDataset

from meshrec.body.joints import joint_set
from meshrec.data.sample import Sample, Samples, box_crop, person_sample
from meshrec.datasets.columns import calibrations
from meshrec.datasets.multiview import to_camera
from meshrec.detect.people import keypoint_box
from meshrec.errors import InputError
from meshrec.files.matlab import read_mat
from meshrec.files.picture import Lens
from meshrec.files.regular import read_regular
from meshrec.files.video_pictures import VideoPicture, Videos
from meshrec.geometry import Camera

FRAMES_PER_SECOND = 60
JOINTS = joint_set("humaneva15")
CAMERAS = ("C1", "C2", "C3")
CONVERTED = "converted_15j"
UNUSED = 5  # frames at the start of a motion
MILLIMETRES = 1000.0
MOST_BYTES = 1 << 16  # of a calibration


@dataclass(frozen=True, eq=False)
class HumanEvaSamples:
    """The N labelled frames of one part of a motion in one camera. The 15 joints are :data:`JOINTS`.

    Attributes:
        path: The label file.
        video: The video.
        sequence: Names of part, subject, motion and camera.
        frames: (N,) numbers of the frames in the video, from 0.
        keypoints_2d: (N, 15, 3) x and y in pixels of the undistorted picture, and confidence.
        joints_3d: (N, 15, 4) in camera space, metres, and confidence.
        lens: Calibration.
        videos: Reads the video.
    """

    path: Path
    video: Path
    sequence: str
    frames: np.ndarray
    keypoints_2d: np.ndarray
    joints_3d: np.ndarray
    lens: Lens
    videos: Videos

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        frame = int(self.frames[index])
        return person_sample(
            name=f"{self.sequence} frame {frame}",
            image=VideoPicture(self.videos, self.video, frame, self.lens),
            crop=box_crop(keypoint_box(self.keypoints_2d[index], margin=0)),
            joints=JOINTS,
            keypoints_2d=self.keypoints_2d[index],
            joints_3d=self.joints_3d[index],
            camera=Camera.from_matrix(self.lens.matrix),
            sequence=self.sequence,
            time=frame / FRAMES_PER_SECOND,
        )


def read_humaneva(path: str | Path, folder: str | Path | None = None) -> Samples:
    """Read all subjects and motions.

    Args:
        path: The folder ``converted_15j``, or one of its parts ``Train`` and ``Validate``, or the folder that holds it.
        folder: The folder of the data set, with ``S1``. Default: the folder that holds ``converted_15j``.

    Raises:
        InputError: A file is missing or damaged, or there are no labels or no videos.
    """
    path = Path(path)
    path = path / CONVERTED if (path / CONVERTED).is_dir() else path
    parts = [path] if path.name in ("Train", "Validate") else [path / "Train", path / "Validate"]
    files = sorted(file for part in parts for file in part.glob("S*/*.mat"))
    if not files:
        raise InputError(f"{path}: the folder holds no Train/S*/*.mat and no Validate/S*/*.mat of HumanEva's toolbox.")
    root, videos = Path(folder) if folder is not None else parts[0].parent.parent, Videos()
    people = [part for file in files for part in _read_part(file, root, videos)]
    if not any(len(part) for part in people):
        raise InputError(f"{root}: there are no videos of the labels (S1/Image_Data/Walking_1_(C1).avi).")
    return ConcatDataset(people)  # type: ignore[arg-type]  # it only counts and indexes


def _read_part(path: Path, root: Path, videos: Videos) -> Iterator[HumanEvaSamples]:
    """The cameras of one part of a motion for which there are videos."""
    subject, motion, part = path.parent.name, path.stem, path.parents[1].name
    found = [name for name in CAMERAS if _video(root, subject, motion, name).is_file()]
    if not found:
        return
    poses = read_poses(path)
    begin = UNUSED
    if part == "Train":
        begin += len(read_poses(path.parents[2] / "Validate" / subject / path.name))
    # The places of joints in frames without motion capture are not numbers, in all joints or in some.
    valid = np.flatnonzero(np.isfinite(poses).all((1, 2)))
    world = np.concatenate([poses[valid] / MILLIMETRES, np.ones((len(valid), len(JOINTS), 1))], axis=2)
    for name in found:
        lens, rotation, translation = read_calibration(root / subject / "Calibration_Data" / f"{name}.cal")
        start = read_start(root / subject / "Sync_Data" / f"{motion}_({name}).ofs")
        joints_3d, keypoints_2d = to_camera(world.astype(np.float32), rotation, translation, lens.matrix)
        yield HumanEvaSamples(
            path=path,
            video=_video(root, subject, motion, name),
            sequence=f"{part} {subject} {motion} camera {name}",
            frames=start - 1 + begin + valid,
            keypoints_2d=keypoints_2d,
            joints_3d=joints_3d,
            lens=lens,
            videos=videos,
        )


def _video(root: Path, subject: str, motion: str, camera: str) -> Path:
    return root / subject / "Image_Data" / f"{motion}_({camera}).avi"


def read_poses(path: Path) -> np.ndarray:
    """The joints (N, 15, 3) of one part of a motion, millimetres in the world, NaN where they are unknown.

    Raises:
        InputError: The file is missing or damaged.
    """
    poses = read_mat(path, ("poses_3d",)).get("poses_3d")
    if not isinstance(poses, np.ndarray) or poses.shape[1:] != (len(JOINTS), 3) or not len(poses):
        raise InputError(
            f"{path}: poses_3d must be numbers of shape N x {len(JOINTS)} x 3; write it with N_JOINTS = 15."
        )
    return poses


def read_calibration(path: Path) -> tuple[Lens, np.ndarray, np.ndarray]:
    """The lens of a camera, and rotation (1, 3, 3) and translation (1, 3) from world to camera, metres.

    Raises:
        InputError: The file is missing or damaged, or the camera has skew.
    """
    values = _numbers(path)
    if len(values) != 22:
        raise InputError(f"{path}: this is no calibration of HumanEva, which has 22 numbers.")
    fx, fy, cx, cy, skew = values[:5]
    if abs(skew) > 1e-3:
        raise InputError(f"{path}: the camera has skew ({skew:g}), which is not read.")
    rotation = values[10:19].reshape(3, 3)
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise InputError(f"{path}: numbers 11 to 19 are no rotation.")
    matrix = calibrations(path, {"K": np.array([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]])}, "K", 1)[0]
    return Lens(matrix, values[5:10]), rotation[None], values[None, 19:] / MILLIMETRES


def read_start(path: Path) -> int:
    """The frame of a video, from 1, at which the motion begins.

    Raises:
        InputError: The file is missing or damaged.
    """
    values = _numbers(path)
    if len(values) < 3 or not 1 <= values[0] < 1e6:
        raise InputError(f"{path}: this is no synchronisation of HumanEva, which has a frame of the video first.")
    return round(float(values[0]))


def _numbers(path: Path) -> np.ndarray:
    """The finite numbers of a text."""
    try:
        values = np.array(read_regular(path, MOST_BYTES).decode("ascii").split(), float)
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: the file must hold numbers only.") from error
    if not np.isfinite(values).all():
        raise InputError(f"{path}: the file must hold finite numbers only.")
    return values
