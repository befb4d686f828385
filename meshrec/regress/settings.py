"""The settings of a network as regressor."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RegressorSettings:
    """The crops that a network sees, and the uncertainty that is assumed for it.

    Attributes:
        margin: Side of a person's crop, as a multiple of the longer side of the keypoints' box. On synthetic people the
            body's own box is 1.13 times as large as the keypoints', and the crops of training are 1.08 to 1.4 times as
            large as the body's.
        usual_turn: Standard deviation of a joint's rotation for a network without measured errors, radians.
        usual_beta: Standard deviation of its betas.
        other_rest: Standard deviation that is added to each joint's rotation if the network was trained with another
            body, radians: at rest, the limbs of two bodies point in different directions.

    Example:
        >>> from meshrec.regress import RegressorSettings
        >>> RegressorSettings(margin=1.4)
        RegressorSettings(margin=1.4, usual_turn=0.3, usual_beta=1.0, other_rest=0.1)
    """

    margin: float = 1.3
    usual_turn: float = 0.3
    usual_beta: float = 1.0
    other_rest: float = 0.1
