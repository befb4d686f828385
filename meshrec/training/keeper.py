"""What happens beside the steps of a training: logs, measurements on held-out people, checkpoints."""

import os
import platform
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

import meshrec
from meshrec.models.checkpoints import save_checkpoint
from meshrec.training.config_file import plain
from meshrec.training.measure import measure, picture
from meshrec.training.mixture import Loader
from meshrec.training.module import Training
from meshrec.training.sources import Piece

WEIGHTS, STATE = "last.safetensors", "last.ckpt"


class Keeper(pl.Callback):
    """Logs, measures and saves. Losses and errors go to TensorBoard, and a line to the terminal at each measurement.

    Args:
        loader: Whose waiting time is logged.
        people: Held-out ones to measure on, by where they come from.

    Attributes:
        metrics: The latest measurement.
        seconds: That steps and waiting for their data took, also before interruptions.
        waiting: The share of waiting in that, since the latest start.
        rate: Samples a second of this process, since the latest start.
    """

    def __init__(self, loader: Loader, people: dict[str, list[Piece]]) -> None:
        self.loader, self.people = loader, people
        self.metrics: dict[str, float] = {}
        self.seconds = self.waiting = self.rate = 0.0
        self._covariance: Tensor | None = None
        self._before = self._busy = self._begun = 0.0
        self._batches = self._step = 0

    def state_dict(self) -> dict[str, float]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.seconds = self._before = state_dict["seconds"]

    def on_train_start(self, trainer: pl.Trainer, module: Training) -> None:
        self._step = trainer.global_step

    def on_train_batch_start(self, trainer: pl.Trainer, module: Training, batch: Any, number: int) -> None:
        self._begun = perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, module: Training, outputs: Any, batch: Any, number: int) -> None:
        self._busy += perf_counter() - self._begun
        self._batches += 1
        step, config = trainer.global_step, module.config
        if step == self._step:  # gradients are being accumulated
            return
        self._step = step
        whole = self._busy + self.loader.waited
        self.seconds, self.waiting = self._before + whole, self.loader.waited / whole
        self.rate = self._batches * config.batch_size / whole
        last = step == config.steps
        if step % config.log_every == 0 or last:
            losses = {f"loss/{name}": value.item() for name, value in module.losses.items()}
            speed = {"speed/samples_per_second": self.rate, "speed/waiting_for_data": self.waiting}
            rate = {"speed/learning_rate": trainer.optimizers[0].param_groups[0]["lr"]}
            module.log("loss", outputs["loss"], prog_bar=True, logger=False)
            trainer.logger.log_metrics(losses | speed | rate | {"loss/total": float(outputs["loss"])}, step)
        if step % config.validation.every == 0 or last:
            self._measure(trainer, module)
        if step % config.checkpoint_every == 0 or last:
            trainer.save_checkpoint(Path(config.out) / STATE)
            if trainer.is_global_zero:
                self._save(module)

    def _measure(self, trainer: pl.Trainer, module: Training) -> None:
        network = module.averaged.module
        # Every process measures the same people, and the mean of what they find is what each finds.
        self.metrics, self._covariance = measure(network, self.people, module.objective)
        if not trainer.is_global_zero:
            return
        trainer.logger.log_metrics(self.metrics, self._step)
        for name, pieces in self.people.items():
            shown = torch.from_numpy(picture(network, pieces[0], module.objective))
            trainer.logger.experiment.add_image(name, shown, self._step, dataformats="HWC")
        errors = ", ".join(f"{name} {value:.1f}" for name, value in self.metrics.items())
        trainer.print(
            f"step {self._step}: {errors} mm; {self.rate:.0f} samples a second, "
            f"{100 * self.waiting:.1f} % of the time waiting for data"
        )

    def _save(self, module: Training) -> None:
        config = module.config
        provenance = {
            "config": plain(config),
            "step": self._step,
            "seconds": round(self.seconds),
            "samples_per_second": round(self.rate),
            "waiting_for_data": round(self.waiting, 4),
            "metrics_mm": {name: round(value, 2) for name, value in self.metrics.items()},
            "machine": f"{platform.machine()} with {os.cpu_count()} cores, {module.device.type}",
            "versions": {"meshrec": meshrec.__version__, "torch": str(torch.__version__)},
        }
        body, network = module.objective.body, module.averaged.module
        save_checkpoint(Path(config.out) / WEIGHTS, network, body.hash, provenance, self._covariance)
