"""Reader of LSP-extended as crops in a tar: pictures beside one ``labels.npz``.

LSP-extended: Johnson & Everingham 2011, "Learning effective human pose estimation from inaccurate annotation". Of
``labels.npz``, row k of which belongs to the picture ``<name>.jpg``, these are read:

- ``name`` (N,), ``size`` (N,): the picture, a square around the person, and its side in pixels.
- ``joint_names`` (14,), such as ``r_ankle``: LSP's.
- ``joints`` (N, 14, 2): x, y in the picture's pixels; ``vis`` (N, 14): 1 = labelled.

Many labels are grossly wrong or swap left and right; train on them with a robust penalty.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meshrec.body.joints import joint_set
from meshrec.data.sample import Sample, person_sample
from meshrec.datasets.columns import labels, numbers, texts
from meshrec.errors import InputError
from meshrec.files.npz import read_npz
from meshrec.files.picture import Picture, read_member, tar_members

LABELS = "labels.npz"
SIDES = {"l_": "left_", "r_": "right_"}


@dataclass(frozen=True, eq=False)
class LspeSamples:
    """N people of one tar.

    Attributes:
        path: The tar.
        names: (N,) of the pictures.
        places: (N, 2) first byte and length of the pictures in the tar.
        size: (N,) sides in pixels.
        keypoints_2d: (N, 14, 3) x, y in pixels and confidence, as in ``lsp14``.
    """

    path: Path
    names: np.ndarray
    places: np.ndarray
    size: np.ndarray
    keypoints_2d: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        start, length = (int(n) for n in self.places[index])
        size = float(self.size[index])
        return person_sample(
            name=f"{self.path.name} row {index} ({self.names[index]})",
            image=Picture(self.path, start, length),
            crop=(np.full(2, (size - 1) / 2), size),
            joints=joint_set("lsp14"),
            keypoints_2d=self.keypoints_2d[index],
        )


def read_lspe(path: str | Path) -> LspeSamples:
    """Read a tar of crops.

    Raises:
        InputError: The tar lacks its labels or a picture, or a column is not as above; the message names the row.
    """
    path = Path(path)
    members = tar_members(path)
    if LABELS not in members:
        raise InputError(f"{path}: the tar holds no {LABELS}.")
    columns = read_npz(path / LABELS, read_member(path, members[LABELS]).getvalue())
    names = texts(path, columns, "name")
    joints = tuple(full_name(str(name)) for name in texts(path, columns, "joint_names"))
    if joints != joint_set("lsp14"):
        raise InputError(f"{path}: joint_names must be LSP's 14 in their order, not {', '.join(joints)}.")
    places = [members.get(f"{name}.jpg") for name in names]
    if None in places:
        row = places.index(None)
        raise InputError(f"{path}: row {row}: the tar holds no picture {names[row]}.jpg.")
    rows = len(names)
    return LspeSamples(
        path=path,
        names=names,
        places=np.array(places),
        size=numbers(path, columns, "size", (), rows),
        keypoints_2d=labels(path, columns, "joints", (14, 3), rows, confidence="vis"),
    )


def full_name(short: str) -> str:
    """``l_knee`` -> ``left_knee``; other names stay."""
    return SIDES.get(short[:2], short[:2]) + short[2:]
