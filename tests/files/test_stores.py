"""Addresses of files in stores, what of them is shown, and what stores are asked."""

from datetime import datetime, timezone

import pytest

fsspec = pytest.importorskip("fsspec", reason="needs fsspec")

from meshrec.errors import InputError  # noqa: E402
from meshrec.files import stores  # noqa: E402
from meshrec.files.addresses import fixed_part, is_address, without_secrets  # noqa: E402
from meshrec.files.stores import list_files, location, names_in, paths_below, put, read, remove  # noqa: E402


@pytest.fixture
def disk(tmp_path):
    """A disk that is taken for a store."""
    for name in ("a/1.jpg", "a/b/2.jpg", "3[x].jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return f"file://{tmp_path}"


@pytest.mark.parametrize(
    "address, shown",
    [
        ("https://me:secret@host:8080/a/1.jpg?X-Amz-Signature=secret&b=/c#d", "https://host:8080/a/1.jpg"),
        ("https://token@host/1.jpg", "https://host/1.jpg"),
        ("ftp://me:sec@ret@host/a@b.jpg", "ftp://host/a@b.jpg"),
        ("abfs://container@account.example/1.jpg", "abfs://container@account.example/1.jpg"),
        ("abfs://me:secret@account.example/1.jpg", "abfs://account.example/1.jpg"),
        ("s3://bucket/who?.jpg", "s3://bucket/who?.jpg"),
    ],
)
def test_access_data_are_left_out(address, shown):
    assert without_secrets(address) == shown


def test_addresses_and_paths():
    assert all(map(is_address, ("s3://bucket/a", "memory://a", "file:///a", "HTTPS://host/a")))
    assert not any(map(is_address, ("a/b.jpg", "C:\\a", "C:/a", "c://a", "a:b", "", "/s3://a")))


def test_fixed_parts_of_patterns(disk, tmp_path):
    for address, fixed in (
        (f"{disk}/a/**/*.jpg", f"{tmp_path}/a"),
        (f"{disk}/a/1.jpg", f"{tmp_path}/a"),
        (f"{disk}/*/b/2.jpg", f"{tmp_path}"),
        ("memory://a*/b.jpg", ""),
        ("memory://a/b/?.jpg", "/a/b"),
    ):
        part = fixed_part(location(address))
        assert part.path == fixed
        assert location(address).shown.startswith(part.shown)
    assert location("memory://a/b/").parts == ("memory", "a", "b") == location("memory:///a/b").parts


def test_what_is_listed(disk, tmp_path):
    def listed(address: str) -> list[str]:
        base, files = list_files(location(address))
        assert all(str(file.location) == f"{base}/{file.relative}" for file in files)
        return [file.relative for file in files]

    assert listed(disk) == ["3[x].jpg", "a/1.jpg", "a/b/2.jpg"]
    assert listed(f"{disk}/a/*") == ["1.jpg"]
    assert listed(f"{disk}/**/*.jpg") == ["3[x].jpg", "a/1.jpg", "a/b/2.jpg"]
    assert listed(f"{disk}/3[x].jpg") == ["3[x].jpg"]  # a file that is there is no pattern
    (file,) = list_files(location(f"{disk}/a/1.jpg"))[1]
    assert (file.size, file.etag) == (7, None)
    assert abs(file.modified - (tmp_path / "a/1.jpg").stat().st_mtime_ns) < 2000  # stores tell seconds as floats
    with pytest.raises(InputError, match="no such file or folder"):
        listed(f"{disk}/none")


def test_files_are_written_read_and_deleted(disk, tmp_path):
    folder = location(f"{disk}/new/folder")
    assert names_in(folder) == {} and paths_below(folder) == []
    put(tmp_path / "a" / "1.jpg", folder.below("x/1.jpg"))
    assert read(folder.below("x/1.jpg")) == b"a/1.jpg"
    assert names_in(folder) == {} and names_in(folder.below("x")) == {"1.jpg": 7}
    assert paths_below(folder) == ["x/1.jpg"]
    remove(folder.below("x/1.jpg"))
    remove(folder.below("x/1.jpg"))  # which is gone
    assert paths_below(folder) == []


def test_requests_are_made_again(monkeypatch):
    monkeypatch.setattr(stores, "FIRST_WAIT", 0.0)
    place, calls = location("memory://a/b"), []

    def fail(error: Exception, times: int) -> int:
        calls.append(error)
        if len(calls) <= times:
            raise error
        return len(calls)

    assert stores._asked(place, lambda: fail(TimeoutError("slow"), 2)) == 3
    for error, tries in (
        (ValueError("https://me:secret@host/a?signature=secret (secret=no)"), stores.TRIES),
        (PermissionError(13, "Forbidden"), 1),
        (OSError(28, "No space left on device"), 1),
    ):
        calls.clear()
        with pytest.raises(InputError, match=r"memory://a/b .*be written") as caught:
            stores._asked(place, lambda: fail(error, 99), "written")  # noqa: B023
        assert len(calls) == tries and "signature" not in str(caught.value) and "me:" not in str(caught.value)


@pytest.mark.parametrize(
    "info",
    [
        {"LastModified": datetime(2026, 1, 2, 3, 4, 5, 600_000, timezone.utc)},
        {"last_modified": datetime(2026, 1, 2, 3, 4, 5, 600_000)},
        {"updated": "2026-01-02T03:04:05.600Z"},
        {"mtime": 1767323045.6},
        {"updated": "yesterday", "modified": 1767323045.6},
    ],
)
def test_times_as_stores_tell_them(info):
    assert stores._modified(info) == 1_767_323_045_600_000_000
    assert stores._modified({"name": "a", "mtime": None}) is None
