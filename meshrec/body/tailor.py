"""Takes the measures of :mod:`meshrec.body.anthropometry` of bodies in T-pose, whatever their topology.

Of each shape, planes are laid through landmarks of the skeleton, and cut the part of the skin that a tape goes around.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body.anthropometry import DENSITY, DENSITY_DEVIATION, LIMB, TAPES, TORSO_AND_LEG, TRUNK, Measures, Tape
from meshrec.body.joints import joint_index
from meshrec.body.measures import girth, stature
from meshrec.body.model import BodyModel
from meshrec.body.topology import edges, enclosed_volume
from meshrec.errors import InputError

PLANES = 33  # at which a largest or smallest girth is looked for
STEP = 0.05  # of the betas, in finite differences
ROUNDS, ROUNDING = 12, 5e-4  # the highest and the lowest vertex may change with the betas; metres
SIDES = ("left", "right")
ARM, LEG = ("shoulder", "elbow", "wrist", "hand"), ("hip", "knee", "ankle", "foot")


@dataclass(frozen=True)
class Plane:
    """The plane of a girth: a point (B, 3) in it, metres, and its unit normals (B, 3)."""

    point: Tensor
    normal: Tensor


class Tailor:
    """Measures the shapes of one body.

    Args:
        body: The body; it is measured in T-pose, in float64 on the CPU.
    """

    def __init__(self, body: BodyModel) -> None:
        self.body = body
        self.faces = body.faces.cpu()
        names = np.array(body.joint_names)[body.part_labels]
        pairs = edges(self.faces.numpy())
        template = body.v_template.detach().double().cpu().numpy()
        arms = _are_of(names, ARM)
        legs = {side: _are_of(names, LEG, side) for side in SIDES}
        self.feet = {side: torch.from_numpy(_are_of(names, ("ankle", "foot"), side)) for side in SIDES}
        self.arms = {side: torch.from_numpy(_are_of(names, ARM, side)) for side in SIDES}
        trunk = ~arms
        of_side = {"left": template[:, 0] > 0, "right": template[:, 0] < 0}
        self._regions = {(TRUNK, ""): trunk}
        for side in SIDES:
            self._regions[TORSO_AND_LEG, side] = legs[side] | (trunk & ~legs[_other(side)] & of_side[side])
            self._regions[LIMB, side] = legs[side] | self.arms[side].numpy()
        self._pairs = {key: torch.from_numpy(pairs[kept[pairs].all(1)]) for key, kept in self._regions.items()}
        # Edges in which the crotch may be: not those of one leg, which may cross the middle where thighs are thick.
        in_one_leg = sum(legs[side][pairs].all(1) for side in SIDES) > 0
        self._middle = torch.from_numpy(pairs[trunk[pairs].all(1) & ~in_one_leg])
        is_border = arms[pairs].any(1) & ~arms[pairs].all(1)
        self._armholes = {
            side: torch.from_numpy(pairs[is_border & (template[pairs, 0].mean(1) * (1 if side == "left" else -1) > 0)])
            for side in SIDES
        }

    def measure(self, betas: Tensor, covariance: Tensor | None = None) -> Measures:
        """Measure one shape.

        Args:
            betas: (S,) shape coefficients.
            covariance: (S, S) covariance of their errors. Measures are taken as linear in errors of this size.

        Returns:
            The measures, with deviations if there is a covariance. That of the mass has the density's in it.
        """
        count = len(betas)
        steps = torch.zeros(1, count) if covariance is None else torch.cat([torch.zeros(1, count), _steps(count)])
        shapes = betas.detach().cpu().float() + steps
        found = self._measured(shapes)
        values = {name: float(value[0]) for name, value in found.items()}
        if covariance is None:
            return Measures(values)
        slopes = {name: (value[1 : count + 1] - value[count + 1 :]) / (2 * STEP) for name, value in found.items()}
        known = covariance.detach().cpu().double()
        variances = {name: float(slope @ known @ slope) for name, slope in slopes.items()}
        deviations = {name: max(variance, 0.0) ** 0.5 for name, variance in variances.items()}
        deviations["mass"] = float(np.hypot(deviations["mass"], DENSITY_DEVIATION * values["volume"]))
        return Measures(values, deviations)

    def planes(self, betas: Tensor) -> dict[str, list[tuple[Plane, Tensor]]]:
        """The planes of girths of one shape, and the edges (E, 2) of the skin around which the tape goes.

        Args:
            betas: (S,) shape coefficients.
        """
        vertices, points = self._shapes(betas.detach().cpu().float()[None])
        return {
            name: [(self._plane(tape, side, vertices, points), self._around(tape, side)) for side in _sides(tape)]
            for name, tape in TAPES.items()
        }

    def _shapes(self, betas: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Vertices (B, V, 3) in T-pose and the landmarks (B, 3) by name, metres, float64."""
        with torch.no_grad():
            rest = self.body.rest(betas.to(self.body.v_template))
        vertices, joints = (part.double().cpu() for part in rest)
        points = {name: joints[:, joint_index(name, "smpl24")] for name in self.body.joint_names}
        middle = (points["left_hip"] + points["right_hip"])[:, :1] / 2
        crossings = _crossings(vertices, self._middle, middle)
        # Below the pelvis; the middle of the head is far above.
        crotch = torch.where(crossings[..., 1] < points["pelvis"][:, None, 1], crossings[..., 1], torch.inf).amin(1)
        points["crotch"] = torch.stack([middle[:, 0], crotch, points["pelvis"][:, 2]], dim=1)
        holes = [vertices[:, self._armholes[side]][..., 1].flatten(1).amin(1) for side in SIDES]
        armpits = torch.stack(holes).mean(0)
        points["armpits"] = torch.stack([middle[:, 0], armpits, points["spine3"][:, 2]], dim=1)
        return vertices, points

    def _measured(self, betas: Tensor) -> dict[str, Tensor]:
        """Every measure (B,) of shapes (B, S). Places of girths are those of the first, in shares of their reach.

        A largest or smallest girth does not change with small shifts of its place, so that the derivatives by the
        betas are those at a fixed share.
        """
        vertices, points = self._shapes(betas)
        floor, top = vertices[..., 1].amin(1), vertices[..., 1].amax(1)
        found = {"stature": top - floor}
        arms, reaches, feet = [], [], []
        for side in SIDES:
            shoulder, elbow, wrist = (points[f"{side}_{name}"] for name in ARM[:3])
            arm = (elbow - shoulder).norm(dim=1) + (wrist - elbow).norm(dim=1)
            arms.append(arm)
            along = torch.nn.functional.normalize(wrist - elbow, dim=1)
            reaches.append(arm + ((vertices[:, self.arms[side]] - wrist[:, None]) * along[:, None]).sum(-1).amax(1))
            feet.append(_extent(vertices[:, self.feet[side]][..., [0, 2]]))
        breadth = (points["left_shoulder"] - points["right_shoulder"]).norm(dim=1)
        found["arm_span"] = torch.stack(reaches).sum(0) + breadth
        found["shoulder_breadth"] = breadth
        found["arm_length"] = torch.stack(arms).mean(0)
        found["inseam"] = points["crotch"][:, 1] - floor
        found["foot_length"] = torch.stack(feet).mean(0)
        for name, tape in TAPES.items():
            each = [
                girth_in(vertices, self._around(tape, side), self._plane(tape, side, vertices, points))
                for side in _sides(tape)
            ]
            found[name] = torch.stack(each).mean(0)
        found["volume"] = 1e3 * enclosed_volume(vertices, self.faces)
        found["mass"] = DENSITY * found["volume"]
        return found

    def _around(self, tape: Tape, side: str) -> Tensor:
        return self._pairs[tape.around, side]

    def _plane(self, tape: Tape, side: str, vertices: Tensor, points: Mapping[str, Tensor]) -> Plane:
        """The plane of a girth in each body, at the share of its reach that is chosen in the first."""
        start, end = (points[name if name in points else f"{side}_{name}"] for name in (tape.start, tape.end))
        across = end - start
        normal = torch.tensor([0.0, 1.0, 0.0]).to(start).expand_as(start) if tape.level else across
        normal = torch.nn.functional.normalize(normal, dim=1)
        share = tape.reach[0]
        if tape.choice != "only":
            shares = torch.linspace(*tape.reach, PLANES, dtype=start.dtype)
            plane = Plane(start[:1] + shares[:, None] * across[:1], normal[:1].expand(PLANES, 3))
            girths = girth_in(vertices[:1].expand(PLANES, -1, -1), self._around(tape, side), plane)
            girths = girths if tape.choice == "largest" else torch.where(girths > 0, -girths, -torch.inf)
            share = float(shares[girths.argmax()])
        return Plane(start + share * across, normal)


def girth_in(vertices: Tensor, pairs: Tensor, plane: Plane) -> Tensor:
    """Perimeters (B,) of the convex hulls of plane sections.

    Args:
        vertices: (B, V, 3) metres.
        pairs: (E, 2) edges, as vertex indices, of the part of the skin around which the tape goes.
        plane: The planes.

    Returns:
        (B,) metres; 0 where the section is empty.
    """
    aside = torch.eye(3).to(vertices)[int(plane.normal[0].abs().argmin())].expand_as(plane.normal)
    x = torch.nn.functional.normalize(torch.linalg.cross(plane.normal, aside), dim=1)
    turn = torch.stack([x, plane.normal, torch.linalg.cross(x, plane.normal)], dim=1)  # the normal becomes the y axis
    level = (vertices - plane.point[:, None]) @ turn.mT
    return girth(level, pairs, torch.zeros_like(plane.point[:, 0]))


def stature_slope(body: BodyModel, betas: Tensor) -> tuple[float, Tensor]:
    """Stature of betas (S,), metres, and its derivatives (S,) by them, float64 on the CPU."""
    with torch.enable_grad():
        shape = betas.detach().to(body.v_template)[None].requires_grad_()
        height = stature(body.rest(shape)[0])
        (slope,) = torch.autograd.grad(height.sum(), shape)
    return float(height.detach()), slope[0].double().cpu()


def covariance_given_stature(body: BodyModel, betas: Tensor, covariance: Tensor) -> Tensor:
    """The covariance (S, S) of betas (S,) once their stature is known: a Gaussian under a linear condition."""
    _, slope = stature_slope(body, betas)
    known = covariance.detach().double().cpu()
    along = known @ slope
    return known - torch.outer(along, along) / (slope @ along).clamp(min=1e-12)


def with_known_stature(body: BodyModel, betas: Tensor, height: float, covariance: Tensor | None = None) -> Tensor:
    """The likeliest betas of a stature.

    Args:
        body: The body.
        betas: (S,) shape coefficients.
        height: The stature, metres.
        covariance: (S, S) covariance of the errors of the betas. Default: the identity, as people differ.

    Returns:
        (S,) betas of that stature.

    Raises:
        InputError: The body has no such shape.
    """
    known = torch.eye(len(betas), dtype=torch.float64) if covariance is None else covariance.double()
    own = betas.detach().double().cpu()
    for _ in range(ROUNDS):
        tall, slope = stature_slope(body, own)
        if abs(tall - height) < ROUNDING:
            return own.to(betas)
        own = own + known @ slope * (height - tall) / (slope @ known @ slope).clamp(min=1e-12)
    raise InputError(f"the body has no shape that is {height:g} m tall")


def _steps(count: int) -> Tensor:
    return STEP * torch.cat([torch.eye(count), -torch.eye(count)])


def _sides(tape: Tape) -> Sequence[str]:
    return ("",) if tape.around == TRUNK else SIDES


def _other(side: str) -> str:
    return SIDES[1 - SIDES.index(side)]


def _are_of(names: np.ndarray, parts: Sequence[str], side: str = "") -> np.ndarray:
    """Which vertices (V,) belong to parts of one side, or of both."""
    wanted = {f"{s}_{part}" for part in parts for s in SIDES if side in ("", s)}
    return np.isin(names, sorted(wanted))


def _crossings(vertices: Tensor, pairs: Tensor, x: Tensor) -> Tensor:
    """Where edges (E, 2) cross the planes of constant x (B, 1): (B, E, 3), far up where they do not."""
    a, b = (vertices[:, pairs[:, i]] for i in (0, 1))
    low, high = a[..., 0] - x, b[..., 0] - x
    crossing = (low > 0) != (high > 0)
    share = torch.where(crossing, low / (low - high), 0)[..., None]
    return torch.where(crossing[..., None], a + share * (b - a), torch.inf)


def _extent(points: Tensor) -> Tensor:
    """Largest extents (B,) of plane points (B, N, 2) over all directions."""
    angle = torch.arange(90).to(points) * (torch.pi / 90)
    reach = points @ torch.stack([angle.cos(), angle.sin()])
    return (reach.amax(1) - reach.amin(1)).amax(1)
