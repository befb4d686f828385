"""Contact sheets of synthetic people show who is in them, and where."""

import numpy as np

from meshrec.body import joint_set
from meshrec.synthetic.batches import synthetic_batch
from meshrec.synthetic.benchmark import GROUPS, SyntheticBenchmark
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures
from meshrec.synthetic.sheet import COLUMNS, LEFT, SHOWN, benchmark_sheet, people_sheet
from meshrec.synthetic.textures import TextureLayout

SIDE = 128


def test_joints_are_drawn_where_they_are(body):
    source = SyntheticPeople(body, seed=3, resolution=SIDE)
    sheet = people_sheet(source, range(2), Pictures(TextureLayout.of_body(body), supersample=1))
    assert sheet.shape == (2 * SIDE, COLUMNS * SIDE, 3)
    assert (sheet[:, 2 * SIDE :] == 255).all()  # no more people
    place = synthetic_batch(source, range(2), SHOWN)[0].keypoints_2d[:, joint_set(SHOWN).index("left_knee"), :2]
    for person, (x, y) in enumerate(np.round(((place.numpy() + 1) * SIDE - 1) / 2).astype(int)):
        assert tuple(sheet[y, person * SIDE + x]) == LEFT


def test_the_benchmark_has_a_row_for_each_group(body):
    sheet = benchmark_sheet(SyntheticBenchmark(body, SIDE), SIDE)
    assert sheet.shape == (len(GROUPS) * SIDE, COLUMNS * SIDE, 3)
    assert all(cell.std() > 5 for row in np.split(sheet, len(GROUPS)) for cell in np.split(row, COLUMNS, axis=1))
