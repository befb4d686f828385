"""Reader of MPI-INF-3DHP's own files (Mehta et al. 2017, "Monocular 3D Human Pose Estimation In The Wild").

The training set has a folder ``S1/Seq1`` for each subject and sequence, with:

- ``annot.mat``: ``annot2``, a cell of each of the 14 cameras' (N, 56) x and y in pixels, and ``annot3`` likewise
  (N, 84), the places in camera space in millimetres, both of 28 joints, of which :data:`CHOSEN` are read.
- ``camera.calibration``: for each camera lines ``name``, ``size``, ``intrinsic`` (16 numbers, a matrix of four rows)
  and ``radial``, which must be 0: the pictures have no distortion.
- the pictures of camera k: ``imageFrames/video_k/frame_000001.jpg``, as SPIN extracts them, or else
  ``imageSequence/video_k.avi``. Cameras without pictures are left out.

The test set has a folder ``TS1`` for each subject, with:

- ``annot_data.mat`` (of MATLAB 7.3): ``annot2`` (2, 17, 1, N), ``annot3`` (3, 17, 1, N) in MATLAB's order, with units
  as above and the joints of ``mpi_inf_3dhp17``, and ``valid_frame``, 0 in frames that are left out.
- ``imageSequence/img_000001.jpg``. The cameras are not in the file. They follow from the pairs of 2D and 3D joints by
  least squares; where these miss by more than :data:`FITS`, as a distorting lens makes them, the camera is unknown.

``univ_annot3``, the 3D joints scaled to one height of the body, with which published tables of the test set compare, is
not read, nor are the masks. The layout is known from public readers of these files (SPIN, MMHuman3D, PosePile).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import ConcatDataset

from meshrec.body.joints import joint_set
from meshrec.data.sample import Readable, Sample, Samples, box_crop, person_sample
from meshrec.datasets.columns import calibrations, numbers
from meshrec.detect.people import keypoint_box
from meshrec.errors import InputError
from meshrec.files.matlab import read_mat
from meshrec.files.picture import Picture
from meshrec.files.regular import read_regular
from meshrec.files.video_pictures import VideoPicture, Videos
from meshrec.geometry import Camera

FRAMES_PER_SECOND = 25
FASTER, LONG = 50, 10_000  # all sequences of the training set last about 250 s; those of more frames have 50 a second
JOINTS = joint_set("mpi_inf_3dhp17")
LABELLED = (
    "spine3", "spine4", "spine2", "spine_h36m", "mid_hip", "neck", "head_mpi", "head_top", "left_clavicle",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand", "right_clavicle", "right_shoulder", "right_elbow",
    "right_wrist", "right_hand", "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe", "right_hip",
    "right_knee", "right_ankle", "right_foot", "right_toe",
)  # fmt: skip
"""The 28 joints of the training set."""
CHOSEN = [LABELLED.index(name) for name in JOINTS]
FITS = 2.0  # pixels that the pairs of joints may miss a pinhole camera by, root mean square
MOST_BYTES = 1 << 20  # of a calibration
MILLIMETRES = 1000.0


@dataclass(frozen=True, eq=False)
class MpiInf3dhpSamples:
    """The N labelled frames of one camera in one sequence. The 17 joints are :data:`JOINTS`.

    Attributes:
        path: The label file.
        sequence: Name of sequence and camera.
        pictures: Folder of pictures, or a video.
        pattern: Name of a picture in the folder, of its number from 1.
        frames: (N,) numbers of the frames, from 0.
        keypoints_2d: (N, 17, 2) x and y in pixels.
        joints_3d: (N, 17, 3) in camera space, metres.
        calibration: (3, 3) calibration matrix K; None if it is unknown.
        videos: Reads the video.
    """

    path: Path
    sequence: str
    pictures: Path
    pattern: str
    frames: np.ndarray
    keypoints_2d: np.ndarray
    joints_3d: np.ndarray
    calibration: np.ndarray | None
    videos: Videos

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        frame = int(self.frames[index])
        image: Readable = Picture(self.pictures / self.pattern.format(frame + 1))
        if not self.pattern:
            image = VideoPicture(self.videos, self.pictures, frame)
        known = np.ones((len(JOINTS), 1), np.float32)
        keypoints = np.concatenate([self.keypoints_2d[index], known], axis=1)
        return person_sample(
            name=f"{self.path.parent.name}/{self.path.name} {self.sequence} frame {frame}",
            image=image,
            crop=box_crop(keypoint_box(keypoints, margin=0)),
            joints=JOINTS,
            keypoints_2d=keypoints,
            joints_3d=np.concatenate([self.joints_3d[index], known], axis=1),
            camera=None if self.calibration is None else Camera.from_matrix(self.calibration),
            sequence=self.sequence,
            time=frame / (FASTER if self.frames[-1] >= LONG else FRAMES_PER_SECOND),
        )


def read_mpi_inf_3dhp(folder: str | Path) -> Samples:
    """Read sequences of the training set or of the test set.

    Args:
        folder: A folder such as ``S1/Seq1`` or ``TS1``, or one that holds such folders.

    Raises:
        InputError: There are no label files, a file is damaged, or a sequence has no pictures.
        MissingDependency: A label file is of MATLAB 7.3, and h5py is not installed.
    """
    folder, videos = Path(folder), Videos()
    training = _found(folder, ("annot.mat", "Seq*/annot.mat", "S*/Seq*/annot.mat"))
    test = _found(folder, ("annot_data.mat", "TS*/annot_data.mat", "*/TS*/annot_data.mat"))
    if not training and not test:
        raise InputError(f"{folder}: the folder holds no S*/Seq*/annot.mat and no TS*/annot_data.mat.")
    parts = [part for path in training for part in _training(path, videos)] + [_test(path, videos) for path in test]
    return ConcatDataset(parts)  # type: ignore[arg-type]  # it only counts and indexes


def _found(folder: Path, patterns: Sequence[str]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def _training(path: Path, videos: Videos) -> Iterator[MpiInf3dhpSamples]:
    """The cameras of one sequence of the training set."""
    content = read_mat(path, ("annot2", "annot3"))
    cells = [content.get(name) for name in ("annot2", "annot3")]
    if not all(isinstance(cell, list) and all(isinstance(part, np.ndarray) for part in cell) for cell in cells):
        raise InputError(f"{path}: annot2 and annot3 must be cells with an array for each camera.")
    matrices = read_skeletool(path.parent / "camera.calibration")
    name = f"{path.parent.parent.name} {path.parent.name}"
    seen = False
    for camera, (pixels, places) in enumerate(zip(*cells)):
        frames_folder = path.parent / "imageFrames" / f"video_{camera}"
        video = path.parent / "imageSequence" / f"video_{camera}.avi"
        extracted = frames_folder.is_dir()
        if not extracted and not video.is_file():
            continue
        if camera not in matrices:
            raise InputError(f"{path.parent / 'camera.calibration'}: there is no camera {camera}.")
        seen = True
        rows = len(pixels)
        columns = {f"annot2 of camera {camera}": pixels, f"annot3 of camera {camera}": places}
        flat, deep = (numbers(path, columns, key, (len(LABELLED) * n,), rows) for key, n in zip(columns, (2, 3)))
        yield MpiInf3dhpSamples(
            path=path,
            sequence=f"{name} camera {camera}",
            pictures=frames_folder if extracted else video,
            pattern="frame_{:06d}.jpg" if extracted else "",
            frames=np.arange(rows),
            keypoints_2d=flat.reshape(rows, -1, 2)[:, CHOSEN],
            joints_3d=deep.reshape(rows, -1, 3)[:, CHOSEN] / MILLIMETRES,
            calibration=matrices[camera],
            videos=videos,
        )
    if not seen:
        raise InputError(f"{path.parent}: there are no pictures (imageFrames/video_0/ or imageSequence/video_0.avi).")


def _test(path: Path, videos: Videos) -> MpiInf3dhpSamples:
    """One sequence of the test set."""
    columns = {
        name: np.moveaxis(value, -1, 0).swapaxes(1, -1) if value.ndim == 4 else value.reshape(-1)
        for name, value in read_mat(path, ("annot2", "annot3", "valid_frame")).items()
        if isinstance(value, np.ndarray)
    }
    rows = len(columns.get("valid_frame", ()))
    frames = np.flatnonzero(numbers(path, columns, "valid_frame", (), rows))
    if not len(frames):
        raise InputError(f"{path}: no frame is valid.")
    pixels = numbers(path, columns, "annot2", (1, len(JOINTS), 2), rows)[frames, 0]
    places = numbers(path, columns, "annot3", (1, len(JOINTS), 3), rows)[frames, 0] / MILLIMETRES
    return MpiInf3dhpSamples(
        path=path,
        sequence=path.parent.name,
        pictures=path.parent / "imageSequence",
        pattern="img_{:06d}.jpg",
        frames=frames,
        keypoints_2d=pixels,
        joints_3d=places,
        calibration=pinhole_of_pairs(pixels.reshape(-1, 2), places.reshape(-1, 3)),
        videos=videos,
    )


def read_skeletool(path: Path) -> dict[int, np.ndarray]:
    """Calibration matrices (3, 3) of the cameras in a file of Skeletool, by their numbers.

    Raises:
        InputError: The file is missing or damaged, or a camera has a distorting lens.
    """
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise InputError(f"{path}: the calibration cannot be read ({error.strerror}).") from error
    found: dict[int, np.ndarray] = {}
    for camera in re.split(r"^name\s+", text, flags=re.MULTILINE)[1:]:
        lines = [line.split() for line in camera.splitlines() if line.strip()]
        entries = {line[0]: line[1:] for line in lines[1:]}
        try:
            number = int(lines[0][0])
            matrix = np.array(entries["intrinsic"], float).reshape(4, 4)[:3, :3]
            distorted = any(float(value) for value in entries.get("radial", ()))
        except (ValueError, KeyError, IndexError) as error:
            raise InputError(f"{path}: this is no calibration of Skeletool, which has 16 numbers intrinsic.") from error
        if distorted:
            raise InputError(f"{path}: camera {number} has a distorting lens (radial), which is not read.")
        found[number] = calibrations(path, {"intrinsic": matrix[None]}, "intrinsic", 1)[0]
    if not found:
        raise InputError(f"{path}: this is no calibration of Skeletool.")
    return found


def pinhole_of_pairs(pixels: np.ndarray, places: np.ndarray) -> np.ndarray | None:
    """The camera that projects points to given pixels: u = fx x / z + cx and v = fy y / z + cy, by least squares.

    Args:
        pixels: (N, 2).
        places: (N, 3) in camera space.

    Returns:
        Calibration matrix (3, 3) float32; None if the pairs miss it by more than :data:`FITS`, or do not say it.
    """
    if len(places) < 3 or (places[:, 2] <= 0).any():
        return None
    matrix, miss = np.eye(3), 0.0
    for axis in range(2):
        rays = np.stack([places[:, axis] / places[:, 2], np.ones(len(places))], axis=1).astype(float)
        solution, _, rank, _ = np.linalg.lstsq(rays, pixels[:, axis].astype(float), rcond=None)
        if rank < 2 or solution[0] <= 0:
            return None
        matrix[axis, axis], matrix[axis, 2] = solution
        miss += float(((rays @ solution - pixels[:, axis]) ** 2).mean())
    return matrix.astype(np.float32) if miss <= FITS**2 else None
