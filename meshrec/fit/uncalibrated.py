"""Extrinsics of uncalibrated cameras, and focal lengths that are not known, from the people whom the cameras see.

Every camera has its own estimate of each body. How the estimates are turned and placed gives a start for the cameras
(:mod:`meshrec.geometry.relative_poses`), each view's estimates give one for the bodies, and a bundle adjustment of
bodies and cameras goes on from there (:mod:`meshrec.fit.bundle`). The lowest energy is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body import NUM_JOINTS
from meshrec.body.measures import stature
from meshrec.body.state import BodyState, choose
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.fit.bundle import Bundle, BundleSettings, CameraDeviations, Shapes, camera_deviations, minimize_bundle
from meshrec.fit.fitter import Fitter
from meshrec.fit.free_views import FreeView
from meshrec.fit.in_view import ViewSpace, ViewTerms
from meshrec.fit.initial import Initial
from meshrec.fit.stature import with_stature
from meshrec.fit.terms import ShapeTerm
from meshrec.fit.view_evidence import ViewEvidence, view_evidence
from meshrec.fit.view_settings import ViewSettings
from meshrec.fit.view_starts import placed_in_views
from meshrec.fit.views import MultiViewFitter, with_exchanged
from meshrec.geometry import Camera
from meshrec.geometry.relative_poses import relative_poses


@dataclass(frozen=True, eq=False)
class FoundCameras:
    """Cameras and bodies that were adjusted together; the world is the first camera's space.

    Attributes:
        cameras: The V cameras with extrinsics; focal lengths that were not known are those found.
        state: N bodies.
        deviations: How uncertain the cameras are.
        exchanged: (V, N) bool, detections whose left and right were exchanged.
        energy: The energy of the bundle, by which assignments of the same detections can be compared.
    """

    cameras: list[Camera]
    state: BodyState
    deviations: CameraDeviations
    exchanged: np.ndarray
    energy: float


def bundle_adjust(
    fitter: Fitter,
    detections: Sequence[Sequence[Detection | None]],
    cameras: Sequence[Camera],
    estimates: Sequence[BodyState],
    owner: Sequence[int] | None = None,
    heights: Sequence[float] | None = None,
    guessed: Sequence[bool] | None = None,
    settings: BundleSettings = BundleSettings(),
) -> FoundCameras:
    """Find the extrinsics of cameras that stand still, together with the bodies that they see.

    Args:
        fitter: The fit of photos, whose body, prior and settings hold here too.
        detections: For each of V cameras what it sees of N bodies: of M people at one or several instants; None where
            it misses one. Pixels are those without lens distortion.
        cameras: The V cameras without extrinsics.
        estimates: For each camera estimates of the N bodies in its space; not read where it misses one.
        owner: (N,) which person each body is, from 0. Default: all are one person.
        heights: (M,) statures, metres; NaN where unknown. Default: the prior of shapes decides how large the world is.
        guessed: (V,) whether a camera's focal length is a guess. One factor of all of these is found. Default: none is.
        settings: Weights and standard deviations.

    Returns:
        Cameras and bodies of the lowest energy.

    Raises:
        InputError: The detections have different joint sets, or a camera sees nobody whom another one sees.
        ValueError: The lengths differ.
    """
    count = len(detections[0])
    person = torch.zeros(count, dtype=torch.long) if owner is None else torch.as_tensor(owner)
    people = int(person.max()) + 1
    tall = torch.as_tensor([np.nan] * people if heights is None else list(heights), dtype=torch.float64)
    free = (False,) * len(cameras) if guessed is None else tuple(guessed)
    if not len(detections) == len(cameras) == len(estimates) == len(free) or len(person) != count:
        raise ValueError(f"detections of {len(detections)} views need as many cameras and estimates")
    task = _Task(
        MultiViewFitter(fitter, replace(ViewSettings(), balance=settings.balance)), person, tall, free, settings
    )
    seen = torch.tensor([[one is not None for one in view] for view in detections])
    sized = task.of_one_shape(estimates, seen)
    placed = task.placed(cameras, sized, seen)
    best, energy = task.adjusted(detections, placed, task.starts(placed, sized, seen))
    swapped = task.exchanged(detections, best)
    if swapped.any():
        again, other = task.adjusted(with_exchanged(detections, swapped), best.cameras, [best.state], best.zoom)
        if other < energy:
            best, energy = again, other
        else:
            swapped[:] = False
    return FoundCameras(best.cameras, best.state, camera_deviations(best), swapped, energy)


@dataclass(frozen=True, eq=False)
class _Task:
    """What does not change while cameras are looked for.

    Attributes:
        views: The fit of bodies in several views.
        owner: (N,) which person each body is.
        heights: (M,) statures, metres; NaN where unknown.
        guessed: (V,) whether a camera's focal length is a guess.
        settings: Weights and standard deviations.
    """

    views: MultiViewFitter
    owner: Tensor
    heights: Tensor
    guessed: tuple[bool, ...]
    settings: BundleSettings

    def of_one_shape(self, estimates: Sequence[BodyState], seen: Tensor) -> list[BodyState]:
        """Estimates with one shape for each person: its mean over views and instants, of the stature that is given.

        They look the same to the cameras.
        """
        body, skeleton = self.views.fitter.body, self.views.fitter.skeleton
        betas = []
        for person, height in enumerate(self.heights):
            own = torch.cat([e.betas[mask & (self.owner == person)] for e, mask in zip(estimates, seen)]).mean(0)
            if torch.isfinite(height):
                rest = torch.eye(3).to(own).repeat(1, NUM_JOINTS, 1, 1)
                own = with_stature(body, BodyState(rest, own.new_tensor([[0, 0, 4]]), own[None]), height[None]).betas[0]
            betas.append(own)
        wanted = torch.stack(betas)[self.owner]
        space = ViewSpace.of(Camera(1.0), skeleton)
        tall = stature(body.rest(wanted.to(body.v_template))[0]).to(wanted)
        sized = []
        for estimate in estimates:
            ratio = tall / stature(body.rest(estimate.betas.to(body.v_template))[0]).to(wanted)
            pelvis = (space.rest(estimate) + estimate.translation) * ratio[:, None]
            other = replace(estimate, betas=wanted)
            sized.append(replace(other, translation=pelvis - space.rest(other)))
        return sized

    def placed(self, cameras: Sequence[Camera], estimates: Sequence[BodyState], seen: Tensor) -> list[Camera]:
        """Cameras with the extrinsics that the turns and places of the estimates suggest.

        Raises:
            InputError: A camera sees nobody whom another one sees.
        """
        space = ViewSpace.of(Camera(1.0), self.views.fitter.skeleton)
        turns = torch.stack([estimate.rotations[:, 0] for estimate in estimates]).numpy()
        places = torch.stack([space.rest(estimate) + estimate.translation for estimate in estimates]).numpy()
        try:
            found = relative_poses(turns[:, :, None], places[:, :, None], weights=seen.double().numpy()[:, :, None])
        except ValueError:
            raise InputError(
                "a camera sees nobody whom another camera sees, so that it is not known where it stands; leave it out."
            ) from None
        return [
            replace(camera, rotation=r.tolist(), translation=t.tolist())
            for camera, r, t in zip(cameras, found.rotations, found.translations)
        ]

    def starts(self, cameras: Sequence[Camera], estimates: Sequence[BodyState], seen: Tensor) -> list[BodyState]:
        """Bodies in the world as each view has them, or, where it misses one, as the first view that sees it."""
        worlds = [
            ViewSpace.of(camera, self.views.fitter.skeleton).to_world(own) for camera, own in zip(cameras, estimates)
        ]
        starts = []
        for first in range(len(worlds)):
            state = worlds[first]
            for mask, other in zip(seen.flip(0), worlds[::-1]):
                state = choose(~seen[first] & mask, other, state)
            starts.append(state)
        return starts

    def adjusted(
        self,
        detections: Sequence[Sequence[Detection | None]],
        cameras: Sequence[Camera],
        starts: Sequence[BodyState],
        zoom: float = 0.0,
    ) -> tuple[Bundle, float]:
        """The bundle of lowest energy from several starts of the bodies, and its energy."""
        evidence = view_evidence(self.views.fitter, detections, cameras, self.settings.balance)
        found = []
        for state in starts:
            bundle = self._bundle(evidence, placed_in_views(state, evidence, self.views.settings), zoom)
            for cutoff, steps in self.settings.balance.annealing:
                bundle, energy = minimize_bundle(bundle.with_cutoff(cutoff), steps)
            found.append((bundle, energy))
        return min(found, key=lambda pair: pair[1])

    def exchanged(self, detections: Sequence[Sequence[Detection | None]], bundle: Bundle) -> np.ndarray:
        """The detections (V, N) whose left and right are exchanged, as seen by these cameras."""
        spaces = [view.space for view in bundle.views]
        initial = [Initial.from_deviations(space.from_world(bundle.state)) for space in spaces]
        return self.views.exchanged_views(detections, bundle.cameras, initial)

    def _bundle(self, evidence: ViewEvidence, state: BodyState, zoom: float) -> Bundle:
        known = evidence.joint.known
        # The prior of shapes counts once for a person, not once for a body.
        terms = [term for term in known.everybody if not isinstance(term, ShapeTerm)]
        terms += [known.legs] if known.legs is not None else []
        views = []
        for own, space in zip(evidence.views, evidence.spaces):
            local = space.from_world(state)
            turns = own.known.turns
            assert not isinstance(turns, ViewTerms)
            views.append(FreeView(own.seen, turns, space, (space.rest(local) + local.translation).mean(0)))
        shapes = Shapes(self.views.fitter.body, self.heights, self.settings)
        return Bundle(state, tuple(views), self.owner, terms, shapes, self.guessed, zoom)
