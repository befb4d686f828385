"""MATLAB's files, compared with what scipy and h5py write."""

import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from meshrec.errors import InputError, MeshrecError, MissingDependency
from meshrec.files import matlab
from meshrec.files.matlab import read_mat


def content():
    generator = np.random.default_rng(0)
    cell = np.empty((2, 2), object)
    for index in np.ndindex(2, 2):
        cell[index] = generator.random((3, index[0] + 1))
    people = np.zeros((1, 2), [("name", object), ("size", object), ("points", object)])
    people[0, 0] = ("Ada", 1.5, cell)
    people[0, 1] = ("Ünal", np.zeros((0, 0)), np.arange(6, dtype=np.int16).reshape(2, 3))
    return {
        "cell": cell,
        "people": people,
        "cube": generator.random((2, 3, 4)).astype(np.float32),
        "flags": np.array([[True, False]]),
        "small": np.array([[7]], np.uint8),
        "large": np.full((2, 2), 2**40, np.int64),
        "text": "left",
        "texts": np.array(["left", "right"]),
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_what_scipy_writes(tmp_path, compressed):
    truth = content()
    savemat(tmp_path / "a.mat", truth, do_compression=compressed)
    found = read_mat(tmp_path / "a.mat", [*truth, "nothing"])
    assert found.keys() == truth.keys()
    for name in ("cube", "flags", "small", "large"):
        assert found[name].shape == truth[name].shape and (found[name] == truth[name]).all()
    assert found["cube"].dtype == np.float32 and found["large"].dtype == np.int64
    for ours, theirs in zip(found["cell"], truth["cell"].ravel(order="F")):
        assert (ours == theirs).all()
    ada, other = found["people"]
    assert ada["name"] == "Ada" and ada["size"] == 1.5 and (ada["points"][1] == truth["cell"][1, 0]).all()
    assert other["name"] == "Ünal" and other["size"].size == 0 and other["points"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["text"] == "left" and found["texts"] == "left right"
    assert set(read_mat(tmp_path / "a.mat", ["small"])) == {"small"}


def test_matlab_7_3(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py reads files of MATLAB 7.3")
    cube = np.random.default_rng(0).random((2, 3, 4))
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["cube"] = cube.T  # HDF5 has MATLAB's axes in the opposite order
        file["group/entry"] = 1
        file["elsewhere"] = h5py.ExternalLink("other.mat", "/secret")
        (tmp_path / "raw").write_bytes(bytes(80))
        file.create_dataset("outside", (10,), "f8", external=[(str(tmp_path / "raw"), 0, 80)])
    with h5py.File(tmp_path / "other.mat", "w") as file:
        file["secret"] = [1.0]
    found = read_mat(tmp_path / "a.mat", ["cube", "group", "nothing"])
    assert found.keys() == {"cube"} and (found["cube"] == cube).all()
    for name in ("elsewhere", "outside"):
        with pytest.raises(InputError, match="lies in another file"):
            read_mat(tmp_path / "a.mat", [name])


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"none\.mat: the file cannot be read"):
        read_mat(tmp_path / "none.mat", ["x"])
    for number, data in enumerate((b"", b"abc", bytes(200), b"MATLAB 4" * 40)):
        (tmp_path / f"{number}.mat").write_bytes(data)
        with pytest.raises(InputError, match=r"no \.mat file of MATLAB 5"):
            read_mat(tmp_path / f"{number}.mat", ["x"])
    (tmp_path / "h.mat").write_bytes(bytes(512) + b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises((InputError, MissingDependency), match=r"h\.mat"):
        read_mat(tmp_path / "h.mat", ["x"])
    savemat(tmp_path / "c.mat", {"x": np.array([1j])})
    with pytest.raises(InputError, match=r"c\.mat: complex numbers"):
        read_mat(tmp_path / "c.mat", ["x"])


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(family, dims, body):
    flags = element(6, struct.pack("<II", family, 0))
    return element(14, flags + element(5, struct.pack(f"<{len(dims)}i", *dims)) + element(1, b"x") + body)


def mat(body):
    return bytes(124) + struct.pack("<H", 0x0100) + b"IM" + body


def test_claims_are_checked_before_there_is_room_made(tmp_path, monkeypatch):
    nested = element(9, b"")
    for _ in range(5000):
        nested = matrix(1, (1, 1), nested)
    for body in (
        matrix(1, (2**31 - 1, 2**31 - 1), b""),
        matrix(2, (2**31 - 1, 1), element(5, struct.pack("<i", 4)) + element(1, b"abc\0")),
        matrix(6, (2**31 - 1, 4), element(9, bytes(8))),
        matrix(6, (-1, -1), element(9, bytes(8))),
        matrix(6, (1,), element(9, bytes(8))),
        nested,
        element(15, b"no zlib"),
    ):
        (tmp_path / "a.mat").write_bytes(mat(body))
        with pytest.raises(InputError, match=r"a\.mat: the \.mat file is damaged"):
            read_mat(tmp_path / "a.mat", ["x"])
    packed = zlib.compress(matrix(6, (9 << 20, 1), element(9, bytes(72 << 20))))
    (tmp_path / "a.mat").write_bytes(mat(struct.pack("<II", 15, len(packed)) + packed))
    with pytest.raises(InputError, match="a variable has more than 66 MiB"):
        read_mat(tmp_path / "a.mat", ["x"])
    monkeypatch.setattr(matlab, "MOST_UNPACKED", 1 << 16)
    (tmp_path / "a.mat").write_bytes(mat(matrix(6, (1 << 14, 1), element(2, bytes(1 << 14)))))  # bytes become float64
    with pytest.raises(InputError, match="a variable has more than"):
        read_mat(tmp_path / "a.mat", ["x"])
    packed = zlib.compress(matrix(6, (1 << 20, 1), element(9, bytes(8 << 20))))
    (tmp_path / "a.mat").write_bytes(mat(struct.pack("<II", 15, len(packed)) + packed))
    with pytest.raises(InputError, match="a variable has more than"):
        read_mat(tmp_path / "a.mat", ["x"])


@pytest.mark.parametrize("rows", [3, 2**31 - 1])
def test_a_text_of_more_rows_than_characters(tmp_path, rows):
    (tmp_path / "a.mat").write_bytes(mat(matrix(4, (rows, 1), element(16, b"abc"))))
    assert read_mat(tmp_path / "a.mat", ["x"]) == {"x": "abc"}


def test_any_damage_is_an_input_error(tmp_path):
    savemat(tmp_path / "a.mat", content())
    whole = (tmp_path / "a.mat").read_bytes()
    generator = np.random.default_rng(1)
    for _ in range(300):
        data = bytearray(whole[: generator.integers(128, len(whole))])
        for place in generator.integers(128, len(whole), 3):
            data[min(place, len(data) - 1)] = generator.integers(256)
        (tmp_path / "b.mat").write_bytes(data)
        try:
            read_mat(tmp_path / "b.mat", list(content()))
        except MeshrecError as error:
            assert "b.mat" in str(error)
