"""Detectors by name and by file."""

import subprocess
import sys

import numpy as np
import pytest
from helpers.paths import EXAMPLES

from meshrec.detect import library, load_detector
from meshrec.detect.library import DETECTORS, Entry
from meshrec.errors import InputError
from meshrec.files import read_photo


def test_the_default_has_a_name():
    pytest.importorskip("mediapipe", reason="MediaPipe is the detect extra")
    assert type(load_detector()) is type(load_detector("mediapipe"))


def test_a_network_file_replaces_the_default_networks(tmp_path):
    pytest.importorskip("mediapipe", reason="MediaPipe is the detect extra")
    from meshrec.detect.mediapipe_model import load_model

    path = tmp_path / "pose.TASK"
    path.write_bytes(load_model())
    image = read_photo(EXAMPLES / "astronaut.jpg").image
    (expected,), (found,) = load_detector()(image), load_detector(path)(image)
    assert np.array_equal(found.keypoints, expected.keypoints)


@pytest.mark.parametrize("name", ["posenet", "", "pose.onnx", "task", ".task"])
def test_unknown_detectors_are_refused_with_the_known_names(name):
    with pytest.raises(InputError, match=rf"no detector '{name}': give mediapipe or a \.task file"):
        load_detector(name)


def test_a_missing_network_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"m\.task: no such pose model file"):
        load_detector(tmp_path / "m.task")


def test_a_detector_is_added_by_one_line(monkeypatch):
    monkeypatch.setattr(library, "DETECTORS", DETECTORS | {"nobody": Entry("builtins", "list", ".nobody")})
    assert load_detector("nobody") == []
    assert load_detector("a.nobody") == list("a.nobody")
    with pytest.raises(InputError, match=r"give mediapipe or nobody or a \.task file or a \.nobody file"):
        load_detector("posenet")


def test_detectors_are_imported_when_they_are_loaded():
    code = (
        "import sys, meshrec.detect; print('mediapipe' in sys.modules, 'meshrec.detect.mediapipe_model' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
