"""Pose and shape of the parametric body from vertices, joints or landmarks."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body.blending import blend
from meshrec.body.joints import NUM_JOINTS
from meshrec.body.kinematics import global_rotations
from meshrec.body.library import NUM_BETAS
from meshrec.body.mesh_moments import PointMoments, VertexMoments
from meshrec.body.model import BodyModel
from meshrec.body.skinning import linear_blend_skinning
from meshrec.compiled.threads import over_batch


@dataclass(frozen=True)
class FitOptions:
    """The constants of a fit.

    Attributes:
        noise: Standard deviation of a target's coordinate, metres. It weighs the targets against unit Gaussians of the
            betas and of the joints' angles in radians, which matter only where the targets leave something open.
        steps: Gauss-Newton steps towards vertices, which show each part's rotation at once, of a body without pose
            displacements.
        steps_without_vertices: Steps towards joints or landmarks alone, of any body.
        displaced: Steps of a body with pose displacements, which are computed anew before each: the only ones towards
            vertices, and those that follow towards joints or landmarks.
    """

    noise: float = 1e-3
    steps: int = 4
    steps_without_vertices: int = 25
    displaced: int = 3


@dataclass(frozen=True, eq=False)
class FittedParameters:
    """Bodies that come closest to targets: ``scale * body(betas, pose, translation)``.

    Attributes:
        rotations: (B, 24, 3, 3) rotations of the joints relative to their parents.
        betas: (B, S) shapes.
        translation: (B, 3) metres.
        scale: (B,) sizes of the targets relative to the bodies.
    """

    rotations: Tensor
    betas: Tensor
    translation: Tensor
    scale: Tensor

    def vertices(self, body: BodyModel) -> Tensor:
        """The vertices (B, V, 3) of these bodies in the targets' unit."""
        posed = body(self.betas, self.rotations[:, 1:], self.rotations[:, :1], self.translation)
        return self.scale[:, None, None] * posed.vertices


@dataclass(frozen=True, eq=False)
class _Problem:
    """Sums of one batch, and how the pose displacements change them.

    Attributes:
        cross: (B, J, E, 3) moments of the targets.
        products: (B or 1, P, E, E) moments of the body.
        pairs: (P, 2) their joints.
        displaced: Gives the moments of the targets less the pose displacements of a state.
    """

    cross: np.ndarray
    products: np.ndarray
    pairs: np.ndarray
    displaced: Callable[[list[np.ndarray]], np.ndarray]


class ParameterFitter:
    """Fits one body to many targets; what does not depend on the targets is computed once.

    The unknowns are found by Gauss and Newton's method with Levenberg and Marquardt's damping, from rotations of all
    parts by Kabsch's method (1976). All steps work on moments (:mod:`meshrec.body.mesh_moments`), so that their time
    does not depend on the number of vertices.

    Args:
        body: The body, on the CPU.
        num_betas: Number of shape components to fit, at most those of the body.
        options: The constants.

    Example:
        >>> import torch
        >>> from meshrec.body import load_body
        >>> from meshrec.body.mesh_fit import ParameterFitter
        >>> body = load_body("neutral")
        >>> target = body(torch.ones(1, 10), torch.full((1, 69), 0.1)).vertices
        >>> found = ParameterFitter(body)(target)
        >>> bool((found.vertices(body) - target).norm(dim=-1).max() < 1e-4)
        True
    """

    def __init__(self, body: BodyModel, num_betas: int = NUM_BETAS, options: FitOptions | None = None) -> None:
        self.body, self.options = body, options or FitOptions()
        self.num_betas = min(num_betas, body.num_betas)
        self._moments = VertexMoments(body, self.num_betas)
        self._products = self._moments.products()
        places, shapes = body.data.joint_maps
        self._rest = np.ascontiguousarray(places, np.float64)
        self._shapes = np.ascontiguousarray(shapes[..., : self.num_betas], np.float64)
        self._parents = np.array(body.parents, np.int64)
        self._pose_moments = self._moments.displacements() if body.has_posedirs else None

    def __call__(
        self,
        vertices: Tensor | None = None,
        joints: Tensor | None = None,
        joint_set: str | np.ndarray = "smpl24",
        vertex_weights: Tensor | None = None,
        joint_weights: Tensor | None = None,
        shared_betas: bool = False,
        scale: float | None = 1.0,
    ) -> FittedParameters:
        """Fit the body to vertices, to joints or landmarks, or to both.

        Args:
            vertices: (B, V, 3) vertices of the body's topology, metres.
            joints: (B, K, 3) joints or landmarks, metres.
            joint_set: What ``joints`` are: a joint set's name, ``"smpl24"`` for the joints of the chain, or (K, V)
                weights of the vertices in each landmark.
            vertex_weights: (V,) or (B, V), not negative: how much the squared distance of a vertex counts. Where it is
                zero the vertex may have any finite place. Default: one each.
            joint_weights: (K,) or (B, K), the same for joints. Default: one each.
            shared_betas: Whether all targets are the same person.
            scale: How many of the targets' units a metre of the body has; None if it is to be found, which only makes
                sense for a body whose size the betas' prior knows better than its targets.

        Returns:
            The parameters, of the body's type.

        Raises:
            InputError: The body lacks a landmark of the joint set.
            ValueError: An argument is not of this shape, not finite, or negative where it must not be; or nothing is
                given to fit to.
        """
        if scale is not None and not (np.isfinite(scale) and scale > 0):
            raise ValueError(f"scale should be a positive number, not {scale}")
        points = PointMoments.of(self.body, joint_set, self.num_betas) if joints is not None else None
        if vertices is None and joints is None:
            raise ValueError("give vertices, joints or both to fit to")
        places = [
            _checked(given, count, name)
            for given, count, name in [
                (vertices, len(self.body.v_template), "vertices"), (joints, len(points.sums) if points else 0, "joints")
            ]
            if given is not None
        ]  # fmt: skip
        batch = len(places[0])
        if any(len(own) != batch for own in places):
            raise ValueError(f"there are vertices of {batch} bodies, but joints of {len(places[-1])}")
        given_weights = [w for w, of in ((vertex_weights, vertices), (joint_weights, joints)) if of is not None]
        weights = [_checked_weights(w, own) for w, own in zip(given_weights, places)]
        if batch == 0:
            return self._result([np.ones((0, *shape)) for shape in ((NUM_JOINTS, 3, 3), (3,), (self.num_betas,), ())])
        masses = torch.stack([w.sum(1) for w in weights]).sum(0)
        if not (masses > 0).all():
            raise ValueError("the weights of a body's targets must not all be zero")
        sums = torch.stack([(w[:, None] @ own).squeeze(1) for w, own in zip(weights, places)]).sum(0)
        centre = sums / masses[:, None]
        centred = [own - centre[:, None] for own in places]
        problem = self._problem(centred, weights, points, vertices is not None)

        state = [
            np.empty((batch, NUM_JOINTS, 3, 3)), np.empty((batch, 3)), np.zeros((batch, self.num_betas)),
            np.full(batch, 1.0 if scale is None else scale),
        ]  # fmt: skip
        displaced = self.options.displaced if self.body.has_posedirs else 0
        towards_vertices = 0 if displaced else self.options.steps
        plain = self.options.steps_without_vertices if vertices is None else towards_vertices
        self._solve(problem, state, scale is None, shared_betas, (plain, displaced))
        state[1] += centre.numpy()
        return self._result(state)

    def _problem(
        self, centred: list[Tensor], weights: list[Tensor], points: PointMoments | None, has_vertices: bool
    ) -> _Problem:
        """The sums of centred targets (B, ?, 3) of vertices, landmarks or both, with their weights (B, ?)."""
        pairs, plain = self._moments.pairs, has_vertices and bool((weights[0] == 1).all())
        if points is None and plain:
            products = self._products[None]
        else:
            pairs, products = self._products_of(weights, points, has_vertices)
        of_vertices = weights[:1] if has_vertices else []

        def cross(of: list[Tensor]) -> np.ndarray:
            weighted = [own if plain else w[..., None] * own for w, own in zip(of_vertices, of)]
            sums = [self._moments.cross(own.float()) for own in weighted]
            if points is not None:
                sums.append(points.cross(weights[-1][..., None] * of[-1]))
            return sum(sums[1:], start=sums[0])

        whole = cross(centred)

        def displaced(state: list[np.ndarray]) -> np.ndarray:
            if plain and (points is None or not len(points.near)):
                return self._less_displacements(whole, state)
            moves = self._displacements(state[0], state[3])
            of_points = [] if points is None else [points.rows.to(moves) @ moves[:, points.near]]
            return whole - cross([moves, *of_points] if has_vertices else of_points)

        return _Problem(whole, products, pairs, displaced)

    def _products_of(
        self, weights: list[Tensor], points: PointMoments | None, has_vertices: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of joints, and the moments of the body for these weights: one's own, or those of the whole batch."""
        alike = all(bool((own == own[:1]).all()) for own in weights)
        known = np.zeros((NUM_JOINTS, NUM_JOINTS), bool)
        for own in ([self._moments.pairs] if has_vertices else []) + ([points.pairs] if points is not None else []):
            known[own[:, 0], own[:, 1]] = True
        pairs = np.argwhere(known)
        number = np.cumsum(known).reshape(known.shape) - 1
        products = np.zeros((1 if alike else len(weights[0]), len(pairs), *self._products.shape[1:]))
        for b, product in enumerate(products):
            if has_vertices:
                own = weights[0][b].numpy()
                at = number[tuple(self._moments.pairs.T)]
                product[at] = self._products if (own == 1).all() else self._moments.products(own)
            if points is not None:
                product += points.products(pairs, weights[-1][b].numpy())
        return pairs, products

    def _solve(
        self, problem: _Problem, state: list[np.ndarray], free: bool, shared: bool, steps: tuple[int, int]
    ) -> None:
        """Fill the state: local rotations, places of the roots, betas and scales.

        Args:
            problem: The sums.
            state: What is filled.
            free: Whether the scale is to be found.
            shared: Whether all targets have the same betas.
            steps: Steps with the targets as they are, and with the pose displacements taken from them before each.
        """
        from meshrec.body.mesh_fit_steps import fit_each, start_each
        from meshrec.body.shared_fit import fit_shared

        start = [problem.pairs, self._rest, self._parents, free]
        _each(start_each, problem, state, start)
        priors = np.full(2, self.options.noise**2)
        constants = [problem.pairs, self._rest, self._shapes, self._parents, priors, free]

        def advance(current: _Problem, rounds: int) -> None:
            if shared:
                fit_shared(current.cross, current.products, state, constants, rounds)
            else:
                _each(fit_each, current, state, [*constants, rounds])

        if steps[0]:
            advance(problem, steps[0])
        for _ in range(steps[1]):
            advance(replace(problem, cross=problem.displaced(state)), 1)

    def _less_displacements(self, cross: np.ndarray, state: list[np.ndarray]) -> np.ndarray:
        """The moments (B, J, E, 3) of targets less the pose displacements of a state, by moments alone."""
        from meshrec.body.mesh_fit_steps import take_displacements

        assert self._pose_moments is not None
        sums, place = self._pose_moments
        local, _, _, scale = state
        features = torch.from_numpy(local[:, 1:] - np.eye(3)).float().flatten(1)
        moves = blend(sums.new_zeros(sums.shape[1]), features, sums).numpy().reshape(len(local), -1, *cross.shape[2:])
        out = np.empty_like(cross)
        over_batch(take_displacements, [cross, moves, local, scale, out], [self._moments.pairs, place, self._parents])
        return out

    def _displacements(self, local: np.ndarray, scale: np.ndarray) -> Tensor:
        """How far the pose displacements of rotations (B, 24, 3, 3) move the vertices, (B, V, 3)."""
        body, like = self.body, self.body.v_template
        rotations = torch.from_numpy(local).to(like)
        features = (rotations[:, 1:] - torch.eye(3).to(like)).flatten(1)
        basis = body._basis[: len(body._basis) - body.num_betas]
        moves = blend(torch.zeros_like(like).flatten(), features, basis).unflatten(1, (-1, 3))
        turned = global_rotations(rotations, body.tree) * torch.from_numpy(scale).to(like)[:, None, None, None]
        motions = torch.cat([turned, torch.zeros_like(turned[..., :1])], dim=-1)
        return linear_blend_skinning(moves, motions, body.weights, (body._influence_joints, body._influence_weights))

    def _result(self, state: list[np.ndarray]) -> FittedParameters:
        """The parameters of a state. A translation is counted from the root's rest place, about which it turns."""
        local, place, betas, scale = state
        transl = place / scale[:, None] - self._rest[0] - betas @ self._shapes[0].T
        like = self.body.v_template
        return FittedParameters(*(torch.from_numpy(part).to(like) for part in (local, betas, transl, scale)))


def fit_parameters(
    body: BodyModel,
    vertices: Tensor | None = None,
    joints: Tensor | None = None,
    joint_set: str | np.ndarray = "smpl24",
    vertex_weights: Tensor | None = None,
    joint_weights: Tensor | None = None,
    shared_betas: bool = False,
    scale: float | None = 1.0,
    num_betas: int = NUM_BETAS,
) -> FittedParameters:
    """Fit a body to vertices, to joints or landmarks, or to both.

    Args:
        body: The body to fit, on the CPU. Whoever fits it often makes a :class:`ParameterFitter` once.
        vertices, joints, joint_set, vertex_weights, joint_weights, shared_betas, scale: As in
            :meth:`ParameterFitter.__call__`.
        num_betas: Number of shape components to fit.

    Returns:
        The parameters.

    Raises:
        InputError, ValueError: As :meth:`ParameterFitter.__call__` says.
    """
    fitter = ParameterFitter(body, num_betas)
    return fitter(vertices, joints, joint_set, vertex_weights, joint_weights, shared_betas, scale)


def _each(kernel: Callable[..., None], problem: _Problem, state: list[np.ndarray], constants: list) -> None:
    """Call a kernel that fits each body by itself; the moments of the body are one's own or those of all."""
    if len(problem.products) == len(problem.cross):
        over_batch(kernel, [problem.cross, problem.products, *state], constants)
    else:
        over_batch(lambda cross, *rest: kernel(cross, problem.products, *rest), [problem.cross, *state], constants)


def _checked(given: Tensor, count: int, name: str) -> Tensor:
    """Targets (B, count, 3) as float64 on the CPU."""
    if given.dim() != 3 or given.shape[1:] != (count, 3):
        raise ValueError(f"{name} should be (B, {count}, 3), not {tuple(given.shape)}")
    if not given.isfinite().all():
        raise ValueError(f"{name} must be finite")
    return given.detach().cpu().double()


def _checked_weights(given: Tensor | None, targets: Tensor) -> Tensor:
    """Weights (B, count) as float64."""
    if given is None:
        return targets.new_ones(1, 1).expand(targets.shape[:2])
    if given.shape not in (targets.shape[:2], targets.shape[1:2]):
        raise ValueError(f"weights should be {tuple(targets.shape[:2])}, not {tuple(given.shape)}")
    if not (given.isfinite() & (given >= 0)).all():
        raise ValueError("weights must be finite and not negative")
    return given.detach().cpu().double().expand(targets.shape[:2])
