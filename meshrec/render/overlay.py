"""Pictures for people to look at: meshes over their photo, meshes from other directions, and contact sheets."""

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body.topology import vertex_normals
from meshrec.compiled.threads import over_items
from meshrec.geometry.cameras import Camera, WeakPerspectiveCamera
from meshrec.render.lights import SphericalHarmonics
from meshrec.render.resizing import resized
from meshrec.render.screen import AnyCamera, Array, as_tensor, drawable_points, is_perspective, supersampled, to_screen
from meshrec.render.shading import join

PAPER = (0.965, 0.965, 0.96)  # RGB of the plain background
# RGB bytes of colours that are easy to tell apart, also for colour-blind readers, and none of which looks like skin.
COLORS = (
    (110, 168, 214),
    (238, 170, 92),
    (128, 190, 140),
    (196, 150, 206),
    (222, 208, 110),
    (98, 190, 190),
    (226, 138, 148),
    (160, 164, 176),
)
SOFT = SphericalHarmonics()
SAMPLES = 2  # samples along each axis of a pixel, for smooth edges
UP_FILTER = 2  # the number of the PNG filter that subtracts the row above
BAND = 2**19  # pixels drawn at a time
# Rotations from camera space (x right, y down, z forward) to that of a camera that looks from another direction.
VIEWS = {
    "front": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "side": ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)),
    "back": ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
    "top": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
}


def overlay(
    photo: Array,
    vertices: Array | Sequence[Array],
    faces: Array | Sequence[Array],
    camera: Camera,
    colors: Array | None = None,
    opacity: float = 0.95,
    samples: int = SAMPLES,
) -> np.ndarray:
    """Draw people over their photo, each in a different colour.

    Args:
        photo: (H, W, 3) RGB, bytes or floats in [0, 1].
        vertices: (N, V, 3) or a list of N (V_i, 3), in the photo's camera space, metres.
        faces: (F, 3) vertex indices that all people share, or a list of N.
        camera: The photo's camera.
        colors: (N, 3) RGB in [0, 1]. Default: those of :func:`person_colors`.
        opacity: Opacity of the people, in [0, 1]; 1 hides the photo behind them.
        samples: Samples along each axis of a pixel. With 1, edges are rough, and drawing takes a third of the time.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    canvas = as_bytes(photo).copy()
    if not len(vertices):
        return canvas
    mesh, triangles, paint = _scene(vertices, faces, colors)
    left, top, right, bottom = _box_on_screen(mesh, camera)
    if left >= right or top >= bottom:
        return canvas
    # Draw only where the people are, and band by band, so that a photo of any size needs little memory.
    center = torch.as_tensor(camera.center, dtype=torch.float64)
    height = max(1, BAND // (right - left))
    for start in range(top, bottom, height):
        part = canvas[start : min(start + height, bottom), left:right]
        size = (part.shape[1], part.shape[0])
        window = replace(camera, center=center - torch.tensor([left, start]), size=size)
        _draw(mesh, triangles, paint, window, part, samples, opacity)
    return canvas


def turned(
    vertices: Array | Sequence[Array],
    faces: Array | Sequence[Array],
    view: str = "side",
    size: tuple[int, int] = (512, 512),
    colors: Array | None = None,
    frame: tuple[Sequence[float], float] | None = None,
    samples: int = SAMPLES,
) -> np.ndarray:
    """Draw people from another direction on a plain background, without perspective, scaled to fill the picture.

    Args:
        vertices: (N, V, 3) or a list of N (V_i, 3), in camera space, metres.
        faces: (F, 3) vertex indices that all people share, or a list of N.
        view: "front" as in the photo, "side" from its right, "top" with the camera at the lower edge, or "back".
        size: (W, H) of the picture, pixels.
        colors: (N, 3) RGB in [0, 1]. Default: those of :func:`person_colors`.
        frame: Point (3,) of camera space in the middle of the picture, and the metres that its height shows, so that
            several pictures have one scale. Default: what fills the picture.
        samples: Samples along each axis of a pixel, as for :func:`overlay`.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    width, height = size
    turn = torch.tensor(VIEWS[view])
    mesh, triangles, paint = _scene(vertices, faces, colors, turn)
    seen = mesh[mesh.isfinite().all(-1)]
    canvas = blank(width, height)
    if not len(seen):
        return canvas
    if frame is None:
        low, high = seen.amin(0), seen.amax(0)
        extent = (high - low).clamp_min(1e-6)
        middle, fit = (low + high) / 2, 0.9 * min(width / float(extent[0]), height / float(extent[1]))
    else:
        middle, fit = turn @ torch.as_tensor(frame[0], dtype=mesh.dtype), height / frame[1]  # pixels per metre
    # A weak-perspective camera measures x in half widths and y in half heights.
    mesh = (mesh - middle) * torch.tensor([1.0, width / height, 1.0])
    camera = WeakPerspectiveCamera(scale=2 * fit / width, size=size)
    _draw(mesh, triangles, paint, camera, canvas, samples)
    return canvas


def contact_sheet(pictures: Sequence[Array], columns: int | None = None, height: int = 256, gap: int = 8) -> np.ndarray:
    """Arrange pictures in rows on a plain background, all scaled to one height.

    Args:
        pictures: (H_i, W_i, 3) RGB each, bytes or floats in [0, 1].
        columns: Pictures in a row. Default: about as many columns as rows.
        height: Height of every picture on the sheet, pixels.
        gap: Space between pictures and around them, pixels.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: There are no pictures.
    """
    if not pictures:
        raise ValueError("a contact sheet needs at least one picture")
    scaled = [_with_height(as_bytes(picture), height) for picture in pictures]
    columns = columns or math.ceil(math.sqrt(len(scaled)))
    rows = [scaled[i : i + columns] for i in range(0, len(scaled), columns)]
    width = max(sum(p.shape[1] + gap for p in row) for row in rows) + gap
    sheet = blank(width, len(rows) * (height + gap) + gap)
    for r, row in enumerate(rows):
        x, y = gap, gap + r * (height + gap)
        for picture in row:
            sheet[y : y + height, x : x + picture.shape[1]] = picture
            x += picture.shape[1] + gap
    return sheet


def blank(width: int, height: int) -> np.ndarray:
    """A plain background (height, width, 3), uint8 RGB.

    Example:
        >>> from meshrec.render.overlay import blank
        >>> blank(2, 1).tolist()
        [[[246, 246, 245], [246, 246, 245]]]
    """
    picture = np.empty((height, width, 3), np.uint8)
    picture[:1] = as_bytes(np.array(PAPER, np.float32))
    picture[1:] = picture[:1]  # whole rows are copied ten times faster than single pixels
    return picture


def encode_png(picture: np.ndarray, compression: int = 6) -> bytes:
    """Encode a picture as PNG.

    Each row is stored as its difference to the row above, and zlib compresses them: files of the size of OpenCV's, in
    half of its time (see the PNG specification, W3C, sections 5, 9 and 11). The upper and the lower half are compressed
    side by side.

    Args:
        picture: (H, W, 3) uint8 RGB.
        compression: From 0, the fastest, to 9, the smallest file.

    Returns:
        The bytes of the file.
    """
    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = UP_FILTER
    flat = rows[:, 1:]
    flat[:] = picture.reshape(height, -1)
    flat[1:] -= picture.reshape(height, -1)[:-1]
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)  # eight bits, RGB, not interlaced
    chunks = [(b"IHDR", header), (b"IDAT", _compressed(rows, compression)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _compressed(rows: np.ndarray, level: int) -> bytes:
    """The rows of an array as one zlib stream (RFC 1950) of two parts, neither of which refers to the other."""
    halves = np.array_split(rows, 2)

    def deflated(number: int) -> bytes:
        stream = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)  # without header and checksum, which are of the whole
        return stream.compress(halves[number].data) + stream.flush((zlib.Z_SYNC_FLUSH, zlib.Z_FINISH)[number])

    return b"\x78\x01" + b"".join(over_items(deflated, 2)) + struct.pack(">I", zlib.adler32(rows.data))


def person_colors(count: int) -> Tensor:
    """Colours (count, 3) to tell people apart, RGB in [0, 1]; they repeat after eight."""
    return torch.tensor(COLORS)[torch.arange(count) % len(COLORS)] / 255


def as_bytes(picture: Array) -> np.ndarray:
    """Convert a picture of bytes or of floats in [0, 1] to bytes."""
    array = picture.detach().cpu().numpy() if isinstance(picture, Tensor) else np.asarray(picture)
    return array if array.dtype == np.uint8 else np.rint(array.clip(0, 1) * 255).astype(np.uint8)


def _scene(
    vertices: Array | Sequence[Array], faces: Array | Sequence[Array], colors: Array | None, turn: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Join people into one mesh on the CPU, rotated by ``turn`` (3, 3), with shaded vertices.

    The light is so soft that shading the vertices looks like shading the pixels, which are many more.

    Returns:
        Vertices (V, 3), faces (F, 3), and the vertices' shaded colours (V, 3), RGB in [0, 1].
    """
    mesh, triangles, owner = join([as_tensor(person).detach().cpu().float() for person in vertices], faces)
    mesh = mesh if turn is None else mesh @ turn.T
    tint = person_colors(len(vertices)) if colors is None else as_tensor(colors).cpu()
    factor, _ = SOFT(vertex_normals(drawable_points(mesh), triangles)[0], mesh)
    return mesh, triangles, (tint[owner] * factor).clamp(0, 1)


def _draw(
    mesh: Tensor,
    triangles: Tensor,
    paint: Tensor,
    camera: AnyCamera,
    canvas: np.ndarray,
    samples: int,
    opacity: float = 1.0,
) -> None:
    """Draw a mesh whose vertices have the colours ``paint`` (V, 3) over ``canvas``, uint8 RGB, in its place."""
    from meshrec.render import numba_backend

    screen = to_screen(mesh, supersampled(camera, samples))
    numba_backend.paint(screen, triangles, is_perspective(camera), paint, canvas, samples, opacity)


def _box_on_screen(mesh: Tensor, camera: Camera) -> tuple[int, int, int, int]:
    """The bounding box of the mesh in the picture, pixels: first column and row, and those after the last."""
    screen = to_screen(mesh, camera)[0]
    screen = screen[screen.isfinite().all(-1), :2]
    if not len(screen):
        return 0, 0, 0, 0
    low, high = screen.amin(0).round().int().tolist(), screen.amax(0).round().int().tolist()
    return max(low[0], 0), max(low[1], 0), min(high[0] + 1, camera.size[0]), min(high[1] + 1, camera.size[1])


def _with_height(picture: np.ndarray, height: int) -> np.ndarray:
    return resized(picture, (max(1, round(picture.shape[1] * height / picture.shape[0])), height))
