"""The pages say what the code does: links, files, commands, keys."""

import pkgutil
import re
from importlib import import_module

import pytest
from helpers.paths import ROOT
from helpers.requirements import REQUIREMENTS

from meshrec.cli import _parser
from meshrec.datasets.formats import FORMATS
from meshrec.export import params
from meshrec.models.checkpoints import MESH_TENSORS

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_are_there(page):
    for name in re.findall(r"`((?:\w+/)*\w+\.py)`", page.read_text()):
        places = (ROOT, ROOT / "meshrec", ROOT / "tests")
        assert any((place / name).exists() for place in places), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page):
    commands = next(a for a in _parser()._actions if a.choices).choices
    for name, rest in re.findall(r"\bmeshrec ([a-z]+(?:-[a-z]+)*)((?: [^`|\n]*)?)", page.read_text()):
        if name in commands:
            known = {option for action in commands[name]._actions for option in action.option_strings}
            assert set(re.findall(r"(?<=\s)--[a-z0-9-]+", rest)) <= known, (name, rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_the_pages_compiles(page):
    for program in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        compile(program, page.name, "exec")


def test_names_of_the_library_exist():
    names = re.findall(r"`(meshrec(?:\.\w+)+)`", (ROOT / "docs" / "library.md").read_text())
    assert len(names) > 60
    for name in names:
        pkgutil.resolve_name(name)


def test_the_names_of_each_room_are_listed():
    """And they are there: a name that is exported can be imported."""
    rows = re.findall(
        r"^\| `(meshrec(?:\.\w+)?)` \| (.*) \|$", (ROOT / "docs" / "library.md").read_text(), re.MULTILINE
    )
    listed = {room: re.findall(r"`(\w+)`", names) for room, names in rows}
    rooms = ["meshrec", *(f"meshrec.{path.parent.name}" for path in sorted((ROOT / "meshrec").glob("*/__init__.py")))]
    exported = {room: module.__all__ for room in rooms if hasattr(module := import_module(room), "__all__")}
    assert listed == exported
    for room, names in exported.items():
        for name in names:
            pkgutil.resolve_name(f"{room}:{name}")


def test_formats_are_described():
    text = (ROOT / "docs" / "formats.md").read_text()
    keys = {*params._SHAPES, *FORMATS, *(f"mesh.{name}" for name in MESH_TENSORS), params.SCHEMA}
    assert {key for key in keys if f"`{key}`" not in text.replace('"', "")} == set()


def test_requirements_of_tests_are_described():
    rows = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs" / "tests.md").read_text(), re.MULTILINE)
    assert rows == list(REQUIREMENTS)
