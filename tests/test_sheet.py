"""Contact sheets show labels where they are."""

import dataclasses

import numpy as np
from people import JOINTS, posed_sample

from meshrec import load_body
from meshrec.data.sample import collate, cut
from meshrec.data.sheet import LEFT, contact_sheet


def test_labels_are_drawn_where_they_are():
    sample = posed_sample(load_body("neutral"))
    wrong = dataclasses.replace(sample, camera_confidence=0.0, keypoints_2d=0 * sample.keypoints_2d)
    sheet = contact_sheet(collate([cut(s, 128) for s in (sample, wrong, wrong)], "union55"), columns=2)
    assert sheet.shape == (2 * 128, 2 * 256, 3)
    x, y = np.round((sample.keypoints_2d[JOINTS.index("left_knee"), :2] + 1) * 64 - 0.5).astype(int)
    assert tuple(sheet[y, x]) == LEFT
    assert not sheet[:128, 256:384].any()  # no keypoints, no camera, a black picture
    assert len(np.unique(sheet[:128, 384:])) > 2  # 3D joints from the side all the same
    assert not sheet[128:, 256:].any()  # nobody
