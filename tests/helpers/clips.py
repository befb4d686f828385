"""Videos that VideoWriter does not write, made with PyAV."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (64, 48)


def levels(count: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Frames (H, W, 3) of one gray each, 0, 5, 10, ..., which tells their number."""
    return [np.full((size[1], size[0], 3), 5 * number % 256, np.uint8) for number in range(count)]


def level_of(image: np.ndarray) -> int:
    """The number of a frame of :func:`levels`."""
    return round(float(image.mean()) / 5)


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    pixels: str = "yuv420p",
    stamps: Iterable[int] | None = None,
    base: Fraction = Fraction(1, 25),
    container: str | None = None,
    container_options: Mapping[str, str] | None = None,
    shape: Fraction | None = None,
    transfer: int | None = None,
) -> Path:
    """Encode frames.

    Args:
        path: The file, whose suffix tells the container if ``container`` does not.
        frames: (H, W, 3) uint8.
        codec, options, pixels: FFmpeg's names of the encoder, its options and the pixel format.
        stamps: When each frame is shown, in units of ``base`` seconds; default: 0, 1, 2, ...
        container, container_options: FFmpeg's name of the container, and its options.
        shape: Width of a pixel by its height.
        transfer: Transfer characteristics as a number of H.273.
    """
    frames = list(frames)
    with av.open(str(path), "w", format=container, container_options=dict(container_options or {})) as file:
        stream = file.add_stream(codec, rate=25, options=dict(options or {}))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = base
        if shape is not None:
            stream.codec_context.sample_aspect_ratio = shape
        if transfer is not None:
            stream.codec_context.color_trc = transfer
        for stamp, image in zip(range(len(frames)) if stamps is None else stamps, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = int(stamp), base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """A file with a second of silence and no pictures."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts = 44100, 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def turned(content: bytes, turn: tuple[int, int, int, int]) -> bytes:
    """An MP4 whose display matrix has this a, b, c, d (ISO/IEC 14496-12, 6.2.2 and 8.3.2)."""
    a, b, c, d = turn
    matrix = np.array([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    at = content.index(b"tkhd") + 44
    return content[:at] + matrix + content[at + 36 :]
