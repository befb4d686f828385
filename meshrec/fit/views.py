"""One body in all views of one instant: the fit of a photo with the landmarks and outlines of several cameras.

The body's state lives in the world, and the terms of each camera are taken there (:mod:`meshrec.fit.in_view`). What the
cameras see together leaves little open, so the prior of poses counts less than in a photo, and a network's estimates
serve as starts only: each was made of one view, and summed up they would outweigh what all views show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.detect.sides import exchanged
from meshrec.detect.view_sides import side_candidates
from meshrec.fit.fitter import Fitter
from meshrec.fit.in_view import ViewSpace, ViewTerm
from meshrec.fit.initial import Initial
from meshrec.fit.outline import MaskView, drawn_faces
from meshrec.fit.result import confidence_in, joint_deviations, reprojection_error, shape_covariances
from meshrec.fit.solver import Quadratic, Term
from meshrec.fit.view_evidence import ViewEvidence, joint_set_of, view_evidence
from meshrec.fit.view_settings import ViewSettings
from meshrec.fit.view_starts import view_starts
from meshrec.geometry import Camera
from meshrec.geometry.cameras import IDENTITY, ORIGIN


@dataclass(frozen=True, eq=False)
class MultiViewFit:
    """One fitted body in the world: ``body(betas, rotations[1:], rotations[0], translation)``.

    Attributes:
        rotations: (24, 3, 3) float32 local rotations; the first is the body's orientation in the world.
        betas: (S,) float32 shape coefficients.
        translation: (3,) float32, metres.
        joint_deviation: (24,) float32 standard deviation of each ``smpl24`` joint relative to the pelvis, metres.
        reprojection_error: (V,) float32 mean distance of detected and reprojected landmarks in each view, as a share of
            the box's longer side; NaN in views without a detection.
        mask_iou: (V,) float32 intersection over union of the silhouette and the detector's mask; NaN without a mask.
        exchanged: (V,) bool, the views whose detections have left and right exchanged.
        score: Confidence in [0, 1]: the mean over the views with a detection.
        shape_covariance: (S, S) float32 covariance of the betas' errors.
    """

    rotations: np.ndarray
    betas: np.ndarray
    translation: np.ndarray
    joint_deviation: np.ndarray
    reprojection_error: np.ndarray
    mask_iou: np.ndarray
    exchanged: np.ndarray
    score: float
    shape_covariance: np.ndarray | None = None

    def among(self, count: int, used: np.ndarray) -> MultiViewFit:
        """The same with what is known of each view as that of ``count`` views, of which this has those of indices
        ``used``."""
        errors, overlaps = (np.full(count, np.nan, np.float32) for _ in range(2))
        sides = np.zeros(count, bool)
        errors[used], overlaps[used], sides[used] = self.reprojection_error, self.mask_iou, self.exchanged
        return replace(self, reprojection_error=errors, mask_iou=overlaps, exchanged=sides)


class MultiViewFitter:
    """Fits one body to a person in all views: ``fit = multi_view_fitter(detections, cameras)``.

    Args:
        fitter: The fit of photos. Its body, prior and settings hold here too.
        settings: What differs with several cameras.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> import meshrec
        >>> from meshrec.detect.people import keypoint_box
        >>> from meshrec.fit.views import MultiViewFitter
        >>> body = meshrec.load_body("neutral")
        >>> front = meshrec.Camera(500.0, size=(512, 512), rotation=np.diag([1, -1, -1]), translation=[0, 0, 4])
        >>> side = meshrec.Camera(500.0, size=(512, 512), rotation=[[0, 0, -1], [0, -1, 0], [-1, 0, 0]],
        ...     translation=[0, 0, 4])
        >>> points = body.joints_from(body(transl=torch.tensor([[0.1, 0.2, 0.3]])).vertices, "coco17")
        >>> people = []
        >>> for camera in (front, side):
        ...     seen = camera.project(camera.world_to_camera(points))[0, :, :2].numpy()
        ...     keypoints = np.hstack([seen, np.ones((17, 1), np.float32)])
        ...     people.append(meshrec.Detection(keypoint_box(keypoints), keypoints, "coco17", score=1.0))
        >>> fit = MultiViewFitter(meshrec.Fitter(body))(people, [front, side])
        >>> bool(np.abs(fit.translation - [0.1, 0.2, 0.3]).max() < 0.02), bool(fit.reprojection_error.max() < 0.01)
        (True, True)
    """

    def __init__(self, fitter: Fitter, settings: ViewSettings = ViewSettings()) -> None:
        self.fitter = fitter
        self.settings = settings

    def __call__(
        self,
        detections: Sequence[Detection | None],
        cameras: Sequence[Camera],
        initial: Sequence[Initial | None] | None = None,
        up: np.ndarray | None = None,
        others: Sequence[Sequence[Detection]] | None = None,
    ) -> MultiViewFit:
        """Fit one body.

        Args:
            detections: The person in each of V views, in pixels without lens distortion; None where a camera misses the
                person.
            cameras: The V cameras, with extrinsics.
            initial: A regressor's estimate of the person in the camera space of each view, as start; not read where
                there is no detection. Default: starts from the library of poses.
            up: (3,) unit vector against gravity in the world, where it is known.
            others: Other people in each view, who may stand in front of the person.

        Returns:
            The body in the world. If one camera alone sees the person, it is that of a photo.

        Raises:
            InputError: The detections have different joint sets, or the body lacks one of their landmarks.
            ValueError: No camera sees the person, or the lengths differ.
        """
        count = len(detections)
        beside: Sequence[Sequence[Detection]] = [()] * count if others is None else others
        if len(beside) != count:
            raise ValueError(f"{count} detections need as many cameras, estimates and lists of others")
        return self.everyone([[one] for one in detections], cameras, initial, up, [[own] for own in beside])[0]

    def everyone(
        self,
        detections: Sequence[Sequence[Detection | None]],
        cameras: Sequence[Camera],
        initial: Sequence[Initial | None] | None = None,
        up: np.ndarray | None = None,
        others: Sequence[Sequence[Sequence[Detection]]] | None = None,
    ) -> list[MultiViewFit]:
        """Fit one body to each of N people. Their landmarks are fitted side by side, which is faster than in turn.

        Args:
            detections: For each of V cameras the N people; None where it misses one.
            cameras: The V cameras, with extrinsics.
            initial: For each camera a regressor's N estimates in its space, of which those of people without a
                detection are not read; or None.
            up: (3,) unit vector against gravity in the world, where it is known.
            others: For each camera and each person the other people, who may stand in front of that person.

        Returns:
            The N bodies in the world, as a call gives each.

        Raises:
            InputError: The detections have different joint sets, or the body lacks one of their landmarks.
            ValueError: No camera sees a person, or the lengths differ.
        """
        count, number = len(detections), len(detections[0]) if detections else 0
        guesses: Sequence[Initial | None] = [None] * count if initial is None else initial
        nobody: Sequence[Sequence[Sequence[Detection]]] = [[()] * number] * count
        beside = nobody if others is None else others
        if not count == len(cameras) == len(guesses) == len(beside):
            raise ValueError(f"{count} detections need as many cameras, estimates and lists of others")
        seen = np.array([[person is not None for person in view] for view in detections]).reshape(count, number)
        if not count or not seen.any(0).all():
            raise ValueError("no camera sees the person")
        several = np.flatnonzero(seen.sum(0) > 1)
        used = np.flatnonzero(seen[:, several].any(1))
        fits: dict[int, MultiViewFit] = {}
        if len(several):
            found = [[detections[v][n] for n in several] for v in used]
            hiding = [[beside[v][n] for n in several] for v in used]
            index = torch.from_numpy(several)
            starts = [None if guess is None else guess[index] for guess in (guesses[v] for v in used)]
            fitted = self._in_several(found, [cameras[v] for v in used], starts, up, hiding)
            fits = {int(n): fit.among(count, used) for n, fit in zip(several, fitted)}
        for n in np.flatnonzero(seen.sum(0) == 1).tolist():
            (v,) = np.flatnonzero(seen[:, n])
            person, guess = detections[v][n], guesses[v]
            assert person is not None
            own = None if guess is None else guess[n : n + 1]
            fits[n] = self._alone(person, cameras[v], own).among(count, np.array([v]))
        return [fits[n] for n in range(number)]

    def _in_several(
        self,
        found: Sequence[Sequence[Detection | None]],
        cameras: Sequence[Camera],
        initial: Sequence[Initial | None],
        up: np.ndarray | None,
        others: Sequence[Sequence[Sequence[Detection]]],
    ) -> list[MultiViewFit]:
        """The bodies of people of whom each is seen by two cameras or more; the arguments are those of a call."""
        swapped = self.exchanged_views(found, cameras, initial, up)
        found = with_exchanged(found, swapped)
        states, finals, evidence = self.fitted(found, cameras, initial, up)
        fits = []
        for n in range(len(states)):
            some = slice(n, n + 1)
            people = [view[n] for view in found]
            views = [self.mask_view(p, beside[n], c) for p, beside, c in zip(people, others, cameras)]

            def outlines(at: BodyState, reach: float, n: int = n, views: list[MaskView | None] = views) -> list[Term]:
                return self.outlines(at, views, evidence, n, reach)

            state, final = self.fitter.refine_by_skin(
                states[some], finals[some], evidence.joint[some].terms(), outlines
            )
            errors, overlaps = (np.full(len(cameras), np.nan, np.float32) for _ in range(2))
            scores = []
            for v, (person, view) in enumerate(zip(people, views)):
                if person is None:
                    continue
                own, overlap = evidence.spaces[v].from_world(state), None
                errors[v] = reprojection_error(evidence.views[v].seen[some], own, person.box)
                if view is not None:
                    overlap = view.overlap(drawn_faces(self.fitter.body, own, view.camera)[1])
                    overlaps[v] = overlap
                scores.append(confidence_in(person, float(errors[v]), overlap))
            deviation = joint_deviations(self.fitter.skeleton, state, final)[0].float().numpy()
            score, shape = float(np.mean(scores)), shape_covariances(final)[0].float().numpy()
            fits.append(MultiViewFit(*_arrays(state), deviation, errors, overlaps, swapped[:, n], score, shape))
        return fits

    def mask_view(self, person: Detection | None, others: Sequence[Detection], camera: Camera) -> MaskView | None:
        """The mask of a person in one view, in a picture whose camera has no extrinsics; None without a mask."""
        if person is None or person.mask is None or not self.fitter.silhouettes:
            return None
        own = replace(camera, rotation=IDENTITY, translation=ORIGIN)
        return MaskView.around(person, list(others), own, self.fitter.settings.outline)

    def outlines(
        self, state: BodyState, views: Sequence[MaskView | None], evidence: ViewEvidence, instant: int, reach: float
    ) -> list[Term]:
        """The terms of one body's outlines in all views.

        Args:
            state: The body in the world.
            views: The person's mask in each view.
            evidence: What the cameras show.
            instant: Number of the instant.
            reach: Farthest distance of a match, as a share of the picture's side.
        """
        terms: list[Term] = []
        for view, space, own in zip(views, evidence.spaces, evidence.views):
            if view is not None:
                local, hidden = space.from_world(state), own.hidden(instant)
                found = self.fitter.outline(local, view, reach, self.settings.balance, hidden)
                terms += [ViewTerm(term, space) for term in found]
        return terms

    def fitted(
        self,
        detections: Sequence[Sequence[Detection | None]],
        cameras: Sequence[Camera],
        initial: Sequence[Initial | None],
        up: np.ndarray | None = None,
        joints: str | None = None,
    ) -> tuple[BodyState, Quadratic, ViewEvidence]:
        """Fit the landmarks of one person in N instants, each on its own.

        Args:
            detections: For each of V cameras the person in N instants.
            cameras: The V cameras, with extrinsics.
            initial: For each camera a regressor's N estimates in its space, or None.
            up: (3,) unit vector against gravity in the world, where it is known.
            joints: Joint set of the detections. Default: what they say.

        Returns:
            N bodies in the world, the quadratics there, and what the cameras show, with the last cutoff.
        """
        evidence = view_evidence(self.fitter, detections, cameras, self.settings.balance, initial, up, joints)
        starts = view_starts(self.fitter, evidence, initial, self.settings)
        state, final, joint = self.fitter.refine(starts, evidence.joint, self.settings.balance)
        return state, final, replace(evidence, joint=joint)

    def exchanged_views(
        self,
        detections: Sequence[Sequence[Detection | None]],
        cameras: Sequence[Camera],
        initial: Sequence[Initial | None],
        up: np.ndarray | None = None,
    ) -> np.ndarray:
        """Find the views that have left and right exchanged; the arguments are those of :meth:`fitted`.

        Where views disagree, bodies are fitted with each way in which they agree; the lowest energy decides.

        Returns:
            (V, N) bool.
        """
        joint_set_of(detections)
        count = len(detections[0])
        ways = np.zeros((3, len(cameras), count), bool)
        numbers = []
        for n in range(count):
            views = [v for v, view in enumerate(detections) if view[n] is not None]
            people = [person for person in (detections[v][n] for v in views) if person is not None]
            candidates = side_candidates(people, [cameras[v] for v in views], self.settings.sides)
            for way, candidate in zip(ways, candidates):
                way[views, n] = candidate
            if len(candidates) > 1:
                numbers.append(n)
        result = np.zeros((len(cameras), count), bool)
        if not numbers:
            return result
        some = [[view[n] for n in numbers] for view in detections]
        guesses = [None if guess is None else guess[torch.tensor(numbers)] for guess in initial]
        energies = [self.fitted(with_exchanged(some, way[:, numbers]), cameras, guesses, up)[1].energy for way in ways]
        best = torch.stack(energies).nan_to_num(torch.inf).argmin(0)
        for n, way in zip(numbers, best.tolist()):
            result[:, n] = ways[way, :, n]
        return result

    def _alone(self, person: Detection, camera: Camera, initial: Initial | None) -> MultiViewFit:
        """The fit of a photo, in the world."""
        plain = replace(camera, rotation=IDENTITY, translation=ORIGIN)
        fit = self.fitter([person], plain, initial)[0]
        parts = (fit.rotations, fit.translation, fit.betas)
        state = BodyState(*(torch.from_numpy(part).double()[None] for part in parts))
        state = ViewSpace.of(camera, self.fitter.skeleton).to_world(state)
        errors = np.array([fit.reprojection_error], np.float32)
        overlaps = np.array([np.nan if fit.mask_iou is None else fit.mask_iou], np.float32)
        known = (fit.joint_deviation, errors, overlaps, np.zeros(1, bool))
        return MultiViewFit(*_arrays(state), *known, fit.score, fit.shape_covariance)


def _arrays(state: BodyState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotations, betas and translation of one body, float32."""
    rotations, betas, translation = (p[0].float().numpy() for p in (state.rotations, state.betas, state.translation))
    return rotations, betas, translation


def with_exchanged(
    detections: Sequence[Sequence[Detection | None]], swapped: np.ndarray
) -> list[list[Detection | None]]:
    """Detections of V cameras in N instants with left and right exchanged where ``swapped`` (V, N) is true."""
    return [
        [exchanged(person) if swap and person is not None else person for person, swap in zip(view, own)]
        for view, own in zip(detections, swapped)
    ]
