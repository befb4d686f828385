"""Archives of arrays: what numpy writes is read, and what a header claims is checked before there is room for it."""

import io
import zipfile

import numpy as np
import pytest
from helpers.bad_input.files import Hostile

from meshrec.errors import InputError
from meshrec.files.npz import read_npy, read_npz

ARRAYS = {
    "matrix": np.arange(12.0).reshape(3, 4),
    "by_column": np.asfortranarray(np.arange(60.0).reshape(3, 4, 5)),
    "text": np.array("hé"),
    "texts": np.array(["a", "bc"]),
    "no_text": np.array([], str),
    "bytes": np.array([b"x"]),
    "number": np.array(3),
    "nothing": np.zeros((0, 3)),
    "big_endian": np.arange(3, dtype=">i4"),
    "booleans": np.array([True, False]),
    "half": np.array([0.5], np.float16),
    "folder/name": np.arange(2),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    found = read_npz(tmp_path / "a.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert np.array_equal(found[name], array) and found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape and found[name].flags.writeable, name
    np.save(tmp_path / "a.npy", ARRAYS["by_column"])
    assert np.array_equal(read_npy(tmp_path / "a.npy"), ARRAYS["by_column"])


def claiming(shape: tuple, kind: object, data: bytes = b"") -> bytes:
    header = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (53 - len(header) % 64) + b"\n" if len(header) % 64 < 53 else b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    ("shape", "kind", "sentence"),
    [
        ((7 * 10**8,), "<U0", "of the type <U0"),
        ((3,), "|V0", "of the type"),
        ((3,), "|S0", "of the type"),
        ((10**9,), "<f8", "cut short"),
        ((10**10, 10**10), "|u1", "cut short"),
        ((2**63,), "<f8", "cut short"),
        ((-1,), "<f8", "cut short"),
        ((1,) * 40, "<f8", "cut short"),
        ((3,), "|O", "Python objects"),
        ((3,), [("a", "<f4")], "of the type"),
        ((3,), "(1000000000,)f4", "."),
        ((0.5,), "<f8", "shape"),
    ],
)
def test_claims(tmp_path, shape, kind, sentence):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", claiming(shape, kind))
    with pytest.raises(InputError, match=rf"not a readable \.npz of plain arrays \(.*{sentence}"):
        read_npz("a.npz", stream.getvalue())
    (tmp_path / "a.npy").write_bytes(claiming(shape, kind))
    with pytest.raises(InputError, match=sentence):
        read_npy(tmp_path / "a.npy")


def test_an_archive_that_unpacks_to_too_much():
    stream = io.BytesIO()
    np.savez_compressed(stream, a=np.zeros(1 << 20, np.uint8))
    assert read_npz("a.npz", stream.getvalue(), 2 << 20)["a"].size == 1 << 20
    with pytest.raises(InputError, match="it unpacks to 1 MiB; at most 0 MiB are read"):
        read_npz("a.npz", stream.getvalue(), 1 << 19)
    large = io.BytesIO()
    np.savez_compressed(large, a=np.zeros(80 << 20, np.uint8))
    with pytest.raises(InputError, match=r"it unpacks to 80 MiB; at most 6[67] MiB are read"):  # of 80 kB
        read_npz("a.npz", large.getvalue())


def test_objects_pass_only_where_the_caller_checks_types(tmp_path):
    path = tmp_path / "a.npz"
    objects = np.array([[Hostile(), None]] * 3, dtype=object)
    np.savez(path, plain=np.arange(3), objects=objects, single=np.array(Hostile(), dtype=object))
    with pytest.raises(InputError, match="plain arrays"):
        read_npz(path)
    arrays = read_npz(path, pass_objects=True)
    assert arrays["plain"].tolist() == [0, 1, 2]
    assert arrays["objects"].shape == (3, 2) and arrays["single"].shape == ()
    assert all(arrays[name].dtype == object and set(arrays[name].flat) == {None} for name in ("objects", "single"))


def test_claimed_shapes_of_objects_take_no_memory(tmp_path):
    header = np.lib.format
    with open(tmp_path / "objects.npy", "wb") as file:
        header.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (10**9, 10**3)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.write(tmp_path / "objects.npy", "objects.npy")
    assert read_npz(tmp_path / "a.npz", pass_objects=True)["objects"].shape == (10**9, 10**3)
