"""How far from the camera methods place people: Moon 2019, and our networks with and without the fit.

A method places the root, the middle of the hips. Errors are those of its position and of its distance from the camera,
which do not depend on how a camera is turned, so that methods may have cameras of their own at the same place.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.joints import root_indices
from meshrec.comparison.bench import GROUPS, JOINTS, SEEN_AT_ONCE, Bench, kept_training
from meshrec.evaluation.datasets import synthetic_set
from meshrec.evaluation.lifting import AT_ONCE
from meshrec.evaluation.methods import load_method, methods_of
from meshrec.evaluation.prediction import Predictor
from meshrec.evaluation.subjects import assumed_camera, load_subjects
from meshrec.evaluation.truth import labelled_joints
from meshrec.models.root_depth import REAL_AREA, RootNet, RootNetConfig
from meshrec.training.pictured import PicturedPeople
from meshrec.training.seeing import train_to_see

SHIPPED = "keypoints"


@dataclass(frozen=True)
class RootErrors:
    """Errors of N people.

    Attributes:
        position: (N,) distances of the root from its true position, metres.
        distance: (N,) absolute errors of its distance from the camera, as a share of the true one.
    """

    position: np.ndarray
    distance: np.ndarray


def root_errors(found: Tensor, true: Tensor) -> RootErrors:
    """The errors of roots.

    Args:
        found, true: (N, 3) positions in the space of a camera, metres.

    Example:
        >>> import torch
        >>> from meshrec.comparison.root_depth import root_errors
        >>> errors = root_errors(torch.tensor([[0.0, 0.0, 4.4]]), torch.tensor([[0.0, 0.0, 4.0]]))
        >>> round(float(errors.position[0]), 3), round(float(errors.distance[0]), 3)
        (0.4, 0.1)
    """
    ranges = found.norm(dim=-1), true.norm(dim=-1)
    return RootErrors((found - true).norm(dim=-1).numpy(), ((ranges[0] - ranges[1]).abs() / ranges[1]).numpy())


def fitted_area(people: PicturedPeople) -> float:
    """The constant A_real with which the median of the depth of a box is right, square metres.

    Args:
        people: The people to learn from.
    """
    unit = RootNet(RootNetConfig(channels=2, real_area=1.0)).depth_of_crop(people.focal)
    return float((people.root[:, 2] / unit).median() ** 2)


@torch.no_grad()
def by_box(people: PicturedPeople, real_area: float) -> RootErrors:
    """The depth of the box alone, with the root where the picture shows it.

    Args:
        people: The people to measure on.
        real_area: Area that a person fills in space, square metres.
    """
    depth = RootNet(RootNetConfig(channels=2, real_area=real_area)).depth_of_crop(people.focal)[:, None]
    seen = people.root[:, :2] / people.root[:, 2:]
    return root_errors(torch.cat([seen * depth, depth], dim=-1), people.root)


def by_picture(bench: Bench, real_area: float) -> tuple[RootErrors, float]:
    """RootNet, trained or from the weights that are kept as ``rootnet.safetensors``.

    Args:
        bench: What the comparison's methods share.
        real_area: Area that a person fills in space, square metres.

    Returns:
        The errors, and the processor time of the training, seconds.
    """
    config, training = RootNetConfig(bench.config.rootnet.channels, real_area), bench.config.root_seeing
    settings = {"pictures": asdict(bench.config.pictures), "seeing": asdict(training), "network": asdict(config)}
    network, seconds = kept_training(
        bench.out / "rootnet.safetensors", RootNet(config), settings,
        lambda: train_to_see(
            lambda: RootNet(config), bench.pictures, lambda net, batch: net.loss(batch.image, batch.root, batch.focal),
            training, JOINTS,
        ),
    )  # fmt: skip
    people = bench.pictured
    with torch.inference_mode():
        parts = zip(people.image.split(SEEN_AT_ONCE), people.focal.split(SEEN_AT_ONCE))
        found = torch.cat([network(image, focal) for image, focal in parts])
    return root_errors(found, people.root), seconds


def by_body(body: BodyModel, limit: int | None = None) -> dict[str, RootErrors]:
    """The shipped network of keypoints and the fit that follows it, by their names.

    They see simulated landmarks in place of the picture.

    Args:
        body: The people's body.
        limit: Largest number of people, evenly spread.
    """
    (method,) = (one for one in methods_of([SHIPPED], fit=True) if one.fit)
    network, fit = load_method(method, body, detected=True).predictors
    labels = {f"network `{SHIPPED}`, its body": network, f"network `{SHIPPED}` and the fit, its body": fit}
    return {label: _of_bodies(predictor, body, limit) for label, predictor in labels.items()}


@torch.no_grad()
def _of_bodies(predictor: Predictor, body: BodyModel, limit: int | None) -> RootErrors:
    data = synthetic_set(body)
    data = data if limit is None else data.thinned(limit)
    found, true, root = [], [], root_indices(JOINTS)
    for first in range(0, len(data.rows), AT_ONCE):
        rows = data.rows[first : first + AT_ONCE]
        subjects = load_subjects(data, rows, None, assumed_camera, looks=predictor.looks)
        vertices = predictor(subjects)[predictor.stages[-1]].vertices
        found.append(body.joints_from(vertices, JOINTS)[:, root].mean(1))
        labels = np.stack([labelled_joints(s.sample, JOINTS)[root, :3].mean(0) for s in subjects])
        true.append(torch.from_numpy(labels))
    return root_errors(torch.cat(found), torch.cat(true))


def root_table(bench: Bench, limit_of_bodies: int | None, note: Callable[[str], None] = lambda line: None) -> str:
    """The table of all methods, as Markdown.

    Args:
        bench: What the comparison's methods share.
        limit_of_bodies: Largest number of people for the network and the fit.
        note: Called with each line as soon as it is known.
    """
    area = fitted_area(bench.pictures)
    heads = ["", "error of the position, mm, usual / hard", "of the distance, %, usual / hard", "minutes of training"]
    lines = [f"| {' | '.join(heads)} |", "| --- | ---: | ---: | ---: |"]

    def add(label: str, errors: RootErrors, groups: dict[str, list[int]], minutes: str = "-") -> None:
        cells = [
            " / ".join(f"{scale * values[groups[group]].mean():.{digits}f}" for group in GROUPS)
            for values, scale, digits in ((errors.position, 1000, 0), (errors.distance, 100, 1))
        ]
        lines.append(f"| {label} | {' | '.join(cells)} | {minutes} |")
        note(lines[-1])

    add("the box alone, 2 m x 2 m", by_box(bench.pictured, REAL_AREA), bench.groups)
    side = area**0.5
    add(f"the box alone, {side:.2f} m x {side:.2f} m", by_box(bench.pictured, area), bench.groups)
    errors, seconds = by_picture(bench, area)
    add("RootNet: the box, corrected by the picture (Moon 2019)", errors, bench.groups, f"{seconds / 60:.1f}")
    thinned = Bench(bench.out, bench.config, limit_of_bodies)
    for label, errors in by_body(bench.body, limit_of_bodies).items():
        add(label, errors, thinned.groups)
    return "\n".join(lines) + "\n"
