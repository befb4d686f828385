"""Results of a film as VIBE, WHAM and 4D-Humans lay them out, and the motion that is in all of them.

The files in ``tests/helpers/stored/joblib`` were written by ``python tests/helpers/films.py FOLDER NAME`` with Python
3.11, NumPy 1.26 and joblib 1.6 (``joblib16``) and 1.1 (``joblib11``).
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

FRAMES = 8
NUMBERS = np.array([3, 4, 5, 6, 9, 10, 11, 12])  # in 7 and 8 nobody is seen
PEOPLE = (2, 11)
DEPTH = np.linspace(3, 4, FRAMES)  # metres from a camera with a field of view of 55 degrees
FOCAL = 1 / np.tan(np.radians(27.5))  # over half the picture's width


def poses(person: int) -> np.ndarray:
    """(T, 72) of someone who turns, in camera space: y down."""
    rng = np.random.default_rng(person)
    root = Rotation.from_euler("x", np.pi) * Rotation.from_euler("y", np.linspace(0, 1, FRAMES)[:, None])
    body = rng.normal(0, 0.2, 69) + np.linspace(0, 0.3, FRAMES)[:, None]
    return np.concatenate([root.as_rotvec(), body], axis=1)


def world_poses(person: int) -> np.ndarray:
    """(T, 72) of the same person in a world whose y axis is up."""
    turned = Rotation.from_euler("x", np.pi) * Rotation.from_rotvec(poses(person)[:, :3])
    return np.concatenate([turned.as_rotvec(), poses(person)[:, 3:]], axis=1)


def betas(person: int) -> np.ndarray:
    return np.random.default_rng(person).normal(size=10) + np.linspace(-1, 1, FRAMES)[:, None]


def places(person: int) -> np.ndarray:
    """(T, 3) metres in camera space."""
    return np.stack([np.full(FRAMES, 0.1 * person), np.linspace(0, 0.5, FRAMES), DEPTH], axis=1)


def vibe() -> dict:
    def of(person: int) -> dict[str, object]:
        scale = FOCAL / DEPTH
        x, y, _ = places(person).T
        return {
            "pred_cam": np.zeros((FRAMES, 3), np.float32),
            "orig_cam": np.stack([scale, scale * 1.5, x, y], axis=1),
            "verts": np.zeros((FRAMES, 7, 3), np.float32),
            "pose": poses(person),
            "betas": betas(person),
            "joints2d": None,
            "bboxes": np.zeros((FRAMES, 4)),
            "frame_ids": NUMBERS,
        }

    return {person: of(person) for person in PEOPLE}


def wham() -> dict:
    results = defaultdict(dict)
    for person in PEOPLE:
        results[person] |= {
            "pose": poses(person),
            "trans": places(person),
            "pose_world": world_poses(person),
            "trans_world": places(person) * [1, -1, -1],
            "betas": betas(person),
            "verts": np.zeros((FRAMES, 7, 3), np.float32),
            "frame_ids": NUMBERS,
        }
    return results


def phalp() -> dict:
    frames = {}
    for time in range(NUMBERS[-1] + 1):
        frame = {
            "time": time,
            "shot": 0,
            "tid": [],
            "smpl": [],
            "camera": [],
            "tracked_time": [],
            "conf": [],
            "mask": [],
        }
        for person in PEOPLE:
            (found,) = np.nonzero(time == NUMBERS)
            if not len(found) and not NUMBERS[0] < time < NUMBERS[-1]:
                continue
            index = found[0] if len(found) else 0  # what the tracker predicts while nobody is seen
            matrices = Rotation.from_rotvec(poses(person)[index].reshape(24, 3)).as_matrix().astype(np.float32)
            frame["tid"].append(person)
            body = {"global_orient": matrices[:1], "body_pose": matrices[1:], "betas": betas(person)[index]}
            frame["smpl"].append(body)
            frame["camera"].append(places(person)[index] * [1, 1, 5000 / 128 / FOCAL])
            frame["tracked_time"].append(0 if len(found) else 1)
            frame["conf"].append(np.float32(0.9))
            frame["mask"].append([{"size": [4, 4], "counts": b"04L4"}])
        frames[f"_DEMO/film/img/{time:06d}.jpg"] = frame
    return frames


LAYOUTS = {"vibe": vibe, "wham": wham, "phalp": phalp}


def arrays() -> dict:
    """Arrays of every kind that joblib stores in another way."""
    objects = np.empty(2, object)
    objects[:] = [np.arange(3), "text"]
    return {
        "by_rows": np.arange(12.0).reshape(3, 4),
        "by_columns": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "big_endian": np.arange(5, dtype=">i2"),
        "empty": np.zeros((0, 3)),
        "zero_axes": np.array(2.5),
        "number": np.float32(0.5),
        "text": np.array(["a", "bc"]),
        "objects": objects,
        "nested": {"deep": np.arange(3)},
    }


if __name__ == "__main__":
    import joblib

    folder, version = Path(sys.argv[1]), sys.argv[2]
    for name, make in {**LAYOUTS, "arrays": arrays}.items():
        joblib.dump(make(), folder / f"{name}_{version}.pkl")
    joblib.dump(arrays(), folder / f"arrays_{version}_zlib.pkl", compress=3)
    joblib.dump(arrays(), folder / f"arrays_{version}_gzip.pkl", compress=("gzip", 3))
