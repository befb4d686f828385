"""Setting a training up and running it, from its start or from where it was interrupted."""

import logging
import os
import sys
import warnings
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy

from meshrec.body import NUM_BETAS, BodyModel, load_body
from meshrec.errors import InputError, say
from meshrec.files.atomic import write_file
from meshrec.files.torch_files import read_torch
from meshrec.models.build import architecture_row, build_network
from meshrec.models.checkpoints import load_checkpoint
from meshrec.models.imagenet import load_backbone
from meshrec.models.network import Network
from meshrec.models.warm_start import take_encoder, warm_start
from meshrec.render.backends import backends
from meshrec.training.batches import at_most_threads
from meshrec.training.config import TrainingConfig
from meshrec.training.config_file import import_paths, load_config, plain
from meshrec.training.in_the_loop import fit_round
from meshrec.training.keeper import STATE, WEIGHTS, Keeper
from meshrec.training.labelled import labelled_samples
from meshrec.training.module import Training, cores, workers
from meshrec.training.objective import Objective
from meshrec.training.pieces import Piece
from meshrec.training.sources import needs_of, training_sources, validation_sources

CONFIG = "config.yaml"
MEASURED = 128  # people at once
# Keys that may change when a training is resumed, because they do not affect its result.
FREE = ("out", "workers", "log_every", "checkpoint_every", "validation")

KNOWN_WARNINGS = (".*dataloader is not resumable.*", ".*LeafSpec.*", ".*in eval mode at the start.*", ".*srun.*")


def run(config: TrainingConfig) -> Path:
    """See :func:`meshrec.training.train`."""
    _check(config)
    out = Path(config.out)
    state = out / STATE if (out / STATE).is_file() else None
    if state is not None:
        _check_same(config, out / CONFIG)
    body = training_body(config)
    network = start_network(config, body)
    people = held_out(config, body)
    body = body.to(_device(config))
    renderer = None if config.renderer == "auto" else config.renderer
    objective = Objective(body, config.weights, renderer=renderer, num_betas=config.architecture.num_betas)
    logger = TensorBoardLogger(out, name="", version="", default_hp_metric=False)
    for stop in stops(config, 0 if state is None else int(read_torch(state)["global_step"])):
        if config.in_the_loop is not None:
            _fit_round(config, network, state, stop)
        training = Training(config, network, objective, training_sources(config, body), stop)
        trainer = _trainer(config, logger, Keeper(training, people, logger))
        if trainer.is_global_zero:
            write_file(out / CONFIG, yaml.safe_dump(plain(config), sort_keys=False).encode())
        # Threads that wait for one another lose far more than the cores that those who make data take.
        with warnings.catch_warnings(), at_most_threads(cores(config) - workers(config)):
            for known in KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", known)
            trainer.fit(training, ckpt_path=state)
        state = out / STATE
    return out / WEIGHTS


def stops(config: TrainingConfig, step: int) -> list[int]:
    """The steps at which a training stops, from a step on: after each round of fits in the loop, and at its end.

    A training that has ended has its end among them, so that it is evaluated once more, as it may have been killed
    before it had written all that it should.
    """
    if config.in_the_loop is None:
        return [config.steps]
    every = config.in_the_loop.every
    first = min(step // every * every + every, config.steps)
    return [*range(first, config.steps, every), config.steps]


def _fit_round(config: TrainingConfig, network: Network, state: Path | None, stop: int) -> None:
    """Make the fits that supervise the steps up to ``stop``, from the averaged network as it is stored in ``state``."""
    loop = config.in_the_loop
    assert loop is not None
    number = (stop - 1) // loop.every
    body, start = training_body(config), None
    if number > 0 or loop.start == "network":
        start = deepcopy(network)
        if state is not None:
            prefix = "averaged.module."
            weights = read_torch(state)["state_dict"].items()
            start.load_state_dict({k.removeprefix(prefix): v for k, v in weights if k.startswith(prefix)})
        start.eval().to(_device(config))
    needs = replace(needs_of(config), masks=False)
    datasets = {
        name: labelled_samples(f"datasets.{name}", dataset, needs, body)
        for name, dataset in (config.datasets or {}).items()
    }
    report = fit_round(datasets, config.fits, number, body, start, needs, loop.largest_error)
    say(f"fits of round {number + 1}: {report}")


def training_body(config: TrainingConfig) -> BodyModel:
    """The body that a network is trained for, with at most ten shape components."""
    return load_body(config.body).truncated(NUM_BETAS)


def start_network(config: TrainingConfig, body: BodyModel) -> Network:
    """The network with the weights with which a training starts: random ones follow from its seed.

    Raises:
        InputError: A file it is to start from is missing or holds another network.
    """
    torch.manual_seed(config.seed)
    name = config.network.architecture
    network = build_network(name, config.network.settings, body, row=architecture_row(name))
    if config.network.imagenet is not None:
        if "rgb" not in config.architecture.encoder.inputs:
            raise InputError("'network.imagenet' is for networks that see rgb, which this one does not.")
        load_backbone(getattr(getattr(network, "encoder", None), "backbone", None), config.network.imagenet)
    for path, take in ((config.network.init, warm_start), (config.network.encoder, take_encoder)):
        if path is None:
            continue
        start = load_checkpoint(path, body, name).network
        try:
            take(network, start)
        except InputError as error:
            raise InputError(f"{path} holds another network than 'network' describes: {error}") from None
    return network


def held_out(config: TrainingConfig, body: BodyModel) -> dict[str, list[Piece]]:
    """The people on whom a training is measured, in batches of a size of their own: they are to be the same for all."""
    found = {}
    for name, (source, count) in validation_sources(config, body).items():
        starts = range(0, count, MEASURED)
        found[name] = [source(range(start, min(start + MEASURED, count))) for start in starts]
    return found


def _device(config: TrainingConfig) -> torch.device:
    """This process's device."""
    if config.accelerator == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def _trainer(config: TrainingConfig, logger: TensorBoardLogger, keeper: Keeper) -> pl.Trainer:
    visible = sys.stderr.isatty()
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    strategy: str | DDPStrategy = "auto"
    if config.devices * config.nodes > 1:
        # A mesh network may be trained by losses of the mesh or of the parameters alone.
        strategy = DDPStrategy(find_unused_parameters=keeper.training.network.mesh is not None)
    return pl.Trainer(
        accelerator="gpu" if _device(config).type == "cuda" else "cpu",
        devices=config.devices,
        num_nodes=config.nodes,
        strategy=strategy,
        plugins=[_StateFile()],
        precision="bf16-mixed" if config.precision == "bf16" else "32-true",
        max_steps=keeper.training.stop,
        accumulate_grad_batches=config.accumulation,
        logger=logger,
        log_every_n_steps=1,
        callbacks=[keeper, *([TQDMProgressBar(config.log_every)] if visible else [])],
        enable_progress_bar=visible,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


class _StateFile(TorchCheckpointIO):
    """The state of an interrupted training, read as all checkpoints are: it holds tensors and plain data alone."""

    def load_checkpoint(self, path: str | os.PathLike, *args: object, **options: object) -> dict[str, Any]:
        return read_torch(path)


def _check(config: TrainingConfig) -> None:
    """Check what concerns several keys together, or the machine.

    Raises:
        InputError: Keys contradict each other, or need what is not there.
    """
    if config.in_the_loop is not None:
        if not config.datasets:
            raise InputError("'in_the_loop' fits bodies to the people of 'datasets': name at least one.")
        if config.devices * config.nodes > 1:
            raise InputError("'in_the_loop' runs in one process: set 'devices' and 'nodes' to 1.")
    needed = len(config.architecture.stages)
    if len(config.weights.iterations) < needed:
        raise InputError(f"'weights.iterations' weighs {len(config.weights.iterations)} of {needed} iterations.")
    if "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) != config.devices * config.nodes:
        raise InputError(
            f"torchrun started {os.environ['WORLD_SIZE']} processes; set 'devices' and 'nodes' to as many."
        )
    if config.accelerator == "cuda" and not torch.cuda.is_available():
        raise InputError("'accelerator' is cuda, but torch sees no GPU here; use cpu or auto.")
    if config.renderer != "auto" and not backends()[config.renderer]:
        raise InputError(f"'renderer' is {config.renderer}, which is not installed here; auto takes what there is.")


def _check_same(config: TrainingConfig, path: Path) -> None:
    """Check that the training in a folder is the one to resume.

    Args:
        config: Configuration of this training.
        path: Configuration file of the training in the folder.

    ``steps`` may grow: the learning rate then goes on as it would have at this step of the longer training.

    Raises:
        InputError: The two differ in a key that affects the result.
    """
    ours = plain(config)
    theirs = plain(load_config(path, imports=import_paths(ours)))
    if ours["steps"] > theirs["steps"]:
        theirs["steps"] = ours["steps"]
    for key in ours:
        if key not in FREE and ours[key] != theirs[key]:
            raise InputError(
                f"{path.parent} holds a training with another '{key}'; go on with the same, or choose another 'out'."
            )
