"""Measure a detector on renders, from the detections that tools/detect_renders.py wrote.

The script prints the rows of the table in meshrec/landmarks/placements.py, or with ``--errors`` how wrong the detector
is, beside the simulated detector of meshrec/synthetic/detector_noise.py on the same people.

Example:
    python tools/detect_renders.py out/detected.npz --count 2000
    python tools/measure_detector.py out/detected.npz
    python tools/measure_detector.py out/detected.npz --errors
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from meshrec.body import BodyModel, load_body
from meshrec.errors import InputError, run_tool
from meshrec.evaluation.detector_errors import render_errors
from meshrec.evaluation.placements import measure_placements
from meshrec.synthetic.detected_renders import DetectedRenders, load_renders
from meshrec.synthetic.detector_noise import DetectorNoise
from meshrec.synthetic.people import SyntheticPeople


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("renders", type=Path, help=".npz file of tools/detect_renders.py")
    parser.add_argument("--body", default="neutral", help="the body of the people in it")
    parser.add_argument("--errors", action="store_true", help="print how wrong the real and simulated detectors are")
    options = parser.parse_args()
    renders, body = load_renders(options.renders), load_body(options.body)
    if str(renders.body) != body.hash:
        raise InputError(f"{options.renders} shows another body than {options.body}: name it with --body")
    if options.errors:
        _print_errors(renders, body)
    else:
        _print_placements(renders, body)


def _print_placements(renders: DetectedRenders, body: BodyModel) -> None:
    for name, place in measure_placements(renders, body).items():
        offsets = ", ".join(f'"{joint}": {offset}' for joint, offset in place.offsets.items())
        print(f'    "{name}": Placement({{{offsets}}}, {place.deviation}),')


def _print_errors(renders: DetectedRenders, body: BodyModel) -> None:
    source = SyntheticPeople(body, int(renders.seed), resolution=224)
    real, simulated = render_errors(renders, source, DetectorNoise())
    table = Table("figure", "real", "simulated", title=f"{len(real.error)} of {len(renders)} people found")
    others = simulated.figures()
    for name, value in real.figures().items():
        table.add_row(name, f"{value:.4f}", f"{others[name]:.4f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    sys.exit(run_tool(main))
