"""Several cameras without calibration: it is found from the people, written and read back; and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.results import check_results
from helpers.views import SIZE, ring
from PIL import Image

import meshrec
from meshrec import InputError, Person, load_body
from meshrec.body.measures import stature
from meshrec.cli import main
from meshrec.geometry.calibration_files import read_calibration
from meshrec.poses.named_poses import named_pose
from meshrec.reconstruct.uncalibrated import find_cameras

FOCAL = 410.0
HEIGHT = float(stature(load_body("neutral").rest(torch.zeros(1, 10))[0])[0])


@pytest.fixture(scope="module")
def reconstructor():
    return meshrec.Reconstructor()


@pytest.fixture(scope="module")
def scene() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Keypoints (2, 17, 3) of two people in each of three cameras, in another order in each, and their joints."""
    body = load_body("neutral")
    turns = torch.tensor([[0.0, 0.4, 0.0], [0.0, 2.5, 0.0]])
    pose = torch.stack([named_pose("arms down"), named_pose("squat")])
    with torch.no_grad():
        out = body(body_pose=pose, global_orient=turns, transl=torch.tensor([[-0.6, 0.9, 0.1], [0.7, 0.6, -0.3]]))
    points = body.joints_from(out.vertices, "coco17").double()
    found = {}
    for number, camera in enumerate(ring(3, of=3)):
        own = meshrec.Camera(FOCAL, size=SIZE, rotation=camera.rotation, translation=camera.translation)
        pixels = own.project(own.world_to_camera(points)).numpy()
        pixels[..., 2] = 1
        found[f"cam{number + 1}"] = pixels[:: -1 if number % 2 else 1].astype(np.float32)
    return found, out.joints.double().numpy()


def pictures(names) -> dict[str, np.ndarray]:
    return {name: np.full((SIZE[1], SIZE[0], 3), 128, np.uint8) for name in names}


def distances(places) -> np.ndarray:
    places = np.stack(places)
    return np.linalg.norm(places[:, None] - places, axis=-1)[np.triu_indices(len(places), 1)]


def true_places() -> list[np.ndarray]:
    return [-np.array(c.rotation).T @ np.array(c.translation) for c in ring(3, of=3)]


def test_cameras_are_found_from_people(reconstructor, scene):
    keypoints, _ = scene
    found = find_cameras(reconstructor, pictures(keypoints), keypoints, HEIGHT, FOCAL)
    cameras = [camera.camera for camera in found.calibration.cameras.values()]
    assert [camera.focal[0] for camera in cameras] == [FOCAL] * 3
    places = [camera.place for camera in found.calibration.cameras.values()]
    assert np.allclose(distances(places), distances(true_places()), rtol=0.12)
    assert np.allclose(places[0], 0) and found.deviations.place[0] == 0
    ups = [camera.rotation @ [0, 0, 1] for camera in found.calibration.cameras.values()]
    true = [np.array(camera.rotation) @ [0, 1, 0] for camera in ring(3, of=3)]
    assert min(own @ other for own, other in zip(ups, true)) > np.cos(np.radians(10))
    assert [sorted(person) for person in found.matched] == [[0, 1, 2]] * 2
    assert {person[0] == person[2] != person[1] for person in found.matched} == {True}


def test_people_stand_as_they_do(reconstructor, scene):
    """Distances of all joints of both people, whatever the world's place and direction."""
    keypoints, joints = scene
    people = reconstructor.cameras(pictures(keypoints), "auto", keypoints=keypoints, height=HEIGHT)
    own = np.stack([person.joints() for person in people])
    assert abs(np.linalg.norm(own[0, 0] - own[1, 0]) - np.linalg.norm(joints[0, 0] - joints[1, 0])) < 0.3
    assert (people[0].gravity_deviation > 0).all()


@pytest.fixture
def folder(tmp_path, scene, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    images, rows = [], []
    for i, (name, points) in enumerate(scene[0].items()):
        Image.new("RGB", SIZE, (120, 130, 140)).save(tmp_path / f"{name}.png")
        images.append({"id": i, "file_name": f"{name}.png"})
        rows += [{"image_id": i, "keypoints": (person * [1, 1, 2]).flatten().tolist()} for person in points]
    (tmp_path / "poses.json").write_text(json.dumps({"images": images, "annotations": rows}))
    return tmp_path


FILES = ["cam1.png", "cam2.png", "cam3.png"]


def run(*options: str) -> int:
    return main(["reconstruct", "--cameras", "auto", "--out", "out", "--keypoints", "poses.json", *options])


def test_the_command_writes_the_calibration_that_it_found(folder, capfd):
    assert run(*FILES, "--height", str(HEIGHT), "--ground") == 0
    assert capfd.readouterr().out == "3 cameras: 2 people -> out\n"
    calibration = read_calibration("out/calibration.toml")
    assert list(calibration.cameras) == ["cam1", "cam2", "cam3"] and calibration.up == "z"
    check_results(folder / "out")
    record = json.loads((folder / "out/cameras.json").read_text())
    assert record["found_calibration"] == "calibration.toml" and record["up_known"]
    assert any("the focal length of cam1, cam2, cam3 was not known" in note for note in record["notes"])
    deviations = [camera["deviations"] for camera in record["cameras"]]
    assert deviations[0]["rotation_degrees"] == deviations[0]["position_metres"] == 0
    assert all(0 < d["rotation_degrees"] < 20 and 0 < d["position_metres"] < 3 for d in deviations[1:])
    assert all(d["focal_pixels"] > 0 for d in deviations)
    found = Person.load(folder / "out/person_0.json")
    # With the file that was written the same people are found at the same places.
    again = ["reconstruct", "--cameras", "out/calibration.toml", "--out", "again", "--keypoints", "poses.json", *FILES]
    assert main(again) == 0
    people = [Person.load(folder / f"again/person_{i}.json") for i in (0, 1)]
    assert min(np.linalg.norm(person.joints()[0] - found.joints()[0]) for person in people) < 0.05


@pytest.mark.parametrize(
    "options, message",
    [
        (FILES[:1], "two pictures or more of one instant"),
        ([FILES[0], f"other/{FILES[0]}"], "two files have the same name"),
        ([FILES[0], "empty.png"], "empty: nobody is found in this picture"),
        ([*FILES, "--height", "1.8,1.7"], "takes one --height"),
        ([*FILES, "--unit", "mm"], "--unit has no meaning with --cameras auto"),
        ([*FILES, "--no-refine"], "leave the fit in"),
    ],
)
def test_what_tells_nothing_is_refused(folder, capfd, options, message):
    Image.new("RGB", SIZE).save(folder / "empty.png")
    assert run(*options) == 1
    output = capfd.readouterr()
    assert message in output.err and len(output.err.splitlines()) == 1


def test_people_who_are_matched_to_nobody_are_refused(reconstructor, scene):
    """A second camera that sees one person in another pose and other clothes."""
    keypoints, _ = scene
    upside = keypoints["cam2"][:1].copy()
    rng = np.random.default_rng(0)
    upside[..., :2] = rng.uniform(50, 400, upside[..., :2].shape)
    images = pictures(["cam1", "cam2"])
    images["cam2"][:] = (255, 0, 255)
    images["cam1"][:] = (0, 40, 0)
    with pytest.raises(InputError, match="cam1: nobody in this picture is recognised in another one"):
        find_cameras(reconstructor, images, {"cam1": keypoints["cam1"][:1], "cam2": upside}, HEIGHT, FOCAL)


def test_a_height_needs_cameras_that_are_not_known(reconstructor):
    with pytest.raises(InputError, match="a height has no meaning with a calibration"):
        reconstructor.cameras({}, "calibration.toml", height=1.8)
