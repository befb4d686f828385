"""The command line as a user meets it: help, exit codes, one-sentence errors, files written."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from helpers.paths import ROOT
from helpers.tools import run_tool

from meshrec.benchmarks.random_body import random_arrays
from meshrec.cli import COMMANDS, main

TOOLS = sorted(path.name for path in (ROOT / "tools").glob("*.py"))


def exit_code(*arguments: object) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code


def test_help_of_every_command_gives_an_example(capsys):
    assert exit_code("--help") == 0
    listed = capsys.readouterr().out
    assert "Example: meshrec" in listed
    for command in (
        "reconstruct",
        "export",
        "animate",
        "measure",
        "view",
        "body",
        "convert-body",
        "import-checkpoint",
        "export-onnx",
        "models",
        "train",
        "evaluate",
        "benchmark",
        "demo",
        "doctor",
    ):
        assert command in listed
        assert exit_code(command, "--help") == 0
        assert f"Example: meshrec {command}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_a_file_of_its_name(name):
    assert COMMANDS[name].__name__ == f"meshrec.commands.{name.replace('-', '_')}"


@pytest.mark.parametrize("arguments", [(), ("no-such-command",), ("body",), ("body", "--out"), ("benchmark", "soup")])
def test_a_wrong_command_line_exits_with_2(arguments, capsys):
    assert exit_code(*arguments) == 2
    assert "usage: meshrec" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("--poses", "handstand"), "unknown poses handstand"),
        (("--poses", ""), "unknown poses"),
        (("--format", "obj,fbx"), "unknown formats .fbx"),
        (("--betas", "1,tall"), "numbers separated by commas"),
        (("--betas", ",".join(["0"] * 11)), "up to 10"),
        (("--betas", "nan"), "finite"),
        (("--body", "nobody"), "there is no body 'nobody'"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_1(arguments, sentence, tmp_path, capsys):
    assert exit_code("body", "--out", tmp_path / "out", *arguments) == 1
    error = capsys.readouterr().err
    assert sentence in error and error.startswith("meshrec: ") and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_body_writes_what_it_lists(tmp_path, capsys):
    assert (
        exit_code("body", "--out", tmp_path, "--poses", "t-pose,squat", "--betas", "1,-1", "--format", "obj,ply") == 0
    )
    listed = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(listed) == sorted(tmp_path.iterdir())
    assert {path.name for path in listed} == {
        "t-pose.obj", "t-pose.ply", "squat.obj", "squat.ply", "skinned.glb", "poses.png",
    }  # fmt: skip
    standing, squatting = (trimesh.load(tmp_path / name, process=False) for name in ("t-pose.ply", "squat.ply"))
    assert standing.is_watertight
    # Upright, in metres, arms along x; a squat is much lower.
    assert 1.4 < np.ptp(standing.vertices[:, 1]) < 2.1
    assert np.ptp(standing.vertices[:, 0]) > 1.3
    assert np.ptp(squatting.vertices[:, 1]) < 0.75 * np.ptp(standing.vertices[:, 1])


def test_convert_body(tmp_path, capsys):
    np.savez(tmp_path / "body.npz", **random_arrays())
    assert exit_code("convert-body", tmp_path / "body.npz", tmp_path / "body.safetensors") == 0
    assert "40 vertices, 40 faces, 10 betas" in capsys.readouterr().out
    assert exit_code("convert-body", tmp_path / "body.npz", tmp_path / "body.pkl") == 1
    assert "written as .npz or .safetensors" in capsys.readouterr().err


def test_nothing_heavy_is_imported_before_it_is_needed():
    """The package, its help and its errors need neither torch nor any other large library."""
    program = (
        "import sys, meshrec, meshrec.cli; print(sorted({'torch','numba','cv2','scipy','trimesh'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_runs_as_a_process_from_any_folder(tmp_path):
    command = [sys.executable, "-m", "meshrec.cli", "body", "--out", "out", "--poses", "running", "--format", "glb"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert result.returncode == 0 and result.stderr == ""
    assert (tmp_path / "out/running.glb").read_bytes()[:4] == b"glTF"


def test_changes_of_a_training_stand_anywhere(monkeypatch):
    pytest.importorskip("lightning")
    given = []
    monkeypatch.setattr("meshrec.training.train", given.append)
    monkeypatch.chdir(ROOT)
    options = ["--config", "configs/iterative_rgb.yaml", "seed=1", "--out", "here", "steps=7", "batch_size=3"]
    assert exit_code("train", "ema=0.5", *options) == 0
    (config,) = given
    assert (config.ema, config.seed, config.steps, config.batch_size) == (0.5, 1, 7, 3)
    assert config.out == Path("here")


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_has_help_with_an_example(tool):
    answer = run_tool(tool, "--help")
    assert answer.code == 0, answer.err
    assert "xample" in answer.out
