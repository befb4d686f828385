"""A sheet of calibrated frames: the bodies of several methods over the photo and from the side, beside the truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from meshrec.body import LIMB_JOINTS
from meshrec.datasets.multiview import read_multiview
from meshrec.detect import Detector
from meshrec.errors import InputError
from meshrec.evaluation.datasets import PHOTOS
from meshrec.evaluation.pictures import captioned, joints_from_the_side
from meshrec.evaluation.subjects import Detected, known_camera
from meshrec.evaluation.truth import labelled_joints
from meshrec.metrics import pa_mpjpe
from meshrec.metrics.posture import angle_between, knee_bends, trunk_direction
from meshrec.reconstruct import Reconstructor
from meshrec.render.overlay import PAPER, contact_sheet, overlay, turned

WIDTH, HEIGHT = 260, 360  # pixels of each picture
MARGIN = 0.08  # around the person, as a share of the box's side


def multiview_sheet(
    folder: Path, detector: Detector, methods: Mapping[str, Reconstructor], rows: Sequence[int]
) -> np.ndarray:
    """A row for each photo: the photo, each method's body over it and from the right, and the true joints from there.

    Above each side view stand the PA-MPJPE of the limb joints, and the errors of the trunk's direction and of the bend
    of the knees.

    Args:
        folder: Folder of frames for :func:`meshrec.datasets.multiview.read_multiview`.
        detector: Finds the person.
        methods: Reconstructors to compare, by name.
        rows: Indices of the folder's frames to show.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: The folder has no such row, or nobody is found in it.
    """
    samples, detected = read_multiview(folder), Detected(detector, PHOTOS["multiview"].search)
    pictures = []
    for row in rows:
        if not 0 <= row < len(samples):
            raise InputError(f"{folder} has rows 0 to {len(samples) - 1}, not {row}")
        sample, box = samples[row], samples.boxes[row]
        image = sample.read_image()
        detection = detected.of(sample, image)
        if detection is None:
            raise InputError(f"{samples.pictures[row]}: nobody is found; choose another row")
        true, valid = torch.from_numpy(labelled_joints(sample, "limb12")).split((3, 1), dim=-1)
        valid = valid[:, 0] > 0
        pictures.append(captioned(_around(image, box), f"camera {samples.cameras[row]}, {sample.time:.2f} s"))
        camera = known_camera(sample, (image.shape[1], image.shape[0]))
        for name, method in methods.items():
            (person,) = method.embody(image, [detection], camera)
            vertices, faces = torch.from_numpy(person.vertices)[None], torch.from_numpy(person.faces)
            errors = _errors(torch.from_numpy(person.joints("limb12")), true, valid)
            side = turned(vertices, faces, "side", (WIDTH, HEIGHT))
            pictures.append(captioned(_around(overlay(image, vertices, faces, camera), box), name))
            pictures.append(captioned(side, errors))
        seen = joints_from_the_side(true.numpy(), valid.numpy(), LIMB_JOINTS, (WIDTH, HEIGHT))
        pictures.append(captioned(seen, "true joints"))
    return contact_sheet(pictures, columns=2 + 2 * len(methods), height=pictures[0].shape[0])


def _errors(joints: Tensor, true: Tensor, valid: Tensor) -> str:
    """The errors of limb joints (12, 3) in words; ``valid`` (12,) are the known true ones."""
    words = [f"{float(pa_mpjpe(joints, true, valid)):.0f} mm"]
    if valid.all():
        trunk = angle_between(*(trunk_direction(points, "limb12") for points in (joints, true)))
        knees = (knee_bends(joints, "limb12") - knee_bends(true, "limb12")).abs().mean()
        words += [f"trunk {float(trunk):.0f}", f"knees {float(knees):.0f} deg"]
    return ", ".join(words)


def _around(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The photo's part around the person, of a side view's size."""
    import cv2

    scale = min(WIDTH / (box[2] - box[0]), HEIGHT / (box[3] - box[1])) / (1 + 2 * MARGIN)
    shift = np.array([WIDTH, HEIGHT]) / 2 - scale * (box[:2] + box[2:]) / 2
    matrix, paper = np.column_stack([scale * np.eye(2), shift]), [255 * part for part in PAPER]
    return cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderValue=paper)
