"""How well predicted bodies cover true ones, and people's masks, in the picture: as a whole, and part by part."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.evaluation.subjects import Subject
from meshrec.evaluation.truth import Truth, crop_masks
from meshrec.fit.outline import MaskView
from meshrec.geometry import Camera
from meshrec.metrics import SILHOUETTE_PARTS, Overlap, face_parts, part_overlap, silhouette_overlap
from meshrec.render import part_map, rasterize, silhouette

RESOLUTION = 224  # pixels a side at which silhouettes are compared
NOBODY = -1  # the label of pixels that see no body


def silhouette_scores(subjects: Sequence[Subject], vertices: Tensor, body: BodyModel) -> dict[str, np.ndarray]:
    """Accuracy, F1 and IoU with true masks within the pictures.

    Args:
        subjects: B people.
        vertices: (B, V, 3) predicted, in the pictures' cameras.
        body: Body model of the vertices.

    Returns:
        (B,) each, NaN for people without a mask; empty where nobody has one.
    """
    known = torch.tensor([s.sample.mask is not None for s in subjects])
    if not known.any():
        return {}
    masks, inside = crop_masks([s.sample for s in subjects], [s.camera.size for s in subjects], RESOLUTION)
    drawn = silhouette(vertices, body.faces.cpu(), crop_cameras(subjects)).cpu() >= 0.5
    overlap = silhouette_overlap(drawn, masks, inside & known[:, None, None])
    return {f"mask_{name}": getattr(overlap, name).numpy().copy() for name in ("accuracy", "f1", "iou")}


def detected_overlap(subjects: Sequence[Subject], vertices: Tensor, body: BodyModel) -> np.ndarray:
    """Overlap of predicted bodies with detected masks, in the square pictures in which the fit compares outlines.

    Args:
        subjects: B people.
        vertices: (B, V, 3) predicted, in the pictures' cameras.
        body: Body model of the vertices.

    Returns:
        (B,) IoU, as in :attr:`meshrec.Person.mask_iou` of somebody alone; NaN for people without a detected mask.
    """
    rows = [i for i, s in enumerate(subjects) if s.detection is not None and s.detection.mask is not None]
    overlaps = np.full(len(subjects), np.nan)
    if not rows:
        return overlaps
    views = [MaskView.around(subjects[i].detected, [], subjects[i].camera) for i in rows]
    matrices = torch.stack([view.camera.matrix for view in views])
    focal, center = matrices.diagonal(dim1=1, dim2=2)[:, :2], matrices[:, :2, 2]
    face_id = rasterize(vertices[rows], body.faces.cpu(), Camera(focal, center, views[0].camera.size)).face_id.numpy()
    overlaps[rows] = [view.overlap(drawn) for view, drawn in zip(views, face_id)]
    return overlaps


def part_pixels(
    subjects: Sequence[Subject], found: np.ndarray, vertices: Tensor, truth: Truth, body: BodyModel
) -> Overlap:
    """Pixels of each part that the predicted and the true body show, where the true body's place is known.

    Args:
        subjects: B people.
        found: (B,) bool; nothing is drawn for the others.
        vertices: (B, V, 3) predicted, in the pictures' cameras.
        truth: The labels.
        body: Body model of the vertices.

    Returns:
        Counts (B, 7) within the pictures, of the background and the parts of
        :data:`meshrec.metrics.SILHOUETTE_PARTS`; zeros for people whose true body is not known.
    """
    known = (truth.vertices_confidence > 0) & ~truth.pelvis.isnan().any(1)
    _, inside = crop_masks([s.sample for s in subjects], [s.camera.size for s in subjects], RESOLUTION)
    faces, parts = body.faces.cpu(), face_parts(body)
    labels = torch.full((2, len(subjects), RESOLUTION, RESOLUTION), NOBODY)
    for views, meshes, rows in (
        (labels[0], vertices, known & torch.from_numpy(found)),
        (labels[1], truth.vertices + truth.pelvis[:, None], known),
    ):
        if rows.any():
            seen = [subject for subject, chosen in zip(subjects, rows) if chosen]
            views[rows] = part_map(meshes[rows], faces, crop_cameras(seen), parts).cpu()
    return part_overlap(labels[0] + 1, labels[1] + 1, len(SILHOUETTE_PARTS) + 1, inside & known[:, None, None])


def part_scores(pixels: Overlap) -> dict[str, np.ndarray]:
    """Share of pixels whose label is right, and the mean F1 of those of the 7 labels that either body shows.

    Args:
        pixels: (B, 7), as :func:`part_pixels` counts them.

    Returns:
        (B,) each, NaN for people without pixels.
    """
    total = (pixels.hit + pixels.missed).sum(-1)  # every pixel has one true label
    return {"part_accuracy": (pixels.hit.sum(-1) / total).numpy(), "part_f1": pixels.f1.nanmean(-1).numpy()}


def crop_cameras(subjects: Sequence[Subject]) -> Camera:
    """The cameras of B people's crops, drawn at :data:`RESOLUTION`."""
    focal, principal = (torch.stack(parts) for parts in zip(*(s.crop_camera for s in subjects)))
    half = RESOLUTION / 2
    return Camera(focal * half, (principal + 1) * half - 0.5, (RESOLUTION, RESOLUTION))
