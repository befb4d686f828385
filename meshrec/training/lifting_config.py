"""The settings of the methods that tools/compare_methods.py compares, as configs/lifting.yaml holds them."""

from dataclasses import dataclass, field

from meshrec.fit.sparse_pose import SparsePoseConfig
from meshrec.models.lifting_baseline import BaselineConfig
from meshrec.models.locally_connected import LocallyConnectedConfig
from meshrec.training.lifting import LiftingTraining


@dataclass(frozen=True)
class LiftingConfig:
    """Settings of all methods.

    Attributes:
        training: the people, and how networks are trained.
        baseline: the fully connected network with residual blocks.
        locally_connected: the network that connects near joints.
        sparse_pose: the sparse sums of a dictionary of poses.
    """

    training: LiftingTraining = field(default_factory=LiftingTraining)
    baseline: BaselineConfig = field(default_factory=BaselineConfig)
    locally_connected: LocallyConnectedConfig = field(default_factory=LocallyConnectedConfig)
    sparse_pose: SparsePoseConfig = field(default_factory=SparsePoseConfig)
