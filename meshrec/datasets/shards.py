"""Writer and reader of shards: tars of about a thousand people each, in WebDataset's layout.

So a large dataset takes few files, any program can read it, and its samples can still be read in any order.

The files of person 17 are ``00000017.jpg``, the picture around the person; ``00000017.json``, the labels; and, if there
is one, ``00000017.mask.png``, the mask. The labels have the names, units and spaces of
:class:`meshrec.data.sample.Sample`: ``name``, ``joints``, ``to_crop`` (2, 3) from this picture's pixels, and
``keypoints_2d`` (K, 3); if known also ``joints_3d`` (K, 4), ``pose`` (24, 3, 3) with ``pose_confidence`` (24,),
``betas`` (10,) with ``betas_confidence`` and ``body``, ``focal`` (2,) with ``principal`` (2,), and ``sequence`` with
``time``.
"""

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from meshrec.body import NUM_BETAS, NUM_JOINTS
from meshrec.data.sample import FAR, Sample, Samples, cut
from meshrec.errors import InputError
from meshrec.files.atomic import write_file
from meshrec.files.json_text import parse_json
from meshrec.files.picture import Picture, decode
from meshrec.files.tars import read_member, tar_members
from meshrec.geometry.affine import compose

PICTURE, LABELS, MASK = "jpg", "json", "mask.png"
REQUIRED = ("name", "joints", "to_crop", "keypoints_2d")
QUALITY = 95  # of the JPEG pictures
MOST_BYTES = 16 << 20  # of the labels or the mask of a person


@dataclass(frozen=True, eq=False)
class ShardSamples:
    """The N people of some shards.

    Attributes:
        shards: The tars.
        shard: (N,) index of the tar that holds a person.
        keys: (N,) names of the person's files in it, without suffix.
        places: (N, 3, 2) first byte and length of picture, labels and mask; the length is 0 where there is no mask.
    """

    shards: tuple[Path, ...]
    shard: np.ndarray
    keys: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.shard)

    def __getitem__(self, index: int) -> Sample:
        path = self.shards[int(self.shard[index])]
        picture, labels, mask = ((int(start), int(length)) for start, length in self.places[index])
        where = f"{path} {self.keys[index]}"
        sample = _decoded(
            read_member(path, labels, MOST_BYTES).getvalue(), Picture(path, *picture), f"{where}.{LABELS}"
        )
        if mask[1]:
            sample = replace(
                sample, mask=decode(read_member(path, mask, MOST_BYTES).getvalue(), f"{where}.{MASK}", gray=True)
            )
        return sample


def read_shards(path: str | Path) -> ShardSamples:
    """Read shards written by :func:`write_shards`.

    Args:
        path: A folder of ``.tar`` files, or one of them.

    Raises:
        InputError: There are no shards, or one is cut short or lacks a file of a person; the message names it.
    """
    path = Path(path)
    shards = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if not shards:
        raise InputError(f"{path}: the folder holds no shards (.tar).")
    number, keys, places = [], [], []
    for i, shard in enumerate(shards):
        people: dict[str, dict[str, tuple[int, int]]] = {}
        for name, place in tar_members(shard).items():
            key, _, kind = name.partition(".")
            people.setdefault(key, {})[kind] = place
        for key, files in people.items():
            if missing := [kind for kind in (PICTURE, LABELS) if kind not in files]:
                raise InputError(f"{shard}: {key}.{missing[0]} is missing; meshrec writes no such shards.")
            number.append(i)
            keys.append(key)
            places.append((files[PICTURE], files[LABELS], files.get(MASK, (0, 0))))
    if not keys:
        raise InputError(f"{path}: the shards are empty.")
    return ShardSamples(tuple(shards), np.array(number), np.array(keys), np.array(places))


def write_shards(
    samples: Samples,
    folder: str | Path,
    resolution: int = 256,
    margin: float = 1.5,
    per_shard: int = 1000,
    workers: int = 0,
    written: Callable[[Path], object] = lambda path: None,
) -> list[Path]:
    """Write a dataset as shards.

    Args:
        samples: The dataset, as a reader returns it.
        folder: The folder to write to, which must not hold shards yet.
        resolution: Side of a person's crop in pixels; pictures with fewer pixels are not enlarged.
        margin: Side of the stored picture over that of the crop, which leaves augmentation room to move the crop.
        per_shard: Number of people per shard.
        workers: Number of processes that write shards; 0 writes in this process.
        written: Called with the path of each shard once it is written, to show progress; ``print`` will do.

    Returns:
        The paths of the shards, in the order of the samples.

    Raises:
        InputError: The folder already holds shards or cannot be written to, or a sample cannot be read.

    Example:
        >>> import tempfile
        >>> from meshrec.data.sample import person_sample
        >>> picture, crop = np.zeros((64, 64, 3), np.uint8), (np.array([31.5, 31.5]), 40)
        >>> samples = [person_sample(f"person {i}", picture, crop, ("nose",)) for i in range(3)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print([path.name for path in write_shards(samples, folder, per_shard=2)], len(read_shards(folder)))
        ['00000.tar', '00001.tar'] 3
    """
    folder = Path(folder)
    if next(folder.glob("*.tar"), None):
        raise InputError(f"{folder}: the folder already holds shards; name another one.")
    paths = []
    for outcome in DataLoader(_Shards(samples, folder, resolution, margin, per_shard), None, num_workers=workers):
        if isinstance(outcome, InputError):
            raise outcome
        written(outcome)
        paths.append(outcome)
    return paths


@dataclass(frozen=True, eq=False)
class _Shards(Dataset):
    """Item k of this data set is the path of shard k, which is written on access, so that workers share the work.

    An InputError is returned, not raised: the data loader would wrap it in the traceback of its worker.
    """

    samples: Samples
    folder: Path
    resolution: int
    margin: float
    per_shard: int

    def __len__(self) -> int:
        return -(-len(self.samples) // self.per_shard)

    def __getitem__(self, number: int) -> Path | InputError:
        try:
            return write_file(self.folder / f"{number:05d}.tar", self._shard(number))
        except InputError as error:
            return error

    def _shard(self, number: int) -> bytes:
        data = io.BytesIO()
        first = number * self.per_shard
        with tarfile.open(fileobj=data, mode="w") as tar:
            for index in range(first, min(first + self.per_shard, len(self.samples))):
                files = _encoded(_around(self.samples[index], self.resolution, self.margin))
                for kind, content in files.items():
                    member = tarfile.TarInfo(f"{index:08d}.{kind}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
        return data.getvalue()


def _around(sample: Sample, resolution: int, margin: float) -> Sample:
    """Cut the picture to ``margin`` times the crop, of which the crop has at most ``resolution`` pixels."""
    native = 2 / np.sqrt(abs(np.linalg.det(sample.to_crop[:, :2])))
    size = max(round(margin * min(resolution, native)), 1)
    wide = np.array([[1 / margin, 0, 0], [0, 1 / margin, 0]])
    around = cut(replace(sample, to_crop=compose(wide, sample.to_crop)), size)
    return replace(sample, image=around.image, mask=around.mask, to_crop=around.to_crop * margin)


def _encoded(sample: Sample) -> dict[str, bytes]:
    """The content of a sample's files, by suffix."""
    import cv2

    labels: dict[str, Any] = {
        "name": sample.name,
        "joints": sample.joints,
        "to_crop": sample.to_crop.tolist(),
        "keypoints_2d": _list(sample.keypoints_2d),
    }
    if sample.joints_3d[:, 3].any():
        labels |= {"joints_3d": _list(sample.joints_3d)}
    if sample.pose_confidence.any():
        labels |= {"pose": _list(sample.pose), "pose_confidence": _list(sample.pose_confidence)}
    if sample.betas_confidence:
        labels |= {"betas": _list(sample.betas), "betas_confidence": sample.betas_confidence, "body": sample.body}
    if sample.camera_confidence:
        labels |= {"focal": _list(sample.focal), "principal": _list(sample.principal)}
    if sample.sequence:
        labels |= {"sequence": sample.sequence, "time": sample.time}
    bgr = np.ascontiguousarray(sample.read_image()[..., ::-1])
    files = {
        PICTURE: cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes(),
        LABELS: json.dumps(labels).encode(),
    }
    if sample.mask is not None:
        files[MASK] = cv2.imencode(".png", sample.mask)[1].tobytes()
    return files


def _decoded(data: bytes, picture: Picture, where: str) -> Sample:
    """Read a sample.

    Args:
        data: The labels in JSON.
        picture: The sample's picture.
        where: Name of the labels' file, for messages.
    """
    try:
        labels = parse_json(data)
        if lacking := [name for name in REQUIRED if name not in labels]:
            raise ValueError(f"{lacking[0]} is missing")
        joints = tuple(labels["joints"])
        count = len(joints)
        texts = {name: labels.get(name, "") for name in ("name", "body", "sequence")}
        if not all(isinstance(text, str) for text in (*texts.values(), *joints)):
            raise ValueError("name, body, sequence and the names of joints must be texts")

        def array(name: str, shape: tuple[int, ...], missing: float = 0) -> np.ndarray:
            values = np.asarray(labels.get(name, np.full(shape, missing)), np.float32)
            if values.shape != shape or not np.isfinite(values).all():
                raise ValueError(f"{name} must be {shape} finite numbers")
            return values

        focal = array("focal", (2,), missing=FAR)
        if (focal <= 0).any():
            raise ValueError("focal must be positive")
        rest = np.tile(np.eye(3, dtype=np.float32), (NUM_JOINTS, 1, 1))
        return Sample(
            name=texts["name"],
            image=picture,
            to_crop=array("to_crop", (2, 3)).astype(float),
            joints=joints,
            keypoints_2d=array("keypoints_2d", (count, 3)),
            joints_3d=array("joints_3d", (count, 4)),
            pose=array("pose", rest.shape) if "pose" in labels else rest,
            pose_confidence=array("pose_confidence", (NUM_JOINTS,)),
            betas=array("betas", (NUM_BETAS,)),
            betas_confidence=float(array("betas_confidence", ())),
            body=texts["body"],
            focal=focal,
            principal=array("principal", (2,)),
            camera_confidence=float("focal" in labels),
            sequence=texts["sequence"],
            time=float(array("time", ())),
        )
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{where}: not the labels of a person ({error}).") from error


def _list(values: np.ndarray) -> list:
    """Float32 values as nested lists, each number with as few digits as identify it."""
    return [_list(v) if v.ndim else float(str(v)) for v in np.asarray(values, np.float32)]
