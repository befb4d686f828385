"""Joint sets: names, flips, conversions."""

import numpy as np
import pytest

from meshrec.body.joints import JOINT_SETS, LIMB_JOINTS, convert_joints, flip_permutation, joint_index, joint_set


@pytest.mark.parametrize("name", JOINT_SETS)
def test_sets_have_the_size_in_their_name_and_no_doubles(name):
    names = joint_set(name)
    assert len(set(names)) == len(names) == int("".join(c for c in name[-2:] if c.isdigit()))
    assert set(LIMB_JOINTS) <= set(names)


@pytest.mark.parametrize("name", JOINT_SETS)
def test_flipping_swaps_sides_and_is_its_own_inverse(name):
    flip = flip_permutation(name)
    assert np.array_equal(flip[flip], np.arange(len(flip)))
    assert joint_set(name)[flip[joint_index("left_knee", name)]] == "right_knee"
    sided = [n for n in joint_set(name) if "left" in n or "right" in n]
    assert (flip != np.arange(len(flip))).sum() == len(sided)


def test_published_orders():
    """Orders the field's files rely on: COCO's annotation format, OpenPose's BODY_25, LSP's readme."""
    assert joint_index("left_wrist", "coco17") == 9
    assert joint_index("right_big_toe", "openpose25") == 22
    assert joint_set("lsp14")[:3] == ("right_ankle", "right_knee", "right_hip")
    assert joint_index("left_shoulder", "smpl24") == 16
    assert joint_index("right_foot_index", "mediapipe33") == 32
    assert joint_index("left_ear", "coco18") == 17
    assert joint_set("halpe26")[17:21] == ("head_top", "neck", "mid_hip", "left_big_toe")
    assert joint_set("aic14")[3] == "left_shoulder" and joint_set("crowdpose14")[1] == "right_shoulder"
    assert joint_set("wholebody23")[17:20] == ("left_big_toe", "left_small_toe", "left_heel")


def test_the_union_of_labels_stays_as_trained_networks_know_it():
    assert len(joint_set("union55")) == 55
    assert all(set(names) <= set(joint_set("union55")) for names in JOINT_SETS.values())


def test_conversion_keeps_shared_joints_and_marks_missing_ones():
    points = np.random.default_rng(0).random((2, 17, 3))
    converted, confidence = convert_joints(points, "coco17", "lsp14")
    assert np.array_equal(
        converted[:, joint_index("left_knee", "lsp14")], points[:, joint_index("left_knee", "coco17")]
    )
    assert confidence[joint_index("head_top", "lsp14")] == 0
    assert not converted[:, joint_index("head_top", "lsp14")].any()
    assert confidence.sum() == len(LIMB_JOINTS)


def test_unknown_sets_and_wrong_sizes():
    with pytest.raises(ValueError, match=r"coco19.*coco17"):
        joint_set("coco19")
    with pytest.raises(ValueError, match="17 joints"):
        convert_joints(np.zeros((5, 3)), "coco17", "lsp14")
