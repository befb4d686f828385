import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from meshrec.body.joints import JOINT_SETS, SMPL_PARENTS
from meshrec.body.kinematics import mirror_pose
from meshrec.errors import InputError
from meshrec.motion.acclaim import read_acclaim
from meshrec.motion.bvh import read_bvh
from meshrec.motion.mending import mend, off_balance
from meshrec.motion.motion import Motion, Skeleton, euler_to_matrix, twist_angle
from meshrec.motion.retargeting import ACCLAIM_JOINTS, BVH_JOINTS, DAZ_JOINTS, mean_rotation, retarget, rotation_between

JOINTS = JOINT_SETS["smpl24"]
PARENTS = np.array(SMPL_PARENTS)
# A T-posed body of simple measures, mirror-symmetric, its bones bent a little everywhere.
CENTRAL = {"pelvis": (0, 0, 0), "spine1": (0, 0.1, -0.03), "spine2": (0, 0.24, 0), "spine3": (0, 0.3, 0.02),
           "neck": (0, 0.5, -0.03), "head": (0, 0.6, 0.02)}  # fmt: skip
LEFT = {"hip": (0.07, -0.09, 0), "knee": (0.1, -0.47, 0), "ankle": (0.09, -0.86, -0.04), "foot": (0.11, -0.92, 0.08),
        "collar": (0.08, 0.42, -0.03), "shoulder": (0.17, 0.45, -0.04), "elbow": (0.43, 0.43, -0.07),
        "wrist": (0.68, 0.44, -0.07), "hand": (0.77, 0.43, -0.08)}  # fmt: skip
REST = np.array(
    [
        CENTRAL[name] if name in CENTRAL else np.array(LEFT[name.split("_")[1]]) * [1 if "left" in name else -1, 1, 1]
        for name in JOINTS
    ]
)

# A skeleton with DAZ names: (name, parent, offset) of the centre and the left side; the right side mirrors it.
DAZ = [
    ("hip", None, (0, 0, 0)), ("abdomen", "hip", (0, 20, -1)), ("chest", "abdomen", (0, 12, 0)),
    ("neck", "chest", (0, 22, -2)), ("head", "neck", (0, 7, 1)),
    ("lCollar", "chest", (3, 19, -5)), ("lShldr", "lCollar", (9, -2, 1)), ("lForeArm", "lShldr", (28, -2, 1)),
    ("lHand", "lForeArm", (22, 1, 7)), ("lMid1", "lHand", (8, 1, 3)),
    ("lThigh", "hip", (9, 3, 0)), ("lShin", "lThigh", (0, -37, 1)), ("lFoot", "lShin", (-1, -45, -5)),
]  # fmt: skip


def daz_motion(rotations_of: dict[str, np.ndarray], frames: int) -> Motion:
    rows = DAZ + [
        ("r" + name[1:], "r" + parent[1:] if parent[0] == "l" else parent, (-x, y, z))
        for name, parent, (x, y, z) in DAZ
        if name[0] == "l"
    ]
    names = tuple(row[0] for row in rows)
    parents = np.array([-1 if row[1] is None else names.index(row[1]) for row in rows])
    rotations = np.tile(np.eye(3), (frames, len(names), 1, 1))
    for name, value in rotations_of.items():
        rotations[:, names.index(name)] = value
    offsets = np.array([row[2] for row in rows], float)
    return Motion(Skeleton(names, parents, offsets), rotations, np.zeros((frames, 3)), 1 / 30)


def random_motion(frames: int = 40) -> Motion:
    names = daz_motion({}, 1).skeleton.names
    random = np.random.default_rng(0)
    return daz_motion({n: Rotation.from_rotvec(random.normal(0, 0.6, (frames, 3))).as_matrix() for n in names}, frames)


def bone_directions(positions, bones):
    bones = np.array(bones)
    vectors = positions[:, bones[:, 1]] - positions[:, bones[:, 0]]
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def limb_directions(motion: Motion, table, local: np.ndarray):
    """Directions of the source's and of the target's limb bones, by forward kinematics of either skeleton."""
    target = Motion(Skeleton(JOINTS, PARENTS, REST - REST[PARENTS] * (PARENTS >= 0)[:, None]), local,
                    np.zeros((len(local), 3)), 1 / 30)  # fmt: skip
    limbs = [name for name, source in table.items() if source.bone]
    source_bones = [[motion.skeleton.index(end) for end in table[name].bone] for name in limbs]
    target_bones = [[JOINTS.index(name), SMPL_PARENTS.index(JOINTS.index(name))] for name in limbs]
    return (
        bone_directions(motion.joint_positions(), source_bones),
        bone_directions(target.joint_positions(), target_bones),
    )


def test_limbs_point_where_the_actors_do():
    motion = random_motion()
    local = retarget(motion, REST)
    np.testing.assert_allclose(local @ local.swapaxes(-1, -2), np.broadcast_to(np.eye(3), local.shape), atol=1e-9)
    source, target = limb_directions(motion, DAZ_JOINTS, local)
    np.testing.assert_allclose(target, source, atol=1e-7)
    np.testing.assert_allclose(local[:, 0], motion.rotations[:, 0], atol=1e-9)


def test_chest_and_head_keep_their_orientation():
    motion = random_motion()
    world = motion.global_rotations()
    local = retarget(motion, REST)
    for target, source in (("spine3", "chest"), ("head", "head")):
        rotation, joint = np.eye(3), JOINTS.index(target)
        while joint >= 0:
            rotation, joint = local[:, joint] @ rotation, SMPL_PARENTS[joint]
        np.testing.assert_allclose(rotation, world[:, motion.skeleton.index(source)], atol=1e-9)


def test_mirrored_actor_gives_the_mirrored_pose():
    motion = random_motion()
    names, flip = motion.skeleton.names, np.diag([-1, 1, 1])
    other = {n: ("r" + n[1:] if n[0] == "l" else "l" + n[1:] if n[0] == "r" else n) for n in names}
    mirrored = {n: flip @ motion.rotations[:, names.index(other[n])] @ flip for n in names}
    expected = mirror_pose(torch.from_numpy(retarget(motion, REST)))
    actual = retarget(daz_motion(mirrored, len(motion)), REST)
    np.testing.assert_allclose(actual, expected, atol=1e-9)


def test_twist_of_the_hand_is_shared_with_the_elbow():
    twist = np.deg2rad([40.0, -60.0, 170.0])
    forearm = np.array([22, 1, 7]) / np.linalg.norm([22, 1, 7])
    straight = retarget(daz_motion({}, 3), REST)
    turned = retarget(daz_motion({"lHand": Rotation.from_rotvec(twist[:, None] * forearm).as_matrix()}, 3), REST)
    elbow, wrist = JOINTS.index("left_elbow"), JOINTS.index("left_wrist")
    bone = REST[wrist] - REST[elbow]
    bone = bone / np.linalg.norm(bone)

    def turn(joint):
        return np.rad2deg(twist_angle(turned[:, joint], bone) - twist_angle(straight[:, joint], bone))

    before = np.rad2deg(twist_angle(straight[:, wrist], bone))
    np.testing.assert_allclose(turn(elbow)[:2], [20, -30], atol=1.5)
    np.testing.assert_allclose(turn(wrist)[:2], [20, -30], atol=1.5)
    assert abs(turn(wrist)[2] + before[2]) < 56  # 170 degrees are more than a forearm can do


def test_unknown_skeleton_is_refused():
    motion = Motion(Skeleton(("a", "b"), np.array([-1, 0]), np.zeros((2, 3))), np.eye(3)[None, None].repeat(2, 1),
                    np.zeros((1, 3)), 1 / 30)  # fmt: skip
    with pytest.raises(InputError, match="cannot retarget a skeleton with the joints a, b"):
        retarget(motion, REST)


def test_euler_angles_match_scipy():
    angles = np.random.default_rng(1).uniform(-3, 3, (5, 3))
    for axes in ("ZXY", "XYZ", "YZX"):
        np.testing.assert_allclose(
            euler_to_matrix(angles, axes), Rotation.from_euler(axes, angles).as_matrix(), atol=1e-12
        )


def test_twist_angle_is_the_best_turn_about_the_axis():
    rotation = Rotation.random(random_state=3).as_matrix()
    axis = np.array([2, -1, 2]) / 3
    candidates = np.linspace(-np.pi, np.pi, 100_001)
    traces = np.einsum("ij,tij->t", rotation, Rotation.from_rotvec(candidates[:, None] * axis).as_matrix())
    assert twist_angle(rotation, axis) == pytest.approx(candidates[traces.argmax()], abs=1e-4)


def test_rotation_between_is_the_smallest():
    random = np.random.default_rng(2)
    for _ in range(10):
        a, b = random.normal(size=(2, 3))
        rotation = rotation_between(a, b)
        np.testing.assert_allclose(rotation @ a / np.linalg.norm(a), b / np.linalg.norm(b), atol=1e-12)
        angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        assert Rotation.from_matrix(rotation).magnitude() == pytest.approx(angle)


def test_mean_rotation_matches_scipy():
    rotations = Rotation.from_rotvec(np.random.default_rng(4).normal(0, 0.3, (6, 3)))
    np.testing.assert_allclose(mean_rotation(rotations.as_matrix()), rotations.mean().as_matrix(), atol=1e-9)


class TestMend:
    def take(self, frames=20):
        return np.tile(np.eye(3), (frames, 24, 1, 1))

    def bend(self, degrees):
        return Rotation.from_rotvec([np.deg2rad(degrees), 0, 0]).as_matrix()

    def test_good_take_stays(self):
        take = self.take()
        take[:, JOINTS.index("left_knee")] = self.bend(120)
        mended = mend(take)
        assert (mended.rotations == take).all()
        assert (mended.frames == np.arange(20)).all()
        assert not any(mended.resets.values())

    def test_ends_are_reset_in_bad_frames_or_in_the_whole_take(self):
        take = self.take()
        ankle, wrist, head = (JOINTS.index(name) for name in ("left_ankle", "right_wrist", "head"))
        take[:3, ankle] = self.bend(150)
        take[3:, ankle] = self.bend(20)
        take[:, wrist] = self.bend(60)
        take[5, head] = take[5, JOINTS.index("neck")] = self.bend(50)
        mended = mend(take)
        assert mended.resets["left_ankle"] == 3
        assert mended.resets["right_wrist"] == 20
        assert mended.resets["head"] == 1
        assert (mended.rotations[:3, ankle] == np.eye(3)).all()
        assert (mended.rotations[3:, ankle] == take[3:, ankle]).all()
        assert (mended.rotations[:, wrist] == np.eye(3)).all()
        assert len(mended.frames) == 20

    def test_broken_backs_and_jumps_are_dropped(self):
        take = self.take()
        take[4, JOINTS.index("spine1")] = self.bend(120)
        take[10:, JOINTS.index("left_hip")] = self.bend(-80)
        assert mend(take).frames.tolist() == [0, 1, 2, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18, 19]


def test_people_are_off_balance_by_the_distance_from_the_line_between_their_feet():
    joints = np.zeros((3, 24, 3))
    joints[:, JOINTS.index("left_foot")] = (0.2, 0, 0.1)
    joints[:, JOINTS.index("right_foot")] = (-0.2, 0, 0.1)
    trunk = [JOINTS.index("pelvis"), JOINTS.index("spine3")]
    joints[:, trunk] = (0, 1, 0.1)  # above the line
    joints[1, trunk] = (0.1, 1, 0.4)  # before it
    joints[2, trunk] = (0.5, 1, -0.3)  # beyond the left foot
    np.testing.assert_allclose(off_balance(joints), [0, 0.3, 0.5], atol=1e-12)


@pytest.mark.parametrize(
    "take", ["bvh/salsa_03", "bvh/indian_04", "amc/02_10", "amc/01_09", "everyday/soccer_train_1a"]
)
def test_real_takes_bend_as_people_do(shared, take):
    file = shared / "mocap" / take
    if "amc" not in take:
        motion, table = read_bvh(file.with_suffix(".bvh")), DAZ_JOINTS if "bvh" in take else BVH_JOINTS
    else:
        skeleton = file.with_name(file.name.split("_")[0] + ".asf")
        motion, table = read_acclaim(skeleton, file.with_suffix(".amc"), 4 / 120), ACCLAIM_JOINTS
    local = retarget(motion, REST)
    source, target = limb_directions(motion, table, local)
    limbs = [name for name, entry in table.items() if entry.bone]
    arms_and_legs = [i for i, name in enumerate(limbs) if "wrist" not in name]  # a forearm's twist may be cut
    np.testing.assert_allclose(target[:, arms_and_legs], source[:, arms_and_legs], atol=1e-6)
    # Where the zero pose is a T-pose, elbows bend forward about y and knees backward about x, and little else.
    forearm = local[:, JOINTS.index("left_elbow"), :, 0]
    shin = -local[:, JOINTS.index("left_knee"), :, 1]
    assert (forearm[:, 2] > -0.1).all()
    assert np.abs(forearm[:, 1]).max() < 0.2
    assert (shin[:, 2] < 0.15).all()
    assert np.abs(shin[:, 0]).max() < 0.2
