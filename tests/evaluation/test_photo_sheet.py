import numpy as np
import pytest

from meshrec.body import load_body
from meshrec.detect import load_detector
from meshrec.errors import InputError
from meshrec.evaluation.methods import reconstructors
from meshrec.evaluation.photo_sheet import HEIGHT, WIDTH, multiview_sheet
from meshrec.evaluation.pictures import CAPTION


def test_sheet_has_a_picture_for_each_view_and_refuses_rows_that_are_not_there(shared):
    folder, detector = shared / "multiview", load_detector()
    methods = reconstructors(load_body("neutral"), "none")
    sheet = multiview_sheet(folder, detector, methods, [112])
    gap = 8
    assert sheet.shape == (HEIGHT + CAPTION + 2 * gap, 4 * WIDTH + 5 * gap, 3)
    photo, drawn, side, true = (
        sheet[gap + CAPTION : -gap, gap + i * (WIDTH + gap) : (i + 1) * (WIDTH + gap)].astype(int) for i in range(4)
    )
    changed = (np.abs(drawn - photo).sum(2) > 30).mean()
    assert 0.05 < changed < 0.5  # the person fills a part of the picture
    for picture in (side, true):
        paper = (picture == picture[0, 0]).all(2).mean()
        assert 0.5 < paper < 0.995
    with pytest.raises(InputError, match="rows 0 to 135"):
        multiview_sheet(folder, detector, methods, [136])
