"""Files are there whole or not at all, whatever happens while they are written."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from meshrec.errors import InputError
from meshrec.files.atomic import STALE, hold, require_writable, write_file


def test_old_files_are_replaced_and_nothing_else_is_left(tmp_path):
    write_file(tmp_path / "new" / "a.bin", b"old")
    write_file(tmp_path / "new" / "a.bin", b"new")
    assert [(p.name, p.read_bytes()) for p in (tmp_path / "new").iterdir()] == [("a.bin", b"new")]


def test_permissions_follow_the_umask(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_file(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("named_files_only", [False, True])
def test_a_failed_write_keeps_the_old_file(tmp_path, named_files_only):
    """The system really refuses the write here: the process may make no file larger than 1,000 bytes."""
    resource = pytest.importorskip("resource")
    (tmp_path / "a.bin").write_bytes(b"old")
    program = (
        "import os, resource, signal, sys\n"
        "from meshrec.files.atomic import write_file\n"
        f"if {named_files_only} and hasattr(os, 'O_TMPFILE'): del os.O_TMPFILE\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))\n"
        "try:\n    write_file(sys.argv[1], bytes(10**6))\n"
        "except ValueError as error:\n    print(type(error).__name__, error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program, tmp_path / "a.bin"], capture_output=True, text=True)
    assert answer.stdout.startswith(f"InputError cannot write {tmp_path / 'a.bin'}: File too large"), answer.stderr
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.bin", b"old")]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="needs files without a name, which only Linux has")
def test_a_kill_leaves_only_whole_files(tmp_path):
    size = 1 << 22
    for wait in range(20):
        (tmp_path / "a.bin").unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            for byte in itertools.cycle(range(256)):
                write_file(tmp_path / "a.bin", bytes([byte]) * size)
        latest = time.monotonic() + 60  # however busy the machine is
        while not (tmp_path / "a.bin").exists() and time.monotonic() < latest:
            time.sleep(0.001)
        assert (tmp_path / "a.bin").exists()
        time.sleep(0.002 * wait)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert data == data[:1] * size, path


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="needs files without a name, which only Linux has")
def test_what_a_kill_leaves_is_removed_by_the_next_write(tmp_path):
    child = os.fork()
    if child == 0:  # killed between the two names of the file
        os.replace = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
        write_file(tmp_path / "a.bin", b"data")
    os.waitpid(child, 0)
    (stale,) = tmp_path.iterdir()
    assert STALE.fullmatch(stale.name)
    write_file(tmp_path / "b.bin", b"data")
    assert stale.exists()  # that of another file
    with stale.open("rb") as file:
        hold(file)  # as if it were just being written
        write_file(tmp_path / "a.bin", b"data")
        assert stale.exists()
    write_file(tmp_path / "a.bin", b"data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.bin"]


def test_a_check_leaves_nothing(tmp_path):
    require_writable(tmp_path / "new" / "folder" / "a.bin")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def fill_up(path: Path, data: bytes) -> None:
        with open("/dev/full", "wb", buffering=0) as device:
            device.write(data)

    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(InputError, match=r"a\.bin: No space left on device; free some space or choose another folder"):
        write_file(tmp_path / "a.bin", b"data")


def test_an_unwritable_folder_is_named(tmp_path):
    folder = tmp_path
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):  # the superuser may write anywhere but into the kernel
        folder = Path("/sys")
        if not folder.is_dir():
            pytest.skip("no folder here is unwritable")
    with pytest.raises(InputError, match=r"a\.bin: .+; choose a folder that you may write to"):
        write_file(folder / "a.bin", b"data")


def test_paths_that_cannot_be_files(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="a part of the path is a file"):
        write_file(tmp_path / "file" / "a.obj", b"")
    (tmp_path / "folder.obj").mkdir()
    with pytest.raises(InputError, match="is a folder; name a file in it"):
        write_file(tmp_path / "folder.obj", b"")
    with pytest.raises(InputError, match="choose a shorter name"):
        write_file(tmp_path / ("a" * 300), b"")
