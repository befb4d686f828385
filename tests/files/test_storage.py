"""YAML and XML of OpenCV's FileStorage, against what OpenCV wrote."""

import cv2
import numpy as np
import pytest

from meshrec.files.calibrations.storage import parse_yaml_storage, xml_storage
from meshrec.files.xml_text import parse_xml


@pytest.mark.parametrize("suffix", [".yml", ".xml"])
def test_what_opencv_writes(suffix, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape) * 1e3 for name, shape in (("K", (3, 3)), ("D", (14, 1)), ("long", (5, 60)))}
    arrays["single"] = rng.normal(size=(2, 3)).astype(np.float32)
    arrays["whole"] = np.arange(6, dtype=np.int32).reshape(2, 3)
    path = tmp_path / f"a{suffix}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.writeComment("two # remarks", append=True)
    for name, values in arrays.items():
        storage.write(name, values)
    storage.write("time", "Mon 30: a # b [c]")
    storage.write("count", 3)
    storage.write("share", 0.25)
    storage.write("missing", float("nan"))
    storage.startWriteStruct("names", cv2.FileNode_SEQ)
    for name in ("left one", "right"):
        storage.write("", name)
    storage.endWriteStruct()
    storage.startWriteStruct("nested", cv2.FileNode_MAP)
    storage.write("T", np.ones((3, 1)))
    storage.endWriteStruct()
    storage.release()
    found = parse_yaml_storage(path.read_text()) if suffix == ".yml" else xml_storage(parse_xml(path.read_bytes()))
    for name, values in arrays.items():
        assert found[name].shape == values.shape and np.allclose(found[name], values, rtol=1e-7), name
    assert found["time"] == "Mon 30: a # b [c]" and found["count"] == 3 and found["share"] == 0.25
    assert np.isnan(found["missing"]) and found["names"] == ["left one", "right"]
    assert found["nested"]["T"].tolist() == [[1], [1], [1]]


def test_what_other_programs_write():
    text = """
# a remark
K:   # behind a key
  rows: 1
  cols: 2
  data: [1.,
     -2e-1]  # and behind brackets
sizes:
- 640
- 480
cameras:
  - name: 'left'
    size: {w: 3, h: [1, 2]}
  -
    name: "ri\\"ght"
empty: []
nothing:
url: a:b
"""
    found = parse_yaml_storage(text)
    assert found.pop("K").tolist() == [[1, -0.2]]
    assert found == {
        "sizes": [640, 480],
        "cameras": [{"name": "left", "size": {"w": 3, "h": [1, 2]}}, {"name": 'ri"ght'}],
        "empty": [],
        "nothing": None,
        "url": "a:b",
    }
    assert parse_yaml_storage("%YAML:1.0\n---\n{ a: 1, b: [2] }\n...\n") == {"a": 1, "b": [2]}


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no keys"),
        ("- 1\n- 2", "no keys"),
        ("hello", "has no key"),
        ("a: 1\n  b: 2", "another indentation"),
        ("a: [1", "not closed"),
        ("a: [1 2]]", "something behind"),
        ("a: [[1] 2]", "a comma is missing"),
        ("a: [,]", "a value is missing"),
        ("a: {b}", "has no value"),
        ("a: 1\na: 2", "occurs twice"),
        ("a: &b 1", "not read"),
        ("a: |\n  b", "not read"),
        ("a: " + "[" * 5000 + "]" * 5000, "too many values"),
        ("\n".join("  " * n + "a:" for n in range(100)), "too many values"),
        ("a: [" + "1," * 60_000 + "]", "too many values"),
        ("a: {rows: 2, cols: 90000000, data: [1]}", "another number of values"),
        ("# " * 600_000, "a million characters"),
        ("a: {rows: .nan, cols: 1, data: [1]}", "another number of values"),
    ],
    ids=range(18),
)
def test_what_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_yaml_storage(text)
