"""A Pascal VOC folder of one picture, for tests of occluders."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

COLOUR = (10, 200, 30)
ANNOTATION = "<annotation>{}</annotation>"
OBJECT = "<object><name>{}</name><truncated>{}</truncated><difficult>0</difficult></object>"


def write_voc(folder: Path) -> None:
    """Write a picture with a person, a sofa of 40 x 40 pixels in :data:`COLOUR`, a truncated cat, and a tiny cup."""
    for name in ("Annotations", "JPEGImages", "SegmentationObject"):
        (folder / name).mkdir(parents=True)
    things = OBJECT.format("person", 0) + OBJECT.format("sofa", 0) + OBJECT.format("cat", 1) + OBJECT.format("cup", 0)
    (folder / "Annotations/1.xml").write_text(ANNOTATION.format(things))
    image = np.zeros((80, 100, 3), np.uint8)
    image[10:50, 20:60] = COLOUR
    cv2.imwrite(str(folder / "JPEGImages/1.jpg"), image[..., ::-1])
    labels = np.zeros((80, 100), np.uint8)
    labels[:, 70:] = 1
    labels[10:50, 20:60] = 2
    labels[55:79, 0:60] = 3
    labels[0:5, 0:5] = 4
    segments = Image.fromarray(labels, mode="P")
    segments.putpalette(list(range(256)) * 3)
    segments.save(folder / "SegmentationObject/1.png")
