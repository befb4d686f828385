"""Reads and checks the columns of label files, which have a row per person. Errors name the file and the row."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from meshrec.body.files import RELATIVES
from meshrec.body.genders import ACCEPTED, gender_named
from meshrec.body.joints import POSE_SIZE
from meshrec.detect.people import as_confidence
from meshrec.errors import InputError

# Models of SMPL's family by the numbers of their poses, three for each joint.
RELATIVE_POSES = {3 * (columns // 9 + 1): family for columns, family in RELATIVES.items()}
SIDES = {"l_": "left_", "r_": "right_"}


def numbers(path: Path, columns: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], rows: int) -> np.ndarray:
    """A column of finite numbers.

    Args:
        path: The file, for messages.
        columns: All columns of the file.
        name: Name of the column.
        shape: Shape of a row.
        rows: Number of rows.

    Returns:
        (rows, *shape) float32.

    Raises:
        InputError: The column is missing, has another shape, or is not finite; the message names the first bad row.
    """
    values = _shaped(path, columns, name, shape, rows)
    _refuse(path, ~np.isfinite(values), f"{name} is not a finite number")
    return values


def labels(
    path: Path,
    columns: Mapping[str, np.ndarray],
    name: str,
    shape: tuple[int, ...],
    rows: int,
    confidence: str | None = None,
) -> np.ndarray:
    """A column of labels with confidences.

    Confidences are those of :func:`meshrec.detect.people.as_confidence`. Coordinates with a confidence of 0 need not be
    finite.

    Args:
        path, columns, name, rows: As in :func:`numbers`.
        shape: Shape of a row of the result; the last entry along its last axis is the confidence.
        confidence: Name of the column of confidences, if they are not part of the labels' own column.

    Returns:
        (rows, *shape) float32, zero where the confidence is 0.

    Raises:
        InputError: As in :func:`numbers`, or a confidence is neither a score nor a flag of visibility.
    """
    if confidence is None:
        values = _shaped(path, columns, name, shape, rows)
    else:
        places = _shaped(path, columns, name, (*shape[:-1], shape[-1] - 1), rows)
        values = np.concatenate([places, _shaped(path, columns, confidence, shape[:-1], rows)[..., None]], axis=-1)
    certain = as_confidence(values[..., -1])
    _refuse(path, np.isnan(certain), f"{confidence or name} has a confidence that is no number, or is above 2")
    values[..., -1] = certain
    values = np.where(values[..., -1:] > 0, values, 0)
    _refuse(path, ~np.isfinite(values), f"{name} is not a finite number although its confidence is above 0")
    return values


def calibrations(path: Path, columns: Mapping[str, np.ndarray], name: str, rows: int) -> np.ndarray:
    """A column of calibration matrices with positive focal lengths, (rows, 3, 3) float32.

    Raises:
        InputError: As for :func:`numbers`, or a focal length is not positive.
    """
    values = numbers(path, columns, name, (3, 3), rows)
    _refuse(path, values[:, [0, 1], [0, 1]] <= 0, f"{name} has a focal length that is not positive")
    return values


def blank(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Set rows of a column to zero, so that what the file has there is not checked.

    Args:
        values: The column; one of another length than ``rows``, or of objects, is returned unchanged, for the checks
            to refuse.
        rows: (N,) bool, the rows to set.
    """
    if values.dtype == object or values.shape[:1] != rows.shape:
        return values
    return np.where(rows.reshape(-1, *[1] * (values.ndim - 1)), 0, values)


def texts(path: Path, columns: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A column of text, (rows,) str; bytes, which Python 2 wrote, are decoded.

    Args:
        path, columns, name: As in :func:`numbers`.

    Raises:
        InputError: The column is missing or is not text.
    """
    values = _required(path, columns, name)
    if values.ndim != 1 or values.dtype.kind not in "SU":
        raise InputError(f"{path}: {name} must be a list of text, not {values.dtype} of shape {values.shape}.")
    return np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values


def genders(path: Path, columns: Mapping[str, np.ndarray], name: str, used: np.ndarray) -> list[str]:
    """A column of genders, as :func:`meshrec.body.genders.gender_named` understands them.

    Args:
        path, columns, name: As in :func:`numbers`.
        used: (rows,) bool, the rows whose gender is needed; the others are not checked.

    Returns:
        The gender of each row, "neutral" where none is given, as in unused rows.

    Raises:
        InputError: The column is missing, has another length, or has an unknown gender; the message names the first bad
            row and the genders that are known.
    """
    values = _required(path, columns, name)
    if values.shape != used.shape or (values.dtype.kind not in "SU" and used.any()):
        raise InputError(
            f"{path}: {name} must be a list of {len(used)} texts ({ACCEPTED}), not {values.dtype} of {values.shape}."
        )
    found = [gender_named(value) if value else "neutral" for value in values.tolist()]
    for row in np.flatnonzero(used):
        if found[row] is None:
            raise InputError(f"{path}: row {row}: {name} is {str(values[row])[:40]!r}; it must be {ACCEPTED}.")
    return [gender or "neutral" for gender in found]


def joint_names(path: Path, columns: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """The column ``joint_names`` with sides spelled out: ``l_knee`` becomes ``left_knee``.

    Args:
        path, columns: As in :func:`numbers`.

    Raises:
        InputError: The column is missing or is not text.
    """
    names = (str(name) for name in texts(path, columns, "joint_names"))
    return tuple(SIDES.get(name[:2], name[:2]) + name[2:] for name in names)


def _required(path: Path, columns: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in columns:
        raise InputError(f"{path}: {name} is missing; the file has {', '.join(sorted(columns)) or 'nothing'}.")
    return columns[name]


def _shaped(path: Path, columns: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], rows: int) -> np.ndarray:
    """A column of numbers of the right shape, which need not be finite; arguments as in :func:`numbers`."""
    values = _required(path, columns, name)
    if shape == (POSE_SIZE,) and values.ndim == 2 and values.shape[1] in RELATIVE_POSES:
        family = RELATIVE_POSES[values.shape[1]]
        raise InputError(
            f"{path}: {name} has {values.shape[1]} columns, as poses of {family} have; SMPL's have {POSE_SIZE}."
        )
    if values.dtype.kind not in "fiub" or values.shape != (rows, *shape):
        wanted = " x ".join(str(n) for n in (rows, *shape))
        raise InputError(f"{path}: {name} must be numbers of shape {wanted}, not {values.dtype} of {values.shape}.")
    return values.astype(np.float32)


def _refuse(path: Path, bad: np.ndarray, problem: str) -> None:
    """Raise an error that names the first row with a true entry in ``bad`` (rows, ...), if there is one."""
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(1))
    if len(rows):
        raise InputError(f"{path}: row {rows[0]}: {problem} (so in {len(rows)} of {len(bad)} rows).")
