"""Measure the fit in several views on motion capture among simulated cameras, in the world and without alignment.

The takes are those that the shipped networks and the prior of poses were not trained on. Printed are the means over
takes of the error of the ``lsp14`` joints in the world (absolute), from the middle of the hips (root), and after
alignment (PA), mm; that of accelerations, mm per frame squared; and the processor time of an instant, ms. Rows:
``library`` has no network, ``landmarks`` no outlines, ``outlines`` everything, one instant at a time; ``smooth`` fits
whole takes with one shape.

Example:
    python tools/measure_views.py --mocap ../shared/mocap --views 2 3 4 --frames 34 --step 2
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from meshrec.body import NUM_BETAS, BodyModel, joint_set, load_body
from meshrec.body.state import BodyState
from meshrec.errors import run_tool
from meshrec.fit import Fitter, Initial
from meshrec.fit.view_sequence import OVER_TIME, MultiViewSequenceFitter
from meshrec.fit.views import MultiViewFit, MultiViewFitter
from meshrec.geometry import procrustes
from meshrec.metrics import acceleration_error
from meshrec.regress import load_regressor
from meshrec.synthetic.clips import HELD_OUT_TAKES, read_take
from meshrec.synthetic.views import SyntheticViews, simulate_views

JOINTS = "lsp14"
HIPS = [joint_set(JOINTS).index(f"{side}_hip") for side in ("left", "right")]
Method = Callable[[SyntheticViews, list[Initial]], BodyState]
COLUMNS = ("absolute", "root", "PA", "accel.", "ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mocap", type=Path, required=True, help="folder of the motion capture")
    parser.add_argument("--frames", type=int, default=6, help="instants of each take (default: 6)")
    parser.add_argument("--step", type=int, default=12, help="frames from one to the next (default: 12)")
    parser.add_argument("--methods", nargs="+", help="names of rows (default: all)")
    parser.add_argument("--smooth", type=float, nargs="+", default=[0.0, 0.5], help="smoothness of whole takes")
    parser.add_argument("--views", type=int, nargs="+", default=[1, 2, 3, 4], help="numbers of cameras")
    options = parser.parse_args()
    body = load_body("neutral").truncated(NUM_BETAS)
    regressor, fitter = load_regressor("proxy", body), Fitter(body)
    methods: dict[str, Method] = {
        "library": partial(_instants, MultiViewFitter(fitter), False),
        "landmarks": partial(_instants, MultiViewFitter(Fitter(body, silhouettes=False)), True),
        "outlines": partial(_instants, MultiViewFitter(fitter), True),
    }
    for smooth in options.smooth:
        settings = replace(OVER_TIME, smooth=smooth, standing=smooth > 0)
        methods[f"smooth {smooth:g}"] = partial(_track, MultiViewSequenceFitter(fitter, settings))
    rows: dict[tuple[int, str], list[list[float]]] = {}
    for seed, (take, start) in enumerate(HELD_OUT_TAKES.items(), start=100):
        motion = read_take(options.mocap / take)
        frames = slice(start, min(start + options.frames * options.step, len(motion)), options.step)
        for count in options.views:
            film = simulate_views(motion, body, frames, seed, count)
            initial = [_estimates(regressor, film, v) for v in range(count)]
            for name in options.methods or methods:
                begin = time.process_time()
                state = methods[name](film, initial)
                spent = 1000 * (time.process_time() - begin) / len(state)
                rows.setdefault((count, name), []).append([*_errors(body, state, film.state), spent])
    print(f"{'':24}" + "".join(f"{name:>11}" for name in COLUMNS))
    for (count, name), values in sorted(rows.items()):
        print(f"{count} {name:22}" + "".join(f"{value:11.1f}" for value in np.mean(values, 0)))


def _estimates(regressor, film: SyntheticViews, view: int) -> Initial:
    camera = film.cameras[view]
    width, height = camera.size
    return regressor(np.zeros((height, width, 3), np.uint8), film.detections[view], camera)


def _instants(method: MultiViewFitter, guided: bool, film: SyntheticViews, initial: list[Initial]) -> BodyState:
    fits = []
    for t in range(len(film.times)):
        starts = [guess[t : t + 1] for guess in initial] if guided else None
        fits.append(method([own[t] for own in film.detections], film.cameras, starts))
    return _state(fits)


def _track(method: MultiViewSequenceFitter, film: SyntheticViews, initial: list[Initial]) -> BodyState:
    fit = method(film.detections, film.times, film.cameras, initial)
    parts = (fit.rotations, fit.translation, np.tile(fit.betas, (len(fit.rotations), 1)))
    return BodyState(*(torch.from_numpy(part).double() for part in parts))


def _state(fits: list[MultiViewFit]) -> BodyState:
    arrays = [np.stack([getattr(fit, name) for fit in fits]) for name in ("rotations", "translation", "betas")]
    return BodyState(*(torch.from_numpy(array).double() for array in arrays))


def _errors(body: BodyModel, state: BodyState, truth: BodyState) -> list[float]:
    own, true = (_joints(body, bodies) for bodies in (state, truth))
    rooted = own - own[:, HIPS].mean(1, keepdim=True) - true + true[:, HIPS].mean(1, keepdim=True)
    aligned = procrustes(own, true).apply(own) - true
    errors = [1000 * float(error.norm(dim=-1).mean()) for error in (own - true, rooted, aligned)]
    return [*errors, float(acceleration_error(own, true))]


def _joints(body: BodyModel, state: BodyState) -> torch.Tensor:
    parts = (state.betas, state.rotations[:, 1:], state.rotations[:, 0], state.translation)
    return body.joints_from(body(*(part.float() for part in parts)).vertices, JOINTS)


if __name__ == "__main__":
    run_tool(main)
