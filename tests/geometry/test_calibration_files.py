"""Calibrations of several cameras: every format gives the same cameras, and what is wrong is one sentence."""

import json

import cv2
import numpy as np
import pytest
from helpers import calibrations
from helpers.paths import SHARED

from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.geometry.calibrated_cameras import CalibratedCamera, Calibration
from meshrec.geometry.calibration_files import read_calibration, write_calibration

LAYOUTS = [
    "pose2sim.toml",
    "freemocap.toml",
    "Calib.qca.txt",
    "human36m.json",
    "panoptic.json",
    "easymocap",
    "exchanged",
]
LAYOUTS += ["intri.yml", "extri.yml", "opencv yml", "opencv xml"]
SIZELESS = ("human36m.json", "easymocap", "exchanged", "intri.yml", "extri.yml")
TRUTH = calibrations.room()


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return calibrations.write_all(tmp_path_factory.mktemp("calibrations"), TRUTH)


@pytest.fixture
def toml(tmp_path):
    """Reads Pose2Sim's file of the three cameras after a replacement in it."""

    def read(old, new, count=1, **options):
        text = calibrations.pose2sim(TRUTH)
        assert old in text
        (tmp_path / "a.toml").write_text(text.replace(old, new, count))
        return read_calibration(tmp_path / "a.toml", **options)

    return read


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_format_gives_the_same_cameras(layout, paths):
    path, options = paths[layout]
    found = read_calibration(path, **options)
    assert list(found.cameras) == ["cam1", "cam2", "cam3"] and found.placed
    points = np.random.default_rng(0).uniform([-1, -1, 0], [1, 1, 2], (20, 3))
    for truth, camera in zip(TRUTH, found.cameras.values()):
        assert camera.name == truth.name and not camera.fisheye
        assert camera.sized == (layout not in SIZELESS)
        assert camera.for_picture(truth.size).camera.size == truth.size
        assert np.allclose(camera.matrix, truth.matrix, atol=1e-6)
        assert np.allclose(camera.distortion, truth.distortion, atol=1e-6)
        assert np.allclose(camera.rotation, truth.rotation, atol=1e-6)
        assert np.allclose(camera.translation, truth.translation, atol=1e-6)
        shown = [
            cv2.projectPoints(points, cv2.Rodrigues(r)[0], t, k, np.array(d))[0]
            for r, t, k, d in (
                (truth.rotation, truth.translation, truth.matrix, truth.distortion),
                (camera.rotation, camera.translation, camera.matrix, camera.distortion),
            )
        ]
        assert np.abs(shown[0] - shown[1]).max() < 1e-3


@pytest.mark.parametrize(
    "layout, up",
    [("pose2sim.toml", "z"), ("freemocap.toml", "z"), ("Calib.qca.txt", "z"), ("easymocap", "z"), ("opencv yml", None)],
)
def test_the_up_axis_is_that_of_the_format(layout, up, paths):
    assert read_calibration(paths[layout][0]).up == up


def test_an_up_axis_that_the_cameras_contradict_is_not_known(tmp_path, paths):
    (tmp_path / "a.json").write_text(calibrations.panoptic(calibrations.room("-y")))
    assert read_calibration(tmp_path / "a.json").up == "-y"
    found = read_calibration(paths["panoptic.json"][0])
    assert found.up is None and "do not stand upright if it is -y" in found.notes[-1]


@pytest.mark.skipif(not (SHARED / "multiview" / "gt.npz").is_file(), reason="needs ../shared/multiview")
def test_a_file_of_qualisys_against_labels_made_with_it(tmp_path):
    """The first camera of the file that the calibrated frames come from, with the digits that Qualisys wrote."""
    text = calibrations.qualisys(TRUTH[:1])
    given = {
        "transform": 'r11="0.5536380477336265" r12="0.8046719867383512" r13="0.2144479094331626" '
        'r21="-0.4345300743838753" r22="0.05946489349975602" r23="0.8986921279821063" r31="0.7104002579937896" '
        'r32="-0.5907342212870501" r33="0.3825762057979294" x="1460.2323709212087" y="-1909.1590482454608" '
        'z="1896.5058524092062"',
        "fov_video": 'bottom="1919" left="0" right="1087" top="0"',
        "intrinsic": 'centerPointU="34110.316406" centerPointV="60680.792969" focalLengthU="107599.671875" '
        'focalLengthV="107588.828125" radialDistortion1="-0.046183" radialDistortion2="0.139983" '
        'radialDistortion3="0.000000" tangentalDistortion1="0.000608" tangentalDistortion2="0.00069"',
    }
    for tag, attributes in given.items():
        start = text.index(f"<{tag} ")
        text = text[:start] + f"<{tag} {attributes}" + text[text.index("/>", start) :]
    (tmp_path / "Calib.qca.txt").write_text(text)
    (camera,) = read_calibration(tmp_path / "Calib.qca.txt").cameras.values()
    labels = np.load(SHARED / "multiview" / "gt.npz")
    row = int(np.flatnonzero(labels["camera"] == 1)[0])
    assert np.allclose(camera.rotation, labels["R"][row], atol=1e-9)
    assert np.allclose(camera.translation, labels["t"][row], atol=1e-9)
    assert np.allclose(camera.distortion, labels["dist"][row])
    half = camera.for_picture(tuple(labels["wh"][row]))  # 1080 columns of the 1088 that were coded, at half the size
    assert np.allclose(np.diag(half.matrix), np.diag(labels["K"][row])) and len(half.notes) == 2


def test_written_and_read_again(tmp_path):
    rng = np.random.default_rng(1)
    cameras = {}
    for number in range(4):
        rotation = cv2.Rodrigues(rng.normal(size=3))[0]
        camera = Camera(rng.uniform(800, 900, 2), rng.uniform(300, 400, 2), (801, 603), rotation, rng.normal(size=3))
        name = ["left 1", 'a "quoted" \\ name', "Kamera ü", "cam.4"][number]
        lens = rng.normal(size=[5, 4, 8, 14][number]) * 0.01
        cameras[name] = CalibratedCamera(name, camera, tuple(lens), fisheye=number == 1)
    for up in ("-y", None):
        write_calibration(tmp_path / "a.toml", Calibration(cameras, up))
        found = read_calibration(tmp_path / "a.toml")
        assert list(found.cameras) == list(cameras) and (up is None or found.up == up)
        for one, other in zip(cameras.values(), found.cameras.values()):
            assert other.distortion == one.distortion and other.fisheye == one.fisheye
            assert other.camera.size == (801, 603) and np.array_equal(one.matrix, other.matrix)
            assert np.array_equal(one.translation, other.translation)
            assert np.allclose(one.rotation, other.rotation, atol=1e-14)


def test_what_cannot_be_written(tmp_path, paths):
    found = read_calibration(paths["easymocap"][0])
    with pytest.raises(ValueError, match="cannot be written without its size"):
        write_calibration(tmp_path / "a.toml", found)
    with pytest.raises(InputError, match=r"must end in \.toml"):
        write_calibration(tmp_path / "a.yml", found)


def test_half_turns_are_read():
    """Of which the Rodrigues vector is not unique."""
    for axis in np.eye(3):
        rotation = 2 * np.outer(axis, axis) - np.eye(3)
        camera = CalibratedCamera("a", Camera(500.0, None, (640, 480), rotation, [0, 0, 1]))
        assert np.array_equal(camera.rotation, rotation)


def test_units(toml, tmp_path):
    with pytest.raises(InputError, match=r"read in m, its cameras stand 5\.\d+ km apart; in mm it would be 5\.\d+ m"):
        (tmp_path / "a.toml").write_text(calibrations.pose2sim(TRUTH, unit=0.001))
        read_calibration(tmp_path / "a.toml")
    found = read_calibration(tmp_path / "a.toml", unit="mm")
    assert np.allclose(found.cameras["cam2"].translation, TRUTH[1].translation)
    with pytest.raises(InputError, match=r"read in mm, its cameras stand 5\.\d+ mm apart; in m it would be"):
        toml("adjusted", 'unit = "mm"\nadjusted')
    with pytest.raises(InputError, match="must be one of m, cm, mm, not 'inch'"):
        toml("adjusted", "adjusted", unit="inch")
    with pytest.raises(InputError, match="must be one of m, cm, mm"):
        toml("adjusted", 'unit = ["mm"]\nadjusted')


def test_a_distortion_that_turns_back_within_the_picture_is_noted(toml):
    found = toml("distortions = [", "distortions = [-0.9]\nother = [")
    assert ["turns back" in note for note in found.cameras["cam1"].notes] == [True]
    assert not found.cameras["cam2"].notes and not found.notes


def test_cameras_in_one_place_are_noted(toml):
    def place(truth):
        return f"rotation = {truth.vector.tolist()}\ntranslation = {truth.translation.tolist()}"

    found = toml(place(TRUTH[1]), place(TRUTH[0]))
    assert "cameras cam1 and cam2 stand in the same place" in found.notes


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("matrix = ", "matrices = ", "camera cam1 has no 'matrix'"),
        ("1101.0, 0.0", "-1101.0, 0.0", "focal lengths must be positive"),
        ("1101.0, 0.0", "0.0, 0.0", "focal lengths must be positive"),
        ("1101.0, 0.0", "nan, 0.0", "its matrix holds a number that is not finite"),
        ("1101.0, 0.0", "1.1, 0.0", "they must be in pixels"),
        ("1101.0, 0.0", "1101.0, 300.0", "a skew of 300 pixels"),
        ("631.25]", "9e9]", "principal point"),
        ("[ 0.0, 0.0, 1.0]]", "[ 0.0, 0.0, 0.0]]", r"must be \[\[fx, 0, cx\]"),
        ("[ 0.0, 0.0, 1.0]]", "[ 0.0, 0.0]]", "its matrix must be 3 x 3 numbers"),
        ('name = "cam2"', 'name = "cam1"', "two cameras have the name cam1"),
        ('name = "cam2"', 'name = ""', "1 to 200 printable characters"),
        ("distortions = [", "distortions = [0.1, [0], ", "camera cam1: its distortions must be"),
        ("distortions = [", 'distortions = ["a", ', "its distortions must be"),
        ("distortions = [", "distortions = [1e9]\nother = [", "is of no lens"),
        ("rotation = [", "rotation = [90.0, ", "its rotation must be 3 or 3 x 3 numbers"),
        ("rotation = [", "rotation = [90.0, 0, 0]\nother = [", "in radians"),
        ("rotation = [", "other = [", "has a translation alone"),
        ("size = [ 1280.0", "size = [ -1280.0", "must be width and height in pixels"),
        ("size = [ 1280.0", "size = [ 1280.5", "must be width and height in pixels"),
        ("[metadata]", "[meta", "the calibration is damaged"),
    ],
)
def test_what_is_wrong_is_one_sentence(old, new, message, toml):
    with pytest.raises(InputError, match=message) as caught:
        toml(old, new)
    assert "a.toml" in str(caught.value) and "\n" not in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (np.random.default_rng(0).bytes(2000), "no calibration that is read"),
        (b"hello", "no calibration that is read"),
        (b"a = 1", "there is no camera"),
        (b"{}", "no calibration of Human3.6M or Panoptic"),
        (b'{"cameras": 3}', "must be a list"),
        (b'{"cameras": [3]}', "has no 'name'"),
        (b'{"cameras": []}', "there is no camera"),
        (b'{"intrinsics": {}}', "has no 'extrinsics'"),
        (b'{"intrinsics": [1], "extrinsics": [2]}', "must be tables"),
        (b"{" * 5000, "nested too deeply"),
        (b"a = " + b"[" * 5000, "damaged|no calibration"),
        (b"<a/>", "no calibration of Qualisys or OpenCV"),
        (b"<calibration>", "damaged"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><calibration>&b;</calibration>', "it has a document type"),
        (b"<calibration><cameras><camera/></cameras></calibration>", "has no <fov_video>"),
        (b"%YAML:1.0\n---\na: [", "a bracket is not closed"),
        (b"%YAML:1.0\n---\na: 3\n", "there is no 'camera_matrix' in it"),
        (b"%YAML:1.0\n---\nT_1: 3\n", "put EasyMocap's intri.yml beside it"),
        (
            b"%YAML:1.0\n---\nK: !!opencv-matrix\n  rows: 3\n  cols: 90000000\n  dt: d\n  data: [1]\n",
            "another number of values",
        ),
        (b"x" * (5 << 20), "more than 4 MiB"),
    ],
    ids=range(22),
)
def test_other_files_are_refused(data, message, tmp_path):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_calibration(tmp_path / "a.txt")
    assert "\n" not in str(caught.value)


def test_what_is_missing(tmp_path, paths):
    with pytest.raises(InputError, match="No such file"):
        read_calibration(tmp_path / "nothing.toml")
    with pytest.raises(InputError, match="this folder must have one calibration"):
        read_calibration(tmp_path)
    with pytest.raises(InputError, match="choose one of S1, S5"):
        read_calibration(paths["human36m.json"][0])
    with pytest.raises(InputError, match="no subject S2; choose one of S1, S5"):
        read_calibration(paths["human36m.json"][0], subject="S2")


def test_a_rotation_must_be_one_but_may_be_rounded(tmp_path):
    content = json.loads(calibrations.panoptic(TRUTH))
    for camera in content["cameras"]:
        camera["R"] = np.round(camera["R"], 4).tolist()
    (tmp_path / "a.json").write_text(json.dumps(content))
    rotation = read_calibration(tmp_path / "a.json").cameras["cam1"].rotation
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    for wrong in (-np.eye(3), np.eye(3) * 1.01, np.zeros((3, 3))):
        content["cameras"][1]["R"] = wrong.tolist()
        (tmp_path / "a.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match="camera cam2: its rotation is no rotation"):
            read_calibration(tmp_path / "a.json")


def test_other_names_of_easymocaps_files(tmp_path):
    """As Pose2Sim writes them, which numbers the keys."""
    for name, text in zip(("Intrinsic.yml", "Extrinsic.yml"), calibrations.easymocap(TRUTH)):
        (tmp_path / name).write_text(text.replace("_cam", "_"))
    for path in (tmp_path, tmp_path / "Intrinsic.yml", tmp_path / "Extrinsic.yml"):
        assert np.allclose(read_calibration(path).cameras["cam2"].rotation, TRUTH[1].rotation)


def test_intrinsics_alone(tmp_path):
    (tmp_path / "intri.yml").write_text(calibrations.easymocap(TRUTH)[0])
    found = read_calibration(tmp_path)
    assert not found.placed and "3 of 3 cameras have no rotation" in found.notes[-1]
    assert np.array_equal(found.cameras["cam1"].rotation, np.eye(3))


def test_other_spellings_of_opencv_files(tmp_path):
    """As ROS writes them: without a first line, and matrices as plain tables; and as JSON."""
    text = "image_width: 1280\nimage_height: 720\ncamera_name: left\ndistortion_model: plumb_bob\n"
    text += "camera_matrix:\n  rows: 3\n  cols: 3\n  data: [1101, 0, 640, 0, 1100, 350, 0, 0, 1]\n"
    text += "distortion_coefficients:\n  rows: 1\n  cols: 5\n  data: [-0.1, 0.02, 0, 0, 0]\n"
    (tmp_path / "left.yaml").write_text(text)
    camera = read_calibration(tmp_path / "left.yaml").cameras["left"]
    assert camera.camera.size == (1280, 720) and camera.camera.focal == (1101, 1100)
    assert camera.distortion == (-0.1, 0.02, 0, 0, 0) and not camera.placed
    calibrations.opencv(tmp_path / "json", TRUTH[:1], ".json")
    camera = read_calibration(tmp_path / "json" / "cam1.json").cameras["cam1"]
    assert np.allclose(camera.rotation, TRUTH[0].rotation) and np.allclose(camera.matrix, TRUTH[0].matrix)
