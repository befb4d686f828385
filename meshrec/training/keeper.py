"""Logs, validation and checkpoints of a training, as a callback of Lightning."""

import os
import platform
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

import meshrec
from meshrec.errors import TrainingDiverged
from meshrec.models.checkpoints import save_checkpoint
from meshrec.training.config_file import plain
from meshrec.training.measure import FLAT, measure, measure_errors, picture
from meshrec.training.module import Training
from meshrec.training.pieces import Piece

WEIGHTS, STATE = "last.safetensors", "last.ckpt"


class Keeper(pl.Callback):
    """Logs losses and errors to TensorBoard, validates on held-out people, and writes checkpoints.

    Each validation also prints a line to the terminal.

    Args:
        training: The training.
        people: Held-out people by the name of their source.
        logger: Logger of losses, errors and pictures.

    Attributes:
        metrics: Errors of the latest validation by name, as :func:`meshrec.training.measure.measure` returns them.
        seconds: Time spent on steps and on waiting for their data, including the time before interruptions.
        waiting: Share of that time spent on waiting, since the latest start.
        rate: Samples per second of this process, since the latest start.
    """

    def __init__(self, training: Training, people: dict[str, list[Piece]], logger: TensorBoardLogger) -> None:
        self.training, self.people, self.logger = training, people, logger
        self.metrics: dict[str, float] = {}
        self.seconds = self.waiting = self.rate = 0.0
        self._before = self._busy = self._begun = 0.0
        self._batches = self._step = 0

    def state_dict(self) -> dict[str, float]:
        """The values that a resumed training needs, which Lightning stores in its checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Continue with the values of :meth:`state_dict`."""
        self.seconds = self._before = state_dict["seconds"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the step at which the training starts."""
        self._step = trainer.global_step

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, number: int) -> None:
        """Start the clock of the batch."""
        self._begun = perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        """Log, validate and write checkpoints, if the step that the batch completes is one of those for it.

        Raises:
            TrainingDiverged: The loss is no longer finite.
        """
        self._busy += perf_counter() - self._begun
        self._batches += 1
        step, config = trainer.global_step, self.training.config
        if step == self._step:  # gradients are still being accumulated
            return
        self._step = step
        self._update_speed()
        last = step == self.training.stop
        if not bool(outputs["loss"].isfinite()):
            raise TrainingDiverged(
                f"the loss is no longer a number at step {step}: lower 'optimizer.rate' or 'optimizer.clip'; what was "
                f"saved before is in {config.out}."
            )
        if step % config.log_every == 0 or last:
            self._log(trainer, outputs["loss"])
        if step % config.validation.every == 0 or last:
            self._measure(trainer)
        if step % config.checkpoint_every == 0 or last:
            trainer.save_checkpoint(Path(config.out) / STATE)
            if trainer.is_global_zero:
                self._save()

    def _update_speed(self) -> None:
        """Update :attr:`seconds`, :attr:`waiting` and :attr:`rate`."""
        waited = 0.0 if self.training.loader is None else self.training.loader.waited
        whole = self._busy + waited
        self.seconds, self.waiting = self._before + whole, waited / whole
        self.rate = self._batches * self.training.config.batch_size / whole

    def _log(self, trainer: pl.Trainer, total: Tensor) -> None:
        """Log the losses of the latest batch, their weighted sum, the speed and the learning rate."""
        self.training.log("loss", total, prog_bar=True, logger=False)
        losses = {f"loss/{name}": value.item() for name, value in self.training.losses.items()}
        speed = {"samples_per_second": self.rate, "waiting_for_data": self.waiting}
        speed["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        values = losses | {"loss/total": total.item()} | {f"speed/{name}": value for name, value in speed.items()}
        self.logger.log_metrics(values, self._step)

    def _measure(self, trainer: pl.Trainer) -> None:
        """Validate, and log errors and pictures."""
        network: Any = self.training.averaged.module
        objective = self.training.objective
        # Each process measures the same people, so that their means over processes are those of each.
        self.metrics = measure(network, self.people, objective)
        if not trainer.is_global_zero:
            return
        self.logger.log_metrics(self.metrics, self._step)
        for name, pieces in self.people.items():
            shown = picture(network, pieces[0], objective)
            self.logger.experiment.add_image(name, shown, self._step, dataformats="HWC")
        space, flat = ([item for item in self.metrics.items() if _is_flat(item[0]) == kind] for kind in (False, True))
        errors = [
            ", ".join(f"{name} {value:.1f}" for name, value in part) + f" {unit}"
            for part, unit in ((space, "mm"), (flat, "thousandths of the crop"))
            if part
        ]
        trainer.print(
            f"step {self._step}: {', '.join(errors) or 'nobody to validate on'}; {self.rate:.0f} samples a second, "
            f"{100 * self.waiting:.1f} % of the time waiting for data"
        )

    def _save(self) -> None:
        """Write the checkpoint of the averaged network, with its provenance and the statistics of its errors."""
        training = self.training
        config = training.config
        provenance = {
            "config": plain(config),
            "step": self._step,
            "seconds": round(self.seconds),
            "samples_per_second": round(self.rate),
            "waiting_for_data": round(self.waiting, 4),
            "metrics_mm": {name: round(value, 2) for name, value in self.metrics.items() if not _is_flat(name)},
            "metrics_2d": {name: round(value, 2) for name, value in self.metrics.items() if _is_flat(name)},
            "machine": f"{platform.machine()} with {os.cpu_count()} cores, {training.device.type}",
            "versions": {"meshrec": meshrec.__version__, "torch": str(torch.__version__)},
        }
        network: Any = training.averaged.module
        body = training.objective.body.hash
        measured = measure_errors(network, self.people, config.architecture.encoder, body, training.device)
        save_checkpoint(Path(config.out) / WEIGHTS, network, body, provenance, *measured)


def _is_flat(name: str) -> bool:
    return name.endswith(f"/{FLAT}")
