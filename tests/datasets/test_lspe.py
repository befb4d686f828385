"""LSP-extended crops: a tar made by hand, and the real one."""

import io
import tarfile

import cv2
import numpy as np
import pytest

from meshrec.body import joint_set
from meshrec.data.sample import cut
from meshrec.datasets.lspe import read_lspe
from meshrec.errors import InputError

SHORT = [name.replace("left_", "l_").replace("right_", "r_") for name in joint_set("lsp14")]


def write(path, pictures=("im1", "im2"), **changes):
    joints = np.random.default_rng(0).uniform(0, 39, (2, 14, 2)).astype(np.float32)
    vis = np.ones((2, 14), np.uint8)
    vis[1, 3] = 0
    columns = {
        "name": np.array(["im1", "im2"]),
        "joint_names": np.array(SHORT),
        "joints": joints,
        "vis": vis,
        "size": np.array([40, 60]),
    } | changes
    labels = io.BytesIO()
    np.savez(labels, **columns)
    files = {"labels.npz": labels.getvalue()}
    for i, name in enumerate(pictures):
        picture = np.full((int(columns["size"][i]),) * 2 + (3,), 100 + i, np.uint8)
        files[f"{name}.jpg"] = cv2.imencode(".jpg", picture)[1].tobytes()
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return columns


def test_people(tmp_path):
    columns = write(tmp_path / "x.tar")
    people = read_lspe(tmp_path / "x.tar")
    assert len(people) == 2
    sample = people[1]
    assert sample.read_image().shape == (60, 60, 3) and sample.read_image()[5, 5, 0] == 101
    expected = (columns["joints"][1, 0] + 0.5) / 30 - 1
    assert np.allclose(sample.keypoints_2d[0], [*expected, 1], atol=1e-6)
    assert not sample.keypoints_2d[3].any() and sample.joints == joint_set("lsp14")
    assert np.array_equal(cut(sample, 60).image, sample.read_image())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pictures": ("im1",)}, r"row 1: the tar holds no picture im2\.jpg"),
        ({"joint_names": np.array(SHORT[::-1])}, "LSP's 14 in their order"),
        ({"joints": np.full((2, 14, 2), np.nan)}, "row 0: joints is not a finite number"),
        ({"vis": np.ones((2, 13))}, "vis must be numbers of shape 2 x 14"),
    ],
)
def test_damaged_tars(tmp_path, changes, message):
    write(tmp_path / "x.tar", **changes)
    with pytest.raises(InputError, match=message):
        read_lspe(tmp_path / "x.tar")


def test_tars_that_are_none_or_cut_short(tmp_path):
    write(tmp_path / "x.tar")
    data = (tmp_path / "x.tar").read_bytes()
    (tmp_path / "short.tar").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.tar").write_text("no tar at all, " * 100)
    for name in ("short.tar", "text.tar", "none.tar"):
        with pytest.raises(InputError, match=name):
            read_lspe(tmp_path / name)


def test_the_real_crops(shared):
    people = read_lspe(shared / "lspe/val.tar")
    assert len(people) == 500
    samples = [people[i] for i in range(0, 500, 25)]
    for sample in samples:
        assert cut(sample, 64).image.std() > 5
        known = sample.keypoints_2d[:, 2] > 0
        assert known.sum() >= 6 and np.abs(sample.keypoints_2d[known, :2]).max() < 1
    # Two thirds of the side are the box around the labelled joints.
    extent = [np.ptp(s.keypoints_2d[s.keypoints_2d[:, 2] > 0, :2], axis=0).max() / 2 for s in samples]
    assert np.median(extent) == pytest.approx(1 / 1.5, abs=0.02)
