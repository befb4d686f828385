"""Contact sheets show labels where they are."""

import dataclasses

import numpy as np
from helpers.people import JOINTS, posed_sample
from helpers.tools import run_tool

from meshrec import load_body
from meshrec.data.sample import collate, cut
from meshrec.data.sheet import LEFT, labelled_sheet
from meshrec.datasets.shards import write_shards
from meshrec.files.picture import Picture


def test_labels_are_drawn_where_they_are():
    sample = posed_sample(load_body("neutral"))
    wrong = dataclasses.replace(sample, camera_confidence=0.0, keypoints_2d=0 * sample.keypoints_2d)
    sheet = labelled_sheet(collate([cut(s, 128) for s in (sample, wrong, wrong)], "union55"), columns=2)
    assert sheet.shape == (2 * 128, 2 * 256, 3)
    x, y = np.round((sample.keypoints_2d[JOINTS.index("left_knee"), :2] + 1) * 64 - 0.5).astype(int)
    assert tuple(sheet[y, x]) == LEFT
    assert not sheet[:128, 256:384].any()  # no keypoints, no camera, a black picture
    assert len(np.unique(sheet[:128, 384:])) > 2  # 3D joints from the side all the same
    assert not sheet[128:, 256:].any()  # nobody


def test_the_tool_draws_a_dataset(tmp_path):
    write_shards([posed_sample(load_body("neutral"), seed) for seed in range(3)], tmp_path, resolution=64)
    arguments = ["data_sheet.py", "shards", tmp_path, "--people", 2, "--augment", "--out"]
    done = run_tool(*arguments, tmp_path / "sheet.png")
    assert done.code == 0, done.err
    assert Picture(tmp_path / "sheet.png").read().shape == (224, 4 * 224, 3)
    failed = run_tool(*arguments, tmp_path / "sheet.txt")
    assert failed.code == 1 and failed.err.startswith("data_sheet: ")
