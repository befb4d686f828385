import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshrec.errors import InputError
from meshrec.motion.bvh import read_bvh

ARM = """HIERARCHY
ROOT hips
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT arm
  {
    OFFSET 0 10 0
    CHANNELS 3 Yrotation Zrotation Xrotation
    End Site
    {
      OFFSET 5 0 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0333333
0 0 0 0 0 0 0 0 0
7 8 9 90 0 0 0 90 0
"""


def write(tmp_path, text):
    path = tmp_path / "take.bvh"
    path.write_text(text)
    return path


def test_arm_reaches_where_geometry_says(tmp_path):
    motion = read_bvh(write(tmp_path, ARM))
    assert motion.skeleton.names == ("hips", "arm", "arm_end")
    assert motion.skeleton.parents.tolist() == [-1, 0, 1]
    assert motion.frame_time == pytest.approx(1 / 30, abs=1e-6)
    # The hips turn y to -x, the arm turns x to y in the hips' frame, which the hips turn on to -x.
    expected = [[[0, 0, 0], [0, 10, 0], [5, 10, 0]], [[7, 8, 9], [-3, 8, 9], [-8, 8, 9]]]
    np.testing.assert_allclose(motion.joint_positions(), expected, atol=1e-9)


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "ZYX", "YZX"])
def test_random_rotations_survive_being_written(tmp_path, order):
    rotations = Rotation.random(4, random_state=0)
    angles = rotations.as_euler(order, degrees=True)
    channels = " ".join(f"{axis}rotation" for axis in order)
    rows = "\n".join(" ".join(map(str, [0, 0, 0, 0, 0, 0, *row])) for row in angles)
    text = ARM.replace("Yrotation Zrotation Xrotation", channels).replace("Frames: 2", "Frames: 4")
    motion = read_bvh(write(tmp_path, text[: text.index("0.0333333") + 10] + rows))
    np.testing.assert_allclose(motion.rotations[:, 1], rotations.as_matrix(), atol=1e-9)


def test_positions_of_a_joint_must_be_its_offset(tmp_path):
    text = ARM.replace("3 Yrotation", "6 Xposition Yposition Zposition Yrotation")
    still = text.replace("0 0 0 0 0 0 0 0 0\n", "0 0 0 0 0 0 0 10 0 0 0 0\n")
    still = still.replace("7 8 9 90 0 0 0 90 0", "7 8 9 90 0 0 0 10 0 0 90 0")
    np.testing.assert_allclose(read_bvh(write(tmp_path, still)).joint_positions()[1, 2], [-8, 8, 9], atol=1e-9)
    with pytest.raises(InputError, match="'arm' moves away"):
        read_bvh(write(tmp_path, still.replace("90 0 0 0 10 0", "90 0 0 0 11 0")))


def test_several_end_sites_and_joints_of_their_names(tmp_path):
    two = "    End Site\n    {\n      OFFSET 0 5 0\n    }\n    End Site\n"
    motion = read_bvh(write(tmp_path, ARM.replace("    End Site\n", two)))
    assert motion.skeleton.names == ("hips", "arm", "arm_end", "arm_end2")
    assert motion.skeleton.parents.tolist() == [-1, 0, 1, 1]
    np.testing.assert_allclose(motion.joint_positions()[0], [[0, 0, 0], [0, 10, 0], [0, 15, 0], [5, 10, 0]], atol=1e-9)
    named = ARM.replace("JOINT arm\n", "End Site { OFFSET 0 1 0 }\n  JOINT hips_end\n")
    with pytest.raises(InputError, match="a second joint is called 'hips_end'"):
        read_bvh(write(tmp_path, named))


def test_positions_that_are_zero_mean_the_offset(tmp_path):
    text = ARM.replace("3 Yrotation", "6 Xposition Yposition Zposition Yrotation")
    zero = text.replace("0 0 0 0 0 0 0 0 0\n", "0 0 0 0 0 0 0 0 0 0 0 0\n")
    zero = zero.replace("7 8 9 90 0 0 0 90 0", "7 8 9 90 0 0 0 0 0 0 90 0")
    expected = read_bvh(write(tmp_path, ARM)).joint_positions()
    np.testing.assert_allclose(read_bvh(write(tmp_path, zero)).joint_positions(), expected, atol=1e-9)
    with pytest.raises(InputError, match="'arm' moves away"):
        read_bvh(write(tmp_path, zero.replace("90 0 0 0 0 0 0 90 0", "90 0 0 0 10 0 0 90 0")))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_decimal_commas_and_byte_order_marks(tmp_path, encoding):
    commas = (
        ARM.replace("0.0333333", "0,0333333").replace("7 8 9 90", "7,5 8 9 90,0").replace("OFFSET 5 0", "OFFSET 5,25 0")
    )
    path = tmp_path / "take.bvh"
    path.write_text(commas, encoding=encoding)
    motion = read_bvh(path)
    assert motion.frame_time == pytest.approx(0.0333333)
    np.testing.assert_allclose(motion.joint_positions()[1, 0], [7.5, 8, 9])
    np.testing.assert_allclose(motion.skeleton.offsets[2], [5.25, 0, 0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "HIERARCHIE", "line 1: expected HIERARCHY"),
        ("OFFSET 0 10 0", "OFFSET 0 ten 0", "line 8: expected a coordinate of OFFSET, found 'ten'"),
        ("OFFSET 0 10 0", "OFFSET 0 nan 0", "line 8"),
        ("3 Yrotation", "3 Wrotation", "line 9: unknown channel 'wrotation'"),
        ("JOINT arm", "JOINT hips", "line 6: a second joint is called 'hips'"),
        ("      OFFSET 5 0 0\n", "", "line 12: joint 'arm_end' has no OFFSET"),
        ("MOTION", "", "no MOTION line"),
        ("Frames: 2", "Frames: two", "line 17: expected 'frames:'"),
        ("Frames: 2", "Frames: 3", "announces 3 frames but holds 2"),
        ("0.0333333", "0", "line 18: the frame time"),
        ("0 90 0\n", "0 90\n", "line 20: 8 numbers, but the skeleton has 9 channels"),
        ("7 8 9", "7 x 9", "line 20"),
        ("7 8 9", "7 inf 9", "line 20: a channel is not a finite number"),
        ("7 8 9", "7 1,000,5 9", "line 20: could not convert"),
        ("7 8 9", "7,8,9", "line 20: 7 numbers, but the skeleton has 9 channels"),
        ("OFFSET 0 10 0", "OFFSET 0 10,5.0 0", "line 8"),
        ("  }\n}\nMOTION", "  }\nMOTION", "line 14: the skeleton ends where '}' should follow"),
    ],
)
def test_bad_files_are_refused_with_file_and_line(tmp_path, old, new, message):
    assert old in ARM
    path = write(tmp_path, ARM.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        read_bvh(path)
    assert "take.bvh" in str(caught.value)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_bvh(tmp_path / "none.bvh")
    (tmp_path / "picture.bvh").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(InputError, match="not a BVH file"):
        read_bvh(tmp_path / "picture.bvh")


def test_real_take(shared):
    motion = read_bvh(shared / "mocap" / "bvh" / "salsa_01.bvh")
    assert len(motion) == 561
    positions = motion.joint_positions()
    head, foot = motion.skeleton.index("head"), motion.skeleton.index("lFoot_end")
    assert 120 < np.median(positions[:, head, 1] - positions[:, foot, 1]) < 160  # about centimetres
    # The lowest foot stays on the floor while the dancer crosses the room.
    feet = positions[1:, [foot, motion.skeleton.index("rFoot_end")], 1].min(1)
    assert np.ptp(np.percentile(feet, [10, 90])) < 5
