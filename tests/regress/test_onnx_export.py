"""Networks as ONNX files against the regressor in torch, and the example that runs them without torch."""

import json
import runpy
import shutil
import sys

import numpy as np
import pytest
import torch
from helpers.hmr2 import SIZES
from helpers.paths import ROOT

import meshrec
from meshrec import Camera
from meshrec.cli import main
from meshrec.export import onnx_files
from meshrec.export.onnx_files import TOLERANCE
from meshrec.models.build import build_network
from meshrec.models.checkpoints import save_checkpoint
from meshrec.models.encoders import NetworkInput
from meshrec.regress import FullFrameRegressor, load_regressor
from meshrec.regress.full_frame import box_information
from meshrec.regress.onnx_export import CropEstimates, export_named, export_network
from meshrec.regress.regressor import LEAST_SCALE

ENCODER = {"inputs": ["keypoints"], "joints": "mediapipe33", "width": 32, "blocks": 1, "dropout": 0.0}
ITERATIVE = {"feedback": "residuals", "iterations": 2, "width": 32, "dropout": 0.0}
WITH_MASKS = {
    **ITERATIVE,
    "encoder": {**ENCODER, "inputs": ["keypoints", "silhouette"], "resnet": 0, "resolution": 32},
    "iterations": 1,
    "refinements": 1,
    "unmasked": 0.2,
    "keypoint_steps": True,
}
PICTURES = {"encoder": {"inputs": ["rgb"], "resnet": 18, "resnet_width": 8, "resolution": 32}, "width": 32}
GRAPH = {"encoder": ENCODER, "nodes": 200, "channels": 16, "blocks": 1, "width": 32}


@pytest.fixture(autouse=True)
def needs_onnx() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="needs onnx: exports to ONNX and runs it")


def checkpoint(path, body, architecture, settings, calibration=None):
    """A network with random weights, none of which is zero."""
    torch.manual_seed(0)
    network = build_network(architecture, settings, body)
    with torch.no_grad():
        for value in network.parameters():
            value += 0.02 * torch.randn_like(value)
    return save_checkpoint(path, network, body.hash, shape_calibration=calibration)


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [("iterative", WITH_MASKS), ("iterative", PICTURES), ("graph", GRAPH)],
    ids=["masks", "pictures", "graph"],
)
def test_a_network_is_the_same_in_onnx_runtime(architecture, settings, body, tmp_path):
    import onnxruntime

    calibration = 0.5 + 0.1 * torch.randn(2, 11, 10, generator=torch.Generator().manual_seed(2))
    path = checkpoint(tmp_path / "net.safetensors", body, architecture, settings, calibration)
    regressor = load_regressor(path, body)
    done = export_network(tmp_path / "net.onnx", regressor, "net", body.hash)
    assert done.difference <= TOLERANCE
    session = onnxruntime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(3)
    for count in (1, 4):
        given = {name: torch.rand(count, *shape, generator=generator) for name, shape in done.inputs.items()}
        given["focal"] += 2
        if "silhouette" in given:
            given["silhouette"][::2] = 0  # people without a mask, who have a calibration of their own
        found = session.run(list(done.outputs), {name: value.numpy() for name, value in given.items()})
        expected = regressor.estimate(NetworkInput(**given))
        for ours, theirs in zip(found[:2], (expected.rotations, expected.betas), strict=True):
            assert np.abs(ours - theirs.numpy()).max() < 1e-4
        assert np.abs(found[2] - CropEstimates(regressor)(*given.values())[2].detach().numpy()).max() < 1e-4
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["meshrec.body"]) == {"hash": body.hash}
    assert json.loads(about["meshrec.rgb_mean"])[0] == 0.485


VIT = {"height": 128, "width": 96, "size": 32, "depth": 1, "heads": 2, "hidden": 32}
HEAD = {"vit": VIT, "width": 32, "depth": 1, "heads": 2, "attention": 32, "hidden": 32}
RESNET = {"encoder": {"resnet": 18, "resnet_width": 8, "resolution": 256}, "width": 32}
PUBLISHED = {
    "hmr2": {**HEAD, "encoder": {"resolution": SIZES["resolution"]}},
    "camera_hmr": {**HEAD, "encoder": {"resolution": SIZES["resolution"]}},
    "cliff": RESNET,
}


@pytest.mark.parametrize("architecture", PUBLISHED)
def test_a_published_network_is_the_same_in_onnx_runtime(architecture, body, tmp_path, monkeypatch):
    """The weights lie in a file of their own, as those of a ViT-H have to."""
    import onnxruntime

    monkeypatch.setattr(onnx_files, "LARGEST", 0)
    path = checkpoint(tmp_path / "net.safetensors", body, architecture, PUBLISHED[architecture])
    regressor = load_regressor(path, body)
    assert isinstance(regressor, FullFrameRegressor)
    done = export_named(tmp_path / "out/net.onnx", path, body)
    assert done.weights is not None and sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "net.onnx",
        "net.onnx.data",
    ]
    shutil.move(tmp_path / "out", tmp_path / "moved")
    session = onnxruntime.InferenceSession(tmp_path / "moved/net.onnx", providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    generator = torch.Generator().manual_seed(3)
    squares, camera = torch.tensor([[200.0, 150, 180], [420, 260, 90]]), Camera(500.0, size=(640, 480))
    rgb = torch.randn(2, *done.inputs["rgb"], generator=generator)
    box = box_information(squares, camera, regressor.family.box)
    given = {"rgb": rgb} | ({} if box is None else {"box": box})
    assert done.inputs.keys() == given.keys()
    rotations, betas, cameras = session.run(None, {name: value.numpy() for name, value in given.items()})
    regressor.network.float()
    state = regressor.in_photo(regressor.estimate(NetworkInput(**given)), squares, camera)
    assert np.abs(rotations - state.rotations.numpy()).max() < 1e-4
    assert np.abs(betas - state.betas.numpy()).max() < 1e-4
    # What the file says of its camera.
    per_metre = cameras[:, :1].clip(LEAST_SCALE) * squares[:, 2:].numpy() / 2
    aside = cameras[:, 1:] + (squares[:, :2].numpy() - np.array([319.5, 239.5])) / per_metre
    assert np.allclose(np.hstack([aside, 500 / per_metre]), state.translation.numpy(), rtol=1e-3)
    assert json.loads(about["meshrec.margin"]) == regressor.family.margin and "focal / k" in about["meshrec.outputs"]


def test_the_example_makes_the_mesh_that_meshrec_makes(body, tmp_path, monkeypatch, capsys):
    path = checkpoint(tmp_path / "keypoints.safetensors", body, "iterative", {**ITERATIVE, "encoder": ENCODER})
    monkeypatch.chdir(tmp_path)
    assert main(["export-onnx", str(path), "keypoints.onnx"]) == 0
    assert main(["export-onnx", "body", "body.onnx"]) == 0
    assert "largest difference" in capsys.readouterr().out
    for name in ("dancer.jpg", "dancer_keypoints.json"):
        shutil.copy(ROOT / "examples" / name, name)
    program = ROOT / "examples" / "onnx_photo_to_mesh.py"
    assert len(program.read_text().splitlines()) <= 60 and "torch" not in program.read_text().split('"""')[2]
    monkeypatch.setattr(sys, "argv", [str(program), "dancer.jpg", "dancer_keypoints.json"])
    runpy.run_path(str(program))
    rows = [line.split() for line in (tmp_path / "mesh.obj").read_text().splitlines()]
    vertices = np.array([row[1:] for row in rows if row[0] == "v"], float) * [1, -1, -1]
    keypoints = np.array(json.loads((tmp_path / "dancer_keypoints.json").read_text()), np.float32)
    reconstructor = meshrec.Reconstructor(regressor=path, refine=False)
    focal = np.hypot(720, 900) / 2 / np.tan(np.radians(55 / 2))
    (person,) = reconstructor("dancer.jpg", keypoints=keypoints[None], focal=focal)
    assert np.abs(vertices - person.vertices).max() < 1e-4
    assert (tmp_path / "overlay.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("nobody a.onnx", "there is no regressor 'nobody'"),
        ("keypoints a.pt", "onnx"),
        ("keypoints a.onnx --body male", "was trained with the body"),
        ("keypoints a.onnx --axis-angle", "--axis-angle is for a body"),
        ("body a.onnx --body nobody", "there is no body 'nobody'"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export-onnx", *arguments.split()]) == 1
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
