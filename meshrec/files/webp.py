"""Large WebP pictures. FFmpeg's decoder takes 3 to 5 bytes a pixel, where Pillow's takes 16 and OpenCV's up to 12."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

STRIP_PIXELS = 1 << 20  # converted at a time
PIXEL_CHUNKS = (b"ALPH", b"VP8 ", b"VP8L")


@dataclass(frozen=True)
class StillPicture:
    """The first frame of a WebP file.

    Attributes:
        content: A WebP file of this frame alone.
        corner: (x, y) of its upper left pixel in the picture, which is transparent around it.
    """

    content: bytes
    corner: tuple[int, int]


def first_frame(content: bytes) -> StillPicture:
    """The first frame of a WebP file, a still one or an animation.

    The layout is that of RIFF: chunks of a name, a length and so many bytes, padded to an even number. A chunk ``ANMF``
    holds one frame of an animation after 16 bytes that tell its place (RFC 9649, section 2.7.1.1).

    Args:
        content: The file.

    Raises:
        ValueError: It has no frame, or one that is cut short.
    """
    view = memoryview(content)
    if bytes(view[:4]) != b"RIFF" or bytes(view[8:12]) != b"WEBP":
        raise ValueError("it is no WebP file")
    for name, body in _chunks(view[12:]):
        if name in PIXEL_CHUNKS:
            return StillPicture(content, (0, 0))
        if name == b"ANMF":
            place = bytes(body[:12]) + b"\0"
            x, y, width, height = (struct.unpack("<I", place[at : at + 3] + b"\0")[0] for at in (0, 3, 6, 9))
            return StillPicture(_still(body[16:], width + 1, height + 1), (2 * x, 2 * y))
    raise ValueError("it has no picture")


def decoded_strips(still: StillPicture, size: tuple[int, int]) -> Iterator[tuple[slice, Image.Image]]:
    """Strips of the picture, from the top: their rows, and RGB or RGBA images of the picture's width.

    Args:
        still: The frame.
        size: (width, height) of the picture in which it lies.

    Raises:
        ValueError: The frame is damaged or exceeds the picture.
    """
    import av

    decoder = av.CodecContext.create("webp", "r")
    try:
        (frame,) = decoder.decode(av.Packet(still.content))
    except (av.FFmpegError, ValueError) as error:
        raise ValueError(f"it cannot be decoded ({error})") from None
    (left, top), (width, height) = still.corner, size
    if left + frame.width > width or top + frame.height > height:
        raise ValueError("a frame exceeds the picture")
    whole = (frame.width, frame.height) == size
    count = max(2, STRIP_PIXELS // width // 2 * 2)  # even, for colours have half the rows
    if not whole:
        for start in range(0, height, count):  # the transparent ground, which the frame then covers in part
            rows = slice(start, min(start + count, height))
            yield rows, Image.new("RGBA", (width, rows.stop - start))
    for start in range(0, frame.height, count):
        rows = slice(start, min(start + count, frame.height))
        pixels = Image.fromarray(_pixels(frame, rows))
        if not whole:
            ground = Image.new("RGBA", (width, rows.stop - start))
            ground.paste(pixels, (left, 0))
            pixels = ground
        yield slice(top + rows.start, top + rows.stop), pixels


def _chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Names and contents of the chunks of a file or frame."""
    while len(view) >= 8:
        length = struct.unpack("<I", view[4:8])[0]
        if length > len(view) - 8:
            raise ValueError("it is cut short")
        yield bytes(view[:4]), view[8 : 8 + length]
        view = view[8 + length + length % 2 :]


def _still(frame: memoryview, width: int, height: int) -> bytes:
    """A WebP file of one frame of an animation."""
    parts = [(name, body) for name, body in _chunks(frame) if name in PIXEL_CHUNKS]
    if not any(name != b"ALPH" for name, _ in parts):
        raise ValueError("its first frame has no picture")
    alpha = 0x10 if any(name == b"ALPH" for name, _ in parts) else 0
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in (width, height))
    head = struct.pack("<B3x", alpha) + sides
    if alpha:
        parts.insert(0, (b"VP8X", memoryview(head)))
    out = io.BytesIO()
    out.write(b"RIFF\0\0\0\0WEBP")
    for name, body in parts:
        out.write(name + struct.pack("<I", len(body)))
        out.write(body)
        out.write(b"\0" * (len(body) % 2))
    length = out.tell() - 8
    out.seek(4)
    out.write(struct.pack("<I", length))
    return out.getvalue()


def _pixels(frame: object, rows: slice) -> np.ndarray:
    """Rows of a decoded frame, (R, W, 3) RGB or (R, W, 4) RGBA uint8; they begin at an even one."""
    import cv2

    kind, width = frame.format.name, frame.width  # type: ignore[attr-defined]
    planes = [_plane(plane) for plane in frame.planes]  # type: ignore[attr-defined]
    if kind == "argb":
        return np.ascontiguousarray(planes[0][rows, : 4 * width].reshape(-1, width, 4)[..., [1, 2, 3, 0]])
    count, half = rows.stop - rows.start, slice(rows.start // 2, -(-rows.stop // 2))
    high, wide = 2 * (half.stop - half.start), 2 * -(-width // 2)
    packed = np.empty((high * 3 // 2, wide), np.uint8)
    packed[:count, :width] = planes[0][rows, :width]
    packed[count:high, :width] = planes[0][rows.stop - 1, :width]  # not seen: colours come in pairs of rows
    packed[:high, width:] = 0
    colours = packed[high:].reshape(2, high // 2, wide // 2)
    for plane, colour in zip(planes[1:3], colours):
        colour[:] = plane[half, : wide // 2]
    rgb = cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_I420)[:count, :width]
    return np.dstack([rgb, planes[3][rows, :width]]) if len(planes) == 4 else np.ascontiguousarray(rgb)


def _plane(plane: object) -> np.ndarray:
    """A plane of a frame as its decoder holds it, (H, bytes of a line)."""
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[attr-defined, call-overload]
