"""Published checkpoints: the same weights and input give what the authors' own code gives."""

import argparse
import os
import pickle
import re

import numpy as np
import pytest
import torch
from helpers.published import (
    close,
    linear_shapes,
    norm_shapes,
    resnet_shapes,
    seeded_images,
    seeded_weights,
    spin_weights,
    stored,
    write_downsampling,
)
from torch import Tensor

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel, load_body
from meshrec.body.files import body_from_arrays
from meshrec.errors import InputError
from meshrec.models.checkpoints import load_checkpoint
from meshrec.models.encoders import NetworkInput
from meshrec.models.published import import_checkpoint, read_graph, read_weights


@pytest.fixture(scope="module")
def spin() -> dict[str, Tensor]:
    """A state dict as SPIN's."""
    return spin_weights()


@pytest.fixture(scope="module")
def graph_cmr() -> dict[str, dict[str, Tensor]]:
    """A checkpoint as GraphCMR's."""
    shapes = {f"resnet.{key}": shape for key, shape in resnet_shapes(50).items()}
    shapes |= {"gc.0.W": (512, 2051), "gc.0.b": (512,), "camera_fc.2.W": (1, 256), "camera_fc.2.b": (1,)}
    blocks = {
        "gc.1": (512, 256),
        **{f"gc.{i}": (256, 256) for i in range(2, 7)},
        "shape.0": (256, 64),
        "shape.1": (64, 32),
    }
    for name, (inputs, outputs) in blocks.items():
        half = outputs // 2
        for part, size in (("lin1", (half, inputs)), ("lin2", (outputs, half)), ("skip_conv", (outputs, inputs))):
            shapes |= {f"{name}.{part}.W": size, f"{name}.{part}.b": (size[0],)}
        shapes |= {f"{name}.conv.weight": (half, half), f"{name}.conv.bias": (half,)}
        for part, size in (("pre_norm", inputs), ("norm1", half), ("norm2", half)):
            shapes |= {f"{name}.{part}.weight": (size,), f"{name}.{part}.bias": (size,)}
    shapes |= {"shape.2.weight": (32,), "shape.2.bias": (32,), "shape.4.W": (3, 32), "shape.4.b": (3,)}
    shapes |= {"camera_fc.0.weight": (256,), "camera_fc.0.bias": (256,)} | linear_shapes("camera_fc.4", 1723, 3)
    layers = linear_shapes("layers.0.fc_block.0", 10338, 1024) | norm_shapes("layers.0.fc_block.1", 1024)
    for i in (1, 2):
        for j in (0, 3):
            layers |= linear_shapes(f"layers.{i}.fc_block.{j}", 1024, 1024)
            layers |= norm_shapes(f"layers.{i}.fc_block.{j + 1}", 1024)
    layers |= linear_shapes("layers.3", 1024, 226)
    return {part: prefixed_weights(part, s) for part, s in (("graph_cnn", shapes), ("smpl_param_regressor", layers))}


def prefixed_weights(prefix: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    weights = seeded_weights({f"{prefix}.{key}": shape for key, shape in shapes.items()})
    return {key.removeprefix(f"{prefix}."): value for key, value in weights.items()}


@pytest.fixture(scope="module")
def smpl() -> BodyModel:
    """A body of SMPL's sizes."""
    return BodyModel(body_from_arrays(random_arrays(6890), "random"))


@pytest.mark.parametrize("layout", ["SPIN", "MMHuman3D"])
def test_spin_equals_the_authors_code(spin, smpl, layout, tmp_path):
    if layout == "SPIN":
        content = {"model": {f"module.{key}": value for key, value in spin.items()}, "epoch": 3}
    else:
        head = ("fc1.", "fc2.", "dec", "init_")
        state = {f"{'head' if key.startswith(head) else 'backbone'}.{key}": value for key, value in spin.items()}
        state["body_model_train.betas"] = torch.zeros(1, 10)
        content = {"state_dict": state, "meta": {"epoch": 3, "hook_msgs": {"best_score": np.float64(57.5)}}}
    torch.save(content, tmp_path / "model_checkpoint.pt")
    written = import_checkpoint(tmp_path / "model_checkpoint.pt", tmp_path / "spin.safetensors", smpl)
    read = load_checkpoint(tmp_path / "spin.safetensors", smpl)
    assert written.kind == "HMR or SPIN"
    assert written.architecture == read.architecture == "iterative" and read.body_hash == smpl.hash
    assert read.provenance == {"converted_from": "model_checkpoint.pt"}
    with torch.no_grad():
        estimate = read.network(NetworkInput(rgb=seeded_images(2))).final
        vertices = smpl(estimate.betas, estimate.rotations[:, 1:], estimate.rotations[:, :1]).vertices
    expected = stored("spin")
    assert close(estimate.rotations, expected["rotations"])
    assert close(estimate.betas, expected["betas"])
    assert close(estimate.camera, expected["camera"])
    assert close(vertices[:, ::10], expected["vertices"])


def test_graph_cmr_equals_the_authors_code(graph_cmr, smpl, tmp_path):
    torch.save(graph_cmr, tmp_path / "cmr.pt")
    write_downsampling(tmp_path / "mesh_downsampling.npz")
    import_checkpoint(tmp_path / "cmr.pt", tmp_path / "cmr.safetensors", smpl, tmp_path / "mesh_downsampling.npz")
    network = load_checkpoint(tmp_path / "cmr.safetensors", smpl).network
    with torch.no_grad():
        output = network(NetworkInput(rgb=seeded_images(2)))
        body = output.final
        vertices = smpl(body.betas, body.rotations[:, 1:], body.rotations[:, :1]).vertices
    expected = stored("graphcmr")
    assert close(output.mesh.vertices[:, ::10], expected["vertices"])
    assert close(output.mesh.camera, expected["camera"])
    assert close(body.rotations, expected["rotations"])
    assert close(body.betas, expected["betas"])
    assert close(vertices[:, ::10], expected["body_vertices"])
    # The comparison sees the graph: nodes differ by far more than the tolerance.
    assert output.mesh.coarse.std(1).min() > 0.01


def test_graph_cmr_needs_its_graph_and_its_body(graph_cmr, smpl, tmp_path):
    torch.save(graph_cmr, tmp_path / "cmr.pt")
    write_downsampling(tmp_path / "graph.npz")
    with pytest.raises(InputError, match=r"graph is needed too, GraphCMR's mesh_downsampling\.npz"):
        import_checkpoint(tmp_path / "cmr.pt", tmp_path / "cmr.safetensors", smpl)
    with pytest.raises(InputError, match="make SMPL's 6890 vertices, but this body has 7644"):
        import_checkpoint(tmp_path / "cmr.pt", tmp_path / "cmr.safetensors", load_body("neutral"))
    with pytest.raises(InputError, match="is for a mesh of 6890 vertices, but this body has 7644"):
        read_graph(tmp_path / "graph.npz", load_body("neutral"))
    np.savez(tmp_path / "other.npz", A=np.zeros(3))
    with pytest.raises(InputError, match="should be a list of sparse matrices"):
        read_graph(tmp_path / "other.npz", smpl)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "graph.npz").read_bytes()[:1000])
    with pytest.raises(InputError, match="is not GraphCMR's mesh_downsampling"):
        read_graph(tmp_path / "cut.npz", smpl)


def test_a_checkpoint_that_does_not_fit_says_where(spin, graph_cmr, smpl, tmp_path):
    def message(content: object, **options) -> str:
        torch.save(content, tmp_path / "c.pt")
        with pytest.raises(InputError) as caught:
            import_checkpoint(tmp_path / "c.pt", tmp_path / "c.safetensors", smpl, **options)
        assert not (tmp_path / "c.safetensors").exists()
        return str(caught.value)

    lacking = {key: value for key, value in spin.items() if key not in ("fc2.bias", "layer1.0.conv1.weight")}
    assert "missing keys: layer1.0.conv1.weight, fc2.bias" in message({"model": lacking})
    narrow = spin | {"fc1.weight": torch.zeros(1024, 2048)}
    assert "wrong shapes: fc1.weight is 1024 x 2048 where 1024 x 2205 is needed" in message({"model": narrow})
    assert "not finite: fc2.bias" in message({"model": spin | {"fc2.bias": torch.full((1024,), torch.nan)}})
    assert "unknown keys: extra.weight" in message({"model": spin | {"extra.weight": torch.zeros(1)}})
    assert "no tensor" in message({"model": spin | {"fc2.bias": [1.0]}})
    assert re.search("holds no weights of HMR2.0, CameraHMR, CLIFF, .*, but epoch", message({"epoch": 3}))
    assert "where checkpoints are dictionaries" in message([1, 2])

    write_downsampling(tmp_path / "graph.npz")
    graph_cnn = {key: value for key, value in graph_cmr["graph_cnn"].items() if key != "gc.3.lin1.W"}
    lacking = message({**graph_cmr, "graph_cnn": graph_cnn}, graph=tmp_path / "graph.npz")
    assert lacking.endswith("missing keys: graph_cnn.gc.3.lin1.W")
    assert "missing keys: graph_cnn" in message({"graph_cnn": 3}, graph=tmp_path / "graph.npz")
    assert "smpl_param_regressor.layers.0" in message({"graph_cnn": graph_cnn}, graph=tmp_path / "graph.npz")


class Hostile:
    """What a malicious pickle looks like."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_hostile_files_run_nothing(smpl, tmp_path):
    torch.save({"model": Hostile(tmp_path / "harm")}, tmp_path / "new.pt")
    torch.save({"model": Hostile(tmp_path / "harm")}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"model": Hostile(tmp_path / "harm")}, protocol=2))
    for name in ("new.pt", "old.pt", "plain.pt"):
        with pytest.raises(InputError, match=r"refused, because it asks to run 'posix\.mkdir'"):
            read_weights(tmp_path / name)
    harmful = np.empty(2, object)
    harmful[:] = [Hostile(tmp_path / "harm")] * 2
    np.savez(tmp_path / "graph.npz", A=harmful, U=harmful, D=harmful)
    with pytest.raises(InputError, match=r"refused, because it asks to run 'posix\.mkdir'"):
        read_graph(tmp_path / "graph.npz", smpl)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "legacy"])
def test_objects_beside_the_weights_do_not_matter(tmp_path, zipped):
    content = {"model": {"w": torch.ones(2)}, "args": Hostile(tmp_path / "harm"), "options": argparse.Namespace(lr=0.1)}
    torch.save(content, tmp_path / "c.pt", _use_new_zipfile_serialization=zipped)
    assert torch.equal(read_weights(tmp_path / "c.pt")["model"]["w"], torch.ones(2))
    assert not (tmp_path / "harm").exists()


def test_damaged_files_are_refused_in_one_sentence(spin, tmp_path):
    torch.save(spin, tmp_path / "whole.pt")
    data = (tmp_path / "whole.pt").read_bytes()
    for name, content in (("cut.pt", data[: len(data) // 2]), ("empty.pt", b""), ("text.pt", b"404: Not Found")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} is not a readable checkpoint") as caught:
            read_weights(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="there is no such checkpoint"):
        read_weights(tmp_path / "absent.pt")
