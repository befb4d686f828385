"""The settings of the fit."""

from dataclasses import dataclass

from meshrec.fit.contact import ContactSettings
from meshrec.fit.outline import OutlineSettings
from meshrec.fit.starts import StartSettings
from meshrec.fit.terms import LimitTerm, RestTerm, ShapeTerm, UprightTerm
from meshrec.fit.turns import TurnSettings
from meshrec.fit.unseen import UnseenSettings


@dataclass(frozen=True)
class Balance:
    """The weights of the evidence and the prior, and the annealing of the landmarks.

    Weights differ from 1 because no likelihood here is exact: the errors of landmarks are correlated, so are those of
    outlines, and the prior is smoother than the poses of people.

    Attributes:
        evidence: Factor of the landmarks' precision, and of the outline's weight.
        prior: Weight of the prior's log-density of poses.
        annealing: For each round, the cutoff of the landmarks' robust error, in standard deviations, and the number of
            steps with it. A wide first cutoff lets elbows and knees come from far away; a narrow last one would leave
            out not only wrong detections but also unusual poses.
    """

    evidence: float
    prior: float
    annealing: tuple[tuple[float, int], ...]


@dataclass(frozen=True)
class FitSettings:
    """How :class:`meshrec.fit.Fitter` weighs what it knows.

    Attributes:
        alone: Balance for people without a regressor's estimate. On detected renders a prior of 0.7 has 2 % less error
            in 3D than 0.35; on the training photos of LSP-extended, whose poses the prior covers less well, half a
            percentage point fewer of the 2D joints are right.
        beside_regressor: Balance for people with a regressor's estimate. Evidence and prior count less, since the
            regressor has seen the same landmarks and outlines. Chosen on detected renders, synthetic people and the
            training photos of LSP-extended, which do not agree: with landmarks weighted by the square of their
            confidence, renders have 2 mm less error, but in photos half a percentage point fewer of the 2D joints are
            right. With the heavy landmark network the same holds: an evidence of 1.5 has 0.8 percentage points more of
            the 2D joints right in 300 of those photos, but 2 to 5 mm more error on detected renders
            (``tools/compare_balances.py``).
        starts: Where fits without a regressor's estimate start. Fits with one start from it alone: additional starts
            from the library make some bodies in renders face the wrong way (173 mm of error before alignment instead of
            160).
        kept: Starts of each person that are kept after each round of the annealing but the last, which keeps one.
        outline: How the outline is matched.
        unseen: What is assumed about people whose legs the photo does not show.
        contact: How forearms are kept out of the rest of the body.
        limits: Term of the joint limits.
        upright: Term of the pelvis' orientation.
        knees: Term that keeps knees near their rest pose. From the front a slightly bent leg looks like a straight one,
            and most legs are straight. With half the deviation the knees of people in motion are 4 degrees too straight
            on detected renders.
        shape: Term of the betas, for people without a regressor's estimate.
        hands: Term that keeps hands near their rest pose, for people without a regressor's estimate. The prior of poses
            does not cover hands.
        turns: How the rotations of heads and wrists count that close looks at faces and hands show.

    Example:
        >>> from dataclasses import replace
        >>> from meshrec.fit import FitSettings
        >>> usual = FitSettings()
        >>> settings = FitSettings(alone=replace(usual.alone, prior=0.7), kept=1)
        >>> settings.alone.prior, settings.kept, settings.knees == usual.knees
        (0.7, 1, True)
    """

    alone: Balance = Balance(evidence=1.0, prior=0.5, annealing=((30.0, 6), (15.0, 5), (10.0, 4)))
    beside_regressor: Balance = Balance(evidence=0.8, prior=0.2, annealing=((8.0, 4), (6.0, 4), (4.0, 4)))
    starts: StartSettings = StartSettings()
    kept: int = 2
    outline: OutlineSettings = OutlineSettings()
    unseen: UnseenSettings = UnseenSettings()
    contact: ContactSettings = ContactSettings()
    limits: LimitTerm = LimitTerm()
    upright: UprightTerm = UprightTerm()
    knees: RestTerm = RestTerm(("left_knee", "right_knee"), deviation=0.6, freedom=1)
    shape: ShapeTerm = ShapeTerm()
    hands: RestTerm = RestTerm(("left_hand", "right_hand"), deviation=0.2, freedom=10)
    turns: TurnSettings = TurnSettings()
