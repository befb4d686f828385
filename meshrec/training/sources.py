"""Sources of training samples: synthetic people, detected renders, and datasets on disk.

Pictures and masks are made only if the network or a loss needs them.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.data.centred import centred
from meshrec.data.mixing import order
from meshrec.data.proxies import Proxies
from meshrec.data.sample import Batch, Samples
from meshrec.data.streams import Streams
from meshrec.errors import InputError
from meshrec.synthetic.backgrounds import FolderBackgrounds, noise_backgrounds
from meshrec.synthetic.batches import synthetic_batch
from meshrec.synthetic.detected_renders import DetectedRenders, load_renders
from meshrec.synthetic.detector_noise import DetectorNoise
from meshrec.synthetic.keypoint_batches import JOINTS, SyntheticKeypoints
from meshrec.synthetic.loose_clothes import ClothesMix, draw_clothes
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures
from meshrec.synthetic.render_batches import DetectedKeypoints
from meshrec.synthetic.textures import TextureLayout
from meshrec.synthetic.wardrobe import Wardrobe
from meshrec.training.config import RendersConfig, SyntheticConfig, TrainingConfig
from meshrec.training.kept_fits import WithFits
from meshrec.training.labelled import datasets_source, labelled_source, overlap
from meshrec.training.pieces import Needs, Piece, Source, joined, mirrored

VALIDATION_SEED = 30_000  # seed of the synthetic people on whom all trainings are validated
TEXELS = 192  # side of textures; pictures of less than 128 pixels get proportionally smaller ones


@dataclass(frozen=True)
class Share:
    """A source in a mixture.

    Attributes:
        source: The source.
        proportion: Its proportion in each batch, relative to the other sources.
        on_device: Whether it makes people on the training's device, and so in the training process itself.
    """

    source: Source
    proportion: float
    on_device: bool = False


def training_sources(config: TrainingConfig, body: BodyModel) -> list[Share]:
    """All sources of a training. With fits in the loop, datasets have the labels of the fits that are on disk now.

    Args:
        config: The training.
        body: The body on the training's device. On a GPU, pictures of synthetic people are made there.

    Raises:
        InputError: There are no sources, or a file is missing or wrong.
    """
    needs, found, on_cpu = needs_of(config), [], body
    if body.v_template.device.type != "cpu":
        on_cpu = copy(body).cpu()
    if (synthetic := config.synthetic) is not None:
        on_device = on_cpu is not body and needs.pictures
        source = synthetic_source(synthetic, needs, body if on_device else on_cpu, config.seed)
        found.append(Share(source, synthetic.proportion, on_device))
    if (renders := config.renders) is not None:
        if needs.pictures:
            raise InputError("detected renders keep no pictures: a network that sees rgb cannot train on 'renders'.")
        train, _ = read_renders(renders)
        source = renders_source(train, needs, on_cpu, config.seed, renders)
        found.append(Share(source, renders.proportion))
    if config.datasets:

        def with_fits(name: str, samples: Samples) -> Samples:
            loop = config.in_the_loop
            return samples if loop is None else WithFits(samples, config.fits / name, on_cpu, loop.largest_error)

        source = datasets_source(
            config.datasets, needs, body, config.augmentation, config.voc_occluders, config.seed, with_fits
        )
        found.append(Share(source, sum(dataset.proportion for dataset in config.datasets.values())))
    if not found:
        raise InputError("there is nothing to train on: set one of 'synthetic', 'renders' and 'datasets'.")
    return found


def needs_of(config: TrainingConfig) -> Needs:
    """What a training needs to know of every sample: what its network sees, and what its losses compare."""
    encoder = config.architecture.encoder
    return Needs(
        joints=encoder.joints,
        resolution=encoder.resolution,
        pictures="rgb" in encoder.inputs,
        silhouettes="silhouette" in encoder.inputs,
        masks=config.weights.silhouette > 0,
    )


def validation_sources(config: TrainingConfig, body: BodyModel) -> dict[str, tuple[Source, int]]:
    """The sources of held-out people by name, and the number of people of each.

    The poses of synthetic people are takes and authored poses that no training sees. They do not depend on the seed of
    the training, so that all trainings are validated on the same people.

    Args:
        config: The training.
        body: The body on the CPU.

    Raises:
        InputError: A dataset is missing, damaged, or trained on.
    """
    needs, found = needs_of(config), {}
    if config.synthetic is not None:
        synthetic = synthetic_source(config.synthetic, needs, body, VALIDATION_SEED, "held_out")
        found["synthetic"] = (synthetic, config.validation.people)
    if config.renders is not None and config.renders.held_out:
        _, held_out = read_renders(config.renders)
        source = renders_source([held_out], needs, body, VALIDATION_SEED, config.renders, as_they_are=True)
        found["renders"] = (source, len(held_out))
    for name, dataset in (config.validation.datasets or {}).items():
        if name in ("synthetic", "renders"):
            raise InputError(f"'validation.datasets.{name}' is named as another source is; choose another name.")
        for other, trained in (config.datasets or {}).items():
            if overlap(dataset.path, trained.path):
                raise InputError(
                    f"'validation.datasets.{name}' reads {dataset.path}, and 'datasets.{other}' trains on it or a copy "
                    "of it: hold people out in a file of their own."
                )
        found[name] = labelled_source(f"validation.datasets.{name}", dataset, needs, body, config.validation.people)
    return found


def read_renders(config: RendersConfig) -> tuple[list[DetectedRenders], DetectedRenders]:
    """Read detected renders, and divide them into those to train on and those that are held out.

    Returns:
        The people to train on, by file, and the held-out people; both without those whom the detector did not find.

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
    """Synthetic people, with pictures if the network sees them, else with keypoints and masks alone.

    Args:
        config: The synthetic people.
        needs: What the training needs.
        body: The body model of the people.
        seed: Seed of the data set.
        split: Which poses to draw from.
    """
    people = SyntheticPeople(body, seed, split, needs.resolution, config.poses, config.views, config.shapes)
    if needs.pictures:
        backgrounds = noise_backgrounds if config.backgrounds is None else FolderBackgrounds(config.backgrounds)
        try:
            layout = TextureLayout.of_body(body, min(TEXELS, TEXELS * needs.resolution // 128))
        except InputError as error:
            raise InputError(f"{error}: set 'synthetic' to null, and train on 'datasets'.") from None
        wardrobe = None if config.garments is None else Wardrobe.of_folder(config.garments, body)
        photographed = _Photographed(people, needs, config.noise, Pictures(layout, backgrounds, wardrobe=wardrobe))
        twice = config.mirror_images and split == "train"
        return _WithMirrorImages(photographed, needs.joints) if twice else photographed
    seen = SyntheticKeypoints(people, needs.joints, config.noise, needs.silhouettes, needs.masks, config.clothes)
    return _Batched(seen.batch, needs, needs.joints)


def renders_source(
    renders: Sequence[DetectedRenders],
    needs: Needs,
    body: BodyModel,
    seed: int,
    config: RendersConfig,
    as_they_are: bool = False,
) -> Source:
    """Detected renders. For networks that see keypoints alone people are varied; else their masks get clothes.

    Args:
        renders: Detected renders of people whom the detector found.
        needs: What the training needs.
        body: The body that they were made with.
        seed: Seed of order, variation and clothes.
        config: Variation and clothes.
        as_they_are: Whether people come in their own order, neither varied nor mirrored.

    Raises:
        InputError: The renders show another body.
    """
    people = DetectedKeypoints(renders, body, seed, config.variation, masks=not needs.keypoints_only)
    if needs.keypoints_only and not as_they_are:
        return _Batched(people.batch, needs, people.detected_joints)
    return _Rendered(people, needs, seed, None if needs.keypoints_only else config.clothes, as_they_are)


@dataclass(frozen=True)
class _Batched:
    """People who can be made only a batch at a time; the number of a batch is its first place."""

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
        seen = replace(seen, exact_silhouette=torch.empty(0))  # the labels hold the same mask
        if not self.needs.masks:  # spares :func:`centred` the warping of masks
            batch = replace(batch, mask_confidence=torch.zeros_like(batch.mask_confidence))
        return self.needs.piece(*centred(batch, seen), self.needs.joints)


@dataclass(frozen=True)
class _WithMirrorImages:
    """Each person of a source at two consecutive places, the second time mirrored, for people who are slow to make.

    The order of the people in a piece is not that of their places.
    """

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
    """Detected renders in a new random order in every epoch, half of them mirrored; or in their own order."""

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
        """The row of the person at a place, and whether the person is mirrored."""
        if self.as_they_are:
            return place, False
        epoch, offset = divmod(place, len(self.people))
        mirror = np.random.default_rng((self.seed, place)).integers(2)
        return int(order(self.seed, 0, epoch, len(self.people))[offset]), bool(mirror)


def _found(part: DetectedRenders, rows: slice = slice(None)) -> DetectedRenders:
    """The people among some rows whom the detector found."""
    which = np.arange(len(part))[rows]
    which = which[part.score[which] > 0]
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    return DetectedRenders(**{name: v[which] if v.ndim else v for name, v in values.items()})
