"""SURREAL's clips and labels, in their layout, with the open body in place of SMPL."""

import numpy as np
import pytest
import torch
from scipy.io import savemat
from scipy.spatial.transform import Rotation

import meshrec
from meshrec.body.joints import JOINT_SETS, mirror_name
from meshrec.datasets.surreal import read_surreal
from meshrec.errors import InputError
from meshrec.files import VideoWriter

BODY = meshrec.load_body("male")
NAMES = JOINT_SETS["smpl24"]
FRAMES = 3
CAMERA = np.array([7.0, -1.0, 0.3])


def labels():
    """Variables of a label file: a person who stands in the world, in which y points down."""
    generator = np.random.default_rng(0)
    pose = generator.normal(size=(FRAMES, 72)) * 0.3
    pose[:, :3] = Rotation.from_euler("x", np.pi / 2).as_rotvec() + generator.normal(size=(FRAMES, 3)) * 0.2  # z up
    angle = np.full(FRAMES, 0.7)
    root = (
        Rotation.from_euler("x", np.pi / 2)
        * Rotation.from_euler("z", angle[:, None])
        * Rotation.from_rotvec(pose[:, :3])
    )
    betas = generator.normal(size=(1, 10)).repeat(FRAMES, 0)
    out = BODY(
        betas=torch.tensor(betas, dtype=torch.float32),
        global_orient=torch.tensor(root.as_rotvec()[:, None], dtype=torch.float32),
        body_pose=torch.tensor(pose[:, 3:], dtype=torch.float32).view(FRAMES, 23, 3),
    )
    joints = out.joints.numpy() + np.array([0.2, -1.0, 0.1], np.float32)
    return {
        "joints3D": joints.transpose(2, 1, 0),
        "joints2D": np.zeros((2, 24, FRAMES), np.float32),
        "pose": pose.T,
        "shape": betas.T,
        "zrot": angle[:, None],
        "gender": np.ones((FRAMES, 1), np.uint8),
        "camLoc": CAMERA[:, None],
        "sequence": "01_01_c0001",
    }


def write(folder, **changes):
    savemat(folder / "01_01_c0001_info.mat", {k: v for k, v in (labels() | changes).items() if v is not None})
    return folder


@pytest.fixture
def folder(tmp_path):
    clips = tmp_path / "val/run0/01_01"
    clips.mkdir(parents=True)
    with VideoWriter(clips / "01_01_c0001.mp4", (320, 240), 30) as video:
        for frame in range(FRAMES):
            video.write(np.full((240, 320, 3), 50 + 50 * frame, np.uint8))
    write(clips)
    return tmp_path


def test_labels_are_those_of_the_person_in_the_mirror(folder):
    samples, truth = read_surreal(folder, {"male": BODY.hash}), labels()
    assert len(samples) == FRAMES
    for frame in range(FRAMES):
        sample = samples[frame]
        assert sample.sequence == "01_01_c0001" and sample.time == pytest.approx(frame / 30)
        assert sample.betas_confidence == 1 and sample.camera_confidence == 1
        world = truth["joints3D"][..., frame].T - CAMERA
        assert (sample.joints_3d[:, 2] > 5).all()
        # The authors' projection: u = 160 + 600 x / z with x = -z, y = y, z = -x of the world relative to the camera.
        pixels = np.stack([160 - 600 * world[:, 2] / -world[:, 0], 120 + 600 * world[:, 1] / -world[:, 0]], axis=1)
        ours = (sample.keypoints_2d[:, :2] - sample.principal) / sample.focal * 600 + (160, 120)
        for joint, name in enumerate(sample.joints):
            assert np.allclose(ours[joint], pixels[NAMES.index(mirror_name(name))], atol=1e-2)
        # The body with the mirrored pose has its joints there, as far as it is symmetric.
        pose = torch.from_numpy(sample.pose)[None]
        assert torch.allclose(torch.linalg.det(pose), torch.ones(1), atol=1e-4)
        shape = torch.from_numpy(sample.betas)[None]
        out = BODY(betas=shape, global_orient=pose[:, 0], body_pose=pose[:, 1:]).joints[0].numpy()
        theirs = sample.joints_3d[:, :3]
        assert np.abs((out - out[0]) - (theirs - theirs[0])).max() < 0.01
        # The person stands upright: the head is above the feet in the picture, whose y points down.
        assert theirs[NAMES.index("head"), 1] < theirs[NAMES.index("left_ankle"), 1]
        assert abs(int(sample.read_image()[120, 160, 0]) - 50 - 50 * frame) < 4


def test_bodies_and_files(folder):
    clips = folder / "val/run0/01_01"
    assert read_surreal(clips / "01_01_c0001_info.mat")[0].betas_confidence == 0
    write(clips, gender=np.zeros((FRAMES, 1)))
    sample = read_surreal(folder, {"female": "f-hash", "male": "m-hash"})[0]
    assert sample.body == "f-hash" and sample.betas_confidence == 1
    one = {"joints3D": labels()["joints3D"][..., 0], "zrot": 0.7, "gender": 1}
    write(clips, pose=labels()["pose"][:, :1], shape=labels()["shape"][:, :1], **one)
    assert len(read_surreal(folder)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pose": None}, "pose is missing"),
        ({"zrot": None}, "zrot is missing"),
        ({"camLoc": np.zeros(2)}, "camLoc must be numbers of shape 1 x 3"),
        ({"pose": np.full((72, FRAMES), np.nan)}, "row 0: pose is not a finite number"),
        ({"shape": np.zeros((16, FRAMES))}, "shape must be numbers of shape 3 x 10"),
        ({"gender": np.array([[0], [1], [1]])}, "gender must be 0 in all frames"),
        ({"gender": np.full((FRAMES, 1), 2)}, "gender must be 0 in all frames"),
        ({"joints3D": "text"}, "joints3D is missing"),
    ],
)
def test_damaged_labels_are_named(folder, changes, message):
    write(folder / "val/run0/01_01", **changes)
    with pytest.raises(InputError, match=rf"01_01_c0001_info\.mat: .*{message}"):
        read_surreal(folder)


def test_nothing_there(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no clips"):
        read_surreal(tmp_path / "empty")
    with pytest.raises(InputError, match="the file cannot be read"):
        read_surreal(tmp_path / "none_info.mat")
    (folder / "val/run0/01_01/01_01_c0001.mp4").unlink()
    with pytest.raises(InputError, match=r"01_01_c0001\.mp4.*It is the picture of 01_01_c0001_info\.mat frame 0"):
        read_surreal(folder)[0].read_image()
