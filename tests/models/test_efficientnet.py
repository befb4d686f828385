"""EfficientNet-Lite0 against the package whose weights it takes."""

import pytest
import torch
from helpers.published import close, efficientnet_weights, seeded_images, stored

from meshrec.errors import InputError
from meshrec.models.efficientnet import EfficientNetLite0, lite_rgb
from meshrec.models.encoders import IMAGENET_MEAN, IMAGENET_STD, Encoder, EncoderConfig, NetworkInput, normalize_rgb
from meshrec.models.imagenet import load_backbone


@pytest.mark.parametrize("size", [224, 90])
def test_outputs_equal_the_packages(size, tmp_path):
    torch.save(efficientnet_weights(), tmp_path / "lite0.pth")
    network = EfficientNetLite0().eval()
    load_backbone(network, tmp_path / "lite0.pth")
    assert sum(p.numel() for p in network.parameters()) == 3_371_008
    with torch.no_grad():
        assert close(network(seeded_images(2)[:, :, :size, :size]), stored("efficientnet")[f"size{size}"])


def test_an_encoder_gives_it_pictures_from_minus_one_to_one(tmp_path):
    """As TensorFlow's weights expect them, whatever the other networks' normalisation."""
    torch.save(efficientnet_weights(), tmp_path / "lite0.pth")
    encoder = Encoder(EncoderConfig(("rgb", "silhouette"), resnet="efficientnet_lite0", resolution=64)).eval()
    load_backbone(encoder.backbone, tmp_path / "lite0.pth")
    alone = EfficientNetLite0().eval()
    load_backbone(alone, tmp_path / "lite0.pth")
    picture = torch.rand(2, 3, 64, 64)
    assert torch.allclose(
        lite_rgb(normalize_rgb(picture), IMAGENET_MEAN, IMAGENET_STD), (255 * picture - 127) / 128, atol=1e-5
    )
    with torch.no_grad():  # the mask has no influence at first
        seen = encoder(NetworkInput(rgb=normalize_rgb(picture), silhouette=torch.rand(2, 1, 64, 64)))
        assert torch.allclose(seen, alone((255 * picture - 127) / 128), atol=1e-4)


def test_files_of_other_networks_are_refused(tmp_path):
    torch.save(efficientnet_weights(), tmp_path / "lite0.pth")
    with pytest.raises(InputError, match=r"lite0\.pth does not fit this network"):
        load_backbone(Encoder(EncoderConfig(("rgb",), resnet=18)).backbone, tmp_path / "lite0.pth")
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth does not fit this network"):
        load_backbone(EfficientNetLite0(), tmp_path / "other.pth")
    with pytest.raises(InputError, match="resnet_width is of ResNets"):
        EncoderConfig(("rgb",), resnet="efficientnet_lite0", resnet_width=32)
