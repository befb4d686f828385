"""Reader of Human3.6M's own files (Ionescu et al. 2014), as they are once its archives are unpacked in one folder.

- ``S1/MyPoseFeatures/D3_Positions/<action>.cdf`` for each subject and action, with the variable ``Pose`` (1, T, 96): 32
  joints in the world, millimetres, of which :data:`CHOSEN` are read.
- ``S1/Videos/<action>.<camera>.mp4``, whose frame t is labelled by row t, at 50 frames per second; or else pictures
  ``S1/Images/<action>.<camera>/frame_000000.jpg``, numbered from 0. Cameras without either are left out.
- ``metadata.xml`` of the release's code, in the folder or in ``Release-v1.2``. Its element ``w0`` holds 300 numbers:
  for each of 4 cameras and 11 subjects three angles and the camera's place in millimetres, then for each camera focal
  lengths, principal point, three radial and two tangential coefficients. The angles turn about x, y and z:
  x_cam = Rx Ry Rz (X - place). ``dbcameras/index2id`` names the cameras.

The 2D keypoints are projections of the 3D joints into the undistorted picture, and pictures are undistorted when they
are read. The coefficients are taken as OpenCV's, as others do; the release's own formula has half its tangential terms,
which makes less than a pixel. Labels are read as they are: those of three actions of S9 (Greeting, SittingDown 1,
Waiting 1) are known to lie 20 cm beside the person. Not read are ``D2_Positions``, ``D3_Positions_mono``, angles,
boxes, masks, depth and scans. The layout is known from public readers of these files (MMHuman3D, PosePile,
VideoPose3D).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import ConcatDataset

from meshrec.body.joints import joint_set
from meshrec.data.sample import Readable, Sample, Samples, box_crop, person_sample
from meshrec.datasets.columns import calibrations, numbers
from meshrec.datasets.multiview import to_camera
from meshrec.detect.people import keypoint_box
from meshrec.errors import InputError
from meshrec.files.cdf import read_cdf
from meshrec.files.picture import Lens, Picture
from meshrec.files.regular import read_regular
from meshrec.files.video_pictures import VideoPicture, Videos
from meshrec.files.xml_text import parse_xml
from meshrec.geometry import Camera

FRAMES_PER_SECOND = 50
JOINTS = joint_set("h36m17")
CHOSEN = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
"""The joints of ``h36m17`` among the 32."""
LABELLED = 32
CAMERAS, SUBJECTS = 4, 11
MILLIMETRES = 1000.0
MOST_BYTES = 16 << 20  # of metadata.xml


@dataclass(frozen=True, eq=False)
class H36mCamera:
    """A camera as it stood for one subject.

    Attributes:
        lens: Calibration matrix and distortion.
        rotation: (3, 3) world to camera.
        translation: (3,) world to camera, metres.
    """

    lens: Lens
    rotation: np.ndarray
    translation: np.ndarray


@dataclass(frozen=True, eq=False)
class H36mSamples:
    """The N labelled frames of one action in one camera. The 17 joints are :data:`JOINTS`.

    Attributes:
        path: The label file.
        sequence: Names of subject, action and camera.
        pictures: The video, or the folder of pictures.
        camera: The camera.
        positions: (N, 17, 3) joints in the world, metres.
        videos: Reads the video.
    """

    path: Path
    sequence: str
    pictures: Path
    camera: H36mCamera
    positions: np.ndarray
    videos: Videos

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> Sample:
        camera, index = self.camera, range(len(self))[index]
        image: Readable = VideoPicture(self.videos, self.pictures, index, camera.lens)
        if self.pictures.suffix != ".mp4":
            image = Picture(self.pictures / f"frame_{index:06d}.jpg", lens=camera.lens)
        world = np.concatenate([self.positions[index], np.ones((len(JOINTS), 1), np.float32)], axis=1)
        seen, pixels = to_camera(world[None], camera.rotation[None], camera.translation[None], camera.lens.matrix)
        return person_sample(
            name=f"{self.sequence} frame {index}",
            image=image,
            crop=box_crop(keypoint_box(pixels[0], margin=0)),
            joints=JOINTS,
            keypoints_2d=pixels[0],
            joints_3d=seen[0],
            camera=Camera.from_matrix(camera.lens.matrix),
            sequence=self.sequence,
            time=index / FRAMES_PER_SECOND,
        )


def read_human36m(folder: str | Path) -> Samples:
    """Read all subjects and actions in a folder.

    Args:
        folder: The folder with ``metadata.xml`` and the subjects' folders.

    Raises:
        InputError: A file is missing or damaged, or there are no labels or no pictures.
        MissingDependency: cdflib is not installed.
    """
    folder = Path(folder)
    places = [folder / "metadata.xml", folder / "Release-v1.2" / "metadata.xml"]
    cameras = read_metadata(next((path for path in places if path.is_file()), places[0]))
    files = sorted(folder.glob("S*/MyPoseFeatures/D3_Positions/*.cdf"))
    if not files:
        raise InputError(f"{folder}: the folder holds no S*/MyPoseFeatures/D3_Positions/*.cdf.")
    videos = Videos()
    parts = [part for path in files for part in _read_action(path, cameras, videos)]
    if not parts:
        raise InputError(f"{folder}: there are no pictures of the labels (S*/Videos/<action>.<camera>.mp4).")
    return ConcatDataset(parts)  # type: ignore[arg-type]  # it only counts and indexes


def _read_action(path: Path, cameras: dict[tuple[str, str], H36mCamera], videos: Videos) -> list[H36mSamples]:
    """The cameras of one action for which there are pictures."""
    subject, action = path.parents[2], path.stem
    pictures = {}
    for owner, name in cameras:
        found = (subject / "Videos" / f"{action}.{name}.mp4", subject / "Images" / f"{action}.{name}")
        if owner == subject.name and any(place.exists() for place in found):
            pictures[name] = next(place for place in found if place.exists())
    if not pictures:
        return []
    poses = read_cdf(path, "Pose")
    rows = poses.shape[1] if poses.ndim == 3 and poses.shape[0] == 1 else 0
    world = numbers(path, {"Pose": poses}, "Pose", (rows, 3 * LABELLED), 1)[0]
    positions = world.reshape(rows, LABELLED, 3)[:, CHOSEN] / MILLIMETRES
    return [
        H36mSamples(
            path=path,
            sequence=f"{subject.name} {action} camera {name}",
            pictures=place,
            camera=cameras[subject.name, name],
            positions=positions,
            videos=videos,
        )
        for name, place in pictures.items()
    ]


def read_metadata(path: Path) -> dict[tuple[str, str], H36mCamera]:
    """The cameras of ``metadata.xml``, by the names of subject and camera, such as ``("S1", "54138969")``.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        root = parse_xml(read_regular(path, MOST_BYTES))
        names = [element.text or "" for element in root.find("dbcameras/index2id") or ()]
        values = np.array((root.findtext("w0") or "").strip().strip("[]").split(), float)
    except OSError as error:
        raise InputError(f"{path}: the cameras cannot be read ({error.strerror}).") from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: this is not the metadata.xml of Human3.6M ({error}).") from error
    placed = 6 * CAMERAS * SUBJECTS
    if len(names) != CAMERAS or values.shape != (placed + 9 * CAMERAS,):
        raise InputError(f"{path}: this is not the metadata.xml of Human3.6M, which has 4 cameras and 300 numbers w0.")
    if not np.isfinite(values).all():
        raise InputError(f"{path}: w0 is not a finite number.")
    poses, lenses = values[:placed].reshape(CAMERAS, SUBJECTS, 6), values[placed:].reshape(CAMERAS, 9)
    cameras = {}
    for number, name in enumerate(names):
        fx, fy, cx, cy, k1, k2, k3, p1, p2 = lenses[number]
        matrix = np.array([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]])
        lens = Lens(calibrations(path, {"w0": matrix}, "w0", 1)[0], np.array([k1, k2, p1, p2, k3]))
        for subject in range(SUBJECTS):
            rotation = turns(*poses[number, subject, :3])
            translation = -rotation @ poses[number, subject, 3:] / MILLIMETRES
            cameras[f"S{subject + 1}", name] = H36mCamera(lens, rotation, translation)
    return cameras


def turns(x: float, y: float, z: float) -> np.ndarray:
    """The rotation Rx Ry Rz (3, 3) by angles in radians about the axes.

    Example:
        >>> turns(0, 0, np.pi / 2).round(6).tolist()
        [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    sx, sy, sz = np.sin([x, y, z])
    cx, cy, cz = np.cos([x, y, z])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_x @ about_y @ about_z)
