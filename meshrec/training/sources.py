"""Where samples come from. Each source makes any piece of its own endless row of people, the same piece every time.

What a network does not see and no loss needs is not made: pictures, masks.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.data.augmentation import Augmentation
from meshrec.data.centred import centred
from meshrec.data.mixing import MixedSamples, order
from meshrec.data.occluders import voc_occluders
from meshrec.data.proxies import Proxies
from meshrec.data.sample import Batch, Sample, Samples
from meshrec.data.streams import Streams
from meshrec.datasets.formats import read_samples
from meshrec.errors import InputError
from meshrec.synthetic.backgrounds import FolderBackgrounds, noise_backgrounds
from meshrec.synthetic.clothes import TextureLayout
from meshrec.synthetic.detected_keypoints import DetectedKeypoints
from meshrec.synthetic.detected_renders import DetectedRenders, load_renders
from meshrec.synthetic.detector_noise import DetectorNoise
from meshrec.synthetic.keypoints import JOINTS, SyntheticKeypoints
from meshrec.synthetic.labels import Pictures, synthetic_batch
from meshrec.synthetic.loose_clothes import ClothesMix, draw_clothes
from meshrec.synthetic.people import SyntheticPeople
from meshrec.training.config import DatasetConfig, RendersConfig, SyntheticConfig, TrainingConfig
from meshrec.training.pieces import Needs, Piece, joined, mirrored

VALIDATION_SEED = 30_000  # of the synthetic people on whom every training is measured
TEXELS = 192  # a side of textures; less for pictures of less than 128 pixels, which show no more
TINY = 2  # pixels a side of crops that nobody looks at

Source = Callable[[range], Piece]
"""The people of these places in the source's row."""


@dataclass(frozen=True)
class Share:
    """A source, its proportion, and whether it makes people on the training's device, in the training's own process."""

    source: Source
    proportion: float
    on_device: bool = False


def training_sources(config: TrainingConfig, body: BodyModel) -> list[Share]:
    """All sources of a training.

    Args:
        config: What it is trained on.
        body: On a GPU, where pictures of synthetic people are then made.

    Raises:
        InputError: There is none, or a file is missing or wrong.
    """
    needs, found, here = needs_of(config), [], body
    if body.v_template.device.type != "cpu":
        here = copy(body).cpu()
    if (synthetic := config.synthetic) is not None:
        photographed = here is not body and needs.pictures
        source = synthetic_source(synthetic, needs, body if photographed else here, config.seed)
        found.append(Share(source, synthetic.proportion, photographed))
    if (renders := config.renders) is not None:
        if needs.pictures:
            raise InputError("detected renders keep no pictures: a network that sees rgb cannot train on 'renders'.")
        train, _ = read_renders(renders)
        source = renders_source(train, needs, here, config.seed, renders)
        found.append(Share(source, renders.proportion))
    if config.datasets:
        source = datasets_source(config.datasets, needs, config.augmentation, config.voc_occluders, config.seed)
        found.append(Share(source, sum(dataset.proportion for dataset in config.datasets.values())))
    if not found:
        raise InputError("there is nothing to train on: set one of 'synthetic', 'renders' and 'datasets'.")
    return found


def needs_of(config: TrainingConfig) -> Needs:
    """What a training needs of every sample."""
    encoder = config.architecture.encoder
    return Needs(
        joints=encoder.joints,
        resolution=encoder.resolution,
        pictures="rgb" in encoder.inputs,
        silhouettes="silhouette" in encoder.inputs,
        masks=config.weights.silhouette > 0,
    )


def validation_sources(config: TrainingConfig, body: BodyModel) -> dict[str, tuple[Source, int]]:
    """Held-out people by where they come from, and how many there are.

    The synthetic ones are of takes and authored poses that no training sees; they do not hang on the training's seed.
    """
    needs = needs_of(config)
    synthetic = synthetic_source(config.synthetic or SyntheticConfig(), needs, body, VALIDATION_SEED, "held_out")
    found = {"synthetic": (synthetic, config.validation.people)}
    if config.renders is not None and config.renders.held_out:
        _, held_out = read_renders(config.renders)
        source = renders_source([held_out], needs, body, VALIDATION_SEED, config.renders, as_they_are=True)
        found["renders"] = (source, len(held_out))
    return found


def read_renders(config: RendersConfig) -> tuple[list[DetectedRenders], DetectedRenders]:
    """Those to train on, file by file, and those held out. People whom the detector missed are in neither.

    Raises:
        InputError: A file is missing or wrong, or nobody is left to train on.
    """
    parts = [load_renders(path) for path in config.files]
    kept = max(0, len(parts[-1]) - config.held_out)
    train = [_found(part) for part in parts[:-1]] + [_found(parts[-1], slice(0, kept))]
    if not any(map(len, train)):
        raise InputError(f"{config.files[-1]}: all of its people are held out, and nobody is left to train on.")
    return [part for part in train if len(part)], _found(parts[-1], slice(kept, None))


def synthetic_source(
    config: SyntheticConfig, needs: Needs, body: BodyModel, seed: int, split: Literal["train", "held_out"] = "train"
) -> Source:
    """Synthetic people: photographed where the network sees pictures, else as keypoints and masks alone."""
    people = SyntheticPeople(body, seed, split, needs.resolution, config.poses, config.views, config.shapes)
    if needs.pictures:
        behind = noise_backgrounds if config.backgrounds is None else FolderBackgrounds(config.backgrounds)
        layout = TextureLayout.of_body(body, min(TEXELS, TEXELS * needs.resolution // 128))
        photographed = _Photographed(people, needs, config.noise, Pictures(layout, behind))
        twice = config.mirror_images and split == "train"
        return _WithMirrorImages(photographed, needs.joints) if twice else photographed
    seen = SyntheticKeypoints(people, needs.joints, config.noise, needs.silhouettes, needs.masks, config.clothes)
    return _Numbered(seen.batch, needs, needs.joints)


def renders_source(
    renders: Sequence[DetectedRenders],
    needs: Needs,
    body: BodyModel,
    seed: int,
    config: RendersConfig,
    as_they_are: bool = False,
) -> Source:
    """Detected people.

    Args:
        renders: Nobody among them was missed by the detector.
        needs: What is made of them.
        body: The one they were made with.
        seed: Of their order, variation and clothes.
        config: How far they are moved at every draw where masks are not needed, and dressed where they are.
        as_they_are: In their own order, not moved and not mirrored.

    Raises:
        InputError: They were made with another body.
    """
    people = DetectedKeypoints(renders, body, seed, config.variation, masks=not needs.keypoints_only)
    if needs.keypoints_only and not as_they_are:
        return _Numbered(people.batch, needs, people.detected_joints)
    return _Rendered(people, needs, seed, None if needs.keypoints_only else config.clothes, as_they_are)


def datasets_source(
    configs: Mapping[str, DatasetConfig],
    needs: Needs,
    augmentation: Augmentation | None,
    voc_folder: Path | None,
    seed: int,
) -> Source:
    """Datasets on disk, mixed and augmented. What is labelled in 2D is also what a detector is taken to have seen."""
    datasets, proportions = [], []
    for dataset in configs.values():
        samples = read_samples(dataset.format, dataset.path, dataset.pictures, dataset.bodies)
        datasets.append(_WithoutPictures(samples) if needs.keypoints_only else samples)
        proportions.append(dataset.proportion)
    resolution = TINY if needs.keypoints_only else needs.resolution
    pasted = voc_occluders(voc_folder) if voc_folder is not None and needs.pictures and augmentation is not None else ()
    mixed = MixedSamples(datasets, proportions, resolution, JOINTS, augmentation, pasted, seed)

    def piece(places: range) -> Piece:
        batch = mixed.batch(places)
        place, confidence = batch.keypoints_2d.split((2, 1), dim=2)
        inside = (place.abs() <= 1).all(2, keepdim=True)
        silhouette = batch.mask[:, None] / 255
        seen = Proxies(torch.cat([place, confidence * inside], 2), silhouette, silhouette, ~inside[..., 0])
        return needs.piece(*centred(batch, seen), JOINTS)

    return piece


@dataclass(frozen=True)
class _Numbered:
    """People who are made in batches, each with a number: that of its first place."""

    batch: Callable[[int, int], tuple[Batch, Proxies]]
    needs: Needs
    joints: str

    def __call__(self, places: range) -> Piece:
        return self.needs.piece(*self.batch(len(places), places.start), self.joints)


@dataclass(frozen=True)
class _Photographed:
    """Synthetic people with pictures."""

    people: SyntheticPeople
    needs: Needs
    noise: DetectorNoise
    pictures: Pictures

    def __call__(self, places: range) -> Piece:
        batch, seen = synthetic_batch(self.people, places, JOINTS, self.needs.joints, self.noise, self.pictures)
        seen = replace(seen, exact_silhouette=torch.empty(0))  # that is among the labels
        if not self.needs.masks:  # turning masks takes time
            batch = replace(batch, mask_confidence=torch.zeros_like(batch.mask_confidence))
        return self.needs.piece(*centred(batch, seen), self.needs.joints)


@dataclass(frozen=True)
class _WithMirrorImages:
    """People who are dear to make: each stands at two places, at the second as a mirror shows them."""

    source: Source
    joints: str

    def __call__(self, places: range) -> Piece:
        start, stop = places.start, places.stop
        pieces = []
        if both := range((start + 1) // 2, stop // 2):
            piece = self.source(both)
            pieces += [piece, mirrored(piece, self.joints)]
        if start % 2:
            pieces.append(mirrored(self.source(range(start // 2, start // 2 + 1)), self.joints))
        if stop % 2:
            pieces.append(self.source(range(stop // 2, stop // 2 + 1)))
        return joined(pieces)


@dataclass(frozen=True)
class _Rendered:
    """Detected renders in a new random order in every epoch, half of them mirrored, or in their own order."""

    people: DetectedKeypoints
    needs: Needs
    seed: int
    clothes: ClothesMix | None
    as_they_are: bool

    def __call__(self, places: range) -> Piece:
        drawn: dict[bool, list[tuple[int, int]]] = {}
        for place in places:
            row, mirror = self._drawn(place)
            drawn.setdefault(mirror, []).append((row, place))
        pieces = {mirror: self._piece(*zip(*chosen)) for mirror, chosen in drawn.items()}
        return joined([mirrored(piece, self.needs.joints) if mirror else piece for mirror, piece in pieces.items()])

    def _piece(self, rows: Sequence[int], places: Sequence[int]) -> Piece:
        clothes = None
        if self.clothes is not None:
            clothes = draw_clothes(Streams(self.seed, places, "clothes"), self.clothes)
        streams = None if self.as_they_are else Streams(self.seed, places, "detector")
        batch, seen = self.people.rows(rows, self.needs.resolution, clothes, streams)
        return self.needs.piece(batch, seen, self.people.detected_joints)

    def _drawn(self, place: int) -> tuple[int, bool]:
        """Which of all people stands at a place, and whether they are mirrored."""
        if self.as_they_are:
            return place, False
        epoch, offset = divmod(place, len(self.people))
        mirror = np.random.default_rng((self.seed, place)).integers(2)
        return int(order(self.seed, 0, epoch, len(self.people))[offset]), bool(mirror)


@dataclass(frozen=True)
class _WithoutPictures:
    """A dataset of which nobody looks at the pictures: they are not even read."""

    samples: Samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return replace(self.samples[index], image=np.zeros((TINY, TINY, 3), np.uint8), mask=None)


def _found(part: DetectedRenders, rows: slice = slice(None)) -> DetectedRenders:
    """Of some people those whom the detector found."""
    which = np.arange(len(part))[rows]
    which = which[part.score[which] > 0]
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    return DetectedRenders(**{name: v[which] if v.ndim else v for name, v in values.items()})
