"""Occluders for pictures of datasets: drawn, cut out of a Pascal VOC folder, and pasted."""

import numpy as np
import pytest
from helpers.voc import COLOUR, write_voc

from meshrec.data.occluders import drawn_occluder, paste, voc_occluders
from meshrec.errors import InputError


def test_pasting_covers_where_it_should_and_nothing_else():
    image = np.full((60, 80, 3), 50, np.uint8)
    thing = np.full((10, 20, 4), 255, np.uint8)
    pasted = paste(image, thing, np.array([40.0, 30.0]), 40)
    changed = (pasted != 50).any(-1)
    assert changed.sum() == 40 * 20 and changed[20:40, 20:60].all()
    assert (image == 50).all()
    thing[..., 3] = 0
    assert np.array_equal(paste(image, thing, np.array([40.0, 30.0]), 40), image)


@pytest.mark.parametrize("center", [(0, 0), (80, 60), (-500, 10), (40, 900)])
def test_pasting_over_the_edge(center):
    image = np.full((60, 80, 3), 50, np.uint8)
    pasted = paste(image, np.full((8, 8, 4), 255, np.uint8), np.array(center, float), 30)
    assert pasted.shape == image.shape
    assert (pasted != 50).any() == (abs(center[0] - 40) < 100 and abs(center[1] - 30) < 100)


def test_drawn_occluders_differ_and_have_a_shape():
    drawn = [drawn_occluder(np.random.default_rng(i)) for i in range(20)]
    cover = [(thing[..., 3] > 0).mean() for thing in drawn]
    assert min(cover) > 0.02 and max(cover) < 0.95
    assert len({thing.tobytes() for thing in drawn}) == 20
    assert np.array_equal(drawn[3], drawn_occluder(np.random.default_rng(3)))


def test_voc_objects_are_cut_out_without_people_and_truncated_ones(tmp_path):
    write_voc(tmp_path)
    (sofa,) = voc_occluders(tmp_path)
    assert sofa.shape == (40, 40, 4)
    inside = sofa[..., 3] > 0
    assert 38**2 <= inside.sum() <= 40**2
    assert np.abs(sofa[5:35, 5:35, :3].astype(int) - COLOUR).max() < 12
    (tmp_path / "Annotations/1.xml").write_text("<annotation>")
    with pytest.raises(InputError, match=r"1\.xml"):
        voc_occluders(tmp_path)
    with pytest.raises(InputError, match="no objects"):
        voc_occluders(tmp_path / "JPEGImages")
