import numpy as np
import pytest
import torch

from meshrec.body.joints import JOINT_SETS, SMPL_PARENTS, flip_permutation
from meshrec.body.kinematics import mirror_pose
from meshrec.errors import InputError
from meshrec.geometry import random_rotations, rotation_angle
from meshrec.poses.pose_bank import POSE_BANK, PoseBank, load_pose_bank, save_pose_bank

JOINTS = JOINT_SETS["smpl24"]


@pytest.fixture(scope="module")
def bank():
    return load_pose_bank("all")


def joints_of(rotations: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """Forward kinematics written out: (N, 24, 3)."""
    world, positions = [rotations[:, 0]], [rest[0].expand(len(rotations), 3)]
    for joint, parent in enumerate(SMPL_PARENTS[1:], start=1):
        positions.append(positions[parent] + world[parent] @ (rest[joint] - rest[parent]))
        world.append(world[parent] @ rotations[:, joint])
    return torch.stack(positions, 1)


def test_small_and_with_its_terms():
    assert POSE_BANK.stat().st_size <= 6e6
    terms = POSE_BANK.with_suffix(".txt").read_text()
    assert "mocap.cs.cmu.edu" in terms and "EIA-0196217" in terms


def test_splits_share_no_take_and_cover_everything(bank):
    train, held_out = load_pose_bank("train"), load_pose_bank("held_out")
    assert set(train.takes).isdisjoint(held_out.takes)
    assert set(train.takes) | set(held_out.takes) == set(bank.takes)
    assert len(train) + len(held_out) == len(bank) > 50_000
    assert 0.1 < len(held_out) / len(bank) < 0.25
    # Both dancers of a duet, salsa N and N + 15, are on the same side.
    for take in held_out.takes:
        if take.startswith("salsa"):
            number = int(take[-2:])
            assert f"salsa_{number + 15 if number <= 15 else number - 15:02d}" in held_out.takes
    for split in (train, held_out):
        assert split.take.unique().tolist() == list(range(len(split.takes)))
        name = split.takes[3]
        poses = bank.axis_angle[bank.take == bank.takes.index(name)]
        assert torch.equal(split.axis_angle[split.take == 3], poses)


def test_poses_are_rotations_of_people_mostly_upright(bank):
    rotations = bank.rotations(slice(None, None, 7))
    eye = torch.eye(3).expand_as(rotations)
    torch.testing.assert_close(rotations @ rotations.transpose(-1, -2), eye, atol=1e-5, rtol=0)
    assert (rotations[:, -2:] == torch.eye(3)).all()
    head_up = rotations[:, 0, 1, 1]
    assert head_up.median() > 0.95 and (head_up > 0.3).float().mean() > 0.97


def test_people_of_upright_takes_stand_more_upright():
    knees = [JOINTS.index("left_knee"), JOINTS.index("right_knee")]
    bends = []
    for upright in (False, True):
        poses = load_pose_bank("all", upright=upright).rotations(slice(None, None, 5))
        bends.append(rotation_angle(poses[:, knees], torch.eye(3)).amin(1).median())
        assert set(load_pose_bank("all", upright=upright).upright) == {upright}
    assert bends[1] < bends[0] - 0.15, bends


def test_neighbouring_frames_are_close(bank):
    a, b = bank.rotations(slice(0, 4000)), bank.rotations(slice(1, 4001))
    same = bank.take[:4000] == bank.take[1:4001]
    chord = (a - b).flatten(-2).norm(dim=-1)[same][:, 1:]
    assert chord.median() < 0.1


def test_mirroring_twice_changes_nothing():
    poses = random_rotations(5 * 24, torch.Generator().manual_seed(0)).unflatten(0, (5, 24))
    assert torch.equal(mirror_pose(mirror_pose(poses)), poses)
    assert not torch.allclose(mirror_pose(poses), poses)


def test_mirrored_pose_puts_joints_where_the_mirror_shows_them(bank):
    rest = torch.randn(24, 3, generator=torch.Generator().manual_seed(1))
    flip = torch.from_numpy(flip_permutation("smpl24"))
    mirror = torch.tensor([-1.0, 1, 1])
    rest = (rest + rest[flip] * mirror) / 2  # a symmetric skeleton
    poses = bank.rotations(slice(0, None, 4001))
    torch.testing.assert_close(
        joints_of(mirror_pose(poses), rest), joints_of(poses, rest)[:, flip] * mirror, atol=1e-5, rtol=0
    )


def test_saved_bank_comes_back(tmp_path):
    generator = torch.Generator().manual_seed(2)
    axis_angle = torch.randn(10, 24, 3, generator=generator)
    axis_angle[:, -2:] = 0
    take = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    save_pose_bank(tmp_path / "bank.npz", PoseBank(axis_angle, take, ("a", "b", "c"), (False, False, True)), {"b"})
    train = load_pose_bank("train", tmp_path / "bank.npz")
    assert train.takes == ("a", "c")
    assert train.take.tolist() == [0, 0, 0, 1, 1, 1]
    torch.testing.assert_close(train.axis_angle, axis_angle[take != 1], atol=2e-3, rtol=0)
    assert train.upright == (False, True)
    assert len(load_pose_bank("held_out", tmp_path / "bank.npz")) == 4
    assert load_pose_bank("train", tmp_path / "bank.npz", upright=True).takes == ("c",)
    assert load_pose_bank("all", tmp_path / "bank.npz", upright=False).takes == ("a", "b")
    with pytest.raises(ValueError, match="d"):
        save_pose_bank(tmp_path / "bank.npz", train, held_out={"d"})


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no bank")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", axis_angle=np.array([object()]), take=0, takes=0, held_out=0, upright=0)
    for name in ("missing.npz", "text.npz", "other.npz", "pickle.npz"):
        with pytest.raises(InputError, match="not a pose bank"):
            load_pose_bank(path=tmp_path / name)
    with pytest.raises(ValueError, match="unknown split"):
        load_pose_bank("test")


@pytest.mark.parametrize(
    "change",
    [
        {"take": np.zeros(3, int)},
        {"take": np.full(4, 2)},
        {"take": np.full(4, -1)},
        {"take": np.zeros(4)},
        {"takes": np.array(["a"])},
        {"takes": np.array("a")},
        {"held_out": np.array([True])},
        {"held_out": np.zeros(2)},
        {"upright": np.array([True])},
        {"upright": np.zeros(2)},
        {"axis_angle": np.zeros((4, 25, 3), np.float16)},
        {"axis_angle": np.zeros((4, 22, 4), np.float16)},
        {"axis_angle": np.zeros(4, np.float16)},
        {"axis_angle": np.full((4, 22, 3), np.nan, np.float16)},
    ],
    ids=lambda change: f"{next(iter(change))}",
)
def test_banks_whose_arrays_disagree(tmp_path, change):
    whole = {"axis_angle": np.zeros((4, 22, 3), np.float16), "take": np.array([0, 0, 1, 1])}
    whole |= {"takes": np.array(["a", "b"]), "held_out": np.array([True, False])}
    whole["upright"] = np.array([False, True])
    np.savez(tmp_path / "bank.npz", **whole)
    assert len(load_pose_bank(path=tmp_path / "bank.npz")) == 2
    np.savez(tmp_path / "bank.npz", **whole | change)
    with pytest.raises(InputError, match=r"bank\.npz is not a pose bank \(.+\)"):
        load_pose_bank(path=tmp_path / "bank.npz")
