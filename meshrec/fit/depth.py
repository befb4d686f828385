"""Bodies from landmarks in space and the depth map that shows them.

Landmarks give the start: pose and shape that come closest to them, then the most likely ones given the prior of poses.
Then the body's visible surface is matched to the points of the map, and the map's points to it, as iterated closest
points are (Chen & Medioni 1992): distances count along the normals of the surface, so that it slides freely. Clothes
lie between skin and map; their thickness is a nuisance parameter (:mod:`meshrec.fit.clothes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.joints import flip_permutation
from meshrec.body.joints import joint_set as joint_set_of
from meshrec.body.mesh_fit import FitOptions, ParameterFitter
from meshrec.body.state import BodyState
from meshrec.body.topology import vertex_normals
from meshrec.fit.clothes import REGIONS, ClothesPrior, worn_over
from meshrec.fit.nuisance import Nuisance, robust_squares
from meshrec.fit.solver import Quadratic, Term, minimize, total
from meshrec.fit.terms import LimitTerm, PoseTerm, RestTerm, ShapeTerm
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_jacobians
from meshrec.poses.pose_prior import PosePrior, load_pose_prior
from meshrec.render import rasterize

LEGS = ("hip", "knee", "ankle", "foot", "heel", "toe")  # parts of the names of landmarks of the legs


@dataclass(frozen=True)
class DepthSettings:
    """The constants of the fit.

    Attributes:
        least_deviation: Standard deviation of a landmark's coordinate however sharp its heatmap is, metres.
        spread: Factor from the standard deviation of a heatmap over all axes to that of a landmark's coordinate.
        cutoff: Distance at which a residual's cost is half its maximum, in standard deviations.
        steps: Steps of the fit to landmarks and priors.
        prior: Weight of the prior of poses.
        shape: Term of the betas.
        limits: Term of the joint limits.
        hands: Term that keeps hands near their rest pose.
        reaches: For each round of matching, the farthest distance of a match in metres, and the number of steps.
        points: Most points of the map that are matched.
        surface: Standard deviation of a point's distance from the surface, metres, besides the sensor's noise.
        sensor_noise: Growth of the sensor's noise with the square of the distance, 1 / metres.
        independent: Number of independent points as which all points together count. Errors of near ones are alike.
        outline: The same for points of the body that the map shows empty.
        beside: Weight of the landmarks once points are matched.
        around: Distance from a landmark within which points of the map count when fits are compared, metres.
        judged: Farthest distance of a match in that comparison, metres.
        exchange: Whether fits also start with left and right exchanged. From behind and from the front a person looks
            much alike to the network, and so do crossed and uncrossed legs; the fit that explains the map best is kept.
        early: Rounds of matching of all fits.
        kept: Fits that go on after these.
        clothes: Prior of the thickness of clothes.
    """

    least_deviation: float = 0.02
    spread: float = 0.5
    cutoff: float = 3.0
    steps: int = 10
    prior: float = 0.5
    shape: ShapeTerm = ShapeTerm()
    limits: LimitTerm = LimitTerm()
    hands: RestTerm = RestTerm(("left_hand", "right_hand"), deviation=0.2, freedom=10)
    reaches: tuple[tuple[float, int], ...] = ((0.3, 4), (0.2, 4), (0.12, 4), (0.08, 4), (0.06, 4))
    points: int = 900
    surface: float = 0.008
    sensor_noise: float = 0.002
    independent: float = 250.0
    outline: float = 40.0
    beside: float = 0.25
    around: float = 0.3
    judged: float = 0.1
    exchange: bool = True
    early: int = 2
    kept: int = 2
    clothes: ClothesPrior = ClothesPrior(mean=0.005, shared=0.01, own=0.005)


@dataclass(frozen=True)
class PlacesTerm:
    """Robust distances of landmarks from their estimated places.

    Attributes:
        landmarks: The K landmarks.
        places: (B, K, 3) metres.
        precision: (B, K) inverse of the standard deviation of a coordinate, 1 / metres.
        cutoff: Distance at which a landmark's cost is half its maximum, in standard deviations.
        weight: Factor of all costs.
    """

    landmarks: LandmarkMoments
    places: Tensor
    precision: Tensor
    cutoff: float = 3.0
    weight: float = 1.0

    def __getitem__(self, index: slice) -> PlacesTerm:
        return replace(self, places=self.places[index], precision=self.precision[index])

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        points, jacobian = landmark_jacobians(self.landmarks, state)
        values = ((points - self.places) * self.precision[..., None]).flatten(1)
        slopes = (jacobian * self.precision[..., None, None]).flatten(1, 2)
        return robust_squares(values, slopes, _none(values), self.cutoff, group=3, weight=self.weight)


@dataclass(frozen=True)
class SurfaceTerm:
    """Robust distances of a body's vertices from points, along given directions.

    Attributes:
        landmarks: The N vertices.
        targets: (N, 3) points, metres.
        normals: (N, 3) unit vectors along which distances count, outwards.
        precision: (N,) inverse of the standard deviations, 1 / metres.
        clothes: (N, R) 1 for the region of clothes over a vertex, else 0.
        thickness: Prior of the thickness of clothes.
        cutoff: Distance at which a point's cost is half its maximum, in standard deviations.
        weight: Factor of all costs.
    """

    landmarks: LandmarkMoments
    targets: Tensor
    normals: Tensor
    precision: Tensor
    clothes: Tensor
    thickness: ClothesPrior
    cutoff: float = 3.0
    weight: float = 1.0

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of a batch of one."""
        points, jacobian = landmark_jacobians(self.landmarks, state)
        values = ((points - self.targets) * self.normals).sum(-1) * self.precision
        slopes = (jacobian * self.normals[..., None]).sum(-2) * self.precision[..., None]
        nuisance = Nuisance((self.clothes * self.precision[:, None])[None], *self.thickness.moments)
        return robust_squares(values, slopes, nuisance, self.cutoff, weight=self.weight)


@dataclass(frozen=True, eq=False)
class DepthFit:
    """A body that was fitted to a depth map.

    Attributes:
        state: The body, a batch of one.
        landmarks_only: The body before it was fitted to the map's points.
        final: The energy's quadratic at the end.
        explained: Share of the visible surface that lies on points of the map.
        cost: Negative log-likelihood of the map's points and of what is known about poses and shapes.
        way: (K,) the order in which the landmarks were taken: with which of them exchanged between left and right.
    """

    state: BodyState
    landmarks_only: BodyState
    final: Quadratic
    explained: float
    cost: float
    way: np.ndarray


@dataclass(frozen=True, eq=False)
class _Attempt:
    """A fit from one start: the order of its landmarks, their term, and how far it is."""

    way: np.ndarray
    seen: PlacesTerm
    first: BodyState
    state: BodyState
    final: Quadratic
    cost: float = np.inf
    explained: float = 0.0


@dataclass(frozen=True, eq=False)
class Matches:
    """What of a body's surface and a depth map was matched.

    Attributes:
        terms: The term of the map's points, and that of vertices that the map shows empty if there are some; none if
            nothing matches.
        matched: Share of the map's points that were matched.
        explained: Share of the visible surface that lies on points of the map.
    """

    terms: list[Term]
    matched: float
    explained: float


@dataclass(frozen=True, eq=False)
class DepthView:
    """A depth map as the fit sees it.

    Attributes:
        depth: (H, W) float32 metres, 0 where nothing was measured.
        camera: The map's camera.
        points: (N, 3) points of the map that may be the person's, in camera space, metres.
    """

    depth: np.ndarray
    camera: Camera
    points: np.ndarray


class DepthFitter:
    """Fits a body to landmarks in space and a depth map. Keep a fitter for several maps.

    Args:
        body: The body, on the CPU.
        joint_set: Name of the joint set of the landmarks.
        settings: The constants.
        prior: Prior of poses. Default: the shipped one.

    Attributes:
        ways: (K,) orders of the landmarks: as they are, and with left and right exchanged of all, of the legs, and of
            what is above them.

    Raises:
        InputError: The body lacks a landmark of the joint set.
    """

    def __init__(
        self,
        body: BodyModel,
        joint_set: str = "union55",
        settings: DepthSettings = DepthSettings(),
        prior: PosePrior | None = None,
    ) -> None:
        self.body, self.joint_set, self.settings = body, joint_set, settings
        self.prior = (load_pose_prior() if prior is None else prior).double()
        self.ways = exchanged_sides(joint_set)
        self.landmarks = LandmarkMoments.of_body(body, joint_set)
        options = FitOptions(noise=settings.least_deviation)
        self._starts = ParameterFitter(body, body.num_betas, options)

    def __call__(self, places: np.ndarray, deviations: np.ndarray, view: DepthView) -> DepthFit:
        """Fit one person.

        Args:
            places: (K, 3) landmarks in camera space, metres.
            deviations: (K,) standard deviations of their heatmaps over all axes, metres.
            view: The map.
        """
        settings = self.settings
        spread = np.hypot(settings.least_deviation, settings.spread * deviations.astype(np.float64))
        # Of all starts the same points count when they are compared: those near the landmarks.
        gap = np.linalg.norm(view.points[:, None] - places[None], axis=-1).min(1, initial=np.inf)
        near = replace(view, points=view.points[gap < settings.around])
        fits = self._begun(places, spread, self.ways if settings.exchange else self.ways[:1])
        early, late = settings.reaches[: settings.early], settings.reaches[settings.early :]
        fits = [self._judged(self._matched(fit, early, view), near) for fit in fits]
        fits = sorted(fits, key=lambda fit: fit.cost)[: settings.kept]
        fits = [self._judged(self._matched(fit, late, view), near) for fit in fits]
        best = min(fits, key=lambda fit: fit.cost)
        return DepthFit(best.state, best.first, best.final, best.explained, best.cost, best.way)

    def _begun(self, places: np.ndarray, spread: np.ndarray, ways: Sequence[np.ndarray]) -> list[_Attempt]:
        """The fits to landmarks at places (K, 3), whose coordinates have standard deviations (K,), without the map."""
        at = torch.from_numpy(np.stack([places[way] for way in ways]).astype(np.float64))
        precision = torch.from_numpy(np.stack([1 / spread[way] for way in ways]))
        seen = PlacesTerm(self.landmarks, at, precision, self.settings.cutoff)
        state, final = minimize([seen, *self._known], self.start(at, precision), self.settings.steps)
        beside = replace(seen, weight=self.settings.beside)
        alone = [slice(i, i + 1) for i in range(len(ways))]
        return [_Attempt(way, beside[i], state[i], state[i], final[i]) for way, i in zip(ways, alone)]

    def _matched(self, fit: _Attempt, reaches: Sequence[tuple[float, int]], view: DepthView) -> _Attempt:
        """An attempt after rounds of matching."""
        state, final = fit.state, fit.final
        for reach, steps in reaches:
            matched = match_surface(self.body, self.landmarks, state, view, reach, self.settings)
            if not matched.terms:
                break
            state, final = minimize([*matched.terms, fit.seen, *self._known], state, steps)
        return replace(fit, state=state, final=final)

    def _judged(self, fit: _Attempt, near: DepthView) -> _Attempt:
        """An attempt with its cost: that of the map's points, and of what is known about poses and shapes."""
        settings = self.settings
        matched = match_surface(self.body, self.landmarks, fit.state, near, settings.judged, settings)
        if not matched.terms:
            return replace(fit, cost=np.inf)
        left_out = settings.independent * (1 - matched.matched) * settings.cutoff**2 / 2
        energy = float(total([*matched.terms, *self._known], fit.state).energy)
        return replace(fit, cost=energy + left_out, explained=matched.explained)

    @property
    def _known(self) -> list[Term]:
        """What is known about poses and shapes."""
        settings = self.settings
        return [PoseTerm(self.prior, settings.prior), settings.limits, settings.shape, settings.hands]

    def start(self, places: Tensor, precision: Tensor) -> BodyState:
        """The bodies whose landmarks are nearest to places (B, K, 3), with weights by precision (B, K), 1 / metres."""
        weights = (self.settings.least_deviation * precision).square().float()
        found = self._starts(joints=places.float(), joint_set=self.joint_set, joint_weights=weights)
        return BodyState(*(part.double() for part in (found.rotations, found.translation, found.betas)))


def exchanged_sides(joints: str) -> list[np.ndarray]:
    """Orders of a joint set's landmarks in which left and right may be mistaken.

    Args:
        joints: Name of the joint set.

    Returns:
        Orders (K,): as they are, all exchanged, only those of the legs, and only those above.
    """
    legs = np.array([any(part in name for part in LEGS) for name in joint_set_of(joints)])
    same, swapped = np.arange(len(legs)), flip_permutation(joints)
    return [same, swapped, np.where(legs, swapped, same), np.where(legs, same, swapped)]


def match_surface(
    body: BodyModel,
    skeleton: LandmarkMoments,
    state: BodyState,
    view: DepthView,
    reach: float,
    settings: DepthSettings = DepthSettings(),
) -> Matches:
    """Match a body's visible surface to a depth map.

    Args:
        body: The body.
        skeleton: Any landmarks of the body.
        state: A batch of one.
        view: The map.
        reach: Farthest distance of a match, metres.
        settings: The constants.

    Returns:
        The matches.
    """
    from scipy.spatial import cKDTree

    posed = state.posed(body)
    outwards = vertex_normals(posed, body.faces)[0].numpy()
    vertices = posed[0].numpy()
    visible = visible_vertices(vertices, body, view.camera)
    if len(visible) < 10 or len(view.points) < 10:
        return Matches([], 0.0, 0.0)
    distance, nearest = cKDTree(vertices[visible]).query(view.points, distance_upper_bound=reach)
    matched = np.flatnonzero(np.isfinite(distance))
    if len(matched) < 10:
        return Matches([], 0.0, 0.0)
    some = matched[:: max(1, len(matched) // settings.points)]
    vertex, target = visible[nearest[some]], view.points[some]
    terms: list[Term] = [
        _surface_term(body, skeleton, vertex, target, outwards[vertex], settings, settings.independent, True)
    ]
    empty, share = _shown_empty(vertices, visible, view, reach)
    if len(empty) >= 5:
        gap, place = cKDTree(view.points).query(vertices[empty])
        target = view.points[place]
        away = (vertices[empty] - target) / np.maximum(gap, 1e-6)[:, None]
        close = (gap < 1.5 * reach) & (gap > 1e-3)
        if close.sum() >= 5:
            some = np.flatnonzero(close)[:: max(1, int(close.sum()) // 200)]
            terms.append(
                _surface_term(body, skeleton, empty[some], target[some], away[some], settings, settings.outline, False)
            )
    return Matches(terms, len(matched) / len(view.points), share)


def visible_vertices(vertices: np.ndarray, body: BodyModel, camera: Camera, width: int = 160) -> np.ndarray:
    """Indices of the vertices (V, 3) of faces that a camera sees, in a picture of so many pixels across."""
    scale = min(1.0, width / camera.size[0])
    small = camera.resized((max(1, round(camera.size[0] * scale)), max(1, round(camera.size[1] * scale))))
    face_id = rasterize(torch.from_numpy(vertices), body.faces, small).face_id
    seen = np.unique(face_id.numpy())
    return np.unique(body.faces.numpy()[seen[seen >= 0]])


def _shown_empty(vertices: np.ndarray, visible: np.ndarray, view: DepthView, reach: float) -> tuple[np.ndarray, float]:
    """Visible vertices at whose pixels the map shows something behind them, and the share that lies on the map.

    Vertices behind what the map shows are hidden by it, and tell nothing.
    """
    height, width = view.depth.shape
    screen = view.camera.project(torch.from_numpy(vertices[visible])).numpy()
    columns, rows = np.rint(screen[:, :2]).astype(int).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    there = np.where(inside, view.depth[rows.clip(0, height - 1), columns.clip(0, width - 1)], 0)
    behind = there - screen[:, 2]
    known = there > 0
    on_map = known & (np.abs(behind) < 0.06)
    return visible[known & (behind > max(reach, 0.08))], float(on_map.sum() / max(1, (known & (behind > -0.06)).sum()))


def _surface_term(
    body: BodyModel,
    skeleton: LandmarkMoments,
    vertex: np.ndarray,
    target: np.ndarray,
    direction: np.ndarray,
    settings: DepthSettings,
    independent: float,
    clothed: bool,
) -> SurfaceTerm:
    """The term of vertices (N,), their targets (N, 3) and the directions (N, 3) along which distances count."""
    noise = np.hypot(settings.surface, settings.sensor_noise * np.square(target[:, 2].astype(np.float64)))
    worn = worn_over(body, vertex) if clothed else torch.zeros(len(vertex), len(REGIONS), dtype=torch.float64)
    return SurfaceTerm(
        skeleton.at_vertices(body, vertex),
        torch.from_numpy(target.astype(np.float64)),
        torch.from_numpy(direction.astype(np.float64)),
        torch.from_numpy(1 / noise),
        worn,
        settings.clothes,
        settings.cutoff,
        min(1.0, independent / len(vertex)),
    )


def _none(like: Tensor) -> Nuisance:
    """No nuisance parameters, for residuals (B, N)."""
    empty = like.new_zeros(0)
    return Nuisance(like.new_zeros(1, like.shape[1], 0), empty, like.new_zeros(0, 0))
