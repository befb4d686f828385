"""Untrusted archives of arrays: what is plain is read, what is an object never is."""

import zipfile

import numpy as np
import pytest
from helpers.bad_input.files import Hostile

from meshrec.errors import InputError
from meshrec.files.npz import read_npz


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
