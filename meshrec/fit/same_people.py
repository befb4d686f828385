"""Which people in uncalibrated cameras are the same, by the bodies that each camera has of them.

A pair of bodies that are taken for one person says how the two cameras stand to each other. All other people have to
agree: seen by cameras that stand like this, they are turned and placed alike, and in whatever camera, one person has
one pose and wears one set of clothes. Assignments of the detections to people are searched camera after camera, and the
likeliest few are kept. Two people who stand symmetrically, such as face to face, can be told apart by their poses and
clothes alone; what is left open is returned as further candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from meshrec.detect.clothes_colors import color_difference
from meshrec.geometry.relative_poses import mean_rotation


@dataclass(frozen=True)
class SamePeopleSettings:
    """Errors of the bodies that single views give.

    Attributes:
        turn: Standard deviation of the root's rotation, degrees.
        place: Standard deviation of a body's place, as a share of its distance.
        pose: Standard deviation of the mean difference of two views' joint rotations of one person, degrees.
        color: Standard deviation of the difference of clothes' colours of one person, in [0, 1].
        alone: Cost of a body that no other camera's body belongs to; a pair of bodies that costs more than two of these
            is no pair.
        kept: Number of assignments that are kept.
    """

    turn: float = 20.0
    place: float = 0.15
    pose: float = 12.0
    color: float = 0.12
    alone: float = 8.0
    kept: int = 4


@dataclass(frozen=True, eq=False)
class SeenBodies:
    """The bodies that one camera sees.

    Attributes:
        rotations: (N, 24, 3, 3) local rotations; the first turns the body into camera space.
        places: (N, 3) of the pelvises in camera space, metres.
        colors: (N, 2, 3) of clothes, as :func:`meshrec.detect.clothes_colors.clothes_colors` gives them; NaN where
            unknown.
    """

    rotations: np.ndarray
    places: np.ndarray
    colors: np.ndarray

    def __len__(self) -> int:
        return len(self.rotations)


@dataclass(frozen=True)
class Assignment:
    """Which bodies are whose.

    Attributes:
        people: For each person, by index of the camera, the index of the body.
        cost: Negative log-likelihood, up to a constant.
    """

    people: tuple[dict[int, int], ...]
    cost: float


def same_people(views: Sequence[SeenBodies], settings: SamePeopleSettings = SamePeopleSettings()) -> list[Assignment]:
    """Find out which bodies of several cameras are those of the same people.

    Args:
        views: What each of V cameras sees, at least one body.
        settings: Errors to expect.

    Returns:
        Assignments, the likeliest first. Each has every body once, and those in most cameras first.

    Example:
        Two people; the other camera stands behind them and sees them in the other order.

        >>> import numpy as np
        >>> from meshrec.fit.same_people import SeenBodies, same_people
        >>> def seen(turn, places):
        ...     rotations = np.tile(np.eye(3), (2, 24, 1, 1))
        ...     rotations[:, 0] = turn
        ...     return SeenBodies(rotations, np.array(places), np.full((2, 2, 3), np.nan))
        >>> front = seen(np.diag([1.0, -1, -1]), [[-0.5, 0, 4], [0.5, 0, 5.0]])
        >>> behind = seen(np.diag([-1.0, -1, 1]), [[-0.5, 0, 3.0], [0.5, 0, 4]])
        >>> same_people([front, behind])[0].people
        ({0: 0, 1: 1}, {0: 1, 1: 0})
    """
    order = sorted(range(len(views)), key=lambda v: -len(views[v]))
    beam = [_Partly.of(order[0], views[order[0]])]
    for number in order[1:]:
        grown = [ahead for partly in beam for ahead in partly.with_view(number, views, settings)]
        beam, known = [], set()
        for partly in sorted(grown, key=lambda p: p.cost):
            if partly.key not in known and len(beam) < settings.kept:
                known.add(partly.key)
                beam.append(partly)
    return [partly.assignment for partly in beam]


@dataclass(frozen=True, eq=False)
class _Partly:
    """An assignment of some cameras' bodies, and people's roots (M, 3, 3) and places (M, 3) in the world."""

    people: tuple[dict[int, int], ...]
    roots: np.ndarray
    places: np.ndarray
    cost: float

    @classmethod
    def of(cls, number: int, view: SeenBodies) -> _Partly:
        return cls(tuple({number: i} for i in range(len(view))), view.rotations[:, 0], view.places, 0.0)

    @property
    def key(self) -> frozenset[tuple[tuple[int, int], ...]]:
        """The assignment, whatever the order of people."""
        return frozenset(tuple(sorted(person.items())) for person in self.people)

    @property
    def assignment(self) -> Assignment:
        return Assignment(tuple(sorted(self.people, key=lambda own: (-len(own), min(own.items())))), self.cost)

    def with_view(self, number: int, views: Sequence[SeenBodies], settings: SamePeopleSettings) -> list[_Partly]:
        """Assignments with one more camera: one for each way in which one of its bodies may be a known person."""
        view, found = views[number], []
        bodies = range(len(view))
        looks = np.array([[_looks(person, l, number, views, settings) for l in bodies] for person in self.people])
        for k in range(len(self.people)):
            for l in bodies:
                pairs = [(k, l)]
                for _ in range(2):  # the second time with what all pairs of the first say of the camera
                    pairs, cost = self._paired(*self._camera(view, pairs), view, looks, settings)
                    if not pairs:
                        break
                found.append(self._joined(number, view, pairs, cost))
        return found

    def _paired(
        self, turn: np.ndarray, shift: np.ndarray, view: SeenBodies, looks: np.ndarray, settings: SamePeopleSettings
    ) -> tuple[list[tuple[int, int]], float]:
        """Pairs of people and bodies, and their cost, if a camera stands like this."""
        off = turn @ self.roots[:, None] @ view.rotations[None, :, 0].swapaxes(-1, -2)
        angle = np.degrees(np.arccos(np.clip((np.trace(off, axis1=-2, axis2=-1) - 1) / 2, -1, 1)))
        apart = np.linalg.norm((self.places @ turn.T + shift)[:, None] - view.places[None], axis=-1)
        scale = settings.place * np.maximum(np.linalg.norm(view.places, axis=-1), 0.5)
        cost = ((angle / settings.turn) ** 2 + (apart / scale) ** 2) / 2 + looks
        most = 2 * settings.alone
        rows, columns = linear_sum_assignment(np.minimum(cost, most))
        pairs = [(int(k), int(l)) for k, l in zip(rows, columns) if cost[k, l] < most]
        alone = sum(cost.shape) - 2 * len(pairs)
        return pairs, float(sum(cost[k, l] for k, l in pairs)) + alone * settings.alone

    def _camera(self, view: SeenBodies, pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) and translation (3,) from the world to a camera's space, as pairs of bodies have them."""
        known, seen = [k for k, _ in pairs], [l for _, l in pairs]
        turns = view.rotations[seen, 0] @ self.roots[known].swapaxes(-1, -2)
        turn = mean_rotation(turns, np.ones(len(pairs)))
        return turn, np.mean(view.places[seen] - self.places[known] @ turn.T, axis=0)

    def _joined(self, number: int, view: SeenBodies, pairs: list[tuple[int, int]], cost: float) -> _Partly:
        people = [dict(person) for person in self.people]
        if not pairs:
            return _Partly(self.people, self.roots, self.places, np.inf)
        turn, shift = self._camera(view, pairs)
        seen = [l for _, l in pairs]
        for k, l in pairs:
            people[k][number] = l
        new = [l for l in range(len(view)) if l not in seen]
        people += [{number: l} for l in new]
        return _Partly(
            tuple(people),
            np.concatenate([self.roots, turn.T @ view.rotations[new, 0]]),
            np.concatenate([self.places, (view.places[new] - shift) @ turn]),
            self.cost + cost,
        )


def _looks(
    person: dict[int, int], body: int, number: int, views: Sequence[SeenBodies], settings: SamePeopleSettings
) -> float:
    """Cost of a body's differences in pose and clothes from a person's other bodies, of their mean."""
    own, costs = views[number], []
    for other, index in person.items():
        seen = views[other]
        off = own.rotations[body, 1:] @ seen.rotations[index, 1:].swapaxes(-1, -2)
        angle = np.degrees(np.arccos(np.clip((np.trace(off, axis1=-2, axis2=-1) - 1) / 2, -1, 1))).mean()
        color = color_difference(own.colors[body], seen.colors[index])
        costs.append(((angle / settings.pose) ** 2 + (color / settings.color) ** 2) / 2)
    return float(np.mean(costs))
