"""Several 3D poses for the same 2D joints, by a conditional variational autoencoder.

Source: Sharma, Varigonda, Bindal, Sharma and Jain 2019, "Monocular 3D Human Pose Estimation by Generation and Ordinal
Ranking", section 3.1 (MultiPoseNet); Sohn, Lee and Yan 2015, "Learning Structured Output Representation using Deep
Conditional Generative Models". With 2D joints c, 3D joints y and an unobserved z of a few numbers, z ~ N(0, I) and
y ~ p(y | z, c). A decoder gives p, an encoder gives q(z | y, c) = N(mu, diag(sigma^2)), and both maximise a lower bound
of log p(y | c)::

    E_q [log p(y | z, c)] - KL(q(z | y, c) | N(0, I))

Poses for 2D joints are decoded from several z ~ N(0, I).

Departures: the paper's decoder has a squared error whose weight against the divergence is chosen by hand (a network
that thus has no spread of its own). Here p is a Gaussian whose variance of each coordinate is learned, as Rybkin,
Daniilidis and Levine 2021 propose ("Simple and Effective VAE Training with Calibrated Decoders"), so that the spread of
the poses means something and can be compared with their errors; with ``uneven`` the decoder gives variances too, which
then differ from person to person. The paper's second part, which ranks the poses by the
order of the joints' depths that a network estimates from the picture, is left out, since there is no picture here.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.models.checks import LARGEST
from meshrec.models.gaussians import drawn, kl_from_standard, log_density
from meshrec.models.residual_layers import ResidualLayers
from meshrec.models.standardised import Standardised

LEAST_LOG_VARIANCE = -10.0  # of a standardised coordinate; without a limit the root's falls for ever
LARGEST_LOG_VARIANCE = 6.0


@dataclass(frozen=True)
class VariationalConfig:
    """Settings of the network.

    Attributes:
        joints: name of the joint set of the output.
        seen: name of the joint set of the input.
        latent: numbers of z.
        width: units in each layer of encoder and decoder.
        blocks: number of residual blocks in each.
        uneven: whether variances depend on what is seen and on z; else each coordinate has one of its own.
        samples: number of poses whose mean is the network's single answer.
        seed: seed of these poses.
    """

    joints: str = "h36m17"
    seen: str = "h36m17"
    latent: int = 16
    width: int = 1024
    blocks: int = 2
    uneven: bool = False
    samples: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        joint_set(self.joints), joint_set(self.seen)
        if not (1 <= self.latent <= LARGEST and 1 <= self.width <= LARGEST and 0 <= self.blocks <= 64):
            raise InputError(f"1 to {LARGEST} latent numbers and units, and 0 to 64 blocks are needed: {self}")
        if self.samples < 1:
            raise InputError(f"at least one sample is needed, not {self.samples}")


class ConditionalVae(nn.Module):
    """The autoencoder between vectors.

    Args:
        seen, wanted: lengths of the vectors c and y.
        latent: length of z.
        width, blocks: size of encoder and decoder.
        uneven: whether the decoder gives variances too.
    """

    def __init__(self, seen: int, wanted: int, latent: int, width: int, blocks: int, uneven: bool = False) -> None:
        super().__init__()
        self.latent, self.uneven = latent, uneven
        self.encoder = ResidualLayers(seen + wanted, 2 * latent, width, blocks)
        self.decoder = ResidualLayers(seen + latent, 2 * wanted if uneven else wanted, width, blocks)
        self.log_variance = nn.Parameter(torch.zeros(wanted))  # added to the decoder's, where it has some
        if uneven:
            with torch.no_grad():
                self.decoder.leave.weight[wanted:].zero_()
                self.decoder.leave.bias.zero_()
        # At first z says nothing and y is guessed from c alone: q = N(0, I).
        nn.init.zeros_(self.encoder.leave.weight)
        nn.init.zeros_(self.encoder.leave.bias)

    def encode(self, wanted: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, latent) of q(z | y, c)."""
        mean, log_variance = self.encoder(torch.cat([seen, wanted], dim=1)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, wanted) of p(y | z, c)."""
        found = self.decoder(torch.cat([seen, z], dim=1))
        spread = self.log_variance.expand(len(z), -1)
        if self.uneven:
            found, more = found.chunk(2, dim=1)
            spread = spread + more
        return found, spread.clamp(LEAST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)

    def bound(self, wanted: Tensor, seen: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Estimate, by one z for each person, of the lower bound of log p(y | c).

        Args:
            wanted, seen: (B, wanted) and (B, seen).
            generator: Source of z.

        Returns:
            (B,) nats.
        """
        mean, log_variance = self.encode(wanted, seen)
        found, spread = self.decode(drawn(mean, log_variance, generator), seen)
        return log_density(wanted, found, spread).sum(1) - kl_from_standard(mean, log_variance)

    def samples(self, seen: Tensor, count: int, generator: torch.Generator, noise: bool = False) -> Tensor:
        """Draw from p(y | c).

        Args:
            seen: (B, seen).
            count: Number N of samples of each person.
            generator: Source of the randomness.
            noise: Whether to draw from p(y | z, c) too. By default its mean is taken.

        Returns:
            (B, N, wanted).
        """
        z = torch.randn(len(seen) * count, self.latent, generator=generator).to(seen)
        found, spread = self.decode(z, seen.repeat_interleave(count, 0))
        if noise:
            found = drawn(found, spread, generator)
        return found.unflatten(0, (-1, count))


class VariationalLifter(Standardised):
    """The network. Called as a function it gives the mean of several poses, the same ones each time.

    Args:
        config: its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.variational_lifting import VariationalConfig, VariationalLifter
        >>> lifter = VariationalLifter(VariationalConfig(width=64)).eval()
        >>> lifter.poses(torch.rand(2, 17, 3), 5, torch.Generator().manual_seed(0)).shape
        torch.Size([2, 5, 17, 3])
    """

    config: VariationalConfig

    def __init__(self, config: VariationalConfig | None = None) -> None:
        self.config = config = config or VariationalConfig()
        count, seen = len(joint_set(config.joints)), len(joint_set(config.seen))
        super().__init__(count, seen)
        self.vae = ConditionalVae(3 * seen, 3 * count, config.latent, config.width, config.blocks, config.uneven)

    def loss(self, keypoints: Tensor, joints: Tensor) -> Tensor:
        """The negative lower bound of the log-density, nats for each coordinate.

        Args:
            keypoints: (B, S, 3) what is seen.
            joints: (B, K, 3) true positions relative to the root, metres.
        """
        wanted = ((joints - self.mean) / self.deviation).flatten(1)
        return -self.vae.bound(wanted, self._seen(keypoints)).mean() / wanted.shape[1]

    def standard(self, keypoints: Tensor) -> Tensor:
        """Mean (B, K, 3) of standardised poses for standardised keypoints (B, S, 3)."""
        generator = torch.Generator().manual_seed(self.config.seed)
        found = self.vae.samples(keypoints.flatten(1), self.config.samples, generator)
        return found.mean(1).unflatten(1, (-1, 3))

    def poses(self, keypoints: Tensor, count: int, generator: torch.Generator, noise: bool = False) -> Tensor:
        """Draw poses for each of B people.

        Args:
            keypoints: (B, S, 3) as for a call.
            count: Number N of poses of each person.
            generator: Source of the randomness.
            noise: Whether each coordinate has its own error added, as the distribution of the joints has it. A pose
                without it looks like one of a person.

        Returns:
            (B, N, K, 3) positions relative to the root, metres.
        """
        found = self.vae.samples(self._seen(keypoints), count, generator, noise).unflatten(2, (-1, 3))
        return self.mean + self.deviation * found

    def _seen(self, keypoints: Tensor) -> Tensor:
        return ((keypoints - self.seen_mean) / self.seen_deviation).flatten(1)
