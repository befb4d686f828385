"""The filmed man as each method sees him, over the photo and from the side, beside what is true."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from meshrec.benchmarks.methods import Method
from meshrec.body import LIMB_JOINTS, joint_index
from meshrec.datasets.multiview import read_multiview
from meshrec.detect.people import Detector, person_at
from meshrec.errors import InputError
from meshrec.evaluation.pictures import captioned, joints_from_the_side
from meshrec.geometry import Camera
from meshrec.metrics import pa_mpjpe
from meshrec.metrics.posture import angle_between, knee_bends, trunk_direction
from meshrec.render.overlay import PAPER, contact_sheet, overlay, turned

WIDTH, HEIGHT = 260, 360  # pixels of each picture
MARGIN = 0.08  # around the person, share of the box


def multiview_sheet(folder: Path, detector: Detector, methods: Mapping[str, Method], rows: Sequence[int]) -> np.ndarray:
    """Photos in rows: as taken, each method's mesh over it and from its right side, and the true joints from there.

    Above each side view stand the error of the limb joints after Procrustes alignment, of the trunk's direction, and of
    the knees' bend.

    Args:
        folder: As for :func:`meshrec.datasets.multiview.read_multiview`.
        detector: Finds the man.
        methods: What makes bodies, by name.
        rows: Of the folder's pictures.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: The folder has no such row, or nobody is found in it.
    """
    truth = read_multiview(folder)
    order = [joint_index(name, truth.joints) for name in LIMB_JOINTS]
    pictures = []
    for row in rows:
        if not 0 <= row < len(truth):
            raise InputError(f"{folder} has rows 0 to {len(truth) - 1}, not {row}")
        image, box = truth[row].read_image(), truth.boxes[row]
        camera = Camera.from_matrix(truth.calibration[row], (image.shape[1], image.shape[0]))
        detection = person_at(detector(image), box)
        if detection is None:
            raise InputError(f"{truth.pictures[row]}: nobody is found; choose another row")
        true, valid = torch.from_numpy(truth.joints_3d[row, order]).float().split((3, 1), dim=-1)
        valid = valid[:, 0] > 0
        pictures.append(captioned(_around(image, box), f"camera {truth.cameras[row]}, {truth.time[row]:.2f} s"))
        for name, method in methods.items():
            body = method.fitter.body
            result = method(image, detection, camera)
            vertices = result.vertices(body)
            joints = body.joints_from(vertices, "lsp14")[0, : len(LIMB_JOINTS)]
            drawn = overlay(image, vertices, body.faces, camera)
            side = turned(vertices, body.faces, "side", (WIDTH, HEIGHT))
            pictures += [captioned(_around(drawn, box), name), captioned(side, _errors(joints, true, valid))]
        seen = joints_from_the_side(true.numpy(), valid.numpy(), LIMB_JOINTS, (WIDTH, HEIGHT))
        pictures.append(captioned(seen, "true joints"))
    return contact_sheet(pictures, columns=2 + 2 * len(methods), height=pictures[0].shape[0])


def _errors(joints: Tensor, true: Tensor, valid: Tensor) -> str:
    words = [f"{float(pa_mpjpe(joints, true, valid)):.0f} mm"]
    if valid.all():
        trunk = angle_between(*(trunk_direction(points, "lsp14") for points in (joints, true)))
        knees = (knee_bends(joints, "lsp14") - knee_bends(true, "lsp14")).abs().mean()
        words += [f"trunk {float(trunk):.0f}", f"knees {float(knees):.0f} deg"]
    return ", ".join(words)


def _around(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The photo's part around the person, of a side view's size."""
    import cv2

    scale = min(WIDTH / (box[2] - box[0]), HEIGHT / (box[3] - box[1])) / (1 + 2 * MARGIN)
    shift = np.array([WIDTH, HEIGHT]) / 2 - scale * (box[:2] + box[2:]) / 2
    matrix, paper = np.column_stack([scale * np.eye(2), shift]), [255 * part for part in PAPER]
    return cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderValue=paper)
