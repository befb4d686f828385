"""The settings of the fit of one instant in several views."""

from __future__ import annotations

from dataclasses import dataclass

from meshrec.detect.view_sides import ViewSideSettings
from meshrec.fit.settings import Balance


@dataclass(frozen=True)
class ViewSettings:
    """How a body is fitted in several views.

    Attributes:
        balance: Weights, and annealing of the landmarks. With two and four simulated cameras on the takes of
            ``tools/measure_views.py`` priors from 0.2 to 0.4 differ by less than 2 mm, and a last cutoff of 3 has 1 to
            2 mm less error than one of 4.
        starts: Number of starts from which the fit goes on: those that explain all views best.
        placing: Rounds of reweighted least squares by which a start is placed in the world.
        cutoff: Error of a landmark at which its cost is half its maximum while starts are placed and compared, in
            standard deviations.
        sides: When views have left and right exchanged.
    """

    balance: Balance = Balance(evidence=1.0, prior=0.3, annealing=((20.0, 5), (8.0, 5), (3.0, 5)))
    starts: int = 3
    placing: int = 4
    cutoff: float = 20.0
    sides: ViewSideSettings = ViewSideSettings()
