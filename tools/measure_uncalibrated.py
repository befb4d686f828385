"""Measure how well cameras are found from one person of motion capture among simulated cameras and detectors.

The takes are those of ``tools/measure_views.py``. Stature is given, so that the scene's size is known. Printed are the
means over takes of the errors of rotations (degrees), of the cameras' places (m) and of focal lengths (%), each with
the standard deviation that is reported for it, the share of takes whose focal length is off by less than that, and the
errors of the ``lsp14`` joints with the first camera where it is, after one similarity of all instants, and after one
for each (PA), mm; and the processor time, s. Focal lengths are known, or guessed as four fifths of the true ones.

With ``--rendered`` one to three people are drawn in two to four pictures of one instant instead, in so many rooms, and
the detector looks at them. No stature is given, and focal lengths begin at 55 degrees of view. Printed are, for each
room, the errors and reported deviations of rotations and focal length, the latter as logarithms, and at the end how
often the focal length is off by less than one and two deviations.

Example:
    python tools/measure_uncalibrated.py --mocap ../shared/mocap --views 2 4 --instants 1 8
    python tools/measure_uncalibrated.py --rendered 20
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from meshrec.body import NUM_BETAS, BodyModel, load_body
from meshrec.body.measures import stature
from meshrec.body.state import BodyState
from meshrec.errors import InputError, run_tool
from meshrec.evaluation.crossing_cameras import turn_errors
from meshrec.evaluation.uncalibrated import scores_of
from meshrec.fit import Fitter
from meshrec.fit.uncalibrated import bundle_adjust
from meshrec.geometry import Camera
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.reconstruct.uncalibrated import find_cameras
from meshrec.regress import load_regressor
from meshrec.synthetic.clips import HELD_OUT_TAKES, read_take
from meshrec.synthetic.gathering import gathering
from meshrec.synthetic.views import SyntheticViews, simulate_views

GUESS = 0.8
MISTAKEN = 20.0  # degrees of error of rotations from which people were taken for each other
COLUMNS = ("rotation", "sigma", "place", "sigma", "focal", "sigma", "within", "first", "similar", "PA", "s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--mocap", type=Path, help="folder of the motion capture")
    kind.add_argument("--rendered", type=int, help="number of rooms with rendered people")
    parser.add_argument("--instants", type=int, nargs="+", default=[1, 8], help="instants that share the cameras")
    parser.add_argument("--step", type=int, default=8, help="frames from one to the next (default: 8)")
    parser.add_argument("--views", type=int, nargs="+", default=[2, 4], help="numbers of cameras")
    options = parser.parse_args()
    if options.rendered is not None:
        _rendered(options.rendered)
        return
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


def _rendered(rooms: int) -> None:
    """Print how well cameras of rendered people are found, room after room."""
    print("".join(f"{name:>10}" for name in ("room", "people", "cameras", "rotation", "sigma", "focal", "sigma")))
    reconstructor, shares, total = Reconstructor(), [], 0
    for seed in range(rooms):
        scene = gathering(seed)
        row = f"{seed:10d}{len(scene.joints):10d}{len(scene.cameras):10d}"
        total += 1
        try:
            found = find_cameras(reconstructor, scene.images)
        except InputError as error:
            print(f"{row}  refused: {error}", flush=True)
            continue
        own, true = [lens.camera for lens in found.calibration.cameras.values()], scene.cameras
        off = float(np.log(own[0].focal[0] / true[0].focal[0]))
        turn, sigmas = turn_errors(own, true), found.deviations
        values = (turn, float(np.degrees(sigmas.turn[1:].mean())))
        focals = (off, float(sigmas.focal[0]))
        print(row + "".join(f"{v:10.1f}" for v in values) + "".join(f"{v:10.3f}" for v in focals), flush=True)
        shares.append((abs(off) / focals[1], turn))
    for name, chosen in (("all", shares), ("rotations within 20 degrees", [s for s in shares if s[1] < MISTAKEN])):
        size = np.array([share for share, _ in chosen])
        print(f"{name}: {len(size)} of {total}; within one deviation {(size < 1).sum()}, two {(size < 2).sum()}")


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
    focals = [100 * focal, 100 * float(own.focal[0]), float(focal <= own.focal[0])]
    return [turn, sigmas[0], _off(found.cameras, film.cameras), sigmas[1], *focals, *errors, spent]


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
