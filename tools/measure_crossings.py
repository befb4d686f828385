"""Measure how two rendered people are followed who cross in front of several cameras, by the shipped detector.

The cameras stand around two people who walk past each other, so that each hides the other in some of the pictures.
Printed are, for each number of cameras, how many people were found, the share of instants in which each of the two has
a body, the instants in which a body is nearer to the other person, the mean error of the ``smpl24`` joints in the world
without any alignment and after it (PA), mm, and the processor time of an instant with everything, seconds.

Example:
    python tools/measure_crossings.py --views 2 3 4
"""

import argparse

from meshrec.errors import run_tool
from meshrec.evaluation.crossing import evaluate_crossings
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.synthetic.crossing import CrossingSettings

COLUMNS = ("cameras", "people", "followed", "exchanged", "absolute", "PA", "s/instant")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", type=int, nargs="+", default=[2, 3, 4], help="numbers of cameras (default: 2 3 4)")
    parser.add_argument("--frames", type=int, default=24, help="instants, 15 a second (default: 24)")
    parser.add_argument("--apart", type=float, default=0.8, help="metres by which they pass each other (default: 0.8)")
    options = parser.parse_args()
    settings = CrossingSettings(frames=options.frames, apart=options.apart)
    print("".join(f"{name:>11}" for name in COLUMNS), flush=True)
    for report in evaluate_crossings(Reconstructor(), options.views, settings):
        row = (f"{report.absolute:.1f}", f"{report.aligned:.1f}", f"{report.seconds:.2f}")
        counts = (str(report.views), str(report.tracks), f"{report.followed:.2f}", str(report.exchanged))
        print("".join(f"{value:>11}" for value in (*counts, *row)), flush=True)


if __name__ == "__main__":
    run_tool(main)
