"""Measure how well cameras are found from one person of motion capture among simulated cameras and detectors.

The takes are those of ``tools/measure_views.py``. Stature is given, so that the scene's size is known. Printed are the
means over takes of the errors of rotations (degrees), of the cameras' places (m), of focal lengths (%), of the standard
deviations that are reported for the former two, and the errors of the ``lsp14`` joints with the first camera where it
is, after one similarity of all instants, and after one for each (PA), mm; and the processor time, s. Focal lengths are
known, or guessed as four fifths of the true ones.

Example:
    python tools/measure_uncalibrated.py --mocap ../shared/mocap --views 2 4 --instants 1 8
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from meshrec.body import NUM_BETAS, BodyModel, load_body
from meshrec.body.measures import stature
from meshrec.body.state import BodyState
from meshrec.errors import run_tool
from meshrec.evaluation.uncalibrated import scores_of
from meshrec.fit import Fitter
from meshrec.fit.uncalibrated import bundle_adjust
from meshrec.geometry import Camera
from meshrec.regress import load_regressor
from meshrec.synthetic.clips import HELD_OUT_TAKES, read_take
from meshrec.synthetic.views import SyntheticViews, simulate_views

GUESS = 0.8
COLUMNS = ("rotation", "sigma", "place", "sigma", "focal", "first", "similar", "PA", "s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mocap", type=Path, required=True, help="folder of the motion capture")
    parser.add_argument("--instants", type=int, nargs="+", default=[1, 8], help="instants that share the cameras")
    parser.add_argument("--step", type=int, default=8, help="frames from one to the next (default: 8)")
    parser.add_argument("--views", type=int, nargs="+", default=[2, 4], help="numbers of cameras")
    options = parser.parse_args()
    body = load_body("neutral").truncated(NUM_BETAS)
    regressor, fitter = load_regressor("proxy", body), Fitter(body)
    print(f"{'':28}" + "".join(f"{name:>10}" for name in COLUMNS))
    for count in options.views:
        for instants in options.instants:
            films = []
            for seed, (take, start) in enumerate(HELD_OUT_TAKES.items(), start=100):
                motion = read_take(options.mocap / take)
                frames = slice(start, min(start + instants * options.step, len(motion)), options.step)
                films.append(simulate_views(motion, body, frames, seed, count))
            for guessed in (False, True):
                rows = [_measured(fitter, regressor, body, film, guessed) for film in films]
                name = f"{count} views, {instants} instants, {'guess' if guessed else 'known'}"
                print(f"{name:28}" + "".join(f"{value:10.2f}" for value in np.mean(rows, 0)), flush=True)


def _measured(fitter: Fitter, regressor, body: BodyModel, film: SyntheticViews, guessed: bool) -> list[float]:
    factor = GUESS if guessed else 1.0
    cameras = [Camera(c.focal[0] * factor, c.center, c.size) for c in film.cameras]
    width, height = cameras[0].size
    black = np.zeros((height, width, 3), np.uint8)
    estimates = [regressor(black, own, camera).state for own, camera in zip(film.detections, cameras)]
    tall = float(stature(body.rest(film.state.betas[:1].float())[0])[0])
    begin = time.process_time()
    found = bundle_adjust(fitter, film.detections, cameras, estimates, heights=[tall], guessed=[guessed] * len(cameras))
    spent = time.process_time() - begin
    truth = torch.nn.functional.pad(_joints(body, film.state), (0, 1), value=1)
    turn, focal, *errors = scores_of(found.cameras, _joints(body, found.state), film.cameras, truth)
    own = found.deviations
    sigmas = float(np.degrees(own.turn[1:].mean())), float(own.place[1:].mean())
    return [turn, sigmas[0], _off(found.cameras, film.cameras), sigmas[1], 100 * focal, *errors, spent]


def _off(found: list[Camera], cameras: list[Camera]) -> float:
    """Mean error of the cameras' places in the first one's space, metres."""
    first = [torch.zeros(1, 3).double(), *(c.camera_to_world(torch.zeros(1, 3).double()) for c in found[1:])]
    true = [cameras[0].world_to_camera(c.camera_to_world(torch.zeros(1, 3).double())) for c in cameras]
    return float(torch.stack([(a - b).norm() for a, b in zip(first[1:], true[1:])]).mean())


def _joints(body: BodyModel, state: BodyState) -> torch.Tensor:
    parts = (state.betas, state.rotations[:, 1:], state.rotations[:, 0], state.translation)
    return body.joints_from(body(*(part.float() for part in parts)).vertices, "lsp14").double()


if __name__ == "__main__":
    run_tool(main)
