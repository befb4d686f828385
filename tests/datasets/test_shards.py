"""Shards: samples come back as they were written, WebDataset reads them, and damaged ones are named."""

import dataclasses
import io
import json
import tarfile

import cv2
import numpy as np
import pytest
from helpers.people import posed_sample
from helpers.tools import run_tool

from meshrec import load_body
from meshrec.data.sample import Sample, collate, cut, person_sample
from meshrec.datasets.formats import read_samples
from meshrec.datasets.shards import read_shards, write_shards
from meshrec.errors import InputError

BODY = load_body("neutral")


def people(count: int = 5) -> list[Sample]:
    """People with all labels, but for the third, who has keypoints alone; the second has a mask too."""
    rows, columns = np.indices((240, 320))
    image = np.stack([128 + 90 * np.sin(rows / 20), 128 + 90 * np.cos(columns / 25), columns * 0.7], -1).astype(
        np.uint8
    )
    known = [posed_sample(BODY, seed, image) for seed in range(count)]
    known[1] = dataclasses.replace(
        known[1], mask=((rows - 120) ** 2 + (columns - 160) ** 2 < 3000).astype(np.uint8) * 255
    )
    pixels = np.array([[100.0, 90, 0.5], [0, 0, 0]])
    known[2] = person_sample("bare", image, (np.array([150.0, 100.0]), 80.0), ("nose", "left_knee"), pixels)
    return known


@pytest.mark.parametrize("workers", [0, 2])
def test_round_trip(tmp_path, workers):
    written = people()
    shown = []
    paths = write_shards(
        written,
        tmp_path,
        resolution=128,
        per_shard=2,
        workers=workers,
        written=lambda path: shown.append(path.exists()),
    )
    assert shown == [True] * 3
    assert [path.name for path in paths] == ["00000.tar", "00001.tar", "00002.tar"]
    read = read_shards(tmp_path)
    assert len(read) == 5
    for before, after in zip(written, (read[i] for i in range(5))):
        for field in dataclasses.fields(Sample):
            if field.name in ("image", "to_crop", "mask"):
                continue
            one, other = getattr(before, field.name), getattr(after, field.name)
            assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other, field.name
        one, other = cut(before, 64), cut(after, 64)
        assert np.abs(one.image.astype(int) - other.image).mean() < 2
        assert (one.mask is None) == (other.mask is None)
        if one.mask is not None:
            assert np.abs(one.mask.astype(int) - other.mask).mean() < 2
    batch = collate([cut(read[i], 64) for i in range(5)], "union55")
    assert batch.mask_confidence.tolist() == [0, 1, 0, 0, 0]
    assert batch.camera_confidence.tolist() == [1, 1, 0, 1, 1]


def test_pictures_have_a_margin_and_are_never_enlarged(tmp_path):
    write_shards(people(), tmp_path, resolution=100, margin=1.5)
    read = read_shards(tmp_path)
    assert read[0].read_image().shape == (150, 150, 3)
    assert read[2].read_image().shape == (120, 120, 3)  # the crop has 80 pixels


def test_webdataset_reads_them(tmp_path):
    webdataset = pytest.importorskip("webdataset", reason="needs webdataset, which pip installs with meshrec[test]")
    written = people()
    write_shards(written, tmp_path, per_shard=3)
    urls = [str(path) for path in sorted(tmp_path.glob("*.tar"))]
    items = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"))
    assert len(items) == 5
    for before, item, ours in zip(written, items, (read_shards(tmp_path)[i] for i in range(5))):
        assert item["json"]["name"] == before.name
        assert np.allclose(item["json"]["keypoints_2d"], before.keypoints_2d)
        assert np.abs(item["jpg"].astype(int) - ours.read_image()).max() <= 3  # two JPEG decoders
    assert [("mask.png" in item) for item in items] == [False, True, False, False, False]


def test_damaged_shards_are_named(tmp_path):
    write_shards(people(3), tmp_path, resolution=64)
    with pytest.raises(InputError, match="already holds shards"):
        write_shards(people(3), tmp_path)
    shard = tmp_path / "00000.tar"
    data = shard.read_bytes()
    shard.write_bytes(
        data.replace(b'"pose_confidence"', b'"pose_confidenc_"', 1).replace(b'"to_crop"', b'"to_drop"', 1)
    )
    with pytest.raises(InputError, match=r"00000\.tar 00000000\.json.*to_crop"):
        read_shards(tmp_path)[0]
    shard.write_bytes(data.replace(b'"focal": [', b'"focal":[-', 1))
    with pytest.raises(InputError, match=r"00000\.tar 00000000\.json.*focal must be positive"):
        read_shards(tmp_path)[0]
    shard.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"00000\.tar"):
        read_shards(tmp_path)
    with pytest.raises(InputError, match="no shards"):
        (tmp_path / "none").mkdir()
        read_shards(tmp_path / "none")


@pytest.mark.parametrize(
    "labels",
    [
        b"[" * 100_000,
        b"3",
        b"[]",
        b"\xff",
        b'["name", "joints", "to_crop", "keypoints_2d"]',
        "huge",
        "nan",
        "texts",
        "names",
    ],
    ids=lambda labels: str(labels)[:20],
)
def test_labels_of_any_kind_are_refused(tmp_path, labels):
    """Labels may hold anything: what is wrong with them is one sentence, whatever it is."""
    good = {"name": "a", "joints": ["nose"], "to_crop": [[1, 0, 0], [0, 1, 0]], "keypoints_2d": [[0, 0, 1]]}
    changes = {"huge": {"time": 10**400}, "nan": {"betas_confidence": float("nan")}}
    changes |= {"texts": {"sequence": ["a"]}, "names": {"joints": [{}]}}
    data = json.dumps(good | changes[labels]).encode() if isinstance(labels, str) else labels
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in (("0.json", data), ("0.jpg", cv2.imencode(".jpg", np.zeros((9, 9, 3)))[1].tobytes())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with pytest.raises(InputError, match=r"a\.tar 0\.json: not the labels of a person"):
        read_shards(tmp_path)[0]


def test_the_tool_writes_any_dataset(tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((100, 100, 3), 60, np.uint8))
    part = np.concatenate([np.random.default_rng(0).uniform(20, 80, (1, 24, 2)), np.ones((1, 24, 1))], axis=2)
    columns = {"imgname": np.array(["a.jpg"]), "center": np.full((1, 2), 50.0), "scale": np.array([0.4]), "part": part}
    np.savez(tmp_path / "data.npz", **columns)
    arguments = ("make_shards.py", "spin", tmp_path / "data.npz", "--pictures", tmp_path, "--out")
    done = run_tool(*arguments, tmp_path / "out")
    assert done.code == 0, done.err
    before = read_samples("spin", tmp_path / "data.npz", tmp_path)[0]
    after = read_samples("shards", tmp_path / "out")[0]
    assert np.array_equal(before.keypoints_2d, after.keypoints_2d)
    (tmp_path / "a.jpg").unlink()
    failed = run_tool(*arguments, tmp_path / "other", "--workers", 1)
    assert failed.code == 1
    assert failed.err.startswith("make_shards: ") and "data.npz row 0" in failed.err
    assert "Traceback" not in failed.err and not list((tmp_path / "other").glob("*"))
