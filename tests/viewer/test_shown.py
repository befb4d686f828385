"""What a viewer reads: people and cameras stand in one world so that each camera sees people where its picture does."""

import json

import numpy as np
import pytest
import torch

from meshrec import Camera, InputError, Person
from meshrec.geometry import axis_angle_to_matrix
from meshrec.jobs.result_folders import read_result_folder
from meshrec.reconstruct.track import Track
from meshrec.viewer.drawing import (
    BEHIND,
    bone_segments,
    confidence_colors,
    field_of_view,
    frustum_segments,
    picture_corners,
    picture_distance,
    vertex_colors,
)
from meshrec.viewer.readout import measures_of, measures_table, moment, remarks
from meshrec.viewer.shown import load_shown

CAMERA = Camera((500.0, 520.0), (150.0, 130.0), (320, 240))


def rotations(*vectors: tuple[float, float, float]) -> np.ndarray:
    return axis_angle_to_matrix(torch.tensor(vectors, dtype=torch.float32)).numpy()


def upright_pose(count: int = 1) -> np.ndarray:
    pose = np.tile(np.eye(3, dtype=np.float32), (count, 24, 1, 1))
    pose[:, 0] = rotations((np.pi, 0.0, 0.0))
    return pose


@pytest.fixture
def result_files_conform_to_their_schemas():
    """Not here: the records hold only what a viewer reads."""


@pytest.fixture
def photo(tmp_path, body):
    """The folder of a photo with one person."""
    person = Person(
        body,
        np.linspace(-1, 1, 10),
        upright_pose()[0],
        np.array([0.1, 0.2, 4.0]),
        camera=CAMERA,
        score=0.5,
        joint_deviation=np.linspace(0.01, 0.3, 24),
        gravity=np.array([0.0, 0.8, 0.6]),
        shape_covariance=0.1 * np.eye(10),
    )
    person.save(tmp_path / "person_0.json")
    write_record(tmp_path, "photo", people=["person_0.json"], notes=["<b>bold</b> {alert(1)}"])
    return tmp_path, person


@pytest.fixture
def clip(tmp_path, body):
    """The folder of a clip whose camera turns and zooms, and the track of a person in it."""
    track = Track(
        body,
        np.zeros(10),
        upright_pose(3),
        np.array([[0.0, 0.1, 4.0], [0.1, 0.1, 4.2], [0.2, 0.1, 4.1]]),
        np.array([4, 5, 7]),
        np.array([0.4, 0.5, 0.7]),
        10.0,
        camera=CAMERA,
        turns=rotations((0.0, 0.0, 0.0), (0.0, 0.2, 0.0), (0.1, 0.3, 0.0)),
        zooms=np.array([1.0, 1.1, 1.2]),
        scores=np.array([0.5, 0.6, 0.7]),
    )
    for suffix in ("npz", "json"):
        track.save(tmp_path / f"track_0.{suffix}")
    write_record(tmp_path, "clip", tracks=[], notes=[])
    return tmp_path, track


def write_record(folder, kind, **content):
    record = {"schema": f"meshrec.{kind}", "version": 1, **content}
    (folder / f"{kind}.json").write_text(json.dumps(record))


def test_a_person_of_a_photo_stands_where_the_parameters_say(photo):
    folder, person = photo
    shown = load_shown(folder)
    posed = shown.posed(0, 0)
    assert np.abs(posed.vertices - person.vertices).max() < 1e-5
    assert np.abs(posed.joints - person.joints()).max() < 1e-5
    assert np.allclose(posed.confidence, person.joint_confidence, atol=1e-6) and posed.score == 0.5
    assert np.allclose(shown.up, (0.0, -0.8, -0.6)) and shown.frames.tolist() == [0]
    assert shown.posed(0, 1) is None


def test_people_of_a_clip_are_in_the_world_before_the_camera_of_each_frame(clip):
    folder, track = clip
    shown = load_shown(folder)
    assert shown.frames.tolist() == [4, 5, 7] and shown.rate == 10
    for index, frame in enumerate(shown.frames.tolist()):
        person = track.person(index)
        camera, rotation, place = shown.cameras[0].at(frame)
        moved = (shown.posed(0, frame).vertices - place) @ rotation
        assert np.abs(moved - person.vertices).max() < 1e-4
        assert np.allclose(camera.focal, person.camera.focal, rtol=1e-5)
    world = track.in_world()
    with torch.no_grad():
        parts = [torch.from_numpy(part[1:2]).float() for part in world]
        out = track.body(torch.zeros(1, 10), parts[0][:, 1:], parts[0][:, 0], parts[1])
    assert np.abs(out.vertices[0].numpy() - shown.posed(0, 5).vertices).max() < 1e-4
    assert np.allclose(shown.cameras[0].at(6)[1], shown.cameras[0].at(5)[1])  # the nearest frame that is known


def test_calibrated_cameras_stand_where_the_record_says(photo):
    folder, _ = photo
    (folder / "photo.json").unlink()
    turn = rotations((0.1, 0.7, -0.2))[0].astype(float)
    camera = {"name": "left/1", "focal": [500, 520], "center": [150, 130], "size": [320, 240]}
    camera |= {"rotation": turn.tolist(), "translation": [0.1, 0.2, 3.0]}
    (folder / "overlay_left_1.png").write_bytes(b"")
    write_record(folder, "cameras", cameras=[camera], people=[{"file": "person_0.json"}])
    (found,) = load_shown(folder).cameras
    plain, rotation, place = found.at(0)
    assert found.name == "left/1" and found.overlay == "overlay_left_1.png"
    assert np.allclose(turn @ place + (0.1, 0.2, 3.0), 0, atol=1e-5) and np.allclose(rotation, turn.T, atol=1e-5)
    # The corners of its picture in the world are, seen by the whole camera, the corners in pixels.
    corners = torch.from_numpy(picture_corners(plain, 2.0) @ rotation.T + place).float()
    pixels = found.camera.project(found.camera.world_to_camera(corners[None]))[0].numpy()
    assert np.allclose(pixels[:, :2], [(-0.5, -0.5), (319.5, -0.5), (319.5, 239.5), (-0.5, 239.5)], atol=1e-2)
    assert np.allclose(pixels[:, 2], 2.0, atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"focal": [-1, 5]},
        {"rotation": [[1, 2], [3, 4]]},
        {"size": [10**9, 4]},
        {"translation": "far"},
        {"center": [float("nan"), 0]},
        {"rotation": np.ones((3, 3)).tolist()},
        {"overlay_begin": float("inf")},
        {"overlay_begin": None},
    ],
)
def test_a_damaged_camera_is_one_sentence(change, tmp_path):
    camera = {"name": "a", "focal": [500, 520], "center": [150, 130], "size": [320, 240]}
    camera |= {"rotation": np.eye(3).tolist(), "translation": [0, 0, 0]} | change
    write_record(tmp_path, "cameras", cameras=[camera], people=[])
    with pytest.raises(InputError, match=r"cameras\.json: camera 0 in it is damaged"):
        load_shown(tmp_path)


def test_results_without_people_or_cameras_can_be_shown(tmp_path):
    write_record(tmp_path, "photo", people=[], notes=7)
    shown = load_shown(tmp_path)
    assert not shown.people and not shown.cameras and len(shown.frames) == 0
    assert shown.up.tolist() == [0.0, -1.0, 0.0] and "nobody was found" in remarks(shown)


def test_a_picture_stands_behind_the_people(photo):
    folder, person = photo
    shown = load_shown(folder)
    assert picture_distance(shown, 0, 0) == pytest.approx(person.vertices[:, 2].max() + BEHIND, abs=1e-4)
    plain, rotation, place = shown.cameras[0].at(0)
    lines = frustum_segments(plain, rotation, place, 2.0)
    assert lines.shape == (8, 2, 3) and np.allclose(lines[:, 1, 2], 2.0)
    # 130.5 rows above the principal point, 109.5 below: the larger half decides.
    assert field_of_view(CAMERA) == pytest.approx(2 * np.arctan(130.5 / 520))


def test_colours_tell_confidence(photo):
    folder, _ = photo
    shown = load_shown(folder)
    posed, person = shown.posed(0, 0), shown.people[0]
    colors = vertex_colors(posed, person.weights)
    assert colors.shape == (len(posed.vertices), 3) and colors.dtype == np.uint8
    sure, unsure = person.weights[:, 0] > 0.9, person.weights[:, 22:].sum(1) > 0.9  # the pelvis, the hands
    assert sure.any() and unsure.any()
    assert (colors[sure, 2] > colors[sure, 0]).all() and (colors[unsure, 0] > colors[unsure, 2]).all()
    points, ends = bone_segments(posed, person.bones)
    assert points.shape == ends.shape == (23, 2, 3)
    assert np.allclose(points[0], posed.joints[[0, 1]], atol=1e-6)
    assert np.array_equal(ends[:, 1], confidence_colors(posed.confidence)[1:])


def test_texts_of_files_do_not_become_html(photo):
    folder, _ = photo
    shown = load_shown(folder)
    assert "&lt;b&gt;bold" in remarks(shown)
    assert "score 0.50" in moment(shown, 0, [shown.posed(0, 0)])
    table = measures_table(["<i>"], [measures_of(shown.people[0])])
    assert "&lt;i&gt;" in table and "<i>" not in table
    assert "stature" in table and " ± " in table


def test_a_folder_of_something_else_is_told(tmp_path):
    with pytest.raises(InputError, match="no results there"):
        read_result_folder(tmp_path)
