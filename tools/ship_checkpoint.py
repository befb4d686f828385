"""Write a trained network for shipping: weights in half precision, and no folders in its provenance.

Example:
    python tools/ship_checkpoint.py runs/iterative_keypoints/last.safetensors meshrec/models/weights/iterative_keypoints.safetensors
"""  # noqa: E501

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from meshrec.body import load_body
from meshrec.errors import run_tool
from meshrec.models.checkpoints import load_checkpoint, save_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="checkpoint that `meshrec train` wrote")
    parser.add_argument("out", type=Path, help=".safetensors file to write")
    parser.add_argument("--body", default="neutral", help="the body it was trained with")
    options = parser.parse_args()

    trained = load_checkpoint(options.checkpoint, load_body(options.body))
    provenance = {key: _without_folders(value) for key, value in trained.provenance.items()}
    measured = trained.error_covariance, trained.shape_calibration
    save_checkpoint(options.out, trained.network, trained.body_hash, provenance, *measured, torch.float16)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


def _without_folders(value: Any) -> Any:
    """The same value, with the file's name for each absolute path in it."""
    if isinstance(value, dict):
        return {key: _without_folders(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_without_folders(v) for v in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


if __name__ == "__main__":
    sys.exit(run_tool(main))
