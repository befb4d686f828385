import numpy as np
import pytest

from meshrec.errors import InputError
from meshrec.motion.acclaim import read_acclaim, read_asf

ASF = """# a comment
:version 1.10
:name test
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   made by hand
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name thigh
     direction 1 0 0
     length 4
     axis 0 0 90 XYZ
     dof rx rz
     limits (-160.0 20.0)
            (-70.0 70.0)
  end
  begin
     id 2
     name shin
     direction 0 -1 0
     length 3
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root thigh
    thigh shin
  end
"""
AMC = """#!OML:ASF test
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
thigh 90 0
2
root 0 0 0 0 90 0
thigh 90 90
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "01.asf").write_text(ASF)
    (tmp_path / "01_01.amc").write_text(AMC)
    return tmp_path / "01.asf", tmp_path / "01_01.amc"


def test_bones_reach_where_geometry_says(files):
    motion = read_acclaim(*files, frame_time=1 / 30)
    assert motion.skeleton.names == ("root", "thigh", "shin", "shin_end")
    assert motion.skeleton.parents.tolist() == [-1, 0, 1, 2]
    np.testing.assert_allclose(motion.skeleton.offsets, [[0, 0, 0], [0, 0, 0], [4, 0, 0], [0, -3, 0]], atol=1e-12)
    positions = motion.joint_positions()
    # The thigh's own x axis is the world's y: a quarter turn about it carries x to -z and leaves y.
    np.testing.assert_allclose(positions[0], [[1, 2, 3], [1, 2, 3], [1, 2, -1], [1, -1, -1]], atol=1e-9)
    # Then a quarter turn about z (-z stays, -y goes to x), then the root's quarter turn about y (-z to -x, x to -z).
    np.testing.assert_allclose(positions[1], [[0, 0, 0], [0, 0, 0], [-4, 0, 0], [-4, 0, -3]], atol=1e-9)


def test_a_root_without_an_order_stays_where_it_is(files):
    files[0].write_text(ASF.replace("   order TX TY TZ RX RY RZ\n", "").replace("position 0 0 0", "position 1 2 3"))
    files[1].write_text("\n".join(line for line in AMC.splitlines() if not line.startswith("root")))
    positions = read_acclaim(*files).joint_positions()
    np.testing.assert_allclose(positions[0], [[1, 2, 3], [1, 2, 3], [1, 2, -1], [1, -1, -1]], atol=1e-9)


def test_radians_are_the_same_motion(files):
    degrees = read_acclaim(*files)
    radians = AMC.replace(":DEGREES", ":RADIANS").replace("90", repr(np.pi / 2))
    files[1].write_text(radians)
    files[0].write_text(ASF.replace("angle deg", "angle rad").replace("0 0 90 XYZ", f"0 0 {np.pi / 2} XYZ"))
    np.testing.assert_allclose(read_acclaim(*files).rotations, degrees.rotations, atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("length 4", "length four", "01.asf line 20"),
        ("length 4", "length", "01.asf line 20: 'length' lacks its values"),
        ("direction 1 0 0", "direction 1 0", "01.asf line 19: expected three numbers"),
        ("0 0 90 XYZ", "0 0 90 XYX", "01.asf line 21: the axis order of bone 'thigh'"),
        ("dof rx rz", "dof rx l", "01.asf line 22: bone 'thigh' has the degree of freedom 'l'"),
        ("name shin", "name thigh", "01.asf line 28: a second bone is called 'thigh'"),
        ("angle deg", "angle gon", "01.asf line 7"),
        ("root thigh", "root hip", "01.asf line 35: the hierarchy names bone 'hip'"),
        ("thigh shin", "shin shin", "01.asf: bone 'shin' does not hang on the root"),
        (":bonedata", ":bones", "01.asf line 35"),
        (ASF, "nothing", "01.asf is not an Acclaim skeleton"),
    ],
)
def test_bad_skeletons_are_refused(files, old, new, message):
    assert old in ASF
    files[0].write_text(ASF.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_asf(files[0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("thigh 90 90", "thigh 90", "01_01.amc line 9: bone 'thigh' needs rx rz, found 1"),
        ("thigh 90 90", "thigh 90 x", "01_01.amc: bone 'thigh': could not convert"),
        ("thigh 90 90", "thigh 90 inf", "01_01.amc: bone 'thigh' in frame 2 is not a finite number"),
        ("thigh 90 90", "arm 90 90", "01_01.amc line 9: bone 'arm' does not move in this skeleton"),
        ("thigh 90 90\n", "", "01_01.amc line 8: frame 2 has no values for bone 'thigh'"),
        ("thigh 90 0\n", "", "01_01.amc line 6: frame 1 has no values for bone 'thigh'"),
        (AMC, ":DEGREES\n", "01_01.amc holds no frames"),
    ],
)
def test_bad_takes_are_refused(files, old, new, message):
    assert old in AMC
    files[1].write_text(AMC.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_acclaim(*files)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_asf(tmp_path / "none.asf")


def test_real_walk(shared):
    amc = shared / "mocap" / "amc"
    motion = read_acclaim(amc / "02.asf", amc / "02_01.amc", 4 / 120)
    positions = motion.joint_positions() * 0.056444  # inches / 0.45 to metres, as CMU's FAQ says
    index = motion.skeleton.index
    height = positions[:, index("head_end"), 1] - positions[:, [index("ltoes"), index("rtoes")], 1].min(1)
    assert ((height > 1.5) & (height < 1.9)).all()
    # A walking adult's stance foot is still on the floor and the root moves at 1 to 2 m/s.
    toes = positions[:, [index("ltoes_end"), index("rtoes_end")], 1].min(1)
    assert np.ptp(toes) < 0.08
    distance = np.linalg.norm(positions[-1, 0, [0, 2]] - positions[0, 0, [0, 2]])
    assert 1.0 < distance / (len(motion) * motion.frame_time) < 2.0
