"""The containers of videos, told by their content, and what an MP4 file claims about its length."""

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from meshrec.errors import InputError
from meshrec.files.photos import HEIC_BRANDS

HEAD = 600  # bytes of a file that tell its container
MOST_SAMPLES = 4_000_000  # of tracks in an MP4 whose sizes are not in the file; 37 hours of 30 frames per second
PICTURE_BRANDS = (*HEIC_BRANDS, b"avif", b"avis", b"crx ")  # of files that begin as an MP4 does, and hold pictures

# First bytes, and FFmpeg's name of the container. Only these are read: others, such as playlists, open further files.
_BEGINNINGS = (
    (rb"....(ftyp|moov|mdat|wide|free|skip|pnot)", "mov"),
    (rb"\x1a\x45\xdf\xa3", "matroska"),  # WebM too
    (rb"RIFF....(AVI |AVIX)", "avi"),
    (rb"\x00\x00\x01\xba", "mpeg"),
    (rb"\x47.{187}\x47.{187}\x47", "mpegts"),
    (rb".{4}\x47.{191}\x47.{191}\x47", "mpegts"),  # of camcorders, with a time before each packet
    (rb"FLV\x01", "flv"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (rb"OggS", "ogg"),
    (rb"\x06\x0e\x2b\x34\x02\x05\x01\x01", "mxf"),
    (rb"DKIF", "ivf"),
    (rb"YUV4MPEG2 ", "yuv4mpegpipe"),
    (rb"\x00\x00\x01\xb3", "mpegvideo"),
    (rb"\x00?\x00\x00\x01[\x67\x27\x09]", "h264"),
    (rb"\x00?\x00\x00\x01[\x40\x46]\x01", "hevc"),
)
_KINDS = tuple((re.compile(beginning, re.DOTALL), name) for beginning, name in _BEGINNINGS)
_COUNTS = re.compile(rb"stsz|trun")
_BLOCK = 1 << 20  # bytes read at a time


def container_of(head: bytes) -> str | None:
    """FFmpeg's name of a video's container, or None for any other file.

    Args:
        head: The first :data:`HEAD` bytes of the file.
    """
    if head[4:8] == b"ftyp" and head[8:12] in PICTURE_BRANDS:
        return None
    return next((name for beginning, name in _KINDS if beginning.match(head)), None)


def check_sample_counts(file: BinaryIO, path: Path) -> None:
    """Refuse an MP4 or MOV that claims far more samples than it has bytes for.

    FFmpeg makes an entry of 24 bytes or more for each sample that a table announces. Two tables can announce any number
    in a few bytes (ISO/IEC 14496-12): ``stsz`` (8.7.3.2), where all samples have one size, and ``trun`` (8.8.8), where
    none has fields of its own.

    Args:
        file: The file. Its position is not kept.
        path: Its path, for the message.

    Raises:
        InputError: The tables announce more than :data:`MOST_SAMPLES`, or are compressed, so that one cannot tell.
    """
    announced = 0
    for data in _boxes(file):
        if b"cmov" in data:
            raise InputError(f"{path}: MOV files with a compressed header are not read; export it again as MP4.")
        for found in _COUNTS.finditer(data):
            fields = data[found.end() : found.end() + 12]
            if len(fields) < 12:
                continue
            if found[0] == b"trun":
                flags, count = struct.unpack(">II", fields[:8])
                announced += 0 if flags & 0xF00 else count
            else:
                size, count = struct.unpack(">II", fields[4:])
                # Of uncompressed sound, which may have 48,000 samples a second, FFmpeg makes no entries.
                announced += count if size > 16 or count * size > os.fstat(file.fileno()).st_size else 0
    if announced > MOST_SAMPLES:
        raise InputError(
            f"{path}: the file claims to have {announced:,} frames, which it has no room for; export it again as MP4."
        )


def _boxes(file: BinaryIO) -> Iterator[bytes]:
    """The content of the top-level boxes of an MP4 that do not hold the media itself, in overlapping parts."""
    end, at = file.seek(0, os.SEEK_END), 0
    while at + 8 <= end:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        start = at + 8
        if length == 1:
            length, start = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))[0], at + 16
        elif length == 0:
            length = end - at
        if length < start - at:
            return
        at = min(at + length, end)
        if name != b"mdat":  # FFmpeg looks into what is declared to be free, too
            for part in range(start, at, _BLOCK):
                file.seek(part)
                yield file.read(min(_BLOCK + 16, at - part))
