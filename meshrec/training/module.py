"""A training as a Lightning module: its step, its optimizer, the moving average of the weights, the critic."""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel
from torch.utils._pytree import tree_map

from meshrec.data.sample import Batch
from meshrec.errors import InputError
from meshrec.models.critic import Critic
from meshrec.models.encoders import NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.network import Network
from meshrec.training.batches import Loader, Mixture
from meshrec.training.config import OptimizerConfig, TrainingConfig
from meshrec.training.losses import critic_loss, fooling_loss
from meshrec.training.measure import moved, with_pictures
from meshrec.training.objective import Objective
from meshrec.training.pieces import Piece, joined
from meshrec.training.sources import Share

SEEDS = 1_000_003  # a prime, so that seeds of neighbouring batches, ranks and trainings do not meet


class Training(pl.LightningModule):
    """The training of a network.

    Args:
        config: the configuration.
        network: the network, with the weights from which training starts.
        objective: the losses to minimise, on the device where the training will run.
        sources: the sources of samples.
        stop: number of the step after which to stop; None is the last.

    Attributes:
        averaged: the network with the exponential moving average of its weights, which is measured and saved.
        losses: the losses of the latest batch by name.
        loader: the loader of batches, once training has begun.
    """

    def __init__(
        self,
        config: TrainingConfig,
        network: Network,
        objective: Objective,
        sources: Sequence[Share],
        stop: int | None = None,
    ) -> None:
        super().__init__()
        self.stop = config.steps if stop is None else stop
        self.config, self.objective, self.network, self.sources = config, objective, network, sources
        self.still = _still(network, config)
        self.averaged = AveragedModel(network, multi_avg_fn=_mean_with(config.ema)).requires_grad_(False)
        self.critic = Critic(config.architecture.num_betas) if config.weights.realism > 0 else None
        self.losses: dict[str, Tensor] = {}
        self.loader: Loader | None = None
        self.train()  # Lightning leaves modes as they are

    def train(self, mode: bool = True) -> "Training":
        """Set training mode, except for frozen parts and the averaged network, which stay in evaluation mode."""
        super().train(mode)
        for part in (*self.still, self.averaged):
            part.eval()
        return self

    def train_dataloader(self) -> "Loader":
        """Load batches from the current step on; each batch is a function of its number, so training can be resumed."""
        config, several = self.config, self.config.accumulation
        ours = frozenset(i for i, share in enumerate(self.sources) if not share.on_device)
        self.loader = Loader(
            self._mixture(ours),
            several * self.trainer.global_step,
            several * self.stop,
            workers(config),
            self.device.type == "cuda",
        )
        return self.loader

    def on_train_start(self) -> None:
        """Prepare the part of each batch that this process makes itself, on the device of the training."""
        self._made_here = self._mixture(frozenset(i for i, share in enumerate(self.sources) if share.on_device))

    def transfer_batch_to_device(self, batch: list[Piece], device: torch.device, dataloader_idx: int) -> list[Piece]:
        """Copy the pieces of a batch to a device."""
        return [moved(piece, device) for piece in batch]

    def training_step(self, pieces: list[Piece], number: int) -> Tensor:
        """The loss () of batch ``number``: the pieces that were loaded, and those that this process makes itself."""
        with torch.autocast(self.device.type, enabled=False):
            batch, inputs = joined([*pieces, *self._made_here[number]])
        return self.total_loss(batch, inputs, number)

    def total_loss(self, batch: Batch, inputs: NetworkInput, number: int) -> Tensor:
        """The weighted sum of the losses of a batch; :attr:`losses` holds the single losses.

        Args:
            batch: Labels of the batch.
            inputs: What the network sees of it.
            number: Number of the batch, which seeds dropout.

        Returns:
            () loss, the critic's own included.
        """
        # Dropout is a function of the batch's number too, so that a resumed training is the same training.
        torch.manual_seed((self.config.seed * SEEDS + number) * SEEDS + self.global_rank)
        output = self.network(with_pictures(batch, inputs))
        with torch.autocast(self.device.type, enabled=False):
            output = tree_map(Tensor.float, output)  # mixed precision leaves parts of it in half precision
            self.losses = self.objective(output, batch, batch.focal[:, 0])
            total = self.config.weights.total(self.losses)
            if self.critic is not None:
                self.losses["realism"], judging = _contest(self.critic, output.final, batch)
                total = total + self.config.weights.realism * self.losses["realism"] + judging
        return total

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Update the weights, and their exponential mean."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.averaged.update_parameters(self.network)

    def configure_gradient_clipping(self, optimizer: Any, *given: Any, **named: Any) -> None:
        """Clip the gradient of the network."""
        # Lightning itself refuses to clip gradients for a fused optimizer, and would clip those of the critic too.
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.optimizer.clip)

    def configure_optimizers(self) -> Any:
        """The optimizer of the network and the critic, and the schedule of its learning rate."""
        settings = self.config.optimizer
        learning = [p for p in self.network.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in learning if p.dim() > 1]},
            {"params": [p for p in learning if p.dim() <= 1], "weight_decay": 0.0},
        ]
        if self.critic is not None:
            groups.append({"params": list(self.critic.parameters()), "lr": settings.critic_rate})
        optimizer = torch.optim.AdamW(groups, lr=settings.rate, weight_decay=settings.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, self.config.steps, settings))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _mixture(self, made: frozenset[int]) -> Mixture:
        sources, proportions = zip(*((share.source, share.proportion) for share in self.sources))
        ranks = self.trainer.world_size
        return Mixture(sources, proportions, self.config.batch_size, self.global_rank, ranks, made)


def rate_at(step: int, steps: int, settings: OptimizerConfig) -> float:
    """The learning rate at a step as a share of the highest: a linear rise, then half a cosine."""
    if step < settings.warmup:
        return (step + 1) / (settings.warmup + 1)
    progress = min(1.0, (step - settings.warmup) / max(1, steps - settings.warmup))
    return settings.final + (1 - settings.final) * (1 + math.cos(math.pi * progress)) / 2


def _contest(critic: Critic, estimate: Estimate, batch: Batch) -> tuple[Tensor, Tensor]:
    """The network's loss, whose gradient does not reach the critic, and the critic's, which does not reach the network.

    The critic's real examples are the labels of the batch whose whole pose and shape are known.
    """
    pose, betas = estimate.rotations[:, 1:], estimate.betas
    fixed = {name: value.detach() for name, value in critic.named_parameters()}
    realism = fooling_loss(functional_call(critic, fixed, (pose, betas)))
    known = (batch.pose_confidence > 0).all(1) & (batch.betas_confidence > 0)
    fake = critic(pose.detach(), betas.detach())
    if not bool(known.any()):
        return realism, 0 * fake.sum()
    return realism, critic_loss(critic(batch.pose[known, 1:], batch.betas[known, : betas.shape[1]]), fake)


def workers(config: TrainingConfig) -> int:
    """Number of data loading workers per device: as configured, else half of the device's cores, but at least one."""
    return max(1, cores(config) // 2) if config.workers is None else config.workers


def cores(config: TrainingConfig) -> int:
    """Number of CPU cores for each device."""
    return (os.cpu_count() or 1) // config.devices


def _still(network: nn.Module, config: TrainingConfig) -> list[nn.Module]:
    """The parts of a network that do not learn; their weights are frozen."""
    parts = []
    for name in config.network.frozen:
        try:
            parts.append(network.get_submodule(name).requires_grad_(False))
        except AttributeError:
            names = ", ".join(name for name, _ in network.named_children())
            raise InputError(f"network.frozen: this network has no part '{name}'; it has {names}.") from None
    if config.network.freeze_batch_norm:
        parts += [part for part in network.modules() if isinstance(part, _BatchNorm)]
    return parts


def _mean_with(decay: float) -> Callable[..., None]:
    """Update of an exponential mean, quicker at first, so that it forgets where training began."""

    @torch.no_grad()
    def update(mean: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        torch._foreach_lerp_(mean, current, 1 - min(decay, (1 + int(count)) / (10 + int(count))))

    return update
