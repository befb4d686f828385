"""Bodies from detections: several starts for each person are refined, the best is kept, and its outline is matched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.kinematics import mirror_pose
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.fit.contact import Forearms
from meshrec.fit.evidence import Evidence, Seen
from meshrec.fit.gravity import gravity_of
from meshrec.fit.initial import Initial
from meshrec.fit.knowledge import Knowledge
from meshrec.fit.outline import MaskView, drawn_faces, match_outlines
from meshrec.fit.result import (
    FitResult,
    confidence_in,
    joint_deviations,
    reprojection_error,
    shape_covariances,
)
from meshrec.fit.settings import Balance, FitSettings
from meshrec.fit.solver import Quadratic, Remembered, Term, minimize
from meshrec.fit.starts import PoseLibrary, in_front
from meshrec.fit.terms import PoseTerm, Reprojection
from meshrec.fit.turns import ObservedTurns
from meshrec.fit.unseen import UnseenLegs, less_sure, unseen_legs
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.landmarks.placements import face_errors, offsets, precision
from meshrec.poses.authored_poses import authored_poses
from meshrec.poses.everyday_poses import everyday_poses
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.poses.pose_prior import PosePrior, load_pose_prior

FRAMES_FOR_GRAVITY = 16  # frames of one person from which the direction of gravity is estimated


class Fitter:
    """Fits bodies to detected people: ``results = fitter(detections, camera)``.

    Keep a fitter for several photos: it prepares its landmarks and starts once.

    Args:
        body: The body to fit. The fit runs on the CPU.
        prior: Prior of poses. Default: the shipped one.
        silhouettes: Whether to match the outlines of detections with masks.
        settings: Weights, thresholds and numbers of steps.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> import meshrec
        >>> from meshrec.detect.people import keypoint_box
        >>> body, camera = meshrec.load_body("neutral"), meshrec.Camera(500.0, size=(512, 512))
        >>> standing = body(global_orient=torch.tensor([[torch.pi, 0, 0]]), transl=torch.tensor([[0.0, 0, 4]]))
        >>> points = camera.project(body.joints_from(standing.vertices, "coco17"))[0, :, :2].numpy()
        >>> keypoints = np.hstack([points, np.ones((17, 1), np.float32)])
        >>> person = meshrec.Detection(keypoint_box(keypoints), keypoints, "coco17", score=1.0)
        >>> (fit,) = meshrec.Fitter(body)([person], camera)
        >>> fit.rotations.shape, fit.reprojection_error < 0.01, round(float(fit.translation[2]))
        ((24, 3, 3), True, 4)
    """

    def __init__(
        self,
        body: BodyModel,
        prior: PosePrior | None = None,
        silhouettes: bool = True,
        settings: FitSettings = FitSettings(),
    ) -> None:
        self.body = body if body.v_template.device.type == "cpu" else copy(body).cpu()
        self.prior = deepcopy(load_pose_prior() if prior is None else prior).double()
        self.silhouettes = silhouettes
        self.settings = settings
        self._landmarks: dict[str, LandmarkMoments] = {}
        self._libraries: dict[str, PoseLibrary] = {}

    def __call__(
        self, detections: Sequence[Detection], camera: Camera, initial: Initial | None = None
    ) -> list[FitResult]:
        """Fit everyone in one photo.

        Args:
            detections: People in photo pixels, with keypoints of one joint set.
            camera: The photo's camera, with a single focal length and centre.
            initial: A regressor's estimates of the same people, as start and prior. Default: starts from the library
                of poses.

        Returns:
            One result for each detection, in their order.

        Raises:
            InputError: The detections have different joint sets, or the body lacks one of their landmarks.
        """
        if not detections:
            return []
        evidence = self.evidence(detections, camera, initial)
        balance = self.balance(initial)
        state, final, evidence = self.refine(self.starts(evidence, initial), evidence, balance)
        results = []
        for i, detection in enumerate(detections):
            own, near, overlap, view = state[i : i + 1], final[i : i + 1], None, None
            if self.silhouettes and detection.mask is not None:
                others = [other for other in detections if other is not detection]
                view = MaskView.around(detection, others, camera, self.settings.outline)
            own, near = self._by_skin(own, near, view, evidence[i : i + 1], balance)
            if view is not None:
                overlap = view.overlap(drawn_faces(self.body, own, view.camera)[1])
            error = reprojection_error(evidence.seen[i : i + 1], own, detection.box)
            results.append(
                FitResult(
                    rotations=own.rotations[0].float().numpy(),
                    betas=own.betas[0].float().numpy(),
                    translation=own.translation[0].float().numpy(),
                    joint_deviation=joint_deviations(self.skeleton, own, near)[0].float().numpy(),
                    reprojection_error=error,
                    mask_iou=overlap,
                    score=confidence_in(detection, error, overlap),
                    shape_covariance=shape_covariances(near)[0].float().numpy(),
                )
            )
        return results

    def evidence(
        self,
        detections: Sequence[Detection],
        camera: Camera,
        initial: Initial | None = None,
        balance: Balance | None = None,
    ) -> Evidence[Reprojection]:
        """The landmarks of detected people, and what else is known about them.

        Args:
            detections: At least one person.
            camera: The photo's camera.
            initial: A regressor's estimates of them.
            balance: Weights. Default: those of :meth:`balance`.

        Raises:
            InputError: As for a call.
        """
        balance = self.balance(initial) if balance is None else balance
        joints = detections[0].joint_set
        if any(detection.joint_set != joints for detection in detections):
            raise InputError("all people of a photo need keypoints of the same joint set.")
        keypoints = torch.tensor(np.stack([d.keypoints for d in detections]), dtype=torch.float64)
        box = torch.tensor(np.stack([d.box for d in detections]), dtype=torch.float64)
        certainty = balance.evidence * precision(joints, keypoints, box, camera.size)
        shared = face_errors(joints, box)
        seen = Reprojection(self.landmarks(joints), camera, keypoints[..., :2], certainty, shared)
        unseen = unseen_legs(joints, keypoints, camera.size, self.settings.unseen)
        turns = ObservedTurns.of(detections, camera, self.body.tree, self.settings.turns)
        legs = UnseenLegs(self.skeleton, unseen, self.settings.unseen)
        known = self._knowledge(initial, turns, legs, balance)
        return Evidence(seen, known, unseen, joints)

    def starts(self, evidence: Evidence[Reprojection], initial: Initial | None) -> BodyState:
        """Where the fit starts: the regressor's estimates, or else the most similar poses of the library.

        Args:
            evidence: What is known about N people.
            initial: A regressor's estimates of them.

        Returns:
            N bodies, or several for each person, those of one person next to each other.
        """
        seen = evidence.seen
        if initial is not None:
            return in_front(initial.state, seen.landmarks, seen.precision)
        library = self._library(evidence.joints)
        return library.search(seen.landmarks, seen.camera, seen.pixels, seen.precision, self.settings.starts)

    def balance(self, initial: Initial | None) -> Balance:
        """The weights of a fit with or without a regressor's estimates."""
        return self.settings.alone if initial is None else self.settings.beside_regressor

    def landmarks(self, joints: str) -> LandmarkMoments:
        """The landmarks of a named joint set on this body, at the positions where its detector sees them."""
        if joints not in self._landmarks:
            self._landmarks[joints] = LandmarkMoments.of_body(self.body, joints, offsets(joints))
        return self._landmarks[joints]

    @cached_property
    def skeleton(self) -> LandmarkMoments:
        """The ``smpl24`` joints as landmarks."""
        return LandmarkMoments.of_body(self.body, "smpl24")

    @cached_property
    def forearms(self) -> Forearms:
        """What keeps forearms out of the body."""
        return Forearms.of_body(self.body, self.skeleton, self.settings.contact)

    def _library(self, joints: str) -> PoseLibrary:
        if joints not in self._libraries:
            settings = self.settings.starts
            bank = load_pose_bank("train", upright=False).rotations(slice(None, None, settings.bank_step))
            poses = torch.cat([bank, authored_poses("train")])
            poses = torch.cat([poses, mirror_pose(poses), everyday_poses("train", settings.everyday)])
            self._libraries[joints] = PoseLibrary.build(poses, self.landmarks(joints), settings.yaws)
        return self._libraries[joints]

    def refine(
        self, state: BodyState, evidence: Evidence[Seen], balance: Balance, turns: Tensor | None = None
    ) -> tuple[BodyState, Quadratic, Evidence[Seen]]:
        """Refine all starts by landmarks.

        Args:
            state: One or several starts of each person, as :meth:`starts` returns them.
            evidence: What is known about N people, or about one in N frames.
            balance: Weights.
            turns: (N, 3, 3) rotations from a common space to the camera space of each, where these differ, as in
                frames of a camera that pans.

        Returns:
            The best body of each person, the energy's quadratic there, and the evidence with gravity in it, which is
            estimated from everyone before the last round where it has a term, and the last cutoff of the landmarks.
        """
        people, last = len(evidence), len(balance.annealing) - 1
        for number, (cutoff, steps) in enumerate(balance.annealing):
            count = len(state) // people
            evidence = replace(evidence, seen=evidence.seen.with_cutoff(cutoff))
            known: Knowledge = evidence.known.repeated(count)
            state, final = minimize([evidence.seen.repeated(count), *known.terms()], state, steps)
            state, final = _keep_best(state, final, people, 1 if number == last else self.settings.kept)
            if number == last - 1 and evidence.known.upright is not None:
                up = self._up(*_keep_best(state, final, people, 1), turns)
                upright = replace(evidence.known.upright, up=up)
                evidence = replace(evidence, known=replace(evidence.known, upright=upright))
        return state, final, evidence

    def _up(self, state: BodyState, final: Quadratic, turns: Tensor | None) -> tuple[float, float, float] | Tensor:
        """The direction away from gravity, by the body of each person in a photo, or of one in several frames."""
        points = landmark_positions(self.skeleton, state)
        deviations = joint_deviations(self.skeleton, state, final)
        if turns is not None:
            some = slice(None, None, -(-len(state) // FRAMES_FOR_GRAVITY))
            common = points[some] @ turns[some]
            down = gravity_of(common.numpy(), deviations[some].numpy()).direction
            return -turns @ torch.from_numpy(down)
        gravity = gravity_of(points.numpy(), deviations.numpy())
        x, y, z = (-gravity.direction).tolist()
        return x, y, z

    def _by_skin(
        self,
        state: BodyState,
        final: Quadratic,
        view: MaskView | None,
        evidence: Evidence[Reprojection],
        balance: Balance,
    ) -> tuple[BodyState, Quadratic]:
        """Refine one body by its skin in one view, which is None for people without a mask."""

        def outlines(at: BodyState, reach: float) -> list[Term]:
            return [] if view is None else self.outline(at, view, reach, balance, evidence.hidden(0))

        return self.refine_by_skin(state, final, evidence.terms(), outlines)

    def refine_by_skin(
        self,
        state: BodyState,
        final: Quadratic,
        terms: Sequence[Term],
        outlines_of: Callable[[BodyState, float], list[Term]],
    ) -> tuple[BodyState, Quadratic]:
        """Refine one body by its skin: its outlines, and where it touches itself.

        Args:
            state: The body.
            final: The energy's quadratic there.
            terms: The terms of the person's landmarks, and of what else is known about the person.
            outlines_of: Function of a body and the farthest distance of a match, as a share of the picture's side,
                that gives the terms of its outlines.

        Returns:
            The refined body, and the energy's quadratic there.
        """
        terms = [Remembered(terms)]
        outlines: list[Term] = []
        for reach, steps in self.settings.outline.reaches:
            found = outlines_of(state, reach)
            if not found:
                break
            outlines = found
            state, final = minimize([*outlines, *self.contact(state), *terms], state, steps)
        for _ in range(self.settings.contact.rounds):
            contact = self.contact(state)
            if not contact:
                break
            state, final = minimize([*outlines, *contact, *terms], state, self.settings.contact.steps)
        return state, final

    def outline(
        self, state: BodyState, view: MaskView, reach: float, balance: Balance, hidden: Sequence[int] = ()
    ) -> list[Term]:
        """The term that pulls one body's outline to that of its mask; none if no points match.

        Args:
            state: The body, in the camera space of the mask.
            view: The mask.
            reach: Farthest distance of a match, as a share of the picture's side.
            balance: Weights.
            hidden: Joints of ``smpl24`` whose parts of the skin the photo does not show.
        """
        settings = self.settings.outline
        outline = match_outlines(self.body, self.skeleton, state, view, reach, settings, hidden)
        return [] if outline is None else [replace(outline, weight=balance.evidence * outline.weight)]

    def contact(self, state: BodyState) -> list[Term]:
        """The term that pushes the forearms of one body out of it, if they are inside."""
        contact = self.forearms.match(state)
        return [] if contact is None else [contact]

    def _knowledge(
        self, initial: Initial | None, turns: ObservedTurns | None, legs: UnseenLegs, balance: Balance
    ) -> Knowledge:
        settings, pose = self.settings, PoseTerm(self.prior, balance.prior)
        everybody: tuple[Term, ...] = (pose, settings.limits, settings.knees)
        if initial is None:
            everybody = (*everybody, settings.shape, settings.hands)
        else:
            initial = Initial(initial.state, less_sure(initial.whiten, legs.unseen, settings.unseen))
        return Knowledge(everybody, settings.upright, initial, turns, legs if legs.unseen.any() else None)


def _keep_best(state: BodyState, final: Quadratic, people: int, count: int) -> tuple[BodyState, Quadratic]:
    """The ``count`` states of lowest energy of each person, lowest first, and the quadratics there."""
    each = len(state) // people
    if each <= count:
        return state, final
    order = final.energy.view(people, each).argsort(1)[:, :count]
    index = (order + torch.arange(people)[:, None] * each).flatten()
    return state[index], final[index]
