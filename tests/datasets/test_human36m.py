"""Human3.6M's own files, in the layout that its readers expect."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshrec.datasets import human36m
from meshrec.datasets.human36m import CHOSEN, JOINTS, read_human36m, read_metadata
from meshrec.errors import InputError
from meshrec.files import VideoWriter

FRAMES = 3
NAMES = ("54138969", "55011271", "58860488", "60457274")
LENS = (1145.0, 1143.5, 150.0, 130.0, -0.2, 0.24, -0.002, -0.0009, -0.0016)  # f, c, k, p
ANGLES, PLACE = (-1.9, 0.2, 0.3), (1841.0, 4955.0, 1563.0)


def metadata(names=NAMES, count=300, first=None):
    poses = np.zeros((4, 11, 6))
    poses[:, :] = [*ANGLES, *PLACE]
    poses[2, 8, 3:] += 100  # another place for S9
    values = [*poses.ravel(), *np.tile(LENS, 4)][:count]
    values[0] = values[0] if first is None else first
    ids = "".join(f"<item>{name}</item>" for name in names)
    numbers = " ".join(map(str, values))
    return f"<metadata><mapping/><dbcameras><index2id>{ids}</index2id></dbcameras><w0>[{numbers}]</w0></metadata>"


def positions():
    """(FRAMES, 32, 3) in the world, millimetres, in front of the camera."""
    seen = np.random.default_rng(0).normal(size=(FRAMES, 32, 3)) * (200, 300, 100) + (0, 0, 4000)
    return (seen @ Rotation.from_euler("XYZ", ANGLES).as_matrix() + PLACE).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose CDF files stand in for cdflib's, so that the test needs no cdflib."""
    (tmp_path / "metadata.xml").write_text(metadata())
    for subject in ("S1", "S9"):
        (tmp_path / subject / "MyPoseFeatures/D3_Positions").mkdir(parents=True)
        (tmp_path / subject / "MyPoseFeatures/D3_Positions/Walking 1.cdf").write_bytes(b"")
    (tmp_path / "S1/Videos").mkdir()
    with VideoWriter(tmp_path / "S1/Videos/Walking 1.54138969.mp4", (300, 260), 50) as video:
        for frame in range(FRAMES):
            video.write(np.full((260, 300, 3), 50 + 50 * frame, np.uint8))
    (tmp_path / "S9/Images/Walking 1.58860488").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "S9/Images/Walking 1.58860488/frame_000001.jpg"), np.full((260, 300, 3), 70, np.uint8))
    poses = {"values": positions().reshape(1, FRAMES, 96)}
    monkeypatch.setattr(human36m, "read_cdf", lambda path, name: poses["values"])
    return tmp_path, poses


def test_people(folder):
    samples = read_human36m(folder[0])
    assert len(samples) == 2 * FRAMES
    rotation = Rotation.from_euler("XYZ", ANGLES)  # intrinsic, an independent formula
    turn = rotation.as_rotvec()
    world = np.ascontiguousarray(positions()[:, CHOSEN], float)
    fx, fy, cx, cy, k1, k2, k3, p1, p2 = LENS
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    for frame in range(FRAMES):
        sample = samples[frame]
        assert sample.joints == JOINTS and sample.sequence == "S1 Walking 1 camera 54138969"
        assert sample.time == frame / 50 and sample.camera_confidence == 1
        truth = rotation.apply(world[frame] - PLACE) / 1000
        assert np.allclose(sample.joints_3d[:, :3], truth, atol=1e-4)
        # OpenCV projects into the distorted picture; undistorted, these are the sample's keypoints.
        step = -rotation.apply(np.array(PLACE))
        pixels = cv2.projectPoints(world[frame], turn, step, matrix, np.array([k1, k2, p1, p2, k3]))[0]
        straight = cv2.undistortPoints(pixels, matrix, np.array([k1, k2, p1, p2, k3]))[:, 0]
        assert np.allclose(sample.keypoints_2d[:, :2], straight * sample.focal + sample.principal, atol=2e-3)
        image = sample.read_image()
        assert image.shape == (260, 300, 3) and abs(int(image[130, 150, 0]) - 50 - 50 * frame) < 4
    other = samples[FRAMES + 1]
    assert other.sequence == "S9 Walking 1 camera 58860488" and other.read_image()[130, 150, 0] == 70
    truth = rotation.apply(world[1] - PLACE - 100) / 1000  # the camera stands elsewhere for S9
    assert np.allclose(other.joints_3d[:, :3], truth, atol=1e-4)


def test_with_cdflib(folder, monkeypatch):
    cdfwrite = pytest.importorskip("cdflib.cdfwrite", reason="cdflib reads and writes CDF files")
    monkeypatch.undo()
    root, poses = folder
    file = cdfwrite.CDF(root / "S1/MyPoseFeatures/D3_Positions/Walking 1.cdf", delete=True)
    about = {"Variable": "Pose", "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": [FRAMES, 96]}
    file.write_var(about, var_data=poses["values"])
    file.close()
    (root / "S9/MyPoseFeatures/D3_Positions/Walking 1.cdf").unlink()
    samples = read_human36m(root)
    assert len(samples) == FRAMES
    truth = Rotation.from_euler("XYZ", ANGLES).apply(positions()[2, CHOSEN].astype(float) - PLACE) / 1000
    assert np.allclose(samples[2].joints_3d[:, :3], truth, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (metadata(count=299), "4 cameras and 300 numbers"),
        (metadata(names=NAMES[:3]), "4 cameras and 300 numbers"),
        (metadata(first="nan"), "w0 is not a finite number"),
        (metadata(first="x"), "not the metadata.xml"),
        (metadata().replace("1145.0", "-1"), "w0 has a focal length that is not positive"),
        ("<metadata/>", "4 cameras and 300 numbers"),
        ("<!DOCTYPE a><metadata/>", "document type"),
        ("no xml", "no XML"),
    ],
    ids=["short", "cameras", "nan", "text", "focal", "empty", "doctype", "no xml"],
)
def test_metadata_is_checked(tmp_path, text, message):
    (tmp_path / "metadata.xml").write_text(text)
    with pytest.raises(InputError, match=rf"metadata\.xml: .*{message}"):
        read_metadata(tmp_path / "metadata.xml")


def test_damaged_folders(folder, tmp_path):
    root, poses = folder
    for values in (np.zeros((1, FRAMES, 51)), np.zeros((FRAMES, 96)), np.zeros((2, FRAMES, 96))):
        poses["values"] = values
        with pytest.raises(InputError, match=r"Walking 1\.cdf: Pose must be numbers"):
            read_human36m(root)
    poses["values"] = np.full((1, FRAMES, 96), np.nan)
    with pytest.raises(InputError, match="Pose is not a finite number"):
        read_human36m(root)
    for place in ("S1/Videos", "S9/Images"):
        (root / place).rename(root / f"{place} elsewhere")
    with pytest.raises(InputError, match="there are no pictures"):
        read_human36m(root)
    for subject in ("S1", "S9"):
        (root / subject / "MyPoseFeatures").rename(root / subject / "other")
    with pytest.raises(InputError, match=r"holds no S\*/MyPoseFeatures"):
        read_human36m(root)
    with pytest.raises(InputError, match=r"nothing/metadata\.xml: the cameras cannot be read"):
        read_human36m(root / "nothing")
