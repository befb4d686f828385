"""Rebuild the shipped open body. Needs ``pip install -e .[build-body]`` and a few minutes.

Example: python tools/build_body_model.py --out body_models
"""

import argparse
import sys
from pathlib import Path

from meshrec.build_body.build import VERTEX_COUNT, build_bodies
from meshrec.errors import run_tool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("body_models"), help="folder for open_*.npz")
    parser.add_argument("--vertices", type=int, default=VERTEX_COUNT, help="number of vertices to aim at")
    options = parser.parse_args()
    for path in build_bodies(options.out, options.vertices):
        print(path)


if __name__ == "__main__":
    sys.exit(run_tool(main))
