"""One unobserved pose behind 2D joints, a mask and 3D joints: a variational autoencoder with a mixture of experts.

Source: Shi, Siddharth, Paige and Torr 2019, "Variational Mixture-of-Experts Autoencoders for Multi-Modal Deep
Generative Models" (MMVAE), equations 2 and 3. Each modality x_m has an encoder q_m(z | x_m), a Gaussian, and a decoder
p_m(x_m | z). All modalities together have the mixture of the encoders' Gaussians, each with the same share, and each
step draws a z from each encoder ("stratified sampling")::

    q(z | x) = 1/M sum_m q_m(z | x_m)
    loss = -1/M sum_m E_{z ~ q_m} [ sum_n log p_n(x_n | z) + log N(z | 0, I) - log q(z | x) ]

so that each decoder learns to make its modality from the others ("cross generation") and from itself. The cross-modal
loss of Spurr, Song, Park and Hilliges 2018, "Cross-modal Deep Variational Hand Pose Estimation", is the same but for
the last two terms, which are the divergence of each encoder's Gaussian from N(0, I).

Several modalities of one person are combined as the paper has it, by drawing from one encoder after the other, or as
Wu and Goodman 2018 do, "Multimodal Generative Models for Scalable Weakly-Supervised Learning", by the product of
N(0, I) and the encoders' Gaussians.

Departures: Shi et al. draw K values of z and use an importance-weighted bound with Laplace distributions; here K is 1,
and distributions are Gaussian, with a learned variance of each coordinate, and Bernoulli for masks. As in the paper
the log-densities of modalities are scaled so that a modality of many numbers does not outweigh the others: to the
number of coordinates of the 3D joints.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from meshrec.body.joints import joint_set
from meshrec.errors import InputError
from meshrec.models.checks import LARGEST
from meshrec.models.gaussians import drawn, kl_from_standard, log_density
from meshrec.models.residual_layers import ResidualLayers
from meshrec.models.standardised import Standardised
from meshrec.models.variational_lifting import LEAST_LOG_VARIANCE

MODALITIES = ("keypoints", "mask", "joints")


@dataclass(frozen=True)
class MultimodalConfig:
    """Settings of the network.

    Attributes:
        joints: name of the joint set that is seen and lifted.
        resolution: side of the masks, pixels.
        latent: numbers of z.
        width: units in each layer of encoders and decoders.
        blocks: number of residual blocks in each.
        mixture: whether the loss has the mixture of experts (Shi 2019); else it has the divergence of each encoder
            (Spurr 2018).
        samples: number of z whose decoded poses' mean is a single answer.
        seed: seed of these.
    """

    joints: str = "h36m17"
    resolution: int = 32
    latent: int = 32
    width: int = 512
    blocks: int = 2
    mixture: bool = True
    samples: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        joint_set(self.joints)
        sizes = (self.resolution, self.latent, self.width, self.samples)
        if not (all(1 <= size <= LARGEST for size in sizes) and 0 <= self.blocks <= 64):
            raise InputError(f"sizes of 1 to {LARGEST} and 0 to 64 blocks are needed: {self}")


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known of B people; None for a modality that is not.

    Attributes:
        keypoints: (B, K, 3) standardised x, y and confidence.
        mask: (B, R, R) coverage in [0, 1].
        joints: (B, K, 3) standardised 3D joints.
        found: (B, K) bool, which keypoints were found.
    """

    keypoints: Tensor | None = None
    mask: Tensor | None = None
    joints: Tensor | None = None
    found: Tensor | None = None


class MultimodalVae(Standardised):
    """The network. Called as a function it lifts 2D joints.

    Args:
        config: its settings.

    Example:
        >>> import torch
        >>> from meshrec.models.multimodal_vae import MultimodalConfig, MultimodalVae
        >>> vae = MultimodalVae(MultimodalConfig(width=32)).eval()
        >>> seen = vae.seen(torch.rand(2, 17, 3), mask=torch.rand(2, 32, 32))
        >>> vae.lifted(seen).shape, vae.lifted(seen, product=True).shape
        (torch.Size([2, 17, 3]), torch.Size([2, 17, 3]))
    """

    config: MultimodalConfig

    def __init__(self, config: MultimodalConfig | None = None) -> None:
        self.config = config = config or MultimodalConfig()
        count = len(joint_set(config.joints))
        super().__init__(count)
        self.numbers = 3 * count
        pixels, size = config.resolution**2, (config.width, config.blocks)
        entering = {"keypoints": 3 * count, "mask": pixels, "joints": 3 * count}
        leaving = {"keypoints": 2 * count, "mask": pixels, "joints": 3 * count}
        self.encoders = nn.ModuleDict({n: ResidualLayers(entering[n], 2 * config.latent, *size) for n in MODALITIES})
        self.decoders = nn.ModuleDict({n: ResidualLayers(config.latent, leaving[n], *size) for n in MODALITIES})
        self.spreads = nn.ParameterDict({n: torch.zeros(leaving[n]) for n in ("keypoints", "joints")})

    def seen(self, keypoints: Tensor | None = None, mask: Tensor | None = None, joints: Tensor | None = None) -> Seen:
        """What is known of B people, standardised.

        Args:
            keypoints: (B, K, 3) as for a call.
            mask: (B, R, R) coverage of the crop by the person, in [0, 1].
            joints: (B, K, 3) positions relative to the root, metres.
        """
        return Seen(
            keypoints=None if keypoints is None else (keypoints - self.seen_mean) / self.seen_deviation,
            mask=None if mask is None else mask.to(self.mean),
            joints=None if joints is None else (joints - self.mean) / self.deviation,
            found=None if keypoints is None else keypoints[..., 2] > 0,
        )

    def encode(self, seen: Seen) -> dict[str, tuple[Tensor, Tensor]]:
        """Means and log-variances (B, latent) of the Gaussians of each modality that is known, by its name."""
        known = {name: getattr(seen, name) for name in MODALITIES}
        return {
            name: tuple(self.encoders[name](values.flatten(1)).chunk(2, dim=1))
            for name, values in known.items()
            if values is not None
        }

    def log_likelihoods(self, seen: Seen, z: Tensor) -> Tensor:
        """Logarithm of the scaled density of all known modalities.

        Args:
            seen: what is known of B people.
            z: (B, latent).

        Returns:
            (B,).
        """
        total = z.new_zeros(len(z))
        if seen.keypoints is not None and seen.found is not None:
            places = seen.keypoints[..., :2].flatten(1)
            each = log_density(places, self.decoders["keypoints"](z), self._spread("keypoints"))
            total = total + (each * seen.found.repeat_interleave(2, 1)).mean(1)
        if seen.mask is not None:
            logits = self.decoders["mask"](z)
            total = total - binary_cross_entropy_with_logits(logits, seen.mask.flatten(1), reduction="none").mean(1)
        if seen.joints is not None:
            each = log_density(seen.joints.flatten(1), self.decoders["joints"](z), self._spread("joints"))
            total = total + each.mean(1)
        return self.numbers * total

    def bound(self, seen: Seen, generator: torch.Generator | None = None) -> Tensor:
        """Estimate, by one z of each encoder for each person, of the lower bound of the scaled log-density.

        Args:
            seen: all that is known of B people.
            generator: source of z.

        Returns:
            (B,).
        """
        experts = list(self.encode(seen).values())
        bounds = []
        for mean, log_variance in experts:
            z = drawn(mean, log_variance, generator)
            likelihood = self.log_likelihoods(seen, z)
            if self.config.mixture:
                zero = torch.zeros_like(z)
                bounds.append(likelihood + log_density(z, zero, zero).sum(1) - mixture_log_density(z, experts))
            else:
                bounds.append(likelihood - kl_from_standard(mean, log_variance))
        return torch.stack(bounds).mean(0)

    def loss_of(self, keypoints: Tensor, mask: Tensor, joints: Tensor) -> Tensor:
        """The negative lower bound for each coordinate of the 3D joints; arguments as for :meth:`seen`."""
        return -self.bound(self.seen(keypoints, mask, joints)).mean() / self.numbers

    def latents(self, seen: Seen, count: int, generator: torch.Generator, product: bool = False) -> Tensor:
        """Draw z for what is known.

        Args:
            seen: what is known of B people.
            count: number N of draws for each person.
            generator: source of the randomness.
            product: whether modalities are combined by the product of their Gaussians; by default they take turns.

        Returns:
            (B, N, latent).
        """
        experts = list(self.encode(seen).values())
        if product:
            experts = [product_of(experts)]
        shared = [experts[i % len(experts)] for i in range(count)]
        return torch.stack([drawn(mean, log_variance, generator) for mean, log_variance in shared], dim=1)

    def decoded(self, name: str, z: Tensor) -> Tensor:
        """Make a modality.

        Args:
            name: ``keypoints``, ``mask`` or ``joints``.
            z: (B, latent).

        Returns:
            Places (B, K, 2) in the crop, coverage (B, R, R), or positions (B, K, 3) relative to the root, metres.
        """
        made = self.decoders[name](z)
        if name == "mask":
            return made.sigmoid().unflatten(1, (self.config.resolution, -1))
        if name == "joints":
            return self.mean + self.deviation * made.unflatten(1, (-1, 3))
        return self.seen_mean[:, :2] + self.seen_deviation[:, :2] * made.unflatten(1, (-1, 2))

    def generated(self, name: str, seen: Seen, product: bool = False) -> Tensor:
        """The mean of a modality over several z, the same ones each time; arguments as for the methods above."""
        generator = torch.Generator().manual_seed(self.config.seed)
        z = self.latents(seen, self.config.samples, generator, product)
        return self.decoded(name, z.flatten(0, 1)).unflatten(0, z.shape[:2]).mean(1)

    def lifted(self, seen: Seen, product: bool = False) -> Tensor:
        """The mean pose (B, K, 3) for what is known, metres; arguments as for :meth:`generated`."""
        return self.generated("joints", seen, product)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Lift the joints of B people from 2D alone; see :class:`meshrec.models.standardised.Standardised`."""
        return self.lifted(self.seen(keypoints))

    def _spread(self, name: str) -> Tensor:
        return self.spreads[name].clamp(min=LEAST_LOG_VARIANCE)


def mixture_log_density(z: Tensor, experts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Logarithm of the density of a mixture of Gaussians of equal shares.

    Args:
        z: (B, D).
        experts: means and log-variances (B, D) of the Gaussians.

    Returns:
        (B,) nats.
    """
    each = torch.stack([log_density(z, mean, log_variance).sum(1) for mean, log_variance in experts])
    return each.logsumexp(0) - math.log(len(experts))


def product_of(experts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The product of N(0, I) and Gaussians, which is a Gaussian once it is scaled.

    Args:
        experts: means and log-variances (B, D).

    Returns:
        Mean and log-variance (B, D).

    Example:
        >>> import torch
        >>> from meshrec.models.multimodal_vae import product_of
        >>> mean, log_variance = product_of([(torch.tensor([[3.0]]), torch.zeros(1, 1))])
        >>> mean.item(), log_variance.exp().item()
        (1.5, 0.5)
    """
    precision = 1 + sum((-log_variance).exp() for _, log_variance in experts)
    assert isinstance(precision, Tensor)
    weighted = torch.stack([mean * (-log_variance).exp() for mean, log_variance in experts]).sum(0)
    return weighted / precision, -precision.log()
