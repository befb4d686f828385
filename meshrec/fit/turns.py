"""Observed rotations of single joints, as close looks at faces and hands give them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import joint_index
from meshrec.body.kinematics import KinematicTree, global_rotations
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.fit.solver import Quadratic
from meshrec.geometry import Camera
from meshrec.geometry.tangent import right_jacobian_inverse, turns_between
from meshrec.landmarks.rigid_parts import deviations, observed_rotation

JOINTS = ("head", "left_wrist", "right_wrist")


@dataclass(frozen=True)
class TurnSettings:
    """How the fit weighs what close looks at faces and hands say.

    Attributes:
        weight: Factor of the precision of the observed rotations; 0 leaves them out.
        freedom: Degrees of freedom of the Student t distribution of their errors. Few let wrong observations go.

    On the training people of ``tools/measure_close_ups.py``, weights from 0.5 to 1 and freedoms of 1 and 2 differ by
    less than 0.5 mm of aligned error and by 2 degrees.
    """

    weight: float = 0.7
    freedom: float = 2.0


@dataclass(frozen=True)
class ObservedTurns:
    """Error of the rotations of joints from rest to camera space, each with a Student t distribution.

    Attributes:
        tree: The body's tree.
        joints: Indices of the J joints that may be observed.
        rotations: (B, J, 3, 3) observed rotations.
        precision: (B, J, 3) inverse standard deviations of the rotations about the joints' own axes, 1 / radians; 0 for
            joints that were not observed.
        freedom: Degrees of freedom.
    """

    tree: KinematicTree
    joints: tuple[int, ...]
    rotations: Tensor
    precision: Tensor
    freedom: float

    @classmethod
    def of(
        cls, detections: Sequence[Detection], camera: Camera, tree: KinematicTree, settings: TurnSettings
    ) -> "ObservedTurns | None":
        """The observations of N people in a photo; None without any.

        Args:
            detections: The people.
            camera: The photo's camera.
            tree: The body's tree.
            settings: How to weigh them.
        """
        rotations = torch.eye(3, dtype=torch.float64).repeat(len(detections), len(JOINTS), 1, 1)
        precision = torch.zeros(len(detections), len(JOINTS), 3, dtype=torch.float64)
        for i, close in ((i, close) for i, person in enumerate(detections) for close in person.close_ups):
            ray = camera.unproject(torch.tensor([[*close.center.tolist(), 1.0]], dtype=torch.float64))[0]
            j = JOINTS.index(close.joint)
            rotations[i, j] = observed_rotation(close.joint, close.points, ray)
            precision[i, j] = settings.weight / deviations(close.joint)
        index = tuple(joint_index(name, "smpl24") for name in JOINTS)
        return cls(tree, index, rotations, precision, settings.freedom) if precision.any() else None

    def __getitem__(self, index: slice) -> "ObservedTurns":
        return replace(self, rotations=self.rotations[index], precision=self.precision[index])

    def repeated(self, count: int) -> "ObservedTurns":
        """The term for ``count`` bodies of each person, those of one person next to each other."""
        rotations, precision = (t.repeat_interleave(count, 0) for t in (self.rotations, self.precision))
        return replace(self, rotations=rotations, precision=precision)

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        from meshrec.fit.term_kernels import add_observed

        frames = global_rotations(state.rotations, self.tree)
        turns = turns_between(self.rotations, frames[:, self.joints])
        found = Quadratic.zero(state)
        arrays = [part.numpy() for part in (turns, right_jacobian_inverse(turns), self.precision.contiguous())]
        index, parents = np.array(self.joints), np.array(self.tree.parents)
        add_observed(frames.contiguous().numpy(), index, parents, *arrays, float(self.freedom), *found.arrays)
        return found
