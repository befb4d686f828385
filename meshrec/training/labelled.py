"""Datasets on disk as sources of training and validation."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from filecmp import cmp
from pathlib import Path

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.body.genders import GENDERS
from meshrec.data.augmentation import Augmentation
from meshrec.data.centred import centred
from meshrec.data.mixing import MixedSamples
from meshrec.data.occluders import voc_occluders
from meshrec.data.proxies import Proxies
from meshrec.data.sample import Batch, Sample, Samples, collate, cut
from meshrec.datasets.formats import read_samples
from meshrec.errors import InputError
from meshrec.synthetic.keypoint_batches import JOINTS
from meshrec.training.config import DatasetConfig, LabelledConfig
from meshrec.training.pieces import Needs, Piece, Source

LEAST_COPY = 1 << 16  # bytes of a file in a folder that is compared with those of other folders
LOOKED_AT = 64  # samples of a dataset whose bodies are compared with the training's
TINY = 2  # side of crops whose pictures are not needed, pixels


def datasets_source(
    configs: Mapping[str, DatasetConfig],
    needs: Needs,
    body: BodyModel,
    augmentation: Augmentation | None,
    voc_folder: Path | None,
    seed: int,
    fits: Callable[[str, Samples], Samples] = lambda name, samples: samples,
) -> Source:
    """Datasets on disk, mixed and augmented. Their 2D labels and masks also serve as the detections that networks see.

    Args:
        configs: The datasets by the user's names.
        needs: What the training needs.
        body: The body of the training.
        augmentation: Strengths of the augmentation; None is none.
        voc_folder: Pascal VOC folder of occluders; None draws random shapes.
        seed: Seed of order and augmentation.
        fits: Function of name and samples of a dataset that gives samples with more labels.

    Raises:
        InputError: A dataset or the Pascal VOC folder is missing or damaged, or betas belong to another body.
    """
    datasets = [
        fits(name, labelled_samples(f"datasets.{name}", dataset, needs, body)) for name, dataset in configs.items()
    ]
    proportions = [dataset.proportion for dataset in configs.values()]
    pasted = voc_occluders(voc_folder) if voc_folder is not None and needs.pictures and augmentation is not None else ()
    mixed = MixedSamples(datasets, proportions, _side(needs), JOINTS, augmentation, pasted, seed)
    return lambda places: _seen_by_labels(mixed.batch(places), needs)


def labelled_source(key: str, config: LabelledConfig, needs: Needs, body: BodyModel, most: int) -> tuple[Source, int]:
    """A dataset on disk as it is, for validation, and the number of its people that are taken.

    Args:
        key: The dataset's key in the configuration, for messages.
        config: The dataset.
        needs: What the training needs.
        body: The body of the training.
        most: The most people to take, evenly spread over the dataset.

    Raises:
        InputError: The dataset is missing or damaged, or its betas belong to another body.
    """
    samples = labelled_samples(key, config, needs, body)
    rows = np.linspace(0, len(samples) - 1, min(most, len(samples))).round().astype(int).tolist()

    def source(places: range) -> Piece:
        return seen_samples([samples[rows[place]] for place in places], needs)

    return source, len(rows)


def labelled_samples(key: str, config: LabelledConfig, needs: Needs, body: BodyModel) -> Samples:
    """A dataset on disk, without what the training does not use.

    Args:
        key: The dataset's key in the configuration, for messages.
        config: The dataset.
        needs: What the training needs.
        body: The body of the training.

    Raises:
        InputError: As for :func:`labelled_source`.
    """
    if config.betas and config.bodies:
        _check_bodies(key, config.bodies, body)
    samples = read_samples(config.format, config.path, config.pictures, config.bodies)
    if config.betas and not config.bodies:
        _check_betas(key, config, samples, body)
    if not config.betas:
        samples = _WithoutBetas(samples)
    return _WithoutPictures(samples) if needs.keypoints_only else samples


def seen_samples(samples: Sequence[Sample], needs: Needs) -> Piece:
    """Samples as they are, seen by a detector as their labels say."""
    return _seen_by_labels(collate([cut(sample, _side(needs)) for sample in samples], JOINTS), needs)


def _side(needs: Needs) -> int:
    """Side of the crops of datasets, pixels."""
    return TINY if needs.keypoints_only else needs.resolution


def _seen_by_labels(batch: Batch, needs: Needs) -> Piece:
    """Labelled people whom a detector sees as their labels say."""
    place, confidence = batch.keypoints_2d.split((2, 1), dim=2)
    inside = (place.abs() <= 1).all(2, keepdim=True)
    side = batch.mask.shape[-1] if needs.silhouettes else 0  # what is not needed is not warped
    silhouette = batch.mask[:, None, :side, :side] / 255
    seen = Proxies(torch.cat([place, confidence * inside], 2), silhouette, silhouette, ~inside[..., 0])
    return needs.piece(*centred(batch, seen), JOINTS)


def overlap(one: Path, other: Path) -> bool:
    """Whether two paths are the same file or folder, one lies in the other, or they have a file of the same content."""
    one, other = one.resolve(), other.resolve()
    if one == other or one in other.parents or other in one.parents:
        return True
    files = defaultdict(list)
    for file, size in _files(one):
        files[size].append(file)
    # Contents are compared only as far as they agree, and so only copies are read whole.
    return any(cmp(mine, file, shallow=False) for file, size in _files(other) for mine in files.get(size, ()))


def _files(path: Path) -> list[tuple[Path, int]]:
    """A file, or those of a folder that are large enough to be no mere notes or licences, and their sizes in bytes."""
    if path.is_file():
        return [(path, path.stat().st_size)]
    sizes = [(file, file.stat().st_size) for file in path.rglob("*") if file.is_file()]
    return [(file, size) for file, size in sizes if size >= LEAST_COPY]


def _check_bodies(key: str, bodies: Mapping[str, str], body: BodyModel) -> None:
    """Refuse hashes of bodies of whose betas none could be compared, because they are other ones than the training's.

    Args:
        key: The dataset's key in the configuration.
        bodies: The hashes by gender.
        body: The body of the training.
    """
    own = {gender: hashed for gender, hashed in bodies.items() if hashed != body.hash}
    if not own.keys() <= set(GENDERS):
        return  # which the reader refuses
    same = body.data.gender in own
    if own and (same or len(own) == len(bodies)):
        gender = body.data.gender if same else next(iter(own))
        raise InputError(
            f"'{key}.bodies.{gender}' is the hash {own[gender]}, but the training's body has the hash {body.hash}: "
            "none of these betas could be used; name the right 'body', or leave out 'bodies'."
        )


def _check_betas(key: str, config: LabelledConfig, samples: Samples, body: BodyModel) -> None:
    """Refuse samples that name bodies of their own, as shards do, none of which is the training's.

    Args:
        key: The dataset's key in the configuration.
        config: The dataset.
        samples: Its samples, some of which are looked at, evenly spread over all.
        body: The body of the training.
    """
    rows = np.linspace(0, len(samples) - 1, min(LOOKED_AT, len(samples))).round().astype(int).tolist()
    named = [sample.body for sample in map(samples.__getitem__, rows) if sample.betas_confidence > 0]
    if named and body.hash not in named:
        raise InputError(
            f"'{key}' reads {config.path}, whose betas belong to the body {named[0]}, but the training's body has the "
            f"hash {body.hash}: none of them could be used; name the right 'body', or set '{key}.betas' to false and "
            "use the other labels alone."
        )


@dataclass(frozen=True)
class _WithoutPictures:
    """A dataset whose pictures are not needed: blank ones take their place, and no file is read."""

    samples: Samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return replace(self.samples[index], image=np.zeros((TINY, TINY, 3), np.uint8), mask=None)


@dataclass(frozen=True)
class _WithoutBetas:
    """A dataset whose betas are left out."""

    samples: Samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return replace(self.samples[index], betas_confidence=0.0)
