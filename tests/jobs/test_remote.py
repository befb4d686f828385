"""Photos and results in stores: the files of a local run, nothing half finished, and no name or secret that escapes."""

import hashlib
import http.server
import json
import sys
import tempfile
import threading
from contextlib import nullcontext
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.paths import ROOT
from helpers.stored_runs import SIZE, FakeReconstructor, on_disk, photo, same_results

fsspec = pytest.importorskip("fsspec", reason="needs fsspec")
from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402

from meshrec import Camera, load_body  # noqa: E402
from meshrec.cli import main  # noqa: E402
from meshrec.files import stores  # noqa: E402
from meshrec.files.store_lock import locked_in_store  # noqa: E402
from meshrec.files.stores import location  # noqa: E402
from meshrec.files.videos import VideoWriter  # noqa: E402
from meshrec.geometry import CAMERA_TO_Y_UP  # noqa: E402
from meshrec.jobs.remote_page import results_folder  # noqa: E402
from meshrec.poses.named_poses import named_pose  # noqa: E402

FRAMES = 4
PHOTOS = ("a/1.jpg", "b/1.png", "b/2.png")


class Store(MemoryFileSystem):
    """A store in memory that tells entity tags, as real ones do, notes what is asked of it, and fails when told to."""

    protocol = "teststore"
    store: dict = {}  # noqa: RUF012  # fsspec keeps files in the class, so that all instances share them
    pseudo_dirs = [""]  # noqa: RUF012
    fetched: list = []  # noqa: RUF012
    tags = True
    fault = None  # called before each upload with its path

    @classmethod
    def _strip_protocol(cls, path):
        text = path.split("://", 1)[1].rpartition("@")[2] if "://" in path else path
        return MemoryFileSystem._strip_protocol(text)

    def info(self, path, **options):
        return self._tagged(super().info(path, **options))

    def ls(self, path, detail=True, **options):
        found = super().ls(path, detail=detail, **options)
        return [self._tagged(info) for info in found] if detail else found

    def find(self, path, maxdepth=None, withdirs=False, detail=False, **options):
        found = super().find(path, maxdepth, withdirs, detail=detail, **options)
        return {name: self._tagged(info) for name, info in found.items()} if detail else found

    def _tagged(self, info):
        if info["type"] == "directory" or not self.tags:
            return info
        return info | {"ETag": hashlib.md5(self.store[info["name"]].getvalue()).hexdigest()}

    def get_file(self, path, *arguments, **options):
        self.fetched.append(path)
        return super().get_file(path, *arguments, **options)

    def put_file(self, local, path, **options):
        if Store.fault is not None:
            Store.fault(path)
        return super().put_file(local, path, **options)


@pytest.fixture
def reconstructor(monkeypatch):
    made = FakeReconstructor()
    monkeypatch.setattr("meshrec.jobs.run.make_reconstructor", lambda settings: made)
    return made


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The empty store ``teststore://``; waits are none, and the folder for temporary files must be empty at the end."""
    fsspec.register_implementation("teststore", Store, clobber=True)
    Store.store, Store.pseudo_dirs, Store.fetched, Store.fault = {}, [""], [], None
    monkeypatch.setattr(stores, "FIRST_WAIT", 0.0)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    yield fsspec.filesystem("teststore")
    assert not list((tmp_path / "tmp").iterdir())


def fill(store, names=PHOTOS) -> None:
    for number, name in enumerate(names):
        store.pipe_file(f"/photos/{name}", photo(90 + number))


def in_store(store, folder: str = "/out") -> dict[str, bytes]:
    return {path.removeprefix(f"{folder}/"): store.cat_file(path) for path in store.find(folder)}


def run(*sources: str, out: str = "teststore://out", options: tuple[str, ...] = ()) -> int:
    return main(["reconstruct", *sources, "--out", out, "--format", "glb", *options])


def records(store, folder: str = "/out") -> list[str]:
    return [name for name in in_store(store, folder) if name.endswith("photo.json")]


def test_results_are_those_of_a_local_run(store, reconstructor, tmp_path, monkeypatch, capsys):
    fill(store)
    for name, content in in_store(store, "/photos").items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(content)
    assert run("teststore://photos") == 0
    assert "teststore://photos/a/1.jpg: 1 person -> teststore://out/a/1.jpg" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path / "photos")
    assert run(".", out="../local") == 0
    assert len(in_store(store)) == 3 * 6 + 1  # the page besides
    same_results(in_store(store), on_disk(tmp_path / "local"), "teststore://photos")
    assert run("teststore://photos", out="../mixed") == 0
    same_results(on_disk(tmp_path / "mixed"), on_disk(tmp_path / "local"), "teststore://photos")
    assert run(".", out="teststore://mixed") == 0
    assert in_store(store, "/mixed") == on_disk(tmp_path / "local")  # also the records: the photos are the same files
    reconstructor.seen.clear()
    assert run(".", out="teststore://mixed") == run("teststore://photos", out="../mixed") == 0
    assert not reconstructor.seen


def test_photos_and_clips_of_several_processes(tmp_path, monkeypatch, capfd):
    """With the real reconstructor, on a disk that is taken for a store."""
    body = load_body("neutral")
    with torch.no_grad():
        out = body(
            body_pose=named_pose("arms down")[None],
            global_orient=CAMERA_TO_Y_UP[None],
            transl=torch.tensor([[0.0, 0.2, 4.0]]),
        )
    points = Camera(400.0, size=SIZE).project(body.joints_from(out.vertices, "coco17"))[0]
    points[:, 2] = 2
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.png").write_bytes(photo())
    with VideoWriter(tmp_path / "in" / "walk.mp4", SIZE, 10) as video:
        for i in range(FRAMES):
            video.write(np.full((*SIZE[::-1], 3), 90 + i, np.uint8))
    names = ["0.png", *(f"walk_{i:012d}.jpg" for i in range(FRAMES))]
    images = [{"id": i, "file_name": name} for i, name in enumerate(names)]
    rows = [{"image_id": i, "keypoints": points.flatten().tolist()} for i in range(len(names))]
    (tmp_path / "poses.json").write_text(json.dumps({"images": images, "annotations": rows}))
    monkeypatch.chdir(tmp_path / "in")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    options = ("--keypoints", "../poses.json", "--focal", "400")
    assert run(".", out="../expected", options=options) == 0
    assert run(f"file://{tmp_path}/in", out=f"file://{tmp_path}/out", options=(*options, "--jobs", "2")) == 0
    assert "1 photo, 1 clip, 2 people" in capfd.readouterr().out
    same_results(on_disk(tmp_path / "out"), on_disk(tmp_path / "expected"), f"file://{tmp_path}/in")
    assert run(f"file://{tmp_path}/in/*", out=f"file://{tmp_path}/out", options=options) == 0
    assert "2 finished before" in capfd.readouterr().out


def test_what_is_finished_is_not_even_fetched(store, reconstructor, capsys):
    fill(store)
    assert run("teststore://photos") == 0 and len(Store.fetched) == 3
    assert run("teststore://photos/**/*.*") == 0 and len(Store.fetched) == 3
    assert "3 photos, 3 people; 3 finished before" in capsys.readouterr().out
    store.pipe_file("/photos/a/1.jpg", photo(50))  # another content
    store.rm_file("/out/b/1.png/person_0.glb")  # a file of the results is missing
    assert run("teststore://photos") == 0 and len(Store.fetched) == 5
    assert len(reconstructor.seen) == 5 and "/out/b/1.png/person_0.glb" in store.find("/out")
    assert run("teststore://photos", options=("--no-refine",)) == 0 and len(reconstructor.seen) == 8
    assert run("teststore://photos", options=("--no-refine", "--force")) == 0 and len(reconstructor.seen) == 11


def test_where_a_store_tells_nothing_the_content_decides(store, reconstructor, monkeypatch, capsys):
    monkeypatch.setattr(Store, "tags", False)
    fill(store, ["1.png"])
    assert run("teststore://photos") == run("teststore://photos") == 0
    assert len(Store.fetched) == 2 and len(reconstructor.seen) == 1
    assert "finished before" in capsys.readouterr().out
    store.pipe_file("/photos/1.png", photo(50))
    assert run("teststore://photos") == 0 and len(reconstructor.seen) == 2
    store.pipe_file("/others/1.png", photo(20))
    assert run("teststore://others") == 1  # would replace the results of another photo
    assert "contains the results of teststore://photos/1.png" in capsys.readouterr().err
    assert run("teststore://others", options=("--force",)) == 0


@pytest.mark.parametrize("at", range(1, 6))
def test_a_run_that_ends_in_an_upload_leaves_nothing_that_counts(store, reconstructor, at):
    fill(store, ["1.png"])
    assert run("teststore://photos") == 0
    before, uploads = in_store(store), []

    def end(path: str) -> None:
        if not Path(path).name.startswith("."):  # the lock, and the trial whether anything can be written
            uploads.append(path)
        if len(uploads) == at:
            raise KeyboardInterrupt

    Store.fault = end
    assert run("teststore://photos", options=("--force",)) == 130
    Store.fault = None
    assert not records(store)
    assert run("teststore://photos") == 0
    assert in_store(store) == before


def test_uploads_are_tried_again_and_fail_alone(store, reconstructor, capsys):
    fill(store)
    failed = []

    def fail(path: str) -> None:
        if path.endswith("a/1.jpg/overlay.png") or ("b/1.png/scene" in path and failed.count(path) < 2):
            failed.append(path)
            raise ConnectionError("no answer from https://me:secret@host/out?signature=secret")

    Store.fault = fail
    assert run("teststore://photos") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "secret" not in error
    assert "teststore://out/a/1.jpg/overlay.png cannot be written (ConnectionError: no answer" in error
    assert f"{stores.TRIES} tries failed" in error
    assert [name.rpartition("/")[0] for name in records(store)] == ["b/1.png", "b/2.png"]
    assert failed.count("/out/b/1.png/scene.glb") == 2


def test_a_store_that_takes_nothing_is_told_before_the_work(store, reconstructor, capsys):
    fill(store)

    def refuse(path: str) -> None:
        raise PermissionError("Forbidden")

    Store.fault = refuse
    assert run("teststore://photos") == 1
    assert "may not be written" in capsys.readouterr().err and not reconstructor.seen


def test_names_in_a_store_never_leave_the_folders(store, reconstructor, tmp_path, capsys):
    fill(store, ["ok.png"])
    hostile = ["../../up.png", "..", "a/../../b.png", "x//y.png", "new\nline.png", "\x1b[31m.png", "back\\slash.png"]
    for name in hostile:
        found = BytesIO(photo())
        Store.store[f"/photos/{name}"] = type(store.store["/photos/ok.png"])(store, f"/photos/{name}", found.getvalue())
    before = set(tmp_path.rglob("*"))
    for out in ("teststore://out", "out"):
        assert run("teststore://photos", out=out) == 1
        printed = capsys.readouterr()
        assert "1 person" in printed.out and "rename it" in printed.err and "\x1b" not in printed.err
    assert {path.relative_to(tmp_path).parts[0] for path in set(tmp_path.rglob("*")) - before} == {"out"}
    assert records(store) == ["ok.png/photo.json"]
    assert [path.parent.name for path in tmp_path.rglob("photo.json")] == ["ok.png"]


def test_names_that_differ_in_their_case(store, reconstructor, capsys):
    fill(store, ["A.png", "a.png"])
    assert run("teststore://photos") == 0 and len(records(store)) == 2
    assert run("teststore://photos", out="out") == 1
    assert "would share the folder" in capsys.readouterr().err


def test_access_data_are_neither_shown_nor_stored(store, reconstructor, capsys):
    fill(store, ["1.png", "2.txt"])
    store.pipe_file("/photos/bad.png", b"no picture")
    assert run("teststore://me:secret@photos", out="teststore://me:secret@out") == 1
    printed = capsys.readouterr()
    assert "teststore://photos/bad.png" in printed.err and "1 person -> teststore://out/1.png" in printed.out
    assert "secret" not in printed.out + printed.err
    assert not any(b"secret" in content or b"/tmp" in content for content in in_store(store).values())


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments) -> None:
        pass


def test_a_photo_of_the_web(store, reconstructor, tmp_path, capsys):
    pytest.importorskip("aiohttp", reason="needs fsspec[http]")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "1.png").write_bytes(photo())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path / "web")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        host = f"127.0.0.1:{server.server_port}"
        assert run(f"http://me:secret@{host}/1.png?signature=secret") == 0
        assert run(f"http://{host}/none.png?signature=secret") == 1
        assert run(f"http://{host}/1.png", out=f"http://{host}/out") == 1
    finally:
        server.shutdown()
        server.server_close()
    printed = capsys.readouterr()
    assert f"http://{host}/1.png: 1 person -> teststore://out/1.png" in printed.out
    assert "can only be read" in printed.err and "secret" not in printed.out + printed.err
    assert json.loads(store.cat_file("/out/1.png/photo.json"))["photo"]["path"] == f"http://{host}/1.png"


def test_which_files_are_sources(store, reconstructor, capsys):
    fill(store, ["x/1.png", "x/.hidden/2.png", "x/out/1.png/overlay.png", "x/notes.txt", "x/3.nef", "y/4.png"])
    assert run("teststore://photos/x", out="teststore://photos/x/out") == 0
    printed = capsys.readouterr()
    assert "1 file not read: .nef (1)" in printed.out and records(store, "/photos/x/out") == ["1.png/photo.json"]
    assert run("teststore://photos/y/4.png", "teststore://photos/x/1.png", "teststore://none.png") == 1
    assert "teststore://none.png: there is no such file" in capsys.readouterr().err
    assert records(store) == ["photos/x/1.png/photo.json", "photos/y/4.png/photo.json"]  # of the common folder
    assert run("teststore://photos/x/*.txt") == 1
    assert "no photos or videos there" in capsys.readouterr().err


def test_boxes_go_by_the_names_in_the_store(store, reconstructor, tmp_path, capsys):
    fill(store, ["a/1.png", "b/1.png", "c/2.png"])
    boxes = {"a/1.png": [[0, 0, 9, 9]], "b/1.png": [[1, 1, 9, 9]]}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    assert run("teststore://photos", options=("--boxes", "boxes.json")) == 1
    assert "teststore://photos/c/2.png: boxes.json does not name this photo" in capsys.readouterr().err
    assert [given["boxes"].tolist() for _, given in reconstructor.seen] == list(boxes.values())


def test_a_page_of_another_origin_stays(store, reconstructor):
    fill(store, ["1.png"])
    store.pipe_file("/out/index.html", b"<html>mine</html>")
    assert run("teststore://photos") == 0
    assert store.cat_file("/out/index.html") == b"<html>mine</html>"


def test_what_is_missing_is_a_sentence(store, reconstructor, monkeypatch, capsys):
    fill(store, ["1.png"])
    for options, part in (
        (("teststore://photos", "--out", "out", "--cameras", "auto"), "copy them from their store"),
        (("teststore://photos", "--out", "out", "--clip"), "copy this folder first"),
        (("zip://1.png::teststore://photos.zip", "--out", "out"), "unpack the files"),
        (("nosuchstore://photos", "--out", "out"), "Protocol not known: nosuchstore"),
        (("teststore://photos", "--out", "teststore://"), "name a bucket or folder"),
    ):
        assert main(["reconstruct", *options]) == 1
        assert part in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    assert main(["reconstruct", "s3://bucket/1.png", "--out", "out"]) == 1
    assert 'pip install "meshrec[remote]"' in capsys.readouterr().err


def test_one_run_at_a_time_in_a_folder(store, reconstructor, tmp_path, capsys):
    fill(store, ["1.png"])
    (tmp_path / "out").mkdir()
    for address in ("teststore://out", f"file://{tmp_path}/out"):
        with results_folder(address):
            assert run("teststore://photos", out=address) == 1
            error = capsys.readouterr().err
            assert "another run" in error and "wait until it ends" in error and error.count("\n") == 1
            assert run("teststore://photos", out="teststore://elsewhere") == 0
        capsys.readouterr()
    with results_folder(f"file://{tmp_path}/out"):  # the same folder
        assert run("teststore://photos", out="out") == 1
    assert not reconstructor.seen[1:] and not store.find("/out") and not list((tmp_path / "out").iterdir())


def test_a_run_that_has_lost_its_lock_ends(store, reconstructor, monkeypatch, capsys):
    fill(store)

    def lose(photo, **given):
        lock.lost = "this run was away for a while."
        return made(photo, **given)

    made = reconstructor
    monkeypatch.setattr("meshrec.jobs.run.make_reconstructor", lambda settings: lose)
    with locked_in_store(location("teststore://out")) as lock:
        monkeypatch.setattr("meshrec.jobs.remote_page.locked_in_store", lambda folder: nullcontext(lock))
        assert run("teststore://photos") == 1
    assert capsys.readouterr().err == "meshrec: this run was away for a while.\n"
    assert len(records(store)) == 1
