"""Measure the fit of tracks on clips of motion capture with simulated detections, against each frame alone.

The takes are those that the shipped networks and the prior of poses were not trained on. Printed are the means over
clips of the error of 12 limb joints after alignment (PA-MPJPE) and from the middle of the hips (MPJPE), mm; of the
error of accelerations from the pelvis and in camera space, mm per frame squared; of the movement of heels and toes in
frames in which they truly stand, and in those that the fit takes for contacts, mm per frame; of the error of the betas;
and the time of a frame.

Example:
    python tools/measure_tracks.py --mocap ../shared/mocap --frames 75 --smooth 0.2 0.5 0.8
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from meshrec.body import NUM_BETAS, joint_set, load_body
from meshrec.body.joints import LIMB_JOINTS
from meshrec.body.state import BodyState
from meshrec.errors import run_tool
from meshrec.fit import FitResult, Fitter, SequenceFit, SequenceFitter, SequenceSettings
from meshrec.fit.feet import contacts_of, foot_points
from meshrec.geometry import nearest_rotation, procrustes
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.metrics import acceleration_error
from meshrec.regress import load_regressor
from meshrec.synthetic.clips import HELD_OUT_TAKES, SyntheticClip, read_take, simulate_clip

LIMBS = [joint_set("smpl24").index(name) for name in LIMB_JOINTS]
HIPS = [joint_set("smpl24").index(f"{side}_hip") for side in ("left", "right")]
COLUMNS = ("PA-MPJPE", "MPJPE", "accel.", "in camera", "standing", "contacts", "betas", "ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mocap", type=Path, required=True, help="folder of the motion capture")
    parser.add_argument("--frames", type=int, default=75, help="frames of each clip (default: 75)")
    parser.add_argument("--smooth", type=float, nargs="+", default=[0.5], help="smoothness (default: 0.5)")
    options = parser.parse_args()
    body = load_body("neutral").truncated(NUM_BETAS)
    regressor, fitter = load_regressor("proxy", body), Fitter(body)
    rows: dict[str, list[list[float]]] = {}
    for seed, (take, start) in enumerate(HELD_OUT_TAKES.items(), start=100):
        motion = read_take(options.mocap / take)
        clip = simulate_clip(motion, body, slice(start, min(start + options.frames, len(motion))), seed)
        width, height = clip.camera.size
        initial = regressor(np.zeros((height, width, 3), np.uint8), clip.detections, clip.camera)
        begin = time.process_time()
        alone = _state(fitter(clip.detections, clip.camera, initial))
        spent = time.process_time() - begin
        rows.setdefault("each alone", []).append(_measured(fitter, clip, alone, None, spent))
        for deviation in (1.5, 3.0):
            name = f"Gaussian over {deviation:g} frames"
            rows.setdefault(name, []).append(_measured(fitter, clip, _averaged(alone, deviation), None, 0.0))
        for smooth in options.smooth:
            begin = time.process_time()
            settings = SequenceSettings(smooth=smooth)
            fit = SequenceFitter(fitter, settings)(clip.detections, clip.times, clip.camera, initial)
            spent = time.process_time() - begin
            rows.setdefault(f"smooth {smooth:g}", []).append(
                _measured(fitter, clip, _state([fit]), fit.contacts, spent)
            )
    print(f"{'':24}" + "".join(f"{name:>11}" for name in COLUMNS))
    for name, values in rows.items():
        print(f"{name:24}" + "".join(f"{value:11.2f}" for value in np.nanmean(values, 0)))


def _state(fits: list[FitResult] | list[SequenceFit]) -> BodyState:
    if isinstance(fits[0], SequenceFit):
        fit = fits[0]
        arrays = [fit.rotations, fit.translation, np.tile(fit.betas, (len(fit.rotations), 1))]
    else:
        arrays = [np.stack([getattr(fit, name) for fit in fits]) for name in ("rotations", "translation", "betas")]
    return BodyState(*(torch.from_numpy(array).double() for array in arrays))


def _averaged(state: BodyState, deviation: float) -> BodyState:
    """Average neighbouring frames with the weights of a Gaussian."""
    frames = torch.arange(len(state), dtype=torch.float64)
    weights = torch.exp(-(((frames[:, None] - frames) / deviation) ** 2) / 2)
    weights = weights / weights.sum(1, keepdim=True)

    def mean(values: Tensor) -> Tensor:
        return (weights @ values.flatten(1)).view(values.shape)

    return BodyState(nearest_rotation(mean(state.rotations)), mean(state.translation), state.betas)


def _measured(
    fitter: Fitter, clip: SyntheticClip, state: BodyState, contacts: np.ndarray | None, seconds: float
) -> list[float]:
    points, true = (landmark_positions(fitter.skeleton, bodies) for bodies in (state, clip.state))
    limbs, wanted = points[:, LIMBS], true[:, LIMBS]
    aligned = procrustes(limbs, wanted).apply(limbs) - wanted
    rooted = limbs - points[:, HIPS].mean(1, keepdim=True) - wanted + true[:, HIPS].mean(1, keepdim=True)
    feet = foot_points(fitter.body)
    own, real = (landmark_positions(feet, bodies).numpy() for bodies in (state, clip.state))
    stands = contacts_of(real, clip.times, clip.up)
    slides = np.linalg.norm(np.diff(own, axis=0), axis=-1)
    return [
        1000 * float(aligned.norm(dim=-1).mean()),
        1000 * float(rooted.norm(dim=-1).mean()),
        float(acceleration_error(points - points[:, :1], true - true[:, :1])),
        float(acceleration_error(points, true)),
        *(1000 * _mean_where(slides, where) for where in (stands, stands if contacts is None else contacts)),
        float((state.betas - clip.state.betas).abs().mean()),
        1000 * seconds / len(state),
    ]


def _mean_where(slides: np.ndarray, contacts: np.ndarray) -> float:
    both = contacts[1:] & contacts[:-1]
    return float(slides[both].mean()) if both.any() else np.nan


if __name__ == "__main__":
    run_tool(main)
