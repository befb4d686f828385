"""Legs that a photo does not show, because its edge cuts them off or something hides them.

A regressor's errors were measured on all people together, most of whom are seen whole, so for these people its
covariance promises too much: its estimate leans, and the legs are bent halfway between standing and sitting. Nor does a
mask end where such legs end. Here the estimate of what is not seen gets an additional variance, unseen legs get the
pose of people who stand or sit, and the trunk is kept from leaning towards the camera or away from it, which the
landmarks of a trunk alone can hardly tell.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from meshrec.body.joints import NUM_JOINTS, POSE_SIZE, joint_index, joint_set
from meshrec.body.state import BodyState
from meshrec.fit.solver import Quadratic, squares
from meshrec.fit.terms import joint_squares
from meshrec.geometry.tangent import right_jacobian_inverse, turns_between
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_jacobians
from meshrec.poses.everyday_poses import everyday_poses

SIDES = ("left", "right")
LEGS = tuple(joint_index(f"{side}_{part}", "smpl24") for part in ("hip", "knee", "ankle") for side in SIDES)
LEGS_AND_FEET = (*LEGS, *(joint_index(f"{side}_foot", "smpl24") for side in SIDES))
TRUNK = tuple(joint_index(name, "smpl24") for name in ("spine1", "spine2", "spine3"))
SITTING = 45.0  # degrees by which both hips of a pose are bent on average that counts as sitting


@dataclass(frozen=True)
class UnseenSettings:
    """How legs are recognised as unseen, and what is assumed about people whose legs are.

    Attributes:
        clear, faint: Mean confidence of the better of knee and ankle of both legs from which on the legs are seen, and
            up to which they are not; in between they are partly seen.
        hips: Factor of the precision of the landmarks of the hips of a person with unseen legs.
        root, spine, legs: Standard deviations of the additional errors of a regressor's estimate of such a person, of
            the joints of the pelvis, the spine and the legs, radians.
        lean: Standard deviation of the trunk's lean along the line of sight, radians.
        least: Standard deviation that is added to those of the everyday poses' legs, radians.
        weight: Weight of the legs' term.
    """

    clear: float = 0.6
    faint: float = 0.3
    hips: float = 0.5
    root: float = 0.3
    spine: float = 0.15
    legs: float = 1.0
    lean: float = 0.07
    least: float = 0.1
    weight: float = 0.3


def unseen_legs(
    joints: str, keypoints: Tensor, size: tuple[int, int], settings: UnseenSettings = UnseenSettings()
) -> Tensor:
    """How far the legs of people are not seen.

    Args:
        joints: Joint set of the keypoints.
        keypoints: (B, K, 3) x, y in photo pixels, and confidence.
        size: (W, H) of the photo, pixels.
        settings: What counts as seen.

    Returns:
        (B,) from 0 for legs that are seen, or of which the joint set knows nothing, to 1 for those that are not.
    """
    names = joint_set(joints)
    x, y, confidence = keypoints.unbind(-1)
    inside = (x > -0.5) & (x < size[0] - 0.5) & (y > -0.5) & (y < size[1] - 0.5)
    seen = torch.where(inside, confidence, 0)
    legs = [[names.index(n) for n in (f"{side}_knee", f"{side}_ankle") if n in names] for side in SIDES]
    if not all(legs):
        return keypoints.new_zeros(len(keypoints))
    mean = torch.stack([seen[:, leg].amax(1) for leg in legs]).mean(0)
    return ((settings.clear - mean) / (settings.clear - settings.faint)).clamp(0, 1)


def less_sure(whiten: Tensor, unseen: Tensor, settings: UnseenSettings = UnseenSettings()) -> Tensor:
    """Square roots of the information about people with unseen legs.

    The covariance C of an estimate becomes C + D, where D is diagonal. With C^-1 = W^T W, the inverse of the sum is
    W^T (I + W D W^T)^-1 W (Woodbury's identity), which also holds where the estimate says nothing of some unknowns.

    Args:
        whiten: (B, M, P) square roots W; see :class:`meshrec.fit.terms.Closeness`.
        unseen: (B,) as :func:`unseen_legs` returns it.
        settings: The additional errors.

    Returns:
        (B, M, P) square roots of the same form.
    """
    deviation = whiten.new_zeros(NUM_JOINTS)
    deviation[0], deviation[list(TRUNK)], deviation[list(LEGS)] = settings.root, settings.spine, settings.legs
    variance = pad(deviation.square().repeat_interleave(3), (0, whiten.shape[-1] - POSE_SIZE))
    added = unseen[:, None] * variance
    spread = torch.eye(whiten.shape[1]).to(whiten) + (whiten * added[:, None]) @ whiten.mT
    return torch.linalg.solve_triangular(torch.linalg.cholesky(spread), whiten, upper=False)


@dataclass(frozen=True)
class UnseenLegs:
    """Prior of people whose legs are not seen: legs as in everyday poses, and a trunk that hardly leans.

    The legs have a mixture of two Gaussians, of people who stand or walk and of people who sit; the likelier of the
    two counts. The trunk's lean is the distance along the line of sight between the middles of the shoulders and of the
    hips, over their distance at rest.

    Attributes:
        skeleton: The ``smpl24`` joints as landmarks.
        unseen: (B,) weight of the term for each person, as :func:`unseen_legs` returns it.
        settings: What is assumed.
    """

    skeleton: LandmarkMoments
    unseen: Tensor
    settings: UnseenSettings = UnseenSettings()

    def __getitem__(self, index: slice) -> "UnseenLegs":
        return UnseenLegs(self.skeleton, self.unseen[index], self.settings)

    def repeated(self, count: int) -> "UnseenLegs":
        """The term for ``count`` bodies of each person, those of one person next to each other."""
        return UnseenLegs(self.skeleton, self.unseen.repeat_interleave(count, 0), self.settings)

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        sum_of = self._lean(state) + self._legs(state)
        return Quadratic(
            self.unseen * sum_of.energy,
            self.unseen[:, None] * sum_of.gradient,
            self.unseen[:, None, None] * sum_of.hessian,
        )

    def _lean(self, state: BodyState) -> Quadratic:
        points, jacobian = landmark_jacobians(self.skeleton, state)
        shoulders, hips = ([joint_index(f"{s}_{part}", "smpl24") for s in SIDES] for part in ("shoulder", "hip"))
        rest = self.skeleton.rest_joints
        scale = self.settings.lean * float(rest[shoulders, 1].mean() - rest[hips, 1].mean())
        depth = (points[:, shoulders, 2].mean(1) - points[:, hips, 2].mean(1)) / scale
        slopes = (jacobian[:, shoulders, 2].mean(1) - jacobian[:, hips, 2].mean(1)) / scale
        return squares(depth[:, None], slopes[:, None], slice(None), state.unknowns)

    def _legs(self, state: BodyState) -> Quadratic:
        centers, deviations, heights = _usual_legs()
        turns = turns_between(centers[:, None], state.rotations[:, LEGS])  # (2, B, 6, 3)
        spread = (deviations.square() + self.settings.least**2).sqrt()
        energies = (turns / spread[:, None]).square().sum((2, 3)) / 2 + (spread.log().sum((1, 2)) - heights)[:, None]
        best = energies.argmin(0)
        each = torch.arange(len(best))
        own, scale = turns[best, each], spread[best][..., None] / self.settings.weight**0.5
        values, slopes = own / scale[..., 0], right_jacobian_inverse(own) / scale
        quadratic = joint_squares(values, slopes, torch.tensor(LEGS), state.unknowns)
        return Quadratic(self.settings.weight * energies[best, each], quadratic.gradient, quadratic.hessian)


@cache
def _usual_legs() -> tuple[Tensor, Tensor, Tensor]:
    """Mean rotations (2, 6, 3, 3), deviations (2, 6, 3) and log-shares (2,) of legs that stand and that sit."""
    rotations = everyday_poses("train")[:, LEGS].double()
    hips = turns_between(torch.eye(3).to(rotations), rotations[:, :2])[..., 0].mean(1)
    sitting = hips < -torch.pi / 180 * SITTING
    groups = [rotations[~sitting], rotations[sitting]]
    centers = torch.stack([_mean_rotation(group) for group in groups])
    deviations = torch.stack([turns_between(c, g).square().mean(0).sqrt() for c, g in zip(centers, groups)])
    shares = torch.tensor([len(group) / len(rotations) for group in groups], dtype=torch.float64)
    return centers, deviations, shares.log()


def _mean_rotation(rotations: Tensor) -> Tensor:
    """The rotations (6, 3, 3) closest to all of (N, 6, 3, 3): the mean matrix, made orthogonal."""
    u, _, vh = torch.linalg.svd(rotations.mean(0))
    return u @ vh
