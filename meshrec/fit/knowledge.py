"""What a fit knows about people besides landmarks and outlines: priors, and what is observed in other ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from meshrec.fit.initial import Initial
from meshrec.fit.solver import Term
from meshrec.fit.terms import Closeness, UprightTerm
from meshrec.fit.turns import ObservedTurns
from meshrec.fit.unseen import UnseenLegs

_Part = TypeVar("_Part", Initial, ObservedTurns, UnseenLegs)


@dataclass(frozen=True)
class Knowledge:
    """Terms of N people that depend on neither landmarks nor outlines.

    Attributes:
        everybody: Terms that are the same for all people, such as the prior of poses.
        upright: Term of the pelvis' orientation against gravity.
        initial: A regressor's estimates of the people.
        turns: Observed rotations of heads and wrists.
        legs: Prior of the people whose legs are not seen.
    """

    everybody: tuple[Term, ...]
    upright: UprightTerm
    initial: Initial | None = None
    turns: ObservedTurns | None = None
    legs: UnseenLegs | None = None

    def __getitem__(self, index: slice) -> Knowledge:
        return self._each(lambda part: part[index])

    def repeated(self, count: int) -> Knowledge:
        """What is known for ``count`` bodies of each person, those of one person next to each other."""
        return self._each(lambda part: part.repeated(count))

    def terms(self) -> list[Term]:
        """All terms that there are."""
        closeness = self.initial and Closeness(self.initial.state, self.initial.whiten)
        parts = (closeness, self.turns, self.legs)
        return [*self.everybody, self.upright, *(part for part in parts if part is not None)]

    def _each(self, change: Callable[[_Part], _Part]) -> Knowledge:
        parts = {name: getattr(self, name) for name in ("initial", "turns", "legs")}
        return replace(self, **{name: part if part is None else change(part) for name, part in parts.items()})
