"""Close looks at faces and hands: where crops lie, and what the networks see in a photo and its mirror image."""

import numpy as np
import pytest
from helpers.paths import SHARED

from meshrec.body import flip_permutation, joint_set
from meshrec.detect.blazepose_detector import BlazePoseDetector
from meshrec.detect.blazepose_settings import BlazePoseSettings
from meshrec.detect.close_ups import PARTS, CloseUps, CloseUpSettings, face_region, hand_region
from meshrec.detect.people import Detection
from meshrec.files import read_photo

NAMES = joint_set("mediapipe33")


@pytest.fixture(scope="module")
def close_ups():
    return CloseUps(CloseUpSettings(parts=PARTS))


@pytest.fixture(scope="module")
def photo():
    """People who face the camera, and their detections without close-ups."""
    path = SHARED / "photos" / "group_4.jpg"
    if not path.is_file():
        pytest.skip("needs ../shared")
    image = read_photo(path).image
    return image, BlazePoseDetector(settings=BlazePoseSettings(close_ups=None))(image)


def test_faces_in_a_photo_look_at_the_camera(photo, close_ups):
    image, people = photo
    found = [person.close_ups for person in close_ups(image, people)]
    faces = [close for some in found for close in some if close.joint == "head"]
    assert len(faces) == len(people) >= 4
    for face in faces:
        nose, chin, forehead, right, left = (face.points[i] for i in (4, 152, 10, 33, 263))
        assert nose[2] < min(right[2], left[2])  # z points away from the camera
        assert chin[1] > forehead[1] and left[0] > right[0]
    for person, some in zip(people, found):
        for close in some:
            assert (close.center > person.box[:2]).all() and (close.center < person.box[2:]).all()


def test_a_mirrored_photo_shows_mirrored_faces(photo, close_ups):
    image, people = photo
    face = close_ups.face(image, people[0].keypoints)
    flipped = people[0].keypoints[flip_permutation("mediapipe33")]
    flipped[:, 0] = image.shape[1] - 1 - flipped[:, 0]
    mirrored = close_ups.face(np.ascontiguousarray(image[:, ::-1]), flipped)
    assert abs(image.shape[1] - 1 - mirrored.center[0] - face.center[0]) < 2
    across = face.points[263] - face.points[33], mirrored.points[33] - mirrored.points[263]
    a, b = (v / np.linalg.norm(v) for v in (across[0], across[1] * [-1, 1, 1]))
    assert a @ b > 0.98


def test_faces_turn_with_the_photo(photo, close_ups):
    """A quarter turn of the photo, clockwise: what pointed up points to the right."""
    image, people = photo
    face = close_ups.face(image, people[0].keypoints)
    turned = people[0].keypoints.copy()
    turned[:, 0], turned[:, 1] = image.shape[0] - 1 - people[0].keypoints[:, 1], people[0].keypoints[:, 0]
    again = close_ups.face(np.ascontiguousarray(np.rot90(image, -1)), turned)
    expected = face.points @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    size = np.ptp(expected, axis=0).max()
    centred = [points - points.mean(0) for points in (again.points, expected)]
    assert np.abs(centred[0] - centred[1]).max() < 0.1 * size


def test_small_and_hidden_parts_are_not_looked_at(photo, close_ups):
    image, people = photo
    hidden = people[0].keypoints * [1, 1, 0]
    assert close_ups.face(image, hidden) is None
    assert close_ups.hand(image, hidden, "left_wrist") is None
    strict = CloseUps(CloseUpSettings(least_size=1e4))
    assert strict(image, people)[0].close_ups == ()


def test_nobody_has_no_close_ups(close_ups):
    nobody = Detection(np.array([0, 0, 9, 9], np.float32), np.zeros((33, 3), np.float32), "mediapipe33", 0.0)
    (same,) = close_ups(np.zeros((64, 64, 3), np.uint8), [nobody])
    assert same.close_ups == () and same.score == 0


def test_the_detector_looks_at_faces_unless_asked_not_to(photo):
    image, people = photo
    assert all(person.close_ups == () for person in people)
    found = BlazePoseDetector()(image)
    assert [person.box.tolist() for person in found] == [person.box.tolist() for person in people]
    assert {close.joint for person in found for close in person.close_ups} == {"head"}


def test_unknown_parts_are_refused():
    with pytest.raises(ValueError, match="left_foot"):
        CloseUps(CloseUpSettings(parts=("left_foot",)))


def test_faces_and_hands_stand_upright_in_their_crops():
    keypoints = np.zeros((33, 3))
    place = {"left_eye_outer": (60, 50), "right_eye_outer": (60, 30), "mouth_left": (50, 45), "mouth_right": (50, 35)}
    place |= {"left_ear": (58, 60), "right_ear": (58, 20)}  # a person who lies: up is to the right
    for name, xy in place.items():
        keypoints[NAMES.index(name), :2] = xy
    region, size = face_region(keypoints, 1.5)
    assert size == pytest.approx(40) and region.side == pytest.approx(60) and region.turn == pytest.approx(np.pi / 2)
    region, length = hand_region(np.array([[0.0, 0], [30, 0], [30, 15]]) + 7, 2.0)
    assert length == pytest.approx(2 * np.hypot(30, 5)) and region.side == pytest.approx(2 * length)
    up = region.matrix(100)[:, :2] @ [0, -1]
    assert np.allclose(up / np.linalg.norm(up), np.array([30, 5]) / np.hypot(30, 5))
