"""RTMPose by way of the package rtmlib: another detector, whose networks are downloaded on first use.

Jiang et al. 2023, "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose".
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Protocol

import numpy as np

from meshrec.body.joints import joint_set
from meshrec.detect.people import Detection, keypoint_box
from meshrec.errors import InputError, MissingDependency

JOINT_SET = "coco17"  # rtmlib's whole-body networks begin with the same 17 keypoints
LEAST_SCORE = 0.3  # mean of the keypoints' scores below which a box of the person network shows nobody


class TwoStages(Protocol):
    """What a detector needs of ``rtmlib.Body``, ``rtmlib.BodyWithFeet`` or ``rtmlib.Wholebody``.

    Attributes:
        det_model: A function from an (H, W, 3) uint8 BGR image to boxes (N, 4) of people, x0, y0, x1, y1 in pixels.
        pose_model: A function from such an image and ``bboxes`` to keypoints (N, K, 2) in pixels, the first 17 of them
            COCO's, and their scores (N, K).
    """

    det_model: Callable[[np.ndarray], np.ndarray]
    pose_model: Callable[..., tuple[np.ndarray, np.ndarray]]


class RtmlibDetector:
    """Finds people with rtmlib's person and pose networks. It gives COCO's 17 keypoints and no masks.

    Args:
        body: The networks, such as ``rtmlib.Body(mode="performance")``. Default: ``rtmlib.Body()``.
        least_score: Least mean score of the keypoints of a person, in [0, 1].

    Raises:
        MissingDependency: rtmlib is not installed.
        InputError: The networks cannot be downloaded or read.
    """

    def __init__(self, body: TwoStages | None = None, least_score: float = LEAST_SCORE) -> None:
        self._body = _default_body() if body is None else body
        self._least_score = least_score

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
        """Find people, as :class:`meshrec.detect.people.Detector` says."""
        count, size = len(joint_set(JOINT_SET)), (image.shape[1], image.shape[0])
        bgr = np.ascontiguousarray(image[..., ::-1])
        regions = self._body.det_model(bgr) if boxes is None else boxes
        if not len(regions):  # the pose network would take none for the whole image
            return []
        keypoints, scores = self._body.pose_model(bgr, bboxes=regions)
        rows = np.dstack([keypoints, np.clip(scores, 0, 1)])[:, :count].astype(np.float32)
        certainty = rows[..., 2].mean(1)
        certainty[certainty < self._least_score] = 0
        if boxes is None:
            order = np.argsort(-certainty, kind="stable")[: np.count_nonzero(certainty)]
            rows, certainty = rows[order], certainty[order]
            boxes = np.array([keypoint_box(row, size) for row in rows])
        return [
            Detection(np.asarray(box, np.float32), row, JOINT_SET, float(score))
            for box, row, score in zip(boxes, rows, certainty)
        ]


def _default_body() -> TwoStages:
    try:
        import rtmlib
    except ModuleNotFoundError as error:
        raise MissingDependency("this detector needs rtmlib: pip install rtmlib.") from error
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints the file of each network
            return rtmlib.Body()
    # rtmlib raises whatever the download, the archive or the runtime raises.
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise InputError(
            f"the networks of rtmlib cannot be loaded ({reason}); download them once while online, or give "
            "RtmlibDetector(rtmlib.Body(det=file, pose=file))."
        ) from None
