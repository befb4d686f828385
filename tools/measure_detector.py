"""Measure where on the body the detector sees landmarks, from the detections that tools/detect_renders.py wrote.

The script prints the rows of the table in meshrec/landmarks/placements.py.

Example:
    python tools/detect_renders.py out/detected.npz --count 2000
    python tools/measure_detector.py out/detected.npz
"""

import argparse
import sys
from pathlib import Path

from meshrec.body import load_body
from meshrec.errors import run_tool
from meshrec.evaluation.placements import measure_placements
from meshrec.synthetic.detected_renders import load_renders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("renders", type=Path, help=".npz file of tools/detect_renders.py")
    parser.add_argument("--body", default="neutral", help="the body of the people in it")
    options = parser.parse_args()
    for name, place in measure_placements(load_renders(options.renders), load_body(options.body)).items():
        offsets = ", ".join(f'"{joint}": {offset}' for joint, offset in place.offsets.items())
        print(f'    "{name}": Placement({{{offsets}}}, {place.deviation}),')


if __name__ == "__main__":
    sys.exit(run_tool(main))
