"""Uploads of the demo: limits, files, and the model that turns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.clips import levels, write_video
from helpers.gltf import Gltf
from helpers.paths import EXAMPLES
from PIL import Image

from meshrec import InputError, Person, Reconstructor
from meshrec.geometry import CAMERA_TO_Y_UP, axis_angle_to_matrix, camera_to_y_up
from meshrec.jobs.settings import Settings
from meshrec.motion.bvh import read_bvh
from meshrec.viewer.uploads import TURNING, Limits, Made, reconstruct_upload, turning


def people(body, count: int) -> list[Person]:
    rng = np.random.default_rng(0)
    pose = axis_angle_to_matrix(torch.from_numpy(0.3 * rng.normal(size=(count, 24, 3)))).float()
    pose[:, 0] = CAMERA_TO_Y_UP.float() @ pose[:, 0]
    places = np.array([[1.5 * i, 0.2, 4.0 + i] for i in range(count)], np.float32)
    return [Person(body, np.full(10, 0.3, np.float32), pose[i].numpy(), places[i]) for i in range(count)]


@pytest.mark.parametrize("count", [1, 2])
def test_people_turn_together_about_the_vertical(body, count):
    """The vertices at a quarter turn are those of the first frame, turned about the y axis."""
    found = people(body, count)
    animations = turning(found)
    frames, quarter = len(animations[0].rotations) - 1, axis_angle_to_matrix(torch.tensor([0.0, torch.pi / 2, 0.0]))
    shift = None
    for person, animation in zip(found, animations):
        first, later, last = (animation.vertices(frame) for frame in (0, frames // 4, frames))
        assert np.allclose(later, first @ quarter.numpy().T, atol=1e-4)
        assert np.allclose(first, last, atol=1e-5)
        moved = first - camera_to_y_up(person.vertices)
        shift = moved[0] if shift is None else shift
        assert np.allclose(moved, shift, atol=1e-4)  # all are moved alike, and not turned


def made(file: Path, folder: Path, limits: Limits = Limits()) -> Made:
    folder.mkdir(exist_ok=True)
    settings = Settings()
    return [*reconstruct_upload(file, folder, Reconstructor(), settings, limits)][-1]


def test_a_photo_becomes_files_of_every_format(tmp_path):
    result = made(EXAMPLES / "dancer.jpg", tmp_path / "out")
    names = {"overlay.png", "person_0.bvh", "person_0.glb", "person_0.json", "person_0.obj", "scene.glb", TURNING}
    assert {file.name for file in result.files} == names and all(file.is_file() for file in result.files)
    assert result.summary == "1 person in dancer.jpg." and not result.clip
    assert len(read_bvh(tmp_path / "out/person_0.bvh")) == 1
    person = Person.load(tmp_path / "out/person_0.json")
    height = np.ptp(person.vertices[:, 1])
    assert np.ptp(Gltf(result.model).posed(0.0)[:, 1]) == pytest.approx(height, abs=1e-3)


def test_nobody_is_no_error(tmp_path):
    Image.new("RGB", (320, 240)).save(tmp_path / "wall.png")
    result = made(tmp_path / "wall.png", tmp_path / "out")
    assert result == Made("Nobody was found in wall.png.", None, None, (), False)


@pytest.mark.parametrize(
    "limits, sentence",
    [
        (Limits(file_bytes=2), r"^clip\.mp4: the file has .* up to 0 MiB"),
        (Limits(pixels=100), r"^clip\.mp4: \d+ x \d+ pixels are too many; up to 100"),
        (Limits(seconds=0.1), r"^clip\.mp4: the clip has 0\.4 seconds and 12 frames; up to 0\.1 seconds"),
        (Limits(frames=11), r"^clip\.mp4: the clip has .* 12 frames; up to 10 seconds and 11 frames"),
    ],
)
def test_what_exceeds_the_limits_is_refused(tmp_path, limits, sentence):
    write_video(tmp_path / "clip.mp4", levels(12))
    with pytest.raises(InputError, match=sentence):
        made(tmp_path / "clip.mp4", tmp_path / "out", limits)


def test_photos_that_are_too_large(tmp_path):
    with pytest.raises(InputError, match=r"^dancer\.jpg: \d+ x \d+ pixels are too many"):
        made(EXAMPLES / "dancer.jpg", tmp_path / "out", Limits(pixels=1000))
