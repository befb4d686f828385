"""Occluders to paste over people (Sárándi et al. 2018, "How robust is 3D human pose estimation to occlusion?").

They are either objects cut out of a Pascal VOC folder, as in the paper, or random shapes filled with noise, which need
no files. Those in front of synthetic people are in :mod:`meshrec.synthetic.occluders`.
"""

import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from meshrec.errors import InputError
from meshrec.files.photos import MAX_PIXELS
from meshrec.files.picture import MOST_BYTES, Picture
from meshrec.files.regular import read_regular

Occluder = np.ndarray  # (H, W, 4) uint8 RGBA
DRAWN_SIDE = 64  # side of a drawn occluder, pixels
MOST_XML_BYTES = 1 << 20  # of an annotation
LEAST_PIXELS = 500  # smallest object that is cut out, as in the paper


def drawn_occluder(rng: np.random.Generator) -> Occluder:
    """Draw a rotated rectangle or ellipse or a polygon, in two colours mixed by smooth noise.

    Returns:
        (64, 64, 4) uint8 RGBA.
    """
    import cv2

    side = DRAWN_SIDE
    center = (side / 2, side / 2)
    alpha = np.zeros((side, side), np.uint8)
    kind = rng.integers(3)
    if kind == 2:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 12)))
        radii = rng.uniform(0.4, 1, len(angles)) * side / 2
        corners = center + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        cv2.fillPoly(alpha, [corners.astype(np.int32)], (255,), cv2.LINE_AA)
    else:
        size, turn = side * rng.uniform(0.2, 0.7, 2), rng.uniform(0, 180)
        if kind == 0:
            corners = cv2.boxPoints((center, tuple(size), turn))
            cv2.fillPoly(alpha, [corners.astype(np.int32)], (255,), cv2.LINE_AA)
        else:
            cv2.ellipse(alpha, (center, tuple(size), turn), (255,), -1, cv2.LINE_AA)
    cells = int(rng.integers(2, 17))
    noise = cv2.resize(rng.random((cells, cells)), (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1)[..., None]
    colours = rng.uniform(0, 255, (2, 3))
    return np.dstack([(colours[0] * noise + colours[1] * (1 - noise)).astype(np.uint8), alpha])


def voc_occluders(folder: str | Path) -> list[Occluder]:
    """Cut objects out of the pictures of Pascal VOC.

    People, objects marked truncated or difficult, and objects of less than 500 pixels are left out, as in the paper.

    Args:
        folder: A folder such as ``VOCdevkit/VOC2012``.

    Raises:
        InputError: The folder does not have VOC's layout, or a file in it is damaged.
    """
    import cv2

    folder = Path(folder)
    found: list[Occluder] = []
    for segments in sorted((folder / "SegmentationObject").glob("*.png")):
        annotation = folder / "Annotations" / f"{segments.stem}.xml"
        try:
            objects = ElementTree.fromstring(read_regular(annotation, MOST_XML_BYTES)).findall("object")
        except (OSError, ElementTree.ParseError) as error:
            raise InputError(f"{annotation}: not a readable VOC annotation ({error}).") from error
        wanted = [
            (number, thing)
            for number, thing in enumerate(objects, start=1)
            if thing.findtext("name") != "person"
            and "1" not in (thing.findtext("truncated"), thing.findtext("difficult"))
        ]
        if not wanted:
            continue
        image = Picture(folder / "JPEGImages" / f"{segments.stem}.jpg").read()
        labels = _palette_indices(segments)
        for number, _ in wanted:
            mask = (labels == number).astype(np.uint8)
            if mask.sum() >= LEAST_PIXELS:
                x, y, width, height = cv2.boundingRect(mask)
                inside = np.s_[y : y + height, x : x + width]
                # The outermost pixels show background too.
                alpha = cv2.erode(mask * np.uint8(255), np.ones((3, 3), np.uint8))[inside]
                found.append(np.dstack([image[inside], alpha]))
    if not found:
        raise InputError(f"{folder}: no objects found; name a Pascal VOC folder with SegmentationObject in it.")
    return found


def paste(image: np.ndarray, occluder: Occluder, center: np.ndarray, side: float) -> np.ndarray:
    """Paste an occluder into a picture, which is not changed itself.

    Args:
        image: (H, W, 3) uint8 RGB.
        occluder: The occluder.
        center: (2,) its centre in pixels, which may lie outside the picture.
        side: Its longer side in pixels.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    import cv2

    ratio = side / max(occluder.shape[:2])
    size = [max(round(n * ratio), 1) for n in occluder.shape[1::-1]]
    thing = cv2.resize(occluder, size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR)
    corner = np.round(np.asarray(center) - np.array(size) / 2).astype(int)
    low, high = np.maximum(corner, 0), np.minimum(corner + size, image.shape[1::-1])
    if (high <= low).any():
        return image
    (x0, y0), (x1, y1) = low, high
    visible = thing[y0 - corner[1] : y1 - corner[1], x0 - corner[0] : x1 - corner[0]].astype(np.float32)
    alpha = visible[..., 3:] / 255
    result = image.copy()
    mixed = visible[..., :3] * alpha + result[y0:y1, x0:x1] * (1 - alpha)
    result[y0:y1, x0:x1] = np.round(mixed).astype(np.uint8)
    return result


def paste_several(
    image: np.ndarray, rng: np.random.Generator, most: int = 8, occluders: Sequence[Occluder] = ()
) -> np.ndarray:
    """Paste one or more occluders at random places into a square picture, as in the paper.

    Args:
        image: (S, S, 3) uint8 RGB.
        rng: The random generator.
        most: The largest number of occluders.
        occluders: Objects to choose from; without any, random shapes are drawn.

    Returns:
        (S, S, 3) uint8 RGB.
    """
    side = len(image)
    for _ in range(rng.integers(1, most, endpoint=True)):
        occluder = occluders[rng.integers(len(occluders))] if occluders else drawn_occluder(rng)
        # A side of 0.1 to 0.5 of the picture's, and a centre anywhere in it.
        image = paste(image, occluder, rng.uniform(0, side, 2), rng.uniform(0.1, 0.5) * side)
    return image


def _palette_indices(path: Path) -> np.ndarray:
    """Palette indices (H, W) of a picture, which OpenCV would turn into colours."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(read_regular(path, MOST_BYTES)), formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise OSError("it is larger than any of VOC's")
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable PNG ({error}).") from error
