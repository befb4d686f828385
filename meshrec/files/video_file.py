"""Reading videos by PyAV, one frame at a time: upright RGB with square pixels, and exact times and numbers."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from meshrec.errors import InputError
from meshrec.files.containers import HEAD, check_sample_counts, container_of
from meshrec.files.regular import open_regular
from meshrec.files.video_frames import MOST_PIXELS, check_frame_size, fitted, pixel_stretch, shape_of, upright

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MOST_BYTES = 1 << 50  # of a file; it is never in memory
MOST_FRAMES = 10_000_000  # 92 hours of 30 frames per second
USUAL_RATE = 30.0  # frames per second, where nothing tells
SLOWEST, FASTEST = 0.01, 2000.0  # frames per second; what is beyond, no camera has written
LARGE_PIXELS = 4096 * 2304  # a decoder keeps about as many frames as it has threads, so larger frames have fewer

# Containers in which every frame has its own exact time, and a seek leads to a key frame.
SEEKABLE = ("mov", "matroska")
TIMED = (*SEEKABLE, "mpegts", "mpeg", "flv", "asf", "ivf", "mxf")
MOST_REORDERED = 64  # places between a frame in the file and in time; further apart are times that start again

# FFmpeg's decoders for what cameras, phones, browsers and editors write; it has hundreds for forgotten formats.
CODECS = (
    *("h264", "hevc", "vvc", "vp8", "vp9", "libvpx", "libvpx-vp9", "av1", "libdav1d", "libaom-av1"),
    *("mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4", "mpeg1video", "mpeg2video", "h263", "flv", "vp6", "vp6f"),
    *("wmv1", "wmv2", "wmv3", "vc1", "theora", "mjpeg", "prores", "dnxhd", "dvvideo", "cfhd", "rawvideo"),
    *("ffv1", "huffyuv", "ffvhuff", "utvideo", "png", "qtrle", "svq3"),
)
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # H.273, table 3


@dataclass(frozen=True, eq=False)
class _Packets:
    """The packets of a video, each of which holds a frame.

    Attributes:
        count: Their number.
        shown: (N,) time stamps of the frames, of those packets that have one, in the order of the file.
        decoded: (N,) time stamps of decoding.
        keys: (K,) time stamps of the frames from which decoding can begin.
        damaged: Whether reading ended before the file does.
    """

    count: int
    shown: np.ndarray
    decoded: np.ndarray
    keys: np.ndarray
    damaged: bool


def _tolerant() -> dict[str, Any]:
    """What PyAV before version 19 has to be told, so that texts that are no UTF-8 do not matter."""
    import av

    return {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


class VideoFile:
    """A video whose frames have numbers from 0, in the order in which they are shown.

    Opening reads the file once, without decoding it, for the times of its frames.

    Args:
        path: The file.

    Attributes:
        size: (width, height) of the frames, upright and with square pixels.
        times: (N,) seconds since the first frame.
        rate: Average number of frames per second.
        notes: Remarks for the user. Damage is only noted when a frame there is read.

    Raises:
        InputError: It is not a video that can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self._status: tuple[int, int] | None = None
        with self._opened() as (container, stream):
            self._read_times(container, stream)
        first = next(self._frames(0), None)
        if first is None:
            most = f"frames of at most {MOST_PIXELS // 10**6} megapixels"
            raise InputError(f"{path}: no frame of this video can be decoded; export it again as MP4, with {most}.")
        frame = first[1]
        self._shape = shape_of(frame, self._stretch, path)
        self.size = self._shape.size
        self._note_what_is_converted(frame)

    def images(self, numbers: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Decode frames.

        Args:
            numbers: Which ones, in ascending order.

        Yields:
            The number of a frame, and the frame as (H, W, 3) uint8 RGB. Frames that are damaged beyond decoding are
            left out.

        Raises:
            InputError: The file was changed or cannot be read any more.
        """
        wanted = iter(numbers)
        target = next(wanted, None)
        if target is None:
            return
        for number, frame in self._frames(target):
            while target is not None and target < number:
                target = next(wanted, None)
            if target == number:
                yield number, self._image(frame)
                target = next(wanted, None)
            if target is None:
                return

    def _read_times(self, container: InputContainer, stream: VideoStream) -> None:
        """Times of all frames, from the packets that hold them."""
        packets = self._listed(container, stream)
        count, base = packets.count, stream.time_base or Fraction(1, 1000)
        self._stretch = pixel_stretch(stream.sample_aspect_ratio)
        self._keys = np.sort(packets.keys)
        order = np.argsort(packets.shown, kind="stable")
        stamps, moved = packets.shown[order], np.abs(order - np.arange(len(order)))
        usable = _ascends(stamps, count) and moved.max() <= MOST_REORDERED
        self._stamps = stamps if usable and self._kind in TIMED else None
        if not usable:
            stamps = packets.decoded
            usable = _ascends(stamps, count)
        announced = float(stream.average_rate or 0)
        announced = announced if SLOWEST <= announced <= FASTEST else 0.0
        if usable:  # differences of Python's integers do not overflow
            span = int(stamps[-1]) - int(stamps[0])
            measured = (count - 1) / float(span * base) if span else announced or USUAL_RATE
            usable = SLOWEST <= measured <= FASTEST
        if usable:
            self.times = (stamps - stamps[0]).astype(np.float64) * base.numerator / base.denominator
            # Times are often rounded to milliseconds; the header's rate is exact if it is the same.
            self.rate = announced if abs(measured - announced) < 0.005 * measured else measured
        else:
            self._stamps = None
            self.rate = announced or USUAL_RATE
            self.times = np.arange(count) / self.rate
            self.notes.append(
                f"the file has no exact times for its frames, so that {self.rate:g} per second are assumed"
            )
        self._note_missing_ends(container, stream, count, packets.damaged)

    def _listed(self, container: InputContainer, stream: VideoStream) -> _Packets:
        import av

        shown, decoded, keys = array("q"), array("q"), array("q")
        count, damaged = 0, False
        try:
            for packet in container.demux(stream):
                if packet.size == 0 or packet.is_discard:  # the last one, a frame that was dropped, or one cut off
                    continue
                count += 1
                if count > MOST_FRAMES:
                    raise InputError(f"{self.path}: the video has more than {MOST_FRAMES:,} frames; cut it into parts.")
                if packet.pts is not None:
                    shown.append(packet.pts)
                    if packet.is_keyframe:
                        keys.append(packet.pts)
                if packet.dts is not None:
                    decoded.append(packet.dts)
        except av.FFmpegError:
            damaged = True
        if not count:
            raise InputError(f"{self.path}: there are no frames in this video; export it again as MP4.")
        arrays = [np.array(stamps, np.int64) for stamps in (shown, decoded, keys)]
        return _Packets(count, arrays[0], arrays[1], arrays[2], damaged)

    def _note_missing_ends(self, container: InputContainer, stream: VideoStream, count: int, damaged: bool) -> None:
        lasts = float(self.times[-1]) + 1 / self.rate
        claimed = (container.duration or 0) / 1e6
        if damaged or stream.frames > count + 1:
            of = f" of {stream.frames}" if stream.frames > count else ""
            self.notes.append(f"the file is cut short or damaged: {count}{of} frames are there")
        elif claimed > lasts + max(1.0, 0.05 * lasts):
            self.notes.append(f"the file says that it lasts {claimed:.4g} s, but its frames end after {lasts:.4g} s")

    def _note_what_is_converted(self, frame: VideoFrame) -> None:
        transfer = _HDR_TRANSFERS.get(int(getattr(frame, "color_trc", 0)))
        if transfer:
            self.notes.append(
                f"the colours are those of HDR ({transfer}) and are not mapped to those of a usual screen"
            )
        if frame.interlaced_frame:
            self.notes.append("the video is interlaced: of each frame one field is used")

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        """The container, and its stream of pictures."""
        import av

        try:
            with open_regular(self.path, MOST_BYTES) as file:
                self._check_unchanged(file)
                head = file.read(HEAD)
                kind = container_of(head)
                if kind is None:
                    raise InputError(f"{self.path}: {_not_a_video(head)}")
                if kind == "mov":
                    check_sample_counts(file, self.path)
                file.seek(0)
                self._kind = kind
                limits = {"max_pixels": str(MOST_PIXELS), "codec_whitelist": ",".join(CODECS)}
                with av.open(
                    _Content(file),
                    "r",
                    format=kind,
                    options=limits,
                    container_options={"protocol_whitelist": "none"},
                    **_tolerant(),
                    buffer_size=1 << 18,
                ) as container:
                    yield container, self._stream_of(container)
        except (InputError, _MissingFrame):
            raise
        except MemoryError as error:
            raise InputError(f"{self.path}: not enough memory to decode the video; scale it down.") from error
        except av.FFmpegError as error:
            raise InputError(
                f"{self.path}: the video is cut short or damaged ({error.strerror}); export it again as MP4."
            ) from error
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{self.path}: the file cannot be read ({reason}).") from error

    def _check_unchanged(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        now = (status.st_size, status.st_mtime_ns)
        if self._status not in (None, now):
            raise InputError(f"{self.path}: the file was changed while it was read; try again.")
        self._status = now

    def _stream_of(self, container: InputContainer) -> VideoStream:
        """The stream with the largest pictures; covers of music are none."""
        from av.stream import Disposition

        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise InputError(
                f"{self.path}: there is no video in this file{', only sound' if container.streams.audio else ''}."
            )
        read = [s for s in streams if s.codec_context is not None and s.codec_context.name in CODECS]
        if not read:
            context = streams[0].codec_context
            name = f"as {context.name}, which is" if context is not None else "in a way that is"
            raise InputError(f"{self.path}: the video is encoded {name} not read; convert it to MP4 with H.264.")
        stream = max(read, key=lambda s: s.codec_context.width * s.codec_context.height)
        if len(streams) > 1 and not any("streams" in note for note in self.notes):
            self.notes.append(f"the largest of {len(streams)} video streams is used")
        context = stream.codec_context
        check_frame_size(self.path, context.width, context.height)
        context.options = {"max_pixels": str(MOST_PIXELS)}
        context.thread_type = "AUTO"
        pixels = context.width * context.height
        context.thread_count = min(os.cpu_count() or 1, 2 if pixels > LARGE_PIXELS else 4)
        return stream

    def _frames(self, first: int) -> Iterator[tuple[int, VideoFrame]]:
        """Numbers and frames from ``first`` on, as the decoder gives them."""
        key = self._key_before(first)
        if key is not None:
            try:
                yield from self._decoded(first, key)
            except _MissingFrame:  # it cannot be reached by a seek
                pass
            else:
                return
        yield from self._decoded(first, None)

    def _key_before(self, first: int) -> int | None:
        """The time stamp to seek to for a frame, or None to begin at the start of the file.

        It is that of the key frame before the last one: where a picture is refreshed bit by bit, it takes the frames
        between two marks until it is whole.
        """
        if self._stamps is None or self._kind not in SEEKABLE or first >= len(self._stamps):
            return None
        place = int(np.searchsorted(self._keys, self._stamps[first], "right")) - 2
        return int(self._keys[place]) if place > 0 else None

    def _decoded(self, first: int, key: int | None) -> Iterator[tuple[int, VideoFrame]]:
        """Numbers and frames from ``first`` on.

        Args:
            first: The number of the first frame.
            key: The time stamp to seek to; None to begin at the start of the file.

        Raises:
            _MissingFrame: After a seek, decoding begins behind the first frame.
        """
        import av

        last = -1
        with self._opened() as (container, stream):
            if key is not None:
                try:
                    container.seek(key, stream=stream, backward=True)
                except av.FFmpegError as error:
                    raise _MissingFrame from error
            for packet in self._packets(container, stream):
                try:
                    frames = stream.codec_context.decode(packet)
                except (av.FFmpegError, ValueError):  # the latter from PyAV 19 on, of a codec that is not allowed
                    self._note_damage(last)
                    continue
                for frame in frames:
                    number = self._number(frame, last)
                    if number is None:
                        continue
                    if key is not None and last < 0 and number > first:
                        raise _MissingFrame
                    last = number
                    if number >= first:
                        yield number, frame

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet | None]:
        """The packets of a stream, and None to let the decoder give its last frames."""
        import av

        try:
            for packet in container.demux(stream):
                if packet.size:  # an empty one, for a frame that was dropped, would end the decoder's work
                    yield packet
        except av.FFmpegError:  # noted when the times were read
            pass
        yield None

    def _number(self, frame: VideoFrame, last: int) -> int | None:
        """The number of a frame, None for one that is not in the list of times or comes late."""
        if self._stamps is None:
            return last + 1 if last + 1 < len(self.times) else None
        if frame.pts is None:
            return None
        number = int(np.searchsorted(self._stamps, frame.pts))
        there = number < len(self._stamps) and self._stamps[number] == frame.pts
        return number if there and number > last else None

    def _note_damage(self, last: int) -> None:
        if not any("is damaged" in note for note in self.notes):
            time = self.times[min(last + 1, len(self.times) - 1)]
            self.notes.append(f"the video is damaged near {time:.4g} s; frames there are missing or wrong")

    def _image(self, frame: VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 RGB of the size of all frames."""
        shape = self._shape
        if (frame.width, frame.height) != shape.coded:
            shape = shape_of(frame, self._stretch, self.path)
        image = upright(frame, shape)
        if shape.size != self.size:
            if not any("change their size" in note for note in self.notes):
                self.notes.append("frames that change their size are fitted into that of the first, with black borders")
            image = fitted(image, self.size)
        return image


class _MissingFrame(Exception):
    """A seek has led behind the frame that was wanted."""


class _Content:
    """A file as PyAV reads it: without a name, which would have a say in how it is read, and cannot be closed."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _ascends(stamps: np.ndarray, count: int) -> bool:
    """Whether there are so many time stamps, each larger than the one before."""
    return len(stamps) == count and bool((np.diff(stamps) > 0).all())


def _not_a_video(head: bytes) -> str:
    if not head:
        return "the file is empty."
    return "this is not a video in a known format (MP4, MOV, WebM, MKV, AVI, MPEG, ...)."
