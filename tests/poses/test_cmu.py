"""The takes of CMU's database become what the shipped pose bank holds."""

import pytest
import torch

from meshrec.body import load_body
from meshrec.errors import InputError
from meshrec.poses.cmu import HELD_OUT, read_cmu
from meshrec.poses.pose_bank import load_pose_bank

TAKE = "02_03"


@pytest.fixture(scope="module")
def rest_joints():
    return load_body("neutral").rest()[1][0].numpy()


def test_a_take_is_read_as_it_was_for_the_bank(shared, rest_joints, tmp_path):
    (tmp_path / "amc").mkdir()
    for name in (f"{TAKE}.amc", f"{TAKE.split('_')[0]}.asf"):
        (tmp_path / "amc" / name).symlink_to(shared / "mocap/amc" / name)
    poses = read_cmu(tmp_path, rest_joints)
    bank = load_pose_bank("all")
    expected = bank.axis_angle[bank.take == bank.takes.index(TAKE)]
    assert poses.bank.takes == (TAKE,) and not poses.bank.take.any()
    assert torch.allclose(poses.bank.axis_angle[:, :22], expected[:, :22], atol=2e-3)
    assert len(expected) > 10


def test_held_out_takes_are_the_banks():
    assert set(load_pose_bank("held_out").takes) == HELD_OUT


def test_a_folder_without_takes_is_told(rest_joints, tmp_path):
    with pytest.raises(InputError, match=r"neither bvh/\*\.bvh nor amc/\*\.amc"):
        read_cmu(tmp_path, rest_joints)
