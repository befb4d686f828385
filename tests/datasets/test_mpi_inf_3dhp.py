"""MPI-INF-3DHP's own files, in the layout that its readers expect."""

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from meshrec.data.sample import cut
from meshrec.datasets.mpi_inf_3dhp import CHOSEN, JOINTS, LABELLED, pinhole_of_pairs, read_mpi_inf_3dhp, read_skeletool
from meshrec.errors import InputError

FRAMES = 3
MATRIX = np.array([[150.0, 0, 98], [0, 152, 90], [0, 0, 1]])
DISTORTION = np.array([-0.28, 0.13, 0, 0, -0.05])


def places(joints, cameras, seed=0):
    """(cameras, FRAMES, joints, 3) in camera space, millimetres."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(cameras, FRAMES, joints, 3)) * (300, 400, 100) + (50, -20, 2500)


def project(points):
    seen = points @ MATRIX.T
    return seen[..., :2] / seen[..., 2:]


def calibration(cameras, radial=0):
    matrix = np.eye(4)
    matrix[:3, :3] = MATRIX
    numbers = [" ".join(f"{value:.5f}" for value in m.ravel()) for m in (matrix, np.eye(4))]
    lines = ["Skeletool Camera Calibration File V1.0"]
    for number in range(cameras):
        lines += [f"name          {number}", "  sensor      10 10", "  size        200 180", "  animated    0"]
        lines += [f"  intrinsic   {numbers[0]} ", f"  extrinsic   {numbers[1]} ", f"  radial      {radial}"]
    return "\n".join(lines) + "\n"


def cell(values):
    out = np.empty((len(values), 1), object)
    for index, value in enumerate(values):
        out[index, 0] = value.reshape(FRAMES, -1)
    return out


@pytest.fixture
def folder(tmp_path):
    sequence = tmp_path / "S2" / "Seq1"
    points = places(28, 3)
    (sequence / "imageFrames" / "video_1").mkdir(parents=True)
    for frame in range(FRAMES):
        path = sequence / "imageFrames" / "video_1" / f"frame_{frame + 1:06d}.jpg"
        cv2.imwrite(str(path), np.full((180, 200, 3), 50 + 50 * frame, np.uint8))
    (sequence / "camera.calibration").write_text(calibration(3))
    savemat(
        sequence / "annot.mat",
        {"annot2": cell(project(points)), "annot3": cell(points), "frames": np.arange(FRAMES), "cameras": np.arange(3)},
        do_compression=True,
    )
    return tmp_path


def write_test_set(folder, points, pixels, **changes):
    (folder / "TS3" / "imageSequence").mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "TS3" / "imageSequence" / "img_000003.jpg"), np.full((180, 200, 3), 99, np.uint8))
    content = {
        "annot2": pixels[:, None].transpose(3, 2, 1, 0),
        "annot3": points[:, None].transpose(3, 2, 1, 0),
        "univ_annot3": points[:, None].transpose(3, 2, 1, 0),
        "valid_frame": np.array([[1.0, 0, 1]]),
    }
    savemat(folder / "TS3" / "annot_data.mat", content | changes)


@pytest.mark.parametrize("start", ["", "S2", "S2/Seq1"])
def test_training_set(folder, start):
    samples = read_mpi_inf_3dhp(folder / start)
    assert len(samples) == FRAMES  # only camera 1 has pictures
    truth = places(28, 3)[1]
    for frame in range(FRAMES):
        sample = samples[frame]
        assert sample.joints == JOINTS and sample.sequence == "S2 Seq1 camera 1" and sample.time == frame / 25
        for joint, name in enumerate(sample.joints):
            there = truth[frame, LABELLED.index(name)]
            assert np.allclose(sample.joints_3d[joint], [*there / 1000, 1], atol=1e-6)
        # The keypoints are the projections by the camera, both in crop coordinates.
        seen = sample.joints_3d[:, :2] / sample.joints_3d[:, 2:3] * sample.focal + sample.principal
        assert np.allclose(sample.keypoints_2d[:, :2], seen, atol=1e-4)
        assert abs(int(cut(sample, 30).image[15, 15, 0]) - 50 - 50 * frame) < 3
    assert LABELLED[CHOSEN[0]] == "head_top" and len(LABELLED) == 28


def test_videos_stand_for_pictures(folder):
    video = cv2.VideoWriter(str(folder / "made.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (200, 180))
    for frame in range(FRAMES):
        video.write(np.full((180, 200, 3), 40 + 60 * frame, np.uint8))
    video.release()
    (folder / "S2/Seq1/imageSequence").mkdir()
    (folder / "made.avi").rename(folder / "S2/Seq1/imageSequence/video_2.avi")
    samples = read_mpi_inf_3dhp(folder)
    assert len(samples) == 2 * FRAMES and samples[5].sequence == "S2 Seq1 camera 2"
    for frame in (2, 0, 1):
        assert abs(int(samples[3 + frame].read_image()[90, 100, 0]) - 40 - 60 * frame) < 4


def test_test_set(folder):
    points = places(17, 1)[0]
    write_test_set(folder, points, project(points))
    samples = read_mpi_inf_3dhp(folder / "TS3")
    assert len(samples) == 2 and len(read_mpi_inf_3dhp(folder)) == 2 + FRAMES
    sample = samples[1]
    assert sample.name == "TS3/annot_data.mat TS3 frame 2" and sample.sequence == "TS3"
    assert np.allclose(sample.joints_3d[:, :3], points[2] / 1000, atol=1e-6) and sample.camera_confidence == 1
    seen = sample.joints_3d[:, :2] / sample.joints_3d[:, 2:3] * sample.focal + sample.principal
    assert np.allclose(sample.keypoints_2d[:, :2], seen, atol=1e-3)
    assert sample.read_image()[0, 0].tolist() == [99, 99, 99]


def test_files_of_matlab_7_3(folder):
    h5py = pytest.importorskip("h5py", reason="h5py reads files of MATLAB 7.3")
    points = places(17, 1)[0]
    write_test_set(folder, points, project(points))
    before = read_mpi_inf_3dhp(folder / "TS3")[1]
    with h5py.File(folder / "TS3" / "annot_data.mat", "w", userblock_size=512) as file:
        file["annot2"], file["annot3"] = project(points)[:, None], points[:, None]
        file["valid_frame"] = np.array([[1.0], [0], [1]])
    after = read_mpi_inf_3dhp(folder / "TS3")[1]
    assert np.allclose(before.joints_3d, after.joints_3d) and np.allclose(before.keypoints_2d, after.keypoints_2d)


def test_a_distorting_lens_has_no_camera(folder):
    points = places(17, 1)[0] * (2, 2, 1)
    matrix = MATRIX * [[8], [8], [1]]
    pixels = cv2.projectPoints(points.reshape(-1, 3), np.zeros(3), np.zeros(3), matrix, DISTORTION)[0]
    write_test_set(folder, points, pixels.reshape(FRAMES, 17, 2))
    assert read_mpi_inf_3dhp(folder / "TS3")[0].camera_confidence == 0
    assert np.allclose(pinhole_of_pairs(project(points[0]), points[0]), MATRIX, atol=1e-3)
    assert pinhole_of_pairs(np.ones((5, 2)), np.ones((5, 3))) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (calibration(2, radial=1), "camera 0 has a distorting lens"),
        (calibration(1), "there is no camera 1"),
        (calibration(3).replace("150.00000", "x"), "no calibration of Skeletool"),
        (calibration(3).replace("150.00000", "nan"), "intrinsic is not a finite number"),
        ("", "no calibration of Skeletool"),
        ("name 1\nintrinsic 1 2", "no calibration of Skeletool"),
    ],
    ids=["radial", "few", "text", "nan", "empty", "short"],
)
def test_calibrations_are_checked(folder, text, message):
    (folder / "S2/Seq1/camera.calibration").write_text(text)
    with pytest.raises(InputError, match=rf"camera\.calibration: .*{message}"):
        read_mpi_inf_3dhp(folder)


def test_damaged_files_are_named(folder):
    path = folder / "S2/Seq1/annot.mat"
    points = places(28, 3)
    broken = points.copy()
    broken[1, 2] = np.nan
    for content, message in (
        ({"annot2": cell(project(points)), "annot3": cell(broken)}, "row 2: annot3 of camera 1 is not a finite number"),
        ({"annot2": cell(project(points)), "annot3": cell(points[:, :, :17])}, "annot3 of camera 1 must be numbers"),
        ({"annot2": cell(project(points))}, "annot2 and annot3 must be cells"),
        ({"annot2": np.zeros((3, 2)), "annot3": cell(points)}, "annot2 and annot3 must be cells"),
    ):
        savemat(path, content)
        with pytest.raises(InputError, match=rf"annot\.mat: .*{message}"):
            read_mpi_inf_3dhp(folder)
    points = places(17, 1)[0]
    for changes, message in (
        ({"valid_frame": np.zeros((1, 3))}, "no frame is valid"),
        ({"annot3": np.zeros((3, 28, 1, 3))}, "annot3 must be numbers of shape 3 x 1 x 17 x 3"),
        ({"annot2": "text"}, "annot2 is missing"),
    ):
        write_test_set(folder, points, project(points), **changes)
        with pytest.raises(InputError, match=rf"annot_data\.mat: .*{message}"):
            read_mpi_inf_3dhp(folder / "TS3")


def test_nothing_there(tmp_path, folder):
    with pytest.raises(InputError, match=r"holds no S\*/Seq\*/annot\.mat"):
        read_mpi_inf_3dhp(tmp_path / "empty")
    with pytest.raises(InputError, match="calibration cannot be read"):
        read_skeletool(tmp_path / "none")
    (folder / "S2/Seq1/imageFrames/video_1").rename(folder / "S2/Seq1/imageFrames/other")
    with pytest.raises(InputError, match="there are no pictures"):
        read_mpi_inf_3dhp(folder)
