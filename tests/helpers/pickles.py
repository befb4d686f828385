"""Pickles of arrays as programs of different ages write them, and their content.

The files in ``tests/helpers/stored/pickles`` were written by ``python tests/helpers/pickles.py FOLDER NAME`` in
environments of Python 3.11 with numpy 1.26 and scipy 1.15 (``numpy1``), Python 3.11 with numpy 2.4 and scipy 1.17
(``numpy2``), and Python 3.13 with numpy 2.5 and scipy 1.18 (``numpy25``).
"""

import pickle
import pickletools
import struct
import sys
import types
from io import BytesIO
from pathlib import Path

import numpy as np
import scipy.sparse as sp

NUMPY_CORE = np.float64(0).__reduce__()[0].__module__.encode()  # numpy.core.multiarray or numpy._core.multiarray


class Ch:
    """chumpy's constant as its pickles show it (github.com/mattloper/chumpy, ch.py): attributes in a dictionary."""


class Select(Ch):
    """chumpy's selection of elements by flat index (reordering.py)."""


Ch.__module__, Select.__module__ = "chumpy.ch", "chumpy.reordering"


def constant(array: np.ndarray) -> Ch:
    made = Ch()
    made.__dict__.update(x=array, _dirty_vars=set(), _itr=None, _make_dense=False, _make_sparse=False)
    return made


def selection(array: np.ndarray, places: np.ndarray, shape: tuple[int, ...]) -> Select:
    made = Select()
    made.__dict__.update(a=constant(array), idxs=places, preferred_shape=shape, _dirty_vars=set())
    return made


def values() -> dict[str, object]:
    """What the pickles hold, evaluated: arrays of every kind that real files have, numbers, text and lists."""
    table = np.arange(12.0).reshape(3, 4) / 7
    regressor = np.zeros((4, 9))
    regressor[[0, 0, 1, 3], [2, 8, 4, 0]] = 0.25, 0.75, 1.0, -2.0
    return {
        "by_rows": table,
        "by_columns": np.asfortranarray(table),
        "big_endian": table.astype(">f4"),
        "half": table.astype("f2"),
        "faces": np.array([[0, 1, 255], [2, 256, 4294967295]], np.uint32),
        "small": np.arange(-3, 3, dtype=np.int8),
        "large": np.array([-(2**62), 2**62]),
        "every_byte": np.arange(256, dtype=np.uint8),
        "mask": np.array([True, False, True]),
        "complex": table.astype("c8") * 1j,
        "names": np.array(["left", "r\u00e4ts", ""]),
        "bytes": np.array([b"m", b"female"]),
        "empty": np.zeros((0, 3)),
        "zero_axes": np.array(2.5),
        "number": np.float32(0.1),
        "flag": np.bool_(True),
        "text": "lbs",
        "data": b"\x00\xff",
        "no_data": b"",
        "nothing": None,
        "counts": [1, -70_000, 2**33, True, 0.5],
        "people": [table[:1], table[1:]],
        "objects": [table, None, "m"],
        "nested": {"deep": (table, [b"x"])},
        "chumpy": table,
        "selected": table[:, :2],
        **dict.fromkeys(("csc_matrix", "csr_matrix", "coo_matrix", "csc_array", "csr_array", "coo_array"), regressor),
    }


def content() -> dict[str, object]:
    """The same as objects that are pickled."""
    plain = values()
    objects = np.empty(3, object)
    objects[:] = plain["objects"]
    flat = np.arange(12).reshape(3, 4)[:, :2].ravel()
    made = {
        "objects": objects,
        "chumpy": constant(plain["chumpy"]),
        "selected": selection(plain["chumpy"], flat, (3, 2)),
    }
    sparse = {name: getattr(sp, name)(plain[name]) for name in plain if name.startswith(("csc_", "csr_", "coo_"))}
    return plain | made | sparse


def dumps(value: object, protocol: int, python2: bool = False) -> bytes:
    """A pickle, optionally in the opcodes and names of Python 2 with numpy 1 and scipy 1.2."""
    modules = {name: types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering")}
    modules["chumpy.ch"].Ch, modules["chumpy.reordering"].Select = Ch, Select
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        stream = BytesIO()
        (_Python2Pickler if python2 else pickle.Pickler)(stream, protocol).dump(value)
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    data = stream.getvalue()
    if python2:
        for new, old in (
            (NUMPY_CORE, b"numpy.core.multiarray"),
            *((f"sparse._{kind}".encode(), f"sparse.{kind}".encode()) for kind in ("csc", "csr", "coo")),
        ):
            data = data.replace(new + b"\n", old + b"\n")
    return data


class _Python2Pickler(pickle._Pickler):
    """Python's pickler with Python 2's opcodes for ``str``, which text and binary data both were."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012 (the base class has it so)

    def __init__(self, stream: BytesIO, protocol: int) -> None:
        super().__init__(stream, protocol, fix_imports=True)

    def save_string(self, text: str | bytes) -> None:
        data = text.encode("latin1") if isinstance(text, str) else text
        if not self.bin:
            self.write(b"S" + repr(data)[1:].encode() + b"\n")
        elif len(data) < 256:
            self.write(b"U" + bytes([len(data)]) + data)
        else:
            self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_string


def opcodes(data: bytes) -> set[str]:
    """Names of the opcodes of a pickle without binary text of protocol 0, which the standard library cannot list."""
    return {opcode.name for opcode, _, _ in pickletools.genops(data)}


if __name__ == "__main__":
    folder, name = Path(sys.argv[1]), sys.argv[2]
    for protocol in (2, 4, 5):
        (folder / f"{name}_protocol{protocol}.pkl").write_bytes(dumps(content(), protocol))
