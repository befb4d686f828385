"""Floor poses that lost contact with the floor touch it again."""

from dataclasses import replace

import numpy as np
import pytest

from meshrec.poses.authored_poses import written_turn
from meshrec.poses.floor_contact import contact_gaps, settled
from meshrec.poses.floor_poses import FLOOR


@pytest.mark.parametrize(
    "name, joint, turn",
    [("all fours", "knee", "x85"), ("knees up, forearms on the knees", "hip", "x-108 z11")],
)
def test_parts_that_were_raised_touch_the_floor_again(body, name, joint, turn):
    raised = replace(FLOOR[name], turns={**FLOOR[name].turns, joint: turn})
    assert max(contact_gaps(body, raised).values()) > 0.035
    better = settled(body, raised)
    assert max(contact_gaps(body, better, seed=5).values()) < 0.015
    # Ranges stay, and the others change little.
    assert better.touching == raised.touching and list(better.turns) == list(raised.turns)
    for other, text in raised.turns.items():
        before, after = (written_turn(other, turns) for turns in (raised.turns, better.turns))
        assert before[0] == after[0]
        assert np.abs(np.degrees(before[1] - after[1])).max() <= (0 if ".." in text else 15)


def test_gaps_are_heights_above_the_lowest_part(body):
    """A leg that is lifted leaves the floor by the sine of its angle times its length, nearly."""
    pose = FLOOR["on the back, arms beside"]
    lifted = replace(pose, turns={**pose.turns, "left_hip": "x-30 z8 y11"})
    gaps = contact_gaps(body, lifted)
    assert gaps["right_ankle"] < 0.02
    assert 0.3 < gaps["left_ankle"] < 0.6
