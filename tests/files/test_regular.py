"""Only regular files are read, and only up to a size; nothing waits."""

import hashlib
import os
import socket

import pytest

from meshrec.errors import InputError
from meshrec.files.fingerprint import fingerprint_of, has_changed, is_unchanged
from meshrec.files.npz import read_npy, read_npz
from meshrec.files.photos import read_photo
from meshrec.files.picture import Picture
from meshrec.files.regular import read_regular
from meshrec.files.tars import tar_members

READERS = {
    "bytes": lambda path: read_regular(path, 10),
    "photo": read_photo,
    "picture": lambda path: Picture(path).read(),
    "part": lambda path: Picture(path, 3, 5).read(),
    "npz": read_npz,
    "npy": read_npy,
    "tar": tar_members,
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_pipes_devices_and_sockets(tmp_path, monkeypatch, read):
    monkeypatch.chdir(tmp_path)  # names of sockets must be short
    os.mkfifo("pipe")
    os.symlink("/dev/zero", "device")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for name in ("pipe", "device", "socket"):
            with pytest.raises(InputError, match=f"{name} is no regular file"):
                read(tmp_path / name)


def test_a_size_that_is_too_large(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(10))
    assert read_regular(path, 10) == bytes(10)
    path.write_bytes(bytes(11))
    with pytest.raises(InputError, match="more than"):
        read_regular(path, 10)


def test_fingerprints_tell_other_contents(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    with path.open("rb") as file:
        seen = fingerprint_of(file)
        assert seen.sha256 == hashlib.sha256(b"one").hexdigest() and file.read() == b"one"
        assert is_unchanged(path, seen, 10) and not has_changed(file, seen)
        path.write_bytes(b"more")
        assert has_changed(file, seen)
    path.write_bytes(b"two")  # of the same size and time
    os.utime(path, ns=(seen.modified, seen.modified))
    assert not is_unchanged(path, seen, 10)
    path.write_bytes(b"one")
    assert is_unchanged(path, seen, 10)
    path.write_bytes(b"none")
    assert not is_unchanged(path, seen, 10)
