"""Configuration of a training as plain dataclasses, which the YAML files in ``configs/`` fill in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat
from pydantic_core import PydanticCustomError

from meshrec.data.augmentation import Augmentation
from meshrec.datasets.formats import FORMATS
from meshrec.files.imports import imported, is_import_path
from meshrec.models.build import ARCHITECTURES, architecture_row, read_config
from meshrec.models.network import NetworkSettings
from meshrec.synthetic.detector_noise import DetectorNoise
from meshrec.synthetic.loose_clothes import ClothesMix
from meshrec.synthetic.random_cameras import ViewMix
from meshrec.synthetic.random_poses import PoseMix
from meshrec.synthetic.random_shapes import ShapeMix
from meshrec.synthetic.render_batches import Variation
from meshrec.training.objective import Weights

LARGEST = 2**31 - 1  # of a whole number; native code takes no larger ones
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(gt=0, le=LARGEST)]
NonNegativeInt = Annotated[int, Field(ge=0, le=LARGEST)]


def _known_architecture(name: str) -> str:
    if is_import_path(name):
        architecture_row(name)
    elif name not in ARCHITECTURES or ARCHITECTURES[name].published:
        *others, last = (repr(name) for name, row in ARCHITECTURES.items() if not row.published)
        raise PydanticCustomError("architecture", f"Input should be {', '.join(others)} or {last}")
    return name


def _known_format(name: str) -> str:
    if is_import_path(name):
        imported(name)
    elif name not in FORMATS:
        *others, last = map(repr, FORMATS)
        raise PydanticCustomError("format", f"Input should be {', '.join(others)} or {last}")
    return name


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture and initial weights of the network.

    Attributes:
        architecture: Name of a row of :data:`meshrec.models.build.ARCHITECTURES`, or the import path of a network of
            the user's own; see :func:`meshrec.models.build.architecture_row`.
        settings: Keys of the architecture's settings, such as :class:`meshrec.models.iterative.IterativeConfig`;
            ``encoder.resolution`` is the resolution of all crops.
        imagenet: File of weights trained on ImageNet, from which the ResNet or EfficientNet of the encoder starts; see
            :mod:`meshrec.models.imagenet`.
        init: Checkpoint of the same network, or of the network without its ResNet, to initialise it from; null
            initialises it at random.
        encoder: Checkpoint of a network with the same encoder, to initialise the encoder alone.
        frozen: Names of submodules whose weights do not change, such as ``regressor``.
        freeze_batch_norm: Whether batch normalisation keeps its statistics, which small batches estimate badly.
    """

    architecture: Annotated[str, AfterValidator(_known_architecture)] = "iterative"
    settings: Mapping[str, Any] = field(default_factory=dict)
    imagenet: Path | None = None
    init: Path | None = None
    encoder: Path | None = None
    frozen: tuple[str, ...] = ()
    freeze_batch_norm: bool = False


@dataclass(frozen=True)
class SyntheticConfig:
    """Synthetic people, made during training, with pictures if the network sees them.

    Attributes:
        proportion: Proportion in each batch, relative to the other sources.
        poses, views, shapes: Distributions of poses, cameras and shapes.
        noise: Errors of the simulated detector.
        clothes: Clothes in the detector's masks, for networks that see no pictures; null is none.
        backgrounds: Folder of pictures for the background; null is noise.
        garments: Folder of MakeHuman's garments (``.mhclo``) that people in pictures wear; null is paint alone.
        mirror_images: Whether each person with a picture is used twice, the second time mirrored, which halves the cost
            of rendering (Hoffer et al. 2020, "Augment your batch").
    """

    proportion: PositiveFloat = 1.0
    poses: PoseMix = field(default_factory=PoseMix)
    views: ViewMix = field(default_factory=ViewMix)
    shapes: ShapeMix = field(default_factory=ShapeMix)
    noise: DetectorNoise = field(default_factory=DetectorNoise)
    clothes: ClothesMix | None = field(default_factory=ClothesMix)
    backgrounds: Path | None = None
    garments: Path | None = None
    mirror_images: bool = False


@dataclass(frozen=True)
class RendersConfig:
    """Rendered synthetic people with the detections of a real detector, in files of ``tools/detect_renders.py``.

    Attributes:
        files: The files, all of the training's body.
        proportion: As in :class:`SyntheticConfig`.
        held_out: Number of people at the end of the last file that are kept for validation.
        variation: How far people are varied at every draw, for networks that see keypoints alone.
        clothes: Clothes that are added to masks; null is none.
    """

    files: tuple[Path, ...]
    proportion: PositiveFloat = 0.5
    held_out: NonNegativeInt = 0
    variation: Variation = field(default_factory=Variation)
    clothes: ClothesMix | None = field(default_factory=ClothesMix)


@dataclass(frozen=True)
class LabelledConfig:
    """Labelled people on disk.

    Attributes:
        format, path, pictures, bodies: As the arguments of :func:`meshrec.datasets.formats.read_samples`.
        betas: Whether the betas in the data are used. With ``false`` they are left out, as those of another body have
            to be, of which poses and keypoints can be used all the same.
    """

    format: Annotated[str, AfterValidator(_known_format)]
    path: Path
    pictures: Path | None = None
    bodies: Mapping[str, str] = field(default_factory=dict)
    betas: bool = True


@dataclass(frozen=True)
class DatasetConfig(LabelledConfig):
    """A dataset to train on.

    Attributes:
        proportion: As in :class:`SyntheticConfig`.
    """

    proportion: PositiveFloat = 1.0


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with a linear warm-up of the learning rate, followed by cosine decay.

    Attributes:
        rate: The highest learning rate.
        warmup: Number of warm-up steps.
        final: Learning rate at the end, as a share of the highest.
        weight_decay: Weight decay of matrices; biases and normalisations have none.
        clip: Norm to which the network's gradient is clipped.
        critic_rate: The highest learning rate of the critic, which has the same warm-up and decay.
    """

    rate: PositiveFloat = 1e-3
    warmup: NonNegativeInt = 200
    final: Fraction = 0.01
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat = 1.0
    critic_rate: PositiveFloat = 1e-4


@dataclass(frozen=True)
class ValidationConfig:
    """Validation on held-out people, whom no training sees.

    Where a training has synthetic people, others of them are held out, and so are the last people of its renders.

    Attributes:
        every: Number of steps between validations.
        people: Number of synthetic people, and the most people of each dataset, evenly spread over it; held-out renders
            come on top.
        datasets: Datasets to validate on, under names of the user's choice; null is none. A file that is trained on is
            refused. Errors are measured on those labels that there are.
    """

    every: PositiveInt = 2000
    people: PositiveInt = 1024
    datasets: Mapping[str, LabelledConfig] | None = None


@dataclass(frozen=True)
class LoopConfig:
    """Fits in the loop: bodies are fitted to 2D labels in rounds, and supervise; :mod:`meshrec.training.in_the_loop`.

    Attributes:
        every: Number of steps between rounds. The first round is before the first step.
        start: Where the fits of the first round start: the ``library`` of poses, for a network with random weights, or
            the ``network``. Those of later rounds start from the network's estimates.
        largest_error: Largest error of a fit that supervises: the mean distance of its joints from the keypoints, as a
            share of the person's box.
    """

    every: PositiveInt = 1000
    start: Literal["library", "network"] = "library"
    largest_error: PositiveFloat = 0.03


@dataclass(frozen=True)
class TrainingConfig:
    """Configuration of a training.

    Attributes:
        out: Folder for checkpoints and logs.
        steps: Number of optimizer steps, which may be raised when a training is resumed.
        batch_size: Number of samples per device and forward pass.
        network: The network.
        body: Name or file of the body.
        synthetic, renders, datasets: Sources of training samples; null leaves a source out, also of the validation.
            The keys of ``datasets`` are names of the user's choice.
        augmentation: Augmentation of the datasets; null is none.
        voc_occluders: Pascal VOC folder, whose objects the augmentation pastes into pictures; null pastes random
            shapes.
        in_the_loop: Fits in the loop, for people of ``datasets`` that have 2D labels alone; null makes no fits.
        weights: Weights of the losses. A ``weights.realism`` above 0 also trains a critic.
        optimizer: Learning rates, weight decay and gradient clipping.
        validation: Validation during training.
        accumulation: Number of forward passes whose gradients are accumulated for a step.
        precision: 32 for float32, ``bf16`` for mixed precision.
        ema: Decay of the exponential moving average of the weights, which is measured and saved.
        renderer: Renderer of the silhouette loss.
        accelerator, devices, nodes: Hardware; several devices or nodes run under ``torchrun``.
        workers: Number of processes that make batches. 0 makes them in the training process; null takes half of the
            cores.
        seed: Seed of initial weights, samples and dropout.
        checkpoint_every, log_every: Number of steps between checkpoints, and between logs.
    """

    out: Path
    steps: PositiveInt
    batch_size: PositiveInt
    network: NetworkConfig = NetworkConfig()
    body: str = "neutral"
    synthetic: SyntheticConfig | None = None
    renders: RendersConfig | None = None
    datasets: Mapping[str, DatasetConfig] | None = None
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    voc_occluders: Path | None = None
    in_the_loop: LoopConfig | None = None
    weights: Weights = field(default_factory=Weights)
    optimizer: OptimizerConfig = OptimizerConfig()
    validation: ValidationConfig = ValidationConfig()
    accumulation: PositiveInt = 1
    precision: Literal[32, "bf16"] = 32
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    renderer: Literal["auto", "numba", "torch", "pytorch3d"] = "auto"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: PositiveInt = 1
    nodes: PositiveInt = 1
    workers: Annotated[int, Field(ge=0, le=1024)] | None = None
    seed: NonNegativeInt = 0
    checkpoint_every: PositiveInt = 1000
    log_every: PositiveInt = 50

    @property
    def fits(self) -> Path:
        """Folder of the best fits of fits in the loop, with a folder for each dataset."""
        return self.out / "fits"

    @property
    def architecture(self) -> NetworkSettings:
        """The network's settings, with defaults for the keys that ``network.settings`` lacks."""
        return read_config(architecture_row(self.network.architecture).config, self.network.settings)
