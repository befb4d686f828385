"""Datasets by the name of their format."""

import inspect
import re
from pathlib import Path

import pytest
from helpers.paths import ROOT

from meshrec.commands import evaluate
from meshrec.datasets import formats
from meshrec.datasets.formats import FORMATS, WITH_PICTURES_ELSEWHERE, read_samples
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


def test_every_format_has_a_reader_a_test_and_a_row_in_the_documentation(tmp_path, monkeypatch):
    readers = {name: value for name, value in vars(formats).items() if re.fullmatch("read_(?!samples|by).*", name)}
    rows = re.findall(
        r"^\| `([\w-]+)` \|", (ROOT / "docs" / "formats.md").read_text().split("## Datasets")[1], re.MULTILINE
    )
    assert rows == list(FORMATS)
    helped = inspect.getsource(evaluate)
    called = []
    for name in readers:
        monkeypatch.setattr(formats, name, lambda *arguments, name=name: called.append(name))
    for form in FORMATS:
        read_samples(form, tmp_path, tmp_path)
        assert re.search(rf"[ \"]{form}[, ]", helped), f"the help of meshrec evaluate does not name {form}"
    assert len(called) == len(FORMATS) and set(called) == set(readers)
    for name in called:
        module = Path(inspect.getsourcefile(readers[name])).stem
        assert (ROOT / "tests" / "datasets" / f"test_{module}.py").is_file()
    assert set(WITH_PICTURES_ELSEWHERE) < set(FORMATS)
