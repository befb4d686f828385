"""Reading photos: any common file becomes upright 8-bit RGB and, where EXIF has it, a focal length."""

from __future__ import annotations

import io
import logging
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from meshrec.errors import InputError, MeshrecError, MissingDependency
from meshrec.files.fingerprint import Fingerprint, fingerprint_of, has_changed
from meshrec.files.frames import frames_note
from meshrec.files.regular import open_regular

# Pillow would hand EPS to Ghostscript, which runs programs: only formats decoded in process are listed.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "JPEG2000", "AVIF", "TGA")
MAX_PIXELS = 128_000_000  # a decoded pixel takes up to 4 bytes and as many in the file, and 3 in the result
PILLOW_WEBP_PIXELS = 32_000_000  # Pillow's decoder takes 16 bytes per pixel; larger photos are left to FFmpeg's
WHOLE_JPEG2000_PIXELS = 72_000_000  # the decoder takes 19 bytes per pixel; of larger photos it decodes half the size
MAX_SIDE = 32_766  # pixels; OpenCV's warps take no larger pictures
MOST_BYTES = 640 << 20  # of a file: all pixels uncompressed, and metadata
STRIP_PIXELS = 1 << 20  # converted at a time
MIN_SIDE = 16  # pixels; in a smaller photo not even a head can be told from a leg
LEAST_VIEW, MOST_VIEW = 4.0, 150.0  # degrees along the diagonal: a lens of 600 mm ... a wide angle before a fisheye
UNNAMED = Path("photo")  # what messages call a photo that is not a file
# Major brands of ISO 23008-12 files with HEVC pictures.
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
FILM_DIAGONAL = 43.27  # mm, of the 36 x 24 mm frame that FocalLengthIn35mmFilm refers to
MILLIMETRES_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0}  # EXIF FocalPlaneResolutionUnit: inch, cm, mm

logging.getLogger("PIL").addHandler(logging.NullHandler())  # an InputError reports damaged files instead


@dataclass(frozen=True)
class Photo:
    """A photo in memory.

    Attributes:
        image: (H, W, 3) uint8 RGB, upright as EXIF says.
        focal_px: Focal length in pixels of ``image``, or None if the file does not have it.
        path: The file that it was read from.
        notes: Conversions that a user should know of, such as "transparent parts are shown on white".
        fingerprint: The file's, of the content from which ``image`` was decoded; None for a photo that is no file.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from meshrec.files import Photo
        >>> Photo(np.zeros((48, 64, 3), np.uint8), focal_px=80.0, path=Path("photo.jpg")).image.shape
        (48, 64, 3)
    """

    image: np.ndarray
    focal_px: float | None
    path: Path
    notes: tuple[str, ...] = ()
    fingerprint: Fingerprint | None = None


def read_photo(path: str | Path, data: bytes | None = None) -> Photo:
    """Read one photo file.

    Grayscale, palette, alpha, CMYK, 16-bit and single-channel float files are converted; of an animation the
    first frame is used. The largest photos take up to 1.1 GB for a moment, and 0.4 GB when they are decoded. JPEG 2000
    of more than 72 megapixels is decoded at half its size and enlarged.

    Args:
        path: The file. If ``data`` is given, the path only serves for messages.
        data: The file's content. Default: it is read from ``path``.

    Raises:
        InputError: The path is not a readable photo of a workable size.
        MissingDependency: The photo is a HEIC file, and the package that decodes these is not installed.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from meshrec.files import read_photo
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (64, 48)).save(f"{folder}/photo.png")
        ...     read_photo(f"{folder}/photo.png").image.shape
        (48, 64, 3)
    """
    path = Path(path)
    head = b""
    try:
        if data is not None:
            file: BinaryIO = io.BytesIO(data)
            head, data = data[:16], None  # so that closing the file frees the content
            return _decoded(file, path)
        _check_file(path)
        with open_regular(path, MOST_BYTES) as opened:
            fingerprint = fingerprint_of(opened)
            head = opened.read(16)
            photo = _decoded(_Content(opened), path)
            if has_changed(opened, fingerprint):
                raise InputError(f"{path}: the file was changed while it was read; try again.")
            return replace(photo, fingerprint=fingerprint)
    except MeshrecError:
        raise
    except OSError as error:
        raise _reason(path, head, error) from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: the photo has more than {MAX_PIXELS // 10**6} megapixels; scale it down.") from error
    except MemoryError as error:
        raise InputError(f"{path}: not enough memory to decode the photo; scale it down.") from error
    except Exception as error:  # decoders raise exceptions of any kind on damaged files
        raise InputError(f"{path}: the photo is damaged ({error}); export it again as JPEG or PNG.") from error


def as_photo(photo: Photo | Image.Image | np.ndarray | bytes | str | os.PathLike) -> Photo:
    """Convert whatever stands for one photo.

    Args:
        photo: A file's path or its content, a Pillow image, which EXIF turns upright, or an array: gray (H, W) or
            (H, W, 1), RGB (H, W, 3) or RGBA (H, W, 4), of uint8 or of floats in [0, 1].

    Raises:
        InputError: It is none of these, cannot be read, or is too large or too small.

    Example:
        >>> import numpy as np
        >>> from meshrec.files import as_photo
        >>> as_photo(np.full((48, 64), 0.5)).image[0, 0].tolist()
        [128, 128, 128]
    """
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, str | os.PathLike):
        return read_photo(Path(photo))
    if isinstance(photo, bytes | bytearray | memoryview):
        return read_photo(UNNAMED, bytes(photo))
    if isinstance(photo, Image.Image):
        _check_size(UNNAMED, *photo.size)
        focal, notes = _focal_of(photo)
        try:
            image, colour_notes = _to_rgb(photo, UNNAMED)
        except OSError as error:  # the file is read only now
            raise _reason(UNNAMED, b"", error) from error
        return Photo(image, focal, UNNAMED, colour_notes + notes)
    if not isinstance(photo, np.ndarray):
        raise InputError(f"a photo must be a file, its bytes, a Pillow image or an array, not {type(photo).__name__}.")
    return _from_array(photo)


def field_of_view(focal: float, size: tuple[int, int]) -> float:
    """The diagonal field of view, degrees.

    Args:
        focal: Focal length, pixels.
        size: (width, height) of the photo, pixels.
    """
    return math.degrees(2 * math.atan2(math.hypot(*size) / 2, focal))


def is_plausible(focal: float, size: tuple[int, int]) -> bool:
    """Whether a focal length gives a field of view that cameras have; arguments as in :func:`field_of_view`."""
    return LEAST_VIEW <= field_of_view(focal, size) <= MOST_VIEW


def heic_formats() -> tuple[str, ...]:
    """The name of Pillow's format of HEIC files, if the package pillow-heif is there to decode them."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return ()
    register_heif_opener()  # does nothing if it was called before
    return ("HEIF",)


def _focal_of(image: Image.Image) -> tuple[float | None, tuple[str, ...]]:
    """The focal length that EXIF gives, unless it is implausible, and a note in this case."""
    focal = focal_from_exif(image)
    if focal is None or is_plausible(focal, image.size):
        return focal, ()
    view = field_of_view(focal, image.size)
    return None, (f"the focal length in EXIF is not used, because its field of view would be {view:.3g} degrees",)


def _from_array(photo: np.ndarray) -> Photo:
    described = f"{photo.dtype} {photo.shape}"
    shape = photo.shape if photo.ndim == 3 else (*photo.shape, 1)
    if photo.ndim not in (2, 3) or shape[2] not in (1, 3, 4) or (photo.dtype != np.uint8 and photo.dtype.kind != "f"):
        raise InputError(
            "a photo's array must be (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA of uint8 or of floats in "
            f"[0, 1], not {described}."
        )
    _check_size(UNNAMED, shape[1], shape[0])
    if photo.dtype.kind == "f":
        if not ((photo >= 0) & (photo <= 1)).all():
            raise InputError(f"a photo of floats must have values in [0, 1], not {photo.min():g} to {photo.max():g}.")
        photo = np.round(photo * 255).astype(np.uint8)
    photo = photo.reshape(shape)
    if shape[2] == 3:
        return Photo(np.ascontiguousarray(photo), None, UNNAMED)
    image, notes = _to_rgb(Image.fromarray(np.ascontiguousarray(photo if shape[2] == 4 else photo[..., 0])), UNNAMED)
    return Photo(image, None, UNNAMED, notes)


def focal_from_exif(image: Image.Image) -> float | None:
    """Focal length in pixels from a Pillow image's EXIF block, None where it is absent or no positive number.

    FocalLengthIn35mmFilm refers to the diagonal of the 35 mm frame, 43.27 mm (CIPA DCG-001), so it holds for any aspect
    ratio. Without it, the focal length is FocalLength times FocalPlaneXResolution, scaled by how much the photo was
    resized since it was taken (PixelXDimension).
    """
    width, height = image.size
    try:
        exif = image.getexif().get_ifd(ExifTags.IFD.Exif)
        film = float(exif.get(ExifTags.Base.FocalLengthIn35mmFilm) or 0)
        if film > 0:
            focal = film * math.hypot(width, height) / FILM_DIAGONAL
        else:
            unit = MILLIMETRES_PER_UNIT[exif.get(ExifTags.Base.FocalPlaneResolutionUnit, 2)]
            pixels_per_mm = float(exif[ExifTags.Base.FocalPlaneXResolution]) / unit
            shot_width = float(exif.get(ExifTags.Base.ExifImageWidth) or width)
            focal = float(exif[ExifTags.Base.FocalLength]) * pixels_per_mm * width / shot_width
    except Exception:  # EXIF is optional, often damaged, and its parser raises many kinds of error
        return None
    return focal if math.isfinite(focal) and focal > 0 else None


def _check_file(path: Path) -> None:
    """Refuse a path without a file or with an empty one, for which decoders have less clear messages."""
    if os.path.isdir(path):  # Path.is_dir() fails on names that are too long
        raise InputError(f"{path}: this is a folder, not a photo.")
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file.")
    if os.path.isfile(path) and path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty.")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{path}: {width} x {height} pixels is more than {MAX_PIXELS // 10**6} megapixels; scale it down."
        )
    if max(width, height) > MAX_SIDE:
        raise InputError(f"{path}: {width} x {height} pixels is too long; a side may have {MAX_SIDE}; scale it down.")
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{path}: {width} x {height} pixels is too small; a side needs at least {MIN_SIDE} pixels.")


def _reason(path: Path, head: bytes, error: OSError) -> MeshrecError:
    """One sentence for the user about an error of the system or of a decoder."""
    if isinstance(error, PermissionError):
        return InputError(f"{path}: no permission to read this file.")
    if isinstance(error, UnidentifiedImageError):
        if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS and not heic_formats():
            return MissingDependency(
                f'{path}: HEIC files need pillow-heif (pip install "meshrec[heic]"); or convert it to JPEG or PNG.'
            )
        if head[4:8] == b"ftyp":
            kind = "this HEIC file is damaged" if head[8:12] in HEIC_BRANDS else "this is a video, not a photo"
            return InputError(f"{path}: {kind}; export it as JPEG or PNG.")
        if head[:4] in (b"II*\0", b"MM\0*"):
            return InputError(f"{path}: this kind of TIFF is not read; save it with 8 or 16 bits a channel.")
        return InputError(f"{path}: this is not a photo in a known format (JPEG, PNG, WebP, TIFF, ...).")
    return InputError(f"{path}: the photo is cut short or damaged ({error}); export it again as JPEG or PNG.")


class _Content(io.BufferedReader):
    """A file for Pillow without its number, by which decoders would map it into memory and crash if it is cut."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(io.FileIO(os.dup(file.fileno())))
        self.seek(0)

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def _decoded(file: BinaryIO, path: Path) -> Photo:
    """The photo in a file, which is closed."""
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about size, which MAX_PIXELS limits, and about damaged metadata
        image = Image.open(file, formats=(*FORMATS, *heic_formats()))
        _check_size(path, *image.size)
        width, height = image.size
        notes = frames_note(image, file)
        focal, focal_notes = _focal_of(image)
        if image.format == "WEBP" and width * height > PILLOW_WEBP_PIXELS:
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
            del image  # its decoder keeps another copy of the content
            pixels, colour_notes = _colours(_webp_strips(file, path, (width, height)), (width, height), orientation)
        elif image.format == "JPEG2000" and width * height > WHOLE_JPEG2000_PIXELS:
            import cv2

            image.reduce = 1  # type: ignore[method-assign, assignment]  # a property of this format alone
            half, colour_notes = _to_rgb(image, path)
            upright = (width, height) if (half.shape[1] > half.shape[0]) == (width > height) else (height, width)
            pixels = cv2.resize(half, upright, interpolation=cv2.INTER_LINEAR)
            colour_notes += ("JPEG 2000 of this size is read at half its resolution",)
        else:
            image.load()
            image.getexif()
            file.close()  # frees content in memory, before there is room needed for the result
            pixels, colour_notes = _to_rgb(image, path)
    return Photo(pixels, focal, path, notes + colour_notes + focal_notes)


def _webp_strips(file: BinaryIO, path: Path, size: tuple[int, int]) -> Iterator[tuple[slice, Image.Image]]:
    """Strips of the first picture of a WebP file as FFmpeg decodes it; ``file`` is closed."""
    from meshrec.files.webp import decoded_strips, first_frame

    try:
        file.seek(0)
        still = first_frame(file.read())
        file.close()
        yield from decoded_strips(still, size)
    except ValueError as error:
        raise InputError(
            f"{path}: the photo is cut short or damaged ({error}); export it again as JPEG or PNG."
        ) from None


def _to_rgb(image: Image.Image, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """The pixels (H, W, 3) uint8 of an image of any mode, turned as EXIF says, with notes on what was done.

    Strips are converted one by one, so that nothing large is there beside the decoded image and the result.
    """
    image.load()
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        upright, stored = _canvas(image.size, orientation)
        scale = _full_scale(image, path)
        for rows, strip in _strips(image):
            gray = np.clip(np.asarray(strip) * np.float32(255.0 / scale), 0, 255)
            stored[rows] = np.round(gray).astype(np.uint8)[..., None]
        return upright, (f"brightness 0 to {scale:g} is shown as 8-bit",)
    return _colours(_strips(image), image.size, orientation)


def _colours(
    strips: Iterable[tuple[slice, Image.Image]], size: tuple[int, int], orientation: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The pixels (H, W, 3) uint8 of strips that lie as in the file, turned upright, with notes on what was done."""
    upright, stored = _canvas(size, orientation)
    transparent = False
    for rows, strip in strips:
        if strip.has_transparency_data:
            strip = strip.convert("RGBA")
            if np.asarray(strip.getchannel("A")).min() < 255:
                transparent = True
                strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        stored[rows] = np.asarray(strip.convert("RGB"))
    return upright, ("transparent parts are shown on white",) if transparent else ()


def _strips(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """Rows of an image, and the image of these rows."""
    for rows in _rows(*image.size):
        yield rows, image.crop((0, rows.start, image.width, rows.stop))


def _rows(width: int, height: int) -> Iterator[slice]:
    """The rows of the strips of a picture."""
    count = max(1, STRIP_PIXELS // width)
    for top in range(0, height, count):
        yield slice(top, min(top + count, height))


def _canvas(size: tuple[int, int], orientation: int) -> tuple[np.ndarray, np.ndarray]:
    """An upright array (H, W, 3) uint8 for a file's picture of (width, height), and its view as in the file."""
    width, height = size
    upright = np.empty((width, height, 3) if orientation in (5, 6, 7, 8) else (height, width, 3), np.uint8)
    return upright, _stored(upright, orientation)


def _stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """A view of an upright array in which its pixels lie as in a file of this EXIF orientation."""
    if orientation == 2:
        return upright[:, ::-1]
    if orientation == 3:
        return upright[::-1, ::-1]
    if orientation == 4:
        return upright[::-1]
    if orientation == 5:
        return upright.swapaxes(0, 1)
    if orientation == 6:
        return np.rot90(upright, 1)
    if orientation == 7:
        return upright[::-1, ::-1].swapaxes(0, 1)
    if orientation == 8:
        return np.rot90(upright, -1)
    return upright


def _full_scale(image: Image.Image, path: Path) -> float:
    """The value of a single-channel image that is white: the smallest usual one that no pixel exceeds."""
    top = -math.inf
    for _, strip in _strips(image):
        values = np.asarray(strip)
        if not np.isfinite(values).all():
            raise InputError(f"{path}: the photo has pixels that are not numbers (NaN or infinite); save it as 8-bit.")
        top = max(top, float(values.max()))
    scales = (1.0, 255.0, 4095.0, 65535.0) if image.mode == "F" else (255.0, 4095.0, 65535.0)
    return next((scale for scale in scales if top <= scale), top)
