"""Pictures of datasets, read when they are needed: from a file of their own or out of a tar, undistorted."""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from meshrec.errors import InputError


@dataclass(frozen=True, eq=False)
class Lens:
    """A calibrated lens.

    Attributes:
        matrix: (3, 3) the calibration matrix K.
        distortion: (5,) k1, k2, p1, p2, k3 as in OpenCV.
    """

    matrix: np.ndarray
    distortion: np.ndarray


@dataclass(frozen=True, eq=False)
class Picture:
    """Where a picture lies.

    Attributes:
        path: The picture's file, or the tar that holds it.
        start, length: Bytes of that file; the whole file where length is None.
        lens: Undone on reading; the picture is then that of a pinhole camera with the same matrix.
    """

    path: Path
    start: int = 0
    length: int | None = None
    lens: Lens | None = None

    def read(self) -> np.ndarray:
        """The picture as (H, W, 3) uint8 RGB, turned as EXIF says, which is how labels of the field refer to it.

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
    """The pixels of an encoded picture: (H, W, 3) uint8 RGB, or (H, W) where gray.

    Raises:
        InputError: It is no picture; the message starts with ``where``.
    """
    import cv2

    code = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
    image = cv2.imdecode(np.frombuffer(data, np.uint8), code) if data else None
    if image is None:
        raise InputError(f"{where}: this is not a picture that can be read, such as a JPEG or PNG.")
    return image if gray else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def tar_members(path: Path) -> dict[str, tuple[int, int]]:
    """Where the files of an uncompressed tar lie: name to first byte and length.

    Raises:
        InputError: It is no uncompressed tar, or is cut short.
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
    """The bytes of one file of a tar, as :func:`tar_members` found it."""
    start, length = member
    with path.open("rb") as file:
        file.seek(start)
        return io.BytesIO(file.read(length))
