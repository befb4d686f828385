"""The best fits of a training's people: files on disk, one for each 256 people of a dataset, and labels made of them.

A file takes the place of an older one at once, so that a training that is killed leaves either. Each holds the names of
its people, and is refused if the dataset has others at their places.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from meshrec.body import NUM_BETAS, NUM_JOINTS, BodyModel
from meshrec.body.joints import convert_joints, joint_set
from meshrec.body.state import BodyState
from meshrec.data.sample import Sample, Samples
from meshrec.errors import InputError
from meshrec.files.atomic import write_file
from meshrec.files.npz import read_npz
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions

LABELS = "union55"
SHARD = 256  # people in a file


@dataclass(frozen=True, eq=False)
class Fits:
    """Fits of N people of a dataset, each in the camera of its sample.

    Attributes:
        names: (N,) names of the samples.
        rotations: (N, 24, 3, 3) float32 local rotations; the first is the body's orientation to the camera.
        translation: (N, 3) float32, metres.
        betas: (N, 10) float32 shape coefficients.
        energy: (N,) float32 energy of the reprojection of the keypoints; infinite where there is no fit.
        error: (N,) float32 mean distance of keypoints and projected joints, as a share of the person's box; infinite
            where there is no fit.
        round: () number of the round in which the fits were last looked at, from 0.
        body: () hash of the body.
    """

    names: np.ndarray
    rotations: np.ndarray
    translation: np.ndarray
    betas: np.ndarray
    energy: np.ndarray
    error: np.ndarray
    round: np.ndarray = field(default_factory=lambda: np.array(-1))
    body: np.ndarray = field(default_factory=lambda: np.array(""))

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def none(cls, names: Sequence[str]) -> "Fits":
        """The fits of people of whom there are none yet."""
        count = len(names)
        rest = np.tile(np.eye(3, dtype=np.float32), (count, NUM_JOINTS, 1, 1))
        place, betas = np.zeros((count, 3), np.float32), np.zeros((count, NUM_BETAS), np.float32)
        far = np.full(count, np.inf, np.float32)
        return cls(np.array(names), rest, place, betas, far, far.copy())


def better(old: Fits, new: Fits) -> Fits:
    """For each person the fit of lower energy, the old one if both are equal; the round is the new fits'.

    Example:
        >>> old = replace(Fits.none(["a", "b"]), energy=np.array([1, 3]), error=np.array([0.1, 0.3]))
        >>> new = replace(Fits.none(["a", "b"]), energy=np.array([2, 2]), error=np.array([0.2, 0.2]))
        >>> better(old, new).error.tolist()
        [0.1, 0.2]
    """
    lower = new.energy < old.energy
    values = {}
    for name in ("rotations", "translation", "betas", "energy", "error"):
        ours, theirs = getattr(new, name), getattr(old, name)
        values[name] = np.where(lower.reshape(-1, *[1] * (ours.ndim - 1)), ours, theirs)
    return replace(new, **values)


def shard_path(folder: Path, number: int) -> Path:
    """The file of the people from ``256 number`` on."""
    return folder / f"{number:05d}.npz"


def write_fits(path: Path, fits: Fits) -> None:
    """Write fits to a file, at once."""
    buffer = BytesIO()
    np.savez_compressed(buffer, **{f.name: getattr(fits, f.name) for f in fields(Fits)})
    write_file(path, buffer.getvalue())


def read_fits(path: Path, names: Sequence[str], body: str) -> Fits:
    """Read fits; none of anybody, if there is no file.

    Args:
        path: The file.
        names: Names of the people whose fits it should hold.
        body: Hash of the body that they should be of.

    Raises:
        InputError: The file is damaged, or its fits are of other people or of another body.
    """
    nobody = Fits.none(names)
    if not path.is_file():
        return nobody
    arrays = read_npz(path)
    for f in fields(Fits):
        found, expected = arrays.get(f.name), getattr(nobody, f.name)
        if found is None or found.shape != expected.shape or found.dtype.kind != expected.dtype.kind:
            raise InputError(f"{path} holds no fits of {len(names)} people: remove it, and they are fitted anew.")
    if arrays["names"].tolist() != list(names) or str(arrays["body"]) != body:
        raise InputError(
            f"{path} holds fits of other people or of another body than this training's: choose another 'out', or "
            "remove the file, and they are fitted anew."
        )
    return Fits(**{f.name: arrays[f.name] for f in fields(Fits)})


@dataclass(frozen=True, eq=False)
class WithFits:
    """A dataset whose people without a pose have those of their fits as labels, as far as these are good.

    Attributes:
        samples: The dataset.
        folder: Folder of the files of fits.
        body: Body of the fits.
        largest_error: Fits with a larger :attr:`Fits.error` are not used.
    """

    samples: Samples
    folder: Path
    body: BodyModel
    largest_error: float
    _read: dict[int, tuple[Fits, np.ndarray]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        sample, (number, row) = self.samples[index], divmod(index, SHARD)
        if not needs_fit(sample):
            return sample
        if number not in self._read:
            self._read[number] = self._shard(number)
        fits, points = self._read[number]
        return with_fit(sample, fits, points, row, self.largest_error)

    def _shard(self, number: int) -> tuple[Fits, np.ndarray]:
        rows = range(number * SHARD, min((number + 1) * SHARD, len(self)))
        fits = read_fits(shard_path(self.folder, number), [self.samples[row].name for row in rows], self.body.hash)
        return fits, landmarks_of(fits, self.moments)

    @cached_property
    def moments(self) -> LandmarkMoments:
        """The labels' landmarks on the body."""
        return LandmarkMoments.of_body(self.body, LABELS)


def landmarks_of(fits: Fits, moments: LandmarkMoments) -> np.ndarray:
    """(N, K, 3) landmarks of N fitted bodies, metres, camera space."""
    parts = (torch.from_numpy(part).double() for part in (fits.rotations, fits.translation, fits.betas))
    return landmark_positions(moments, BodyState(*parts)).float().numpy()


def needs_fit(sample: Sample) -> bool:
    """Whether a sample has keypoints in the picture and no labels of pose or joints in space."""
    return not (sample.pose_confidence.any() or sample.joints_3d[:, 3].any())


def with_fit(sample: Sample, fits: Fits, points: np.ndarray, row: int, largest_error: float) -> Sample:
    """A sample whose labels of pose, shape and joints are those of a fit; as it is, if the fit is not good enough.

    Args:
        sample: The sample.
        fits: Fits.
        points: (N, 55, 3) landmarks of the fitted bodies.
        row: The sample's fit among them.
        largest_error: The largest error of a fit that is used.
    """
    if not fits.error[row] <= largest_error:
        return sample
    names = joint_set(LABELS)
    return replace(
        sample,
        joints=names,
        keypoints_2d=convert_joints(sample.keypoints_2d, sample.joints, names)[0].astype(np.float32),
        joints_3d=np.concatenate([points[row], np.ones((len(names), 1), np.float32)], axis=1),
        pose=fits.rotations[row],
        pose_confidence=np.ones(NUM_JOINTS, np.float32),
        betas=fits.betas[row],
        betas_confidence=1.0,
        body=str(fits.body),
    )
