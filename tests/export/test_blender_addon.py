"""The Blender add-on: people, camera, photo and motion of result folders are where they are here."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.blender import NEEDED, distance, has_bpy, run_in_blender, to_y_up
from helpers.clips import levels, write_video
from helpers.paths import ROOT, TOOLS
from helpers.people import CAMERA, SIZE, pose_towards_camera
from PIL import Image

from meshrec import Person, Track
from meshrec.body import BodyModel
from meshrec.files.clips import open_clip
from meshrec.files.photos import read_photo
from meshrec.geometry import camera_to_y_up
from meshrec.jobs.clip_results import Scene, source_fingerprint, write_clip_record, write_clip_results
from meshrec.jobs.results import write_results
from meshrec.reconstruct.ground import Ground

FRAMES = 10


def people(body: BodyModel) -> list[Person]:
    generator = torch.Generator().manual_seed(3)
    places = ([-0.4, 0.0, 4.0], [0.5, 0.1, 5.0])
    return [
        Person(
            body=body,
            betas=torch.randn(10, generator=generator).numpy(),
            rotations=pose_towards_camera(generator).numpy(),
            translation=np.array(place),
            camera=CAMERA,
            gravity=np.array([0.0, 1.0, 0.0]),
            gravity_deviation=np.array([0.05, 0.05]),
        )
        for place in places
    ]


def to_z_up(points: np.ndarray) -> np.ndarray:
    """Points of mesh files in Blender's axes."""
    return points[:, [0, 2, 1]] * [1, -1, 1]


def write_turned_photo(path: Path) -> Path:
    """A photo of SIZE that the camera took on its side: its upper left corner is red."""
    width, height = SIZE
    stored = np.full((width, height, 3), 128, np.uint8)  # EXIF's 6: turn it clockwise to look at it
    stored[-40:, :40] = 255, 0, 0
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(path, exif=exif, quality=95)
    return path


def write_clip(folder: Path, video: Path, person: Person) -> Track:
    rotations = np.tile(person.rotations, (FRAMES, 1, 1, 1))
    places = person.translation + np.linspace([0, 0, 0], [0.5, 0, 0], FRAMES)
    turns = np.tile(np.eye(3), (FRAMES, 1, 1))
    times = np.arange(FRAMES) / 25
    track = Track(person.body, person.betas, rotations, places, np.arange(FRAMES), times, 25.0, CAMERA)
    scene = Scene(0, track.frames, times, turns, (0,), Ground.under([person]), "stands still")
    clip = open_clip(video)
    write_clip_results(folder, [track], [scene])
    (folder / "overlay.mp4").write_bytes(b"")  # the record names it
    request = {"clip": {"start": None, "stride": 1, "fps": None}}
    write_clip_record(folder, video, source_fingerprint(video), clip, [track], [scene], request)
    return track


@pytest.mark.skipif(not has_bpy(), reason=NEEDED)
def test_the_add_on_shows_results_as_they_are(tmp_path, body):
    persons = people(body)
    photo = read_photo(write_turned_photo(tmp_path / "turned.jpg"))
    assert photo.image.shape[1::-1] == SIZE
    write_results(tmp_path / "photo", photo, persons, ("glb",), skinned=True)
    ground = Ground.under(persons)
    write_results(tmp_path / "floor", photo, persons, ("glb",), ground=ground)
    video = write_video(tmp_path / "video.mp4", levels(FRAMES, SIZE))
    track = write_clip(tmp_path / "clip", video, persons[0])
    (tmp_path / "moved").mkdir()
    for file in (tmp_path / "photo").iterdir():
        (tmp_path / "moved" / file.name).write_bytes(file.read_bytes().replace(b"turned.jpg", b"absent.jpg"))
    (tmp_path / "empty").mkdir()

    joints = persons[0].joints()
    points, standing = (to_z_up(points) for points in (camera_to_y_up(joints), ground.camera.points(joints)))
    jobs = [
        {"record": "photo/photo.json", "render": str(tmp_path / "render.png")},
        {"record": "floor/photo.json", "points": standing.tolist()},
        {"record": "clip/clip.json", "frames": [0, FRAMES - 1]},
        {"record": "moved/photo.json"},
        {"record": "moved/photo.json", "photo": str(tmp_path / "turned.jpg")},
        {"record": "empty/photo.json"},
    ]
    default = {"frames": [0], "points": points.tolist()}
    jobs = [default | job | {"record": str(tmp_path / job["record"])} for job in jobs]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    run_in_blender(
        ROOT / "tests" / "helpers" / "addon_in_blender.py", TOOLS / "blender" / "meshrec_blender.py", tmp_path
    )
    shown = [np.load(tmp_path / f"{number}.npz") for number in range(len(jobs))]
    told = [json.loads((tmp_path / f"{number}.json").read_text()) for number in range(len(jobs))]

    pixels = CAMERA.project(torch.from_numpy(joints)).numpy()[:, :2]
    for number, places in ((0, [None, None]), (1, ground.placements)):
        for name, person, place in zip(("person_0", "person_1"), persons, places):
            expected = camera_to_y_up(person.vertices) if place is None else place.points(person.vertices)
            assert distance(to_y_up(shown[number][name][0]), expected) < 1e-4
        assert np.abs(shown[number]["pixels"][0] - pixels).max() < 0.01
        assert told[number]["camera"] == "photo camera"
        assert told[number]["size"] == list(SIZE)
        assert told[number]["background"] == [["FILE", *SIZE, 0]]
        assert np.abs(np.array(told[number]["corner"][:3]) - [1, 0, 0]).max() < 0.05  # upright, not as it was stored
    assert told[0]["collections"] == ["photo"]

    assert told[2]["rate"] == pytest.approx(25)
    assert told[2]["last"] == FRAMES - 1
    assert told[2]["background"] == [["MOVIE", *SIZE, 0]]
    for index, frame in ((0, 0), (1, FRAMES - 1)):
        expected = camera_to_y_up(track.at(frame).vertices)
        assert distance(to_y_up(shown[2]["track_0"][index]), expected) < 1e-4

    assert told[3]["background"] == []
    assert told[4]["background"] == [["FILE", *SIZE, 0]]
    assert "holds no results" in told[5]["error"]

    drawn = cv2.imread(str(tmp_path / "render.png")).astype(int)
    assert (drawn.shape[1] * 2, drawn.shape[0] * 2) == SIZE
    there = np.zeros(drawn.shape[:2], bool)
    x, y = np.rint(pixels / 2).astype(int).T
    there[y.clip(0, len(there) - 1), x.clip(0, there.shape[1] - 1)] = True
    blue_over_red = drawn[..., 0] - drawn[..., 2]
    assert (blue_over_red[there] > 20).mean() > 0.8  # the first person is blue, and lies where the photo has it
