"""ResNets against torchvision: its names, its sizes, and what it puts out under the same weights."""

import pytest
import torch
from helpers.published import close, resnet_shapes, seeded_images, seeded_weights, stored
from safetensors.torch import save_file

from meshrec.errors import InputError
from meshrec.models.imagenet import load_backbone
from meshrec.models.published import load_resnet
from meshrec.models.resnet import ResNet


@pytest.mark.parametrize("depth, parameters", [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032)])
def test_names_and_sizes_are_torchvisions(depth, parameters):
    network = ResNet(depth)
    expected = {key: shape for key, shape in resnet_shapes(depth).items() if not key.startswith("fc.")}
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == expected
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_outputs_equal_torchvisions(depth, tmp_path):
    torch.save(seeded_weights(resnet_shapes(depth)), tmp_path / "resnet.pth")
    network = ResNet(depth).eval()
    load_resnet(network, tmp_path / "resnet.pth")
    expected = stored("resnet")[f"resnet{depth}"]
    with torch.no_grad():
        assert close(network(seeded_images(2)), expected)


def test_channels_beyond_rgb_start_without_influence(tmp_path):
    torch.save(seeded_weights(resnet_shapes(18)), tmp_path / "resnet.pth")
    network = ResNet(18, channels=21).eval()
    load_resnet(network, tmp_path / "resnet.pth")
    maps = torch.cat([seeded_images(2), torch.rand(2, 18, 224, 224)], dim=1)
    with torch.no_grad():
        assert close(network(maps), stored("resnet")["resnet18"])


def test_another_depth_or_too_few_channels_is_refused(tmp_path):
    torch.save(seeded_weights(resnet_shapes(18)), tmp_path / "resnet18.pth")
    with pytest.raises(InputError, match=r"resnet18\.pth does not fit this network; missing keys: .*conv3\.weight"):
        load_resnet(ResNet(50), tmp_path / "resnet18.pth")
    with pytest.raises(InputError, match=r"conv1\.weight is 64 x 3 x 7 x 7 where 64 x 1 x 7 x 7 is needed"):
        load_resnet(ResNet(18, channels=1), tmp_path / "resnet18.pth")
    with pytest.raises(ValueError, match="no ResNet-101"):
        ResNet(101)


def test_timms_files_fit_and_its_other_stem_is_refused(tmp_path):
    """They have torchvision's names in a safetensors file, where counts of batches may be missing."""
    weights = seeded_weights(resnet_shapes(18))
    weights = {key: value for key, value in weights.items() if not key.endswith("num_batches_tracked")}
    save_file(weights, tmp_path / "model.safetensors")
    network = ResNet(18).eval()
    load_backbone(network, tmp_path / "model.safetensors")
    with torch.no_grad():
        assert close(network(seeded_images(2)), stored("resnet")["resnet18"])
    save_file(weights | {"conv1.0.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "d.safetensors")
    with pytest.raises(InputError, match=r"d\.safetensors holds a ResNet with three convolutions in its stem"):
        load_backbone(network, tmp_path / "d.safetensors")


def test_any_size_of_picture():
    network = ResNet(18).eval()
    with torch.no_grad():
        assert network(torch.randn(2, 3, 64, 96)).shape == (2, 512)


def test_half_the_width_is_a_quarter_of_the_weights():
    def size(network: ResNet) -> int:
        return sum(p.numel() for p in network.parameters())

    half = ResNet(18, channels=2, width=32)
    assert half.features == 256 and half(torch.zeros(2, 2, 64, 64)).shape == (2, 256)
    assert 0.24 < size(half) / size(ResNet(18, channels=2)) < 0.26
