"""What a fit is given about people: their landmarks, and what else is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from torch import Tensor

from meshrec.fit.in_view import SeenInViews
from meshrec.fit.knowledge import Knowledge
from meshrec.fit.solver import Term
from meshrec.fit.terms import Reprojection
from meshrec.fit.unseen import LEGS_AND_FEET

Seen = TypeVar("Seen", Reprojection, SeenInViews)


@dataclass(frozen=True)
class Evidence(Generic[Seen]):
    """Landmarks and knowledge of N people, or of one person in N frames.

    Attributes:
        seen: The detected landmarks, of one camera or several.
        known: What is known besides.
        unseen: (N,) how far legs are not seen; see :func:`meshrec.fit.unseen.unseen_legs`.
        joints: Joint set of the landmarks.
    """

    seen: Seen
    known: Knowledge
    unseen: Tensor
    joints: str

    def __len__(self) -> int:
        return len(self.seen)

    def __getitem__(self, index: slice) -> Evidence[Seen]:
        return replace(self, seen=self.seen[index], known=self.known[index], unseen=self.unseen[index])

    def terms(self) -> list[Term]:
        """All terms that there are."""
        return [self.seen, *self.known.terms()]

    def hidden(self, number: int) -> Sequence[int]:
        """Joints of one person whose parts of the skin the photo does not show."""
        return LEGS_AND_FEET if self.unseen[number] > 0.5 else ()
