"""Measure where on the body the annotators of LSP-extended marked joints.

The script prints the rows of the table LSP in meshrec/landmarks/placements.py.

Example:
    python tools/measure_annotators.py ../shared/lspe/train.tar --step 8
"""

import argparse
import sys
from pathlib import Path

from meshrec.body import load_body
from meshrec.datasets.lspe import read_lspe
from meshrec.detect import load_detector
from meshrec.errors import run_tool
from meshrec.fit import Fitter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, help="the training photos, as a tar of crops")
    parser.add_argument("--step", type=int, default=8, help="use every STEP-th photo (default: 8)")
    parser.add_argument("--body", default="neutral", help="the body to fit")
    options = parser.parse_args()
    from meshrec.evaluation.placements import measure_annotators

    people, fitter = read_lspe(options.archive), Fitter(load_body(options.body))
    for name, place in measure_annotators(people, load_detector(), fitter, options.step).items():
        offsets = ", ".join(f'"{joint}": {offset}' for joint, offset in place.offsets.items())
        print(f'    "{name}": Placement({{{offsets}}}, {place.deviation}),')


if __name__ == "__main__":
    sys.exit(run_tool(main))
