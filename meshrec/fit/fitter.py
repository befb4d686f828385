"""From detections to bodies: several starts per person, refined together, the best kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_set
from meshrec.data.pose_bank import load_pose_bank, mirror_pose
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.fit.landmarks import Landmarks
from meshrec.fit.noise import precision
from meshrec.fit.result import FitResult, joint_deviations
from meshrec.fit.solver import Quadratic, Term, minimize
from meshrec.fit.starts import PoseLibrary
from meshrec.fit.state import BodyState
from meshrec.fit.terms import Closeness, LimitTerm, PoseTerm, Reprojection, ShapeTerm, UprightTerm, hands_at_rest
from meshrec.geometry import Camera
from meshrec.models.pose_prior import PosePrior, load_pose_prior

STARTS = 6
# The error in standard deviations from which a landmark loses its pull, and the steps taken with it. A wide start lets
# elbows and knees come from far; a close end leaves wrong ones behind.
ANNEALING = ((30.0, 6), (8.0, 5), (4.0, 5))
KEPT = 2  # starts that go on after the first round
BANK_STEP = 12  # every so many frames of the pose bank are searched: consecutive ones hardly differ
LEAST_LANDMARKS = 4  # fewer seen ones say nothing about a person


@dataclass(frozen=True)
class Initial:
    """What a regressor says of N people, with its own certainty.

    Attributes:
        state: N bodies, camera space.
        whiten: (N or 1, M, P) square root of the information matrix of a step from there; see :class:`Closeness`.
    """

    state: BodyState
    whiten: Tensor


class Fitter:
    """Fits bodies to detected people: ``results = fitter(detections, camera)``. Make one and keep it.

    Args:
        body: The body to fit.
        prior: Density of poses; default: the shipped one.
    """

    def __init__(self, body: BodyModel, prior: PosePrior | None = None) -> None:
        self.body = body
        self.prior = (load_pose_prior() if prior is None else prior).double()
        self._landmarks: dict[str, Landmarks] = {}
        self._libraries: dict[str, PoseLibrary] = {}

    def __call__(
        self, detections: Sequence[Detection], camera: Camera, initial: Initial | None = None
    ) -> list[FitResult]:
        """Fit everyone in one photo.

        Args:
            detections: People with keypoints of one joint set, photo pixels.
            camera: The photo's, with a single focal length and centre.
            initial: A regressor's estimates of the same people, from which the fit then starts.

        Returns:
            One result a detection, in their order.

        Raises:
            InputError: The detections have different joint sets, or the body lacks a landmark of theirs.
        """
        if not detections:
            return []
        joint_sets = {detection.joint_set for detection in detections}
        if len(joint_sets) > 1:
            raise InputError(
                f"people of one photo need keypoints of one joint set, not {', '.join(sorted(joint_sets))}"
            )
        (joints,) = joint_sets
        landmarks = self.landmarks(joints)
        keypoints = torch.tensor(np.stack([d.keypoints for d in detections]), dtype=torch.float64)
        box = torch.tensor(np.stack([d.box for d in detections]), dtype=torch.float64)
        certainty = precision(joint_set(joints), keypoints, box, camera.size)
        pixels = keypoints[..., :2]

        if initial is None:
            starts = self._library(joints).search(landmarks, camera, pixels, certainty, STARTS)
        else:
            starts = initial.state
        state, final = self._refine(starts, landmarks, camera, pixels, certainty, initial)
        deviations = joint_deviations(self._joints, state, final)
        errors = reprojection_errors(landmarks, camera, state, pixels, certainty, box)
        return [
            FitResult(
                pose=state.rotations[i].float().numpy(),
                betas=state.betas[i].float().numpy(),
                translation=state.translation[i].float().numpy(),
                joint_deviation=deviations[i].float().numpy(),
                reprojection_error=float(errors[i]),
                mask_iou=None,
                score=detections[i].score * float(torch.exp(-errors[i] / 0.05)),
            )
            for i in range(len(detections))
        ]

    def landmarks(self, joints: str) -> Landmarks:
        """The landmarks of a joint set on this body."""
        if joints not in self._landmarks:
            self._landmarks[joints] = Landmarks.of_rows(self.body, self.body.joint_regressor(joints))
        return self._landmarks[joints]

    @cached_property
    def _joints(self) -> Landmarks:
        return self.landmarks("smpl24")

    def _library(self, joints: str) -> PoseLibrary:
        if joints not in self._libraries:
            poses = load_pose_bank("train").rotations(slice(None, None, BANK_STEP))
            both = torch.cat([poses, mirror_pose(poses)])
            self._libraries[joints] = PoseLibrary.build(both, self.landmarks(joints))
        return self._libraries[joints]

    def _refine(
        self,
        state: BodyState,
        landmarks: Landmarks,
        camera: Camera,
        pixels: Tensor,
        certainty: Tensor,
        initial: Initial | None,
    ) -> tuple[BodyState, Quadratic]:
        """The best of each person's starts, and the energy's quadratic there."""
        people = len(pixels)
        for cutoff, steps in ANNEALING:
            each = len(state) // people
            seen = (t.repeat_interleave(each, 0) for t in (pixels, certainty))
            terms: list[Term] = [Reprojection(landmarks, camera, *seen, cutoff), *self._knowledge(state)]
            if initial is not None:
                terms.append(Closeness(initial.state, initial.whiten))
            state, final = minimize(terms, state, steps)
            state, final = keep_best(state, final, people, KEPT)
        return keep_best(state, final, people, 1)

    def _knowledge(self, state: BodyState) -> list[Term]:
        """What is known of bodies before a photo is seen."""
        return [PoseTerm(self.prior, 0.5), LimitTerm(), ShapeTerm(), UprightTerm(), hands_at_rest(state)]


def keep_best(state: BodyState, final: Quadratic, people: int, count: int) -> tuple[BodyState, Quadratic]:
    """The `count` states of lowest energy of each person, lowest first."""
    each = len(state) // people
    order = final.energy.view(people, each).argsort(1)[:, :count]
    index = (order + torch.arange(people)[:, None] * each).flatten()
    return state[index], Quadratic(final.energy[index], final.gradient[index], final.hessian[index])


def reprojection_errors(
    landmarks: Landmarks, camera: Camera, state: BodyState, pixels: Tensor, certainty: Tensor, box: Tensor
) -> Tensor:
    """(B,) mean distance of detected and reprojected landmarks, weighted by certainty, over the box's longer side."""
    projected = camera.project(landmarks.positions(state))[..., :2]
    distance = (projected - pixels).norm(dim=-1)
    side = (box[:, 2:] - box[:, :2]).amax(1).clamp(min=1)
    return (distance * certainty).sum(1) / certainty.sum(1).clamp(min=1e-12) / side
