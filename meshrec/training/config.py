"""Everything that a training depends on, as plain dataclasses; the YAML files of ``configs/`` fill them in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from meshrec.data.augmentation import Augmentation
from meshrec.datasets.formats import Format
from meshrec.models.graph import GraphConfig
from meshrec.models.iterative import IterativeConfig
from meshrec.synthetic.detector_noise import DetectorNoise
from meshrec.synthetic.loose_clothes import ClothesMix
from meshrec.synthetic.random_cameras import ViewMix
from meshrec.synthetic.random_poses import PoseMix
from meshrec.synthetic.random_shapes import ShapeMix
from meshrec.synthetic.render_batches import Variation
from meshrec.training.objective import Weights

Share = Annotated[float, Field(ge=0, le=1)]
SETTINGS: dict[str, type] = {"iterative": IterativeConfig, "graph": GraphConfig, "fully_connected": GraphConfig}


@dataclass(frozen=True)
class NetworkConfig:
    """Which network, and where its weights start.

    Attributes:
        architecture: What :func:`meshrec.models.build.build_network` makes.
        settings: Of :class:`meshrec.models.iterative.IterativeConfig` or :class:`meshrec.models.graph.GraphConfig`;
            ``encoder.resolution`` is that of all crops.
        init: A checkpoint of the same network, or of one without its ResNet, to start from; none starts from scratch.
        encoder: A checkpoint of any network with the same encoder, which alone is taken from it.
        frozen: Parts of the network that keep their weights, such as ``regressor``.
        freeze_batch_norm: Batch normalisation keeps its statistics, as small batches need.
    """

    architecture: Literal["iterative", "graph", "fully_connected"] = "iterative"
    settings: Mapping[str, Any] = field(default_factory=dict)
    init: Path | None = None
    encoder: Path | None = None
    frozen: tuple[str, ...] = ()
    freeze_batch_norm: bool = False


@dataclass(frozen=True)
class SyntheticConfig:
    """Synthetic people, made while training goes on. A network that sees keypoints alone gets them without pictures.

    Attributes:
        proportion: Of every batch; only the ratio to other sources counts.
        poses, views, shapes: How often which.
        noise: Of the simulated detector.
        clothes: What its masks show on top of people, where nobody sees pictures of them; none is nothing.
        backgrounds: A folder of pictures to put behind people; none is noise.
        mirror_images: Whether everybody in a picture comes twice, the second time in the mirror. It halves the work of
            drawing, for networks that learn faster than people are drawn (Hoffer et al. 2020, "Augment your batch").
    """

    proportion: PositiveFloat = 1.0
    poses: PoseMix = field(default_factory=PoseMix)
    views: ViewMix = field(default_factory=ViewMix)
    shapes: ShapeMix = field(default_factory=ShapeMix)
    noise: DetectorNoise = field(default_factory=DetectorNoise)
    clothes: ClothesMix | None = field(default_factory=ClothesMix)
    backgrounds: Path | None = None
    mirror_images: bool = False


@dataclass(frozen=True)
class RendersConfig:
    """Synthetic people as the real detector saw them: files of ``tools/detect_renders.py``.

    Attributes:
        files: Of the same body.
        proportion: As in :class:`SyntheticConfig`.
        held_out: The last so many people of the last file are for validation.
        variation: How far people are moved at every draw, for networks that see keypoints alone.
        clothes: What masks show on top of people; none is nothing.
    """

    files: tuple[Path, ...]
    proportion: PositiveFloat = 0.5
    held_out: NonNegativeInt = 0
    variation: Variation = field(default_factory=Variation)
    clothes: ClothesMix | None = field(default_factory=ClothesMix)


@dataclass(frozen=True)
class DatasetConfig:
    """A dataset on disk; see :func:`meshrec.datasets.formats.read_samples`.

    Attributes:
        format, path, pictures, bodies: As there.
        proportion: As in :class:`SyntheticConfig`.
    """

    format: Format
    path: Path
    pictures: Path | None = None
    bodies: Mapping[str, str] = field(default_factory=dict)
    proportion: PositiveFloat = 1.0


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW; the rate rises for a while, then falls along a cosine to the end.

    Attributes:
        rate: The highest learning rate.
        warmup: Steps in which it rises.
        final: Share of it that is left in the end.
        weight_decay: Of weight matrices; biases and norms have none.
        clip: Largest norm of the gradient.
        critic_rate: The critic's own rate.
    """

    rate: PositiveFloat = 1e-3
    warmup: NonNegativeInt = 200
    final: Share = 0.01
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat = 1.0
    critic_rate: PositiveFloat = 1e-4


@dataclass(frozen=True)
class ValidationConfig:
    """Held-out people, whom no training sees.

    Attributes:
        every: Steps between validations.
        people: How many synthetic ones; held-out renders are always taken too.
    """

    every: PositiveInt = 2000
    people: PositiveInt = 1024


@dataclass(frozen=True)
class TrainingConfig:
    """A training.

    Attributes:
        network: What is trained.
        body: Name or file of the body.
        synthetic, renders, datasets: What it is trained on; None leaves a source out. The user names the datasets.
        augmentation: Of the datasets' samples.
        voc_occluders: A Pascal VOC folder, whose objects it pastes into pictures; none pastes drawn shapes.
        weights: Of the losses. ``weights.realism`` above 0 trains a critic too.
        optimizer: How weights change.
        validation: On whom it is measured.
        steps: Of the optimizer.
        batch_size: Of one device, in one pass.
        accumulation: Passes in a step.
        precision: 32 bits, or mixed with ``bf16``.
        ema: Decay of the mean of the weights, which is what is saved.
        renderer: What draws for the silhouette loss.
        accelerator, devices, nodes: Where it runs; several devices on several nodes run under ``torchrun``.
        workers: Processes that make batches; none takes the cores that are left. 0 makes them in between.
        seed: Of everything drawn.
        checkpoint_every, log_every: Steps.
        out: Folder of the checkpoint and the logs.
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
    workers: NonNegativeInt | None = None
    seed: NonNegativeInt = 0
    checkpoint_every: PositiveInt = 1000
    log_every: PositiveInt = 50

    @property
    def architecture(self) -> IterativeConfig | GraphConfig:
        """The network's settings, with defaults where the file says nothing."""
        from meshrec.models.build import read_config

        return read_config(SETTINGS[self.network.architecture], self.network.settings)
