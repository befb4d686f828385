"""Clips of several cameras without calibration: it is found from instants of the clips, and written."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.results import check_results
from helpers.views import SIZE, ring

import meshrec
from meshrec import InputError, load_body
from meshrec.body.measures import stature
from meshrec.cli import main
from meshrec.files.clips import open_clip
from meshrec.files.videos import VideoWriter
from meshrec.geometry.calibration_files import read_calibration
from meshrec.poses.named_poses import named_pose
from meshrec.reconstruct.uncalibrated_clips import reconstruct_uncalibrated_clips

FOCAL, RATE, COUNT = 410.0, 10.0, 7
NAMES = ("cam1", "cam2", "cam3")
HEIGHT = float(stature(load_body("neutral").rest(torch.zeros(1, 10))[0])[0])


@pytest.fixture(scope="module")
def scene() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Keypoints (T, 2, 17, 3) of two people in each camera, who walk past each other, and their joints (T, 2, 24, 3);
    the second camera sees them in the other order."""
    body = load_body("neutral")
    time = torch.linspace(-1, 1, COUNT)
    pose = torch.stack([named_pose("arms down"), named_pose("squat")])
    places = torch.stack([torch.stack([s * time, 0.8 + 0 * time, 0.3 * s + 0 * time], 1) for s in (1, -1)], 1)
    with torch.no_grad():
        out = body(
            body_pose=pose.repeat(COUNT, 1, 1, 1),
            global_orient=torch.tensor([[0.0, 1.2, 0.0], [0.0, -1.2, 0.0]]).repeat(COUNT, 1),
            transl=places.flatten(0, 1),
        )
    points = body.joints_from(out.vertices, "coco17").double()
    found = {}
    for number, (name, camera) in enumerate(zip(NAMES, ring(3, of=3))):
        own = meshrec.Camera(FOCAL, size=SIZE, rotation=camera.rotation, translation=camera.translation)
        pixels = own.project(own.world_to_camera(points)).numpy()
        pixels[..., 2] = 1
        pixels = pixels.reshape(COUNT, 2, 17, 3)
        found[name] = pixels[:, :: -1 if number == 1 else 1].astype(np.float32)
    return found, out.joints.reshape(COUNT, 2, -1, 3)[:, :, :24].double().numpy()


def frames() -> list[np.ndarray]:
    return [np.full((SIZE[1], SIZE[0], 3), 120 + i, np.uint8) for i in range(COUNT)]


def distances(places) -> np.ndarray:
    places = np.stack(places)
    return np.linalg.norm(places[:, None] - places, axis=-1)[np.triu_indices(len(places), 1)]


def true_places() -> list[np.ndarray]:
    return [-np.array(c.rotation).T @ np.array(c.translation) for c in ring(3, of=3)]


def test_cameras_and_people_are_found_from_clips(scene):
    keypoints, joints = scene
    clips = {name: open_clip(frames(), fps=RATE) for name in NAMES}
    given = {name: list(own) for name, own in keypoints.items()}
    tracks, found = reconstruct_uncalibrated_clips(
        meshrec.Reconstructor(), clips, keypoints=given, height=HEIGHT, focal=FOCAL
    )
    cameras = found.calibration.cameras
    assert [camera.camera.focal[0] for camera in cameras.values()] == [FOCAL] * 3
    assert np.allclose(distances([c.place for c in cameras.values()]), distances(true_places()), rtol=0.06)
    assert found.deviations.focal.tolist() == [0, 0, 0] and found.views.up
    assert len(tracks) == 2
    own = np.stack([track.joints() for track in tracks], 1)  # (T, 2, 24, 3)
    apart, true = (np.linalg.norm(j[:, 0, 0] - j[:, 1, 0], axis=-1) for j in (own, joints))
    assert np.abs(apart - true).max() < 0.15


@pytest.fixture
def folder(tmp_path, scene, monkeypatch) -> Path:
    """Videos, and keypoints of each camera in COCO's layout."""
    monkeypatch.chdir(tmp_path)
    for name, points in scene[0].items():
        with VideoWriter(tmp_path / f"{name}.mp4", SIZE, RATE) as video:
            for frame in frames():
                video.write(frame)
        pose = tmp_path / "pose" / name
        pose.mkdir(parents=True)
        images = [{"id": i, "file_name": f"{name}_{i:06d}.png"} for i in range(COUNT)]
        rows = [
            {"image_id": i, "keypoints": (person * [1, 1, 2]).flatten().tolist()}
            for i, people in enumerate(points)
            for person in people
        ]
        (pose / "keypoints.json").write_text(json.dumps({"images": images, "annotations": rows}))
    return tmp_path


FILES = [f"{name}.mp4" for name in NAMES]


def run(*options: str) -> int:
    return main(["reconstruct", "--cameras", "auto", "--out", "out", *options])


def test_the_command_writes_the_calibration_that_it_found(folder, capfd):
    options = ["--keypoints", "pose", "--height", str(HEIGHT)]
    assert run(*FILES, *options) == 0
    calibration = read_calibration("out/calibration.toml")
    assert list(calibration.cameras) == list(NAMES) and calibration.up == "z"
    check_results(folder / "out")
    record = json.loads((folder / "out/cameras.json").read_text())
    assert record["found_calibration"] == "calibration.toml" and record["up_known"] and len(record["people"]) == 2
    assert all(camera["deviations"]["focal_pixels"] > 0 for camera in record["cameras"])
    assert any("the focal length of cam1, cam2, cam3 was not known" in note for note in record["notes"])
    capfd.readouterr()
    assert run(*FILES, *options) == 0
    assert "finished before" in capfd.readouterr().out


@pytest.mark.parametrize(
    "options, message",
    [
        (FILES[:1], "the clips of two cameras or more"),
        ([*FILES, "--unit", "mm"], "--unit has no meaning with --cameras auto"),
        ([*FILES, "--height", "1.8,1.7"], "takes one --height"),
        ([*FILES, "--no-refine"], "leave the fit in"),
    ],
)
def test_what_tells_nothing_is_refused(folder, capfd, options, message):
    assert run(*options, "--keypoints", "pose") == 1
    assert message in capfd.readouterr().err


def test_a_camera_is_not_given_where_none_is_known(scene):
    clips = {name: open_clip(frames(), fps=RATE) for name in NAMES}
    with pytest.raises(InputError, match="one height"):
        meshrec.Reconstructor().clip(clips, "auto", height=[1.8, 1.7])
    with pytest.raises(InputError, match='or "auto" if there is none'):
        meshrec.Reconstructor().clip(clips)
