"""Reader of LSP-extended as a tar of crops with one ``labels.npz``.

LSP-extended is by Johnson & Everingham 2011, "Learning effective human pose estimation from inaccurate annotation".
``labels.npz`` has a row per person, of which these columns are read:

- ``name`` (N,): the person's picture ``<name>.jpg``, a square around the person; ``size`` (N,): its side in pixels.
- ``joint_names`` (14,): LSP's names, such as ``r_ankle``.
- ``joints`` (N, 14, 2): x and y in the picture's pixels; ``vis`` (N, 14): 1 where a joint is labelled.

Many labels are grossly wrong or have left and right exchanged, so train on them with a robust penalty.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meshrec.body.joints import joint_set
from meshrec.data.sample import Sample, person_sample
from meshrec.datasets.columns import joint_names, labels, numbers, texts
from meshrec.errors import InputError
from meshrec.files.npz import MOST_BYTES, read_npz
from meshrec.files.picture import Picture
from meshrec.files.tars import read_member, tar_members

LABELS = "labels.npz"


@dataclass(frozen=True, eq=False)
class LspeSamples:
    """The N people of one tar.

    Attributes:
        path: The tar.
        names: (N,) names of the pictures, without suffix.
        places: (N, 2) first byte and length of each picture in the tar.
        size: (N,) sides of the pictures, pixels.
        keypoints_2d: (N, 14, 3) x and y of the ``lsp14`` joints in pixels, and confidence.
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

    Args:
        path: The tar.

    Raises:
        InputError: The tar cannot be read, lacks its labels or a picture, or a column is not as described above; the
            message names the row.
    """
    path = Path(path)
    members = tar_members(path)
    if LABELS not in members:
        raise InputError(f"{path}: the tar holds no {LABELS}.")
    columns = read_npz(path / LABELS, read_member(path, members[LABELS], MOST_BYTES).getvalue(), pass_objects=True)
    names = texts(path, columns, "name")
    joints = joint_names(path, columns)
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
