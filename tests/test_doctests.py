"""The examples in the docstrings run and print what they say. Only modules that hold an example are imported."""

import doctest
import re
from importlib import import_module

import pytest
from helpers.paths import ROOT

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "meshrec").rglob("*.py"))
    if re.search(r"^\s*>>> ", path.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name, capsys):
    failed, attempted = doctest.testmod(import_module(name))
    assert attempted, "an example stands where doctest does not look, such as in a comment"
    assert not failed, capsys.readouterr().out
