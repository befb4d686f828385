"""The lock on a folder in a store: one run at a time, and a killed one keeps nobody out for long."""

import re
from datetime import datetime, timedelta, timezone
from threading import Barrier, Thread
from time import monotonic, sleep

import pytest

fsspec = pytest.importorskip("fsspec", reason="needs fsspec")
from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402

from meshrec.errors import InputError  # noqa: E402
from meshrec.files import store_lock  # noqa: E402
from meshrec.files.store_lock import DEAD_SECONDS, locked_in_store  # noqa: E402
from meshrec.files.stores import location  # noqa: E402

DEAD = "/out/.meshrec-0123456789abcdef.lock"


class Store(MemoryFileSystem):
    """A store in memory that tells when files were written, as real ones do, and by request takes nothing."""

    protocol = "lockstore"
    store: dict = {}  # noqa: RUF012  # fsspec keeps files in the class, so that all instances share them
    pseudo_dirs = [""]  # noqa: RUF012
    refuses = False
    pause = 0.0  # seconds between a request and what it does

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.removeprefix("lockstore://"))

    def ls(self, path, detail=True, **options):
        sleep(Store.pause)
        found = super().ls(path, detail=True, **options)
        files = [info for info in found if info["type"] == "file"]
        for info in files:
            info["LastModified"] = self.store[info["name"]].modified
        return found if detail else [info["name"] for info in found]

    def put_file(self, local, path, **options):
        sleep(Store.pause)
        if Store.refuses:
            raise PermissionError("Forbidden")
        return super().put_file(local, path, **options)


@pytest.fixture
def store():
    fsspec.register_implementation("lockstore", Store, clobber=True)
    Store.store, Store.pseudo_dirs, Store.refuses, Store.pause = {}, [""], False, 0.0
    return fsspec.filesystem("lockstore")


def left_by_a_killed_run(store, seconds: float, content: bytes = b"{}") -> None:
    store.pipe_file(DEAD, content)
    store.store[DEAD].modified = datetime.now(timezone.utc) - timedelta(seconds=seconds)


def wait_until(condition) -> None:
    end = monotonic() + 60
    while not condition():
        assert monotonic() < end
        sleep(0.01)


def test_one_run_at_a_time(store):
    folder = location("lockstore://out")
    with locked_in_store(folder) as first:
        assert list(first.watched(iter("ab"))) == ["a", "b"]
        with pytest.raises(InputError) as caught, locked_in_store(folder):
            pass
        assert re.fullmatch(
            r"another run \(process \d+ on .+, begun 20..-..-..T..:..:..\+00:00\) is writing into lockstore://out; "
            r"wait until it ends, or 5 minutes if it was killed, or choose another folder\.",
            str(caught.value),
        )
        with locked_in_store(location("lockstore://other")):
            assert len(store.find("")) == 2
    assert not store.find("")
    with locked_in_store(folder):
        assert len(store.find("")) == 1


def test_a_run_that_was_killed_keeps_nobody_out(store):
    folder = location("lockstore://out")
    left_by_a_killed_run(store, DEAD_SECONDS + 60)
    with locked_in_store(folder):
        assert not store.exists(DEAD)
    left_by_a_killed_run(store, DEAD_SECONDS - 60)
    with pytest.raises(InputError, match="5 minutes if it was killed"), locked_in_store(folder):
        pass
    assert store.find("/out") == [DEAD]


def test_where_a_store_tells_no_times_the_file_is_named():
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/locked/.meshrec-0123456789abcdef.lock", b"{}")
    folder = location("memory://locked")
    with (
        pytest.raises(InputError, match=r"or delete memory://locked/\.meshrec-0123456789abcdef\.lock if it was killed"),
        locked_in_store(folder),
    ):
        pass
    memory.rm_file("/locked/.meshrec-0123456789abcdef.lock")
    with locked_in_store(folder):
        pass
    assert not memory.find("/locked")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b"[" * 500, b'{"host": 1}', b'"' + b"x" * 10_000 + b'"'],
    ids=["empty", "a list", "no text", "deep", "keys missing", "long"],
)
def test_damaged_marks_count_as_well(store, content):
    left_by_a_killed_run(store, 0, content)
    with pytest.raises(InputError, match="another run is writing into"), locked_in_store(location("lockstore://out")):
        pass


def test_other_files_are_no_marks(store):
    for name in (".meshrec.lock", ".meshrec-0123.lock", "a.meshrec-0123456789abcdef.lock", f"below{DEAD}"):
        store.pipe_file(f"/out/{name}", b"")
    with locked_in_store(location("lockstore://out")) as lock:
        assert lock is not None
    assert len(store.find("/out")) == 4


@pytest.mark.parametrize("pause", [0.0, 0.002])
def test_of_runs_that_begin_together_no_two_go_on(store, pause):
    """Each of the threads begins many times, at the same moments as the other."""
    Store.pause = pause
    barrier, inside, most, begun = Barrier(2), [], [], []

    def begin() -> None:
        for _ in range(50):
            barrier.wait()
            try:
                with locked_in_store(location("lockstore://out")):
                    inside.append(1)
                    most.append(len(inside))
                    sleep(0.002)
                    inside.pop()
            except InputError as error:
                begun.append(error)

    threads = [Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) + len(begun) == 100 and begun
    assert all(count == 1 for count in most)


def test_the_mark_is_renewed(store, monkeypatch):
    monkeypatch.setattr(store_lock, "RENEWED_SECONDS", 0.01)
    with locked_in_store(location("lockstore://out")) as lock:
        (mark,) = store.find("/out")
        store.store[mark].modified -= timedelta(days=1)
        old = store.store[mark].modified
        wait_until(lambda: store.store[mark].modified > old + timedelta(hours=1))
        lock.renewed -= 3600  # as if the machine had slept, and nobody had begun meanwhile
        wait_until(lambda: lock.renewed > store.store[mark].modified.timestamp() - 60)
        assert list(lock.watched(iter("ab"))) == ["a", "b"]
        Store.refuses = True  # for a while
        lock.renewed -= 3600
        sleep(0.05)
        Store.refuses = False
        wait_until(lambda: lock.renewed > store.store[mark].modified.timestamp() - 60)


def test_a_run_that_was_away_stops_if_another_one_has_begun(store, monkeypatch):
    monkeypatch.setattr(store_lock, "RENEWED_SECONDS", 0.01)
    with locked_in_store(location("lockstore://out")) as lock:
        left_by_a_killed_run(store, 0, b'{"host": "there", "process": 7, "began": "now"}')
        sleep(0.05)
        assert lock.lost is None  # a run that was not away lets the other one see it

        def is_lost() -> bool:
            lock.renewed -= DEAD_SECONDS  # each time, since the thread that renews the mark may overwrite it
            return lock.lost is not None

        wait_until(is_lost)
        given = []
        with pytest.raises(InputError, match=r"another run \(process 7 on there, begun now\) now writes into"):
            given.extend(lock.watched(iter("ab")))
    assert store.find("/out") == [DEAD]  # its own mark is gone


def test_a_folder_that_cannot_be_written(store):
    Store.refuses = True
    with locked_in_store(location("lockstore://out")) as lock:
        assert lock is None
