"""Several cameras: where people stand in the world, whatever its axes and the lenses are, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.results import check_results
from PIL import Image

import meshrec
from meshrec import Camera, InputError, Person, load_body
from meshrec.body import flip_permutation
from meshrec.cli import main
from meshrec.geometry.calibrated_cameras import CalibratedCamera, Calibration, distort_points
from meshrec.geometry.calibration_files import write_calibration
from meshrec.jobs.cameras import reconstruct_instant
from meshrec.jobs.settings import Settings
from meshrec.poses.named_poses import named_pose
from meshrec.reconstruct.cameras import LEVEL

SIZE = (640, 480)
PLACES = ((-0.6, 0.0, 0.1), (0.7, 0.0, -0.3))  # of two people's pelvises above the floor of a world with y up


def looking_at_the_middle(angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation from a world with y up to a camera 4 m from its origin, 1.5 m high."""
    radians = np.radians(angle)
    place = np.array([4 * np.sin(radians), 1.5, 4 * np.cos(radians)])
    forward = (np.array([0, 0.3, 0]) - place) / np.linalg.norm(np.array([0, 0.3, 0]) - place)
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return rotation, -rotation @ place


def calibration(up: str = "y", lens: tuple[float, ...] = (-0.1, 0.02)) -> Calibration:
    """Three cameras around the origin of a world in which this axis is up."""
    turn = LEVEL["y"].T @ LEVEL[up]  # from that world to the one with y up
    cameras = {}
    for i, angle in enumerate((10, 130, 250)):
        rotation, translation = looking_at_the_middle(angle)
        camera = Camera(450.0, size=SIZE, rotation=rotation @ turn, translation=translation)
        cameras[f"cam{i + 1}"] = CalibratedCamera(f"cam{i + 1}", camera, lens)
    return Calibration(cameras, up)


@pytest.fixture(scope="module")
def standing() -> tuple[np.ndarray, np.ndarray]:
    """Two people in a world with y up: COCO keypoints (2, 17, 3) and joints (2, 24, 3), metres."""
    body = load_body("neutral")
    pose = torch.stack([named_pose("arms down"), named_pose("squat")])
    turns = torch.tensor([[0.0, 0.4, 0.0], [0.0, 2.5, 0.0]])
    with torch.no_grad():
        out = body(body_pose=pose, global_orient=turns, transl=torch.tensor(PLACES))
    return body.joints_from(out.vertices, "coco17").numpy(), out.joints.numpy()


def seen(cameras: Calibration, points: np.ndarray, up: str) -> dict[str, np.ndarray]:
    """Keypoints (N, 17, 3) in the distorted pictures of each camera, people in another order in each."""
    in_world = points @ (LEVEL[up].T @ LEVEL["y"]).T
    found = {}
    for number, (name, lens) in enumerate(cameras.cameras.items()):
        pixels = lens.camera.project(lens.camera.world_to_camera(torch.from_numpy(in_world).double())).numpy()
        pixels[..., :2] = distort_points(pixels[..., :2], lens)
        pixels[..., 2] = 1
        found[name] = pixels[:: -1 if number % 2 else 1].astype(np.float32)
    return found


def pictures(cameras: Calibration) -> dict[str, np.ndarray]:
    return dict.fromkeys(cameras.cameras, np.full((SIZE[1], SIZE[0], 3), 128, np.uint8))


def errors(people: list[Person], joints: np.ndarray, up: str) -> np.ndarray:
    """Mean distance (N,) of each person's joints from the nearest true person's, metres; no alignment."""
    true = joints @ LEVEL["y"].T
    own = np.stack([person.joints() for person in people])
    return np.linalg.norm(own[:, None] - true[None], axis=-1).mean(-1).min(1)


@pytest.mark.parametrize("up", ["y", "z"])
def test_people_stand_where_they_are(standing, up):
    cameras = calibration(up)
    keypoints, joints = standing
    reconstructor = meshrec.Reconstructor()
    people = reconstructor.cameras(pictures(cameras), cameras, keypoints=seen(cameras, keypoints, up))
    assert len(people) == 2
    assert errors(people, joints, up).max() < 0.03
    assert np.allclose(people[0].gravity, [0, 1, 0])


def test_a_camera_that_sees_nobody_takes_no_part(standing):
    cameras = calibration()
    found = seen(cameras, standing[0], "y")
    found["cam2"] = found["cam2"][:0]
    people = meshrec.Reconstructor().cameras(pictures(cameras), cameras, keypoints=found)
    assert len(people) == 2 and errors(people, standing[1], "y").max() < 0.05


def test_without_anybody_there_is_nobody():
    cameras = calibration()
    nobody = dict.fromkeys(cameras.cameras, np.zeros((0, 17, 3)))
    assert meshrec.Reconstructor().cameras(pictures(cameras), cameras, keypoints=nobody) == []


@pytest.fixture
def folder(tmp_path, standing, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    cameras = calibration()
    write_calibration(tmp_path / "cameras.toml", cameras)
    images, rows = [], []
    for i, (name, points) in enumerate(seen(cameras, standing[0], "y").items()):
        Image.new("RGB", SIZE, (120, 130, 140)).save(tmp_path / f"{name}_0001.png")
        images.append({"id": i, "file_name": f"{name}_0001.png"})
        rows += [{"image_id": i, "keypoints": (person * [1, 1, 2]).flatten().tolist()} for person in points]
    (tmp_path / "poses.json").write_text(json.dumps({"images": images, "annotations": rows}))
    return tmp_path


FILES = [f"cam{i}_0001.png" for i in (1, 2, 3)]


def run(*options: str) -> int:
    return main(["reconstruct", "--cameras", "cameras.toml", "--out", "out", "--keypoints", "poses.json", *options])


def test_the_command_writes_people_overlays_and_a_scene(folder, standing, capfd):
    assert run(*FILES, "--ground") == 0
    assert capfd.readouterr().out == "3 cameras: 2 people -> out\n"
    names = {f"person_{i}.{suffix}" for i in (0, 1) for suffix in ("obj", "glb", "json")}
    names |= {f"overlay_cam{i}.png" for i in (1, 2, 3)} | {"scene.glb", "cameras.json"}
    names |= {f"thumbnail_cam{i}.jpg" for i in (1, 2, 3)} | {"index.html"}
    assert {path.name for path in (folder / "out").iterdir()} == names
    people = [Person.load(folder / f"out/person_{i}.json") for i in (0, 1)]
    assert errors(people, standing[1], "y").max() < 0.03
    check_results(folder / "out")
    record = json.loads((folder / "out/cameras.json").read_text())
    assert [camera["name"] for camera in record["cameras"]] == ["cam1", "cam2", "cam3"]
    assert all(error < 0.02 for person in record["people"] for error in person["reprojection_errors"].values())


def test_results_of_an_earlier_run_with_more_people_are_removed(folder, capfd):
    (folder / "out").mkdir()
    for name in ("person_7.obj", "overlay_cam9.png", "track_0.glb", "notes.txt"):
        (folder / "out" / name).write_text("of before")
    assert run(*FILES) == 0
    left = {path.name for path in (folder / "out").iterdir()}
    assert not left & {"person_7.obj", "overlay_cam9.png", "track_0.glb"} and "notes.txt" in left


def test_keypoints_of_each_camera_in_a_folder_of_its_own(folder, standing, capfd):
    names = dict(enumerate(FILES))
    rows = json.loads((folder / "poses.json").read_text())["annotations"]
    for number, name in names.items():
        part = folder / "pose" / f"{name[:4]}_json"
        part.mkdir(parents=True)
        own = [row | {"image_id": 0} for row in rows if row["image_id"] == number]
        content = {"images": [{"id": 0, "file_name": name}], "annotations": own}
        (part / "found.json").write_text(json.dumps(content))
    assert run(*FILES, "--keypoints", "pose") == 0
    people = [Person.load(folder / f"out/person_{i}.json") for i in (0, 1)]
    assert errors(people, standing[1], "y").max() < 0.03


def test_a_mirrored_picture_is_noted(folder, capfd):
    poses = json.loads((folder / "poses.json").read_text())
    for row in poses["annotations"]:
        if row["image_id"] == 2:
            points = np.array(row["keypoints"]).reshape(17, 3)[flip_permutation("coco17")]
            points[:, 0] = SIZE[0] - 1 - points[:, 0]
            row["keypoints"] = points.flatten().tolist()
    (folder / "poses.json").write_text(json.dumps(poses))
    assert run(*FILES) == 0
    notes = json.loads((folder / "out/cameras.json").read_text())["notes"]
    assert [note[:44] for note in notes if "mirrored" in note] == ["camera cam3: its pictures seem to be mirrored"[:44]]


def test_files_are_matched_to_cameras_by_name_or_order(folder, capfd):
    assert run(FILES[1], FILES[0]) == 0
    record = json.loads((folder / "out/cameras.json").read_text())
    assert [(c["name"], c["picture"]) for c in record["cameras"]] == [("cam2", FILES[1]), ("cam1", FILES[0])]
    for number, name in enumerate(FILES):
        (folder / name).rename(folder / f"{number}.png")
    assert run("0.png", "1.png", "2.png") == 0


@pytest.mark.parametrize(
    "files, message",
    [
        (["cam1_0001.png", "cam1_0001.png"], "are both of camera cam1"),
        (["cam1_0001.png", "other.png"], "name the files after their cameras"),
        (["cam1_0001.png", "gone_cam2.png"], "gone_cam2.png: no such file"),
        (["cam1_0001.png", "small_cam2.png"], "turned by 90 degrees"),
    ],
)
def test_what_does_not_fit_is_refused(folder, capfd, files, message):
    Image.new("RGB", SIZE).save(folder / "other.png")
    Image.new("RGB", SIZE[::-1]).save(folder / "small_cam2.png")
    assert run(*files) == 1
    output = capfd.readouterr()
    assert message in output.err and len(output.err.splitlines()) == 1


def test_settings_that_would_be_ignored_are_refused(folder, capfd):
    for option, value in (("--height", "1.8"), ("--focal", "500")):
        assert run(*FILES, option, value) == 1
        assert f"{option} has no meaning with --cameras" in capfd.readouterr().err
    with pytest.raises(InputError, match="--focal has no meaning with --cameras"):
        settings = Settings(focal_network=folder / "fov.safetensors")
        reconstruct_instant([], folder / "calibration.json", folder / "out", settings, meshrec.Reconstructor())


def test_a_camera_without_a_place_is_refused():
    cameras = calibration()
    lost = replace(cameras.cameras["cam2"], placed=False)
    cameras = Calibration({**cameras.cameras, "cam2": lost}, "y")
    with pytest.raises(InputError, match="cam2 has no rotation"):
        meshrec.Reconstructor().cameras(pictures(cameras), cameras, keypoints={})
