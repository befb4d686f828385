"""The voxel network: its shapes, the means of heatmaps against closed forms, and its files."""

import pytest
import torch

from meshrec.errors import InputError
from meshrec.models.voxel_to_voxel import (
    VoxelConfig,
    VoxelToVoxel,
    load_voxel_network,
    save_voxel_network,
    soft_argmax,
)

SMALL = VoxelConfig("limb12", side=2.0, voxels=16, fold=2, channels=(3, 4, 5), blocks=1)


def test_the_mean_of_a_gaussian_heatmap_is_its_centre():
    """The logarithms of a Gaussian's density; its mean and deviation are known where the grid holds it."""
    count, side, center, deviation = 24, 2.4, torch.tensor([0.13, -0.21, 0.05]), 0.15
    cells = ((torch.arange(count) + 0.5) / count - 0.5) * side
    z, y, x = torch.meshgrid(cells, cells, cells, indexing="ij")
    squared = sum((a - c) ** 2 for a, c in zip((x, y, z), center))
    means, deviations = soft_argmax(-squared[None, None] / (2 * deviation**2) + 7.0, side)
    assert torch.allclose(means[0, 0], center, atol=1e-4)
    assert torch.allclose(deviations, torch.tensor(3**0.5 * deviation), rtol=1e-3)


def test_two_peaks_give_their_middle():
    heatmaps = torch.full((1, 1, 8, 8, 8), -1e4)
    heatmaps[0, 0, 1, 2, 3] = heatmaps[0, 0, 5, 2, 3] = 0.0
    means, deviations = soft_argmax(heatmaps, 8.0)
    assert torch.allclose(means[0, 0], torch.tensor([-0.5, -1.5, -0.5]))
    assert torch.allclose(deviations, torch.tensor(2.0))


def test_shapes():
    network = VoxelToVoxel(SMALL).eval()
    heatmaps = network(torch.rand(2, 2, 16, 16, 16))
    assert heatmaps.shape == (2, 12, 8, 8, 8)
    places, deviations = network.places(heatmaps)
    assert places.shape == (2, 12, 3) and deviations.shape == (2, 12)
    assert places.abs().max() < SMALL.side / 2


def test_every_voxel_reaches_every_heatmap():
    """The coarsest grid sees the whole cube, so that a hand's heatmap may depend on the feet."""
    network = VoxelToVoxel(SMALL).eval()
    voxels = torch.rand(1, 2, 16, 16, 16, requires_grad=True)
    network(voxels)[0, 0, 0, 0, 0].backward()
    assert (voxels.grad[0, :, -4:, -4:, -4:] != 0).any()


def test_files(tmp_path):
    network = VoxelToVoxel(SMALL).eval()
    save_voxel_network(tmp_path / "network.safetensors", network)
    again = load_voxel_network(tmp_path / "network.safetensors")
    voxels = torch.rand(1, 2, 16, 16, 16)
    assert again.config == SMALL
    assert torch.allclose(network.places(network(voxels))[0], again.places(again(voxels))[0], atol=2e-3)


def test_wrong_files(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "other.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"no tensors")
    for name in ("other.safetensors", "damaged.safetensors", "missing.safetensors"):
        with pytest.raises(InputError, match=name):
            load_voxel_network(tmp_path / name)


@pytest.mark.parametrize("wrong", [{"voxels": 20}, {"channels": (1, 2)}, {"side": 0.0}, {"blocks": 0}])
def test_wrong_settings(wrong):
    with pytest.raises(InputError):
        VoxelConfig(**wrong)
