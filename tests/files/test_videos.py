"""Writing videos: what players expect of the file, and nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.clips import SIZE, level_of, levels

from meshrec.errors import InputError, MissingDependency
from meshrec.files.clips import open_clip
from meshrec.files.videos import VideoSettings, VideoWriter, exact_rate, join_videos


def test_an_independent_reader_finds_h264_that_browsers_play(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", SIZE, 29.97) as video:
        for image in levels(30):
            video.write(image)
    with av.open(str(tmp_path / "a.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.width, stream.height) == ("h264", "yuv420p", *SIZE)
        assert stream.average_rate == Fraction(30000, 1001)
        frames = list(file.decode(video=0))
    assert [frame.time for frame in frames] == pytest.approx([k * 1001 / 30000 for k in range(30)], abs=1e-4)
    assert [level_of(frame.to_ndarray(format="rgb24")) for frame in frames] == list(range(30))
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # so that it plays while it loads


def test_colours_survive(tmp_path):
    """Within what 4:2:0 and 8 bits allow, and in a reader that believes what the file says of its colours."""
    colours = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40), (255, 255, 255), (0, 0, 0)], np.uint8)
    image = np.repeat(np.repeat(colours[None], 48, axis=0), 16, axis=1)
    with VideoWriter(tmp_path / "a.mp4", (96, 48), 25, VideoSettings(quality=5)) as video:
        video.write(image)
    with av.open(str(tmp_path / "a.mp4")) as file:
        frame = next(file.decode(video=0))
    assert (frame.colorspace, frame.color_range) == (1, 1)
    seen = frame.to_ndarray(format="rgb24")[24, 8::16]
    assert np.abs(seen.astype(int) - colours).max() <= 6


def test_odd_sides_get_a_row_and_a_column(tmp_path):
    image = np.zeros((49, 65, 3), np.uint8)
    image[-8:], image[:, -8:] = 255, 255
    with VideoWriter(tmp_path / "a.mp4", (65, 49), 10) as video:
        video.write(image)
    with av.open(str(tmp_path / "a.mp4")) as file:
        seen = next(file.decode(video=0)).to_ndarray(format="rgb24")
    assert seen.shape == (50, 66, 3)
    assert np.abs(seen[:49, :65].astype(int) - image).mean() < 10 and seen[-1].min() > 200 and seen[:, -1].min() > 200


@pytest.mark.parametrize(
    ("rounded", "exact"),
    [(23.976, Fraction(24000, 1001)), (29.97, Fraction(30000, 1001)), (59.94, Fraction(60000, 1001)), (25, 25),
     (12.5, Fraction(25, 2)), (30000 / 1001, Fraction(30000, 1001)), (Fraction(7, 3), Fraction(7, 3))],
)  # fmt: skip
def test_rates_of_television_are_exact(rounded, exact):
    assert exact_rate(rounded) == exact


def test_an_error_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="from the caller"), VideoWriter(path, SIZE, 25) as video:
        video.write(levels(1)[0])
        raise OSError("from the caller")
    with pytest.raises(ValueError, match="no frame was written"), VideoWriter(path, SIZE, 25):
        pass
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.mp4", b"old")]
    with VideoWriter(path, SIZE, 25) as video:
        video.write(levels(1)[0])
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"] and path.stat().st_size > 500


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals, which only Unix has")
def test_a_killed_program_leaves_no_file_of_that_name(tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from meshrec.files import VideoWriter\n"
        "with VideoWriter(sys.argv[1], (64, 48), 25) as video:\n"
        "    for _ in range(10**6):\n"
        "        video.write(np.zeros((48, 64, 3), np.uint8))\n"
        "        print(flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, tmp_path / "a.mp4"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert not (tmp_path / "a.mp4").exists()
    with VideoWriter(tmp_path / "a.mp4", SIZE, 25) as video:  # removes what the other has left
        video.write(levels(1)[0])
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_names_that_ffmpeg_would_take_for_something_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pipe:1.mp4", "concat:a|b.mp4", "100%d.mp4", "häuser ü.mp4", "-.mp4"):
        with VideoWriter(name, SIZE, 25) as video:
            video.write(levels(1)[0])
        assert (tmp_path / name).stat().st_size > 500


def test_another_encoder_and_none(tmp_path):
    """No build of FFmpeg for tests has the other encoders, so that another codec stands for them."""
    with VideoWriter(tmp_path / "a.mp4", SIZE, 25, VideoSettings(encoders=("none", "mpeg4"))) as video:
        for image in levels(3):
            video.write(image)
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert len(list(file.decode(video=0))) == 3
    with pytest.raises(MissingDependency, match="without an encoder for H"):
        VideoWriter(tmp_path / "b.mp4", SIZE, 25, VideoSettings(encoders=("none",)))


def test_a_full_disk(tmp_path):
    """The system really refuses the write: the process may make no file larger than 1,000 bytes."""
    resource = pytest.importorskip("resource", reason="needs limits of processes, which only Unix has")
    program = (
        "import resource, signal, sys, numpy as np\n"
        "from meshrec.files import VideoWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))\n"
        "noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)\n"
        "try:\n"
        "    with VideoWriter(sys.argv[1], (64, 48), 25) as video:\n"
        "        for _ in range(100):\n"
        "            video.write(noise)\n"
        "except ValueError as error:\n    print(type(error).__name__, error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program, tmp_path / "a.mp4"], capture_output=True, text=True)
    assert answer.stdout.startswith(f"InputError cannot write {tmp_path / 'a.mp4'}: "), answer.stderr
    assert "\n" not in answer.stdout.strip() and list(tmp_path.iterdir()) == []


def test_wrong_arguments(tmp_path):
    path = tmp_path / "a.mp4"
    with pytest.raises(InputError, match=r"must end in \.mp4"):
        VideoWriter(tmp_path / "a.avi", SIZE, 25)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(InputError, match="it is a folder"), VideoWriter(tmp_path / "folder.mp4", SIZE, 25):
        pass
    for size in ((0, 48), (64, 9000)):
        with pytest.raises(ValueError, match="sides"):
            VideoWriter(path, size, 25)
    for rate in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="rate"):
            VideoWriter(path, SIZE, rate)
    video = VideoWriter(path, SIZE, 25)
    with pytest.raises(ValueError, match="inside"):
        video.write(levels(1)[0])
    for image in (np.zeros((64, 48, 3), np.uint8), np.zeros((48, 64, 3)), np.zeros((48, 64), np.uint8)):
        with pytest.raises(ValueError, match="a frame must be"):
            video.write(image)
    assert not path.exists()


def test_parts_are_joined_without_encoding_again(tmp_path):
    images = levels(23)
    for first in (0, 7, 20):
        with VideoWriter(tmp_path / f"{first}.mp4", SIZE, 25) as video:
            for image in images[first : {0: 7, 7: 20, 20: 23}[first]]:
                video.write(image)
    parts = [tmp_path / f"{first}.mp4" for first in (0, 7, 20)]
    join_videos(parts, tmp_path / "whole.mp4", 25)
    whole = open_clip(tmp_path / "whole.mp4")
    assert np.allclose(whole.times, np.arange(23) / 25, atol=1e-9) and whole.rate == 25
    assert [level_of(frame.image) for frame in whole] == list(range(23))
    drawn = [frame.image for part in parts for frame in open_clip(part)]
    assert all(np.array_equal(frame.image, image) for frame, image in zip(whole, drawn, strict=True))
    sizes = [sum(packet.size for packet in packets(path)) for path in parts]
    assert sum(packet.size for packet in packets(tmp_path / "whole.mp4")) == sum(sizes)


def test_joined_frames_are_shown_at_their_times(tmp_path):
    rng = np.random.default_rng(0)
    times = 3.0 + np.cumsum(rng.uniform(0.01, 0.2, 20))
    noise = rng.integers(0, 256, (20, 48, 64, 3), np.uint8)  # frames that are not alike are encoded out of order
    for name, own in (("a", noise[:12]), ("b", noise[12:])):
        with VideoWriter(tmp_path / f"{name}.mp4", SIZE, 25) as video:
            for image in own:
                video.write(image)
    join_videos([tmp_path / "a.mp4", tmp_path / "b.mp4"], tmp_path / "c.mp4", 25, times)
    assert np.abs(open_clip(tmp_path / "c.mp4").times - (times - times[0])).max() < 1e-5
    decoded = [packet.dts for packet in packets(tmp_path / "c.mp4")]
    assert (np.diff(decoded) > 0).all()


def test_parts_that_do_not_belong_together_are_not_joined(tmp_path):
    for name, size in (("a", SIZE), ("b", (32, 32))):
        with VideoWriter(tmp_path / f"{name}.mp4", size, 25) as video:
            video.write(np.zeros((size[1], size[0], 3), np.uint8))
    with pytest.raises(InputError, match=r"b\.mp4 was encoded in another way"):
        join_videos([tmp_path / "a.mp4", tmp_path / "b.mp4"], tmp_path / "c.mp4", 25)
    with pytest.raises(InputError, match="damaged"):
        join_videos([tmp_path / "missing.mp4"], tmp_path / "c.mp4", 25)
    with pytest.raises(ValueError, match="2 times for 1 frames"):
        join_videos([tmp_path / "a.mp4"], tmp_path / "c.mp4", 25, np.arange(2))
    with pytest.raises(ValueError, match="no videos"):
        join_videos([], tmp_path / "c.mp4", 25)
    assert not (tmp_path / "c.mp4").exists()


def packets(path):
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(container.streams.video[0]) if packet.size]


def test_the_same_frames_give_the_same_bytes(tmp_path):
    squares = np.random.default_rng(0).integers(0, 255, (12, 16, 3))
    image = np.kron(squares, np.ones((20, 20, 1))).astype(np.uint8)
    contents = set()
    for number, name in enumerate(("a.mp4", "b.mp4", "c.mp4", "d.mp4")):
        memory = [np.full(10_000 * size, number, np.uint8) for size in range(number, number + 30)]  # no longer clean
        del memory
        with VideoWriter(tmp_path / name, (320, 240), 25) as video:
            for shift in range(24):
                video.write(np.roll(image, 3 * shift, axis=1))
        contents.add((tmp_path / name).read_bytes())
    assert len(contents) == 1
