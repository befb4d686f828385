"""Train the network that finds landmarks in depth maps. A training that was interrupted continues.

Example:
    python tools/train_depth.py runs/depth --config configs/depth.yaml
    python tools/train_depth.py runs/small --config configs/depth.yaml --set training.steps=200
"""

import argparse
import sys
from pathlib import Path

import torch

from meshrec.body import load_body
from meshrec.errors import run_tool
from meshrec.training.config_file import load_settings
from meshrec.training.depth import WEIGHTS, DepthConfig, DepthTrainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the checkpoint and the weights")
    parser.add_argument("--config", default="configs/depth.yaml", help="settings (default: %(default)s)")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="single settings")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config = load_settings(DepthConfig, options.config, options.set)
    options.out.mkdir(parents=True, exist_ok=True)
    trainer = DepthTrainer(load_body("neutral"), config, options.out)
    trainer.run(lambda line: print(line, flush=True))
    print(f"{trainer.network.count_weights() / 1e6:.2f} million weights -> {options.out / WEIGHTS}")


if __name__ == "__main__":
    sys.exit(run_tool(main))
