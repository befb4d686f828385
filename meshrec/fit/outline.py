"""The body's outline against a mask: points of both outlines, matched, pull on pose and shape.

The outlines of the drawn body and of the mask are sampled at their rim pixels. Each point of one is matched to the
nearest of the other that faces the same way, as curves are matched by iterated closest points (Zhang 1994), and only
the distance along the mask's normal counts, so that the outlines slide along each other freely. A mask shows clothes,
not skin: the body lies inside it, by as much as :mod:`meshrec.fit.clothes` thinks likely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.fit.clothes import usual_thickness, worn_over
from meshrec.fit.nuisance import Nuisance, robust_squares
from meshrec.fit.solver import Quadratic
from meshrec.fit.terms import projected
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.render import rasterize

SIDE = 112  # pixels of the square picture in which outlines are compared
MARGIN = 1.2  # its side over the longer side of the box
DEVIATION = 0.009  # of a mask's outline from that of even clothes, share of the picture's side: folds, the mask's error
INDEPENDENT = 60.0  # neighbouring points err together: all of them count as this many
AGREE = 0.5  # least cosine between the outward directions of matched points
EVERY = 2  # of how many neighbours on an outline one is taken: they tell the same


@dataclass(frozen=True)
class MaskView:
    """A person's mask in a square picture around them.

    Attributes:
        camera: Of the picture.
        mask: (SIDE, SIDE) bool.
        known: (SIDE, SIDE) bool: inside the photo, and not another person.
        points: (N, 2) x, y of the mask's outline; ``normals`` (N, 2) point outwards.
    """

    camera: Camera
    mask: np.ndarray
    known: np.ndarray
    points: np.ndarray
    normals: np.ndarray

    @classmethod
    def around(cls, person: Detection, others: list[Detection], camera: Camera) -> MaskView:
        """The view of a detection that has a mask; ``others`` may stand in front of them."""
        if person.mask is None:
            raise ValueError("a detection without a mask has no outline to match")
        center = (person.box[:2] + person.box[2:]) / 2
        side = float(MARGIN * max(person.box[2:] - person.box[:2]))
        region = np.concatenate([center - side / 2, center + side / 2])
        mask = person.mask.crop(region, (SIDE, SIDE)) > 0.5
        x, y = (start + (np.arange(SIDE) + 0.5) * side / SIDE for start in region[:2])
        width, height = camera.size
        known = ((y > -0.5) & (y < height - 0.5))[:, None] & ((x > -0.5) & (x < width - 0.5))
        for other in others:
            if other.mask is not None:
                known &= (other.mask.crop(region, (SIDE, SIDE)) <= 0.5) | mask
        points, normals = _rim(mask, known)
        return cls(camera.crop(tuple(center.tolist()), side, SIDE), mask, known, points, normals)

    def overlap(self, face_id: np.ndarray) -> float:
        """Intersection over union of the mask and the body, drawn as face numbers (SIDE, SIDE) with -1 around it."""
        drawn = (face_id >= 0) & self.known
        mask = self.mask & self.known
        return float((drawn & mask).sum() / max((drawn | mask).sum(), 1))


@dataclass(frozen=True)
class OutlineTerm:
    """Matched points of a body's outline, with the robust error of :class:`meshrec.fit.terms.Reprojection`.

    The thickness of clothes over each region of the body is a nuisance.

    Attributes:
        landmarks: The N vertices next to the matched points.
        camera: Of the picture.
        targets: (N, 2) where clothes are seen over each vertex, pixels.
        normals: (N, 2) the direction that counts, out of the mask.
        clothes: (N, R) by how many pixels a metre of clothes over each of R regions moves each point out; see
            :data:`meshrec.fit.clothes.REGIONS`.
        deviation: Standard deviation, pixels.
        weight: Of each point.
        cutoff: Distance that costs half of the most, in standard deviations.
    """

    landmarks: LandmarkMoments
    camera: Camera
    targets: Tensor
    normals: Tensor
    clothes: Tensor
    deviation: float
    weight: float
    cutoff: float

    def __call__(self, state: BodyState) -> Quadratic:
        pixels, slopes = projected(self.landmarks, self.camera, state)
        skin = ((pixels - self.targets) * self.normals).sum(-1) / self.deviation
        slopes = (slopes * self.normals[..., None]).sum(-2) / self.deviation
        thickness = Nuisance(self.clothes[None] / self.deviation, *usual_thickness())
        return robust_squares(skin, slopes, thickness, self._shrink, self.weight)

    def _shrink(self, values: Tensor) -> Tensor:
        return self.cutoff**2 / (self.cutoff**2 + values.square())


def drawn_faces(body: BodyModel, state: BodyState, camera: Camera) -> tuple[Tensor, np.ndarray]:
    """The vertices (V, 3) of one body and the face seen at each pixel of a picture (H, W), -1 for none."""
    betas, rotations, translation = (t.to(body.v_template) for t in (state.betas, state.rotations, state.translation))
    with torch.no_grad():
        vertices = body(betas, rotations[:, 1:], rotations[:, 0], translation).vertices[0]
        return vertices, rasterize(vertices, body.faces, camera).face_id[0].numpy()


def match_outlines(
    body: BodyModel, skeleton: LandmarkMoments, state: BodyState, view: MaskView, reach: float, cutoff: float = 3.0
) -> OutlineTerm | None:
    """Match the outlines of a body and a mask.

    Args:
        body: The body; ``skeleton`` any landmarks of it.
        state: A single one.
        view: Where the mask is.
        reach: Farthest match, as a share of the picture's side.
        cutoff: See :class:`OutlineTerm`.

    Returns:
        None where nothing matches.
    """
    vertices, face_id = drawn_faces(body, state, view.camera)
    own, own_normals = _rim(face_id >= 0, view.known)
    if not len(own) or not len(view.points):
        return None
    columns, rows = np.rint(own - 0.5 * own_normals).astype(int).T
    corners = body.faces.numpy()[face_id[rows, columns]]
    screen = view.camera.project(vertices)[:, :2].numpy()
    nearest = np.linalg.norm(screen[corners] - own[:, None], axis=-1).argmin(1)
    vertex = corners[np.arange(len(corners)), nearest]

    gap = np.sqrt(np.square(own[:, None, 0] - view.points[:, 0]) + np.square(own[:, None, 1] - view.points[:, 1]))
    gap[own_normals @ view.normals.T < AGREE] = np.inf
    to_mask, to_own = gap.argmin(1), gap.argmin(0)
    pairs = np.concatenate(
        [
            np.stack([np.arange(len(own)), to_mask], 1)[gap.min(1) < reach * SIDE],
            np.stack([to_own, np.arange(len(view.points))], 1)[gap.min(0) < reach * SIDE],
        ]
    )
    if not len(pairs):
        return None
    ours, theirs = pairs.T
    targets = view.points[theirs] + screen[vertex[ours]] - own[ours]
    pixels_a_metre = torch.as_tensor(view.camera.focal).mean() / vertices[vertex[ours], 2:].double()
    return OutlineTerm(
        landmarks=skeleton.at_vertices(body, vertex[ours]),
        camera=view.camera,
        targets=torch.from_numpy(targets),
        normals=torch.from_numpy(view.normals[theirs]),
        clothes=pixels_a_metre * worn_over(body, vertex[ours]),
        deviation=DEVIATION * SIDE,
        weight=min(1.0, INDEPENDENT / len(pairs)),
        cutoff=cutoff,
    )


def _rim(mask: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) on the outline of a mask (H, W) and outward unit normals (N, 2), where both sides are known."""
    import cv2

    solid = mask.astype(np.uint8)
    inner = solid - cv2.erode(solid, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    sure = cv2.erode(known.astype(np.uint8), np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    rows, columns = (places[::EVERY] for places in np.nonzero(inner & sure))
    smooth = cv2.GaussianBlur(solid.astype(np.float32), (0, 0), 1.5)
    slope = np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)], -1)[rows, columns]
    length = np.linalg.norm(slope, axis=-1)
    kept = length > 1e-3
    normals = -slope[kept] / length[kept, None]
    # The outline runs half a pixel outside the last pixels within.
    return (np.stack([columns, rows], 1)[kept] + 0.5 * normals).astype(np.float64), normals.astype(np.float64)
