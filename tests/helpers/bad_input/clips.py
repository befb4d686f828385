"""Broken and unusual clips of the clip job."""

import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from helpers.bad_input import files as make
from helpers.bad_input.case import Case, Content
from helpers.clips import SIZE, levels, turned, write_sound, write_video


def clips() -> Iterable[Case]:
    def clip(name: str, file: str, content: Content, sentence: str, code: int = 1, options: str = "") -> Case:
        return Case(f"clip-{name}", f"reconstruct {file} --out out {options}", sentence, {file: content}, code)

    nobody = "nobody found"
    yield clip("empty", "a.mp4", b"", r"a\.mp4: the file is empty")
    yield clip("text", "a.mp4", b"dear reader, this is no video", r"a\.mp4: this is not a video in a known format")
    yield clip("head-alone", "a.mp4", b"\0\0\0\x20ftypisom" + bytes(64), r"a\.mp4: .*(cut short or damaged|no video)")
    for suffix in ("mp4", "mkv", "webm", "avi", "ts"):
        yield clip(f"{suffix}-cut-at-0.003", f"a.{suffix}", partial(_cut, suffix, 0.003), rf"a\.{suffix}: ")
    # The index of an MP4 is at its end: without it nothing can be read. Others give the frames before the cut.
    yield clip("mp4-cut-at-0.7", "a.mp4", partial(_cut, "mp4", 0.7), r"a\.mp4: the video is cut short or damaged")
    for suffix in ("mkv", "ts"):
        yield clip(f"{suffix}-cut-at-0.7", f"a.{suffix}", partial(_cut, suffix, 0.7), nobody, 0)
    yield clip("no-frames", "a.mp4", _without_frames, r"a\.mp4: there (are no frames|is no video) in this (video|file)")
    yield clip(
        "sound-alone", "a.mp4", partial(_made, write_sound, "a.m4a"), r"there is no video in this file, only sound"
    )
    yield clip("one-frame", "a.mp4", partial(_video, count=1), nobody, 0)
    stamps = [0, 1, 2, 10, 11, 30]
    yield clip("variable-rate", "a.mp4", partial(_video, count=6, stamps=stamps), nobody, 0)
    yield clip("rotation-tag", "a.mp4", lambda: turned(_video(), (0, 1, -1, 0)), nobody, 0)
    yield clip("ten-bits", "a.mp4", partial(_video, codec="libx265", pixels="yuv420p10le", quiet=True), nobody, 0)
    interlaced = {"x264-params": "interlaced=1"}
    yield clip(
        "interlaced", "a.mp4", partial(_video, options=interlaced), "interlaced: of each frame one field is used", 0
    )
    yield clip("8K", "a.mp4", partial(_large, 7680, 4320), nobody, 0)
    yield clip("too-large", "a.mp4", partial(_claims, 20_000, 20_000), r"a\.mp4: .*megapixels")
    yield clip("huge-header", "a.mp4", _huge_header, r"a\.mp4: ")
    yield clip("mp4-named-avi", "a.avi", _video, nobody, 0)
    yield clip("video-named-jpg", "a.jpg", _video, nobody, 0)
    yield clip("photo-named-mp4", "a.mp4", lambda: make.picture("JPEG", (64, 48)), "nobody found", 0)
    yield clip("stride-0", "a.mp4", _video, "stride of a clip must be 1", options="--stride 0")
    yield clip("part-behind-the-end", "a.mp4", _video, "no frame in the part asked for", options="--start 100")
    yield clip("end-before-start", "a.mp4", _video, "the end of a clip must be after", options="--start 2 --end 1")
    yield clip("fps-NaN", "a.mp4", _video, "the frame rate of a clip must be", options="--fps nan")

    def png(width: int, height: int) -> Callable[[], bytes]:
        return lambda: make.picture("PNG", (width, height))

    sizes = {"frames/1.png": png(64, 48), "frames/2.png": png(48, 64)}
    sentence = r"2\.png: this frame has 48 x 64 pixels, but the first of the clip has 64 x 48"
    yield Case("clip-frames-of-two-sizes", "reconstruct frames --clip --out out", sentence, sizes)
    broken = {"frames/1.png": png(64, 48), "frames/2.png": b"no picture"}
    yield Case("clip-frames-one-broken", "reconstruct frames --clip --out out", r"frames/2\.png: ", broken)
    sentence = "frames: there are no frames in this folder"
    yield Case("clip-empty-folder", "reconstruct frames --clip --out out", sentence, {"frames/": b""})
    text = {"frames/notes.txt": "nothing"}
    yield Case("clip-folder-without-frames", "reconstruct frames --clip --out out", sentence, text)


def _made(write: Callable[[Path], Path], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder) / name).read_bytes()


def _video(suffix: str = "mp4", count: int = 12, quiet: bool = False, **options) -> bytes:
    if quiet:
        options["options"] = {"x265-params": "log-level=none"}
    return _made(lambda path: write_video(path, levels(count), **options), f"a.{suffix}")


def _cut(suffix: str, share: float) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (40, SIZE[1], SIZE[0], 3), np.uint8)
    codec = {"webm": "libvpx"}.get(suffix, "libx264")
    whole = _made(lambda path: write_video(path, noise, codec), f"a.{suffix}")
    return whole[: int(len(whole) * share)]


def _without_frames() -> bytes:
    """A video whose table of samples is empty."""
    content = bytearray(_video())
    for name, at in (("stsz", 12), ("stts", 8), ("stsc", 8), ("stco", 8), ("ctts", 8), ("stss", 8)):
        place = content.find(name.encode())
        if place > 0:
            content[place + at : place + at + 4] = bytes(4)
    return bytes(content)


def _large(width: int, height: int) -> bytes:
    frame = np.full((height, width, 3), 90, np.uint8)
    return _made(lambda path: write_video(path, [frame, frame], options={"preset": "ultrafast"}), "a.mp4")


def _claims(width: int, height: int) -> bytes:
    """A video of PNGs that claim another size, as does the header."""
    content = _video("mov", codec="png", pixels="rgb24")
    size, claimed = (np.array(pair, ">u4").tobytes() for pair in (SIZE, (width, height)))
    return content.replace(b"IHDR" + size, b"IHDR" + claimed)


def _huge_header() -> bytes:
    """A video whose table claims four billion samples."""
    content = bytearray(_video())
    at = content.index(b"stsz") + 12
    content[at : at + 4] = b"\xff" * 4
    return bytes(content)
