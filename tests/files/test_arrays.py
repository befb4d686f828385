"""Pickles of arrays: files of real programs give their arrays, hostile ones a sentence."""

import os
import pickle
import struct

import numpy as np
import pytest
from helpers.paths import STORED
from helpers.pickles import content, dumps, opcodes, values

from meshrec.errors import InputError
from meshrec.files.arrays import SparseMatrix, unpickle_arrays, unpickle_element

TEXT = b"X" + struct.pack("<I", 1) + b"f"  # the key that hostile dictionaries have


def assert_same(found: object, expected: object) -> None:
    if isinstance(found, SparseMatrix):
        found = found.dense()
    if isinstance(expected, np.ndarray | np.generic):
        assert type(found) is type(expected) and found.dtype == expected.dtype.newbyteorder("=")
        assert found.shape == expected.shape and np.array_equal(found, expected)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert type(found) is type(expected) and len(found) == len(expected)
        for one, other in zip(found, expected):
            assert_same(one, other)
    else:
        assert type(found) is type(expected) and found == expected


@pytest.fixture
def read(tmp_path):
    def read(data: bytes) -> dict[str, object]:
        path = tmp_path / "body.pkl"
        path.write_bytes(data)
        return dict(unpickle_arrays(path))

    return read


@pytest.mark.parametrize("protocol", range(6))
def test_current_programs(read, protocol):
    assert_same(read(dumps(content(), protocol)), values())


@pytest.mark.parametrize("path", sorted((STORED / "pickles").glob("*.pkl")), ids=lambda path: path.stem)
def test_stored_files_of_other_versions(path):
    assert_same(dict(unpickle_arrays(path)), values())


@pytest.mark.parametrize("protocol", range(3))
def test_python_2(read, protocol):
    data = dumps(content(), protocol, python2=True)
    expected = values() | {"data": "\x00\xff", "no_data": ""}  # text and data were the same type
    expected["nested"] = {"deep": (expected["by_rows"], ["x"])}
    assert_same(read(data), expected)
    assert protocol == 0 or {"SHORT_BINSTRING", "BINSTRING"} <= opcodes(data)


def test_arrays_can_be_written_to(read):
    array = read(dumps({"a": np.arange(3)}, 5))["a"]
    array += 1
    assert array.tolist() == [1, 2, 3] and array.flags.aligned


def test_keys_may_be_bytes_and_other_keys_are_left_out(read):
    for protocol in range(6):
        data = pickle.dumps({b"v": 1, "w": 2, 3: 4, (5, 6): 7, 0.5: 8, 2**20: 9, -1: 10}, protocol)
        assert read(data) == {"v": 1, "w": 2, "3": 4}


def test_what_is_not_asked_for_does_no_harm(tmp_path):
    path = tmp_path / "body.pkl"
    path.write_bytes(pickle.dumps({"good": np.arange(3), "fields": np.zeros(2, "i4,f4")}))
    arrays = unpickle_arrays(path)
    assert arrays["good"].tolist() == [0, 1, 2] and list(arrays) == ["good", "fields"] and "fields" in arrays
    with pytest.raises(InputError, match=r"body\.pkl: fields is no array that can be read \(an array of type V8\)$"):
        arrays["fields"]


def test_an_element_of_an_array_of_objects():
    objects = content()["objects"]
    assert np.array_equal(unpickle_element(pickle.dumps(objects), 0, "graph.npz"), values()["by_rows"])
    for index in (1, 2, 3):
        with pytest.raises(InputError, match=r"graph\.npz: not a readable pickle"):
            unpickle_element(pickle.dumps(objects), index, "graph.npz")


# --- hostile files: what they are is the page of faults, and more of each kind


class Calls:
    """An object whose pickle calls a function and then sets a state."""

    def __init__(self, function, *arguments, state=None) -> None:
        self.reduced = function, arguments, state

    def __reduce__(self):
        return self.reduced


def changed_type(name: str, *state: object) -> Calls:
    return Calls(np.dtype, name, False, True, state=state)


def array_of(dtype: object, shape: object, data: object, by_columns: object = False) -> Calls:
    reconstruct = np.zeros(0).__reduce__()[0]
    return Calls(reconstruct, np.ndarray, (0,), b"b", state=(1, shape, dtype, by_columns, data))


def scalar_of(dtype: object, data: bytes) -> Calls:
    return Calls(np.float64(0).__reduce__()[0], dtype, data)


PLAIN = (3, "<", None, None, None, -1, -1, 0)
F8 = changed_type("f8", *PLAIN)
OBJECT_WITH_PLAIN_FLAGS = changed_type("O8", 3, "|", None, None, None, -1, -1, 0)


def sparse(kind: str = "csc_matrix", **changes: object) -> object:
    matrix = content()[kind]
    for name, value in changes.items():
        matrix.__dict__[name] = value
    return matrix


def selected(**changes: object) -> object:
    made = content()["selected"]
    made.__dict__.update(changes)
    return made


HOSTILE = {
    "scalar-of-objects": scalar_of(OBJECT_WITH_PLAIN_FLAGS, b"A" * 8),
    "array-of-objects": array_of(OBJECT_WITH_PLAIN_FLAGS, (1,), b"A" * 8),
    "array-of-objects-as-python-2-text": array_of(OBJECT_WITH_PLAIN_FLAGS, (1,), "A" * 8),
    "fields-of-objects": scalar_of(
        changed_type("V8", 3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0), b"A" * 8
    ),
    "field-far-away": array_of(
        changed_type("V8", 3, "|", None, ("a",), {"a": (np.dtype("f8"), 2**40)}, 8, 1, 0), (1,), b"A" * 8
    ),
    "plain-name-with-fields": array_of(
        changed_type("f8", 3, "<", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0), (1,), b"A" * 8
    ),
    "plain-name-with-sub-array": array_of(
        changed_type("f8", 3, "<", (np.dtype("O"), (1,)), None, None, 8, 1, 0), (1,), b"A" * 8
    ),
    "other-size": array_of(changed_type("S1", 3, "|", None, None, None, 2**30, 1, 0), (1,), b"A"),
    "size-0-of-many": array_of(changed_type("S0", 3, "|", None, None, None, 0, 1, 0), (2**40,), b""),
    "dates": np.array(["2020-01-01"], "M8[D]"),
    "long-double": np.zeros(2, "f16"),
    "shape-beyond-data": array_of(F8, (2**40,), b"A" * 8),
    "shape-below-data": array_of(F8, (1,), b"A" * 80),
    "shape-negative": array_of(F8, (-1,), b"A" * 8),
    "shape-of-two-negatives": array_of(F8, (-1, -1), b"A" * 8),
    "shape-that-wraps": array_of(F8, (2**32, 2**32 + 1), b"A" * 8),
    "shape-empty-but-long": array_of(F8, (0, 2**62), b""),
    "shape-of-text": array_of(F8, ("A" * 1000, 5 * 10**6), b"A" * 8),
    "shape-of-booleans": array_of(F8, (True,), b"A" * 8),
    "shape-of-100-axes": array_of(F8, (1,) * 100, b"A" * 8),
    "no-characters": array_of(changed_type("U1", 3, "<", None, None, None, 4, 4, 8), (1,), b"\xff" * 4),
    "sparse-of-terabytes": sparse(_shape=(500_000_000, 2)),
    "sparse-of-gigabytes": sparse(_shape=(1_000_000, 100), indptr=np.zeros(101, int)),
    "sparse-text-shape": sparse(_shape=("A" * 1000, 5 * 10**6)),
    "sparse-pointers-beyond": sparse(indptr=np.array([0, 6 * 10**8])),
    "sparse-pointers-beyond-of-right-count": sparse(indptr=np.array([0] * 9 + [6 * 10**8])),
    "sparse-pointers-fall": sparse(indptr=np.array([0, 3, 1] + [4] * 7)),
    "sparse-pointers-negative": sparse(indptr=np.array([0, -5, 1] + [4] * 7)),
    "sparse-pointers-wrap": sparse(indptr=np.array([0, 2**63 - 1, -(2**63) + 1] + [2] * 7)),
    "sparse-places-beyond": sparse(indices=np.array([0, 1, 2, 4])),
    "sparse-places-negative": sparse(indices=np.array([0, 1, 2, -1])),
    "sparse-places-float": sparse(indices=np.zeros(4)),
    "sparse-data-short": sparse(data=np.zeros(2)),
    "sparse-data-objects": sparse(data=np.array([None] * 4)),
    "sparse-address": sparse(data=Calls(np.ndarray, state=None)),
    "triplets-differ": sparse("coo_matrix", coords=(np.zeros(3, int), np.zeros(4, int))),
    "triplets-beyond": sparse("coo_matrix", coords=(np.full(4, 9), np.zeros(4, int))),
    "selection-beyond": selected(idxs=np.array([0, 1, 2, 3, 4, 12])),
    "selection-negative": selected(idxs=np.array([0, 1, 2, 3, 4, -1])),
    "selection-of-other-shape": selected(preferred_shape=(10**9, 10**9)),
    "selection-of-objects": selected(a=np.array([None] * 12)),
    "selection-of-itself": selected(a="f"),
}


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_records_are_refused(read, name, protocol):
    with pytest.raises(InputError, match=r"body\.pkl: f is no array that can be read") as caught:
        read(dumps({"f": HOSTILE[name]}, protocol))
    assert len(str(caught.value)) < 400


def test_records_of_any_attributes_are_ignored(read):
    """Attributes with which numpy would read any address."""
    interface = {"data": (0x4141414141414141, False), "shape": (9,), "typestr": "<f8", "version": 3}
    evil = {"__array_interface__": interface, "__array_struct__": 1, "__class__": 2}
    found = read(dumps({"f": sparse(**evil), "g": selected(**evil)}, 2))
    assert_same(found, {"f": values()["csc_matrix"], "g": values()["selected"]})
    with pytest.raises(InputError, match="is no array"):
        read(dumps({"f": constant_without_content(evil)}, 2))


def constant_without_content(attributes: dict) -> object:
    made = content()["chumpy"]
    del made.__dict__["x"]
    made.__dict__.update(attributes)
    return made


def nested(opcode: bytes, depth: int) -> bytes:
    return b"\x80\x02}" + TEXT + b"N" + opcode * depth + b"s."


def many_fold(start: bytes, end: bytes, kind: bytes = b"l", depth: int = 9) -> bytes:
    """Containers of nine references to the container before."""
    inner = b"(" + b"N" * 9 + kind + b"q\x00"
    levels = b"".join(b"0(" + (b"h" + bytes([i])) * 9 + kind + b"q" + bytes([i + 1]) for i in range(depth))
    return b"\x80\x02}" + start + inner + levels + end


def many_fold_dictionaries(depth: int = 30) -> bytes:
    levels = b"".join(
        b"0}(X\x01\x00\x00\x00ah" + bytes([i]) + b"X\x01\x00\x00\x00bh" + bytes([i]) + b"uq" + bytes([i + 1])
        for i in range(depth)
    )
    return b"\x80\x02}" + TEXT + b"Nq\x00" + levels + b"s."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x02}N" + b"\x85" * 200_000 + b"Ns.", None),  # a deep tuple as a key is left out
        (b"\x80\x04}(" + b"(" * 200_000 + b"N" + b"\x91" * 200_000 + b"Nu.", None),
        (nested(b"\x85", 200_000), "nested more than 32 deep"),
        (b"\x80\x02}" + TEXT + b"(" * 200_000 + b"l" * 200_000 + b"s.", "nested more than 32 deep"),
        (b"\x80\x02}" + TEXT + (b"}" + TEXT) * 200_000 + b"N" + b"s" * 200_001 + b".", "nested more than 32 deep"),
        (b"\x80\x02}" + TEXT + b"]q\x00h\x00ah\x00as.", "something holds itself"),
        (many_fold(TEXT, b"s."), "its lists hold far more than the file does"),
        (many_fold(TEXT, b"s.", b"t"), "its lists hold far more than the file does"),
        (many_fold(b"", b"Ns.", b"t"), None),  # as a key
        (many_fold_dictionaries(), "its lists hold far more than the file does"),
        (b"\x80\x05\x96" + struct.pack("<Q", 6 << 30) + b".", "of 6442450944 bytes only 1 are there"),
        (b"\x80\x05\x8e" + struct.pack("<Q", 2**64 - 1) + b".", "bytes only 1 are there"),
        (b"\x80\x02\x8b" + struct.pack("<i", -1) + b".", "bytes only 1 are there"),
        (b"\x80\x02\x8b" + struct.pack("<i", 1000) + bytes(1000) + b".", "a whole number of 1000 bytes"),
        (b"I" + b"9" * 10**6 + b"\n.", "a number of 1000000 digits"),
        (b"L" + b"9" * 10**6 + b"L\n.", "a number of 1000000 digits"),
        (b"F" + b"9" * 10**6 + b"\n.", "a number of 1000000 digits"),
        (b"p" + b"9" * 10**6 + b"\n.", "a number of 1000000 digits"),
        (b"I" + b"9" * 10**6, "a line does not end"),
        (b"V" + b"\\U0001f600" + b"x" * 70_000 + b"\n.", "long text that is no binary data"),
        (b"X" + struct.pack("<I", 70_004) + b"\xf0\x9f\x98\x80" + b"x" * 70_000 + b".", "long text that is no binary"),
        (b"N" * 1_000_001 + b".", "more than 1000000 opcodes"),
        (b"\x80\x02\x97.", "there is no opcode 151"),
        (b"\x80\x02\x82\x01.", "there is no opcode 130"),
        (b"\x80\x02N}b.", "attributes cannot be set"),
        (b"\x80\x02NN)R.", "a call of what is no function"),
        (b"\x80\x02Na.", "lacks what it works on|no list"),
        (b"\x80\x02h\x09.", "lacks what it works on"),
        (b"1.", "lacks what it works on"),
        (b"Np33554432\n.", "a place in the memo that cannot be"),
        (b"Np-1\n.", "a place in the memo that cannot be"),
        (b"Nr" + struct.pack("<I", 2**32 - 1) + b".", "a place in the memo that cannot be"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_hostile_programs_end_in_a_sentence(read, data, message):
    if message is None:
        assert read(data) == {}
    else:
        with pytest.raises(InputError, match=message):
            read(data)


def test_shared_arrays_are_made_once_and_shared_bytes_not_without_end(read):
    shared = np.zeros(250_000)
    found = read(dumps({str(i): shared for i in range(2000)}, 5))
    assert len({id(array) for array in found.values()}) == 1
    data = bytes(2_000_000)
    with pytest.raises(InputError, match="hold far more than the file does"):
        read(dumps({str(i): array_of(F8, (250_000,), data) for i in range(2000)}, 5))
    with pytest.raises(InputError, match="hold far more than the file does"):
        read(dumps({"f": [shared] * 2000}, 5))  # numpy would copy it 2000 times
    with pytest.raises(InputError, match="hold far more than the file does"):
        read(dumps({"f": ["x" * 100_000, *"y" * 10_000]}, 5))  # numpy gives all of them the width of the widest


def test_only_regular_files_up_to_a_size(tmp_path):
    os.mkfifo(tmp_path / "pipe.pkl")
    with pytest.raises(InputError, match=r"pipe\.pkl is no regular file"):
        unpickle_arrays(tmp_path / "pipe.pkl")
    with open(tmp_path / "large.pkl", "wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(InputError, match="the file has more than 1024 MiB"):
        unpickle_arrays(tmp_path / "large.pkl")
    with pytest.raises(OSError):
        unpickle_arrays(tmp_path)
