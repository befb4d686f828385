"""Measure how well a walk through a room is found by a camera that turns, shakes and zooms, by the whole pipeline.

A body walks through a rendered room (:mod:`meshrec.synthetic.clip_scene`). The clip is reconstructed with the
shipped detector, with the true focal length of the first frame and the true stature. Printed are, for each camera, the
length of the pelvis' path in the world; the root mean square of the distance from the true path, both begun in the same
place, as a share of that length, with the camera's motion and with the camera taken to stand still; and the largest
error of the camera's turn.

Example:
    python tools/measure_camera_motion.py --frames 72
"""

import argparse

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from meshrec import Reconstructor, Track
from meshrec.body import load_body
from meshrec.body.measures import stature
from meshrec.errors import run_tool
from meshrec.geometry import matrix_to_axis_angle
from meshrec.synthetic.clip_scene import CameraPath, ClipScene, ClipSettings, clip_scene

CAMERAS = {
    "pans, tilts, shakes": CameraPath(pan=14.0, tilt=-3.0, shake=0.3),
    "and zooms by 1.2": CameraPath(pan=14.0, tilt=-3.0, shake=0.3, zoom=1.2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=72, help="frames of each clip, 24 per second (default: 72)")
    options = parser.parse_args()
    reconstructor = Reconstructor()
    table = Table("camera that", "path, m", "error", "standing still", "turn, degrees")
    for name, path in CAMERAS.items():
        settings = ClipSettings(frames=options.frames, frame_rate=24.0, size=(960, 540), path=path)
        table.add_row(name, *_measured(reconstructor, clip_scene(settings)))
    Console().print(table)


def _measured(reconstructor: Reconstructor, scene: ClipScene) -> tuple[str, ...]:
    """The figures of one camera."""
    body = load_body()
    height = float(stature(body(torch.from_numpy(scene.betas)[None]).vertices)[0])
    images = list(scene.images())
    pelvis = body.rest(torch.from_numpy(scene.betas)[None])[1][0, 0].numpy()
    true = scene.world_translation + pelvis
    length = float(np.linalg.norm(np.diff(true, axis=0), axis=1).sum())
    shares, turn = [], 0.0
    for static in (False, True):
        tracks = reconstructor.clip(
            images, fps=scene.settings.frame_rate, camera=scene.camera, height=height, static_camera=static
        )
        if not tracks:
            return (f"{length:.2f}", "nobody is found", "", "")
        longest = max(tracks, key=lambda track: len(track.frames))
        shares.append(_path_error(longest, true) / length)
        if not static:
            turn = _turn_error(longest, scene)
    return (f"{length:.2f}", *(f"{100 * share:.1f} %" for share in shares), f"{turn:.3f}")


def _path_error(track: Track, true: np.ndarray) -> float:
    """Root mean square distance of the pelvis from its true path, if both begin in the same place, metres."""
    found = track.in_world()[1] + track.pelvis - true[track.frames]
    return float(np.sqrt(((found - found[:1]) ** 2).sum(1).mean()))


def _turn_error(track: Track, scene: ClipScene) -> float:
    """Largest angle between the found and the true rotation of the camera, degrees."""
    difference = track.turns @ scene.turns[track.frames].swapaxes(-1, -2)
    angles = torch.linalg.vector_norm(matrix_to_axis_angle(torch.from_numpy(difference)), dim=-1)
    return float(angles.max().rad2deg())


if __name__ == "__main__":
    run_tool(main)
