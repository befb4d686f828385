"""Makes files that are broken in one way each, for the table of broken input."""

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import scipy.sparse as sp
import torch
from PIL import Image
from safetensors.numpy import save as save_safetensors

from meshrec.benchmarks.random_body import random_arrays

Arrays = dict[str, np.ndarray]
SIZE = (64, 48)


# --- photos


@cache
def picture(kind: str, size: tuple[int, int] = SIZE) -> bytes:
    """A small smooth picture in one of Pillow's formats."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    pixels = np.stack([x * 4, y * 5, 255 - 2 * (x + y)], axis=-1).clip(0, 255).astype(np.uint8)
    return saved(Image.fromarray(pixels), kind)


def animation(kind: str) -> bytes:
    """An animated picture of three frames."""
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "green", "blue")]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


def float_tiff(value: float) -> bytes:
    """A TIFF of float32 pixels, one of which has the given value."""
    pixels = np.full(SIZE[::-1], 0.5, np.float32)
    pixels[3, 4] = value
    return saved(Image.fromarray(pixels), "TIFF")


def saved(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(width: int, height: int, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG that claims a size but holds hardly any pixels, with additional chunks of (kind, data)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    more = b"".join(chunk(*one) for one in extra)
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def jpeg_that_claims(width: int, height: int) -> bytes:
    """A small JPEG whose header claims another size."""
    data = bytearray(picture("JPEG"))
    start = data.index(b"\xff\xc0") + 5  # the frame header: length, precision, height, width
    data[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(data)


# --- bodies


@cache
def _body() -> Arrays:
    return random_arrays(vertices=8)


def body(suffix: str, change: Callable[[Arrays], object] = lambda arrays: None) -> bytes:
    """A body of eight vertices in the format of ``suffix``, after ``change`` has edited its arrays."""
    arrays = {key: value.copy() for key, value in _body().items()}
    change(arrays)
    if suffix == ".pkl":
        return pickle.dumps(arrays, protocol=2)
    return npz(arrays) if suffix == ".npz" else save_safetensors(arrays)


def setting(key: str, index: object, value: object) -> Callable[[Arrays], None]:
    """A change that sets one entry."""

    def change(arrays: Arrays) -> None:
        arrays[key][index] = value

    return change


def turning(key: str, function: Callable[[np.ndarray], object]) -> Callable[[Arrays], None]:
    """A change that replaces an array by a function of it."""

    def change(arrays: Arrays) -> None:
        arrays[key] = np.ascontiguousarray(function(arrays[key]))

    return change


def npz(arrays: Mapping[str, object]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def archive(name: str = "photo.jpg") -> bytes:
    """An intact zip file that holds something else."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as members:
        members.writestr(name, b"no array")
    return stream.getvalue()


def zip_bomb(suffix: str = ".npz") -> bytes:
    """An archive whose directory announces four gigabytes in a file of a few hundred bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("f.npy" if suffix == ".npz" else "archive/data.pkl", bytes(10_000))
    data = bytearray(stream.getvalue())
    size = data.index(b"PK\x01\x02") + 24  # uncompressed size in the central directory
    data[size : size + 4] = struct.pack("<I", 0xFFFFFFF0)
    return bytes(data)


def safetensors_header(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


class Hostile:
    """An object whose pickle runs code: it makes a folder."""

    def __reduce__(self):
        import os

        return os.mkdir, ("harm",)


def walk(**changes: np.ndarray) -> bytes:
    """A motion as AMASS stores it, of two frames, with changed arrays."""
    arrays = {"poses": np.zeros((2, 156)), "trans": np.zeros((2, 3)), "mocap_framerate": np.array(30.0)}
    stream = io.BytesIO()
    np.savez(stream, **(arrays | changes))
    return stream.getvalue()


def asking_for(name: str) -> bytes:
    """A pickle that asks its reader to import one name."""
    module, _, attribute = name.rpartition(".")
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n."


def nested_pickle(depth: int = 100_000) -> bytes:
    return b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."


def deep_key() -> bytes:
    """A pickle whose key Python's own unpickler cannot hash without overflowing the stack of C."""
    return b"\x80\x02}N" + b"\x85" * 200_000 + b"Ns."


def torch_archive(data: bytes) -> bytes:
    """An archive as torch's, around a pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as members:
        members.writestr("archive/data.pkl", data)
    return stream.getvalue()


def memo_bomb() -> bytes:
    """A pickle of a few bytes for which Python's own unpickler reserves twenty gigabytes."""
    return b"\x80\x02}r" + struct.pack("<I", 0x4FFFFFFF) + b"."


def huge_sparse_matrix() -> bytes:
    """A body whose regressor is an empty sparse matrix that claims 10^16 elements."""
    matrix = sp.csc_matrix((24, 8))
    matrix._shape = (100_000_000, 100_000_000)
    return pickle.dumps({**_body(), "J_regressor": matrix}, protocol=2)


# --- datasets


def spin(**changes: object) -> bytes:
    """A file in SPIN's format with one person, and with changed columns."""
    arrays = {"imgname": np.array(["a.jpg"]), "center": np.full((1, 2), 100.0), "scale": np.ones(1)}
    return npz({**arrays, "pose": np.zeros((1, 72)), "shape": np.zeros((1, 10)), **changes})


# --- checkpoints


def weights(content: object, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def deflated(data: bytes) -> bytes:
    """The same archive with its members compressed, which torch never does."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.namelist():
            target.writestr(member, source.read(member))
    return stream.getvalue()
