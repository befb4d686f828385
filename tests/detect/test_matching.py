"""The same people in several cameras, on people of the open body around whom cameras stand."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.around import detection, noisy, pixels_of, ring, shuffled, simulated, standing_around

from meshrec.body import convert_joints
from meshrec.detect.matching import Match, common_joints, match_people, person_size
from meshrec.detect.sides import exchanged
from meshrec.detect.tracking import moved
from meshrec.geometry import Camera


def scene(people, cameras, seed, missing=0.0, swapped=0.0, noise="noisy", step=None):
    """Detections of all cameras, the cameras, the people (N, 17, 3), whom each shows, and which are swapped."""
    random = np.random.default_rng((seed, 7))
    points, views = standing_around(people, seed), ring(cameras, seed=seed, step=step)
    if noise == "noisy":
        seen = [noisy(points, camera, random) for camera in views]
    else:
        seen = [simulated(points, camera, 100 * seed + i) for i, camera in enumerate(views)]
    found, names, turned = shuffled(seen, random, missing, swapped)
    return found, views, points, names, turned


def named(matches: list[Match], names: list[list[int]]) -> list[list[int]]:
    """Whom the detections of each match show."""
    return [[names[c][i] for c, i in match.views.items()] for match in matches]


def people_found(matches: list[Match], names: list[list[int]]) -> int:
    """How many people are found with all of their detections and nobody else's."""
    wanted: dict[int, set] = {}
    for c, order in enumerate(names):
        for i, name in enumerate(order):
            wanted.setdefault(name, set()).add((c, i))
    found = [set(match.views.items()) for match in matches]
    assert sorted(pair for views in found for pair in views) == sorted(pair for v in wanted.values() for pair in v)
    return sum(views in found for views in wanted.values())


@pytest.mark.parametrize(("people", "cameras", "least"), [(2, 2, 0.9), (2, 4, 0.95), (5, 3, 0.95), (5, 6, 0.95)])
def test_people_with_noise_missing_views_and_exchanged_sides(people, cameras, least):
    right = total = 0
    for seed in range(200, 206):
        found, views, _, names, _ = scene(people, cameras, seed, missing=0.1, swapped=0.05)
        right += people_found(match_people(found, views), names)
        total += len({name for order in names for name in order})
    assert right >= least * total


def test_errors_of_a_real_detector():
    right = sum(
        people_found(match_people(found, views), names)
        for found, views, _, names, _ in (scene(5, 4, seed, noise="simulated") for seed in range(300, 306))
    )
    assert right >= 0.85 * 30


def test_points_are_where_people_are():
    found, views, points, names, _ = scene(3, 4, 0)
    exact = [[detection(p, np.ones(17)) for p in pixels_of(points[order], c)] for c, order in zip(views, names)]
    matches = match_people(exact, views)
    assert len(matches) == 3
    for match, (name, *_) in zip(matches, named(matches, names)):
        assert np.allclose(match.points, points[name], atol=1e-4)  # keypoints are float32
        assert np.allclose(match.place, np.median(points[name], axis=0), atol=1e-4)
    noisy_matches = match_people(found, views)
    errors = [
        np.linalg.norm(m.points - points[who[0]], axis=1).mean()
        for m, who in zip(noisy_matches, named(noisy_matches, names))
    ]
    assert max(errors) < 0.12


def test_exchanged_sides_are_reported():
    right = total = 0
    for seed in range(10):
        found, views, _, _, _ = scene(2, 4, seed)
        found[2][0] = exchanged(found[2][0])
        for match in match_people(found, views):
            total += 1
            right += match.exchanged == ({2} if match.views.get(2) == 0 else set())
    assert total == 20 and right >= 18


def test_somebody_whom_one_camera_sees_stays_alone():
    found, views, points, _, _ = scene(2, 3, 5)
    order = [
        min(range(2), key=lambda i: np.abs(d[i].keypoints[:, :2] - pixels_of(points[0], c)).mean())
        for d, c in zip(found, views)
    ]
    alone = [list(found[0]), [found[1][order[1]]], [found[2][order[2]]]]
    matches = match_people(alone, views)
    assert [len(match.views) for match in matches] == [3, 1]
    assert matches[1].views == {0: 1 - order[0]} and matches[1].evidence == 0
    assert np.isnan(matches[1].points).all() and np.isnan(matches[1].place).all()


def test_nobody_and_empty_cameras():
    views = ring(3)
    assert match_people([[], [], []], views) == []
    found, _, _, _, _ = scene(1, 3, 1)
    assert [match.views for match in match_people([found[0], [], found[2]], views)] == [{0: 0, 2: 0}]
    with pytest.raises(ValueError, match="3 cameras"):
        match_people([[], []], views)


def test_cameras_that_stand_opposite_each_other():
    """Two cameras alone; a third one that stands aside tells those whose rays cross where nobody is."""
    for count, least in ((2, 0.6), (3, 0.95)):
        right = total = 0
        for seed in range(8):
            step = np.pi if count == 2 else np.pi / 2
            found, views, _, names, _ = scene(3, count, seed, step=step)
            right += people_found(match_people(found, views), names)
            total += 3
        assert right >= least * total


@pytest.mark.parametrize("crossed", [False, True])
def test_colours_of_clothes_tell_whose_rays_cross(crossed):
    """Two people of one pose before cameras side by side: each may be either person of the other picture."""
    one = detection(pixels_of(standing_around(1, 3), ring(1)[0])[0], np.ones(17))
    left, right = (Camera(900.0, size=(1280, 720), translation=(x, 0.0, 0.0)) for x in (0.0, -1.0))
    found = [[moved(one, np.array([-x, 0.0])) for x in places] for places in ((0, 20), (240, 260))]
    red, blue = (np.array([color, [0.2, 0.2, 0.2]]) for color in ([0.8, 0.1, 0.1], [0.1, 0.1, 0.8]))
    matches = match_people(found, [left, right], colors=[[red, blue], [blue, red] if crossed else [red, blue]])
    assert {0: 0, 1: 1 if crossed else 0} in [match.views for match in matches] and len(matches) == 2


def test_evidence_from_elsewhere():
    """Two detections of one person, which the instants before have shown to be two people's."""
    found, views, _, _, _ = scene(1, 2, 4)
    assert len(match_people(found, views)) == 1
    against = np.array([[0, -1000.0], [-1000.0, 0]])
    assert len(match_people(found, views, together=against)) == 2
    with pytest.raises(ValueError, match="2 detections"):
        match_people(found, views, together=np.zeros((3, 3)))


def test_detectors_may_differ():
    found, views, _, names, _ = scene(2, 3, 8)
    limbs = []
    for person in found[0]:
        points, known = convert_joints(person.keypoints, "coco17", "openpose25")
        points[:, 2] *= known
        limbs.append(replace(person, keypoints=points, joint_set="openpose25"))
    matches = match_people([limbs, *found[1:]], views)
    assert people_found(matches, names) == 2 and len(matches[0].joints) == 17
    assert common_joints(["lsp14", "coco17", "mediapipe33"]) == common_joints(["lsp14", "coco17"])


def test_size_of_people_who_are_cut_off():
    points = standing_around(1, 0)
    (pixels,) = pixels_of(points, ring(1)[0])
    whole = detection(pixels, np.ones(17)).keypoints
    cut = whole.copy()
    cut[[13, 14, 15, 16], 2] = 0  # knees and ankles are out of the picture
    joints = common_joints(["coco17"])
    assert 0.7 < person_size(cut, joints) / person_size(whole, joints) < 1.3
