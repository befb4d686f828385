"""The columns of label files, one row per person: read and checked, so that errors name the file and the row."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from meshrec.errors import InputError


def numbers(path: Path, columns: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], rows: int) -> np.ndarray:
    """A column of finite numbers, (rows, *shape) float32.

    Raises:
        InputError: It is missing, of another shape, or not finite; the message names the first bad row.
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
    """A column of labels whose last entry is their confidence: (rows, *shape) float32, zeros where that is 0.

    A confidence above 1 is one; a coordinate without confidence may be anything.

    Args:
        path, columns, name, shape, rows: As for :func:`numbers`.
        confidence: The column of the confidences where they are not the last entry of the labels'.

    Raises:
        InputError: As for :func:`numbers`, or a confidence is negative.
    """
    if confidence is None:
        values = _shaped(path, columns, name, shape, rows)
    else:
        places = _shaped(path, columns, name, (*shape[:-1], shape[-1] - 1), rows)
        values = np.concatenate([places, _shaped(path, columns, confidence, shape[:-1], rows)[..., None]], axis=-1)
    _refuse(path, ~(values[..., -1] >= 0), f"{confidence or name} has a confidence that is negative or no number")
    values = np.where(values[..., -1:] > 0, values, 0)
    _refuse(path, ~np.isfinite(values), f"{name} is not a finite number although its confidence is above 0")
    values[..., -1] = values[..., -1].clip(max=1)
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
    """A column with zeros in the chosen rows (N,) bool, which then may hold anything.

    A column of another length stays as it is, for the checks above to refuse.
    """
    return np.where(rows.reshape(-1, *[1] * (values.ndim - 1)), 0, values) if len(values) == len(rows) else values


def texts(path: Path, columns: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A column of text, (rows,) str, also where Python 2 wrote bytes.

    Raises:
        InputError: It is missing or no text.
    """
    values = _required(path, columns, name)
    if values.ndim != 1 or values.dtype.kind not in "SU":
        raise InputError(f"{path}: {name} must be a list of text, not {values.dtype} of shape {values.shape}.")
    return np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values


def _required(path: Path, columns: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in columns:
        raise InputError(f"{path}: {name} is missing; the file has {', '.join(sorted(columns)) or 'nothing'}.")
    return columns[name]


def _shaped(path: Path, columns: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], rows: int) -> np.ndarray:
    values = _required(path, columns, name)
    if values.dtype.kind not in "fiub" or values.shape != (rows, *shape):
        wanted = " x ".join(str(n) for n in (rows, *shape))
        raise InputError(f"{path}: {name} must be numbers of shape {wanted}, not {values.dtype} of {values.shape}.")
    return values.astype(np.float32)


def _refuse(path: Path, bad: np.ndarray, problem: str) -> None:
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(1))
    if len(rows):
        raise InputError(f"{path}: row {rows[0]}: {problem} (so in {len(rows)} of {len(bad)} rows).")
