"""Compare how far from the camera methods place people: the size of the box, RootNet (Moon 2019), and our fit.

People and settings are those of tools/compare_methods.py. The weights of RootNet are kept in the folder; the table is
written as root_depth.md.

Example:
    python tools/compare_root_depth.py runs/methods
    python tools/compare_root_depth.py runs/methods --limit 200 --set root_seeing.steps=100
"""

import argparse
import sys
from pathlib import Path

from meshrec.comparison.bench import Bench
from meshrec.comparison.root_depth import root_table
from meshrec.errors import run_tool
from meshrec.files.atomic import write_file
from meshrec.training.config_file import load_settings
from meshrec.training.lifting_config import LiftingConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the weights and of the table")
    parser.add_argument("--config", default="configs/lifting.yaml", help="settings of all methods")
    parser.add_argument("--limit", type=int, help="largest number of people to measure on, evenly spread")
    parser.add_argument(
        "--bodies", type=int, default=400, help="largest number for our network and fit, which are slower (default 400)"
    )
    parser.add_argument("--set", nargs="+", default=[], metavar="key=value", help="changes of the settings")
    options = parser.parse_args()
    bench = Bench(options.out, load_settings(LiftingConfig, options.config, options.set), options.limit)
    bodies = options.bodies if options.limit is None else min(options.bodies, options.limit)
    table = root_table(bench, bodies, lambda line: print(line, file=sys.stderr, flush=True))
    write_file(options.out / "root_depth.md", table.encode())
    print(table, end="")


if __name__ == "__main__":
    sys.exit(run_tool(main))
