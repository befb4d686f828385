"""The doctor's report: right about what is there, and alarmed by what is not."""

import os
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from helpers.scenes import NATIVE

import meshrec
from meshrec import doctor
from meshrec.cli import main
from meshrec.detect import blazepose
from meshrec.geometry import camera_to_y_up


@pytest.fixture
def lines(tmp_path, monkeypatch) -> dict[str, doctor.Line]:
    """The report's lines by name, in a folder that holds a body and something that is none."""
    (tmp_path / "body_models").mkdir()
    (tmp_path / "body_models" / "broken.npz").write_bytes(b"PK")
    monkeypatch.chdir(tmp_path)
    return {line.name: line for line in doctor.examine()}


def test_versions_and_bodies_are_those_that_are_there(lines):
    assert lines["meshrec"].value.startswith(meshrec.__version__)
    assert lines["torch"].value == metadata.version("torch")
    body = meshrec.load_body("neutral")
    line = lines["open_neutral.npz"].value
    assert body.hash in line and body.data.licence in line and f"{len(body.v_template)} vertices" in line
    assert "not a readable .npz" in lines["broken.npz"].value
    assert "numba, torch" in lines["renderer"].value
    assert "components of poses" in lines["pose_prior"].value
    assert "iterative network for the body" in lines["iterative_keypoints"].value


def test_all_is_well_here(capsys):
    assert main(["doctor"]) == 0
    report = capsys.readouterr().out
    assert "No problems found." in report and "bug report" in report and "body and renderer" in report


@pytest.mark.parametrize("part", ["vertices", "gradients", "file"])
def test_the_self_test_sees_what_is_wrong(part, monkeypatch, capsys):
    """A body 1 % too large, a renderer without gradients, a body file that is missing."""
    load_body, silhouette = doctor.load_body, meshrec.render.silhouette

    def larger(name: str):
        body = load_body(name)
        body.v_template *= 1.01
        return body

    def refuse(name: str):
        raise meshrec.InputError(f"there is no body '{name}'")

    if part == "gradients":
        monkeypatch.setattr(meshrec.render, "silhouette", lambda v, *rest: silhouette(v.detach(), *rest) + 0 * v.sum())
    else:
        monkeypatch.setattr(doctor, "load_body", larger if part == "vertices" else refuse)
    assert main(["doctor"]) == 1
    report = " ".join(capsys.readouterr().out.split())
    assert "<-- wrong" in report and "Problems: body and renderer" in report


def test_a_missing_package_is_wrong_and_a_missing_extra_is_not(monkeypatch):
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    lines = {line.name: line for line in doctor._versions()}
    assert not lines["numba"].ok and "install" in lines["numba"].value
    assert lines["smplx"].ok and 'pip install "meshrec[smpl]"' in lines["smplx"].value


def test_weights_that_are_missing_or_broken_are_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "weights_folder", lambda: tmp_path / "networks")
    monkeypatch.setattr(doctor, "POSE_PRIOR", tmp_path / "pose_prior.safetensors")
    prior, none = doctor._weights()
    assert not prior.ok and "missing" in prior.value
    assert none.ok and none.name == "networks"
    (tmp_path / "networks").mkdir()
    for name in ("pose_prior", "networks/proxy"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"text")
    prior, network = doctor._weights()
    assert not prior.ok and "is not a pose prior" in prior.value
    assert not network.ok and "proxy.safetensors is not a readable .safetensors file" in network.value


def test_networks_of_the_detector_that_are_missing_are_wrong(tmp_path, monkeypatch, capsys):
    """Without them the main job cannot run, which is what the exit code tells."""
    monkeypatch.setattr(blazepose, "FOLDER", tmp_path)
    assert main(["doctor"]) == 1
    report = " ".join(capsys.readouterr().out.split())
    assert "such network file. <-- wrong" in report and "Problems: BlazePose" in report


def test_the_home_folder_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert doctor._short(tmp_path / "a" / "b.npz") == "~/a/b.npz"


@pytest.mark.parametrize("backend", NATIVE)
def test_the_known_values_are_those_of_the_body_and_of_both_backends(backend):
    body = meshrec.load_body("neutral")
    vertices = body(body_pose=doctor.named_pose("squat")[None]).vertices
    assert np.ptp(vertices[0, :, 1].numpy()) == pytest.approx(doctor.SQUAT_METRES, rel=1e-4)
    in_camera = camera_to_y_up(vertices) + vertices.new_tensor([0.0, 0.0, 3.0])
    pixels = meshrec.render.silhouette(in_camera, body.faces, doctor.CAMERA, backend=backend).sum()
    assert float(pixels) == pytest.approx(doctor.SQUAT_PIXELS, rel=1e-5)


def test_the_self_test_compiles_nothing_and_kernels_are_told_apart(tmp_path):
    """In a process of its own, whose cache is empty at first."""
    program = (
        "import sys; from meshrec import doctor; first = doctor.self_test();"
        "print(first.ok, 'numba' in sys.modules); line = doctor.compiled_code(); print(line.ok, line.value)"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for state in ("compiled for this", "compiled before"):
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
        first, second = result.stdout.splitlines()
        assert first == "True False", result.stderr
        assert second.startswith("True ") and f"; {state}, kept in " in second


def test_kernels_that_are_wrong_are_seen(monkeypatch):
    monkeypatch.setattr(doctor, "SQUAT_PIXELS", 300.0)
    line = doctor.compiled_code()
    assert not line.ok and "300.0 pixels are right" in line.value
