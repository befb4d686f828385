"""ONNX files of bodies against torch, for any number of people, and what the files say about themselves."""

import json
import sys

import numpy as np
import pytest
import torch

from meshrec import InputError, MeshrecError, MissingDependency
from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel, joint_set
from meshrec.body.files import body_from_arrays
from meshrec.cli import main
from meshrec.export.onnx_files import OPSET, TOLERANCE, export_body, write_onnx


@pytest.fixture
def small() -> BodyModel:
    return BodyModel(body_from_arrays(random_arrays(), "small"))


def needs_onnx() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="needs onnx: exports to ONNX and runs it")


@pytest.mark.parametrize("axis_angle", [False, True])
def test_a_body_is_the_same_in_onnx_runtime(small, axis_angle, tmp_path):
    needs_onnx()
    import onnxruntime

    done = export_body(tmp_path / "body.onnx", small, axis_angle)
    assert done.difference <= TOLERANCE and done.opset == OPSET and done.size == done.path.stat().st_size
    pose_name = "pose" if axis_angle else "rotations"
    assert list(done.inputs) == ["betas", pose_name, "translation"]
    session = onnxruntime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(1)
    for count in (1, 3, 8):
        betas, pose, place = (torch.randn(count, size, generator=generator) for size in (10, 72, 3))
        out = small(betas, pose[:, 3:], pose[:, :3], place)
        if not axis_angle:
            from meshrec.geometry import axis_angle_to_matrix

            pose = axis_angle_to_matrix(pose.view(count, 24, 3))
        given = {"betas": betas.numpy(), pose_name: pose.numpy(), "translation": place.numpy()}
        vertices, joints = session.run(["vertices", "joints"], given)
        assert np.abs(vertices - out.vertices.numpy()).max() < 1e-4
        assert np.abs(joints - out.joints.numpy()).max() < 1e-4
    about = {key.removeprefix("meshrec."): text for key, text in session.get_modelmeta().custom_metadata_map.items()}
    assert json.loads(about["body"])["hash"] == small.hash and json.loads(about["joints"]) == [*joint_set("smpl24")]
    assert np.array_equal(json.loads(about["faces"]), small.faces) and json.loads(about["opset"]) == OPSET
    assert list(json.loads(about["inputs"])) == list(done.inputs)
    assert b"site-packages" not in done.path.read_bytes() and b".py" not in done.path.read_bytes()


class Drawn(torch.nn.Module):
    """Differs from run to run."""

    calls = 0.0

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        self.calls += 1.0
        return (x + self.calls,)


def test_a_file_that_differs_from_torch_is_not_written(tmp_path):
    needs_onnx()
    about = {"inputs": {"x": ""}, "outputs": {"y": ""}}
    with pytest.raises(MeshrecError, match=r"differs from torch by .* nothing was written"):
        write_onnx(tmp_path / "a.onnx", Drawn(), lambda count, _: (torch.zeros(count, 3),), about)
    assert not list(tmp_path.iterdir())


def test_other_names_and_missing_packages(small, tmp_path, monkeypatch, capsys):
    with pytest.raises(InputError, match="onnx"):
        export_body(tmp_path / "body.pt", small)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingDependency, match=r'pip install "meshrec\[onnx\]"'):
        export_body(tmp_path / "body.onnx", small)
    assert main(["export-onnx", "body", str(tmp_path / "body.onnx")]) == 1
    assert 'pip install "meshrec[onnx]"' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
