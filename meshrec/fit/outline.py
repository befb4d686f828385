"""The term that pulls the body's outline to that of a mask.

The outlines of the drawn body and of the mask are sampled at their rim pixels. Each point of one is matched to the
nearest point of the other that faces the same way, as iterated closest points match curves (Zhang 1994). Only the
distance along the mask's normal counts, so that the outlines slide along each other freely. A mask shows clothes, not
skin: the body lies inside it, and :mod:`meshrec.fit.clothes` has the prior of the distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection
from meshrec.fit.clothes import ClothesPrior, worn_over
from meshrec.fit.nuisance import Nuisance, robust_squares
from meshrec.fit.solver import Quadratic
from meshrec.fit.terms import NEAREST, projected
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.render.fragments import visible_faces


@dataclass(frozen=True)
class OutlineSettings:
    """How outlines are matched, and how much they count.

    Attributes:
        side: Side S of the square picture in which outlines are compared, pixels.
        margin: Side of that picture, as a multiple of the longer side of the person's box.
        deviation: Standard deviation of a mask's outline from that of clothes of even thickness, as a share of the
            picture's side: folds, and errors of the mask.
        independent: Number of independent points as which all matched points together count. Their errors are
            correlated, since neighbouring points err alike.
        agree: Least cosine of the angle between the outward normals of matched points.
        every: Only one of so many points of an outline is used, since neighbouring points carry the same information.
        cutoff: Distance at which a point's cost is half its maximum, in standard deviations.
        reaches: For each round of matching, the farthest distance of a match, as a share of the picture's side, and the
            number of steps with these matches.
        clothes: Prior of the thickness of clothes.
    """

    side: int = 112
    margin: float = 1.2
    deviation: float = 0.009
    independent: float = 60.0
    agree: float = 0.5
    every: int = 2
    cutoff: float = 3.0
    reaches: tuple[tuple[float, int], ...] = ((0.15, 2), (0.08, 2), (0.05, 2))
    clothes: ClothesPrior = ClothesPrior()


@dataclass(frozen=True)
class MaskView:
    """A person's mask in a square picture around the person, of S x S pixels.

    Attributes:
        camera: Camera of the picture.
        mask: (S, S) bool, the pixels that show the person.
        known: (S, S) bool, the pixels inside the photo that do not show another person.
        points: (N, 2) x, y of points on the mask's outline, pixels.
        normals: (N, 2) unit normals at these points, outwards.
    """

    camera: Camera
    mask: np.ndarray
    known: np.ndarray
    points: np.ndarray
    normals: np.ndarray

    @classmethod
    def around(
        cls,
        person: Detection,
        others: list[Detection],
        camera: Camera,
        settings: OutlineSettings = OutlineSettings(),
    ) -> MaskView:
        """View a person's mask.

        Args:
            person: A detection with a mask.
            others: The other people in the photo, who may stand in front of the person.
            camera: The photo's camera.
            settings: Size of the picture and density of the points.

        Raises:
            ValueError: The detection has no mask.
        """
        if person.mask is None:
            raise ValueError("a detection without a mask has no outline to match")
        center = (person.box[:2] + person.box[2:]) / 2
        pixels, side = settings.side, float(settings.margin * max(person.box[2:] - person.box[:2]))
        region = np.concatenate([center - side / 2, center + side / 2])
        mask = person.mask.crop(region, (pixels, pixels)) > 0.5
        x, y = (start + (np.arange(pixels) + 0.5) * side / pixels for start in region[:2])
        width, height = camera.size
        known = ((y > -0.5) & (y < height - 0.5))[:, None] & ((x > -0.5) & (x < width - 0.5))
        for other in others:
            if other.mask is not None:
                known &= (other.mask.crop(region, (pixels, pixels)) <= 0.5) | mask
        points, normals = _rim(mask, known, settings.every)
        return cls(camera.crop(tuple(center.tolist()), side, pixels), mask, known, points, normals)

    def overlap(self, face_id: np.ndarray) -> float:
        """Overlap of the mask with a drawn body.

        Args:
            face_id: (S, S) the face seen at each pixel, -1 for none.

        Returns:
            Intersection over union in [0, 1], over the known pixels.
        """
        drawn = (face_id >= 0) & self.known
        mask = self.mask & self.known
        return float((drawn & mask).sum() / max((drawn | mask).sum(), 1))


@dataclass(frozen=True)
class OutlineTerm:
    """Matched points of a body's outline, with the robust error of :class:`meshrec.fit.terms.Reprojection`.

    The thickness of clothes over each region of the body is a nuisance parameter.

    Attributes:
        landmarks: The N vertices next to the matched points.
        camera: Camera of the picture.
        targets: (N, 2) position of the mask's outline for each vertex, pixels; clothes lie between the two.
        normals: (N, 2) unit normals of the mask; distances count along them.
        clothes: (N, R) pixels by which each point moves outwards for a metre of clothes over each region; see
            :data:`meshrec.fit.clothes.REGIONS`.
        deviation: Standard deviation of the distances, pixels.
        weight: Weight of each point.
        cutoff: Distance at which a point's cost is half its maximum, in standard deviations.
        thickness: Prior of the thickness of clothes.
    """

    landmarks: LandmarkMoments
    camera: Camera
    targets: Tensor
    normals: Tensor
    clothes: Tensor
    deviation: float
    weight: float
    cutoff: float
    thickness: ClothesPrior = ClothesPrior()

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        from meshrec.fit.term_kernels import along_normals

        pixels, slopes = projected(self.landmarks, self.camera, state)
        skin = pixels.new_empty(pixels.shape[:2])
        steep = pixels.new_empty(*skin.shape, state.unknowns)
        targets, normals = self.targets.contiguous().numpy(), self.normals.contiguous().numpy()
        along_normals(
            pixels.numpy(), slopes.numpy(), targets, normals, float(self.deviation), skin.numpy(), steep.numpy()
        )
        thickness = Nuisance(self.clothes[None] / self.deviation, *self.thickness.moments)
        return robust_squares(skin, steep, thickness, self.cutoff, weight=self.weight)


def drawn_faces(body: BodyModel, state: BodyState, camera: Camera) -> tuple[Tensor, np.ndarray]:
    """Draw one body.

    Args:
        body: The body.
        state: A batch of one.
        camera: Camera of the picture.

    Returns:
        The vertices (V, 3) in camera space, metres, and the face seen at each pixel (H, W), -1 for none.
    """
    vertices = state.posed(body)[0]
    return vertices, visible_faces(vertices, body.faces, camera)[0].numpy()


def match_outlines(
    body: BodyModel,
    skeleton: LandmarkMoments,
    state: BodyState,
    view: MaskView,
    reach: float,
    settings: OutlineSettings = OutlineSettings(),
    hidden: Sequence[int] = (),
) -> OutlineTerm | None:
    """Match the outlines of a body and a mask.

    Args:
        body: The body.
        skeleton: Any landmarks of the body.
        state: A batch of one.
        view: The mask.
        reach: Farthest distance of a match, as a share of the picture's side.
        settings: How points are matched, and how much they count.
        hidden: Joints of ``smpl24`` whose parts of the skin the photo does not show. Where they are next to the body's
            outline, nothing is matched.

    Returns:
        The term of the matched points, or None if no points match.
    """
    side = settings.side
    vertices, face_id = drawn_faces(body, state, view.camera)
    own, own_normals = _rim(face_id >= 0, view.known, settings.every)
    if not len(own) or not len(view.points):
        return None
    columns, rows = np.rint(own - 0.5 * own_normals).astype(int).T
    corners = body.faces.numpy()[face_id[rows, columns]]
    screen = view.camera.project(vertices)[:, :2].numpy()
    nearest = np.linalg.norm(screen[corners] - own[:, None], axis=-1).argmin(1)
    vertex = corners[np.arange(len(corners)), nearest]

    gap = np.sqrt(np.square(own[:, None, 0] - view.points[:, 0]) + np.square(own[:, None, 1] - view.points[:, 1]))
    gap[own_normals @ view.normals.T < settings.agree] = np.inf
    to_mask, to_own = gap.argmin(1), gap.argmin(0)
    pairs = np.concatenate(
        [
            np.stack([np.arange(len(own)), to_mask], 1)[gap.min(1) < reach * side],
            np.stack([to_own, np.arange(len(view.points))], 1)[gap.min(0) < reach * side],
        ]
    )
    left_out = vertices[vertex, 2].numpy() < NEAREST
    if hidden:
        left_out |= np.isin(body.part_labels[vertex], hidden)
    ours, theirs = pairs[~left_out[pairs[:, 0]]].T
    if not len(ours):
        return None
    targets = view.points[theirs] + screen[vertex[ours]] - own[ours]
    pixels_a_metre = torch.as_tensor(view.camera.focal).mean() / vertices[vertex[ours], 2:].double()
    return OutlineTerm(
        landmarks=skeleton.at_vertices(body, vertex[ours]),
        camera=view.camera,
        targets=torch.from_numpy(targets),
        normals=torch.from_numpy(view.normals[theirs]),
        clothes=pixels_a_metre * worn_over(body, vertex[ours]),
        deviation=settings.deviation * side,
        weight=min(1.0, settings.independent / len(ours)),
        cutoff=settings.cutoff,
        thickness=settings.clothes,
    )


def _rim(mask: np.ndarray, known: np.ndarray, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample the outline of a mask.

    Args:
        mask: (H, W) bool.
        known: (H, W) bool; points are taken where the pixels on both sides are known.
        every: One of so many points is taken.

    Returns:
        Points (N, 2) x, y in pixels, and their outward unit normals (N, 2).
    """
    import cv2

    solid = mask.astype(np.uint8)
    inner = solid - cv2.erode(solid, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    sure = cv2.erode(known.astype(np.uint8), np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    rows, columns = (places[::every] for places in np.nonzero(inner & sure))
    smooth = cv2.GaussianBlur(solid.astype(np.float32), (0, 0), 1.5)
    slope = np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)], -1)[rows, columns]
    length = np.linalg.norm(slope, axis=-1)
    kept = length > 1e-3
    normals = -slope[kept] / length[kept, None]
    # The outline runs half a pixel outside the centres of the mask's outermost pixels.
    return (np.stack([columns, rows], 1)[kept] + 0.5 * normals).astype(np.float64), normals.astype(np.float64)
