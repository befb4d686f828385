"""Following people: walkers whose places are exact, seen by stand-ins of detectors, and the default detector."""

import io
from dataclasses import replace

import numpy as np
import pytest
from helpers.paths import EXAMPLES

from meshrec.body import flip_permutation, joint_set
from meshrec.detect import Detection, load_detector
from meshrec.detect.people import pose_distance
from meshrec.detect.tracking import Tracker, TrackingSettings, apart, moved, movement
from meshrec.files import read_photo

SIZE = 160, 90
SCENE, OTHER_SCENE = np.random.default_rng(0).integers(0, 256, (2, SIZE[1], SIZE[0], 3), dtype=np.uint8)
NAMES = joint_set("coco17")
# A person of height 1 who is seen from the front; the middle is at the hips.
HEIGHTS = {"nose": -0.42, "eye": -0.44, "ear": -0.43, "shoulder": -0.3, "elbow": -0.12, "wrist": 0.02}
HEIGHTS |= {"hip": 0.0, "knee": 0.25, "ankle": 0.48}
WIDTHS = {"nose": 0, "eye": 0.02, "ear": 0.04, "shoulder": 0.1, "elbow": 0.14, "wrist": 0.15, "hip": 0.06}
WIDTHS |= {"knee": 0.07, "ankle": 0.07}


def person(x: float, height: float = 50.0, y: float = 45.0, stride: float = 0.0, score: float = 0.9) -> Detection:
    """Somebody with the hips at x, y. ``stride`` in [-1, 1] tells how far the left limbs are before the right ones."""
    rows = []
    for name in NAMES:
        side, _, part = name.rpartition("_")
        sign = {"left": 1, "right": -1, "": 0}[side]
        swing = 0.1 * stride * sign * (part in ("wrist", "knee", "ankle"))
        rows.append([x + height * (sign * WIDTHS[part] + swing), y + height * HEIGHTS[part], 0.9])
    keypoints = np.array(rows, np.float32)
    low, high = keypoints[:, :2].min(0), keypoints[:, :2].max(0)
    return Detection(np.concatenate([low, high]), keypoints, "coco17", score)


class Film:
    """A video of people whose places are known, and detectors of it.

    Args:
        people: Of each frame the people by name, the one in front first.
        rate: Frames per second.
        missed: Frames whose search finds nobody of a name: pairs of both.
        scenes: Picture of each frame, by default always the same.
        clothes: Grey values in which people are painted, by name.
    """

    def __init__(self, people, rate=20.0, missed=(), scenes=None, clothes=None):
        self.people, self.rate, self.missed = people, rate, set(missed)
        self.scenes = scenes or [SCENE] * len(people)
        self.searches, self.looks = [], []
        self.clothes = clothes or {}

    def visible(self, frame):
        """People by name without those who are behind another."""
        seen = {}
        for name, one in self.people[frame].items():
            if all(pose_distance(one.keypoints, other.keypoints) > 0.12 for other in seen.values()):
                seen[name] = one
        return seen

    def __call__(self, image, boxes=None):
        frame = int(image[0, 0, 0])
        self.searches.append(frame)
        return [one for name, one in self.visible(frame).items() if (frame, name) not in self.missed]

    def frames(self):
        for i, scene in enumerate(self.scenes):
            image = scene.copy()
            for name, one in reversed(self.people[i].items()):  # who is in front is painted last
                x0, y0, x1, y1 = one.box.round().astype(int).clip(0)
                image[y0:y1, x0:x1] = self.clothes.get(name, image[y0:y1, x0:x1])
            image[0, 0, 0] = i
            yield image, i / self.rate

    def names(self, sightings, frame):
        """Number of the track of each visible person, by name."""
        found = {}
        for sighting in sightings:
            names = [n for n, one in self.people[frame].items() if apart(one, sighting.detection) < 1e-3]
            assert len(names) == 1 and names[0] not in found, "a person is held twice, or was never there"
            found[names[0]] = sighting.track
        return found

    def tracked(self, tracker=None):
        tracker = tracker or Tracker(self)
        return [self.names(tracker.step(*frame), i) for i, frame in enumerate(self.frames())]


class FollowedFilm(Film):
    """The same for a detector that follows. Its looks show whoever is nearest and in front, as real ones do."""

    def follow(self, image, people, hidden=()):
        frame = int(image[0, 0, 0])
        self.looks += [frame] * len(people)
        seen = [p for p in self.visible(frame).values() if all(apart(p, other) > 0.1 for other in hidden)]
        found = []
        for one in people:
            near = [p for p in seen if apart(one, p) < 0.3]
            found.append(near[0] if near else replace(one, score=0.0))
        return found


FILMS = pytest.mark.parametrize("film", [Film, FollowedFilm])


def crossing(rate=20.0, seconds=2.0):
    """Two people who walk past each other, a in front of b. They are 40 pixels apart in the beginning and the end."""
    middle, half = SIZE[0] / 2, 20.0
    frames = []
    for i in range(round(rate * seconds) + 1):
        time = i / rate
        place = half * (2 * time / seconds - 1)
        swing = np.sin(2 * np.pi * time)
        frames.append({"a": person(middle + place, 52, stride=swing), "b": person(middle - place, 46, stride=-swing)})
    return frames


@FILMS
@pytest.mark.parametrize("rate", [10.0, 20.0, 60.0])
def test_people_who_cross_keep_their_numbers(film, rate):
    film = film(crossing(rate), rate)
    tracks = film.tracked()
    assert tracks[0] == {"a": 0, "b": 1} == tracks[-1]
    assert all(found["a"] == 0 and found.get("b", 1) == 1 for found in tracks)
    hidden = sum(len(film.visible(i)) == 1 for i in range(len(tracks)))
    absent = sum("b" not in found for found in tracks)
    assert 0 < hidden <= absent <= hidden + 0.2 * rate + 1  # found again at the next search at the latest


@pytest.mark.parametrize(
    ("clothes", "weight", "kept"),
    [
        ({"a": 40, "b": 200}, 2.0, True),
        ({"a": 40, "b": 200}, 0.0, True),  # not while they meet, but when they stand alone again
        ({"a": 230, "b": 90}, 2.0, True),
        ({"a": 90, "b": 100}, 2.0, False),  # nothing tells them from people who have passed each other
    ],
)
def test_people_who_turn_back_are_told_by_their_clothes(clothes, weight, kept):
    """They run at each other, meet, and run back to where they came from."""
    there = [37 + 8 * i for i in range(6)]
    frames = [{"a": person(x), "b": person(160 - x)} for x in there + there[-2::-1]]
    film = Film(frames, rate=10.0, clothes=clothes)
    tracker = Tracker(film, replace(TrackingSettings(), color_weight=weight))
    tracks = [
        film.names(tracker.step(*frame, found=list(frames[i].values())), i) for i, frame in enumerate(film.frames())
    ]
    assert tracks[:6] == [{"a": 0, "b": 1}] * 6
    assert tracks[-1] == ({"a": 0, "b": 1} if kept else {"a": 1, "b": 0})


@FILMS
def test_order_of_detections_does_not_matter(film):
    flipped = [dict(reversed(list(frame.items()))) for frame in crossing()]
    tracks = film(flipped).tracked()
    assert tracks[0] == tracks[-1] == {"b": 0, "a": 1}


@FILMS
@pytest.mark.parametrize(("away", "number"), [(0.5, 0), (1.0, 0), (1.6, 1)])
def test_who_leaves_is_remembered_for_a_second(film, away, number):
    frames = [{"a": person(30 - 0.5 * i)} for i in range(20)]
    frames += [{} for _ in range(round(20 * away) - 1)]
    frames += [{"a": person(22 + 0.5 * i)} for i in range(10)]
    tracks = film(frames).tracked()
    assert [found.get("a") for found in tracks[:20]] == [0] * 20
    assert tracks[-1] == {"a": number}


@FILMS
def test_somebody_else_who_enters_elsewhere_is_new(film):
    frames = [{"a": person(30 - i)} for i in range(20)] + [{}] * 10 + [{"c": person(140 - i)} for i in range(20)]
    assert film(frames).tracked()[-1] == {"c": 1}


@FILMS
def test_a_cut_ends_all_tracks(film):
    """The same people at the same places in another picture are others."""
    people = {"a": person(40), "b": person(120)}
    film = film([people] * 20, scenes=[SCENE] * 10 + [OTHER_SCENE] * 10)
    tracks = film.tracked()
    assert tracks[9] == {"a": 0, "b": 1} and tracks[10] == {"a": 2, "b": 3} == tracks[-1]


@FILMS
@pytest.mark.parametrize("length", [1, 3])
def test_a_flash_is_no_cut(film, length):
    """The scene from before comes back, and with it its people, who go on from where they were."""
    people = [{"a": person(40 + 0.3 * i), "b": person(120)} for i in range(20)]
    film = film(people, scenes=[SCENE] * 10 + [np.full_like(SCENE, 255)] * length + [SCENE] * (10 - length))
    tracks = film.tracked()
    assert tracks[9] == tracks[10 + length] == tracks[-1] == {"a": 0, "b": 1}


@FILMS
def test_a_flash_in_the_second_scene_leads_back_to_it(film):
    """The people who go on after the flash are those of the scene before it, and not those of the first."""
    people = [{"a": person(40), "b": person(120)}] * 40
    film = film(people, scenes=[SCENE] * 10 + [OTHER_SCENE] * 15 + [np.full_like(SCENE, 255)] + [OTHER_SCENE] * 14)
    tracks = film.tracked()
    assert tracks[10] == tracks[24] == tracks[26] == tracks[-1] == {"a": 2, "b": 3}


def test_scenes_are_numbered():
    film = Film(
        [{"a": person(40)}] * 40,
        scenes=[SCENE] * 10 + [np.full_like(SCENE, 255)] * 2 + [SCENE] * 13 + [OTHER_SCENE] * 15,
    )
    tracker = Tracker(film)
    numbers = []
    for image, time in film.frames():
        tracker.step(image, time)
        numbers.append(tracker.scene)
    assert numbers == [0] * 10 + [1] * 2 + [0] * 13 + [2] * 15


def test_whom_searches_miss_is_followed():
    missed = {(i, "a") for i in range(1, 60)}
    film = FollowedFilm([{"a": person(40 + 0.5 * i), "b": person(140)} for i in range(60)], missed=missed)
    assert film.tracked() == [{"a": 0, "b": 1}] * 60


def test_searches_are_made_once_a_second():
    for rate in (10.0, 30.0):
        film = FollowedFilm([{"a": person(40), "b": person(140)}] * round(3 * rate + 1), rate)
        film.tracked()
        assert [frame / rate for frame in film.searches] == pytest.approx([0, 1, 2, 3])
        assert set(film.searches).isdisjoint(film.looks)  # whom a search finds is not looked at again


def test_a_newcomer_is_found_by_the_next_search():
    film = FollowedFilm([{"a": person(40)} | ({"b": person(140)} if i > 5 else {}) for i in range(30)])
    tracks = film.tracked()
    assert "b" not in tracks[19] and tracks[20] == {"a": 0, "b": 1}


def test_an_empty_scene_is_searched_often():
    film = FollowedFilm([{}] * 20 + [{"a": person(40)}] * 10)
    tracks = film.tracked()
    assert tracks[24] == {"a": 0} and 4 <= len(film.searches) <= 8


def test_two_looks_that_show_one_person_hold_them_once():
    """b is behind a and then gone: the looks at b show a, who stays a and is not doubled."""
    frames = [{"a": person(80, 52), "b": person(80 + 16 - i, 46)} for i in range(17)] + [{"a": person(80, 52)}] * 10
    film = FollowedFilm(frames)
    tracks = film.tracked()
    assert all(found["a"] == 0 for found in tracks) and tracks[-1] == {"a": 0}


@FILMS
def test_a_resumed_tracker_gives_the_same_tracks(film):
    frames = crossing()
    scenes = [SCENE] * 5 + [OTHER_SCENE] * 2 + [SCENE] * 25 + [OTHER_SCENE] * 9  # a flash and a cut
    whole = Tracker(film(frames, scenes=scenes))
    expected = [
        [(s.track, s.detection.box.tolist()) for s in whole.step(*f)] for f in film(frames, scenes=scenes).frames()
    ]
    for killed in range(1, len(frames), 3):
        tracker = Tracker(film(frames, scenes=scenes))
        found = []
        for i, frame in enumerate(film(frames, scenes=scenes).frames()):
            if i == killed:
                file = io.BytesIO()
                np.savez(file, **tracker.state())
                file.seek(0)
                state = dict(np.load(file, allow_pickle=False))
                tracker = Tracker.resumed(film(frames, scenes=scenes), state)
            found.append([(s.track, s.detection.box.tolist()) for s in tracker.step(*frame)])
        assert found == expected


def test_users_own_detections_are_tracked_without_looks():
    film = FollowedFilm(crossing())
    tracker = Tracker(film)
    for i, (image, time) in enumerate(film.frames()):
        found = film.names(tracker.step(image, time, found=list(film.visible(i).values())), i)
        assert found["a"] == 0 and found.get("b", 1) == 1
    assert found == {"a": 0, "b": 1} and not film.searches and not film.looks


def test_boxes_alone_are_tracked():
    tracker = Tracker(lambda image, boxes=None: pytest.fail("the detector was asked"))
    nothing = np.zeros((17, 3), np.float32)
    for i in range(40):
        places = [(a, replace(person(x), keypoints=nothing)) for a, x in ((0, 30 + i), (1, 120 - i))]
        if i % 7 == 3:
            places = places[1:]
        sightings = tracker.step(SCENE, i / 20, found=[one for _, one in places])
        assert [s.track for s in sightings] == [number for number, _ in places]


def test_frames_come_in_order():
    tracker = Tracker(lambda image, boxes=None: [])
    tracker.step(SCENE, 0.5)
    with pytest.raises(ValueError, match=r"0\.5 s"):
        tracker.step(SCENE, 0.5)


def test_exchanged_sides_are_the_same_person():
    one = person(40, stride=0.3)
    other = replace(one, keypoints=one.keypoints[flip_permutation("coco17")])
    assert apart(one, other) == 0
    assert apart(one, person(60)) == pytest.approx(20 / np.linalg.norm(np.ptp(one.keypoints[:, :2], axis=0)), rel=0.2)


def test_moved_people_have_moved():
    one = replace(person(40), region=None)
    assert movement(one, moved(one, np.array([3.0, -2.0]))).tolist() == [3, -2]
    assert movement(moved(one, np.array([3.0, -2.0])), person(40)).tolist() == [-3, 2]


def test_the_default_detector_follows_a_person_out_of_the_photo_and_back():
    """A photo that is shifted under the camera: found where they are, with a search only when one is due."""
    image = read_photo(EXAMPLES / "dancer.jpg").image
    detector = load_detector()
    (first,) = detector(image)
    searches = []

    class Counted:
        follow = staticmethod(detector.follow)

        def __call__(self, image, boxes=None):
            searches.append(1)
            return detector(image, boxes)

    tracker = Tracker(Counted(), replace(TrackingSettings(), search_every=10.0))
    for i in range(4):
        (sighting,) = tracker.step(np.roll(image, 12 * i, axis=1), i / 12)
        sure = first.keypoints[:, 2] > 0.5
        shift = np.median(sighting.detection.keypoints[sure, 0] - first.keypoints[sure, 0])
        assert sighting.track == 0 and shift == pytest.approx(12 * i, abs=5)
    assert len(searches) == 1
