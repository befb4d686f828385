"""Runs on a Ray cluster: the same files as without, and nothing is lost with a worker or a machine."""

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.paths import ROOT
from PIL import Image

from meshrec import Camera, InputError, load_body
from meshrec.cli import main
from meshrec.files.videos import VideoWriter
from meshrec.geometry import CAMERA_TO_Y_UP
from meshrec.jobs.picture_page import write_picture_page
from meshrec.jobs.plan import Outcome, Progress, plan_run
from meshrec.jobs.ray_workers import TRIES
from meshrec.jobs.run import run_jobs
from meshrec.jobs.settings import Settings
from meshrec.poses.named_poses import named_pose

SIZE, PHOTOS, FRAMES = (320, 240), 8, 4
SETTINGS = Settings(focal=400.0, keypoints=Path("poses.json"), formats=("glb",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    """The current folder, with photos and a clip of somebody who stands, their keypoints, and the results of a run
    without a cluster in ``expected``."""
    folder = tmp_path_factory.mktemp("run")
    body = load_body("neutral")
    with torch.no_grad():
        out = body(
            body_pose=named_pose("arms down")[None],
            global_orient=CAMERA_TO_Y_UP[None],
            transl=torch.tensor([[0.0, 0.2, 4.0]]),
        )
    points = Camera(400.0, size=SIZE).project(body.joints_from(out.vertices, "coco17"))[0]
    points[:, 2] = 2
    names = [f"{i}.png" for i in range(PHOTOS)]
    (folder / "in").mkdir()
    for i, name in enumerate(names):
        Image.new("RGB", SIZE, (90 + i, 120, 140)).save(folder / "in" / name)
    with VideoWriter(folder / "in" / "walk.mp4", SIZE, 10) as video:
        for i in range(FRAMES):
            video.write(np.full((*SIZE[::-1], 3), 90 + i, np.uint8))
    names += [f"walk_{i:012d}.jpg" for i in range(FRAMES)]
    images = [{"id": i, "file_name": name} for i, name in enumerate(names)]
    rows = [{"image_id": i, "keypoints": points.flatten().tolist()} for i in range(len(names))]
    (folder / "poses.json").write_text(json.dumps({"images": images, "annotations": rows}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        outcomes = [*run_jobs(plan_run(["in"], "expected", SETTINGS).jobs, SETTINGS)]
        assert all(outcome.people == 1 for outcome in outcomes if isinstance(outcome, Outcome))
        yield folder


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two nodes on this machine, each with room for one worker. The last test removes one."""
    pytest.importorskip("ray")
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "memory": 2_000_000_000, "object_store_memory": 100_000_000}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    with pytest.MonkeyPatch.context() as patch:  # for the processes of the cluster, which take it from here
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", path)
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        cluster.add_node(**node)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def workers() -> set[int]:
    """Process numbers of the workers, which Ray names after what they do."""
    commands = ((path.parent.name, path.read_bytes()) for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    return {int(number) for number, command in commands if re.match(rb"ray::_Worker", command)}


def finished(messages: list[Outcome | Progress]) -> list[Outcome]:
    return [message for message in messages if isinstance(message, Outcome)]


def test_a_cluster_writes_the_same_files(cluster, folder, capfd):
    options = ["reconstruct", "in", "--out", "out", "--keypoints", "poses.json", "--focal", "400", "--format", "glb"]
    assert main([*options, "--ray", cluster.address]) == 0
    assert f"{PHOTOS} photos, 1 clip, {PHOTOS + 1} people" in capfd.readouterr().out
    shutil.copytree("expected", "shown")
    write_picture_page(Path("shown"))
    assert files(folder / "out") == files(folder / "shown")
    assert main([*options, "--ray", cluster.address]) == 0
    assert f"{PHOTOS + 1} finished before" in capfd.readouterr().out
    assert main([*options, "--ray", cluster.address, "--body", "nobody"]) == 1  # the workers' error ends the run
    error = capfd.readouterr().err
    assert "there is no body 'nobody'" in error and error.count("\n") == 1


def test_a_cluster_takes_files_of_stores(cluster, folder, capfd):
    pytest.importorskip("fsspec", reason="needs fsspec")
    options = ["--keypoints", "poses.json", "--focal", "400", "--format", "glb", "--ray", cluster.address]
    assert main(["reconstruct", f"file://{folder}/in/*.png", "--out", f"file://{folder}/stored", *options]) == 0
    assert f"{PHOTOS} photos, {PHOTOS} people" in capfd.readouterr().out
    for i in range(PHOTOS):
        found, expected = (files(folder / name) for name in (f"stored/{i}.png", f"expected/in/{i}.png"))
        assert json.loads(found.pop("photo.json"))["photo"]["path"] == f"file://{folder}/in/{i}.png"
        assert expected.pop("photo.json") and found == expected
    assert main(["reconstruct", f"file://{folder}/in/*.png", "--out", f"file://{folder}/stored", *options]) == 0
    assert f"{PHOTOS} finished before" in capfd.readouterr().out


class Deadly:
    """Ends the process that unpickles it, as a decoder's crash would."""

    def __reduce__(self):
        return os._exit, (9,)


def test_a_photo_that_ends_its_workers_fails_alone(cluster, folder):
    jobs = plan_run(["in/0.png", "in/1.png"], "deadly", SETTINGS).jobs
    jobs[0] = replace(jobs[0], people=Deadly())
    outcomes = {o.source.name: o for o in finished([*run_jobs(jobs, SETTINGS, ray=cluster.address)])}
    assert f"{TRIES} workers ended while they worked on it" in outcomes["0.png"].error
    assert outcomes["1.png"].people == 1
    assert not list((folder / "deadly").rglob("*.part"))


def test_a_cluster_that_cannot_be_used(folder):
    pytest.importorskip("ray")
    jobs = plan_run(["in/0.png"], "none", SETTINGS).jobs
    with pytest.raises(InputError, match="on a machine of the cluster"):
        next(run_jobs(jobs, SETTINGS, ray="ray://elsewhere:10001"))
    for address in ("127.0.0.1:1", "nonsense", "127.0.0.1:70000"):
        with pytest.raises(InputError, match="no cluster can be reached there"):
            next(run_jobs(jobs, SETTINGS, ray=address))


def test_ray_is_not_installed(folder, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["reconstruct", "in/0.png", "--out", "none", "--ray", "auto"]) == 1
    assert 'pip install "meshrec[ray]"' in capfd.readouterr().err
    assert main(["reconstruct", "in/0.png", "--out", "none", "--ray", "auto", "--cameras", "auto"]) == 1
    assert "fitted together on one machine" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc, as on Linux")
@pytest.mark.parametrize("lost", ["worker", "node"])
def test_nothing_is_lost_with_a_worker_or_a_machine(cluster, folder, lost):
    before: set[int] = set()
    messages = []
    for message in run_jobs(plan_run(["in"], lost, SETTINGS).jobs, SETTINGS, ray=cluster.address):
        messages.append(message)
        if before:
            continue
        before = workers()
        assert len(before) >= 1
        if lost == "node":
            cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
        else:
            for number in before:
                os.kill(number, signal.SIGKILL)
    outcomes = finished(messages)
    assert len(outcomes) == PHOTOS + 1 == len({outcome.source for outcome in outcomes})
    assert all(outcome.people == 1 for outcome in outcomes)
    assert files(folder / lost) == files(folder / "expected")
