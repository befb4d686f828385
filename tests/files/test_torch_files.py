"""Checkpoints give what ``torch.load`` would, and hostile ones a sentence."""

import argparse
import collections
import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from meshrec.errors import InputError
from meshrec.files.torch_files import Skipped, read_torch
from meshrec.models.published.reading import read_weights


def saved(content: object, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def archive(data: bytes, **storages: bytes) -> bytes:
    """An archive around a pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as members:
        members.writestr("archive/data.pkl", data)
        for name, content in storages.items():
            members.writestr(f"archive/data/{name.removeprefix('s')}", content)
    return stream.getvalue()


@pytest.fixture(params=[False, True], ids=["read", "mapped"])
def read(request, tmp_path):
    def read(data: bytes) -> object:
        path = tmp_path / "c.pt"
        path.write_bytes(data)
        return read_torch(path, mapped=request.param)

    return read


def assert_same(found: object, expected: object) -> None:
    if isinstance(expected, torch.Tensor):
        assert isinstance(found, torch.Tensor) and found.dtype == expected.dtype and torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            assert_same(one, other)
    else:
        assert found == expected


def training() -> dict[str, object]:
    """The state of a training of two networks that share a layer, after a step."""
    torch.manual_seed(0)
    shared = nn.Linear(3, 4)
    network = nn.Sequential(shared, nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    table = torch.arange(24.0).view(4, 6)
    types = ("float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64")
    return {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "views": [table, table.T, table[1:3, ::2], table[3], table[:0], table[0, 0], table.expand(3, 4, 6)],
        "types": {name: torch.tensor([0, 1, 2]).to(getattr(torch, name)) for name in types},
        "empty": torch.zeros(0, 3),
        "parameter": nn.Parameter(table[:2]),
        "ordered": collections.OrderedDict([("b", 1), ("a", torch.ones(1))]),
        "counter": collections.Counter("abc"),
        "size": table.shape,
        "scores": [np.float64(57.5), 3, None, "best", (1.5, True)],
        "epoch": 3,
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "legacy"])
def test_a_training_is_what_torch_reads(read, zipped):
    content = training()
    found = read(saved(content, zipped))
    assert_same(found, content)
    assert found["views"][1].data_ptr() == found["views"][0].data_ptr()  # tensors share storages as they did
    found["model"]["0.weight"] += 1


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "legacy"])
def test_objects_beside_the_weights_are_skipped(read, zipped):
    content = {
        "hyper_parameters": argparse.Namespace(lr=0.1, nested=argparse.Namespace(path=Path("x"))),
        "callbacks": [{1, 2}, frozenset("a"), torch.float32, collections.deque([1]), nn.Linear(2, 2)],
        "fields": np.zeros(2, "i4,f4"),
        "model": {"w": torch.ones(2)},
    }
    found = read(saved(content, zipped))
    assert found["hyper_parameters"] == Skipped("argparse.Namespace")
    names = ["__builtin__.set", "__builtin__.frozenset", "torch.float32", "collections.deque"]
    assert [skipped.name for skipped in found["callbacks"]] == [*names, "torch.nn.modules.linear.Linear"]
    assert isinstance(found["fields"], Skipped)
    assert found["model"]["w"].tolist() == [1, 1]


def test_ordered_dictionaries_of_python_2(read):
    pairs = b"](](U\x01aK\x01e](U\x01bK\x02ee"  # [["a", 1], ["b", 2]]
    assert list(read(b"\x80\x02ccollections\nOrderedDict\n" + pairs + b"\x85R.").items()) == [("a", 1), ("b", 2)]


FLOATS = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"


def tensor(key: bytes, count: bytes, offset: bytes, size: bytes, stride: bytes) -> bytes:
    """A pickle of a tensor of float32, of pickled parts."""
    return b"\x80\x02" + FLOATS + key + b"X\x03\x00\x00\x00cpu" + count + b"tQ" + offset + size + stride + b"\x89}tR."


KEY = b"X\x01\x00\x00\x000"


def number(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


@pytest.mark.parametrize(
    ("count", "offset", "size", "stride", "message"),
    [
        (4, 0, (4,), (1,), None),
        (4, 3, (1,), (2**40,), None),
        (4, 0, (10**6, 10**6), (0, 0), None),
        (4, 4, (0, 9), (1, 1), None),
        (5, 0, (4,), (1,), "a storage of more than its 4"),
        (2**61, 0, (4,), (1,), "a storage of more than its 4"),
        (-1, 0, (4,), (1,), "a storage of an unknown kind"),
        (4, 1, (4,), (1,), "beyond its storage"),
        (4, 0, (3,), (2,), "beyond its storage"),
        (4, -1, (4,), (1,), "impossible sizes"),
        (4, 2**40, (1,), (1,), "beyond its storage"),
        (4, 5, (0,), (1,), "beyond its storage"),
        (4, 3, (4,), (-1,), "impossible sizes"),
        (4, 0, (-1,), (1,), "impossible sizes"),
        (4, 0, (2**62, 2), (0, 0), "impossible sizes"),
        (4, 0, (2**40, 2**40), (0, 0), "impossible sizes"),
        (4, 0, (1,), (2**63,), "impossible sizes"),
        (4, 0, (2**32, 2**32), (2**32, 2**32), "impossible sizes"),
        (4, 0, (4,), (1, 1), "without sizes"),
        (4, 0, (1,) * 100, (1,) * 100, "impossible sizes"),
    ],
)
def test_tensors_stay_within_their_storages(read, count, offset, size, stride, message):
    data = tensor(KEY, number(count), number(offset), numbers(*size), numbers(*stride))
    content = archive(data, s0=struct.pack("<4f", 1, 2, 3, 4))
    if message is None:
        assert read(content).shape == size
    else:
        with pytest.raises(InputError, match=rf"c\.pt is not a readable checkpoint.*{message}"):
            read(content)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (b"K\x00", "a storage without a name"),
        (b"X\x01\x00\x00\x001", "not a readable checkpoint"),
        (b"X\x0b\x00\x00\x00../data.pkl", "not a readable checkpoint"),
        (b"N" + b"\x85" * 200_000, "a storage without a name"),
    ],
    ids=["number", "absent", "path", "deep"],
)
def test_storages_are_found_by_their_names_alone(read, key, message):
    data = tensor(key, number(4), number(0), numbers(4), numbers(1))
    with pytest.raises(InputError, match=message):
        read(archive(data, s0=bytes(16)))


def legacy(*pickles: object, behind: bytes = b"") -> bytes:
    return b"".join(part if isinstance(part, bytes) else pickle.dumps(part, 2) for part in pickles) + behind


START = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
ONE = tensor(KEY, number(1), number(0), numbers(1), numbers(1)).replace(b"tQ", b"NtQ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (legacy(*START, ONE, ["0"], behind=struct.pack("<qf", 1, 5)), None),
        (legacy(*START, ONE, ["0"], behind=struct.pack("<q", 1)), "not a readable checkpoint"),
        (legacy(*START, ONE, ["0"], behind=struct.pack("<qf", 2**61, 5)), "only 4 are there"),
        (legacy(*START, ONE, ["0"], behind=struct.pack("<qf", -1, 5)), "only 4 are there"),
        (legacy(*START, ONE, [], behind=struct.pack("<qf", 1, 5)), "not a readable checkpoint"),
        (legacy(*START, ONE, ["1"], behind=struct.pack("<qf", 1, 5)), "not a readable checkpoint"),
        (legacy(*START, ONE, b"]N" + b"\x85" * 200_000 + b"a."), "a storage without a name"),
        (legacy(START[0], 1002, START[2], ONE, ["0"]), "another version of torch"),
        (legacy(*START[:2], {"little_endian": False}, ONE, ["0"]), "another byte order"),
    ],
)
def test_legacy_files(read, data, message):
    if message is None:
        assert read(data).tolist() == [5]
    else:
        with pytest.raises(InputError, match=message):
            read(data)


def tar(form: int, mode: str = "w", **members: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=form) as archive:
        for name, data in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return stream.getvalue()


@pytest.mark.parametrize("name", ["c.pt", "c.ckpt", "c.pth.tar", "c.pth"])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_the_first_versions_of_torch_are_refused(tmp_path, name, form, mode):
    """Their layout, of which ``torch.load`` calls what the members ask for."""
    members = {"sys_info": START[2], "storages": 0, "tensors": 0, "pickle": {"w": [1.0]}}
    data = tar(form, mode, **{key: pickle.dumps(value, 2) for key, value in members.items()})
    (tmp_path / name).write_bytes(data)
    for read in (read_torch, read_weights):
        with pytest.raises(InputError, match=rf"{name} is not a readable checkpoint: it is cut short, or no file of"):
            read(tmp_path / name)


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "legacy"])
def test_names_of_checkpoints_do_not_matter(tmp_path, zipped):
    (tmp_path / "c.pth.tar").write_bytes(saved({"w": torch.ones(2)}, zipped))
    assert read_torch(tmp_path / "c.pth.tar")["w"].tolist() == [1, 1]


@pytest.mark.parametrize("wrap", [archive, bytes], ids=["archive", "plain"])
def test_deep_pickles_are_refused(read, wrap):
    for data in (
        b"\x80\x02}N" + b"\x85" * 200_000 + b"Ns.",
        b"\x80\x02}(X\x01\x00\x00\x00aN" + b"\x85" * 200_000 + b"u.",
    ):
        try:
            assert read(wrap(data)) == {}
        except InputError as error:
            assert "nested more than 32 deep" in str(error)


def test_archives_that_unpack_to_anything_are_refused(read):
    good = saved({"w": torch.zeros(10_000)})
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as source, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in source.namelist():
            packed.writestr(name, source.read(name))
    with pytest.raises(InputError, match="is packed, as no checkpoint is"):
        read(stream.getvalue())
    for content in (
        archive(b"N.").replace(b"data.pkl", b"data.txt"),
        good[:100],
        good[: len(good) // 2],
        b"PK\x03\x04",
    ):
        with pytest.raises(InputError, match="not a readable checkpoint"):
            read(content)


def test_a_directory_of_millions_of_members_is_not_parsed(read):
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * 200_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(directory), 4, 0)
    with pytest.raises(InputError, match="its directory is too long"):
        read(b"PK\x03\x04" + directory + end)


def test_many_dictionaries_of_one(read):
    entries = b"(" + b"".join(number(i) + b"N" for i in range(20_000)) + b"d" + b"q\x00"
    copies = b"ccollections\nOrderedDict\nq\x01" + b"h\x01h\x00\x85R" * 2000
    with pytest.raises(InputError, match="hold far more than the file does"):
        read(b"\x80\x02(" + entries + copies + b"l.")


def test_mapped_tensors_lie_in_the_file_and_leave_it_as_it_is(tmp_path):
    one, other = torch.arange(1000.0), torch.tensor([7.25, -8.5, 9.75])
    data = saved({"a": one, "b": other})
    (tmp_path / "c.pt").write_bytes(data)
    found = read_torch(tmp_path / "c.pt", mapped=True)
    places = [data.index(values.numpy().tobytes()) for values in (one, other)]
    assert found["b"].data_ptr() - found["a"].data_ptr() == places[1] - places[0]
    found["a"] += 1
    assert (tmp_path / "c.pt").read_bytes() == data
    assert torch.equal(read_torch(tmp_path / "c.pt")["a"], one)
