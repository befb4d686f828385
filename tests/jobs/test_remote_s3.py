"""Photos and results in a bucket behind the real protocol of S3: the files of a local run, and one run at a time."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator

import pytest
from helpers.paths import ROOT
from helpers.stored_runs import FakeReconstructor, on_disk, photo, same_results

pytest.importorskip("s3fs", reason="needs s3fs and moto")
pytest.importorskip("moto.server", reason="needs s3fs and moto")
import fsspec
from moto.server import ThreadedMotoServer

from meshrec.cli import main
from meshrec.files import store_lock, stores

PHOTOS = ("a/1.jpg", "b/1.png", "b/2.png")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch, tmp_path):
    """A file system, and the name of an empty bucket in it; access data are found as users give them."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "me"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    system, name = fsspec.filesystem("s3", skip_instance_cache=True), f"bucket-{uuid.uuid4().hex}"
    system.mkdir(name)
    return system, name


@pytest.fixture
def reconstructor(monkeypatch):
    made = FakeReconstructor()
    monkeypatch.setattr("meshrec.jobs.run.make_reconstructor", lambda settings: made)
    return made


def in_bucket(bucket, folder: str) -> dict[str, bytes]:
    system, name = bucket
    system.invalidate_cache()
    start = f"{name}/{folder}/"
    return {path.removeprefix(start): system.cat_file(path) for path in system.find(start)}


def run(source: str, out: str, *options: str) -> int:
    return main(["reconstruct", source, "--out", out, "--format", "glb", *options])


def test_results_are_those_of_a_local_run(bucket, reconstructor, tmp_path, monkeypatch, capsys):
    system, name = bucket
    for number, path in enumerate(PHOTOS):
        system.pipe_file(f"{name}/photos/{path}", photo(90 + number))
        (tmp_path / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / path).write_bytes(photo(90 + number))
    monkeypatch.chdir(tmp_path / "photos")
    assert run(".", "../local") == 0
    assert run(f"s3://{name}/photos", f"s3://{name}/out") == 0
    found, expected = in_bucket(bucket, "out"), on_disk(tmp_path / "local")
    assert found.pop("index.html") and expected.pop("index.html")
    same_results(found, expected, f"s3://{name}/photos")
    reconstructor.seen.clear()
    assert run(f"s3://{name}/photos/**/*.*", f"s3://{name}/out") == 0
    assert "3 finished before" in capsys.readouterr().out and not reconstructor.seen
    system.pipe_file(f"{name}/photos/a/1.jpg", photo(50))
    assert run(f"s3://{name}/photos", f"s3://{name}/out") == 0 and len(reconstructor.seen) == 1


def test_errors_are_sentences(bucket, reconstructor, monkeypatch, capsys):
    system, name = bucket
    monkeypatch.setattr(stores, "FIRST_WAIT", 0.0)
    system.pipe_file(f"{name}/1.png", photo())
    for source, out, part in (
        (f"s3://{name}/none.png", f"s3://{name}/out", "there is no such file"),
        (f"s3://{name}/1.png", f"s3://{name}-none/out", "bucket"),
    ):
        assert run(source, out) == 1
        error = capsys.readouterr().err
        assert part in error and error.count("\n") == 1 and "secret" not in error


@pytest.mark.skipif(sys.platform != "linux", reason="needs kill -9")
def test_a_run_that_is_killed_keeps_nobody_out(bucket, reconstructor, tmp_path, monkeypatch, capsys):
    """A second run is refused while the first one goes on, and goes on itself some time after that was killed."""
    system, name = bucket
    out = f"s3://{name}/out"
    system.pipe_file(f"{name}/photos/1.png", photo())
    script = tmp_path / "first.py"
    script.write_text(
        textwrap.dedent(f"""
            import time
            from meshrec.jobs.remote_page import results_folder
            if __name__ == "__main__":
                with results_folder({out!r}):
                    print("begun", flush=True)
                    time.sleep(600)
        """)
    )
    first = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        assert first.stdout is not None and first.stdout.readline() == "begun\n"
        assert run(f"s3://{name}/photos", out) == 1
        error = capsys.readouterr().err
        assert f"another run (process {first.pid} on " in error and "5 minutes if it was killed" in error
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert [path for path in in_bucket(bucket, "out") if path.endswith(".lock")]
    assert run(f"s3://{name}/photos", out) == 1
    monkeypatch.setattr(store_lock, "DEAD_SECONDS", 1.0)
    time.sleep(3.5)  # S3 tells whole seconds
    assert run(f"s3://{name}/photos", out) == 0
    left = in_bucket(bucket, "out")
    assert "1.png/photo.json" in left and not [path for path in left if path.endswith(".lock")]
