"""In which of several cameras a detector has taken a person's left for their right.

A knee that one camera calls left and another calls right has no place in space. Two views therefore tell whether their
sides agree, by how far the landmarks are from the epipolar constraint, and all pairs of views together tell which views
agree with which. Two groups remain, of which one is wrong: which one, only a body can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import torch

from meshrec.body.joints import flip_permutation
from meshrec.detect.people import Detection
from meshrec.geometry.cameras import Camera
from meshrec.geometry.triangulation import epipolar_errors
from meshrec.landmarks.placements import precision

MOST_TRIED = 10  # views whose sides are compared in all combinations; of more, one is changed at a time


@dataclass(frozen=True)
class ViewSideSettings:
    """What decides between the sides.

    Attributes:
        cutoff: Error of a landmark at which its cost is half its maximum, in standard deviations.
        least: By how much exchanged sides must lower the cost, for each landmark that a pair of views shares.
    """

    cutoff: float = 5.0
    least: float = 0.3


def disagreements(
    people: Sequence[Detection], cameras: Sequence[Camera], settings: ViewSideSettings = ViewSideSettings()
) -> np.ndarray:
    """Costs of all pairs of views, as they are and with the sides of one of the two exchanged.

    Args:
        people: One person in V views, with keypoints of one joint set.
        cameras: The V cameras, with extrinsics.
        settings: Cutoff.

    Returns:
        (V, V, 2) mean robust squares of epipolar errors, in standard deviations, symmetric.
    """
    joints, count = people[0].joint_set, len(people)
    swap = flip_permutation(joints)
    keypoints = torch.tensor(np.stack([person.keypoints for person in people]), dtype=torch.float64)
    boxes = torch.tensor(np.stack([person.box for person in people]), dtype=torch.float64)
    costs = np.zeros((count, count, 2))
    weights = np.stack(
        [precision(joints, k[None], b[None], c.size)[0].numpy() for k, b, c in zip(keypoints, boxes, cameras)]
    )
    pixels = keypoints[..., :2].numpy()
    paired = swap != np.arange(len(swap))
    for a, b in combinations(range(count), 2):
        for way, order in enumerate((np.arange(len(swap)), swap)):
            both = (weights[a] > 0) & (weights[b][order] > 0) & paired
            if not both.any():
                continue
            deviations = 1 / weights[a][both], 1 / weights[b][order][both]
            error = epipolar_errors(pixels[a][both], pixels[b][order][both], deviations, (cameras[a], cameras[b]))
            squared = np.square(error)
            costs[a, b, way] = costs[b, a, way] = (squared * settings.cutoff**2 / (settings.cutoff**2 + squared)).mean()
    return costs


def side_candidates(
    people: Sequence[Detection], cameras: Sequence[Camera], settings: ViewSideSettings = ViewSideSettings()
) -> list[tuple[bool, ...]]:
    """Which views may have left and right exchanged.

    Args:
        people: One person in V views, with keypoints of one joint set.
        cameras: The V cameras, with extrinsics.
        settings: What decides.

    Returns:
        Candidates, each V booleans, likeliest first. One if all views agree as they are; else the two ways in which
        they agree, and as they are.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect import Detection
        >>> from meshrec.detect.sides import exchanged
        >>> from meshrec.detect.view_sides import side_candidates
        >>> from meshrec.geometry import Camera
        >>> points = np.random.default_rng(0).uniform((40, 40), (180, 180), (17, 2))
        >>> keypoints = np.column_stack([points, np.ones(17)])
        >>> person = Detection(np.array([40, 40, 180, 180]), keypoints, "coco17", 0.9)
        >>> row = [Camera(500.0, translation=[-x, 0.0, 0.0]) for x in (0.0, 1.0, 2.0)]  # very far away
        >>> side_candidates([person, exchanged(person), person], row)
        [(False, True, False), (True, False, True), (False, False, False)]
    """
    count = len(people)
    as_they_are = (False,) * count
    if count < 2:
        return [as_they_are]
    costs = disagreements(people, cameras, settings)

    def cost(labels: Sequence[bool]) -> float:
        return sum(costs[a, b, int(labels[a] != labels[b])] for a, b in combinations(range(count), 2))

    if count <= MOST_TRIED:
        best = min(((False, *rest) for rest in product((False, True), repeat=count - 1)), key=cost)
    else:
        best, improved = as_they_are, True
        while improved:
            changed = [tuple(side != (i == v) for i, side in enumerate(best)) for v in range(count)]
            ahead = min(changed, key=cost)
            improved = cost(ahead) < cost(best) - 1e-9
            best = ahead if improved else best
    changed_pairs = sum(best[a] != best[b] for a, b in combinations(range(count), 2))
    if cost(as_they_are) - cost(best) <= settings.least * changed_pairs:
        return [as_they_are]
    other = tuple(not side for side in best)
    first, second = sorted((best, other), key=sum)
    return [first, second, as_they_are]
