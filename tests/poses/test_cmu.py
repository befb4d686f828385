"""The takes of CMU's database become what the shipped pose bank holds."""

from pathlib import Path

import pytest
import torch

from meshrec.body import load_body
from meshrec.errors import InputError
from meshrec.poses.cmu import HELD_OUT, read_cmu
from meshrec.poses.pose_bank import load_pose_bank


@pytest.fixture(scope="module")
def rest_joints():
    return load_body("neutral").rest()[1][0].numpy()


@pytest.mark.parametrize(
    "files", [("amc/02_03.amc", "amc/02.asf"), ("everyday/walking_train_2.bvh",)], ids=lambda f: f[0]
)
def test_a_take_is_read_as_it_was_for_the_bank(shared, rest_joints, tmp_path, files):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(shared / "mocap" / name)
    poses = read_cmu(tmp_path, rest_joints).bank
    take = Path(files[0]).stem
    bank = load_pose_bank("all")
    number = bank.takes.index(take)
    expected = bank.axis_angle[bank.take == number]
    assert poses.takes == (take,) and not poses.take.any()
    assert poses.upright == (bank.upright[number],) == (files[0].startswith("everyday"),)
    assert torch.allclose(poses.axis_angle[:, :22], expected[:, :22], atol=2e-3)
    assert len(expected) > 10


def test_frames_in_which_the_whole_body_is_tilted_are_dropped(shared, rest_joints, tmp_path):
    (tmp_path / "everyday").mkdir()
    name = "everyday/directing_traffic_train_1b.bvh"
    (tmp_path / name).symlink_to(shared / "mocap" / name)
    poses = read_cmu(tmp_path, rest_joints)
    assert 0 < poses.dropped < len(poses.bank)
    assert poses.bank.rotations()[:, 0, 1, 1].min() > 0.7  # less than 45 degrees


def test_held_out_takes_are_the_banks():
    assert set(load_pose_bank("held_out").takes) == HELD_OUT


def test_a_folder_without_takes_is_told(rest_joints, tmp_path):
    with pytest.raises(InputError, match=r"neither bvh/\*\.bvh nor amc/\*\.amc nor everyday/\*\.bvh"):
        read_cmu(tmp_path, rest_joints)
