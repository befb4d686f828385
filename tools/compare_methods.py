"""Compare methods from 2D joints to 3D joints with one another and with the shipped networks, on the same people.

Each method is a row. A row that is finished is kept in the folder as NAME.json, and is not made again, so that an
interrupted comparison continues where it was. With --multiview, rows without figures of the calibrated frames are
measured again, from their weights; what is detected in the frames is kept in the folder too. The table is written as
comparison.md and comparison.json after each row.

Example:
    python tools/compare_methods.py runs/methods
    python tools/compare_methods.py runs/methods --rows baseline locally_connected --limit 200 --set training.steps=500
    python tools/compare_methods.py runs/methods --multiview FOLDER   # and on calibrated frames
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from meshrec.comparison.bench import Bench, same_settings
from meshrec.comparison.table import ROWS, finished, markdown
from meshrec.errors import InputError, run_tool
from meshrec.files.atomic import write_file
from meshrec.synthetic.benchmark import SEED
from meshrec.training.config_file import load_settings
from meshrec.training.lifting_config import LiftingConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the rows and of the table")
    parser.add_argument("--config", default="configs/lifting.yaml", help="settings of all methods")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help=f"rows to make (default: all): {', '.join(ROWS)}")
    parser.add_argument(
        "--multiview", type=Path, metavar="FOLDER", help="measure on calibrated frames of this folder too"
    )
    parser.add_argument("--limit", type=int, help="largest number of people to measure on, evenly spread")
    parser.add_argument("--set", nargs="+", default=[], metavar="key=value", help="changes of the settings")
    options = parser.parse_args()
    names = options.rows or list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        raise InputError(f"there is no row '{unknown[0]}'; choose of {', '.join(ROWS)}")
    settings = load_settings(LiftingConfig, options.config, options.set)
    bench = Bench(options.out, settings, options.limit, options.multiview)
    _ = bench.photos  # a folder that cannot be read is refused before anything is trained
    terms = {"config": asdict(bench.config), "limit": options.limit, "seed of the benchmark": SEED}
    for name in names:
        file = options.out / f"{name}.json"
        if file.exists():
            _check_terms(file, terms)
        if not file.exists() or (options.multiview and not json.loads(file.read_bytes()).get("photos")):
            write_file(file, json.dumps(finished(name, bench) | {"terms": terms}, indent=1).encode())
        kept = {row: json.loads(path.read_bytes()) for row in ROWS if (path := options.out / f"{row}.json").exists()}
        write_file(options.out / "comparison.json", json.dumps(kept, indent=1).encode())
        write_file(options.out / "comparison.md", markdown(list(kept.values())).encode())
    print((options.out / "comparison.md").read_text())


def _check_terms(file: Path, terms: dict[str, Any]) -> None:
    """Refuse a row that was made with other settings."""
    if not same_settings(json.loads(file.read_bytes())["terms"], terms):
        raise InputError(f"{file} was made with other settings: delete it, or name another folder.")


if __name__ == "__main__":
    sys.exit(run_tool(main))
