"""What a fit over time is given: one person in the frames of one camera, or of several at once.

The fit over time (:mod:`meshrec.fit.sequence`) asks for terms and does not know how many cameras stand behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.fit.evidence import Evidence
from meshrec.fit.fitter import FRAMES_FOR_GRAVITY, Fitter
from meshrec.fit.gravity import Gravity, gravity_of
from meshrec.fit.initial import Initial
from meshrec.fit.outline import MaskView, drawn_faces
from meshrec.fit.result import confidence_in, reprojection_error
from meshrec.fit.settings import Balance
from meshrec.fit.solver import Quadratic, Term, total
from meshrec.fit.stature import on_rays
from meshrec.fit.terms import Linearised, Reprojection
from meshrec.geometry import Camera
from meshrec.landmarks.numba_backend import landmark_positions


class Shown(Protocol):
    """What some frames show of a person."""

    def terms(self) -> list[Term]:
        """The terms of landmarks and of what else is known, of all frames."""
        ...

    def skin(
        self, state: BodyState, reach: float, touching: bool = True, chosen: Tensor | None = None
    ) -> Linearised | None:
        """The terms of the skin, which are matched and evaluated once: outlines, and forearms that are in the body.

        Args:
            state: The bodies of the frames.
            reach: Farthest distance at which outlines match, as a share of the mask view's side.
            touching: Whether to push forearms out of the body.
            chosen: The frames whose outlines are matched. Default: all.

        Returns:
            The term; None if no chosen frame has a mask and forearms are left alone.
        """
        ...


class Film(Protocol):
    """One person in T frames."""

    @property
    def times(self) -> Tensor:
        """(T,) seconds, ascending."""
        ...

    @property
    def turns(self) -> Tensor:
        """(T, 3, 3) rotations from the world to the space of each frame's body."""
        ...

    @property
    def seen(self) -> Tensor:
        """(T,) bool, whether there is a detection."""
        ...

    @property
    def masked(self) -> bool:
        """Whether some detection has a mask."""
        ...

    @property
    def sees_depth(self) -> bool:
        """Whether places along a line of sight are seen as well as others."""
        ...

    @property
    def balance(self) -> Balance:
        """Weights of the fit of a frame alone."""
        ...

    def alone(self, frames: slice) -> tuple[BodyState, Quadratic, Shown]:
        """The bodies of some frames, each fitted to its landmarks alone, the quadratics there, and what they show."""
        ...

    def shown(self, frames: slice, balance: Balance, gravity: Gravity) -> Shown:
        """What some frames show, with the last cutoff of the landmarks and a known direction of gravity."""
        ...

    def look_alike(self, old: BodyState, new: BodyState) -> BodyState:
        """Bodies ``new`` of another shape, in the place in which they look like ``old``."""
        ...

    def gravity(self, state: BodyState) -> Gravity:
        """The direction of gravity in the world, by the bodies of all frames."""
        ...


@dataclass(frozen=True, eq=False)
class ShownByOne:
    """What some frames of one camera show.

    Attributes:
        film: All frames.
        frames: Which of them.
        evidence: Their landmarks, and what else is known.
        balance: Weights.
    """

    film: FilmOfOne
    frames: slice
    evidence: Evidence[Reprojection]
    balance: Balance

    def terms(self) -> list[Term]:
        """The terms of landmarks and of what else is known, of all frames."""
        return self.evidence.terms()

    def skin(
        self, state: BodyState, reach: float, touching: bool = True, chosen: Tensor | None = None
    ) -> Linearised | None:
        """See :meth:`Shown.skin`."""
        views = self.views
        if chosen is not None:
            views = [view if use else None for view, use in zip(views, chosen)]
        if not touching and not any(view is not None for view in views):
            return None
        fitter = self.film.fitter

        def terms(own: BodyState, i: int) -> list[Term]:
            view = views[i]
            if view is None:
                return []
            return fitter.outline(own, view, reach, self.balance, self.evidence.hidden(i))

        return evaluated_once(fitter, state, terms, touching)

    @cached_property
    def views(self) -> list[MaskView | None]:
        """The masks of the frames."""
        film = self.film
        views: list[MaskView | None] = []
        for t in range(*self.frames.indices(len(film.detections))):
            person = film.detections[t]
            if person.mask is None or not film.fitter.silhouettes:
                views.append(None)
            else:
                settings = film.fitter.settings.outline
                views.append(MaskView.around(person, list(film.others[t]), film.cameras[t], settings))
        return views


class TermsOf(Protocol):
    """Terms of one body among several."""

    def __call__(self, own: BodyState, number: int, /) -> list[Term]:
        """The terms of the body of this number."""
        ...


def evaluated_once(fitter: Fitter, state: BodyState, terms_of: TermsOf, touching: bool) -> Linearised:
    """Terms that differ between bodies, each evaluated at its body.

    Args:
        fitter: The fit, whose forearms are pushed out of bodies.
        state: B bodies.
        terms_of: The terms of each.
        touching: Whether to push forearms out of the body.
    """
    like, unknowns = state.betas, state.unknowns
    energy, gradient = like.new_zeros(len(state)), like.new_zeros(len(state), unknowns)
    hessian = like.new_zeros(len(state), unknowns, unknowns)
    for i in range(len(state)):
        own = state[i : i + 1]
        terms = fitter.contact(own) if touching else []
        terms += terms_of(own, i)
        if terms:
            found = total(terms, own)
            energy[i], gradient[i], hessian[i] = found.energy[0], found.gradient[0], found.hessian[0]
    return Linearised(state, Quadratic(energy, gradient, hessian))


@dataclass(frozen=True, eq=False)
class FilmOfOne:
    """One person in T frames of one camera, which may turn and zoom, with something in every frame.

    Attributes:
        fitter: The fit of photos.
        detections: T detections; those of frames without one are of the nearest frame.
        others: Other people in each frame.
        cameras: Camera of each frame.
        common: The detections as one camera would have seen them.
        camera: That camera.
        times: (T,) seconds.
        turns: (T, 3, 3) from the world to camera space.
        seen: (T,) bool, whether there is a detection.
        nearest: (T,) nearest frame with a detection.
        initial: Estimates of a regressor.
    """

    fitter: Fitter
    detections: list[Detection]
    others: Sequence[Sequence[Detection]]
    cameras: Sequence[Camera]
    common: list[Detection]
    camera: Camera
    times: Tensor
    turns: Tensor
    seen: Tensor
    nearest: Tensor
    initial: Initial | None
    sees_depth: bool = False

    @classmethod
    def of(
        cls,
        fitter: Fitter,
        detections: Sequence[Detection | None],
        times: np.ndarray,
        camera: Camera | Sequence[Camera],
        initial: Initial | None,
        turns: np.ndarray | None,
        others: Sequence[Sequence[Detection]] | None,
    ) -> FilmOfOne:
        """Fill frames without a detection; the arguments are those of :class:`meshrec.fit.sequence.SequenceFitter`.

        Raises:
            ValueError: There is no detection, or the lengths differ, or times do not ascend.
        """
        count = len(detections)
        moments = torch.as_tensor(np.asarray(times, np.float64))
        frames = [t for t, detection in enumerate(detections) if detection is not None]
        if not frames:
            raise ValueError("a track needs a detection")
        cameras = [camera] * count if isinstance(camera, Camera) else list(camera)
        common = torch.eye(3, dtype=torch.float64).expand(count, 3, 3)
        if turns is not None:
            common = torch.as_tensor(np.asarray(turns, np.float64))
        beside = [()] * count if others is None else others
        sizes = {len(moments), len(cameras), len(common), len(beside), count if initial is None else len(initial.state)}
        if sizes != {count}:
            raise ValueError(f"{count} detections need as many times, cameras, turns, estimates and lists of others")
        if not (moments.diff() > 0).all():
            raise ValueError("times must ascend")
        index = np.array(frames)
        nearest = nearest_of(index, count)
        seen = torch.zeros(count, dtype=torch.bool)
        seen[index] = True
        filled = []
        for t, source in enumerate(nearest.tolist()):
            detection = detections[source]
            assert detection is not None
            filled.append(detection if t == source else _unseen(detection))
        reference = _reference(cameras)
        seen_by = [_seen_by(d, own, reference) for d, own in zip(filled, cameras)]
        near = torch.from_numpy(nearest)
        return cls(fitter, filled, beside, cameras, seen_by, reference, moments, common, seen, near, initial)

    @property
    def masked(self) -> bool:
        """Whether some detection has a mask."""
        return any(detection.mask is not None for detection in self.detections)

    @property
    def balance(self) -> Balance:
        """Weights of the fit of a frame alone."""
        return self.fitter.balance(self.initial)

    def alone(self, frames: slice) -> tuple[BodyState, Quadratic, ShownByOne]:
        """See :meth:`Film.alone`."""
        fitter, initial, balance = self.fitter, self._initial(frames), self.balance
        evidence = self._evidence(frames, balance)
        state, final, evidence = fitter.refine(fitter.starts(evidence, initial), evidence, balance, self.turns[frames])
        return state, final, ShownByOne(self, frames, evidence, balance)

    def shown(self, frames: slice, balance: Balance, gravity: Gravity) -> ShownByOne:
        """See :meth:`Film.shown`."""
        evidence = self._evidence(frames, balance)
        cutoff, _ = balance.annealing[-1]
        up = self.turns[frames] @ torch.from_numpy(-gravity.direction)
        known = replace(evidence.known, upright=replace(self.fitter.settings.upright, up=up))
        evidence = replace(evidence, seen=evidence.seen.with_cutoff(cutoff), known=known)
        return ShownByOne(self, frames, evidence, balance)

    def look_alike(self, old: BodyState, new: BodyState) -> BodyState:
        """See :meth:`Film.look_alike`: joints come to lie on the lines of sight through the old ones."""
        skeleton = self.fitter.skeleton
        points = landmark_positions(skeleton, old)
        other = replace(new, translation=torch.zeros_like(new.translation))
        return replace(other, translation=on_rays(points, landmark_positions(skeleton, other)))

    def gravity(self, state: BodyState) -> Gravity:
        """The direction of gravity in the world, by frames that are spread over the track."""
        seen = torch.nonzero(self.seen).flatten()
        some = seen[:: -(-len(seen) // FRAMES_FOR_GRAVITY)]
        points = landmark_positions(self.fitter.skeleton, state[some]) @ self.turns[some]
        return gravity_of(points.numpy())

    def judged(self, state: BodyState, frames: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reprojection errors, overlaps with masks, and scores of some frames, (N,) float32 each."""
        count = frames.stop - frames.start
        errors, overlaps = (np.full(count, np.nan, np.float32) for _ in range(2))
        scores = np.zeros(count, np.float32)
        balance = self.fitter.balance(None)
        evidence = self._evidence(frames, balance)
        views = ShownByOne(self, frames, evidence, balance).views
        for i, view in enumerate(views):
            t, overlap = frames.start + i, None
            if not self.seen[t]:
                continue
            own, box = state[t : t + 1], self.common[t].box
            errors[i] = reprojection_error(evidence.seen[i : i + 1], own, box)
            if view is not None:
                overlap = view.overlap(drawn_faces(self.fitter.body, own, view.camera)[1])
                overlaps[i] = overlap
            scores[i] = confidence_in(self.detections[t], float(errors[i]), overlap)
        return errors, overlaps, scores

    def _evidence(self, frames: slice, balance: Balance) -> Evidence[Reprojection]:
        """The evidence of some frames. Without a detection there are only the priors that everybody has."""
        seen, initial = self.seen[frames], self._initial(frames)
        evidence = self.fitter.evidence(self.common[frames], self.camera, initial, balance)
        if seen.all():
            return evidence
        known = evidence.known
        if known.initial is not None:
            known = replace(known, initial=replace(known.initial, whiten=known.initial.whiten * seen[:, None, None]))
        if known.legs is not None:
            known = replace(known, legs=replace(known.legs, unseen=known.legs.unseen * seen))
        return replace(evidence, known=known)

    def _initial(self, frames: slice) -> Initial | None:
        """The estimates of some frames; those of frames without a detection are of the nearest frame."""
        return None if self.initial is None else estimates(self.initial, self.nearest[frames])


def estimates(initial: Initial, index: Tensor) -> Initial:
    """The estimates of some frames, float64."""
    state = initial.state[index]
    doubled = BodyState(state.rotations.double(), state.translation.double(), state.betas.double())
    return Initial(doubled, initial.whiten[index].double())


def chunks(count: int, size: int) -> list[slice]:
    """Slices of ``size`` or fewer that cover ``count`` in order."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def nearest_of(index: np.ndarray, count: int) -> np.ndarray:
    """The nearest of ascending numbers to each of 0 to ``count`` - 1."""
    after = np.searchsorted(index, np.arange(count)).clip(0, len(index) - 1)
    before = (after - 1).clip(0)
    closer = np.abs(index[before] - np.arange(count)) <= np.abs(index[after] - np.arange(count))
    return np.where(closer, index[before], index[after])


def _unseen(detection: Detection) -> Detection:
    """A detection that says nothing."""
    keypoints = detection.keypoints * np.array([1, 1, 0], np.float32)
    return replace(detection, keypoints=keypoints, score=0.0, mask=None, world=None, close_ups=())


def _reference(cameras: Sequence[Camera]) -> Camera:
    """The camera of all frames; where they differ, one whose picture has room for what all of them see."""
    first = cameras[0]
    if all(camera is first or camera == first for camera in cameras):
        return first
    focal = float(np.mean([np.mean(camera.focal) for camera in cameras]))
    side = 4 * int(max(max(camera.size) * focal / np.mean(camera.focal) for camera in cameras))
    return Camera(focal, size=(side, side))


def _seen_by(detection: Detection, own: Camera, other: Camera) -> Detection:
    """A detection without its mask, as a camera of another focal length in the same place sees it."""
    if other is own or other == own:
        return detection
    scale = np.divide(other.focal, own.focal).astype(np.float32)
    shift = np.subtract(other.center, scale * np.array(own.center)).astype(np.float32)
    x, y, confidence = detection.keypoints.T
    inside = (x > -0.5) & (x < own.size[0] - 0.5) & (y > -0.5) & (y < own.size[1] - 0.5)
    keypoints = np.stack([x * scale[0] + shift[0], y * scale[1] + shift[1], confidence * inside], 1)
    close_ups = tuple(replace(close, center=close.center * scale + shift) for close in detection.close_ups)
    box = detection.box * np.tile(scale, 2) + np.tile(shift, 2)
    return replace(detection, keypoints=keypoints, box=box, mask=None, close_ups=close_ups)
