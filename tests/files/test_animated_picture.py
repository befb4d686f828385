"""Animated GIF, WebP and PNG: what a browser shows, and when."""

import numpy as np
import pytest
from PIL import Image

from meshrec.errors import InputError
from meshrec.files.clips import is_clip, open_clip

KINDS = ("gif", "png", "webp")


def save(path, frames, **options):
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **lossless, **options)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_frames_and_times(tmp_path, kind):
    frames = [Image.new("RGB", (64, 48), (20 * number, 0, 255)) for number in range(8)]
    shown = [50, 120, 30, 400, 50, 50, 70, 90]
    clip = open_clip(save(tmp_path / f"a.{kind}", frames, duration=shown))
    read = list(clip)
    assert [frame.time for frame in read] == pytest.approx(np.cumsum([0, *shown[:-1]]) / 1000)
    assert [frame.image[24, 32].tolist() for frame in read] == [[20 * number, 0, 255] for number in range(8)]
    assert clip.rate == pytest.approx(8000 / sum(shown)) and clip.size == (64, 48) and clip.notes == ()
    assert [frame.number for frame in clip.after(5)] == [6, 7]
    assert [frame.number for frame in open_clip(tmp_path / f"a.{kind}", fps=5)] == [0, 3, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_transparent_parts_are_white(tmp_path, kind):
    frames = [Image.new("RGBA", (64, 48), (0, 0, 0, 0)) for _ in range(3)]
    for number, frame in enumerate(frames):
        for box in ((10 * number, 10, 10 * number + 10, 20), (0, 0, 1, 1), (63, 47, 64, 48)):
            frame.paste((255, 0, 0, 255), box)
    disposal = {"gif": {"disposal": 2}, "png": {"disposal": 1}}.get(kind, {})  # to the background after each frame
    clip = open_clip(save(tmp_path / f"a.{kind}", frames, duration=100, **disposal))
    for number, frame in enumerate(clip):
        truth = np.full((48, 64, 3), 255, np.uint8)
        truth[10:20, 10 * number : 10 * number + 10] = truth[0, 0] = truth[-1, -1] = (255, 0, 0)
        assert np.array_equal(frame.image, truth), number
    assert clip.notes == ("transparent parts are shown on white",)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_that_change_lie_on_what_was_there(tmp_path, kind):
    """Writers store what changes only; colours beyond a palette of 256 come from several frames' own palettes."""
    rng = np.random.default_rng(0)
    image = np.zeros((48, 64, 3), np.uint8)
    frames = []
    for number in range(6):
        image[8 * number : 8 * number + 8] = np.repeat(rng.integers(0, 256, (8, 8, 3)), 8, axis=1)
        frames.append(image.copy())
    clip = open_clip(save(tmp_path / f"a.{kind}", [Image.fromarray(frame) for frame in frames], duration=40))
    read = [frame.image.astype(int) for frame in clip]
    assert len(read) == 6
    for seen, truth in zip(read, frames, strict=True):
        assert np.abs(seen - truth).mean() < (8 if kind == "gif" else 0.01)


def test_frames_without_a_time_are_shown_as_browsers_do(tmp_path):
    frames = [Image.new("RGB", (64, 48), (20 * number, 0, 255)) for number in range(4)]
    clip = open_clip(save(tmp_path / "a.gif", frames, duration=0))
    assert clip.rate == pytest.approx(10) and [frame.time for frame in clip] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_default_picture_of_a_png_is_not_shown(tmp_path):
    frames = [Image.new("RGB", (64, 48), (20 * number, 0, 255)) for number in range(4)]
    clip = open_clip(save(tmp_path / "a.png", frames, duration=100, default_image=True))
    assert [int(frame.image[0, 0, 0]) for frame in clip] == [20, 40, 60] and clip.count == 3


@pytest.mark.parametrize("kind", KINDS)
def test_truncated(tmp_path, kind):
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)) for _ in range(10)]
    whole = save(tmp_path / f"whole.{kind}", frames, duration=40).read_bytes()
    path = tmp_path / f"a.{kind}"
    for part in (0.95, 0.55, 0.3, 0.05, 0.01):
        path.write_bytes(whole[: int(len(whole) * part)])
        try:
            clip = open_clip(path)
            read = list(clip)
        except InputError as error:
            sentence = str(error)
            assert sentence.startswith(str(path)) and sentence.endswith(".") and "\n" not in sentence
            assert part < 0.4 or kind == "webp"  # a WebP is opened whole or not at all
        else:
            assert len(read) <= 10 * part + 1 and clip.count is not None
            assert len(read) == clip.count or "damaged" in clip.notes[-1]
        is_clip(path)
