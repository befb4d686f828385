"""From detections to bodies: several starts per person, refined together, the best kept and its outline matched."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, load_body
from meshrec.body.kinematics import mirror_pose
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.fit.outline import MaskView, drawn_faces, match_outlines
from meshrec.fit.result import FitResult, confidence_in, joint_deviations, reprojection_error
from meshrec.fit.solver import Quadratic, Term, minimize
from meshrec.fit.starts import PoseLibrary
from meshrec.fit.terms import (
    RESTING_HANDS,
    STRAIGHT_KNEES,
    Closeness,
    LimitTerm,
    PoseTerm,
    Reprojection,
    ShapeTerm,
    UprightTerm,
)
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.placements import face_errors, offsets, precision
from meshrec.poses.authored_poses import authored_poses
from meshrec.poses.everyday_poses import everyday_poses
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.poses.pose_prior import PosePrior, load_pose_prior

STARTS = 6  # from the library, of each person whom no regressor has seen; a regressor's estimate is start enough
KEPT = 2  # of each person's starts after the first round
# How far the outlines reach for each other, as a share of the picture, and the steps taken with each match.
REACHES = ((0.15, 2), (0.08, 2), (0.05, 2))
BANK_STEP = 32  # every so many frames of the pose bank are searched: consecutive ones hardly differ
EVERYDAY = 600  # poses of people who stand, walk and sit, searched beside the bank's dancers and fighters


@dataclass(frozen=True)
class Balance:
    """How much each kind of evidence counts.

    Landmarks err together, outlines too, and the prior is smoother than people are, so no likelihood is to be taken at
    its word.

    Attributes:
        evidence: Factor of the landmarks' certainty, and weight of the outline.
        prior: Weight of the poses' density.
        annealing: The error in standard deviations from which a landmark loses its pull, and the steps taken with it. A
            wide start lets elbows and knees come from far; too close an end leaves unusual poses behind, not only wrong
            detections.
    """

    evidence: float
    prior: float
    annealing: tuple[tuple[float, int], ...]


# On detected renders a prior of 0.7 has 2 % less error in 3D than 0.35; on the training photos of LSP-extended, whose
# poses the prior knows less well, it has half a point less of the 2D joints.
ALONE = Balance(evidence=1.0, prior=0.5, annealing=((30.0, 6), (15.0, 5), (10.0, 4)))
# A regressor has seen the same landmarks and outlines. Chosen on detected renders, synthetic people and the training
# photos of LSP-extended, which do not agree: where landmarks count as the square of their confidence, renders have 2 mm
# less error, and photos half a point less of the 2D joints. Starts from the library besides turn some renders around:
# 173 mm before alignment instead of 160.
BESIDE_REGRESSOR = Balance(evidence=0.8, prior=0.2, annealing=((8.0, 4), (6.0, 4), (4.0, 4)))


@dataclass(frozen=True)
class Initial:
    """What a regressor says of N people, with its own certainty.

    The fit adds no knowledge of shapes of its own: a regressor that has seen many bodies already leans to the usual
    ones, and leaning twice would take weight off heavy people.

    Attributes:
        state: N bodies, camera space.
        whiten: (N, M, P) square roots of the information about a step from there; see :class:`Closeness`.
    """

    state: BodyState
    whiten: Tensor

    def __getitem__(self, index: slice) -> Initial:
        return Initial(self.state[index], self.whiten[index])

    def repeated(self, count: int) -> Initial:
        """The same for ``count`` bodies a person, a person's one after the other."""
        return Initial(self.state.repeated(count), self.whiten.repeat_interleave(count, 0))


class Fitter:
    """Fits bodies to detected people: ``results = fitter(detections, camera)``. Make one and keep it.

    Args:
        body: The body to fit.
        prior: Density of poses; default: the shipped one.
        silhouettes: Whether to match outlines where detections have masks.
    """

    def __init__(self, body: BodyModel, prior: PosePrior | None = None, silhouettes: bool = True) -> None:
        self.body = body if body.v_template.device.type == "cpu" else load_body(body)
        self.prior = deepcopy(load_pose_prior() if prior is None else prior).double()
        self.silhouettes = silhouettes
        self._landmarks: dict[str, LandmarkMoments] = {}
        self._libraries: dict[str, PoseLibrary] = {}

    def __call__(
        self, detections: Sequence[Detection], camera: Camera, initial: Initial | None = None
    ) -> list[FitResult]:
        """Fit everyone in one photo.

        Args:
            detections: People with keypoints of one joint set, photo pixels.
            camera: The photo's, with a single focal length and centre.
            initial: A regressor's estimates of the same people: where to start from, and a prior.

        Returns:
            One result a detection, in their order.

        Raises:
            InputError: The detections have different joint sets, or the body lacks a landmark of theirs.
        """
        if not detections:
            return []
        joints = detections[0].joint_set
        if any(detection.joint_set != joints for detection in detections):
            raise InputError("all people of a photo need keypoints of the same joint set.")
        keypoints = torch.tensor(np.stack([d.keypoints for d in detections]), dtype=torch.float64)
        box = torch.tensor(np.stack([d.box for d in detections]), dtype=torch.float64)
        certainty = _balance(initial).evidence * precision(joints, keypoints, box, camera.size)
        shared = face_errors(joints, box)
        seen = Reprojection(self.landmarks(joints), camera, keypoints[..., :2], certainty, shared)
        if initial is None:
            starts = self._library(joints).search(seen.landmarks, camera, seen.pixels, certainty, STARTS)
        else:
            starts = initial.state
        state, final = self._refine(starts, seen, initial)
        results = []
        for i, detection in enumerate(detections):
            own, near, overlap = state[i : i + 1], final[i : i + 1], None
            if self.silhouettes and detection.mask is not None:
                others = [other for other in detections if other is not detection]
                view = MaskView.around(detection, others, camera)
                own, near = self._outlined(own, near, view, seen[i : i + 1], initial and initial[i : i + 1])
                overlap = view.overlap(drawn_faces(self.body, own, view.camera)[1])
            error = reprojection_error(seen[i : i + 1], own, detection.box)
            results.append(
                FitResult(
                    pose=own.rotations[0].float().numpy(),
                    betas=own.betas[0].float().numpy(),
                    translation=own.translation[0].float().numpy(),
                    joint_deviation=joint_deviations(self._joints, own, near)[0].float().numpy(),
                    reprojection_error=error,
                    mask_iou=overlap,
                    score=confidence_in(detection, error, overlap),
                )
            )
        return results

    def landmarks(self, joints: str) -> LandmarkMoments:
        """The landmarks of a joint set on this body, where its detector sees them."""
        if joints not in self._landmarks:
            self._landmarks[joints] = LandmarkMoments.of_body(self.body, joints, offsets(joints))
        return self._landmarks[joints]

    @cached_property
    def _joints(self) -> LandmarkMoments:
        return LandmarkMoments.of_body(self.body, "smpl24")

    def _library(self, joints: str) -> PoseLibrary:
        if joints not in self._libraries:
            poses = torch.cat(
                [load_pose_bank("train").rotations(slice(None, None, BANK_STEP)), authored_poses("train")]
            )
            poses = torch.cat([poses, mirror_pose(poses), everyday_poses("train", EVERYDAY)])
            self._libraries[joints] = PoseLibrary.build(poses, self.landmarks(joints))
        return self._libraries[joints]

    def _refine(self, state: BodyState, seen: Reprojection, initial: Initial | None) -> tuple[BodyState, Quadratic]:
        """The best of each person's starts by landmarks, and the energy's quadratic there."""
        people, annealing = len(seen), _balance(initial).annealing
        for cutoff, steps in annealing:
            count = len(state) // people
            each = replace(seen, cutoff=cutoff).repeated(count)
            state, final = minimize([each, *self._knowledge(initial and initial.repeated(count))], state, steps)
            state, final = _keep_best(state, final, people, KEPT if cutoff != annealing[-1][0] else 1)
        return state, final

    def _outlined(
        self, state: BodyState, final: Quadratic, view: MaskView, seen: Reprojection, initial: Initial | None
    ) -> tuple[BodyState, Quadratic]:
        """One body, its outline drawn to a mask's, and the energy's quadratic there."""
        balance = _balance(initial)
        cutoff, _ = balance.annealing[-1]
        terms: list[Term] = [replace(seen, cutoff=cutoff), *self._knowledge(initial)]
        for reach, steps in REACHES:
            outline = match_outlines(self.body, self._joints, state, view, reach)
            if outline is None:
                break
            outline = replace(outline, weight=balance.evidence * outline.weight)
            state, final = minimize([outline, *terms], state, steps)
        return state, final

    def _knowledge(self, initial: Initial | None) -> list[Term]:
        """What is known of bodies before landmarks and outlines are seen."""
        pose = PoseTerm(self.prior, _balance(initial).prior)
        known: list[Term] = [pose, LimitTerm(), UprightTerm(), STRAIGHT_KNEES]
        if initial is None:
            return [*known, ShapeTerm(), RESTING_HANDS]
        return [*known, Closeness(initial.state, initial.whiten)]


def _balance(initial: Initial | None) -> Balance:
    return ALONE if initial is None else BESIDE_REGRESSOR


def _keep_best(state: BodyState, final: Quadratic, people: int, count: int) -> tuple[BodyState, Quadratic]:
    """The `count` states of lowest energy of each person, lowest first."""
    each = len(state) // people
    if each <= count:
        return state, final
    order = final.energy.view(people, each).argsort(1)[:, :count]
    index = (order + torch.arange(people)[:, None] * each).flatten()
    return state[index], final[index]
