"""Finding people: masks, looks and their consensus, users' files, and the default detector on real photos."""

import json
import os
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from helpers.paths import EXAMPLES, SHARED

from meshrec.body import joint_set
from meshrec.detect import Detection, Mask, load_detector
from meshrec.detect.blazepose import FOLDER, Pose, Sight, load_networks
from meshrec.detect.blazepose_detector import BlazePoseDetector
from meshrec.detect.blazepose_settings import BlazePoseSettings
from meshrec.detect.inputs import boxes_in_photo, for_photo, people_in_photo, read_boxes, read_keypoints
from meshrec.detect.litert import LiteNetwork, without_chatter
from meshrec.detect.looks import MIRRORED, Look, consensus, in_photo, look_at, show, without_people
from meshrec.detect.people import Region, box_iou, keypoint_box, person_at, person_box, photo_edges, pose_distance
from meshrec.detect.tiles import beside, tiles
from meshrec.errors import InputError
from meshrec.files import read_photo
from meshrec.geometry.affine import apply


@pytest.fixture(scope="module")
def detector():
    return load_detector()


# --- masks and boxes -------------------------------------------------------------------------------------------------


def test_mask_crop_one_to_one_and_shifted():
    values = np.random.default_rng(0).integers(0, 256, (6, 8), dtype=np.uint8)
    mask = Mask(values, np.array([9.5, 19.5, 17.5, 25.5]))  # pixels x 10..17, y 20..25, one to one
    photo = np.zeros((40, 30), np.float32)
    photo[20:26, 10:18] = values / 255
    assert np.allclose(mask.crop(photo_edges((30, 40)), (40, 30)), photo, atol=1e-6)
    assert np.allclose(mask.crop(np.array([11.5, 18.5, 20.5, 23.5]), (5, 9)), photo[19:24, 12:21], atol=1e-6)


def test_mask_crop_keeps_area_when_coarser():
    values = np.zeros((256, 256), np.uint8)
    values[:, 100:103] = 255  # a thin limb
    mask = Mask(values, np.array([-0.5, -0.5, 1023.5, 1023.5]))
    coarse = mask.crop(photo_edges((1024, 1024)), (32, 32))
    assert coarse.sum() / 32**2 == pytest.approx(3 / 256, rel=0.02)


def test_boxes_around_people():
    keypoints = np.array([[10, 10, 0.9], [20, 50, 0.8], [500, 500, 0.1]], np.float32)
    assert keypoint_box(keypoints).tolist() == [4, 4, 26, 56]
    assert keypoint_box(keypoints, (25, 40)).tolist() == [4, 4, 24, 39]
    mask = Mask(np.full((10, 5), 255, np.uint8), np.array([4.5, 29.5, 9.5, 39.5]))
    assert person_box(keypoints, mask, (100, 100)).tolist() == [4.5, 10, 20, 50]


def test_box_iou_against_counting_pixels():
    random = np.random.default_rng(1)
    low = random.integers(0, 20, (6, 2))
    boxes = np.hstack([low, low + random.integers(1, 20, (6, 2))])
    area = np.zeros((6, 40, 40), bool)
    for grid, (x0, y0, x1, y1) in zip(area, boxes):
        grid[y0:y1, x0:x1] = True
    counted = [[(a & b).sum() / (a | b).sum() for b in area] for a in area]
    assert np.allclose(box_iou(boxes, boxes), counted)


def test_who_is_where_somebody_is_known_to_be():
    boxes = np.array([[0, 0, 10, 20], [4, 0, 14, 20], [50, 0, 60, 20]], np.float32)
    people = [Detection(box, np.zeros((33, 3), np.float32), "mediapipe33", 1.0) for box in boxes]
    assert person_at(people, np.array([5.0, 0, 15, 20])) is people[1]
    assert person_at(people[::2], np.array([5.0, 0, 15, 20])) is people[0]  # 5 / 15 is the same person ...
    assert person_at(people[::2], np.array([6.0, 0, 16, 20])) is None  # ... and 4 / 16 another
    assert person_at([], boxes[0]) is None


def test_pose_distance_is_a_share_of_the_body():
    pose = np.random.default_rng(2).random((33, 3)).astype(np.float32)
    pose[:2, :2] = [[0, 0], [3, 4]]  # corners of the extent: 5 long
    moved = pose + np.array([0.5, 0, 0], np.float32)
    assert pose_distance(pose, pose) == 0
    assert pose_distance(pose, moved) == pytest.approx(0.1, rel=1e-4)
    assert pose_distance(pose * (100, 100, 1), moved * (100, 100, 1)) == pytest.approx(0.1, rel=1e-4)


# --- looks -----------------------------------------------------------------------------------------------------------


class SpotNetwork:
    """A landmark network that sees all landmarks where the crop is brightest, half of them a little to the right."""

    side = 256

    def look(self, crop):
        bright = crop[..., 0].astype(float) ** 2
        y, x = np.mgrid[0 : self.side, 0 : self.side]
        place = np.array([(bright * x).sum(), (bright * y).sum()]) / bright.sum() + 0.5
        places = np.tile(place / self.side, (39, 1))
        places[1::2, 0] += 0.01
        world = np.zeros((33, 3), np.float32)
        world[:, :2] = (places[:33] - places[0]) * 10
        return Sight(places, np.linspace(0, 1, 39), world, crop[..., 0] / np.float32(255), 1.0)


@pytest.mark.parametrize("size", [300, 3000])
@pytest.mark.parametrize(("degrees", "mirrored"), [(0, False), (30, False), (-90, True)])
def test_what_is_seen_in_a_look_comes_back_to_where_it_is_in_the_photo(size, degrees, mirrored):
    place = np.array([round(0.4 * size), round(0.5 * size)])
    y, x = np.mgrid[0:size, 0:size]
    spot = 255 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * (0.02 * size) ** 2))
    image = np.repeat(spot[..., None], 3, axis=2).astype(np.uint8)
    region = Region(np.array([0.45, 0.5]) * size, 0.6 * size, np.radians(20))
    pose = look_at(SpotNetwork(), image, region, Look(1.2, degrees, mirrored))
    on_spot = np.arange(33) % 2 == 0
    if mirrored:  # left and right are the person's own again
        on_spot = on_spot[MIRRORED]
        assert np.allclose(pose.keypoints[:, 2], np.linspace(0, 1, 39)[:33][MIRRORED])
    assert np.allclose(pose.keypoints[on_spot, :2], place, atol=0.2 * size / 300)
    # World landmarks turn with the look: in the photo's axes they point where the keypoints do.
    apart = (pose.keypoints - pose.keypoints[on_spot][0])[~on_spot][0, :2]
    metric = (pose.world - pose.world[on_spot][0])[~on_spot][0, :2]
    assert np.allclose(metric / np.linalg.norm(metric), apart / np.linalg.norm(apart), atol=1e-3)
    seen = cv2.warpAffine(pose.mask, pose.to_mask, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    assert np.unravel_index(seen.argmax(), seen.shape) == pytest.approx(place[::-1], abs=0.01 * size)


def test_a_region_of_a_view_in_the_photo():
    whole = Region(np.array([120.0, 90.0]), 60.0, 0.3)
    matrix = Look(1.5, 25).matrix(whole, 448)
    inner = Region(np.array([200.0, 250.0]), 100.0, -0.4)
    found = in_photo(inner, matrix)
    assert found.side == pytest.approx(100 * 1.5 * 60 / 448)
    assert found.turn == pytest.approx(0.3 + np.radians(25) - 0.4)
    assert np.allclose(apply(matrix, found.center - 0.5) + 0.5, inner.center)


def test_only_the_box_is_shown_when_asked():
    image = np.full((200, 200, 3), 200, np.uint8)
    box = np.array([50, 80, 100, 130.0])
    matrix = Look(2.0).matrix(Region(np.array([75.5, 105.5]), 50.0, 0.0), 448)
    assert (show(image, matrix, 448, box) > 0).mean() == pytest.approx(0.25, rel=0.02)


def test_beyond_the_photo_a_look_is_black_or_repeats_the_edge():
    image = np.full((100, 100, 3), 200, np.uint8)
    matrix = Look().matrix(Region(np.array([100.0, 50.0]), 100.0, 0.0), 256)
    assert (show(image, matrix, 256) > 100).mean() == pytest.approx(0.5, abs=0.01)
    assert (show(image, matrix, 256, repeat_edge=True) == 200).all()


@pytest.mark.parametrize(("degrees", "mirrored"), [(0, False), (30, True)])
def test_people_are_painted_over_where_their_mask_is(degrees, mirrored):
    """A view of a photo with a white person, painted over, has no white left, and nothing else is touched."""
    image = np.full((300, 300, 3), 60, np.uint8)
    image[100:200, 120:160] = 255
    mask = Mask(np.full((20, 8), 255, np.uint8), np.array([119.5, 99.5, 159.5, 199.5]))  # 5 photo pixels a value
    person = Detection(np.array([120, 100, 159, 199]), np.zeros((33, 3)), "mediapipe33", 1.0, mask)
    matrix = Look(2.0, degrees, mirrored).matrix(Region(np.array([140.0, 150.0]), 100.0, 0.0), 448)
    view = show(image, matrix, 448)
    painted = without_people(view, matrix, [person])
    inside = (view == 255).all(-1)
    assert (painted[inside] == 128).mean() > 0.97 and (painted == 255).mean() < 0.003
    assert (painted != view)[~inside].mean() < 0.01


def test_squares_beside_people():
    person = Detection(np.array([200, 100, 280, 300], np.float32), np.zeros((33, 3)), "mediapipe33", 1.0)
    left, right = beside([person], 2.0, side=1.3, least=8)
    assert left == (35, 35, 165, 165) and right == (75, 35, 205, 165)
    assert beside([person], 100.0, side=1.3, least=8)[0][3] == 6


def test_consensus_outvotes_a_flipped_look():
    random = np.random.default_rng(4)
    true = np.hstack([random.random((33, 2)) * 200, np.full((33, 1), 0.9)]).astype(np.float32)

    def look(keypoints, number):
        noise = np.hstack([random.normal(0, 1, (33, 2)), np.zeros((33, 1))])
        return Pose((keypoints + noise).astype(np.float32), np.full((33, 3), number, np.float32), None)

    looks = [look(true[MIRRORED], 0), look(true, 1), look(true, 2), look(true, 3)]
    keypoints, world, members = consensus(looks, near=0.08)
    assert sorted(members) == [1, 2, 3] and world[0, 0] == members[0]
    assert np.abs(keypoints[:, :2] - true[:, :2]).max() < 4
    sided = np.linalg.norm(true[:, :2] - true[MIRRORED, :2], axis=1) > 100
    nose = np.arange(33) == MIRRORED
    assert keypoints[sided, 2].max() < 0.7 < keypoints[nose, 2].min()  # the dissenting look costs confidence


def test_consensus_of_one_is_itself():
    keypoints = np.random.default_rng(5).random((33, 3)).astype(np.float32)
    agreed, _, members = consensus([Pose(keypoints, keypoints, None)], near=0.08)
    assert members == [0] and np.allclose(agreed, keypoints)


@pytest.mark.parametrize("size", [(800, 533), (300, 900), (500, 500)])
def test_tiles_cover_the_photo(size):
    for side in (200, 320):
        count = np.zeros(size[::-1], int)
        for x0, y0, x1, y1 in tiles(size, side, overlap=0.25):
            assert x1 - x0 == y1 - y0 == side
            count[max(y0, 0) : y1, max(x0, 0) : x1] += 1
        assert count.min() >= 1
    assert len(tiles(size, 2 * max(size), overlap=0.25)) == 1


# --- the default detector --------------------------------------------------------------------------------------------


def test_nobody_is_a_result(detector):
    assert detector(np.zeros((300, 400, 3), np.uint8)) == []
    noise = np.random.default_rng(6).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert detector(noise) == []
    empty = detector(noise, np.array([[20, 20, 90, 150], [0, 0, 199, 199]]))
    assert [p.score for p in empty] == [0, 0] and empty[0].box.tolist() == [20, 20, 90, 150]
    assert (empty[0].keypoints[:, 2] == 0).all()
    assert detector(np.zeros((16, 16, 3), np.uint8)) == [] and detector(noise, np.zeros((0, 4))) == []
    for wrong in ([[5, 5, 5, 9]], [[0, 0, np.nan, 9]], [1, 2, 3]):
        with pytest.raises(InputError, match="boxes are"):
            detector(noise, np.array(wrong))


def test_a_rough_pose_off_the_photo_is_left_out(detector):
    """The network now and then puts all visible keypoints beyond the border; such a pose has no box in the photo."""
    keypoints = np.hstack([np.random.default_rng(9).uniform(-90, -50, (33, 2)), np.full((33, 1), 0.9)])
    seed = Pose(keypoints.astype(np.float32), np.zeros((33, 3), np.float32), None)
    assert detector._confirmed(np.zeros((200, 200, 3), np.uint8), [(0.9, seed)], 1.0, []) == []


@pytest.mark.skipif(not (SHARED / "multiview").is_dir(), reason="needs ../shared/multiview")
def test_a_real_person_is_found_where_they_are(detector):
    truth = np.load(SHARED / "multiview" / "gt.npz")
    names = joint_set("mediapipe33")
    for row in (0, 80):
        image = read_photo(SHARED / "multiview" / str(truth["image"][row])).image
        box = truth["box2d"][row]
        for people in (detector(image), detector(image, box[None])):
            person = max(people, key=lambda p: box_iou(p.box[None], box[None])[0, 0])
            assert box_iou(person.box[None], box[None])[0, 0] > 0.5 and person.score > 0.7
            error = [
                np.linalg.norm(person.keypoints[names.index(side + joint), :2] - truth["joints_2d"][row][i])
                for i, short in enumerate(truth["joint_names"])
                for side, joint in [({"l": "left", "r": "right"}.get(short[0], ""), str(short[1:]))]
                if i in truth["limb12"] and truth["valid"][row][i]
            ]
            assert np.median(error) < 0.03 * max(box[2:] - box[:2])
            inside = person.mask.crop(photo_edges(image.shape[1::-1]), image.shape[:2])
            torso = person.keypoints[[names.index(n) for n in ("left_hip", "right_hip")], :2].round().astype(int)
            assert inside[torso[:, 1], torso[:, 0]].min() > 0.5
            assert 0.1 < inside.sum() / np.prod(person.box[2:] - person.box[:2]) < 0.8


@pytest.mark.skipif(not (SHARED / "photos").is_dir(), reason="needs ../shared/photos")
@pytest.mark.parametrize(("name", "people"), [("group_1", 3), ("group_3", 7), ("standing_1", 2), ("standing_6", 1)])
def test_everyone_is_found_once(detector, name, people):
    found = detector(read_photo(SHARED / "photos" / f"{name}.jpg").image)
    assert len(found) == people
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)


@pytest.mark.skipif(not (SHARED / "photos").is_dir(), reason="needs ../shared/photos")
def test_large_photos_are_found_in_full_pixels(detector):
    small = read_photo(SHARED / "photos" / "standing_6.jpg").image
    large = cv2.resize(small, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    (a,), (b,) = detector(small), detector(large)
    seen = a.keypoints[:, 2] > 0.5
    moved = (a.keypoints[seen, :2] + 0.5) * 8 - 0.5
    assert np.median(np.linalg.norm(moved - b.keypoints[seen, :2], axis=1)) < 0.02 * 8 * 400
    assert b.mask.values.size < 500_000


def test_the_runtimes_chatter_is_dropped_and_errors_pass(capfd):
    with without_chatter():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"ERROR: trouble\n")
        os.write(2, b"INFO: of another thread\n")
    with pytest.raises(KeyError), without_chatter():
        os.write(2, b"before the error\n")
        raise KeyError
    os.write(2, b"after\n")
    assert capfd.readouterr().err.splitlines() == [
        *("ERROR: trouble", "INFO: of another thread"),
        *("before the error", "after"),
    ]


def test_threads_of_a_network_do_not_change_its_outputs():
    """Also where there are more threads than cores."""
    picture = np.random.default_rng(0).uniform(size=(256, 256, 3)).astype(np.float32)
    outputs = [LiteNetwork(FOLDER / "pose_landmark_full.tflite", threads=count)(picture) for count in (1, 2, 3)]
    for other in outputs[1:]:
        assert all(map(np.array_equal, outputs[0], other))


@pytest.mark.parametrize(("threads", "of_a_look"), [(1, 1), (2, 1), (4, 2), (64, 4)])
def test_looks_at_the_same_time_share_the_threads(threads, of_a_look):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        networks = load_networks()
    finally:
        torch.set_num_threads(before)
    assert networks.look.network.threads == of_a_look
    assert networks.persons.network.threads == networks.search.network.threads == 1


def test_only_loading_a_network_redirects_stderr(monkeypatch, capfd):
    """Other threads may be writing to it while photos are worked on."""
    network = LiteNetwork(FOLDER / "pose_detection.tflite")
    monkeypatch.setattr("meshrec.detect.litert.without_chatter", lambda: pytest.fail("stderr was redirected"))
    busy = network._idle.get_nowait()  # as if another thread used it
    picture = np.zeros(network.input_shape, np.float32)
    new = network(picture)
    network._idle.get_nowait()
    network._idle.put(busy)
    assert all(map(np.array_equal, new, network(picture)))
    assert capfd.readouterr().err == ""


def test_settings_change_whom_a_detector_reports():
    image = read_photo(EXAMPLES / "astronaut.jpg").image
    (person,) = BlazePoseDetector()(image)
    strict = replace(BlazePoseSettings(), least_score=1.01)
    assert BlazePoseDetector(settings=strict)(image) == []
    small = replace(BlazePoseSettings(), mask_side=256, agreeing=2)
    (found,) = BlazePoseDetector(settings=small)(image)
    visible = person.keypoints[:, 2] > 0.5
    apart = np.linalg.norm(found.keypoints[visible, :2] - person.keypoints[visible, :2], axis=1)
    assert max(found.mask.values.shape) <= 256 and np.median(apart) < 0.03 * max(person.box[2:] - person.box[:2])


def test_a_quick_search_looks_only_where_somebody_surely_is(detector, monkeypatch):
    image = read_photo(EXAMPLES / "dancer.jpg").image
    assert len(detector.glance(image)) == 1
    monkeypatch.setattr(detector, "settings", replace(detector.settings, quick_presence=1.1))
    assert detector.glance(image) == [] and len(detector(image)) == 1


def test_people_are_followed_by_two_looks(detector, monkeypatch):
    """In the same photo, shifted a little, a followed person is where they are, with fewer runs of the network."""
    image = read_photo(EXAMPLES / "dancer.jpg").image
    (person,) = detector(image)
    moved = np.roll(image, (6, -9), axis=(0, 1))
    looks = []
    network = detector._networks.look
    monkeypatch.setattr(network, "look", lambda crop, look=network.look: looks.append(1) or look(crop))
    (found,) = detector.follow(moved, [person])
    assert len(looks) == 2 and found.score > 0.7
    sure = person.keypoints[:, 2] > 0.5
    apart = found.keypoints[sure, :2] - person.keypoints[sure, :2] - (-9, 6)
    extent = max(person.box[2:] - person.box[:2])
    assert np.median(np.linalg.norm(apart, axis=1)) < 0.02 * extent
    assert np.linalg.norm(found.region.center - person.region.center - (-9, 6)) < 0.1 * person.region.side
    grown = found.mask.crop(photo_edges(image.shape[1::-1]), image.shape[:2]) > 0.5
    shown = person.mask.crop(photo_edges(image.shape[1::-1]), image.shape[:2]) > 0.5
    overlap = np.roll(shown, (6, -9), axis=(0, 1))
    assert (grown & overlap).sum() > 0.9 * (grown | overlap).sum()
    assert [c.joint for c in found.close_ups] == [c.joint for c in person.close_ups]


def test_who_is_gone_is_not_followed(detector):
    image = read_photo(EXAMPLES / "dancer.jpg").image
    (person,) = detector(image)
    assert detector.follow(np.full_like(image, 128), [person])[0].score == 0
    assert detector.follow(image, []) == []


def test_the_frame_before_decides_between_looks_that_disagree():
    """Two looks of equal visibility, one with left and right exchanged: the one that fits the frame before counts."""
    points = np.random.default_rng(3).uniform(0, 100, (33, 2))
    keypoints = np.column_stack([points, np.full(33, 0.8)]).astype(np.float32)
    world = np.zeros((33, 3), np.float32)
    right, wrong = (Pose(k, world, np.zeros((2, 2), np.float32)) for k in (keypoints, keypoints[MIRRORED]))
    for before in (keypoints, keypoints[MIRRORED]):
        for poses in ([right, wrong], [wrong, right]):
            middle, _, members = consensus(poses, 0.08, before + np.array([1, 1, 0], np.float32))
            assert len(members) == 1 and np.array_equal(middle[:, :2], before[:, :2])


@pytest.mark.parametrize("factor", [0.5, 2.0, 4.0])
def test_who_is_found_does_not_depend_on_the_photos_size(detector, factor):
    image = read_photo(EXAMPLES / "dancer.jpg").image
    (person,), (other,) = detector(image), detector(cv2.resize(image, None, fx=factor, fy=factor))
    expected = (person.keypoints[:, :2] + 0.5) * factor - 0.5
    sure = person.keypoints[:, 2] > 0.5
    apart = np.linalg.norm(other.keypoints[sure, :2] - expected[sure], axis=1)
    assert np.median(apart) < 0.01 * factor * max(person.box[2:] - person.box[:2])


def test_a_panorama_is_searched_along_its_length(detector):
    """Ten times as wide as high: as one square, its people would be a few pixels high."""
    person = cv2.resize(read_photo(EXAMPLES / "dancer.jpg").image, (320, 400))
    wall = np.full((400, 4000, 3), person[5, 5], np.uint8)
    for left in (300, 1900, 3500):
        wall[:, left : left + 320] = person
    found = sorted((p.box[0] + p.box[2]) / 2 for p in detector(wall))
    assert np.allclose(found, [460, 2060, 3660], atol=60)


def test_a_crowd_is_found_although_the_first_look_shows_one_small_person(detector):
    one = cv2.resize(read_photo(EXAMPLES / "dancer.jpg").image, (360, 450), interpolation=cv2.INTER_AREA)
    photo = np.tile(one, (5, 6, 1))
    people = detector(photo, None)
    centers = np.array([(person.box[:2] + person.box[2:]) / 2 for person in people])
    places = {tuple(place) for place in (centers // (360, 450)).astype(int).tolist()}
    assert len(people) == len(places) >= 28


# --- users' files ----------------------------------------------------------------------------------------------------


def _write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_boxes_by_photo_name(tmp_path):
    path = _write(tmp_path / "b.json", {"a/1.jpg": [[1, 2, 30, 40]], "1.jpg": [[5, 6, 7, 8], [0, 0, 9, 9]], "2": []})
    boxes = read_boxes(path)
    assert for_photo(boxes, "/somewhere/a/1.jpg").tolist() == [[1, 2, 30, 40]]
    assert for_photo(boxes, "/somewhere/b/1.jpg").shape == (2, 4)
    assert for_photo(boxes, "2.png").shape == (0, 4)
    assert for_photo(boxes, "11.jpg") is None
    single = read_boxes(_write(tmp_path / "s.json", [[1, 2, 3, 4]]))
    assert for_photo(single, "any/photo.webp").tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not JSON"),
        ("7", "boxes have to be"),
        ({"a": [[1, 2, 3]]}, "list of"),
        ({"a": [[1, 2, 3, 4], [1, 2]]}, "must be numeric"),
        ({"a": [["x", 2, 3, 4]]}, "must be numeric"),
        ('{"a": [[1, 2, NaN, 4]]}', "must be finite"),
        ({"a": [[1, 2, None, 4]]}, "must be finite"),
        ({"a": [[100, 100, 50, 50]]}, r"not \[x, y, width"),
    ],
)
def test_wrong_boxes_are_refused(tmp_path, content, reason):
    path = _write(tmp_path / "b.json", content)
    with pytest.raises(InputError, match=reason) as caught:
        read_boxes(path)
    assert str(caught.value).startswith(str(path))


def test_boxes_are_clipped_to_the_photo_or_refused():
    boxes = boxes_in_photo(np.array([[-5, 10, 50, 500]]), (100, 80), "a.jpg")
    assert boxes.tolist() == [[0, 10, 50, 79]]
    with pytest.raises(InputError, match="lies outside this 100 x 80 photo"):
        boxes_in_photo(np.array([[200, 10, 300, 50]]), (100, 80), "a.jpg")


def _openpose(scale=1.0):
    values = np.random.default_rng(7).random((25, 3)) * (200 * scale, 300 * scale, 0.9) + (0, 0, 0.05)
    values[3] = 0
    return values


def test_openpose_files(tmp_path):
    values = _openpose()
    people = [{"pose_keypoints_2d": values.ravel().tolist()}, {"pose_keypoints_2d": [0] * 75}]
    _write(tmp_path / "walk_keypoints.json", {"version": 1.3, "people": people})
    _write(tmp_path / "run_keypoints.json", {"people": []})
    found = read_keypoints(tmp_path)
    (person,) = for_photo(found, "x/walk.jpg")
    assert isinstance(person, Detection) and person.joint_set == "openpose25"
    assert np.allclose(person.keypoints, values, atol=1e-4) and len(joint_set("openpose25")) == 25
    assert for_photo(found, "run.png") == []
    assert person.score == pytest.approx(values[values[:, 2] > 0, 2].mean())
    (placed,) = people_in_photo([person], (150, 150), "x/walk.jpg")
    assert placed.box.tolist()[2:] == [149, 149]
    with pytest.raises(InputError, match="no keypoint inside this"):
        people_in_photo([Detection(person.box, person.keypoints + (999, 0, 0), "openpose25", 1.0)], (99, 99), "w.jpg")


def test_coco_files(tmp_path):
    values = np.random.default_rng(8).integers(5, 200, (17, 3)).astype(float)
    values[:, 2] = np.arange(17) % 3
    row = {"image_id": 7, "keypoints": values.ravel().tolist(), "bbox": [10, 20, 100, 150]}
    annotations = {"images": [{"id": 7, "file_name": "a/1.jpg"}, {"id": 8, "file_name": "2.jpg"}], "annotations": [row]}
    found = read_keypoints(_write(tmp_path / "coco.json", annotations))
    (person,) = for_photo(found, "set/a/1.jpg")
    assert person.box.tolist() == [10, 20, 110, 170] and person.joint_set == "coco17"
    assert person.keypoints[:, 2].tolist() == np.minimum(values[:, 2], 1).tolist()
    assert for_photo(found, "2.jpg") == []
    results = read_keypoints(_write(tmp_path / "results.json", [row | {"score": 0.25}]))
    (scored,) = for_photo(results, "val/000000000007.jpg")
    assert scored.score == 0.25


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"version": 1}, "neither"),
        ({"people": [{"pose_keypoints_2d": [1.0] * 48 + [2]}]}, "BODY_25"),
        ({"people": [{"face": []}]}, "BODY_25"),
        ({"people": [{"pose_keypoints_2d": _openpose(1 / 400).ravel().tolist()}]}, "normalised to 1"),
        (
            {"people": [{"pose_keypoints_2d": [50.0, 40.0, 87.0] * 25}]},
            "confidence of 87; it must be a score from 0 to 1",
        ),
        ('{"people": [{"pose_keypoints_2d": [' + "NaN," * 74 + "1]}]}", "must be finite"),
        ([{"image_id": 1, "keypoints": [1, 2, 3]}], "17 keypoints"),
        ([{"keypoints": [1] * 51}], "image_id"),
        ({"images": [{"id": 1}], "annotations": []}, "file_name"),
        ({"images": [], "annotations": [{"image_id": 1, "keypoints": [5] * 51}]}, "not among the images"),
    ],
)
def test_wrong_keypoints_are_refused(tmp_path, content, reason):
    with pytest.raises(InputError, match=reason):
        read_keypoints(_write(tmp_path / "k.json", content))


def test_a_person_cut_off_by_the_photo_is_not_squeezed_into_it():
    """NASA's portrait ends at the hips: the knees lie below the photo, and are not seen."""
    photo = read_photo(EXAMPLES / "astronaut.jpg")
    (person,) = load_detector()(photo.image)
    height = photo.image.shape[0]
    y = {name: person.keypoints[i, 1] for i, name in enumerate(joint_set("mediapipe33"))}
    assert y["left_hip"] > 0.9 * height and y["right_hip"] > 0.9 * height
    assert y["left_knee"] > 1.2 * height and y["right_knee"] > 1.2 * height
