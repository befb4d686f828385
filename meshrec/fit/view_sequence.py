"""One body over instants that several cameras see: the fit over time of :mod:`meshrec.fit.sequence` in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.fit.film import chunks, estimates, evaluated_once, nearest_of
from meshrec.fit.fitter import FRAMES_FOR_GRAVITY, Fitter
from meshrec.fit.gravity import Gravity, gravity_of
from meshrec.fit.initial import Initial
from meshrec.fit.kept import Kept, not_kept
from meshrec.fit.outline import MaskView, drawn_faces
from meshrec.fit.result import confidence_in, reprojection_error
from meshrec.fit.sequence import SequenceFitter, SequenceSettings
from meshrec.fit.settings import Balance
from meshrec.fit.solver import Quadratic, Term
from meshrec.fit.terms import Linearised
from meshrec.fit.view_evidence import ViewEvidence, joint_set_of, view_evidence
from meshrec.fit.view_settings import ViewSettings
from meshrec.fit.views import MultiViewFitter, with_exchanged
from meshrec.geometry import Camera
from meshrec.landmarks.numba_backend import landmark_positions

OVER_TIME = SequenceSettings(prior=1.0)
"""What is assumed of time where several cameras see a person."""


@dataclass(frozen=True, eq=False)
class MultiViewSequenceFit:
    """One body over T instants, in the world.

    Attributes:
        rotations: (T, 24, 3, 3) float32 local rotations; the first is the body's orientation in the world.
        betas: (S,) float32 shape coefficients.
        translation: (T, 3) float32, metres.
        joint_deviation: (T, 24) float32 standard deviation of each ``smpl24`` joint relative to the pelvis, metres.
        reprojection_error: (V, T) float32 mean distance of detected and reprojected landmarks in each view, as a share
            of the box's longer side; NaN where there is no detection.
        mask_iou: (V, T) float32 intersection over union of the silhouette and the detector's mask; NaN without a mask.
        exchanged: (V, T) bool, the detections that have left and right exchanged.
        score: (T,) float32 confidence in [0, 1], the mean over views with a detection; 0 in instants without any.
        contacts: (T, 4) bool, whether left heel, left toes, right heel and right toes touch the floor.
        gravity: The direction of gravity in the world.
    """

    rotations: np.ndarray
    betas: np.ndarray
    translation: np.ndarray
    joint_deviation: np.ndarray
    reprojection_error: np.ndarray
    mask_iou: np.ndarray
    exchanged: np.ndarray
    score: np.ndarray
    contacts: np.ndarray
    gravity: Gravity


class MultiViewSequenceFitter:
    """Fits one body to a person in the synchronised frames of several cameras.

    Args:
        fitter: The fit of photos. Its body, prior and settings hold here too.
        settings: What is assumed of time. Default: as with one camera, but the prior of poses has its whole weight,
            which is small with several cameras already.
        views: What differs with several cameras.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> import meshrec
        >>> from meshrec.detect.people import keypoint_box
        >>> from meshrec.fit.view_sequence import MultiViewSequenceFitter
        >>> body = meshrec.load_body("neutral")
        >>> front = meshrec.Camera(500.0, size=(512, 512), rotation=np.diag([1, -1, -1]), translation=[0, 0, 4])
        >>> side = meshrec.Camera(500.0, size=(512, 512), rotation=[[0, 0, -1], [0, -1, 0], [-1, 0, 0]],
        ...     translation=[0, 0, 4])
        >>> people = [[], []]
        >>> for t in range(4):
        ...     points = body.joints_from(body(transl=torch.tensor([[0.05 * t, 0, 0]])).vertices, "coco17")
        ...     for own, camera in zip(people, (front, side)):
        ...         seen = camera.project(camera.world_to_camera(points))[0, :, :2].numpy()
        ...         keypoints = np.hstack([seen, np.ones((17, 1), np.float32)])
        ...         own.append(meshrec.Detection(keypoint_box(keypoints), keypoints, "coco17", score=1.0))
        >>> people[1][2] = None  # one camera misses the person
        >>> fit = MultiViewSequenceFitter(meshrec.Fitter(body))(people, np.arange(4) / 20, [front, side])
        >>> bool(np.abs(np.diff(fit.translation[:, 0]) - 0.05).max() < 0.02)
        True
    """

    def __init__(
        self, fitter: Fitter, settings: SequenceSettings = OVER_TIME, views: ViewSettings = ViewSettings()
    ) -> None:
        self._sequence = SequenceFitter(fitter, settings)
        self._views = MultiViewFitter(fitter, views)

    def __call__(
        self,
        detections: Sequence[Sequence[Detection | None]],
        times: np.ndarray,
        cameras: Sequence[Camera],
        initial: Sequence[Initial | None] | None = None,
        up: np.ndarray | None = None,
        others: Sequence[Sequence[Sequence[Detection]]] | None = None,
        kept: Kept | None = None,
    ) -> MultiViewSequenceFit:
        """Fit one body to all instants.

        Args:
            detections: For each of V cameras the person in T instants, in pixels without lens distortion; None where
                the camera misses the person.
            times: (T,) seconds, ascending.
            cameras: The V cameras, with extrinsics.
            initial: For each camera a regressor's T estimates in its space, of which those of instants without a
                detection are not read; or None. Default: starts from the library of poses.
            up: (3,) unit vector against gravity in the world, where it is known.
            others: For each camera the other people in each instant, who may stand in front of the person.
            kept: Where parts of the work are kept, as for :class:`meshrec.fit.sequence.SequenceFitter`.

        Returns:
            The body in all instants. Times in which no camera sees the person and that are longer than a second are
            interpolated.

        Raises:
            InputError: The detections have different joint sets, or the body lacks one of their landmarks.
            ValueError: There is no detection, or the lengths differ, or times do not ascend.
        """
        kept, chunk = not_kept if kept is None else kept, self._sequence.settings.chunk
        film = FilmOfMany.of(self._views, detections, times, cameras, initial, up, others, chunk, kept)
        fitted = self._sequence.over_time(film, kept)

        def judged(frames: slice) -> dict[str, np.ndarray]:
            return dict(zip(("error", "overlap", "score"), film.judged(fitted.state, frames)))

        parts = [kept(f"judged_{part.start:08d}", partial(judged, part)) for part in chunks(len(film.times), chunk)]
        errors, overlaps, scores = (
            np.concatenate([part[name] for part in parts], axis=-1) for name in ("error", "overlap", "score")
        )
        everywhere = (len(detections), len(film.times))
        all_errors, all_overlaps = (np.full(everywhere, np.nan, np.float32) for _ in range(2))
        sides = np.zeros(everywhere, bool)
        all_errors[film.used], all_overlaps[film.used], sides[film.used] = errors, overlaps, film.exchanged
        return MultiViewSequenceFit(
            rotations=fitted.state.rotations.float().numpy(),
            betas=fitted.state.betas[0].float().numpy(),
            translation=fitted.state.translation.float().numpy(),
            joint_deviation=fitted.deviation.float().numpy(),
            reprojection_error=all_errors,
            mask_iou=all_overlaps,
            exchanged=sides,
            score=scores,
            contacts=fitted.contacts.numpy(),
            gravity=fitted.gravity,
        )


@dataclass(frozen=True, eq=False)
class FilmOfMany:
    """One person in T instants that several cameras see, as :class:`meshrec.fit.film.Film` has it.

    Attributes:
        fitter: The fit of an instant.
        used: Numbers of the V cameras that see the person at all.
        detections: The person in each view and instant.
        exchanged: (V, T) bool, those whose left and right were exchanged.
        others: Other people in each view and instant.
        cameras: The V cameras.
        times: (T,) seconds.
        seen: (T,) bool, whether a camera sees the person.
        initial: A regressor's estimates in the space of each camera, of all instants.
        up: (3,) unit vector against gravity in the world, where it is known.
    """

    fitter: MultiViewFitter
    used: list[int]
    detections: list[list[Detection | None]]
    exchanged: np.ndarray
    others: Sequence[Sequence[Sequence[Detection]]]
    cameras: list[Camera]
    times: Tensor
    seen: Tensor
    initial: list[Initial | None]
    up: np.ndarray | None
    sees_depth: bool = True

    @classmethod
    def of(
        cls,
        fitter: MultiViewFitter,
        detections: Sequence[Sequence[Detection | None]],
        times: np.ndarray,
        cameras: Sequence[Camera],
        initial: Sequence[Initial | None] | None,
        up: np.ndarray | None,
        others: Sequence[Sequence[Sequence[Detection]]] | None,
        chunk: int,
        kept: Kept = not_kept,
    ) -> FilmOfMany:
        """Leave out cameras that never see the person, and exchange left and right where views disagree.

        The arguments are those of :class:`MultiViewSequenceFitter`; ``chunk`` instants are looked at together,
        and what is found of them is kept.

        Raises:
            ValueError: There is no detection, or the lengths differ, or times do not ascend.
        """
        count, moments = len(detections), torch.as_tensor(np.asarray(times, np.float64))
        guesses: Sequence[Initial | None] = [None] * count if initial is None else initial
        nobody: Sequence[Sequence[Sequence[Detection]]] = [[()] * len(moments)] * count
        beside = nobody if others is None else others
        if not count == len(cameras) == len(guesses) == len(beside):
            raise ValueError(f"detections of {count} views need as many cameras, estimates and lists of others")
        lengths = {len(own) for views in (detections, beside) for own in views}
        lengths |= {len(guess.state) for guess in guesses if guess is not None}
        if lengths != {len(moments)}:
            raise ValueError(
                f"{len(moments)} times need as many detections, estimates and lists of others in each view"
            )
        if not (moments.diff() > 0).all():
            raise ValueError("times must ascend")
        used = [v for v, view in enumerate(detections) if any(person is not None for person in view)]
        if not used:
            raise ValueError("a track needs a detection")
        found = [list(detections[v]) for v in used]
        own, starts = [cameras[v] for v in used], []
        for v, view in zip(used, found):
            guess = guesses[v]
            index = np.flatnonzero([person is not None for person in view])
            near = torch.from_numpy(nearest_of(index, len(moments)))
            starts.append(None if guess is None else estimates(guess, near))
        sides = np.zeros((len(used), len(moments)), bool)
        seen = torch.tensor([[person is not None for person in view] for view in found]).any(0)

        def exchanged(part: slice) -> dict[str, np.ndarray]:
            now = [None if guess is None else guess[part] for guess in starts]
            return {"sides": fitter.exchanged_views([view[part] for view in found], own, now, up)}

        for part in chunks(len(moments), chunk):
            if seen[part].any():
                sides[:, part] = kept(f"sides_{part.start:08d}", partial(exchanged, part))["sides"]
        beside = [beside[v] for v in used]
        return cls(fitter, used, with_exchanged(found, sides), sides, beside, own, moments, seen, starts, up)

    @cached_property
    def joints(self) -> str:
        """The joint set of all detections, which instants without any do not tell."""
        return joint_set_of(self.detections)

    @cached_property
    def turns(self) -> Tensor:
        """(T, 3, 3) identities: the bodies are in the world."""
        return torch.eye(3, dtype=torch.float64).expand(len(self.times), 3, 3)

    @property
    def masked(self) -> bool:
        """Whether some detection has a mask."""
        return any(person is not None and person.mask is not None for view in self.detections for person in view)

    @property
    def balance(self) -> Balance:
        """Weights of the fit of an instant alone."""
        return self.fitter.settings.balance

    def alone(self, frames: slice) -> tuple[BodyState, Quadratic, ShownByMany]:
        """See :meth:`meshrec.fit.film.Film.alone`."""
        some, initial = self._some(frames)
        state, final, evidence = self.fitter.fitted(some, self.cameras, initial, self.up, self.joints)
        return state, final, ShownByMany(self, frames, evidence)

    def shown(self, frames: slice, balance: Balance, gravity: Gravity) -> ShownByMany:
        """See :meth:`meshrec.fit.film.Film.shown`; bodies seen from several sides need no estimate of gravity."""
        some, initial = self._some(frames)
        evidence = view_evidence(self.fitter.fitter, some, self.cameras, balance, initial, self.up, self.joints)
        cutoff, _ = balance.annealing[-1]
        joint = replace(evidence.joint, seen=evidence.joint.seen.with_cutoff(cutoff))
        return ShownByMany(self, frames, replace(evidence, joint=joint))

    def look_alike(self, old: BodyState, new: BodyState) -> BodyState:
        """See :meth:`meshrec.fit.film.Film.look_alike`: the middle of the joints stays where it is."""
        skeleton = self.fitter.fitter.skeleton
        before, after = (landmark_positions(skeleton, state).mean(1) for state in (old, new))
        return replace(new, translation=new.translation + before - after)

    def gravity(self, state: BodyState) -> Gravity:
        """The direction of gravity in the world; where it is not known, the mean of what it seems to each camera."""
        if self.up is not None:
            return Gravity(-np.asarray(self.up, np.float64), np.zeros(2))
        seen = torch.nonzero(self.seen).flatten()
        some = seen[:: -(-len(seen) // FRAMES_FOR_GRAVITY)]
        points = landmark_positions(self.fitter.fitter.skeleton, state[some])
        directions, deviations = [], []
        for camera in self.cameras:
            own = gravity_of(camera.world_to_camera(points).numpy())
            directions.append(own.direction @ np.asarray(camera.rotation, np.float64))
            deviations.append(own.deviation)
        mean = np.mean(directions, 0)
        return Gravity(mean / np.linalg.norm(mean), np.mean(deviations, 0))

    def judged(self, state: BodyState, frames: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reprojection errors and overlaps with masks (V, N), and scores (N,), float32, of N of the instants.

        Args:
            state: The bodies in all instants.
            frames: Which of them.
        """
        some, _ = self._some(frames)
        body, shape = self.fitter.fitter.body, (len(self.cameras), len(some[0]))
        errors, overlaps, scores = (np.full(shape, np.nan, np.float32) for _ in range(3))
        evidence = view_evidence(self.fitter.fitter, some, self.cameras, self.balance, joints=self.joints)
        views = ShownByMany(self, frames, evidence).views
        for v, (space, own) in enumerate(zip(evidence.spaces, evidence.views)):
            local = space.from_world(state[frames])
            for i, person in enumerate(some[v]):
                if person is None:
                    continue
                overlap, view, here = None, views[i][v], local[i : i + 1]
                errors[v, i] = reprojection_error(own.seen[i : i + 1], here, person.box)
                if view is not None:
                    overlap = view.overlap(drawn_faces(body, here, view.camera)[1])
                    overlaps[v, i] = overlap
                scores[v, i] = confidence_in(person, float(errors[v, i]), overlap)
        number = np.isfinite(scores).sum(0)
        return errors, overlaps, (np.nansum(scores, 0) / number.clip(1)).astype(np.float32)

    def _some(self, frames: slice) -> tuple[list[list[Detection | None]], list[Initial | None]]:
        """Detections and estimates of some instants."""
        initial = [None if guess is None else guess[frames] for guess in self.initial]
        return [view[frames] for view in self.detections], initial


@dataclass(frozen=True, eq=False)
class ShownByMany:
    """What several cameras show in some instants, as :class:`meshrec.fit.film.Shown` has it.

    Attributes:
        film: All instants.
        frames: Which of them.
        evidence: What the cameras show.
    """

    film: FilmOfMany
    frames: slice
    evidence: ViewEvidence

    def terms(self) -> list[Term]:
        """The terms of landmarks and of what else is known, of all instants."""
        return self.evidence.joint.terms()

    def skin(
        self, state: BodyState, reach: float, touching: bool = True, chosen: Tensor | None = None
    ) -> Linearised | None:
        """See :meth:`meshrec.fit.film.Shown.skin`."""
        views = self.views
        if chosen is not None:
            views = [own if use else [] for own, use in zip(views, chosen)]
        if not touching and not any(view is not None for own in views for view in own):
            return None
        fitter = self.film.fitter

        def terms(own: BodyState, i: int) -> list[Term]:
            return fitter.outlines(own, views[i], self.evidence, i, reach)

        return evaluated_once(fitter.fitter, state, terms, touching)

    @cached_property
    def views(self) -> list[list[MaskView | None]]:
        """For each instant the mask in each view."""
        film = self.film
        return [
            [
                film.fitter.mask_view(people[t], others[t], camera)
                for people, others, camera in zip(film.detections, film.others, film.cameras)
            ]
            for t in range(*self.frames.indices(len(film.times)))
        ]
