"""Left and right exchanged in some frames of walks whose true sides are known."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from helpers.paths import EXAMPLES

from meshrec.body import joint_set
from meshrec.body.joints import LIMB_JOINTS
from meshrec.detect import CloseUp, Detection, load_detector
from meshrec.detect.sides import SideSettings, exchanged, settle_sides
from meshrec.files import read_photo
from meshrec.motion.acclaim import read_acclaim

CMU_JOINTS = {
    "shoulder": "humerus",
    "elbow": "radius",
    "wrist": "hand",
    "hip": "femur",
    "knee": "tibia",
    "ankle": "foot",
}
NAMES_OF_CMU = {f"{side}_{part}": side[0] + name for side in ("left", "right") for part, name in CMU_JOINTS.items()}


def walk(count=60, rate=20.0, joints="mediapipe33", turning=0.0, speed=0.0, noise=0.0):
    """Somebody of height 100 who steps on the spot, or walks and turns, seen from the front and from further around.

    Args:
        count, rate: Number of frames, and frames per second.
        joints: Joint set.
        turning: Radians per second about the vertical.
        speed: Heights per second.
        noise: Standard deviation of the keypoints, heights.
    """
    random = np.random.default_rng(1)
    heights = {"shoulder": 0.82, "elbow": 0.63, "wrist": 0.47, "hip": 0.52, "knee": 0.28, "ankle": 0.04}
    widths = {"shoulder": 0.11, "elbow": 0.13, "wrist": 0.14, "hip": 0.06, "knee": 0.06, "ankle": 0.05}
    swings = {"elbow": -0.06, "wrist": -0.15, "knee": 0.1, "ankle": 0.2}
    people = []
    for i in range(count):
        time, rows = i / rate, []
        for name in joint_set(joints):
            side, _, part = name.rpartition("_")
            sign = {"left": 1, "right": -1}.get(side, 0)
            across = sign * widths.get(part, 0)
            ahead = sign * swings.get(part, 0) * np.sin(2 * np.pi * time)
            x = across * np.cos(turning * time) + ahead * np.sin(turning * time) + speed * time
            rows.append([100 * x, -100 * heights.get(part, 0.93), 0.9])
        keypoints = np.array(rows)
        keypoints[:, :2] += random.normal(0, 100 * noise, (len(keypoints), 2))
        low, high = keypoints[:, :2].min(0), keypoints[:, :2].max(0)
        people.append(Detection(np.concatenate([low, high]), keypoints, joints, 0.9))
    return people


@pytest.mark.parametrize("joints", ["mediapipe33", "coco17", "openpose25", "lsp14"])
@pytest.mark.parametrize("turning", [0.0, 0.9])
def test_exchanged_frames_are_found(joints, turning):
    people = walk(joints=joints, turning=turning, noise=0.01)
    wrong = np.zeros(60, bool)
    wrong[[0, 7, 8, 30, 31, 32, 33, 34, 55, 59]] = True
    seen = [exchanged(p) if w else p for p, w in zip(people, wrong)]
    assert settle_sides(seen).tolist() == wrong.tolist()


@pytest.mark.parametrize("rate", [10.0, 30.0, 60.0])
def test_frame_rate_does_not_matter(rate):
    people = walk(round(3 * rate), rate, turning=0.5, speed=0.5, noise=0.01)
    times = np.arange(len(people)) / rate
    wrong = (times > 0.9) & (times < 1.9)
    seen = [exchanged(p) if w else p for p, w in zip(people, wrong)]
    assert settle_sides(seen, times).tolist() == wrong.tolist()


def test_nothing_is_exchanged_in_a_walk_that_is_right():
    for speed in (0.0, 2.0):
        assert not settle_sides(walk(turning=2.0, speed=speed, noise=0.02)).any()


def test_the_majority_is_right():
    """Nothing tells which of two parts is exchanged but that exchanges are rare."""
    people = walk(40)
    seen = [exchanged(p) if i >= 15 else p for i, p in enumerate(people)]
    assert settle_sides(seen).tolist() == [True] * 15 + [False] * 25


def test_frames_without_the_person_are_passed_over():
    people = walk(30)
    seen = [exchanged(p) if i in (10, 14) else p for i, p in enumerate(people)]
    seen[11:14] = [None] * 3
    seen[0] = None
    assert np.flatnonzero(settle_sides(seen)).tolist() == [10, 14]
    assert settle_sides([None, None]).tolist() == [False, False]
    assert settle_sides([None, people[0]]).tolist() == [False, False] and settle_sides([]).tolist() == []


def test_the_cheapest_sequence_is_found():
    """Against all sequences of short walks, whose costs are added up as the settings define them."""
    random = np.random.default_rng(4)
    settings = SideSettings(penalty=0.02)
    for _ in range(5):
        people = [exchanged(p) if random.random() < 0.4 else p for p in walk(7, turning=3.0, noise=0.05)]

        def cost(states, people=people):
            total = settings.penalty * sum(states)
            posed = [exchanged(p) if s else p for p, s in zip(people, states)]
            for a, b in pairwise(posed):
                limbs = [joint_set("mediapipe33").index(name) for name in LIMB_JOINTS]
                x, y = (p.keypoints[limbs, :2] - p.keypoints[limbs, :2].mean(0) for p in (a, b))
                size = max((p.box[2:] - p.box[:2]).max() for p in (a, b))
                total += min(np.linalg.norm(x - y, axis=1).mean() / size, settings.most_move)
            return total

        every = [[bool(n >> i & 1) for i in range(7)] for n in range(2**7)]
        assert settle_sides(people, settings=settings).tolist() == min(every, key=cost)


def test_exchanging_changes_names_and_no_places():
    names = joint_set("coco17")
    keypoints = np.random.default_rng(0).uniform(0, 100, (17, 3)).astype(np.float32)
    world = np.random.default_rng(1).normal(size=(17, 3)).astype(np.float32)
    hand = CloseUp("left_wrist", np.zeros((21, 3), np.float32), np.zeros(2, np.float32), 0.9)
    parts = (hand, replace(hand, joint="head"))
    person = Detection(np.array([0, 0, 100, 100]), keypoints, "coco17", 0.9, world=world, close_ups=parts)
    other = exchanged(person)
    for i, name in enumerate(names):
        if name.startswith("left"):
            j = names.index(name.replace("left", "right"))
            for a, b in ((person.keypoints, other.keypoints), (person.world, other.world)):
                assert np.array_equal(a[i], b[j]) and np.array_equal(a[j], b[i])
    assert np.array_equal(other.keypoints[0], keypoints[0])  # the nose
    assert [part.joint for part in other.close_ups] == ["right_wrist", "head"]
    again = exchanged(other)
    assert np.array_equal(again.keypoints, keypoints)
    for part, first in zip(again.close_ups, parts, strict=True):
        assert part.joint == first.joint and np.array_equal(part.points, first.points)
    assert exchanged(replace(person, world=None)).world is None


def test_exchanged_world_landmarks_are_those_of_the_mirrored_names():
    """A real detection: the left wrist's point in space is after the exchange the right one's."""
    (person,) = load_detector()(read_photo(EXAMPLES / "dancer.jpg").image)
    left, right = (joint_set("mediapipe33").index(f"{side}_wrist") for side in ("left", "right"))
    assert np.array_equal(exchanged(person).world[right], person.world[left])


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_captured_walk_has_its_sides_from_everywhere(shared, stride):
    """Also from the side, where the feet are in front in turn, and down to ten frames per second."""
    motion = read_acclaim(shared / "mocap" / "amc" / "02.asf", shared / "mocap" / "amc" / "02_01.amc", 1 / 30)
    names = [motion.skeleton.index(NAMES_OF_CMU[name]) for name in LIMB_JOINTS]
    points = motion.joint_positions()[::stride][:, names]
    points -= points.mean(1, keepdims=True)
    times = np.arange(len(points)) * stride / 30
    for angle in np.radians(range(0, 180, 30)):
        x = points[..., 0] * np.cos(angle) + points[..., 2] * np.sin(angle)
        seen = np.stack([x, -points[..., 1], np.ones_like(x)], axis=-1)
        people = [Detection(np.r_[p[:, :2].min(0), p[:, :2].max(0)], p, "limb12", 0.9) for p in seen]
        assert not settle_sides(people, times).any()
