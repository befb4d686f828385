"""Draw a contact sheet of synthetic people to look at: each picture with its true joints, beside what a detector says.

Filled dots are seen, rings are hidden; red is the person's left and blue the right.

Example:
    python tools/synthetic_sheet.py sheet.png --count 24 --seed 3
    python tools/synthetic_sheet.py frozen.png --benchmark
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from meshrec.body import joint_set, load_body
from meshrec.data.synthetic_backgrounds import FolderBackgrounds, noise_backgrounds
from meshrec.data.synthetic_benchmark import GROUPS, SyntheticBenchmark
from meshrec.data.synthetic_clothes import TextureLayout
from meshrec.data.synthetic_labels import Pictures, synthetic_batch
from meshrec.data.synthetic_people import SyntheticPeople

SIZE, COLUMNS = 224, 8
LEFT, RIGHT, MIDDLE = (255, 80, 80), (80, 160, 255), (250, 220, 90)
SHOWN = "coco17"  # of the true joints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="picture to write")
    parser.add_argument("--count", type=int, default=32, help="people")
    parser.add_argument("--seed", type=int, default=0, help="of the people")
    parser.add_argument("--first", type=int, default=0, help="number of the first of them")
    parser.add_argument("--backgrounds", type=Path, help="folder of pictures to put behind them (default: noise)")
    parser.add_argument("--benchmark", action="store_true", help="show people of the frozen benchmark instead")
    options = parser.parse_args()
    body = load_body()
    if options.benchmark:
        cells = _benchmark_cells(SyntheticBenchmark(body))
    else:
        behind = noise_backgrounds if options.backgrounds is None else FolderBackgrounds(options.backgrounds)
        source = SyntheticPeople(body, options.seed, resolution=SIZE)
        numbers = range(options.first, options.first + options.count)
        batch, seen = synthetic_batch(source, numbers, SHOWN, pictures=Pictures(TextureLayout.of_body(body), behind))
        cells = [
            np.vstack([_with_joints(image, points, SHOWN), _detected(*detection)])
            for image, points, *detection in zip(
                batch.image.movedim(1, -1).numpy(),
                batch.keypoints_2d,
                seen.silhouette[:, 0],
                seen.keypoints,
                seen.hidden,
            )
        ]
    blank = [np.full_like(cells[0], 255)] * (-len(cells) % COLUMNS)
    rows = [np.hstack((cells + blank)[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
    cv2.imwrite(str(options.out), np.vstack(rows)[..., ::-1])
    print(options.out)


def _benchmark_cells(benchmark: SyntheticBenchmark) -> list[np.ndarray]:
    """A row of pictures for each group."""
    cells, first = [], 0
    for name, group in GROUPS.items():
        for i in range(COLUMNS):
            sample = benchmark[first + i]
            cell = _with_joints(sample.image, sample.keypoints_2d, "union55", SHOWN)
            cells.append(cv2.putText(cell, name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, MIDDLE, 1, cv2.LINE_AA))
        first += group.count
    return cells


def _with_joints(image: np.ndarray, points: Tensor | np.ndarray, joints: str, shown: str | None = None) -> np.ndarray:
    image = image.copy()
    for name, (x, y, _) in zip(joint_set(joints), points.tolist()):
        if shown is None or name in joint_set(shown):
            cv2.circle(image, _pixel(x, y), 2, _color(name), -1, cv2.LINE_AA)
    return image


def _detected(silhouette: Tensor, keypoints: Tensor, hidden: Tensor) -> np.ndarray:
    picture = np.where(silhouette.numpy()[..., None] > 0, 110, 30).astype(np.uint8).repeat(3, -1)
    for name, (x, y, confidence), ring in zip(joint_set("mediapipe33"), keypoints.tolist(), hidden.tolist()):
        if confidence:
            cv2.circle(picture, _pixel(x, y), 3, _color(name), 1 if ring else -1, cv2.LINE_AA)
    return picture


def _pixel(x: float, y: float) -> tuple[int, int]:
    return round(((x + 1) * SIZE - 1) / 2), round(((y + 1) * SIZE - 1) / 2)


def _color(name: str) -> tuple[int, int, int]:
    return LEFT if "left" in name else RIGHT if "right" in name else MIDDLE


if __name__ == "__main__":
    main()
