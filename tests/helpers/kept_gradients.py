"""A training that writes its gradients to files; test_training.py runs it under torchrun.

Command line arguments: the folder for the gradients, then configuration files and key=value overrides.
"""

import sys
from pathlib import Path

import torch

from meshrec.training import load_config, train
from meshrec.training.module import Training


def keep_gradients(module: Training, folder: Path) -> None:
    """Write the network's gradients by name to a file that is named by the rank."""
    folder.mkdir(exist_ok=True)
    found = {name: p.grad for name, p in module.network.named_parameters() if p.grad is not None}
    torch.save(found, folder / f"{module.global_rank}.pt")


if __name__ == "__main__":
    folder, arguments = Path(sys.argv[1]), sys.argv[2:]
    Training.on_before_optimizer_step = lambda module, _: keep_gradients(module, folder)
    train(load_config([a for a in arguments if "=" not in a], [a for a in arguments if "=" in a]))
