"""Number and times of the frames in a picture's file. Pillow's own count is quadratic for TIFF, and it would have to
decode an animation to tell its times.
"""

import os
import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from PIL import Image

MOST_FRAMES = 100  # to count


def frames_note(image: Image.Image, file: BinaryIO) -> tuple[str, ...]:
    """A note that a picture is one of several frames; none if it is the only one.

    Args:
        image: The opened picture.
        file: Its file; the place in it stays.
    """
    if image.format == "MPO":  # a phone's JPEG with a preview behind the photo
        return ()
    count = {"TIFF": _tiff_frames, "GIF": _gif_frames}.get(image.format or "")
    place = file.tell()
    frames = count(file) if count else getattr(image, "n_frames", 1)
    file.seek(place)
    if frames <= 1:
        return ()
    return (f"the first of {frames if frames <= MOST_FRAMES else f'more than {MOST_FRAMES}'} frames is used",)


def _tiff_frames(file: BinaryIO) -> int:
    """Directories of a TIFF (TIFF 6.0, section 2) or BigTIFF, each of which tells where the next one is."""
    head = _part(file, 0, 4)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(f"{order}H", head[2:4]) == (43,)
    count, entry, place = ("Q", 20, "Q") if big else ("H", 12, "I")
    counted, at = 0, 8 if big else 4  # where the place of the next directory stands
    while counted <= MOST_FRAMES:
        try:
            (start,) = struct.unpack(order + place, _part(file, at, struct.calcsize(order + place)))
            if start == 0:
                break
            (entries,) = struct.unpack(order + count, _part(file, start, struct.calcsize(order + count)))
        except (struct.error, OverflowError):  # it is cut short
            break
        counted += 1
        at = start + struct.calcsize(order + count) + entries * entry
    return counted


def _gif_frames(file: BinaryIO) -> int:
    """Pictures of a GIF, no further counted than needed."""
    return sum(1 for _ in islice(gif_delays(_part(file, 0, -1)), MOST_FRAMES + 1))


def gif_delays(data: bytes) -> Iterator[float]:
    """How long each picture of a GIF is shown, seconds; its blocks follow one another (GIF89a, sections 15 to 27).

    Args:
        data: The file's content.
    """
    delay, at = 0, 13 + _colours(data, 10)
    while at < len(data):
        kind = data[at]
        if kind == 0x2C:  # a picture: place, size and flags, its own colours, and the size of its codes
            yield delay / 100
            delay = 0
            at += 11 + _colours(data, at + 9)
        elif kind == 0x21:  # an extension
            if data[at + 1 : at + 3] == b"\xf9\x04":  # of graphic control: flags, and hundredths of a second
                delay = int.from_bytes(data[at + 4 : at + 6], "little")
            at += 2
        else:
            break
        while at < len(data) and data[at]:  # blocks of up to 255 bytes, until an empty one
            at += 1 + data[at]
        at += 1


def png_delays(data: bytes) -> Iterator[float]:
    """How long each picture of an animated PNG is shown, seconds (PNG 3, section 11.3.6)."""
    at = 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"fcTL":
            above, below = struct.unpack(">HH", data[at + 28 : at + 32].ljust(4, b"\0"))
            yield above / (below or 100)
        at += 12 + length


def webp_delays(data: bytes) -> Iterator[float]:
    """How long each picture of an animated WebP is shown, seconds (RFC 9649, section 2.7.1.1)."""
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"ANMF":
            yield int.from_bytes(data[at + 20 : at + 23], "little") / 1000
        at += 8 + length + length % 2


def _part(file: BinaryIO, at: int, count: int) -> bytes:
    """Up to ``count`` bytes of a file from a place on, or all for -1; none from beyond its end."""
    if at > file.seek(0, os.SEEK_END):  # places in damaged files may be larger than any that a system knows
        return b""
    file.seek(at)
    return file.read(count)


def _colours(data: bytes, at: int) -> int:
    """Length of the table of colours that the flags at this place announce."""
    flags = data[at] if at < len(data) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
