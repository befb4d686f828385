"""Videos as phones, cameras, browsers and editors write them: exact numbers and times, upright frames, clear errors."""

import sys
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.clips import SIZE, level_of, levels, turned, write_sound, write_video

from meshrec.errors import InputError
from meshrec.files.clips import is_clip, open_clip
from meshrec.files.video_file import VideoFile

KEYS = {"g": "10", "keyint_min": "10", "sc_threshold": "0"}
QUIET = "log-level=none"
# Names, encoders and options of videos of 40 frames, whose order in the file, references and times differ.
WRITTEN = {
    "b-frames.mp4": ("libx264", KEYS),
    "open-groups.mkv": ("libx264", {"x264-params": "open-gop=1:bframes=3:keyint=10"}),
    "refreshed.mkv": ("libx264", {"x264-params": "intra-refresh=1:keyint=10"}),
    "open-groups.mov": ("libx265", {"x265-params": f"open-gop=1:bframes=4:keyint=10:{QUIET}"}),
    "hidden-frames.webm": ("libvpx", KEYS | {"auto-alt-ref": "1", "lag-in-frames": "10"}),
    "vp9.webm": ("libvpx-vp9", KEYS | {"auto-alt-ref": "1", "lag-in-frames": "10"}),
    "fragments.mp4": ("libx264", KEYS),
    "divx.avi": ("mpeg4", KEYS | {"bf": "2"}),
    "h264.avi": ("libx264", KEYS),
    "camcorder.mts": ("libx264", KEYS),
    "disc.mpg": ("mpeg2video", KEYS | {"bf": "2"}),
    "windows.wmv": ("wmv2", KEYS),
    "phone.3gp": ("mpeg4", KEYS),
    "flash.flv": ("libx264", KEYS),
    "raw.h264": ("libx264", KEYS),
}
CONTAINERS = {".mts": "mpegts", ".h264": "h264"}


def busy(count: int) -> list[np.ndarray]:
    """Frames of noise that moves, whose decoding would show a wrong reference."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 60, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    return [noise[k % 24 : k % 24 + 48, 3 * k % 160 : 3 * k % 160 + 64] for k in range(count)]


def content(frames) -> list[tuple[int, float, bytes]]:
    return [(frame.number, frame.time, frame.image.tobytes()) for frame in frames]


def changed(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", WRITTEN)
def test_every_frame_comes_once_and_a_part_is_what_the_whole_has_there(tmp_path, name):
    codec, options = WRITTEN[name]
    path = write_video(tmp_path / name, busy(40), codec, options, container=CONTAINERS.get(Path(name).suffix))
    clip = open_clip(path)
    whole = content(clip)
    assert (clip.size, clip.count, clip.rate) == (SIZE, 40, pytest.approx(25))
    assert [number for number, _, _ in whole] == list(range(40)) and content(clip) == whole
    assert [time for _, time, _ in whole] == pytest.approx(np.arange(40) / 25, abs=1e-3)
    for number in (-1, 0, 13, 29, 30, 31, 37, 39, 100):
        assert content(islice(clip.after(number), 3)) == whole[number + 1 : number + 4]
    assert content(open_clip(path, stride=7)) == whole[::7]
    assert content(open_clip(path, start=0.6, end=1.2, stride=2)) == whole[15:30:2]
    assert clip.notes == (() if name != "raw.h264" else (clip.notes[0],))


def test_a_seek_decodes_little(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", busy(100), options=KEYS)
    numbers = []
    find = VideoFile._number

    def counted(self, frame, last):
        numbers.append(find(self, frame, last))
        return numbers[-1]

    clip = open_clip(path)
    monkeypatch.setattr(VideoFile, "_number", counted)
    assert next(clip.after(84)).number == 85
    assert numbers[0] == 70 and len(numbers) < 40  # the key frame before the last one


def test_a_seek_that_leads_elsewhere_is_not_believed(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", busy(100), options=KEYS)
    clip = open_clip(path)
    monkeypatch.setattr(VideoFile, "_key_before", lambda self, first: int(self._keys[-1]))
    assert next(clip.after(50)).number == 51


def test_times_of_a_variable_rate_are_exact(tmp_path):
    stamps = np.cumsum(np.random.default_rng(0).integers(15, 90, 30))
    path = write_video(tmp_path / "a.mp4", levels(30), stamps=stamps, base=Fraction(1, 1000))
    clip = open_clip(path)
    truth = (stamps - stamps[0]) / 1000
    assert [frame.time for frame in clip] == pytest.approx(truth, abs=1e-9)
    assert clip.rate == pytest.approx(29 / truth[-1])
    resampled = open_clip(path, fps=10)
    nearest = {int(np.abs(truth - instant).argmin()) for instant in np.arange(0, truth[-1], 0.1)}
    assert {frame.number for frame in resampled} == nearest and resampled.rate == 10
    assert [frame.time for frame in resampled] == pytest.approx(truth[sorted(nearest)], abs=1e-9)


def test_times_that_start_again_are_not_believed(tmp_path):
    one = write_video(tmp_path / "1.ts", levels(20), options=KEYS).read_bytes()
    clip = open_clip(changed(tmp_path / "a.ts", one + one))
    assert [level_of(frame.image) for frame in clip] == [*range(20), *range(20)]
    assert [frame.time for frame in clip] == pytest.approx(np.arange(40) / 25)
    assert "no exact times" in clip.notes[0]


@pytest.mark.parametrize(
    ("turn", "shown"),
    [
        ((1, 0, 0, 1), lambda a: a),
        ((0, 1, -1, 0), lambda a: np.rot90(a, -1)),
        ((-1, 0, 0, -1), lambda a: np.rot90(a, 2)),
        ((0, -1, 1, 0), lambda a: np.rot90(a)),
        ((-1, 0, 0, 1), lambda a: a[:, ::-1]),
        ((1, 0, 0, -1), lambda a: a[::-1]),
        ((0, 1, 1, 0), lambda a: a.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
    ],
)
def test_display_matrices_turn_and_mirror(tmp_path, turn, shown):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    stored = write_video(tmp_path / "stored.mp4", [image] * 2, options={"crf": "5"})
    clip = open_clip(changed(tmp_path / "a.mp4", turned(stored.read_bytes(), turn)))
    seen, truth = next(iter(clip)).image, shown(image)
    assert clip.size == (truth.shape[1], truth.shape[0]) and seen.shape == truth.shape and seen.flags.c_contiguous
    assert np.abs(seen.astype(int) - truth).mean() < 8


def test_pixels_become_square(tmp_path):
    wide = open_clip(write_video(tmp_path / "a.mp4", levels(2), shape=Fraction(16, 11)))
    assert wide.size == (93, 48) and [frame.image.shape for frame in wide] == [(48, 93, 3)] * 2
    tall = open_clip(write_video(tmp_path / "b.mp4", levels(2), shape=Fraction(8, 9)))
    assert tall.size == (64, 54)
    stored = (tmp_path / "a.mp4").read_bytes()
    assert open_clip(changed(tmp_path / "c.mp4", turned(stored, (0, 1, -1, 0)))).size == (48, 93)


def test_ten_bits_and_hdr(tmp_path):
    options = {"x265-params": QUIET}
    plain = open_clip(write_video(tmp_path / "a.mp4", levels(5), "libx265", options, "yuv420p10le"))
    assert [level_of(frame.image) for frame in plain] == list(range(5)) and plain.notes == ()
    bright = open_clip(write_video(tmp_path / "b.mp4", levels(5), "libx265", options, "yuv420p10le", transfer=18))
    assert len(bright.notes) == 1 and "HDR (HLG)" in bright.notes[0]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("a.mkv", "ffv1", "gray"), ("a.mkv", "ffv1", "bgr0"), ("a.mov", "prores", "yuv422p10le"),
     ("a.mkv", "libx264", "yuv444p"), ("a.avi", "mjpeg", "yuvj420p"), ("a.webm", "libvpx-vp9", "yuva420p")],
)  # fmt: skip
def test_pixel_formats(tmp_path, name, codec, pixels):
    clip = open_clip(write_video(tmp_path / name, levels(5), codec, pixels=pixels))
    assert [level_of(frame.image) for frame in clip] == list(range(5))


def test_colours_that_are_not_described_are_those_of_the_size(tmp_path):
    """BT.709 for HD and BT.601 below, as players have it; FFmpeg's own conversion takes BT.601 for both."""
    for height, matrix in ((480, "ITU601"), (720, "ITU709")):
        image = np.full((height, 64, 3), (200, 120, 40), np.uint8)
        with av.open(str(tmp_path / "a.mp4"), "w") as file:
            stream = file.add_stream("libx264", rate=25, options={"crf": "5"})
            stream.width, stream.height, stream.pix_fmt = 64, height, "yuv420p"
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            file.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=matrix)))
            file.mux(stream.encode(None))
        seen = next(iter(open_clip(tmp_path / "a.mp4"))).image
        assert np.abs(seen.astype(int) - image).max() <= 4, height


def test_interlaced_frames_lose_the_other_field(tmp_path):
    images = levels(3)
    for image in images:
        image[1::2] = 255
    path = write_video(tmp_path / "a.mp4", images, options={"flags": "+ilme+ildct", "x264-params": "tff=1"})
    clip = open_clip(path)
    assert [level_of(frame.image) for frame in clip] == [0, 1, 2]
    assert "interlaced" in clip.notes[0]


def test_frames_that_change_their_size_are_fitted(tmp_path):
    one = write_video(tmp_path / "1.ts", levels(20)[10:]).read_bytes()
    two = write_video(tmp_path / "2.ts", [np.full((64, 64, 3), 200, np.uint8)] * 10).read_bytes()
    clip = open_clip(changed(tmp_path / "a.ts", one + two))
    last = list(clip)[-1].image
    assert last.shape == (48, 64, 3) and last[:, 8:56].min() > 190 and last[:, :8].max() == last[:, 56:].max() == 0
    assert any("change their size" in note for note in clip.notes)


def test_one_frame_is_a_clip(tmp_path):
    path = write_video(tmp_path / "a.mp4", levels(1))
    clip = open_clip(path)
    assert is_clip(path) and [(frame.number, frame.time) for frame in clip] == [(0, 0.0)] and clip.rate == 25


def test_a_cover_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        sound = file.add_stream("aac", rate=44100)
        cover = file.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        file.mux(cover.encode(av.VideoFrame.from_ndarray(levels(1)[0], format="rgb24").reformat(format="yuvj420p")))
        file.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts = 44100, 0
        file.mux(sound.encode(frame))
        file.mux(sound.encode(None))
    with pytest.raises(InputError, match="no video in this file, only sound"):
        open_clip(tmp_path / "a.mp4")


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_of_a_truncated_video_the_frames_before_are_read(tmp_path, suffix):
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    path = tmp_path / f"whole.{suffix}"
    whole = write_video(path, busy(60), options=KEYS, base=Fraction(1, 10), container_options=options)
    data = whole.read_bytes()
    clip = open_clip(changed(tmp_path / f"a.{suffix}", data[: len(data) * 6 // 10]))
    read = content(clip)
    assert clip.count is not None and 20 <= len(read) <= clip.count < 60
    truth = content(open_clip(whole))
    assert sum(frame in truth for frame in read) >= len(read) - 4
    if suffix in ("mp4", "mkv"):  # which say how much there should be
        assert any("cut short" in note or "says that it lasts" in note for note in clip.notes)


def test_a_hole_is_noted_and_the_rest_is_read(tmp_path):
    data = bytearray(write_video(tmp_path / "whole.mp4", busy(60), options=KEYS).read_bytes())
    start = data.index(b"mdat") + 4
    middle = start + (data.rindex(b"moov") - start) // 2
    data[middle : middle + 400] = np.random.default_rng(0).integers(0, 256, 400, dtype=np.uint8).tobytes()
    clip = open_clip(changed(tmp_path / "a.mp4", bytes(data)))
    numbers = [frame.number for frame in clip]
    assert {*range(20), *range(50, 60)} <= set(numbers) and numbers == sorted(set(numbers))
    assert len(numbers) == 60 or any("damaged near" in note for note in clip.notes)


def test_a_file_that_changes_is_not_read_on(tmp_path):
    path = write_video(tmp_path / "a.mp4", levels(10))
    clip = open_clip(path)
    write_video(path, levels(12))
    with pytest.raises(InputError, match="changed while it was read"):
        list(clip)


def test_the_content_decides_and_not_the_name(tmp_path):
    video = write_video(tmp_path / "a.mp4", levels(3)).read_bytes()
    for name in ("a.jpg", "a.txt", "a", "http:a.m3u8", "concat:a|b.gif"):
        path = changed(tmp_path / name, video)
        assert is_clip(path) and open_clip(path).count == 3


def broken(folder: Path) -> dict[str, tuple[bytes, str]]:
    """Files that cannot be read, and a part of the sentence that says why."""
    video = write_video(folder / "video.mp4", busy(20), options=KEYS).read_bytes()
    small = write_video(folder / "small.mp4", [np.zeros((8, 8, 3), np.uint8)]).read_bytes()
    mkv = write_video(folder / "video.mkv", levels(5)).read_bytes()
    return {
        "empty.mp4": (b"", "the file is empty"),
        "text.mp4": (b"no video at all" * 100, "not a video in a known format"),
        "no-index.mp4": (video[: video.index(b"moov") - 4], "cut short or damaged"),
        "only-head.mp4": (video[:40], "cut short or damaged"),
        "no-frames.mp4": (video.replace(b"stsz", b"free").replace(b"stsc", b"free"), "no-frames.mp4: "),
        "small.mp4": (small, "too small"),
        "sound.m4a": (write_sound(folder / "sound.mp4").read_bytes(), "only sound"),
        "unknown.mkv": (mkv.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/ZZZ"), "encoded in a way that is not read"),
        "forgotten.mov": (video.replace(b"avc1", b"rpza"), "encoded as rpza"),
        "playlist.m3u8": (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nvideo.mp4\n",
            "not a video in a known format",
        ),
        "list.txt": (b"ffconcat version 1.0\nfile video.mp4\n", "not a video in a known format"),
        "session.sdp": (b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "not a video in a known format"),
    }


def test_broken_files_have_one_sentence_each(tmp_path):
    (tmp_path / "out").mkdir()
    for name, (data, part) in broken(tmp_path / "out").items():
        path = changed(tmp_path / name, data)
        with pytest.raises(InputError) as caught:
            list(open_clip(path))
        sentence = str(caught.value)
        assert part in sentence and sentence.startswith(str(path)), (name, sentence)
        assert sentence.endswith(".") and "\n" not in sentence, sentence
    for name, part in (("missing.mp4", "no such file"), ("\0.mp4", "cannot be read"), ("x" * 300, "cannot be read")):
        with pytest.raises(InputError, match=part):
            open_clip(tmp_path / name)
        assert not is_clip(tmp_path / name)


def test_frames_that_are_too_large_are_refused(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", levels(3))
    monkeypatch.setattr("meshrec.files.video_frames.MOST_PIXELS", 3000)
    with pytest.raises(InputError, match="64 x 48 pixels have more than"):
        open_clip(path)
    monkeypatch.setattr("meshrec.files.video_frames.MOST_PIXELS", 10**9)
    monkeypatch.setattr("meshrec.files.video_file.MOST_PIXELS", 3000)  # if only the decoder finds out
    with pytest.raises(InputError, match=r"no frame of this video can be decoded|cut short or damaged"):
        open_clip(path)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/zero, which only Unix has")
def test_devices_and_pipes_are_refused():
    with pytest.raises(InputError, match="no regular file"):
        open_clip("/dev/zero")
