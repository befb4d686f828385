import torch

from meshrec.body.joints import BODY_JOINTS
from meshrec.body.kinematics import mirror_pose
from meshrec.geometry import axis_angle_to_matrix
from meshrec.poses.joint_limits import joint_limit_residuals, joint_limits
from meshrec.poses.pose_bank import load_pose_bank


def pose(**degrees) -> torch.Tensor:
    vectors = torch.zeros(1, len(BODY_JOINTS), 3, dtype=torch.float64)
    for name, value in degrees.items():
        vectors[0, BODY_JOINTS.index(name)] = torch.tensor(value, dtype=torch.float64).deg2rad()
    return axis_angle_to_matrix(vectors)


def test_limits_enclose_the_rest_pose_and_are_ordered():
    lowest, highest = joint_limits()
    assert lowest.shape == highest.shape == (23, 3)
    assert (lowest < 0).all() and (highest > 0).all()
    assert not joint_limit_residuals(pose())[0].any()


def test_hinges_bend_one_way():
    good = pose(left_knee=(120, 0, 0), right_knee=(90, 0, 0), left_elbow=(0, -130, 0), right_elbow=(0, 130, 0))
    assert not joint_limit_residuals(good)[0].any()
    for name, wrong in (("left_knee", (-60, 0, 0)), ("left_elbow", (0, 60, 0)), ("right_elbow", (0, -60, 0))):
        values, _ = joint_limit_residuals(pose(**{name: wrong}))
        beyond = values[0, BODY_JOINTS.index(name)].rad2deg()
        assert beyond.abs().max() >= 50
        assert (values != 0).sum() == 1
        assert (beyond[beyond != 0] * torch.tensor(wrong)[beyond != 0] > 0).all()


def test_real_poses_are_within():
    poses = load_pose_bank("all").rotations(slice(None, None, 20))
    beyond, _ = joint_limit_residuals(poses[:, 1:])
    assert (beyond.abs().amax((1, 2)) < 0.02).float().mean() > 0.95
    assert beyond.abs().max() < 0.7


def test_mirrored_poses_are_as_far_beyond():
    poses = axis_angle_to_matrix(torch.randn(40, 24, 3, generator=torch.Generator().manual_seed(0)))
    energy = joint_limit_residuals(poses[:, 1:])[0].square().sum((1, 2))
    mirrored = joint_limit_residuals(mirror_pose(poses)[:, 1:])[0].square().sum((1, 2))
    assert energy.min() > 0
    torch.testing.assert_close(mirrored, energy)


def test_jacobian_is_the_derivative():
    generator = torch.Generator().manual_seed(1)
    body_pose = axis_angle_to_matrix(torch.randn(1, 23, 3, generator=generator, dtype=torch.float64))

    def values(turns):
        return joint_limit_residuals(body_pose @ axis_angle_to_matrix(turns.unflatten(0, (23, 3))))[0][0].flatten()

    expected = torch.autograd.functional.jacobian(values, torch.zeros(69, dtype=torch.float64))
    assert expected.any()
    torch.testing.assert_close(torch.block_diag(*joint_limit_residuals(body_pose)[1][0]), expected)
