"""CDF files, compared with what cdflib writes."""

import sys

import numpy as np
import pytest

from meshrec.errors import InputError, MissingDependency
from meshrec.files.cdf import read_cdf


def write(path, values, name="Pose"):
    cdfwrite = pytest.importorskip("cdflib.cdfwrite", reason="cdflib reads and writes CDF files")
    file = cdfwrite.CDF(path, delete=True)
    about = {"Variable": name, "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True, "Compress": 6}
    file.write_var(about | {"Dim_Sizes": list(values.shape)}, var_data=values[None])
    file.close()
    return path


def test_round_trip(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 96)).astype(np.float32)
    path = write(tmp_path / "a.cdf", values)
    assert (read_cdf(path, "Pose") == values[None]).all()
    with pytest.raises(InputError, match=r"a\.cdf: there is no variable Angles"):
        read_cdf(path, "Angles")


def test_any_damage_is_an_input_error(tmp_path):
    path = write(tmp_path / "a.cdf", np.zeros((5, 96), np.float32))
    whole, generator = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(whole[: generator.integers(8, len(whole))])
        for place in generator.integers(8, len(whole), 4):
            data[min(place, len(data) - 1)] = generator.integers(256)
        (tmp_path / "b.cdf").write_bytes(data)
        try:
            read_cdf(tmp_path / "b.cdf", "Pose")
        except InputError as error:
            assert "b.cdf" in str(error)


def test_what_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"none\.cdf: the file cannot be read"):
        read_cdf(tmp_path / "none.cdf", "Pose")
    with pytest.raises(InputError, match="a folder"):
        read_cdf(tmp_path, "Pose")
    (tmp_path / "x.cdf").write_bytes(b"text, not CDF")
    with pytest.raises(InputError, match="no CDF file"):
        read_cdf(tmp_path / "x.cdf", "Pose")
    monkeypatch.setitem(sys.modules, "cdflib", None)
    (tmp_path / "x.cdf").write_bytes(b"\xcd\xf3\x00\x01" + bytes(20))
    with pytest.raises(MissingDependency, match=r"pip install \"meshrec\[h36m\]\""):
        read_cdf(tmp_path / "x.cdf", "Pose")
