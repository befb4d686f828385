"""Clips of any kind: which frames are chosen, and what a clip is."""

import itertools

import numpy as np
import pytest
from helpers.clips import level_of, levels, write_video
from PIL import Image

from meshrec.errors import InputError
from meshrec.files.clips import is_clip, nearest_frames, open_clip
from meshrec.files.names import natural_key


@pytest.mark.parametrize("source", ["list", "tuple", "array", "generator", "video", "folder", "animation"])
def test_the_same_options_choose_the_same_frames_of_every_source(tmp_path, source):
    images = levels(30)

    def opened(**options):
        if source == "video":
            return open_clip(write_video(tmp_path / "a.mp4", images), **options)
        if source == "animation":
            frames = [Image.fromarray(image) for image in images]
            frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=40)
            return open_clip(tmp_path / "a.png", **options)
        if source == "folder":
            (tmp_path / "frames").mkdir(exist_ok=True)
            for number, image in enumerate(images):
                Image.fromarray(image).save(tmp_path / "frames" / f"{number}.png")
            return open_clip(tmp_path / "frames", fps=25, **options)
        arrays = {"list": list, "tuple": tuple, "array": np.stack, "generator": iter}[source](images)
        return open_clip(arrays, fps=25, **options)

    for options, numbers in (
        ({}, range(30)),
        ({"stride": 4}, range(0, 30, 4)),
        ({"start": 0.4}, range(10, 30)),
        ({"end": 0.4}, range(10)),
        ({"start": 0.1, "end": 0.6, "stride": 3}, range(3, 15, 3)),  # 0.1 lies between two frames
        ({"start": 1.16}, [29]),
    ):
        clip = opened(**options)
        frames = list(clip)
        assert [frame.number for frame in frames] == list(numbers)
        assert [frame.time for frame in frames] == pytest.approx([number / 25 for number in numbers])
        assert [level_of(frame.image) for frame in frames] == list(numbers)
        assert clip.rate == pytest.approx(25 / options.get("stride", 1)) and clip.size == (64, 48)
        if source == "generator":
            assert clip.count is None and clip.times is None
        else:
            assert clip.count == len(frames) and clip.times == pytest.approx([frame.time for frame in frames])
            again = [frame.number for frame in clip.after(frames[0].number)]
            assert again == [frame.number for frame in frames[1:]]


def test_what_is_decoded_is_asked_for(tmp_path):
    """Nothing is read ahead of the frame that is wanted, so that an endless source is a clip, too."""
    made = []

    def camera():
        for number in itertools.count():
            made.append(number)
            yield np.full((48, 64, 3), number % 256, np.uint8)

    clip = open_clip(camera(), fps=30, stride=5)
    assert [frame.number for frame in itertools.islice(clip, 4)] == [0, 5, 10, 15]
    assert made == list(range(16))
    with pytest.raises(InputError, match="can be read once"):
        next(iter(clip))


@pytest.mark.parametrize("fps", [0.3, 1, 7.3, 12, 24, 29.97, 30, 47, 60, 500])
def test_nearest_frames(fps):
    """Against the definition: each instant has its nearest frame, and no frame comes twice."""
    rng = np.random.default_rng(0)
    for times in (np.arange(90) / 30, np.cumsum(rng.uniform(0.01, 0.08, 90)), np.array([3.0])):
        instants = times[0] + np.arange(int((times[-1] - times[0]) * fps + 1e-6) + 1) / fps
        distance = np.abs(times[:, None] - instants)
        chosen = nearest_frames(times, fps)
        assert (np.diff(chosen) > 0).all() and chosen[0] == 0
        assert distance[chosen].min(axis=0) == pytest.approx(distance.min(axis=0), abs=3e-6)
        assert len(chosen) <= len(instants)
    assert nearest_frames(np.arange(90) / 30, 30).tolist() == list(range(90))
    assert nearest_frames(np.arange(90) / 30, 15).tolist() == list(range(0, 90, 2))
    assert len(nearest_frames(np.array([0.0, 1e15]), 30)) == 2  # hours that a damaged file claims cost nothing


def test_a_clip_is_not_made_faster_than_it_is(tmp_path):
    clip = open_clip(write_video(tmp_path / "a.mp4", levels(10)), fps=60)
    assert clip.count == 10 and clip.rate == 25 and "25 frames per second" in clip.notes[0]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"start": -1}, "start"),
        ({"start": float("nan")}, "start"),
        ({"start": float("inf")}, "start"),
        ({"end": 0}, "end"),
        ({"end": float("nan")}, "end"),
        ({"start": 2, "end": 1}, "end"),
        ({"stride": 0}, "stride"),
        ({"fps": 0}, "frame rate"),
        ({"fps": float("nan")}, "frame rate"),
        ({"fps": 1e9}, "frame rate"),
        ({"start": 100}, "lasts 0.4 seconds"),
        ({"start": 0.01, "end": 0.02}, "no frame in the part"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, part):
    path = write_video(tmp_path / "a.mp4", levels(10))
    with pytest.raises(InputError, match=part) as caught:
        open_clip(path, **options)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["gif", "png", "webp"])
def test_pictures_are_clips_if_they_move(tmp_path, kind):
    frames = [Image.new("RGB", (64, 48), (level, 0, 0)) for level in (0, 99, 200)]
    frames[0].save(tmp_path / f"one.{kind}")
    frames[0].save(tmp_path / "moves.jpg", kind, save_all=True, append_images=frames[1:])
    assert not is_clip(tmp_path / f"one.{kind}") and is_clip(tmp_path / "moves.jpg")
    assert open_clip(tmp_path / "moves.jpg").count == 3
    with pytest.raises(InputError, match="this is a photo, not a clip"):
        open_clip(tmp_path / f"one.{kind}")


def test_photos_and_other_files_are_no_clips(tmp_path):
    image = Image.new("RGB", (64, 48))
    for name in ("a.jpg", "a.bmp", "a.tif", "a.mp4"):
        image.save(tmp_path / name, "JPEG" if name == "a.mp4" else None)
        assert not is_clip(tmp_path / name)
    image.save(tmp_path / "pages.tif", save_all=True, append_images=[image])
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    for name in ("pages.tif", "a.json", "a.heic", ".", "missing.mp4"):
        assert not is_clip(tmp_path / name)


def test_names_are_sorted_by_their_numbers():
    names = [
        "b1.png",
        "a10.png",
        "a2.png",
        "a02.png",
        "A1.png",
        "2.png",
        "10.png",
        "1.png",
        "a.png",
        "a1b3.png",
        "²5.png",
    ]
    by_number = sorted(names, key=natural_key)
    assert by_number[:3] == ["1.png", "2.png", "10.png"] and by_number.index("A1.png") < by_number.index("a2.png")
    assert by_number.index("a2.png") < by_number.index("a10.png") < by_number.index("b1.png")
    names.reverse()
    assert sorted(names, key=natural_key) == by_number


def test_a_part_of_a_clip_with_changed_pictures():
    clip = open_clip([np.full((48, 64, 3), 10 * k, np.uint8) for k in range(9)], fps=10, stride=2)
    part = clip.changed(lambda image: image + 1).between(0.15, 0.61)
    assert [(frame.number, int(frame.image.max())) for frame in part] == [(2, 21), (4, 41), (6, 61)]
    assert part.count == 3 and [number for number, _ in zip(*part.numbers_and_times())] == [2, 4, 6]
    with pytest.raises(InputError, match="no frame from 2 to 3 seconds"):
        clip.between(2, 3)


def test_a_part_of_a_generator():
    clip = open_clip((np.full((48, 64, 3), 10 * k, np.uint8) for k in range(9)), fps=10)
    assert [frame.number for frame in clip.between(0.2, 0.4)] == [2, 3, 4]
