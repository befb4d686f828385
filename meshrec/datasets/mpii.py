"""Reader of MPII Human Pose's own file (Andriluka et al. 2014), ``mpii_human_pose_v1_u12_1.mat``.

Its structure ``RELEASE`` has ``img_train`` (1, N), 1 for the pictures whose labels are public, and ``annolist`` (1, N),
of which these fields are read:

- ``image.name``: name of the picture.
- ``annorect``: people, each with ``annopoints.point``, joints with ``id`` in the order of ``mpii16``, ``x`` and ``y``;
  ``objpos``, the middle of the person; and ``scale``, the person's height over 200 pixels. People without one of these
  three are left out, and so are pictures of the test set.

Pixels count from 1, as MATLAB's. Labelled joints have a confidence of 1, whether visible or not. The crop is that of
the field since Newell et al. 2016: its middle lies 15 ``scale`` below ``objpos``, and its side is 250 ``scale``. Not
read are visibility, the box of the head, activities and the links to videos. The layout is known from public readers of
this file (Newell's pose-hg-train, eval-mpii-pose).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meshrec.body.joints import joint_set
from meshrec.data.sample import Sample, person_sample
from meshrec.errors import InputError
from meshrec.files.matlab import Value, read_mat
from meshrec.files.names import find_picture
from meshrec.files.picture import Picture

JOINTS = joint_set("mpii16")
FILE = "mpii_human_pose_v1_u12_1.mat"
BELOW, SIDE = 15, 250  # of the crop's middle below the person's, and of its side, over the person's scale


@dataclass(frozen=True, eq=False)
class MpiiSamples:
    """The N labelled people.

    Attributes:
        path: The label file.
        folder: Folder of the pictures.
        pictures: Names of the people's pictures.
        center: (N, 2) centres of the crops, pixels.
        side: (N,) sides of the crops, pixels.
        keypoints_2d: (N, 16, 3) x and y in pixels of the joints :data:`JOINTS`, and confidence.
    """

    path: Path
    folder: Path
    pictures: list[str]
    center: np.ndarray
    side: np.ndarray
    keypoints_2d: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Sample:
        return person_sample(
            name=f"{self.path.name} person {index} ({self.pictures[index]})",
            image=Picture(find_picture(self.folder, self.pictures[index])),
            crop=(self.center[index], float(self.side[index])),
            joints=JOINTS,
            keypoints_2d=self.keypoints_2d[index],
        )


def read_mpii(path: str | Path, folder: str | Path | None = None) -> MpiiSamples:
    """Read the people of the training set.

    Args:
        path: The ``.mat`` file, or the folder in which it lies, or which has it in ``annot`` or
            ``mpii_human_pose_v1_u12_2``.
        folder: Folder of the pictures. Default: the folder ``images`` beside the file or beside its folder.

    Raises:
        InputError: The file is missing or damaged, or has no labelled people; the message names picture and person.
    """
    path = Path(path)
    if path.is_dir():
        places = [path / FILE, path / "annot" / FILE, path / "mpii_human_pose_v1_u12_2" / FILE]
        path = next((place for place in places if place.is_file()), places[0])
    release = _structure(read_mat(path, ("RELEASE",)).get("RELEASE"))
    pictures, public = release.get("annolist"), release.get("img_train")
    if not isinstance(pictures, list) or not isinstance(public, np.ndarray) or public.size != len(pictures):
        raise InputError(f"{path}: this is not MPII's file, whose RELEASE has annolist and img_train of one length.")
    found = [
        (name, *person)
        for number in np.flatnonzero(public)
        for name, person in _people(path, int(number), _structure(pictures[number]))
    ]
    if not found:
        raise InputError(f"{path}: there is nobody with labelled joints, objpos and scale.")
    names, centers, scales, keypoints = zip(*found)
    return MpiiSamples(
        path=path,
        folder=Path(folder) if folder is not None else _pictures(path),
        pictures=list(names),
        center=np.stack(centers) + np.array([0, BELOW]) * np.array(scales)[:, None],
        side=SIDE * np.array(scales),
        keypoints_2d=np.stack(keypoints),
    )


def _pictures(path: Path) -> Path:
    """The folder of the pictures, by the place of the labels."""
    guesses = [path.parent / "images", path.parent.parent / "images"]
    return next((folder for folder in guesses if folder.is_dir()), guesses[0])


def _people(
    path: Path, number: int, picture: dict[str, Value]
) -> Iterator[tuple[str, tuple[np.ndarray, float, np.ndarray]]]:
    """Name of the picture, and middle (2,), scale and keypoints (16, 3) of each labelled person in it."""
    name = _structure(picture.get("image")).get("name")
    people = picture.get("annorect")
    for index, rectangle in enumerate(people if isinstance(people, list) else ()):
        person = _structure(rectangle)
        points, middle = _structure(person.get("annopoints")).get("point"), _structure(person.get("objpos"))
        scale = _number(person.get("scale"))
        center = np.array([_number(middle.get(axis)) for axis in "xy"])
        if not isinstance(points, list) or np.isnan([*center, scale]).any():
            continue
        where = f"{path}: picture {number}: person {index}"
        if not isinstance(name, str) or not name:
            raise InputError(f"{where}: the picture has no name.")
        if not (0 < scale < np.inf and np.isfinite(center).all()):
            raise InputError(f"{where}: scale and objpos must be finite, and the scale above 0.")
        keypoints = np.zeros((len(JOINTS), 3), np.float32)
        for entry in points:
            point = _structure(entry)
            joint, x, y = (_number(point.get(key)) for key in ("id", "x", "y"))
            if joint not in range(len(JOINTS)) or not np.isfinite([x, y]).all():
                raise InputError(f"{where}: a joint must have an id of 0 to 15, and finite x and y.")
            keypoints[int(joint)] = (x - 1, y - 1, 1)
        if keypoints.any():
            yield name, (center - 1, scale, keypoints)


def _structure(value: Value | dict[str, Value]) -> dict[str, Value]:
    """The fields of a structure, or of the first one of several; none if the value is no structure."""
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, dict) else {}


def _number(value: Value) -> float:
    """The number that an array of one number holds, else NaN."""
    return float(value.item()) if isinstance(value, np.ndarray) and value.size == 1 else np.nan
