"""Loading of bodies: the shipped open ones, a user's files, or an smplx model."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from meshrec.body.files import MOST_BYTES, SUFFIXES, BodyData, body_from_arrays, read_body
from meshrec.body.model import BodyModel
from meshrec.body.smpl_landmarks import SPIN_EXTRA
from meshrec.errors import InputError
from meshrec.files.npz import read_npy

NUM_BETAS = 10
"""The number of shape components that are estimated from photos and stored in data sets, as is usual in the field."""
OPEN_BODIES = {name: f"open_{name}.npz" for name in ("neutral", "male", "female")}


def load_body(
    body: str | Path | BodyData | nn.Module = "neutral",
    num_betas: int | None = None,
    dtype: torch.dtype = torch.float32,
    h36m_regressor: str | Path | None = None,
    extra_regressor: str | Path | None = None,
) -> BodyModel:
    """Load a body.

    Args:
        body: ``"neutral"``, ``"male"`` or ``"female"`` for the open body; a path to an SMPL-format ``.npz``, ``.pkl``
            or ``.safetensors``; the name of a file in ``./body_models``; body arrays; an ``smplx.SMPL`` instance; or a
            :class:`BodyModel`, whose arrays and regressors the new one has.
        num_betas: Number of shape components; default all.
        dtype: Floating type of the layer.
        h36m_regressor: ``J_regressor_h36m.npy`` (17, V), the field's own definition of ``h36m17``.
        extra_regressor: ``J_regressor_extra.npy`` (9, V) as SPIN distributes it, for LSP's, MPII's and H36M's joints.

    Raises:
        InputError: There is no such body, or a file is not a valid one, or a regressor does not fit the body.

    Example:
        >>> import meshrec
        >>> body = meshrec.load_body("female", num_betas=4)
        >>> body.data.gender, body.num_betas
        ('female', 4)
    """
    if isinstance(body, nn.Module):
        data = body.data if isinstance(body, BodyModel) else _from_smplx(body)
    else:
        data = body if isinstance(body, BodyData) else read_body(find_body(body))
    if num_betas is not None:
        data = data.with_betas(num_betas)
    model = BodyModel(data, dtype)
    if isinstance(body, BodyModel):
        for joints, rows in body.regressors.items():
            model = model.with_regressor(joints, rows)
    if h36m_regressor is not None:
        model = _with_file(model, "h36m17", h36m_regressor)
    if extra_regressor is not None:
        model = _with_file(model, SPIN_EXTRA, extra_regressor)
    return model


def body_folders() -> list[Path]:
    """The folders in which bodies are looked for, first to last."""
    package = Path(__file__).resolve().parent.parent
    # Installed, the bodies lie inside the package; in a source checkout, beside it.
    return [Path("body_models"), package / "body_models", package.parent / "body_models"]


def find_body(name: str | Path) -> Path:
    """The file of a body given by name or path: as a path, then in ``./body_models``, then among the installed ones.

    Raises:
        InputError: There is no such file; the message says where it was looked for.

    Example:
        >>> from meshrec.body import find_body
        >>> find_body("neutral").name
        'open_neutral.npz'
    """
    file = Path(OPEN_BODIES.get(str(name), name))
    candidates = [file, *(folder / file for folder in body_folders())]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        places = ", ".join(str(path) for path in dict.fromkeys(path.parent for path in candidates))
        raise InputError(
            f"there is no body '{name}': give {', '.join(OPEN_BODIES)}, or an SMPL file ({', '.join(SUFFIXES)}); "
            f"looked in {places}"
        )
    return found


def _from_smplx(model: Any) -> BodyData:
    """The arrays of an ``smplx.SMPL`` instance, which keeps them as buffers."""
    try:
        vertex_count = len(model.v_template)
        arrays = {
            "v_template": model.v_template,
            "shapedirs": model.shapedirs,
            "posedirs": model.posedirs.T.reshape(vertex_count, 3, -1),
            "J_regressor": model.J_regressor,
            "weights": model.lbs_weights,
            "kintree_table": torch.stack([model.parents, torch.arange(len(model.parents))]),
            "f": model.faces_tensor,
        }
    except (AttributeError, RuntimeError) as error:
        raise InputError(f"{type(model).__name__} is not an smplx.SMPL model ({error})") from None
    return body_from_arrays({key: value.detach().cpu().numpy() for key, value in arrays.items()}, type(model).__name__)


def _with_file(body: BodyModel, joints: str | tuple[str, ...], path: str | Path) -> BodyModel:
    """The body with joints from the first rows of a ``.npy`` file; of a named set the file holds no more than these."""
    rows = _read_rows(path)
    try:
        return body.with_regressor(joints, rows if isinstance(joints, str) else rows[: len(joints)])
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _read_rows(path: str | Path) -> np.ndarray:
    rows = read_npy(path, MOST_BYTES, "regressor rows")
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        described = f"it is of shape {rows.shape} and type {rows.dtype}"
        raise InputError(f"{path}: not a readable .npy array of regressor rows ({described})")
    return rows
