"""Opens datasets by the name of their format, for configurations and tools."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast, get_args

from meshrec.body.genders import GENDERS
from meshrec.data.sample import Sample, Samples
from meshrec.datasets.coco import read_coco
from meshrec.datasets.densepose import read_densepose
from meshrec.datasets.human36m import read_human36m
from meshrec.datasets.humaneva import read_humaneva
from meshrec.datasets.lspe import read_lspe
from meshrec.datasets.mpi_inf_3dhp import read_mpi_inf_3dhp
from meshrec.datasets.mpii import read_mpii
from meshrec.datasets.multiview import read_multiview
from meshrec.datasets.shards import read_shards
from meshrec.datasets.spin_npz import read_spin_npz
from meshrec.datasets.surreal import read_surreal
from meshrec.datasets.threedpw import read_threedpw
from meshrec.errors import InputError, MeshrecError
from meshrec.files.imports import imported, is_import_path

Format = Literal[
    "spin", "coco", "3dpw", "lspe", "multiview", "shards", "mpi-inf-3dhp", "h36m", "mpii", "surreal", "densepose",
    "humaneva",
]  # fmt: skip
FORMATS: tuple[Format, ...] = get_args(Format)
WITH_PICTURES_ELSEWHERE = ("spin", "coco", "3dpw", "densepose")


def read_samples(
    form: str, path: str | Path, pictures: str | Path | None = None, bodies: Mapping[str, str] | None = None
) -> Samples:
    """Read a dataset.

    Args:
        form: Name of the format: ``spin`` (an ``.npz`` file), ``coco`` (keypoint JSON of COCO or OpenPose), ``3dpw``
            (sequence files), ``lspe`` (a tar of crops), ``densepose`` (JSON), or of the folders ``multiview``,
            ``shards``, ``mpi-inf-3dhp``, ``h36m``, ``mpii``, ``surreal`` and ``humaneva``; ``docs/formats.md`` says
            what is read of each. Or the import path of a reader of the user's own, such as
            ``my_package.my_module:read_mine``: a function of ``path``, ``pictures`` and ``bodies``, as they are given
            here, that returns a sequence of :class:`meshrec.data.sample.Sample`. Its module is imported.
        path: The file or folder of labels.
        pictures: Folder of the pictures, which ``spin``, ``coco``, ``3dpw`` and ``densepose`` need, and
            ``mpii`` and ``humaneva`` if they lie elsewhere than beside the labels.
        bodies: Hashes of the bodies that the betas of ``spin``, ``3dpw`` and ``surreal`` belong to, under the keys
            ``neutral``, ``male`` and ``female``.

    Raises:
        InputError: There is no such format, or the dataset is missing or damaged; the message names file and row.

    Example:
        >>> import json, tempfile
        >>> person = {"image_id": 1, "bbox": [10, 10, 40, 80], "keypoints": [20, 30, 2] * 17}
        >>> labels = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [person]}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "labels.json").write_text(json.dumps(labels))
        ...     samples = read_samples("coco", Path(folder, "labels.json"), pictures=folder)
        >>> len(samples), samples[0].keypoints_2d.shape
        (1, (17, 3))
    """
    if is_import_path(form):
        return _read_by(form, path, pictures, bodies)
    if form not in FORMATS:
        raise InputError(f"there is no dataset format '{form}'; choose of {', '.join(FORMATS)}.")
    if unknown := [name for name in bodies or {} if name not in GENDERS]:
        raise InputError(f"{path}: there are the bodies {', '.join(GENDERS)}, and none called '{unknown[0]}'.")
    if form in WITH_PICTURES_ELSEWHERE and pictures is None:
        raise InputError(f"{path}: datasets of the format '{form}' need the folder of their pictures.")
    folder = Path(pictures or path)
    match cast(Format, form):
        case "spin":
            return read_spin_npz(path, folder, bodies)
        case "coco":
            return read_coco(path, folder)
        case "3dpw":
            return read_threedpw(path, folder, bodies)
        case "lspe":
            return read_lspe(path)
        case "multiview":
            return read_multiview(path)
        case "shards":
            return read_shards(path)
        case "mpi-inf-3dhp":
            return read_mpi_inf_3dhp(path)
        case "h36m":
            return read_human36m(path)
        case "mpii":
            return read_mpii(path, pictures)
        case "surreal":
            return read_surreal(path, bodies)
        case "densepose":
            return read_densepose(path, folder)
        case "humaneva":
            return read_humaneva(path, pictures)


def _read_by(reader: str, path: str | Path, pictures: str | Path | None, bodies: Mapping[str, str] | None) -> Samples:
    """Read a dataset by a reader of the user's own, and check that it returns samples."""
    function = imported(reader)
    if not callable(function):
        raise InputError(f"'{reader}' is no function that reads a dataset")
    try:
        samples = function(path, pictures, bodies)
        count, first = len(samples), samples[0] if len(samples) else None
    except MeshrecError:
        raise
    except Exception as error:
        raise InputError(f"'{reader}' cannot read {path}: {type(error).__name__}: {error}") from error
    if not count:
        raise InputError(f"{path}: '{reader}' finds nobody in it")
    if not isinstance(first, Sample):
        raise InputError(f"'{reader}' must return meshrec.data.sample.Sample objects, not {type(first).__name__}")
    return samples
