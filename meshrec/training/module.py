"""One training as Lightning runs it: a step, the optimizer, the mean of the weights, the critic."""

import math

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel

from meshrec.errors import InputError
from meshrec.losses import critic_loss, fooling_loss
from meshrec.models.critic import Critic
from meshrec.models.estimate import Estimate
from meshrec.models.graph import MeshEstimate
from meshrec.models.mesh_to_params import MeshRecoveryOutput
from meshrec.models.mirrored import final_estimate
from meshrec.training.config import OptimizerConfig, TrainingConfig
from meshrec.training.measure import moved, with_pictures
from meshrec.training.objective import Objective
from meshrec.training.sources import Piece

SEEDS = 1_000_003  # a prime, so that seeds of neighbouring batches, ranks and trainings do not meet


class Training(pl.LightningModule):
    """A network on its way.

    Args:
        config: How it is trained.
        network: Starts with its present weights.
        objective: What is minimised.

    Attributes:
        averaged: The network with the exponential mean of its weights, which is what is measured and kept.
        losses: Of the latest batch, by name.
    """

    def __init__(self, config: TrainingConfig, network: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.config, self.objective, self.network = config, objective, network
        self.still = _still(network, config)
        self.averaged = AveragedModel(network, multi_avg_fn=_mean_with(config.ema)).requires_grad_(False)
        self.critic = Critic(network_betas(network)) if config.weights.realism > 0 else None
        self.losses: dict[str, Tensor] = {}
        self.train()  # Lightning leaves modes as they are

    def train(self, mode: bool = True) -> "Training":
        """Training mode, but for what keeps still."""
        super().train(mode)
        for part in (*self.still, self.averaged):
            part.eval()
        return self

    def transfer_batch_to_device(self, batch: Piece, device: torch.device, dataloader_idx: int) -> Piece:
        return moved(batch, device)

    def training_step(self, piece: Piece, number: int) -> Tensor:
        batch, inputs = piece
        # Dropout is a function of the batch's number too, so that a resumed training is the same training.
        torch.manual_seed((self.config.seed * SEEDS + number) * SEEDS + self.global_rank)
        output = self.network(with_pictures(batch, inputs))
        with torch.autocast(self.device.type, enabled=False):
            output = _single_precision(output)
            losses = self.objective(output, batch, inputs.focal)
            total = self.config.weights.total(losses)
            if self.critic is not None:
                estimate = final_estimate(output)
                losses["realism"] = fooling_loss(self._judged(estimate))
                total = total + self.config.weights.realism * losses["realism"]
                losses["critic"] = self._critic_loss(estimate, batch.pose, batch.betas, batch.pose_confidence)
                total = total + losses["critic"]
        self.losses = losses
        return total

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer, optimizer_closure=None) -> None:
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.averaged.update_parameters(self.network)

    def configure_optimizers(self) -> dict:
        settings = self.config.optimizer
        learning = [p for p in self.network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in learning if p.dim() > 1]},
            {"params": [p for p in learning if p.dim() <= 1], "weight_decay": 0.0},
        ]
        if self.critic is not None:
            groups.append({"params": list(self.critic.parameters()), "lr": settings.critic_rate})
        # Under mixed precision Lightning clips no gradients of a fused optimizer.
        optimizer = torch.optim.AdamW(
            groups, lr=settings.rate, weight_decay=settings.weight_decay, fused=self.config.precision == 32
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, self.config.steps, settings))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _judged(self, estimate: Estimate) -> Tensor:
        """The critic's scores (B, 25), whose gradient reaches the network and not the critic."""
        fixed = {name: value.detach() for name, value in self.critic.named_parameters()}
        return functional_call(self.critic, fixed, (estimate.rotations[:, 1:], estimate.betas))

    def _critic_loss(self, estimate: Estimate, pose: Tensor, betas: Tensor, confidence: Tensor) -> Tensor:
        real = (confidence > 0).all(1)
        fake = self.critic(estimate.rotations[:, 1:].detach(), estimate.betas.detach())
        if not bool(real.any()):
            return 0 * fake.sum()
        return critic_loss(self.critic(pose[real, 1:], betas[real, : estimate.betas.shape[1]]), fake)


def rate_at(step: int, steps: int, settings: OptimizerConfig) -> float:
    """The learning rate at a step as a share of the highest: a linear rise, then half a cosine."""
    if step < settings.warmup:
        return (step + 1) / (settings.warmup + 1)
    progress = min(1.0, (step - settings.warmup) / max(1, steps - settings.warmup))
    return settings.final + (1 - settings.final) * (1 + math.cos(math.pi * progress)) / 2


def network_betas(network: nn.Module) -> int:
    """Shape components that a network puts out."""
    return getattr(network, "regressor", network).config.num_betas


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


def _mean_with(decay: float):
    """Update of an exponential mean, quicker at first, so that it forgets where training began."""

    @torch.no_grad()
    def update(mean: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        torch._foreach_lerp_(mean, current, 1 - min(decay, (1 + int(count)) / (10 + int(count))))

    return update


def _single_precision(output: list[Estimate] | MeshRecoveryOutput) -> list[Estimate] | MeshRecoveryOutput:
    """What a network put out under mixed precision, in single precision."""
    if isinstance(output, MeshRecoveryOutput):
        mesh, body = ({name: value.float() for name, value in vars(part).items()} for part in vars(output).values())
        return MeshRecoveryOutput(MeshEstimate(**mesh), Estimate(**body))
    return [Estimate(*(value.float() for value in vars(estimate).values())) for estimate in output]
