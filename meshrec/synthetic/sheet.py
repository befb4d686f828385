"""Contact sheets of synthetic people: pictures with the true joints, above the simulated detections.

Red is the person's left and blue the right. In detections filled dots are visible landmarks and rings are hidden ones.
"""

import numpy as np
from torch import Tensor

from meshrec.body import joint_set
from meshrec.data.sample import cut
from meshrec.synthetic.batches import synthetic_batch
from meshrec.synthetic.benchmark import GROUPS, SyntheticBenchmark
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures

COLUMNS = 8
LEFT, RIGHT, MIDDLE = (255, 80, 80), (80, 160, 255), (250, 220, 90)  # RGB
SHOWN = "coco17"  # joint set of the true joints that are drawn


def people_sheet(source: SyntheticPeople, indices: range, pictures: Pictures) -> np.ndarray:
    """Draw people, each above the mask and landmarks of the simulated detector.

    Args:
        source: The data set.
        indices: Numbers of the people in it.
        pictures: How to draw the pictures.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    batch, seen = synthetic_batch(source, indices, SHOWN, pictures=pictures)
    images = batch.image.movedim(1, -1).numpy()
    truth = [_with_joints(image, points, SHOWN) for image, points in zip(images, batch.keypoints_2d)]
    detected = [_detected(*person) for person in zip(seen.silhouette[:, 0], seen.keypoints, seen.hidden)]
    return _in_rows([np.vstack(pair) for pair in zip(truth, detected)])


def benchmark_sheet(benchmark: SyntheticBenchmark, resolution: int = 224) -> np.ndarray:
    """Draw the first people of each group of the benchmark, one row per group.

    Args:
        benchmark: The benchmark with all groups.
        resolution: Side of each crop in pixels.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    import cv2

    cells, first = [], 0
    for name, group in GROUPS.items():
        for i in range(COLUMNS):
            sample = benchmark[first + i]
            cell = _with_joints(cut(sample, resolution).read_image(), sample.keypoints_2d, "union55")
            cells.append(cv2.putText(cell, name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, MIDDLE, 1, cv2.LINE_AA))
        first += group.count
    return _in_rows(cells)


def _in_rows(cells: list[np.ndarray]) -> np.ndarray:
    """Lay out cells of equal size in rows of :data:`COLUMNS`, white where there are no more."""
    cells = cells + [np.full_like(cells[0], 255)] * (-len(cells) % COLUMNS)
    return np.vstack([np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)])


def _with_joints(image: np.ndarray, points: Tensor | np.ndarray, joints: str) -> np.ndarray:
    """A picture (H, W, 3) with dots on those keypoints (K, 3) that are in :data:`SHOWN`."""
    import cv2

    image = image.copy()
    for name, (x, y, _) in zip(joint_set(joints), points.tolist()):
        if name in joint_set(SHOWN):
            cv2.circle(image, _pixel(x, y, len(image)), 2, _color(name), -1, cv2.LINE_AA)
    return image


def _detected(silhouette: Tensor, keypoints: Tensor, hidden: Tensor) -> np.ndarray:
    """Draw a detection: mask (H, W), keypoints (K, 3), and which of them are hidden (K,)."""
    import cv2

    picture = np.where(silhouette.numpy()[..., None] > 0, 110, 30).astype(np.uint8).repeat(3, -1)
    for name, (x, y, confidence), ring in zip(joint_set("mediapipe33"), keypoints.tolist(), hidden.tolist()):
        if confidence:
            cv2.circle(picture, _pixel(x, y, len(picture)), 3, _color(name), 1 if ring else -1, cv2.LINE_AA)
    return picture


def _pixel(x: float, y: float, size: int) -> tuple[int, int]:
    """The pixel at crop coordinates x and y in a crop of ``size`` pixels."""
    return round(((x + 1) * size - 1) / 2), round(((y + 1) * size - 1) / 2)


def _color(name: str) -> tuple[int, int, int]:
    return LEFT if "left" in name else RIGHT if "right" in name else MIDDLE
