"""Pictures of datasets, which are read when needed, from a file of their own or from a tar, and undistorted."""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meshrec.errors import InputError


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
            with self.path.open("rb") as file:
                file.seek(self.start)
                data = file.read(-1 if self.length is None else self.length)
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

    code = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
    image = cv2.imdecode(np.frombuffer(data, np.uint8), code) if data else None
    if image is None:
        raise InputError(f"{where}: this is not a picture that can be read, such as a JPEG or PNG.")
    return image if gray else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def tar_members(path: Path) -> dict[str, tuple[int, int]]:
    """Locate the files in an uncompressed tar.

    Returns:
        Names to first byte and length in bytes.

    Raises:
        InputError: The file is not an uncompressed tar, or is cut short.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            members = {member.name: (member.offset_data, member.size) for member in tar if member.isfile()}
    except (OSError, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: not an uncompressed tar, or cut short ({reason}).") from error
    if any(start + length > path.stat().st_size for start, length in members.values()):
        raise InputError(f"{path}: the tar is cut short; fetch it again.")
    return members


def read_member(path: Path, member: tuple[int, int]) -> io.BytesIO:
    """Read one file of a tar, at the first byte and length that :func:`tar_members` found."""
    start, length = member
    with path.open("rb") as file:
        file.seek(start)
        return io.BytesIO(file.read(length))
