"""Reader of the ``.npz`` files by which the field exchanges datasets since SPIN (Kolotouros et al. 2019).

H36M, 3DPW, MPI-INF-3DHP, LSP, MPII, COCO and UP-3D come so. One row per person:

- ``imgname``: picture, relative to the dataset's folder.
- ``center`` (2,), ``scale``: the square crop in pixels; its side is 200 times the scale.
- ``part`` (24, 3), optional: labelled keypoints, x, y in pixels and confidence, in the order of :data:`LABELLED`.
- ``openpose`` (25, 3), optional: detected keypoints in the order of ``openpose25``.
- ``S`` (24, 4), optional: joints in metres in the camera's axes, measured from the root, and confidence, as ``part``.
- ``pose`` (72,), ``shape`` (10,), optional: SMPL's, axis-angle, the root in camera space; ``has_smpl``, optional:
  whether the row has them (all rows do where it is absent).
- ``gender``, optional: ``m`` or ``f``; the betas then belong to that body, else to the neutral one.

The 49 joints of that code base are the 25 of ``openpose`` and the 24 of ``part``. Those that name the same point become
one, labelled before detected.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from meshrec.body import NUM_BETAS
from meshrec.body.joints import LIMB_JOINTS, joint_set
from meshrec.data.sample import Sample, person_sample
from meshrec.datasets.columns import blank, labels, numbers, texts
from meshrec.errors import InputError
from meshrec.files.npz import read_npz
from meshrec.files.picture import Picture
from meshrec.geometry import axis_angle_to_matrix

# LSP's head top, then at place 18 ("Head (H36M)") the head top of H36M and MPI-INF-3DHP; "Jaw (H36M)" is H36M's head.
LABELLED = (
    *LIMB_JOINTS, "neck", "head_top", "mid_hip", "thorax", "spine_h36m", "head_h36m", "head_top",
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
)  # fmt: skip
JOINTS = tuple(dict.fromkeys((*LABELLED, *joint_set("openpose25"))))
PIXELS_PER_SCALE = 200
GENDERS = {"m": "male", "f": "female"}


@dataclass(frozen=True, eq=False)
class SpinSamples:
    """N people of one file.

    Attributes:
        path: The file.
        pictures: (N,) paths relative to ``folder``.
        center, side: (N, 2) and (N,) of the crops in pixels.
        keypoints_2d, joints_3d: (N, K, 3) in pixels and (N, K, 4) in metres, K joints as in :data:`JOINTS`.
        pose, betas, has_smpl: (N, 72) axis-angle, (N, 10), (N,) bool.
        bodies: (N,) hashes of the betas' bodies, empty where unknown.
    """

    path: Path
    folder: Path
    pictures: np.ndarray
    center: np.ndarray
    side: np.ndarray
    keypoints_2d: np.ndarray
    joints_3d: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    has_smpl: np.ndarray
    bodies: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Sample:
        known = bool(self.has_smpl[index])
        return person_sample(
            name=f"{self.path.name} row {index}",
            image=Picture(self.folder / str(self.pictures[index])),
            crop=(self.center[index], float(self.side[index])),
            joints=JOINTS,
            keypoints_2d=self.keypoints_2d[index],
            joints_3d=self.joints_3d[index],
            pose=axis_angle_to_matrix(torch.from_numpy(self.pose[index]).view(24, 3)).numpy() if known else None,
            betas=self.betas[index] if known else None,
            body=str(self.bodies[index]),
        )


def read_spin_npz(path: str | Path, folder: str | Path, bodies: Mapping[str, str] | None = None) -> SpinSamples:
    """Read a SPIN-style file.

    Args:
        path: The ``.npz`` file.
        folder: That its picture names are relative to.
        bodies: Hashes of the bodies its betas belong to, by ``neutral``, ``male``, ``female``. The files do not say;
            betas of a body not named here get confidence 0.

    Raises:
        InputError: A column is missing, of another shape, or not a number; the message names file and row.
    """
    path = Path(path)
    columns = read_npz(path)
    pictures = texts(path, columns, "imgname")
    rows = len(pictures)
    side = PIXELS_PER_SCALE * numbers(path, columns, "scale", (), rows)
    if (side <= 0).any():
        raise InputError(f"{path}: row {int(np.argmax(side <= 0))}: scale must be above 0.")

    part = _optional(path, columns, "part", (24, 3), rows)
    detected = _optional(path, columns, "openpose", (25, 3), rows)
    joints_3d = _optional(path, columns, "S", (24, 4), rows)
    pose, betas = np.zeros((rows, 72), np.float32), np.zeros((rows, NUM_BETAS), np.float32)
    has_smpl = np.zeros(rows, bool)
    if "pose" in columns and "shape" in columns:
        has_smpl = numbers(path, columns, "has_smpl", (), rows) > 0 if "has_smpl" in columns else np.ones(rows, bool)
        known = {name: blank(columns[name], ~has_smpl) for name in ("pose", "shape")}
        pose = numbers(path, known, "pose", (72,), rows)
        betas = numbers(path, known, "shape", (NUM_BETAS,), rows)
    genders = texts(path, columns, "gender") if "gender" in columns else np.full(rows, "")
    hashes = [(bodies or {}).get(GENDERS.get(str(gender), "neutral"), "") for gender in genders]
    return SpinSamples(
        path=path,
        folder=Path(folder),
        pictures=pictures,
        center=numbers(path, columns, "center", (2,), rows),
        side=side,
        keypoints_2d=_merge((*LABELLED, *joint_set("openpose25")), np.concatenate([part, detected], axis=1)),
        joints_3d=_merge(LABELLED, joints_3d),
        pose=pose,
        betas=betas,
        has_smpl=has_smpl,
        bodies=np.array(hashes, str),
    )


def _optional(path: Path, columns: dict[str, np.ndarray], name: str, shape: tuple[int, int], rows: int) -> np.ndarray:
    return labels(path, columns, name, shape, rows) if name in columns else np.zeros((rows, *shape), np.float32)


def _merge(names: tuple[str, ...], values: np.ndarray) -> np.ndarray:
    """Labels (N, len(names), D), some of the same name, as (N, K, D) in the order of :data:`JOINTS`.

    Of several the first one with confidence counts.
    """
    merged = np.zeros((len(values), len(JOINTS), values.shape[-1]), np.float32)
    for place in reversed(range(len(names))):
        known = values[:, place, -1] > 0
        merged[known, JOINTS.index(names[place])] = values[known, place]
    return merged
