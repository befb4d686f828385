"""Our own checkpoints: what is written comes back, and what does not fit is refused in one sentence."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.utils._pytree import tree_leaves

from meshrec.body import load_body
from meshrec.errors import InputError
from meshrec.models.build import build_network, describe_network, read_config
from meshrec.models.checkpoints import HEADER, load_checkpoint, save_checkpoint
from meshrec.models.encoders import NetworkInput
from meshrec.models.graph import GraphConfig
from meshrec.models.iterative import IterativeConfig

ENCODER = {"resnet": 18, "resolution": 64}
NETWORKS = {
    "iterative": {"encoder": {**ENCODER, "inputs": ["rgb", "heatmaps"]}, "feedback": "residuals", "width": 32},
    "graph": {"encoder": ENCODER, "channels": 16, "blocks": 1, "width": 32},
    "fully_connected": {"encoder": ENCODER, "width": 16},
}


@pytest.fixture
def written(body, tmp_path):
    path = tmp_path / "network.safetensors"
    network = build_network("iterative", NETWORKS["iterative"], body)
    return save_checkpoint(path, network, body.hash, {"data": "synthetic", "mpjpe_mm": 61.5})


@pytest.mark.parametrize("architecture", NETWORKS)
def test_what_is_written_comes_back(architecture, body, tmp_path):
    network = build_network(architecture, NETWORKS[architecture], body).eval()
    path = save_checkpoint(tmp_path / "network.safetensors", network, body.hash, {"data": "synthetic"})
    checkpoint = load_checkpoint(path, body)
    assert (checkpoint.architecture, checkpoint.body_hash) == (architecture, body.hash)
    assert checkpoint.provenance == {"data": "synthetic"} and not checkpoint.network.training
    assert describe_network(checkpoint.network) == describe_network(network)
    inputs = NetworkInput(rgb=torch.randn(2, 3, 64, 64), keypoints=torch.rand(2, 17, 3))
    with torch.no_grad():
        before, after = tree_leaves(network(inputs)), tree_leaves(checkpoint.network(inputs))
    assert len(before) >= 6
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_half_precision_and_the_errors_covariance(body, tmp_path):
    network = build_network("iterative", NETWORKS["iterative"], body)
    covariance = 1e-3 * torch.stack([torch.eye(82), 2 * torch.eye(82)])
    calibration = 0.9 * torch.eye(11, 10).repeat(2, 1, 1)
    sizes = []
    for precision in (torch.float32, torch.float16):
        path = tmp_path / f"{precision}.safetensors"
        save_checkpoint(path, network, body.hash, None, covariance, calibration, precision)
        sizes.append(path.stat().st_size)
        checkpoint = load_checkpoint(path, body)
        assert torch.equal(checkpoint.error_covariance, covariance)
        kept = checkpoint.error_covariance.untyped_storage().nbytes()
        assert kept == covariance.nbytes  # and not the whole file
        assert torch.equal(checkpoint.shape_calibration, calibration)
        assert all(p.dtype == torch.float32 for p in checkpoint.network.parameters())
        for ours, theirs in zip(checkpoint.network.parameters(), network.parameters()):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)
    assert sizes[1] < 0.51 * sizes[0]
    save_checkpoint(path, network, body.hash, error_covariance=covariance[0])  # as files of old have it
    assert torch.equal(load_checkpoint(path, body).error_covariance, covariance[:1])
    save_checkpoint(path, network, body.hash, error_covariance=torch.eye(80)[None])
    with pytest.raises(InputError, match="1 x 80 x 80 where 1 x 82 x 82"):
        load_checkpoint(path, body)


def test_a_mesh_network_brings_its_graph(body, tmp_path):
    path = save_checkpoint(tmp_path / "g.safetensors", build_network("graph", NETWORKS["graph"], body), body.hash)
    assert load_checkpoint(path).network.mesh.vertex_count == len(body.v_template)


def test_the_header_is_json(written, body):
    with safe_open(written, framework="pt") as file:
        header = json.loads(file.metadata()[HEADER])
    assert header["body"] == body.hash and header["provenance"]["mpjpe_mm"] == 61.5
    assert header["settings"]["encoder"]["inputs"] == ["rgb", "heatmaps"]


def test_another_body_is_refused(written):
    with pytest.raises(InputError, match=r"was made with the body \w{16}, not with this one"):
        load_checkpoint(written, load_body("female"))
    with pytest.raises(InputError, match="say which body"):
        load_checkpoint(written)


def test_weights_that_do_not_fit_are_named(written, body):
    weights = load_file(written)
    with safe_open(written, framework="pt") as file:
        metadata = file.metadata()
    bad = dict(weights)
    del bad["embed.bias"]
    bad["update.bias"] = torch.zeros(3)
    bad["more"] = torch.zeros(1)
    save_file(bad, written, metadata)
    with pytest.raises(InputError) as caught:
        load_checkpoint(written, body)
    for part in ("missing keys: embed.bias", "unknown keys: more", "update.bias is 3 where 157 is needed"):
        assert part in str(caught.value)
    save_file(weights | {"update.bias": torch.full((157,), torch.inf)}, written, metadata)
    with pytest.raises(InputError, match=r"not finite: update\.bias"):
        load_checkpoint(written, body)


def test_other_files_are_refused(written, body, tmp_path):
    with pytest.raises(InputError, match="there is no such checkpoint"):
        load_checkpoint(tmp_path / "absent.safetensors")
    (tmp_path / "old.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match="import-checkpoint"):
        load_checkpoint(tmp_path / "old.pt")
    data = written.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="not a readable"):
        load_checkpoint(tmp_path / "cut.safetensors", body)
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="no network of this version"):
        load_checkpoint(tmp_path / "other.safetensors")
    known = {"format": 1, "architecture": "iterative", "body": ""}
    for header, sentence in (
        ({"format": 1}, "does not describe a network"),
        ({**known, "settings": 3}, "does not describe a network"),
        ({**known, "settings": {"width": "ten"}}, "a network's width is a whole number from 1 to 16384, not 'ten'"),
        ({**known, "settings": {"width": 10**9}}, "a network's width is a whole number"),
        ({**known, "settings": {"encoder": {"resnet": 19}}}, "there is no ResNet-19"),
        ({**known, "architecture": "vit", "settings": {}}, "there is no architecture 'vit'"),
    ):
        save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors", {HEADER: json.dumps(header)})
        with pytest.raises(InputError, match=rf"other\.safetensors: .*{sentence}"):
            load_checkpoint(tmp_path / "other.safetensors")


def test_a_graph_that_points_outside_is_refused(body, tmp_path):
    path = save_checkpoint(tmp_path / "g.safetensors", build_network("graph", NETWORKS["graph"], body), body.hash)
    weights = load_file(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    weights["mesh.up"][1, -1] = 10**9
    save_file(weights, path, metadata)
    with pytest.raises(InputError, match="does not describe a network"):
        load_checkpoint(path, body)


def test_settings_are_checked(body):
    assert read_config(IterativeConfig, {}) == IterativeConfig()
    assert read_config(GraphConfig, {"encoder": {"inputs": ["silhouette"]}}).encoder.inputs == ("silhouette",)
    with pytest.raises(InputError, match="unknown settings of a network: chanels; there are encoder, nodes, channels"):
        build_network("graph", {"chanels": 3}, body)
    with pytest.raises(InputError, match="there is no architecture 'vit'; choose of iterative, graph"):
        build_network("vit", {}, body)
    with pytest.raises(InputError, match="needs the body"):
        build_network("graph", {})
    with pytest.raises(InputError, match="feedback is of parameters or of residuals, not 'none'"):
        build_network("iterative", {"feedback": "none"})
