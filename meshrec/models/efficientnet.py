"""EfficientNet-Lite0 as a feature extractor: 3.4 million weights, a twelfth of a ResNet-50's operations.

EfficientNet is by Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks". The Lite
family leaves out squeeze-and-excitation, and has ReLU6 in place of Swish.
"""

from torch import Tensor, nn
from torch.nn.functional import pad, relu6

EPSILON, MOMENTUM = 1e-3, 0.01  # of the batch normalisations, as the published weights were trained
MEAN, STD = 127 / 255, 128 / 255  # of the pictures that the published weights expect, as shares of the brightest
HEAD = 1280
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))  # fmt: skip
"""For each stage the number of blocks, the size of their kernels, the first one's stride, expansion, and channels."""


class EfficientNetLite0(nn.Module):
    """An EfficientNet-Lite0 up to its global mean, without the classifier: it maps a picture to one feature vector.

    Args:
        channels: number of input channels; three for RGB.

    Attributes:
        features: length of the feature vector.

    Example:
        >>> import torch
        >>> network = EfficientNetLite0().eval()
        >>> network(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 1280])
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.features = HEAD
        self.conv_stem = SameConv(channels, 32, 3, stride=2)
        self.bn0 = _norm(32)
        blocks, inputs = [], 32
        for count, kernel, stride, expansion, outputs in STAGES:
            for number in range(count):
                blocks.append(InvertedResidual(inputs, outputs, kernel, stride if number == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.conv_head = SameConv(inputs, HEAD, 1)
        self.bn1 = _norm(HEAD)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures to feature vectors.

        Args:
            x: (B, channels, H, W).

        Returns:
            (B, features).
        """
        x = relu6(self.bn0(self.conv_stem(x)))
        x = relu6(self.bn1(self.conv_head(self.blocks(x))))
        return x.mean((2, 3))


class InvertedResidual(nn.Module):
    """A 1x1 convolution to more channels, one of each channel by itself, and one to the output's; a skip connection.

    Args:
        inputs: number of input channels.
        outputs: number of output channels.
        kernel: size of the middle convolution.
        stride: its stride.
        expansion: channels of the middle convolution over ``inputs``; with 1 the first convolution is left out.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expands, self.skips = expansion != 1, stride == 1 and inputs == outputs
        if self.expands:
            self.expand_conv = SameConv(inputs, inner, 1)
            self.bn0 = _norm(inner)
        self.depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner)
        self.bn1 = _norm(inner)
        self.project_conv = SameConv(inner, outputs, 1)
        self.bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        y = relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        y = relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.skips else y


class SameConv(nn.Conv2d):
    """A convolution without bias whose output has ceil(H / stride) rows: TensorFlow pads one side more.

    Args:
        inputs, outputs: numbers of channels.
        kernel, stride, groups: as in :class:`torch.nn.Conv2d`.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        lacks = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in (x.shape[3], x.shape[2])]
        if any(lacks):
            x = pad(x, [part for lack in lacks for part in (lack // 2, lack - lack // 2)])
        return super().forward(x)


def lite_rgb(rgb: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Pictures as the published weights expect them, of pictures (B, 3, H, W) normalised by another mean and deviation.

    Args:
        rgb: the normalised pictures.
        mean, std: mean and standard deviation of each colour, by which they were normalised.
    """
    scale = rgb.new_tensor(std)[:, None, None]
    offset = rgb.new_tensor(mean)[:, None, None]
    return (rgb * scale + (offset - MEAN)) / STD


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM)
