"""What the rows of the comparison share: the people to learn from and to measure on, and how a row is measured."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from meshrec.body import load_body
from meshrec.comparison.photos import PhotoPeople, multiview_people
from meshrec.errors import InputError
from meshrec.evaluation.datasets import synthetic_set
from meshrec.evaluation.lifting import Lifter, LiftingSet, benchmark_to_lift, joint_errors, lifting_errors
from meshrec.files.tensors import write_tensors
from meshrec.synthetic.detector_noise import EXACT
from meshrec.training.lifted_clips import LiftedClips, clips_to_lift
from meshrec.training.lifting import LiftedPeople, people_to_lift
from meshrec.training.lifting_config import LiftingConfig
from meshrec.training.masked import MaskedPeople, people_with_masks
from meshrec.training.pictured import PicturedPeople, benchmark_to_see, people_to_see

JOINTS = "h36m17"
GROUPS = ("usual", "hard")
NOISE = (0.0, 0.01, 0.02, 0.04, 0.08)  # standard deviations of the joints' x and y, half crop sides
NOISE_PEOPLE = 500
SEEN_AT_ONCE = 100  # pictures

Tables = dict[str, dict[str, dict[str, str]]]

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Made:
    """A method that is ready.

    Attributes:
        errors: the errors of every person by measure.
        call: the method for one person, to be timed.
        weights: the number of its trained weights.
        minutes: processor time of its training on one core; None where it is not known.
        lifter: the method, if it lifts joints.
        more: figures for tables of their own: the table's title, the line's label, the column's head, and the cell.
        photos: the errors of every person in photos by measure (:meth:`meshrec.comparison.photos.PhotoPeople.errors`);
            None where no photos are measured on.
    """

    errors: dict[str, np.ndarray]
    call: Callable[[], object]
    weights: int
    minutes: float | None
    lifter: Lifter | None = None
    more: Tables = field(default_factory=dict)
    photos: dict[str, np.ndarray] | None = None


class Bench:
    """What all rows share; people are made when the first row asks for them.

    Args:
        out: Folder of the rows.
        config: Settings of all methods.
        limit: Largest number of people to measure on; None for all.
        multiview: Folder of calibrated frames to measure on besides; None for none.
    """

    def __init__(
        self, out: Path, config: LiftingConfig, limit: int | None, multiview: str | Path | None = None
    ) -> None:
        self.out, self.config, self.limit, self.body = out, config, limit, load_body("neutral")
        self.multiview = multiview

    @cached_property
    def people(self) -> LiftedPeople:
        """The people to learn from."""
        training = self.config.training
        return people_to_lift(self.body, training.people, training.seed, JOINTS)

    @cached_property
    def measured(self) -> LiftingSet:
        """The people to measure on."""
        return benchmark_to_lift(self.body, JOINTS, self.limit)

    @cached_property
    def groups(self) -> dict[str, list[int]]:
        """Rows of the people of each group."""
        data = synthetic_set(self.body)
        return (data if self.limit is None else data.thinned(self.limit)).members()

    @cached_property
    def pictures(self) -> PicturedPeople:
        """The people to learn from by pictures."""
        training = self.config.pictures
        return people_to_see(self.body, training.people, training.seed, JOINTS, training.size)

    @cached_property
    def pictured(self) -> PicturedPeople:
        """The people of :attr:`measured` as pictures, in the cameras that look at the centres of these pictures."""
        data = synthetic_set(self.body)
        rows = (data if self.limit is None else data.thinned(self.limit)).rows
        return benchmark_to_see(self.body, rows, JOINTS, self.config.pictures.size)

    @cached_property
    def masked(self) -> MaskedPeople:
        """The people to learn from, with masks."""
        training = self.config.training
        resolution = self.config.multimodal.resolution
        return people_with_masks(self.body, training.people, training.seed, JOINTS, resolution)

    @cached_property
    def measured_masks(self) -> LiftingSet:
        """The people to measure on, with masks."""
        return benchmark_to_lift(self.body, JOINTS, self.limit, self.config.multimodal.resolution)

    @cached_property
    def clips(self) -> LiftedClips:
        """The clips to learn from."""
        return clips_to_lift(self.body, self.config.clips, JOINTS)

    @cached_property
    def photos(self) -> PhotoPeople | None:
        """The people in photos to measure on; None where there is no folder."""
        if self.multiview is None:
            return None
        size, resolution = self.config.pictures.size, self.config.multimodal.resolution
        return multiview_people(self.multiview, self.out, self.body, size, resolution)

    def on_photos(self, method: Callable[[PhotoPeople], Tensor], fits: bool = True) -> dict[str, np.ndarray] | None:
        """The errors of a method that ends in joints on photos.

        Args:
            method: From the N people to joints (N, K, 3) in the space of the crops' cameras, metres.
            fits: Whether a body is fitted to the joints.
        """
        if self.photos is None:
            return None
        with torch.no_grad():
            return self.photos.errors(method(self.photos), self.body if fits else None)

    def bodies_on_photos(self, method: Callable[[PhotoPeople], Tensor]) -> dict[str, np.ndarray] | None:
        """The errors of a method that ends in vertices (N, V, 3) on photos, likewise."""
        if self.photos is None:
            return None
        with torch.no_grad():
            return self.photos.errors_of_bodies(method(self.photos), self.body)

    def seen(self, method: Callable[[Tensor], Tensor], weights: int, seconds: float) -> Made:
        """A method that sees pictures, measured.

        Args:
            method: From pictures (B, 3, S, S), uint8, to joints (B, K, 3) relative to the root, metres.
            weights: The number of its weights.
            seconds: Processor time of its training.
        """
        people, images = self.pictured, self.pictured.image
        with torch.inference_mode():
            points = torch.cat([method(part) for part in images.split(SEEN_AT_ONCE)])
        keypoints, true = (with_ones(values) for values in (people.places, people.joints))
        labelled = LiftingSet(JOINTS, keypoints, true, people.pose, people.betas, self.groups)
        errors = joint_errors(points, labelled, self.body)
        photos = self.on_photos(lambda people: torch.cat([method(part) for part in people.image.split(SEEN_AT_ONCE)]))
        return Made(errors, lambda: method(images[:1]), weights, seconds / 60, photos=photos)

    def lifted(self, lifter: Lifter, weights: int, seconds: float) -> Made:
        """A method that lifts joints, measured."""
        one = self.measured.keypoints[:1]
        errors = lifting_errors(lifter, self.measured, self.body)
        photos = self.on_photos(lambda people: lifter(people.keypoints))
        return Made(errors, lambda: lifter(one), weights, seconds / 60, lifter, photos=photos)

    @cached_property
    def exact(self) -> LiftedPeople:
        """People in held-out poses, all of whose joints are seen exactly."""
        people = people_to_lift(self.body, 2 * NOISE_PEOPLE, self.config.training.seed, JOINTS, EXACT, "held_out")
        whole = (people.keypoints[..., 2] > 0).all(1)
        return LiftedPeople(*(values[whole][:NOISE_PEOPLE] for values in vars(people).values()))


@dataclass(frozen=True)
class Row:
    """A method of the table.

    Attributes:
        label: What the table calls it.
        labels: The labels of pictures that its training uses: 3D, 2D, or none but poses without pictures.
        make: Trains it and measures it, given what rows share and the row's name.
    """

    label: str
    labels: str
    make: Callable[[Bench, str], Made]


def with_ones(values: Tensor) -> Tensor:
    """Points (..., D) with a confidence of 1 as a last coordinate, (..., D + 1)."""
    return torch.cat([values, torch.ones_like(values[..., :1])], dim=-1)


def kept_training(
    file: Path, network: Network, settings: dict[str, Any], train: Callable[[], tuple[Network, float]]
) -> tuple[Network, float]:
    """A trained network, from a file if it was trained before.

    Args:
        file: Where its weights are kept.
        network: The network, not trained; the kept weights are loaded into it.
        settings: All settings of network and training; kept weights of others are refused.
        train: Trains a network of its own, and gives it with the processor time that it took, seconds.

    Returns:
        The trained network in evaluation mode, and the processor time of its training, seconds.

    Raises:
        InputError: The file was trained with other settings.
    """
    if not file.exists():
        network, seconds = train()
        write_tensors(file, network.state_dict(), {"config": json.dumps(settings), "seconds": f"{seconds:.1f}"})
        return network.eval(), seconds
    with safe_open(file, "pt") as stored:
        about = stored.metadata() or {}
        tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    if not same_settings(json.loads(about["config"]), settings):
        raise InputError(f"{file} was trained with other settings: delete it, or name another folder.")
    network.load_state_dict(tensors)
    return network.eval(), float(about["seconds"])


def same_settings(stored: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether all stored settings have the values that they have now; methods may have been added since."""
    both = json.loads(json.dumps(now))
    return all(
        same_settings(value, both.get(key, {})) if isinstance(value, dict) else both.get(key) == value
        for key, value in stored.items()
    )
