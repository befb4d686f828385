"""Writing videos: H.264 in MP4, as browsers, presentations and phones play it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

import numpy as np

from meshrec.errors import InputError, MissingDependency
from meshrec.files.atomic import known_suffix, replacing, reported_writing

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

SUFFIXES = (".mp4", ".m4v")
MOST_RATE = 1000  # frames per second
MOST_SIDE = 8192  # pixels, of the encoders
EXACT_TICKS = 90_000  # a second, of videos whose frames have times of their own


@dataclass(frozen=True)
class VideoSettings:
    """How a video is encoded.

    Attributes:
        encoders: Names of FFmpeg's H.264 encoders. The first that is there is used; not every build of FFmpeg has all.
        quality: Constant rate factor of libx264 from 0 to 51; lower is better, 18 can hardly be told from the source.
        bits_per_pixel: Bit rate of the other encoders, which have no such factor.
        preset: How libx264 trades time for size. From "veryfast" on it looks no more than ten frames ahead, which
            bounds memory.
        threads: Number of threads that encode.
    """

    encoders: tuple[str, ...] = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")
    quality: int = 20
    bits_per_pixel: float = 0.15
    preset: str = "veryfast"
    threads: int = 4


class VideoWriter:
    """Writes frames one after another into a video. It is a context manager.

    The file appears under its name when the block ends without an error, whole, and replaces an older one; a program
    that is killed leaves none of that name. Colours are those of BT.709, and the index stands in front, so that a
    browser can play the file while it loads.

    Args:
        path: The file, whose name ends in ``.mp4`` or ``.m4v``.
        size: (width, height) of the frames, pixels. H.264 needs even numbers: to an odd width one column is added at
            the right, and to an odd height one row at the bottom, which repeats the last.
        rate: Frames per second; 23.976, 29.97 and 59.94 stand for the exact rates of television, such as 30000/1001.
        settings: How the video is encoded.

    Raises:
        InputError: The path has another suffix or cannot be written to.
        MissingDependency: PyAV was built without an encoder for H.264.
        ValueError: Size or rate is not positive or too large.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from meshrec.files import VideoWriter, open_clip
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with VideoWriter(f"{folder}/gray.mp4", (64, 48), 25) as video:
        ...         for level in (0, 128, 255):
        ...             video.write(np.full((48, 64, 3), level, np.uint8))
        ...     [round(float(frame.image.mean()), -1) for frame in open_clip(f"{folder}/gray.mp4")]
        [0.0, 130.0, 260.0]
    """

    def __init__(
        self,
        path: str | os.PathLike,
        size: tuple[int, int],
        rate: float | Fraction,
        settings: VideoSettings = VideoSettings(),
    ) -> None:
        width, height = size
        if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE):
            raise ValueError(f"a video's sides must be 1 to {MOST_SIDE} pixels, not {width} x {height}")
        self.path, self.size, self.settings = Path(path), (int(width), int(height)), settings
        self.rate = exact_rate(rate)
        self.count = 0
        known_suffix(path, SUFFIXES)
        self._encoder = _encoder(settings)
        self._opened: ExitStack | None = None
        self._container: OutputContainer
        self._stream: VideoStream

    def __enter__(self) -> VideoWriter:
        import av

        with ExitStack() as stack:
            part = stack.enter_context(replacing(self.path))
            with _reported(self.path):
                # The prefix keeps FFmpeg from taking a part of the name for a protocol.
                name = f"file:{os.path.abspath(part)}"
                self._container = av.open(name, "w", format="mp4", container_options={"movflags": "+faststart"})
            stack.callback(self._close_after_an_error)
            self._stream = self._added_stream()
            self._opened = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        if error is not None:
            opened.__exit__(kind, error, trace)
            return
        with opened:
            if not self.count:
                raise ValueError(f"no frame was written to {self.path}")
            with _reported(self.path):
                self._container.mux(self._stream.encode(None))
                self._container.close()

    def write(self, image: np.ndarray) -> None:
        """Add a frame.

        Args:
            image: (H, W, 3) uint8 RGB.

        Raises:
            InputError: The disk is full.
            ValueError: The array has another shape or type, or the writer is not open.
        """
        import av

        width, height = self.size
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise ValueError(f"a frame must be uint8 {(height, width, 3)}, not {image.dtype} {image.shape}")
        if self._opened is None:
            raise ValueError("frames are written inside a `with` block")
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = self.count, 1 / self.rate
        with _reported(self.path):
            self._container.mux(self._stream.encode(frame))
        self.count += 1

    def _close_after_an_error(self) -> None:
        """Close the file that will be removed, if it is still open."""
        import av

        with suppress(av.FFmpegError):
            self._container.close()

    def _added_stream(self) -> VideoStream:
        width, height = (side + side % 2 for side in self.size)
        stream = cast("VideoStream", self._container.add_stream(self._encoder, rate=self.rate))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.thread_count = self.settings.threads
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709 in all three tables of H.273
        context.color_range = 1  # 16 to 235
        if self._encoder == "libx264":
            # libx264's tree of macroblocks reads memory that it has not set, so that bytes differ from run to run.
            stream.options = {
                "crf": str(self.settings.quality),
                "preset": self.settings.preset,
                "x264-params": "mbtree=0",
            }
        else:
            stream.bit_rate = int(self.settings.bits_per_pixel * width * height * self.rate)
        return stream


def join_videos(
    parts: Sequence[str | os.PathLike], path: str | os.PathLike, rate: float | Fraction, times: np.ndarray | None = None
) -> None:
    """Join videos that :class:`VideoWriter` wrote in one size and with the same settings, without encoding again.

    Args:
        parts: The videos, in their order.
        path: The file to write; it appears whole or not at all.
        rate: Frames per second, as for :class:`VideoWriter`.
        times: (N,) seconds at which the frames of all parts are shown, rising; the first is shown at once. They are
            exact to 1/90000 of a second. Default: at the constant rate.

    Raises:
        InputError: A part cannot be read or was encoded in another way, or the path cannot be written to.
        ValueError: There are no parts, or the number of times is not that of the frames, or they do not rise.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from meshrec.files import VideoWriter, open_clip
        >>> from meshrec.files.videos import join_videos
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a", "b"):
        ...         with VideoWriter(f"{folder}/{name}.mp4", (64, 48), 25) as video:
        ...             video.write(np.zeros((48, 64, 3), np.uint8))
        ...     join_videos([f"{folder}/a.mp4", f"{folder}/b.mp4"], f"{folder}/both.mp4", 25, np.array([0, 0.1]))
        ...     open_clip(f"{folder}/both.mp4").times.tolist()
        [0.0, 0.1]
    """
    import av

    if not parts:
        raise ValueError("there are no videos to join")
    places = [_places_shown(Path(part)) for part in parts]
    order = np.concatenate([own + first for own, first in zip(places, np.cumsum([0, *map(len, places[:-1])]))])
    base, stamps = 1 / exact_rate(rate), np.arange(len(order))
    if times is not None:
        if len(times) != len(order):
            raise ValueError(f"{len(times)} times for {len(order)} frames")
        base = Fraction(1, EXACT_TICKS)
        stamps = np.round((np.asarray(times, np.float64) - times[0]) * EXACT_TICKS).astype(np.int64)
    steps = np.diff(stamps)
    if (steps <= 0).any():
        raise ValueError("times of frames must rise")
    usual = max(round(float(1 / (exact_rate(rate) * base))), 1)
    steps = np.append(steps, steps[-1] if len(steps) else usual)
    # A frame cannot be decoded later than it is shown, so all are decoded as much earlier as the order differs.
    early = int((np.arange(len(order)) - order).max())
    decoded = np.concatenate([stamps[0] - steps[0] * np.arange(early, 0, -1), stamps])
    with replacing(path) as part, _reported(Path(path)):
        name = f"file:{os.path.abspath(part)}"
        with av.open(name, "w", format="mp4", container_options={"movflags": "+faststart"}) as joined:
            stream, number = None, 0
            for source in parts:
                with av.open(f"file:{os.path.abspath(source)}") as container:
                    own = container.streams.video[0]
                    if stream is None:
                        stream = joined.add_stream_from_template(own)
                        stream.time_base = base
                        header = own.codec_context.extradata
                    if own.codec_context.extradata != header:
                        raise InputError(f"{source} was encoded in another way than {parts[0]}; write them again.")
                    for packet in container.demux(own):
                        if not packet.size:
                            continue
                        shown = int(order[number])
                        packet.stream, packet.time_base = stream, base
                        packet.pts, packet.dts = int(stamps[shown]), int(decoded[number])
                        packet.duration = int(steps[shown])
                        joined.mux(packet)
                        number += 1


def _places_shown(path: Path) -> np.ndarray:
    """(N,) the place at which the frame of each packet is shown, from 0."""
    import av

    try:
        with av.open(f"file:{os.path.abspath(path)}") as container:
            shown = [packet.pts for packet in container.demux(container.streams.video[0]) if packet.size]
    except (av.FFmpegError, OSError, IndexError) as error:
        raise InputError(f"{path}: the video is damaged; write it again.") from error
    if not shown or None in shown:
        raise InputError(f"{path}: the video is damaged; write it again.")
    return np.argsort(np.argsort(np.array(shown)))


def exact_rate(rate: float | Fraction) -> Fraction:
    """The frame rate that a rounded number stands for.

    Args:
        rate: Frames per second.

    Raises:
        ValueError: It is not positive, or beyond what videos have.

    Example:
        >>> from meshrec.files.videos import exact_rate
        >>> exact_rate(29.97), exact_rate(12.5), exact_rate(30)
        (Fraction(30000, 1001), Fraction(25, 2), Fraction(30, 1))
    """
    if not 0 < rate <= MOST_RATE:  # not NaN either
        raise ValueError(f"a frame rate must be above 0 and at most {MOST_RATE}, not {rate}")
    if isinstance(rate, Fraction):
        return rate.limit_denominator(100_000)
    television = Fraction(round(rate * 1.001) * 1000, 1001)
    if abs(float(television) - rate) < 0.005 and not float(rate).is_integer():
        return television
    return max(Fraction(rate).limit_denominator(1001), Fraction(1, 1001))


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Report errors of the system and of the encoder as those of writing ``path``."""
    import av

    try:
        with reported_writing(path):
            yield
    except av.FFmpegError as error:
        raise InputError(f"cannot write {path}: the encoder failed ({error.strerror}); try another size.") from error


def _encoder(settings: VideoSettings) -> str:
    """The first of the encoders that PyAV has."""
    import av

    for name in settings.encoders:
        try:
            av.Codec(name, "w")
        except ValueError:
            continue
        return name
    raise MissingDependency(
        "PyAV was built without an encoder for H.264, so no videos can be written; install its wheel (pip install av)."
    )
