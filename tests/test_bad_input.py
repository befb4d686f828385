"""What a user gets who gives meshrec something broken: one sentence, an exit code, and no half-written files.

Each row of the table in tests/helpers/bad_input/ is a command line, run in a folder that holds the given files.
Exit code 1 comes with one line on stderr, which contains the sentence; 2, for a wrong command line, with the usage; 0
is for input that looks broken and is not.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from helpers.bad_input import files as make
from helpers.bad_input.animations import animations
from helpers.bad_input.bodies import BODY, SUFFIXES, bodies
from helpers.bad_input.case import Content
from helpers.bad_input.clips import clips
from helpers.bad_input.motion import AMC, ASF, BVH, motion
from helpers.bad_input.networks import checkpoints, configs, evaluation
from helpers.bad_input.parameters import edited, parameters
from helpers.bad_input.photos import GOOD_PHOTO, boxes, coco, keypoints, options, photos
from helpers.bad_input.places import places
from helpers.bad_input.usage import folders, usage

import meshrec
from meshrec import InputError
from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel
from meshrec.body.files import body_from_arrays
from meshrec.cli import main
from meshrec.jobs.settings import Settings
from meshrec.motion.acclaim import read_acclaim
from meshrec.motion.bvh import read_bvh

PARTS = (
    photos,
    clips,
    boxes,
    keypoints,
    options,
    bodies,
    checkpoints,
    parameters,
    motion,
    animations,
    configs,
    evaluation,
    folders,
    places,
    usage,
)
TABLE = [case for part in PARTS for case in part()]
# settings on which the reconstructor depends
CHOSEN = ("body", "device", "pose_model", "regressor", "refine", "focal_network")


class Nobody:
    """A detector that finds nobody."""

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list:
        return []


@pytest.fixture(scope="module")
def reconstructor():
    return meshrec.Reconstructor(detector=Nobody())


@pytest.fixture(scope="module")
def smpl() -> BodyModel:
    """A body of SMPL's sizes, under the name that rows about checkpoints give it."""
    return BodyModel(body_from_arrays(random_arrays(6890, influences=1), "random"))


@pytest.fixture
def fast(reconstructor, smpl, monkeypatch) -> None:
    """What takes time and is not broken is made once: the body and fit of the photo job, and SMPL's body."""
    import meshrec.body
    import meshrec.jobs.run

    make_reconstructor, load_body = meshrec.jobs.run.make_reconstructor, meshrec.body.load_body

    def made_once(settings):
        usual = Settings(boxes=settings.boxes, keypoints=settings.keypoints)
        chosen = any(getattr(settings, name) != getattr(usual, name) for name in CHOSEN)
        return make_reconstructor(settings) if chosen else reconstructor

    monkeypatch.setattr(meshrec.jobs.run, "make_reconstructor", made_once)
    monkeypatch.setattr(
        meshrec.body, "load_body", lambda body, **options: smpl if body == "SMPL" else load_body(body, **options)
    )


def read_motion(arguments: list[str]) -> int:
    """The readers of motion capture as if they were commands."""
    try:
        {"read-bvh": read_bvh, "read-acclaim": read_acclaim}[arguments[0]](*arguments[1:])
    except InputError as error:
        print(f"meshrec: {error}", file=sys.stderr)
        return 1
    return 0


def run(command: str) -> int:
    arguments = shlex.split(command)
    try:
        return (read_motion if command.startswith("read-") else main)(arguments)
    except SystemExit as stop:
        return stop.code


def put(files: Mapping[str, Content], folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir()
            continue
        path.parent.mkdir(exist_ok=True)
        content = content() if callable(content) else content
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def everything(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name.replace(" ", "_")[:70])
def test_broken_input_gets_its_sentence(case, fast, tmp_path, monkeypatch, capfd):
    if case.command.startswith("train --config"):
        pytest.importorskip("lightning", reason="needs lightning, which pip installs with meshrec[train]")
    monkeypatch.chdir(tmp_path)
    put(case.files, tmp_path)
    before = everything(tmp_path)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)
        code = run(case.command)
    output = capfd.readouterr()
    assert code == case.code, output.err
    assert not warned
    if case.code == 0:
        assert re.search(case.sentence, output.out), output.out
        return
    assert re.search(case.sentence, output.err), output.err
    if case.code == 2:
        assert output.err.startswith("usage: meshrec")
    else:
        assert output.err.startswith("meshrec: ") and output.err.count("\n") == 1 and len(output.err) < 500
    assert everything(tmp_path) == before


def test_the_table_is_large_enough_and_its_names_differ():
    assert len(TABLE) >= 800
    assert len({case.name for case in TABLE}) == len(TABLE)


def test_what_the_table_breaks_is_whole_otherwise(fast, tmp_path, monkeypatch, capfd):
    """Every kind of file that the table breaks is accepted when nothing is broken, or the table would prove nothing."""
    monkeypatch.chdir(tmp_path)
    put({**GOOD_PHOTO, "p.json": coco(keypoints=[0.0] * 51), "boxes.json": "[[10, 20, 300, 200]]"}, tmp_path)
    put({f"b{suffix}": make.body(suffix) for suffix in SUFFIXES} | {"q.json": edited()}, tmp_path)
    put({"a.bvh": BVH, "a.asf": ASF, "a.amc": AMC, "m.npz": make.walk}, tmp_path)
    for command in (
        "reconstruct a.jpg --out out --keypoints p.json",
        "reconstruct a.jpg --out out --boxes boxes.json",
        *(f"convert-body b{suffix} out{suffix}.npz" for suffix in SUFFIXES),
        "export q.json --out out",
        "read-bvh a.bvh",
        "animate m.npz -o m.glb --up=y",
        "read-acclaim a.asf a.amc",
    ):
        assert run(command) == 0, capfd.readouterr().err


# --- what no file can show: permissions, full disks, interrupts

UNSEEN = {**GOOD_PHOTO, "p.json": coco(keypoints=[0.0] * 51)}  # a photo of nobody
WRITING = {
    "reconstruct": ("reconstruct a.jpg --out out --keypoints p.json", UNSEEN),
    "export": ("export q.json --out out", {"q.json": edited()}),
    "body": ("body --body b.npz --poses squat --out out", BODY),
    "convert-body": ("convert-body b.npz out.npz", BODY),
    "animate": ("animate m.npz -o out.glb --up=y", {"m.npz": make.walk}),
}  # fmt: skip


@pytest.mark.parametrize("command, files", WRITING.values(), ids=WRITING)
@pytest.mark.parametrize(
    "error, sentence",
    [
        (OSError(28, "No space left on device"), "No space left on device; free some space or choose another folder"),
        (OSError(122, "Disk quota exceeded"), "Disk quota exceeded; free some space"),
        (OSError(30, "Read-only file system"), "Read-only file system; choose a folder that you may write to"),
        (PermissionError(13, "Permission denied"), "Permission denied; choose a folder that you may write to"),
        (OSError(5, "Input/output error"), "Input/output error; choose another place"),
    ],
    ids=lambda value: value.strerror.replace(" ", "-") if isinstance(value, OSError) else "",
)
def test_places_that_cannot_be_written(command, files, error, sentence, fast, tmp_path, monkeypatch, capfd):
    import meshrec.files.atomic

    def refuse(part: Path, data: bytes) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(meshrec.files.atomic, "_create", refuse)
    put(files, tmp_path)
    assert run(command) == 1
    output = capfd.readouterr().err
    assert sentence in output and output.count("\n") == 1
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == set(files)


@pytest.mark.parametrize("command, files", WRITING.values(), ids=WRITING)
@pytest.mark.parametrize("moment", ["before the file is written", "before it gets its name"])
def test_an_interrupt_leaves_whole_files_only(command, files, moment, fast, tmp_path, monkeypatch, capfd):
    import meshrec.files.atomic

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    target = (os, "replace") if moment.endswith("name") else (meshrec.files.atomic, "_create")
    monkeypatch.setattr(*target, interrupt)
    put(files, tmp_path)
    assert run(command) == 130
    assert capfd.readouterr().err == "meshrec: interrupted; what was finished is kept\n"
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == set(files)


@pytest.mark.parametrize("file", ["photo", "boxes"])
def test_files_that_may_not_be_read(file, fast, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    put({**GOOD_PHOTO, "boxes.json": "[[10, 20, 300, 200]]"}, tmp_path)
    path = tmp_path / {"photo": "a.jpg", "boxes": "boxes.json"}[file]
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser may read anything: let the system refuse it nevertheless
        opened = open

        def refuse(name, *arguments, **options):
            if Path(name).name == path.name:
                raise PermissionError(13, "Permission denied", str(name))
            return opened(name, *arguments, **options)

        for way in ("builtins.open", "io.open", "pathlib.Path.open"):  # Python 3.10's paths keep an `open` of their own
            monkeypatch.setattr(way, refuse)
    assert run("reconstruct a.jpg --out out --boxes boxes.json") == 1
    output = capfd.readouterr().err
    assert "ermission" in output and output.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on file sizes, which Windows lacks")
def test_a_process_on_a_full_disk_leaves_nothing(tmp_path):
    """No patches: the system itself lets this process write no file of more than 1,000 bytes."""
    put(BODY, tmp_path)
    program = (
        "import resource, signal, sys\n"
        "from meshrec.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "sys.exit(main(['convert-body', 'b.npz', 'out.safetensors']))\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 1
    assert answer.stderr == "meshrec: cannot write out.safetensors: File too large; choose another place.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["b.npz"]


def test_a_process_reports_broken_input_like_this(tmp_path):
    (tmp_path / "a.jpg").write_text("no photo")
    command = [sys.executable, "-m", "meshrec.cli", "export", "a.jpg", "--out", "out"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 1 and answer.stdout == ""
    assert answer.stderr == "meshrec: a.jpg: the name must end in .json or .npz, which tells the format.\n"
