"""Where files are in a tar, with Python's own reader as the truth, and tars that lead astray."""

import io
import tarfile

import numpy as np
import pytest

from meshrec.errors import InputError
from meshrec.files.tars import read_member, tar_members

NAMES = ["a", "b/" + "d" * 90 + "/" + "e" * 90, "ü.jpg", "c\udcff.jpg", "x" * 300]


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_where_python_finds_them(tmp_path, layout):
    path, random = tmp_path / "a.tar", np.random.default_rng(0)
    with tarfile.open(path, "w", format=layout) as tar:
        for name in NAMES[: 4 if layout == tarfile.USTAR_FORMAT else 5]:
            data = random.bytes(int(random.integers(0, 2000)))
            tar.addfile(member(name, len(data)), io.BytesIO(data))
        tar.addfile(member("folder", kind=tarfile.DIRTYPE))
        tar.addfile(member("link", kind=tarfile.SYMTYPE))
        tar.addfile(member("last", 3), io.BytesIO(b"abc"))
    with tarfile.open(path, "r:") as tar:
        expected = {found.name: (found.offset_data, found.size) for found in tar if found.isfile()}
    assert tar_members(path) == expected
    assert read_member(path, expected["last"], 3).getvalue() == b"abc"
    with pytest.raises(InputError, match="more than"):
        read_member(path, expected["last"], 2)


def extended(records: str) -> bytes:
    header = member("pax", len(records), tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    content = member("a", 3).tobuf(tarfile.USTAR_FORMAT) + b"abc" + bytes(509 + 1024)
    return header + records.encode() + bytes(-len(records) % 512) + content


def negative(after: bytes) -> bytes:
    """A tar whose last header has the size -512, which would lead back to the header itself."""
    header = bytearray(member("b").tobuf(tarfile.GNU_FORMAT))
    header[124:136], header[148:156] = b"\xff" * 10 + b"\xfe\x00", b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return after + bytes(header) + bytes(1024)


HOSTILE = {
    "sparse": extended("22 GNU.sparse.map=a,b\n"),
    "sparse-kind": member("a", kind=b"S").tobuf(tarfile.GNU_FORMAT) + bytes(1024),
    "size-negative": extended("11 size=-5\n"),
    "size-endless": extended("40 size=" + "9" * 31 + "\n"),
    "size-beyond": extended("13 size=5000\n"),
    "size-of-other-digits": extended("12 size=\u0663\n"),
    "record-beyond": extended("999999 a=b\n"),
    "record-of-no-length": extended("0 a=b\n"),
    "record-none": extended("xx"),
    "first-negative": negative(b""),
    "second-negative": negative(member("a").tobuf(tarfile.GNU_FORMAT)),
    "text": b"text" * 500,
    "one-byte": b"x",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_headers_that_lead_astray(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(InputError, match="not an uncompressed tar, or cut short"):
        tar_members(tmp_path / "a.tar")
