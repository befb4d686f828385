"""Import paths: what they name, and what is said of each mistake."""

import sys

import pytest

from meshrec.errors import InputError
from meshrec.files.imports import imported, is_import_path


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder of modules that Python can import."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "__init__.py").write_text("")
    (tmp_path / "own" / "things.py").write_text("value = 3\n")
    (tmp_path / "own" / "broken.py").write_text("1 / 0\n")
    (tmp_path / "own" / "needy.py").write_text("import a_package_that_is_not_there\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "own"]:
        del sys.modules[name]


def test_a_path_names_an_object_of_a_module(modules):
    assert imported("own.things:value") == 3
    assert is_import_path("own.things:value") and not is_import_path("iterative") and not is_import_path(["a:b"])


@pytest.mark.parametrize(
    "path, message",
    [
        ("own.things:", "is no import path: write my_package"),
        (":value", "is no import path"),
        ("own.things:value()", "is no import path"),
        ("../own/things:value", "is no import path"),
        ("own things:value", "is no import path"),
        ("own.things:value:value", "is no import path"),
        ("nowhere:value", "there is no module 'nowhere' for 'nowhere:value'"),
        ("own.nowhere:value", r"there is no module 'own\.nowhere'"),
        ("own.things.deeper:value", r"there is no module 'own\.things\.deeper'"),
        ("own.broken:value", r"'own\.broken' fails when it is imported: ZeroDivisionError: division by zero"),
        ("own.needy:value", "needs 'a_package_that_is_not_there', which is not installed"),
        ("own.things:other", r"the module 'own\.things' has no 'other'"),
    ],
)
def test_each_mistake_is_told_in_a_sentence(modules, path, message):
    with pytest.raises(InputError, match=message):
        imported(path)
