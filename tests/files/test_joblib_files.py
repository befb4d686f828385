"""Pickles of joblib: its arrays are read, from every version's layout, and nothing in a file is run."""

import gzip
import pickle
import struct
import zlib

import numpy as np
import pytest
from helpers.bad_input.files import Hostile
from helpers.films import arrays
from helpers.paths import STORED

from meshrec.errors import InputError
from meshrec.files.joblib_files import unpickle_tables

FILES = sorted((STORED / "joblib").glob("arrays_*.pkl"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_joblib_writes(path):
    found = unpickle_tables(path)
    truth = arrays()
    assert set(found) == set(truth)
    for name in ("by_rows", "by_columns", "big_endian", "empty", "zero_axes", "number", "text"):
        assert np.array_equal(found[name], truth[name]), name
        assert np.asarray(found[name]).shape == np.shape(truth[name]), name
    assert np.array_equal(found["objects"][0], [0, 1, 2]) and found["objects"][1] == "text"
    assert list(found.tables) == ["nested"] and found.tables["nested"]["deep"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress])
def test_what_python_writes_is_read_too(tmp_path, pack):
    (tmp_path / "a.pkl").write_bytes(pack(pickle.dumps({1: {"betas": np.arange(3.0)}})))
    assert unpickle_tables(tmp_path / "a.pkl").tables["1"]["betas"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("path", [FILES[0], FILES[-1]], ids=lambda path: path.stem)
def test_a_file_that_is_cut_short_or_damaged_is_refused_or_read(path, tmp_path):
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(150):
        damaged = bytearray(data[: rng.integers(len(data))] if trial % 2 else data)
        if len(damaged):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        (tmp_path / "a.pkl").write_bytes(damaged)
        try:
            found = unpickle_tables(tmp_path / "a.pkl")
            for name in found:
                _ = found[name]
        except InputError as error:
            refused += 1
            assert str(error).count("\n") == 0
    assert refused > 50


def test_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({0: {"pose": Hostile()}}))
    with pytest.raises(InputError, match="refused, because it asks to run"):
        unpickle_tables(tmp_path / "a.pkl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pkl"]


@pytest.mark.parametrize("content", [[1, 2], np.arange(3), None])
def test_another_kind_of_pickle_is_refused(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match="not a dictionary of arrays"):
        unpickle_tables(tmp_path / "a.pkl")


def test_small_files_may_not_take_much(tmp_path):
    """Text and opcodes of a kind are packed to almost nothing."""
    start = b"\x80\x02}X\x01\x00\x00\x00f"
    for data, sentence in (
        (start + b"B" + struct.pack("<I", 80 << 20) + bytes(80 << 20) + b"s.", r"it unpacks to more than 6[67] MiB"),
        (start + b"(" + b"}" * 1_000_000 + b"ts.", "more than 1000000 opcodes"),
        (wrapped(b"N0" * 600_000 + b"N.") * 2, "more than 1000000 opcodes"),
        (
            b"\x80\x02(" + wrapped(b"N0" * 300_000 + b"cnumpy.core.multiarray\n_reconstruct\n)R.") * 2 + b"t.",
            "more than [0-9]+ opcodes",
        ),
    ):
        for packed in (zlib.compress(data), data):
            if packed is data and len(data) > 10_000_000:
                continue
            (tmp_path / "a.pkl").write_bytes(packed)
            with pytest.raises(InputError, match=sentence):
                unpickle_tables(tmp_path / "a.pkl")


def wrapped(objects: bytes) -> bytes:
    """An array of objects of joblib's, whose elements are a pickle of their own."""
    return (
        b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}X\x05\x00\x00\x00dtypecnumpy\ndtype\nU\x01O\x85Rsb" + objects
    )
