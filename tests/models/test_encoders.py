import pytest
import torch

from meshrec.errors import InputError
from meshrec.models.encoders import (
    Encoder,
    EncoderConfig,
    NetworkInput,
    keypoint_heatmaps,
    known_keypoints,
    normalize_rgb,
)


@pytest.fixture
def inputs() -> NetworkInput:
    generator = torch.Generator().manual_seed(0)
    return NetworkInput(
        rgb=torch.randn(2, 3, 64, 64, generator=generator),
        silhouette=torch.rand(2, 1, 64, 64, generator=generator),
        keypoints=torch.rand(2, 17, 3, generator=generator),
    )


@pytest.mark.parametrize(
    "names, channels, features",
    [
        (("rgb",), 3, 512),
        (("heatmaps", "silhouette"), 18, 512),
        (("rgb", "heatmaps", "silhouette"), 21, 512),
        (("keypoints",), 0, 32),
        (("rgb", "keypoints"), 3, 544),
    ],
)
def test_every_input_reaches_the_feature(inputs, names, channels, features):
    config = EncoderConfig(names, resnet=18, resolution=64, width=32)
    network = Encoder(config).eval()
    assert config.channels == channels and network.features == features
    used = {"keypoints" if name == "heatmaps" else name for name in names}
    for name, value in vars(inputs).items():
        setattr(inputs, name, value.requires_grad_() if name in used else None)
    feature = network(inputs)
    assert feature.shape == (2, features)
    feature.square().sum().backward()
    for name in used:
        gradient = getattr(inputs, name).grad
        assert (gradient.abs().flatten(1).sum(1) > 0).all(), name


def test_what_is_missing_is_said(inputs):
    inputs.silhouette = None
    with pytest.raises(ValueError, match="needs silhouette"):
        Encoder(EncoderConfig(("rgb", "silhouette"), resnet=18))(inputs)
    with pytest.raises(InputError, match="one or more of rgb, heatmaps, silhouette, keypoints"):
        EncoderConfig(("depth",))
    with pytest.raises(InputError, match="one or more"):
        EncoderConfig(())


def test_missing_keypoints_have_no_influence(inputs):
    inputs.keypoints[:, 3, 2] = 0
    moved = NetworkInput(keypoints=inputs.keypoints.clone())
    moved.keypoints[:, 3, :2] = torch.nan
    assert torch.equal(known_keypoints(inputs), known_keypoints(moved))
    network = Encoder(EncoderConfig(("heatmaps", "keypoints"), resnet=18, resolution=64, width=32)).eval()
    assert torch.equal(network(inputs), network(moved))


def test_heatmaps_are_gaussians_at_the_keypoints():
    # The centre of pixel (u, v) = (12, 40) of 64 lies at 2 (u + 1/2) / 64 - 1.
    x, y = (2 * (pixel + 0.5) / 64 - 1 for pixel in (12, 40))
    maps = keypoint_heatmaps(torch.tensor([[[x, y, 0.8], [0.0, 0.0, 0.0]]]), 64, sigma=2 * 2 / 64)
    assert maps.shape == (1, 2, 64, 64) and maps[0, 1].abs().max() == 0
    peak = maps[0, 0]
    assert peak[40, 12] == pytest.approx(0.8, abs=1e-6) and peak.argmax() == 40 * 64 + 12
    # Two pixels aside is one standard deviation.
    assert peak[40, 14] == pytest.approx(0.8 * torch.tensor(-0.5).exp().item(), rel=1e-4)
    assert torch.allclose(peak[38, 12], peak[40, 14])
    assert peak.sum() == pytest.approx(0.8 * 2 * torch.pi * 4, rel=1e-3)


def test_rgb_is_normalised_as_imagenet():
    image = torch.tensor([0.485, 0.456 + 0.224, 0.0])[None, :, None, None].expand(1, 3, 2, 2)
    expected = torch.tensor([0.0, 1.0, -0.406 / 0.225])
    assert torch.allclose(normalize_rgb(image)[0, :, 0, 0], expected)
