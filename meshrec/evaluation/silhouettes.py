"""How well predicted bodies cover true ones in the picture: as a whole, and part by part."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.evaluation.subjects import Subject
from meshrec.evaluation.truth import Truth, crop_masks
from meshrec.geometry import Camera
from meshrec.geometry.affine import apply, inverse
from meshrec.metrics import SILHOUETTE_PARTS, Overlap, face_parts, part_overlap, silhouette_overlap
from meshrec.render import part_map, silhouette

RESOLUTION = 224  # pixels a side at which silhouettes are compared
NOBODY = -1  # the label of pixels that see no body


def silhouette_scores(subjects: Sequence[Subject], vertices: Tensor, body: BodyModel) -> dict[str, np.ndarray]:
    """Accuracy, F1 and IoU with true masks, and the IoU with detected ones, within the pictures.

    Args:
        subjects: B people.
        vertices: (B, V, 3) predicted, in the pictures' cameras.
        body: Whose.

    Returns:
        (B,) each, NaN of people without a mask; without what nobody has.
    """
    masks, inside = crop_masks([s.sample for s in subjects], [s.camera.size for s in subjects], RESOLUTION)
    known = torch.tensor([s.sample.mask is not None for s in subjects])
    detected = [s.detection.mask if s.detection else None for s in subjects]
    if not known.any() and not any(detected):
        return {}
    drawn = silhouette(vertices, body.faces.cpu(), crop_cameras(subjects)).cpu() >= 0.5
    overlap = silhouette_overlap(drawn, masks, inside & known[:, None, None])
    scores = {f"mask_{name}": getattr(overlap, name).numpy().copy() for name in ("accuracy", "f1", "iou")}
    if any(detected):
        theirs = torch.zeros_like(masks)
        for i, (subject, mask) in enumerate(zip(subjects, detected)):
            if mask is not None:
                corners = apply(inverse(subject.sample.to_crop), np.array([[-1.0, -1.0], [1.0, 1.0]])).reshape(4)
                theirs[i] = torch.from_numpy(mask.crop(corners, (RESOLUTION, RESOLUTION)) > 0.5)
        has = torch.tensor([mask is not None for mask in detected])
        scores["detector_mask_iou"] = torch.where(has, silhouette_overlap(drawn, theirs).iou, torch.nan).numpy()
    return {name: values for name, values in scores.items() if not np.isnan(values).all()}


def part_pixels(
    subjects: Sequence[Subject], found: np.ndarray, vertices: Tensor, truth: Truth, body: BodyModel
) -> Overlap:
    """Pixels of each part that the predicted and the true body show, where the true body's place is known.

    Args:
        subjects: B people.
        found: (B,) bool; nothing is seen of the others' bodies.
        vertices: (B, V, 3) predicted, in the pictures' cameras.
        truth: What is known of them.
        body: Whose vertices they are.

    Returns:
        Counts (B, 7) within the pictures, of the background and the parts of
        :data:`meshrec.metrics.SILHOUETTE_PARTS`; zeros of people whose true body is not known.
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
        (B,) each, NaN of people without pixels.
    """
    total = (pixels.hit + pixels.missed).sum(-1)  # every pixel has one true label
    return {"part_accuracy": (pixels.hit.sum(-1) / total).numpy(), "part_f1": pixels.f1.nanmean(-1).numpy()}


def crop_cameras(subjects: Sequence[Subject]) -> Camera:
    """The cameras of B people's crops, drawn at :data:`RESOLUTION`."""
    focal, principal = (torch.stack(parts) for parts in zip(*(s.crop_camera for s in subjects)))
    half = RESOLUTION / 2
    return Camera(focal * half, (principal + 1) * half - 0.5, (RESOLUTION, RESOLUTION))
