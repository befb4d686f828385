"""A training of one step that keeps its gradients; run under torchrun by test_training.py.

Arguments: the folder for them, then configuration files and key=value changes.
"""

import sys
from pathlib import Path

import torch

from meshrec.training import load_config, train
from meshrec.training.module import Training


def keep_gradients(module: Training, folder: Path) -> None:
    """The network's gradients by name, in a file named by rank."""
    folder.mkdir(exist_ok=True)
    found = {name: p.grad for name, p in module.network.named_parameters() if p.grad is not None}
    torch.save(found, folder / f"{module.global_rank}.pt")


if __name__ == "__main__":
    folder, arguments = Path(sys.argv[1]), sys.argv[2:]
    Training.on_before_optimizer_step = lambda module, _: keep_gradients(module, folder)
    train(load_config([a for a in arguments if "=" not in a], [a for a in arguments if "=" in a]))
