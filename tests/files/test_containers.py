"""What a file's first bytes tell, and what an MP4 may claim."""

import struct

import pytest
from helpers.clips import levels, write_video

from meshrec.errors import InputError
from meshrec.files.clips import open_clip
from meshrec.files.containers import HEAD, container_of


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("a.mp4", "libx264", "mov"),
        ("a.mov", "libx264", "mov"),
        ("a.mkv", "libx264", "matroska"),
        ("a.webm", "libvpx", "matroska"),
        ("a.avi", "mpeg4", "avi"),
        ("a.mpg", "mpeg2video", "mpeg"),
        ("a.ts", "libx264", "mpegts"),
        ("a.m2ts", "libx264", "mpegts"),
        ("a.flv", "libx264", "flv"),
        ("a.wmv", "wmv2", "asf"),
        ("a.mxf", "mpeg2video", "mxf"),
        ("a.ivf", "libvpx-vp9", "ivf"),
        ("a.m2v", "mpeg2video", "mpegvideo"),
        ("a.h264", "libx264", "h264"),
        ("a.hevc", "libx265", "hevc"),
    ],
)
def test_containers_are_told_by_their_content(tmp_path, name, codec, kind):
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = write_video(tmp_path / name, levels(5), codec, quiet)
    assert container_of(path.read_bytes()[:HEAD]) == kind
    assert len(list(open_clip(path))) == 5


def test_other_files_are_none():
    for head in (
        b"",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
        b"#EXTM3U",
        b"ffconcat",
    ):
        assert container_of(head.ljust(HEAD, b"\0")[:HEAD]) is None
    for brand in (b"heic", b"mif1", b"avif"):
        assert container_of(b"\0\0\0\x18ftyp" + brand) is None


def test_an_mp4_may_not_claim_more_frames_than_it_has_room_for(tmp_path):
    """FFmpeg would make room for each of them: 20 million take 1.4 GB and many seconds."""
    whole = write_video(tmp_path / "whole.mp4", levels(20), options={"g": "5"}).read_bytes()
    data, count = bytearray(whole), 20_000_000
    at = data.index(b"stsz")
    data[at + 8 : at + 16] = struct.pack(">II", 17, count)  # all of one size
    at = data.index(b"stts")
    data[at + 12 : at + 16] = struct.pack(">I", count)
    (tmp_path / "table.mp4").write_bytes(data)
    at = data.index(b"stsz")
    data[at + 8 : at + 16] = struct.pack(">II", 1, count)
    (tmp_path / "small.mp4").write_bytes(data)
    flags = {"movflags": "frag_keyframe+empty_moov"}
    data = bytearray(
        write_video(tmp_path / "f.mp4", levels(20), options={"g": "5"}, container_options=flags).read_bytes()
    )
    at = data.index(b"trun")
    data[at + 4 : at + 12] = struct.pack(">II", 0, count)  # no fields for each
    (tmp_path / "run.mp4").write_bytes(data)
    for name in ("table.mp4", "small.mp4", "run.mp4"):
        with pytest.raises(InputError, match="20,000,000 frames, which it has no room for"):
            open_clip(tmp_path / name)
    assert open_clip(tmp_path / "f.mp4").count == open_clip(tmp_path / "whole.mp4").count == 20


def test_a_compressed_header_is_refused(tmp_path):
    data = write_video(tmp_path / "whole.mov", levels(5)).read_bytes()
    (tmp_path / "a.mov").write_bytes(data.replace(b"mvhd", b"cmov"))
    with pytest.raises(InputError, match="compressed header"):
        open_clip(tmp_path / "a.mov")
