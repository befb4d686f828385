"""Parameter files give back what was written, and refuse what is none of them."""

import json

import numpy as np
import pytest
import torch

from meshrec.errors import InputError
from meshrec.export import PersonParameters, read_parameters, write_parameters
from meshrec.geometry import Camera


@pytest.fixture
def person() -> PersonParameters:
    rng = np.random.default_rng(3)
    return PersonParameters(
        body_name="open_neutral",
        body_hash="0123abcd",
        betas=rng.normal(size=10),
        pose=rng.normal(size=(24, 3)),
        translation=torch.tensor([0.1, 0.2, 3.3]),
        camera=Camera(focal=1234.5, size=(1920, 1080)),
        box=[10, 20, 300.5, 400],
        score=0.875,
        keypoints_2d=rng.uniform(0, 500, (3, 3)),
        keypoint_names=("nose", "left_eye", "right_eye"),
        joints_3d=rng.normal(size=(2, 3)),
        joints_2d=rng.uniform(0, 500, (2, 2)),
        joint_confidence=[0.9, 0.1],
        joint_names=("left_hip", "right_hip"),
    )


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_parameters_survive_exactly(tmp_path, person, suffix):
    read = read_parameters(write_parameters(tmp_path / f"p{suffix}", person))
    for name in ("betas", "pose", "translation", "box", "keypoints_2d", "joints_3d", "joints_2d", "joint_confidence"):
        assert np.array_equal(getattr(read, name), getattr(person, name)), name
    for name in ("body_name", "body_hash", "score", "keypoint_names", "joint_names"):
        assert getattr(read, name) == getattr(person, name), name
    assert torch.equal(read.camera.matrix, person.camera.matrix) and read.camera.size == person.camera.size


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_only_the_body_is_required(tmp_path, suffix):
    bare = PersonParameters("b", "h", np.zeros(10), np.zeros((24, 3)), np.zeros(3))
    read = read_parameters(write_parameters(tmp_path / f"p{suffix}", bare))
    assert read.camera is None and read.score is None and read.joint_names == () and len(read.betas) == 10


def test_json_may_be_reordered_extended_and_thinned(tmp_path, person):
    path = write_parameters(tmp_path / "p.json", person)
    document = json.loads(path.read_text())
    document["joints_2d"] = dict(reversed(document["joints_2d"].items()))
    document |= {"camera": None, "box": None, "joint_names": ["junk"], "comment": "mine"}
    path.write_text(json.dumps(document))
    read = read_parameters(path)
    assert np.array_equal(read.joints_2d, person.joints_2d) and read.joint_names == person.joint_names
    assert read.camera is None and read.box is None


def test_json_reads_as_documented(tmp_path, person):
    document = json.loads(write_parameters(tmp_path / "p.json", person).read_text())
    assert (document["schema"], document["version"]) == ("meshrec.person", 1)
    assert document["space"].startswith("camera, OpenCV: x right, y down, z forward")
    assert document["camera"] == {"focal": [1234.5, 1234.5], "center": [959.5, 539.5], "size": [1920, 1080]}
    assert document["joint_confidence"] == {"left_hip": 0.9, "right_hip": 0.1}
    assert document["translation"] == [0.1, 0.2, 3.3]
    assert np.allclose(document["joints_3d"]["right_hip"], person.joints_3d[1])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.pop("pose"), "pose is missing"),
        (lambda d: d["body"].pop("hash"), "the body hash is missing"),
        (lambda d: d.update(space="y up"), "its space must be 'camera, OpenCV.*, not 'y up'"),
        (lambda d: d.update(schema="other"), "its schema is other"),
        (lambda d: d.update(version=2), "update meshrec"),
        (lambda d: d.update(version="1"), "schema version should be a whole number"),
        (lambda d: d.update(body="neutral"), "body must be an object"),
        (lambda d: d.update(pose=d["pose"][:23]), r"pose must have shape \(24, 3\), not \(23, 3\)"),
        (lambda d: d["pose"][0].pop(), "pose is no regular table"),
        (lambda d: d.update(betas=["a"]), "betas holds something that is not a number"),
        (lambda d: d.update(betas=["1.5"]), "betas holds something that is not a number"),
        (lambda d: d.update(betas=[float("nan")]), "betas holds values that are not finite"),
        (lambda d: d.update(betas=[1e60]), "betas holds a value beyond"),
        (lambda d: d["camera"].pop("center"), "camera needs focal, center and size"),
        (lambda d: d["camera"].update(focal=[-1, 1]), "positive focal length"),
        (lambda d: d["joints_2d"].pop("left_hip"), "joints_2d does not name the same joints"),
        (lambda d: d.update(joints_3d=[1, 2]), "joints_3d must be an object"),
    ],
)
def test_a_wrong_json_is_refused(tmp_path, person, edit, message):
    path = write_parameters(tmp_path / "p.json", person)
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=message) as caught:
        read_parameters(path)
    assert str(caught.value).startswith(str(path))


def test_damaged_files_are_refused(tmp_path, person):
    npz = write_parameters(tmp_path / "p.npz", person).read_bytes()
    for data in (b"", npz[: len(npz) // 2], npz[:-30], b"PK\x03\x04junk", json.dumps([1]).encode()):
        (tmp_path / "bad.npz").write_bytes(data)
        with pytest.raises(InputError, match=r"not a readable \.npz of plain arrays"):
            read_parameters(tmp_path / "bad.npz")
    np.savez(tmp_path / "pickled.npz", schema=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="plain arrays"):
        read_parameters(tmp_path / "pickled.npz")
    for text in ("", "{", "[" * 100_000, "[1]", "\x00"):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(InputError, match=r"this is no (JSON|parameter file)"):
            read_parameters(tmp_path / "bad.json")
    with pytest.raises(InputError, match="No such file"):
        read_parameters(tmp_path / "none.json")
