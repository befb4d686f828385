"""Pictures of datasets, which are read when needed, from a file of their own or from a tar, and undistorted."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from meshrec.errors import InputError
from meshrec.files.photos import FORMATS, MAX_PIXELS, MAX_SIDE
from meshrec.files.regular import read_regular
from meshrec.files.tars import read_member

MOST_BYTES = 256 << 20  # of a picture


@dataclass(frozen=True, eq=False)
class Lens:
    """The calibration of a camera with a distorting lens.

    Attributes:
        matrix: (3, 3) the calibration matrix K.
        distortion: (5,) k1, k2, p1, p2, k3 as in OpenCV.
    """

    matrix: np.ndarray
    distortion: np.ndarray


@dataclass(frozen=True, eq=False)
class Picture:
    """The location of a picture.

    Attributes:
        path: The picture's file, or the tar that holds it.
        start, length: First byte of the picture in that file and number of bytes; the rest of the file if the length is
            None.
        lens: Calibration. If given, the distortion is removed on reading, so that the picture is that of a pinhole
            camera with the same matrix.
    """

    path: Path
    start: int = 0
    length: int | None = None
    lens: Lens | None = None

    def read(self) -> np.ndarray:
        """Read the picture as (H, W, 3) uint8 RGB, rotated as EXIF says, because the labels of data sets assume that.

        Raises:
            InputError: There is no such file, or it is not a picture.
        """
        import cv2

        try:
            if self.length is None:
                data = read_regular(self.path, MOST_BYTES)[self.start :]
            else:
                data = read_member(self.path, (self.start, self.length), MOST_BYTES).getvalue()
        except OSError as error:
            raise InputError(f"{self.path}: the picture cannot be read ({error.strerror}).") from error
        image = decode(data, str(self.path))
        if self.lens is not None:
            image = cv2.undistort(image, self.lens.matrix, self.lens.distortion)
        return image


def decode(data: bytes, where: str, gray: bool = False) -> np.ndarray:
    """Decode a picture.

    Args:
        data: The content of a JPEG, PNG or other file.
        where: Name of the file, for messages.
        gray: Whether to return a single channel.

    Returns:
        (H, W, 3) uint8 RGB, or (H, W) uint8 if ``gray``.

    Raises:
        InputError: The data is not a picture.
    """
    import cv2

    try:
        # Only the header is read here. Decoders make room for whatever size it claims.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                width, height = opened.size
        if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
            raise InputError(f"{where}: {width} x {height} pixels are more than a picture of a data set may have.")
        code = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
        image = cv2.imdecode(np.frombuffer(data, np.uint8), code)
    except InputError:
        raise
    except Exception:  # of headers of any kind, and of OpenCV
        image = None
    if image is None:
        raise InputError(f"{where}: this is not a picture that can be read, such as a JPEG or PNG.")
    return image if gray else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
