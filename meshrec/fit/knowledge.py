"""What a fit knows about people besides landmarks and outlines: priors, and what is observed in other ways."""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshrec.fit.in_view import ViewTerms
from meshrec.fit.initial import Initial
from meshrec.fit.solver import Term
from meshrec.fit.terms import Closeness, UprightTerm
from meshrec.fit.turns import ObservedTurns
from meshrec.fit.unseen import UnseenLegs


@dataclass(frozen=True)
class Knowledge:
    """Terms of N people that depend on neither landmarks nor outlines.

    Attributes:
        everybody: Terms that are the same for all people, such as the prior of poses.
        upright: Term of the pelvis' orientation against gravity, which is estimated; None for no such term.
        initial: A regressor's estimates of the people.
        turns: Observed rotations of heads and wrists.
        legs: Prior of the people whose legs are not seen.
    """

    everybody: tuple[Term, ...]
    upright: UprightTerm | None
    initial: Initial | None = None
    turns: ObservedTurns | ViewTerms | None = None
    legs: UnseenLegs | None = None

    def __getitem__(self, index: slice) -> Knowledge:
        return replace(
            self,
            upright=self.upright and self.upright[index],
            initial=self.initial and self.initial[index],
            turns=self.turns and self.turns[index],
            legs=self.legs and self.legs[index],
        )

    def repeated(self, count: int) -> Knowledge:
        """What is known for ``count`` bodies of each person, those of one person next to each other."""
        return replace(
            self,
            upright=self.upright and self.upright.repeated(count),
            initial=self.initial and self.initial.repeated(count),
            turns=self.turns and self.turns.repeated(count),
            legs=self.legs and self.legs.repeated(count),
        )

    def terms(self) -> list[Term]:
        """All terms that there are."""
        terms: list[Term] = list(self.everybody)
        if self.upright is not None:
            terms.append(self.upright)
        if self.initial is not None:
            terms.append(Closeness(self.initial.state, self.initial.whiten))
        return terms + [term for term in (self.turns, self.legs) if term is not None]
