"""The list of networks against the files that are shipped, and against networks of full size."""

import pytest
import torch
from safetensors import safe_open

from meshrec.cli import main
from meshrec.models import weights_folder
from meshrec.models.build import build_network
from meshrec.models.checkpoints import read_header
from meshrec.models.field_of_view import FieldOfViewNetwork
from meshrec.models.known_networks import known_networks
from meshrec.regress.weights import NAMES

KNOWN = {row.name: row for row in known_networks()}


def test_shipped_networks_are_those_that_are_installed():
    shipped = {row.name: row for row in KNOWN.values() if row.is_shipped}
    assert shipped.keys() == NAMES.keys()
    for name, row in shipped.items():
        path = weights_folder() / f"{NAMES[name]}.safetensors"
        assert read_header(path)["architecture"] == row.architecture
        with safe_open(path, "pt") as file:
            keys = [key for key in file.keys() if not key.startswith(("mesh.", "error_", "shape_"))]  # noqa: SIM118
            count = sum(file.get_tensor(key).numel() for key in keys)
        assert row.parameters == pytest.approx(count / 1e6, abs=0.1)


def test_the_field_of_view_network_has_the_stated_size():
    with torch.device("meta"):
        network = FieldOfViewNetwork()
    count = sum(p.numel() for p in network.parameters())
    assert KNOWN["CameraHMR's field of view"].parameters == pytest.approx(count / 1e6, abs=0.1)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("HMR2.0a", {}),
        ("HMR2.0b", {}),
        ("CameraHMR", {"told": True}),
        ("CLIFF, HRNet-W48", {"hrnet": {}}),
        ("CLIFF, ResNet-50", {}),
        ("SPIN", {}),
        ("SPIN, MMHuman3D", {}),
        ("HMR, MMHuman3D", {}),
    ],
)
def test_published_networks_have_the_stated_size(name, settings):
    with torch.device("meta"):
        network = build_network(KNOWN[name].architecture, settings)
    count = sum(p.numel() for p in network.parameters())
    assert KNOWN[name].parameters == pytest.approx(count / 1e6, abs=0.1)


def test_every_published_network_says_what_it_needs():
    for row in KNOWN.values():
        assert row.licence and row.input
        assert row.is_shipped != bool(row.origin)
        assert bool(row.source) == (row.pa_mpjpe is not None)
        if row.architecture != "field_of_view" and not row.is_shipped:
            assert "SMPL_NEUTRAL.pkl" in row.bring


def test_the_command_prints_the_list(capsys):
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert "import-checkpoint FILE" in printed
    assert main(["models", "--threads", "1"]) == 1
    assert "only with --latency" in capsys.readouterr().err
