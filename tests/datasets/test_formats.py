"""Datasets by the name of their format."""

import pytest

from meshrec.datasets.formats import FORMATS, read_samples
from meshrec.errors import InputError


def test_every_format_refuses_what_is_not_there(tmp_path):
    for form in FORMATS:
        with pytest.raises(InputError, match="nothing"):
            read_samples(form, tmp_path / "nothing", tmp_path)


def test_bodies_are_called_by_their_genders():
    with pytest.raises(InputError, match="there are the bodies neutral, male, female, and none called 'm'"):
        read_samples("spin", "x.npz", "x", bodies={"m": "0123456789abcdef"})


def test_formats():
    with pytest.raises(InputError, match="no dataset format 'lsp'"):
        read_samples("lsp", "x")
    with pytest.raises(InputError, match="need the folder of their pictures"):
        read_samples("coco", "x.json")
