"""Broken motion capture."""

from collections.abc import Iterable

from helpers.bad_input.case import Case

BVH = """HIERARCHY
ROOT hips { OFFSET 0 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
  End Site { OFFSET 0 1 0 } }
MOTION
Frames: 1
Frame Time: 0.1
0 0 0
"""
ASF = """:units
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     name thigh
     direction 1 0 0
     length 4
     axis 0 0 90 XYZ
     dof rx rz
  end
:hierarchy
  begin
    root thigh
  end
"""
AMC = ":DEGREES\n1\nroot 1 2 3 0 0 0\nthigh 90 0\n"


def motion() -> Iterable[Case]:
    def bvh(name: str, old: str, new: str, sentence: str) -> Case:
        assert old in BVH
        return Case(f"bvh-{name}", "read-bvh a.bvh", sentence, {"a.bvh": BVH.replace(old, new, 1)})

    yield Case("bvh-missing", "read-bvh a.bvh", r"cannot read the BVH file a\.bvh: No such file")
    yield Case("bvh-folder", "read-bvh a.bvh", r"cannot read the BVH file a\.bvh: Is a directory", {"a.bvh/": b""})
    yield Case("bvh-empty", "read-bvh a.bvh", "no MOTION line", {"a.bvh": b""})
    yield Case("bvh-binary", "read-bvh a.bvh", "no MOTION line", {"a.bvh": bytes(range(256)) * 9})
    yield bvh("no-hierarchy", "HIERARCHY", "SKELETON", "line 1: expected HIERARCHY, found 'SKELETON'")
    yield bvh("no-root", "ROOT", "JOINT", "line 2: expected ROOT")
    yield bvh("offset-word", "OFFSET 0 0 0", "OFFSET 0 up 0", "line 2: expected a coordinate of OFFSET, found 'up'")
    yield bvh("offset-short", "OFFSET 0 1 0 }", "OFFSET 0 1 }", "expected a coordinate of OFFSET, found '}'")
    yield bvh("offset-missing", "OFFSET 0 1 0", "", "joint 'hips_end' has no OFFSET")
    yield bvh("channel-unknown", "Zrotation", "Wrotation", "unknown channel 'wrotation'")
    yield bvh("channels-negative", "CHANNELS 3", "CHANNELS -3", "a joint has 0 to 6 channels, not -3")
    yield bvh("channels-half", "CHANNELS 3", "CHANNELS 2.5", "a joint has 0 to 6 channels, not 2.5")
    yield bvh("channels-billion", "CHANNELS 3", "CHANNELS 1000000000", "a joint has 0 to 6 channels, not 1e[+]09")
    yield bvh("brace-missing", "} }", "}", "the skeleton ends where '}' should follow")
    yield bvh("words-behind", "} }", "} } ROOT second { }", "line 3: expected MOTION, found 'ROOT'")
    yield bvh("frames-word", "Frames: 1", "Frames: many", "line 5: expected 'frames:' and a number")
    yield bvh("frames-cut", "Frames: 1", "Frames: 2", "announces 2 frames but holds 1")
    yield bvh("frames-NaN", "Frames: 1", "Frames: nan", "announces nan frames but holds 1")
    yield bvh("no-frames", "Frames: 1\nFrame Time: 0.1\n0 0 0", "Frames: 0\nFrame Time: 0.1", "holds no frames")
    yield bvh("time-0", "Time: 0.1", "Time: 0", "the frame time must be positive, not 0 seconds")
    yield bvh("time-NaN", "Time: 0.1", "Time: nan", "the frame time must be positive")
    yield bvh("time-infinite", "Time: 0.1", "Time: inf", "the frame time must be positive")
    yield bvh("row-short", "\n0 0 0\n", "\n0 0\n", "line 7: 2 numbers, but the skeleton has 3 channels")
    yield bvh("row-word", "\n0 0 0\n", "\n0 x 0\n", "line 7: could not convert string to float: 'x'")
    yield bvh("row-two-commas", "\n0 0 0\n", "\n0 1,000,5 0\n", "line 7: could not convert string to float: '1,000,5'")
    yield bvh("row-comma-and-point", "\n0 0 0\n", "\n0 1,000.5 0\n", "line 7: could not convert string to float")
    yield bvh("row-infinite", "\n0 0 0\n", "\n0 inf 0\n", "line 7: a channel is not a finite number")
    yield bvh("word-without-end", "Zrotation", "Z" * 10_000, "unknown channel 'z{40}'")

    def acclaim(name: str, file: str, old: str, new: str, sentence: str) -> Case:
        files = {"a.asf": ASF, "a.amc": AMC}
        assert old in files[file]
        files[file] = files[file].replace(old, new, 1)
        return Case(f"acclaim-{name}", "read-acclaim a.asf a.amc", sentence, files)

    yield Case("acclaim-missing", "read-acclaim a.asf a.amc", r"cannot read a\.asf: No such file")
    yield Case("acclaim-no-take", "read-acclaim a.asf a.amc", r"cannot read a\.amc: No such file", {"a.asf": ASF})
    yield acclaim("asf-text", "a.asf", ASF, "text", "a.asf is not an Acclaim skeleton")
    yield acclaim("asf-cut", "a.asf", ASF[ASF.index(":hier") :], "", "it needs :bonedata and :hierarchy sections")
    yield acclaim("asf-length-word", "a.asf", "length 4", "length long", "a.asf line 12: could not convert")
    yield acclaim("asf-length-NaN", "a.asf", "length 4", "length nan", "a.asf line 12: nan is not a finite number")
    yield acclaim(
        "asf-direction-infinite", "a.asf", "direction 1", "direction inf", "line 11: inf is not a finite number"
    )
    yield acclaim("asf-dof", "a.asf", "dof rx rz", "dof rx q", "bone 'thigh' has the degree of freedom 'q'")
    yield acclaim("asf-dof-twice", "a.asf", "dof rx rz", "dof rx rx", "bone 'thigh' has a degree of freedom twice")
    yield acclaim("asf-axis-order", "a.asf", "0 0 90 XYZ", "0 0 90 XXZ", "the axis order of bone 'thigh'")
    yield acclaim("asf-own-parent", "a.asf", "root thigh", "thigh thigh", "bone 'thigh' does not hang on the root")
    yield acclaim("asf-unknown-child", "a.asf", "root thigh", "root shin", "the hierarchy names bone 'shin'")
    yield acclaim("amc-empty", "a.amc", AMC, "", "holds no frames")
    yield acclaim("amc-binary", "a.amc", AMC, "\x00\x01\x02", "stands before the first frame")
    yield acclaim("amc-other-bone", "a.amc", "thigh 90", "shin 90", "bone 'shin' does not move in this skeleton")
    yield acclaim("amc-short", "a.amc", "thigh 90 0", "thigh 90", "bone 'thigh' needs rx rz, found 1 values")
    yield acclaim("amc-word", "a.amc", "thigh 90 0", "thigh 90 x", "bone 'thigh': could not convert")
    yield acclaim("amc-NaN", "a.amc", "thigh 90 0", "thigh 90 nan", "bone 'thigh' in frame 1 is not a finite number")
    yield acclaim("amc-cut", "a.amc", "thigh 90 0\n", "", "frame 1 has no values for bone 'thigh'")
    yield acclaim("amc-before-first-frame", "a.amc", "1\nroot", "root", "line 2: 'root' stands before the first frame")
