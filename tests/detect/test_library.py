"""Detectors by name and by file."""

import subprocess
import sys
import zipfile

import pytest
from helpers.paths import EXAMPLES

from meshrec.detect import library, load_detector
from meshrec.detect.blazepose import FOLDER, TASK_LANDMARKS, TASK_PERSONS
from meshrec.detect.library import DETECTORS, Entry
from meshrec.detect.people import pose_distance
from meshrec.errors import InputError
from meshrec.files import read_photo


def test_the_default_has_a_name():
    assert type(load_detector()) is type(load_detector("blazepose"))


def test_a_network_file_replaces_the_default_networks(tmp_path):
    """MediaPipe's .task files are archives of the two networks."""
    path = tmp_path / "pose.TASK"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(FOLDER / "pose_detection.tflite", TASK_PERSONS)
        archive.write(FOLDER / "pose_landmark_full.tflite", TASK_LANDMARKS)
    image = read_photo(EXAMPLES / "dancer.jpg").image
    (expected,), (found,) = load_detector()(image), load_detector(path)(image)
    assert 0 < pose_distance(expected.keypoints, found.keypoints) < 0.05


@pytest.mark.parametrize("content", [b"text", b"", b"PK\x05\x06" + bytes(18)])
def test_files_that_hold_no_networks_are_refused(tmp_path, content):
    path = tmp_path / "pose.task"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"pose\.task: this is not a MediaPipe pose_landmarker \.task file"):
        load_detector(path)


def test_a_damaged_network_is_refused(tmp_path):
    path = tmp_path / "pose.task"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (TASK_PERSONS, TASK_LANDMARKS):
            archive.writestr(name, (FOLDER / "pose_detection.tflite").read_bytes()[:20000])
    with pytest.raises(InputError, match=r"not a readable \.tflite network"):
        load_detector(path)


@pytest.mark.parametrize("name", ["posenet", "", "pose.onnx", "task", ".task"])
def test_unknown_detectors_are_refused_with_the_known_names(name):
    with pytest.raises(InputError, match=rf"no detector '{name}': give blazepose or rtmlib or a \.task file"):
        load_detector(name)


def test_a_missing_network_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"m\.task: no such pose model file"):
        load_detector(tmp_path / "m.task")


def test_a_detector_is_added_by_one_line(monkeypatch):
    monkeypatch.setattr(library, "DETECTORS", DETECTORS | {"nobody": Entry("builtins", "list", ".nobody")})
    assert load_detector("nobody") == []
    assert load_detector("a.nobody") == list("a.nobody")
    with pytest.raises(InputError, match=r"give blazepose or rtmlib or nobody or a \.task file or a \.nobody file"):
        load_detector("posenet")


def test_detectors_are_imported_when_they_are_loaded():
    code = "import sys, meshrec.detect; print('ai_edge_litert' in sys.modules, 'meshrec.detect.litert' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
