"""Measure how two rendered people are followed who cross in front of several cameras, by the shipped detector.

The cameras stand around two people who walk past each other, so that each hides the other in some of the pictures.
Printed are, for each number of cameras, how many people were found, the share of instants in which each of the two has
a body, the instants in which a body is nearer to the other person, the mean error of the ``smpl24`` joints in the world
without any alignment and after it (PA), mm, and the processor time of an instant with everything, seconds.

With ``--instants`` each fourth instant is reconstructed by itself. Printed are the share of people found, bodies that
are nobody's, and errors and time as above. With ``--uncalibrated`` the cameras are found from the clips. Printed are
the errors of their rotations and of their focal length, each with the standard deviation that is reported for it, and
the error of the joints after one similarity of everything.

Example:
    python tools/measure_crossings.py --views 2 3 4
"""

import argparse

from meshrec.errors import run_tool
from meshrec.evaluation.crossing import evaluate_crossings
from meshrec.evaluation.crossing_cameras import evaluate_found_cameras, evaluate_instants
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.synthetic.crossing import CrossingSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", type=int, nargs="+", default=[2, 3, 4], help="numbers of cameras (default: 2 3 4)")
    parser.add_argument("--frames", type=int, default=24, help="instants, 15 a second (default: 24)")
    parser.add_argument("--apart", type=float, default=0.8, help="metres by which they pass each other (default: 0.8)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--instants", action="store_true", help="each fourth instant by itself")
    kind.add_argument("--uncalibrated", action="store_true", help="the cameras are found from the clips")
    options = parser.parse_args()
    settings, reconstructor = CrossingSettings(frames=options.frames, apart=options.apart), Reconstructor()
    if options.instants:
        _print("cameras", "found", "others", "absolute", "PA", "s/instant")
        for one in evaluate_instants(reconstructor, options.views, settings):
            errors = (f"{one.absolute:.1f}", f"{one.aligned:.1f}", f"{one.seconds:.2f}")
            _print(str(one.views), f"{one.found:.2f}", str(one.others), *errors)
    elif options.uncalibrated:
        _print("cameras", "people", "turn, deg", "sigma", "focal, %", "sigma", "similarity", "s/instant")
        for own in evaluate_found_cameras(reconstructor, options.views, settings):
            shares = (f"{100 * own.focal:.1f}", f"{100 * own.focal_deviation:.1f}")
            turns = (f"{own.turn:.2f}", f"{own.turn_deviation:.2f}")
            _print(str(own.views), str(own.tracks), *turns, *shares, f"{own.similar:.1f}", f"{own.seconds:.2f}")
    else:
        _print("cameras", "people", "followed", "exchanged", "absolute", "PA", "s/instant")
        for report in evaluate_crossings(reconstructor, options.views, settings):
            row = (f"{report.absolute:.1f}", f"{report.aligned:.1f}", f"{report.seconds:.2f}")
            _print(str(report.views), str(report.tracks), f"{report.followed:.2f}", str(report.exchanged), *row)


def _print(*values: str) -> None:
    print("".join(f"{value:>11}" for value in values), flush=True)


if __name__ == "__main__":
    run_tool(main)
