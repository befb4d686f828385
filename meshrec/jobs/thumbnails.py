"""Small pictures of results, for the picture page of a run: each is that of an overlay."""

import math
from contextlib import suppress
from pathlib import Path

import numpy as np

from meshrec.errors import InputError
from meshrec.files.atomic import write_file
from meshrec.files.clips import open_clip
from meshrec.files.photos import read_photo

SIZE = 640, 240  # pixels, at most
QUALITY = 80  # of JPEG, of 100; some 15 kB each


def thumbnail_name(overlay: str) -> str:
    """Name of the small picture of an overlay.

    Example:
        >>> from meshrec.jobs.thumbnails import thumbnail_name
        >>> thumbnail_name("overlay_cam1.png")
        'thumbnail_cam1.jpg'
    """
    return Path(overlay).stem.replace("overlay", "thumbnail", 1) + ".jpg"


def write_thumbnail(overlay: Path, image: np.ndarray) -> Path:
    """Write the small picture of an overlay.

    Args:
        overlay: The overlay's file, which is there.
        image: (H, W, 3) uint8 RGB, its content, or a frame of it.

    Returns:
        The file beside it.

    Raises:
        InputError: The file cannot be written.
    """
    import cv2

    from meshrec.render.resizing import resized

    height, width = image.shape[:2]
    scale = min(1.0, SIZE[0] / width, SIZE[1] / height)
    size = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    encoded = cv2.imencode(".jpg", resized(image, size)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return write_file(overlay.with_name(thumbnail_name(overlay.name)), encoded.tobytes())


def find_thumbnail(overlay: Path) -> Path | None:
    """The small picture of an overlay, which is made if it is missing or older than the overlay.

    Args:
        overlay: A picture, or a video, of which the middle frame is shown.

    Returns:
        The file beside it; None if the overlay cannot be read.

    Raises:
        InputError: The file cannot be written.
    """
    path = overlay.with_name(thumbnail_name(overlay.name))
    with suppress(OSError):
        if path.stat().st_mtime_ns >= overlay.stat().st_mtime_ns:
            return path
    try:
        image = _middle_frame(overlay) if overlay.suffix == ".mp4" else read_photo(overlay).image
    except InputError:
        return None
    return write_thumbnail(overlay, image)


def _middle_frame(video: Path) -> np.ndarray:
    clip = open_clip(video)
    frames = clip.after(-1 if clip.count is None else int(clip.numbers_and_times()[0][clip.count // 2]) - 1)
    frame = next(frames, None)
    if frame is None:
        raise InputError(f"{video}: the video has no frames.")
    return frame.image
