"""MPII's own file, in its layout."""

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from meshrec.body import joint_index
from meshrec.data.sample import cut
from meshrec.datasets.mpii import FILE, read_mpii
from meshrec.errors import InputError

EMPTY = np.zeros((0, 0))


def structures(entries):
    """A MATLAB array (1, N) of structures."""
    out = np.zeros((1, len(entries)), [(name, object) for name in entries[0]])
    for index, entry in enumerate(entries):
        out[0, index] = tuple(entry.values())
    return out


def person(joints=range(16), scale=0.5, x=101, y=81, **changes):
    points = [{"x": 10.0 + 5 * k, "y": 20.0 + 3 * k, "id": k, "is_visible": EMPTY if k < 8 else 1} for k in joints]
    return {
        "x1": 5,
        "annopoints": {"point": structures(points)} if points else EMPTY,
        "scale": scale,
        "objpos": {"x": x, "y": y},
    } | changes


def write(path, people=None, train=(1, 0, 1, 1), names=("a.jpg", "b.jpg", "c.jpg", "d.jpg")):
    first = [person(), person(scale=EMPTY), person(joints=())] if people is None else people
    pictures = [
        {"image": {"name": names[0]}, "annorect": structures(first), "vididx": 1},
        {"image": {"name": names[1]}, "annorect": structures([person()]), "vididx": 1},
        {"image": {"name": names[2]}, "annorect": EMPTY, "vididx": EMPTY},
        {"image": {"name": names[3]}, "annorect": structures([person(joints=(0, 9), scale=2.0)]), "vididx": 1},
    ]
    release = {"annolist": structures(pictures), "img_train": np.array([train]), "version": "12"}
    savemat(path, {"RELEASE": release})
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name in "abcd":
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), np.full((160, 200, 3), 20 * ord(name) % 250, np.uint8))
    write(tmp_path / FILE)
    return tmp_path


def test_people(folder):
    people = read_mpii(folder)
    assert people.pictures == ["a.jpg", "d.jpg"]  # b is of the test set, nobody is labelled in c
    sample = people[0]
    # The middle (100, 80) counts from 0, the crop's lies 7.5 pixels below it, and its side is 125.
    for joint in range(16):
        truth = (9 + 5 * joint - 100) / 62.5, (19 + 3 * joint - 87.5) / 62.5, 1
        assert np.allclose(sample.keypoints_2d[joint], truth, atol=1e-5)
    assert sample.joints[9] == "head_top" and sample.camera_confidence == 0 and not sample.joints_3d.any()
    few = people[1].keypoints_2d
    assert few[:, 2].tolist() == [1, *[0] * 8, 1, *[0] * 6] and not few[1].any()
    assert people[1].joints[0] == "right_ankle" and joint_index("mid_hip", "mpii16") == 6
    assert abs(int(cut(sample, 30).image[15, 15, 0]) - 20 * ord("a") % 250) < 3


def test_places_of_file_and_pictures(folder, tmp_path_factory):
    (folder / "annot").mkdir()
    (folder / FILE).rename(folder / "annot" / FILE)
    for samples in (read_mpii(folder), read_mpii(folder / "annot" / FILE), read_mpii(folder, folder / "images")):
        assert samples.folder == folder / "images" and samples[1].read_image().shape == (160, 200, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": -1.0}, "picture 0: person 0: scale and objpos must be finite"),
        ({"x": np.inf}, "picture 0: person 0: scale and objpos must be finite"),
        ({"joints": (0, 16)}, "picture 0: person 0: a joint must have an id of 0 to 15"),
        ({"joints": (0, 1.5)}, "picture 0: person 0: a joint must have an id of 0 to 15"),
        ({"annopoints": {"point": structures([{"x": np.nan, "y": 1, "id": 0}])}}, "finite x and y"),
    ],
)
def test_damaged_people_are_named(folder, changes, message):
    write(folder / FILE, [person(**changes)])
    with pytest.raises(InputError, match=rf"v1_u12_1\.mat: .*{message}"):
        read_mpii(folder)


def test_foreign_files(folder):
    with pytest.raises(InputError, match=r"v1_u12_1\.mat: the file cannot be read"):
        read_mpii(folder / "images")
    for content in ({"x": 1}, {"RELEASE": 1}, {"RELEASE": {"annolist": 1}}, {"RELEASE": {"img_train": 1}}):
        savemat(folder / FILE, content)
        with pytest.raises(InputError, match="this is not MPII's file"):
            read_mpii(folder)
    with pytest.raises(InputError, match="not MPII's file"):
        read_mpii(write(folder / FILE, train=(1, 0)))
    with pytest.raises(InputError, match="the picture has no name"):
        read_mpii(write(folder / FILE, names=("", "b", "c", "d")))
    with pytest.raises(InputError, match="there is nobody"):
        read_mpii(write(folder / FILE, train=(0, 0, 1, 0)))
