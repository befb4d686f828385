"""Reader of SPIN's ``.npz`` files (Kolotouros et al. 2019), in which the field exchanges labels of datasets.

H36M, 3DPW, MPI-INF-3DHP, LSP, MPII, COCO and UP-3D are available in this format. The files have a row per person, of
which these columns are read:

- ``imgname``: path of the picture relative to the dataset's folder.
- ``center`` (2,) and ``scale``: the square crop in pixels; its side is 200 times the scale.
- ``part`` (24, 3), optional: labelled keypoints, x and y in pixels and confidence, in the order of :data:`LABELLED`.
- ``openpose`` (25, 3), optional: detected keypoints likewise, in the order of ``openpose25``.
- ``S`` (24, 4), optional: 3D joints relative to the root along the camera's axes, metres, and confidence, in the order
  of ``part``.
- ``pose`` (72,) and ``shape`` (10,), optional: SMPL's parameters, axis-angle, the root rotation in camera space.
  ``has_smpl``, optional: 1 in the rows where they are known; without this column they are known in all rows.
- ``gender``, optional: ``m`` or ``f``, the body that the betas belong to; the neutral body where it is neither.

SPIN's 49 joints are the 25 of ``openpose`` and the 24 of ``part``. Joints of the same name are merged; a label takes
precedence over a detection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from meshrec.body import NUM_BETAS, NUM_JOINTS, POSE_SIZE
from meshrec.body.joints import LIMB_JOINTS, joint_set
from meshrec.data.sample import Sample, person_sample
from meshrec.datasets.columns import blank, labels, numbers, texts
from meshrec.errors import InputError
from meshrec.files.npz import read_npz
from meshrec.files.picture import Picture
from meshrec.geometry import axis_angle_to_matrix

# The head top stands here twice: as LSP's, and as that of H36M and MPI-INF-3DHP, which SPIN calls "Head (H36M)". H36M's
# head is SPIN's "Jaw (H36M)".
LABELLED = (
    *LIMB_JOINTS, "neck", "head_top", "mid_hip", "thorax", "spine_h36m", "head_h36m", "head_top",
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
)  # fmt: skip
JOINTS = tuple(dict.fromkeys((*LABELLED, *joint_set("openpose25"))))
PIXELS_PER_SCALE = 200
GENDERS = {"m": "male", "f": "female"}


@dataclass(frozen=True, eq=False)
class SpinSamples:
    """The N people of one file. Their K joints are :data:`JOINTS`.

    Attributes:
        path: The file.
        folder: Folder of the pictures.
        pictures: (N,) paths relative to ``folder``.
        center: (N, 2) centres of the crops, pixels.
        side: (N,) sides of the crops, pixels.
        keypoints_2d: (N, K, 3) x and y in pixels, and confidence.
        joints_3d: (N, K, 4) relative to the root along the camera's axes, metres, and confidence.
        pose: (N, 72) axis-angle, radians.
        betas: (N, 10) shape coefficients.
        has_smpl: (N,) bool, whether pose and betas are known.
        bodies: (N,) hashes of the bodies that the betas belong to, empty where unknown.
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
        pose = axis_angle_to_matrix(torch.from_numpy(self.pose[index]).view(NUM_JOINTS, 3)).numpy()
        return person_sample(
            name=f"{self.path.name} row {index}",
            image=Picture(self.folder / str(self.pictures[index])),
            crop=(self.center[index], float(self.side[index])),
            joints=JOINTS,
            keypoints_2d=self.keypoints_2d[index],
            joints_3d=self.joints_3d[index],
            pose=pose if known else None,
            betas=self.betas[index] if known else None,
            body=str(self.bodies[index]),
        )


def read_spin_npz(path: str | Path, folder: str | Path, bodies: Mapping[str, str] | None = None) -> SpinSamples:
    """Read a file in SPIN's format.

    Args:
        path: The ``.npz`` file.
        folder: Folder of the pictures.
        bodies: Hashes of the bodies that the betas belong to, under the keys ``neutral``, ``male`` and ``female``. The
            file does not tell them; betas of a body that is not given here get a confidence of 0.

    Raises:
        InputError: The file cannot be read, or a column is missing, has another shape or is not finite; the message
            names file and row.
    """
    path = Path(path)
    columns = read_npz(path)
    pictures = texts(path, columns, "imgname")
    rows = len(pictures)
    side = PIXELS_PER_SCALE * numbers(path, columns, "scale", (), rows)
    if (side <= 0).any():
        raise InputError(f"{path}: row {int(np.argmax(side <= 0))}: scale must be above 0.")

    part = _optional(path, columns, "part", (len(LABELLED), 3), rows)
    detected = _optional(path, columns, "openpose", (25, 3), rows)
    joints_3d = _optional(path, columns, "S", (len(LABELLED), 4), rows)
    pose, betas = np.zeros((rows, POSE_SIZE), np.float32), np.zeros((rows, NUM_BETAS), np.float32)
    has_smpl = np.zeros(rows, bool)
    if "pose" in columns and "shape" in columns:
        has_smpl = numbers(path, columns, "has_smpl", (), rows) > 0 if "has_smpl" in columns else np.ones(rows, bool)
        known = {name: blank(columns[name], ~has_smpl) for name in ("pose", "shape")}
        pose = numbers(path, known, "pose", (POSE_SIZE,), rows)
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
    """A column of labels, zeros where the file lacks it; arguments are those of :func:`labels`."""
    return labels(path, columns, name, shape, rows) if name in columns else np.zeros((rows, *shape), np.float32)


def _merge(names: tuple[str, ...], values: np.ndarray) -> np.ndarray:
    """Merge labels of the same name; the first one with a confidence above 0 counts.

    Args:
        names: Names of the M labels.
        values: (N, M, D) labels, the last column is the confidence.

    Returns:
        (N, K, D) labels in the order of :data:`JOINTS`.
    """
    merged = np.zeros((len(values), len(JOINTS), values.shape[-1]), np.float32)
    for place in reversed(range(len(names))):
        known = values[:, place, -1] > 0
        merged[known, JOINTS.index(names[place])] = values[known, place]
    return merged
