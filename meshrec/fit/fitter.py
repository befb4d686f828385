"""Bodies from detections: several starts for each person are refined, the best is kept, and its outline is matched."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from meshrec.body import NUM_JOINTS, BodyModel
from meshrec.body.kinematics import mirror_pose
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.fit.contact import Forearms
from meshrec.fit.outline import MaskView, drawn_faces, match_outlines
from meshrec.fit.result import FitResult, confidence_in, joint_deviations, reprojection_error
from meshrec.fit.settings import Balance, FitSettings
from meshrec.fit.solver import Quadratic, Term, minimize
from meshrec.fit.starts import PoseLibrary
from meshrec.fit.terms import Closeness, PoseTerm, Reprojection
from meshrec.fit.unseen import LEGS_AND_FEET, UnseenLegs, less_sure, unseen_legs
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.placements import face_errors, offsets, precision
from meshrec.poses.authored_poses import authored_poses
from meshrec.poses.everyday_poses import everyday_poses
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.poses.pose_prior import PosePrior, load_pose_prior


@dataclass(frozen=True)
class Initial:
    """A regressor's estimates of N people, and their uncertainty.

    The fit starts from the estimates and uses them as a Gaussian prior. It then adds no prior of shapes: a regressor
    that was trained on many bodies already leans towards the mean shape, and doing so twice would make heavy people
    too light.

    Attributes:
        state: N bodies in camera space.
        whiten: (N, M, P) square roots of the information matrices; see :class:`meshrec.fit.terms.Closeness`.
            :meth:`from_deviations` makes them of standard deviations.

    Example:
        >>> import torch
        >>> from meshrec.body.state import BodyState
        >>> from meshrec.fit import Initial
        >>> state = BodyState(torch.eye(3).expand(2, 24, 3, 3), torch.zeros(2, 3), torch.zeros(2, 10))
        >>> len(Initial(state, torch.zeros(2, 82, 85)).repeated(3).state)  # two people, three bodies each
        6
    """

    state: BodyState
    whiten: Tensor

    @classmethod
    def from_deviations(
        cls,
        state: BodyState,
        turn: float | Sequence[float] | Tensor = 0.3,
        beta: float | Sequence[float] | Tensor = 1.0,
        place: float | None = None,
    ) -> Initial:
        """Estimates whose errors are taken to be independent of each other.

        Args:
            state: N bodies in camera space, of any floating type.
            turn: Standard deviation of the rotation of a joint about each axis of its own frame, radians: one number,
                or (24,) or (N, 24) of them. The fit trusts a joint more, the smaller it is.
            beta: Standard deviation of the betas: one number, or (S,) or (N, S) of them.
            place: Standard deviation of the translation along each axis, metres. Default: unknown, so that the
                detections alone decide it, as the networks of meshrec have it.

        Raises:
            ValueError: A deviation is not positive, or its shape is none of these.

        Example:
            A regressor of one's own, here one that takes everyone to stand before the camera:

            >>> import numpy as np
            >>> import torch
            >>> import meshrec
            >>> from meshrec.body.state import BodyState
            >>> from meshrec.fit import Initial
            >>> def standing(image, detections, camera):
            ...     count = len(detections)
            ...     rotations = torch.eye(3).repeat(count, 24, 1, 1)
            ...     rotations[:, 0] = meshrec.geometry.CAMERA_TO_Y_UP  # bodies are y up, cameras y down
            ...     place = torch.tensor([0.0, 0.0, 4.0]).repeat(count, 1)
            ...     return Initial.from_deviations(BodyState(rotations, place, torch.zeros(count, 10)), turn=0.2)
            >>> reconstructor = meshrec.Reconstructor(regressor=standing)
            >>> keypoints = np.random.default_rng(0).uniform((90, 50, 1), (160, 200, 1), (1, 17, 3))
            >>> (person,) = reconstructor(np.zeros((256, 256, 3), np.uint8), keypoints=keypoints)
            >>> person.made_by, bool(np.isfinite(person.vertices).all())
            ('standing + fit', True)
        """
        state = BodyState(*(part.double() for part in (state.rotations, state.translation, state.betas)))
        turns = _deviations(turn, (len(state), NUM_JOINTS), "turn").repeat_interleave(3, 1)
        betas = _deviations(beta, tuple(state.betas.shape), "beta")
        places = turns.new_zeros(len(state), 3)
        if place is not None:
            places = 1 / _deviations(place, (len(state), 3), "place")
        return cls(state, torch.cat([1 / turns, places, 1 / betas], dim=1).diag_embed())

    def __getitem__(self, index: slice) -> Initial:
        return Initial(self.state[index], self.whiten[index])

    def repeated(self, count: int) -> Initial:
        """The estimates for ``count`` bodies of each person, those of one person next to each other."""
        return Initial(self.state.repeated(count), self.whiten.repeat_interleave(count, 0))


def _deviations(values: float | Sequence[float] | Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    """Standard deviations as float64 of a shape to which they broadcast."""
    found = torch.as_tensor(values, dtype=torch.float64)
    if found.shape not in ((), shape[1:], shape):
        raise ValueError(f"{name} should be one number, {shape[1:]} or {shape}, not {tuple(found.shape)}")
    if not (found > 0).all():
        raise ValueError(f"{name} holds standard deviations, which must be positive")
    return found.expand(shape)


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
        joints = detections[0].joint_set
        if any(detection.joint_set != joints for detection in detections):
            raise InputError("all people of a photo need keypoints of the same joint set.")
        keypoints = torch.tensor(np.stack([d.keypoints for d in detections]), dtype=torch.float64)
        box = torch.tensor(np.stack([d.box for d in detections]), dtype=torch.float64)
        certainty = self._balance(initial).evidence * precision(joints, keypoints, box, camera.size)
        shared = face_errors(joints, box)
        legs = UnseenLegs(
            self._joints, unseen_legs(joints, keypoints, camera.size, self.settings.unseen), self.settings.unseen
        )
        if initial is not None:
            initial = Initial(initial.state, less_sure(initial.whiten, legs.unseen, self.settings.unseen))
        seen = Reprojection(self.landmarks(joints), camera, keypoints[..., :2], certainty, shared)
        if initial is None:
            starts = self._library(joints).search(seen.landmarks, camera, seen.pixels, certainty, self.settings.starts)
        else:
            starts = initial.state
        state, final = self._refine(starts, seen, initial, legs)
        results = []
        for i, detection in enumerate(detections):
            own, near, overlap, view = state[i : i + 1], final[i : i + 1], None, None
            if self.silhouettes and detection.mask is not None:
                others = [other for other in detections if other is not detection]
                view = MaskView.around(detection, others, camera, self.settings.outline)
            known = initial and initial[i : i + 1]
            own, near = self._by_skin(own, near, view, seen[i : i + 1], known, legs[i : i + 1])
            if view is not None:
                overlap = view.overlap(drawn_faces(self.body, own, view.camera)[1])
            error = reprojection_error(seen[i : i + 1], own, detection.box)
            results.append(
                FitResult(
                    rotations=own.rotations[0].float().numpy(),
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
        """The landmarks of a named joint set on this body, at the positions where its detector sees them."""
        if joints not in self._landmarks:
            self._landmarks[joints] = LandmarkMoments.of_body(self.body, joints, offsets(joints))
        return self._landmarks[joints]

    @cached_property
    def _joints(self) -> LandmarkMoments:
        return LandmarkMoments.of_body(self.body, "smpl24")

    @cached_property
    def _forearms(self) -> Forearms:
        return Forearms.of_body(self.body, self._joints, self.settings.contact)

    def _library(self, joints: str) -> PoseLibrary:
        if joints not in self._libraries:
            settings = self.settings.starts
            bank = load_pose_bank("train").rotations(slice(None, None, settings.bank_step))
            poses = torch.cat([bank, authored_poses("train")])
            poses = torch.cat([poses, mirror_pose(poses), everyday_poses("train", settings.everyday)])
            self._libraries[joints] = PoseLibrary.build(poses, self.landmarks(joints), settings.yaws)
        return self._libraries[joints]

    def _refine(
        self, state: BodyState, seen: Reprojection, initial: Initial | None, legs: UnseenLegs
    ) -> tuple[BodyState, Quadratic]:
        """Refine all starts by landmarks; return the best of each person, and the energy's quadratic there."""
        people, annealing = len(seen), self._balance(initial).annealing
        for cutoff, steps in annealing:
            count = len(state) // people
            each = replace(seen, cutoff=cutoff).repeated(count)
            known = self._knowledge(initial and initial.repeated(count), legs.repeated(count))
            state, final = minimize([each, *known], state, steps)
            state, final = _keep_best(state, final, people, self.settings.kept if cutoff != annealing[-1][0] else 1)
        return state, final

    def _by_skin(
        self,
        state: BodyState,
        final: Quadratic,
        view: MaskView | None,
        seen: Reprojection,
        initial: Initial | None,
        legs: UnseenLegs,
    ) -> tuple[BodyState, Quadratic]:
        """Refine one body by its skin: its outline and where it touches itself; return it, and the quadratic there."""
        balance = self._balance(initial)
        cutoff, _ = balance.annealing[-1]
        terms: list[Term] = [replace(seen, cutoff=cutoff), *self._knowledge(initial, legs)]
        outlines: list[Term] = []
        hidden = LEGS_AND_FEET if legs.unseen > 0.5 else ()
        for reach, steps in self.settings.outline.reaches if view is not None else ():
            outline = match_outlines(self.body, self._joints, state, view, reach, self.settings.outline, hidden)
            if outline is None:
                break
            outlines = [replace(outline, weight=balance.evidence * outline.weight)]
            state, final = minimize([*outlines, *self._contact(state), *terms], state, steps)
        for _ in range(self.settings.contact.rounds):
            contact = self._contact(state)
            if not contact:
                break
            state, final = minimize([*outlines, *contact, *terms], state, self.settings.contact.steps)
        return state, final

    def _contact(self, state: BodyState) -> list[Term]:
        contact = self._forearms.match(state)
        return [] if contact is None else [contact]

    def _knowledge(self, initial: Initial | None, legs: UnseenLegs) -> list[Term]:
        """The priors: terms that depend on neither landmarks nor outlines."""
        settings, pose = self.settings, PoseTerm(self.prior, self._balance(initial).prior)
        known: list[Term] = [pose, settings.limits, settings.upright, settings.knees]
        if legs.unseen.any():
            known.append(legs)
        if initial is None:
            return [*known, settings.shape, settings.hands]
        return [*known, Closeness(initial.state, initial.whiten)]

    def _balance(self, initial: Initial | None) -> Balance:
        return self.settings.alone if initial is None else self.settings.beside_regressor


def _keep_best(state: BodyState, final: Quadratic, people: int, count: int) -> tuple[BodyState, Quadratic]:
    """The ``count`` states of lowest energy of each person, lowest first, and the quadratics there."""
    each = len(state) // people
    if each <= count:
        return state, final
    order = final.energy.view(people, each).argsort(1)[:, :count]
    index = (order + torch.arange(people)[:, None] * each).flatten()
    return state[index], final[index]
