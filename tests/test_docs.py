"""The pages say what the code does: links, files, commands, keys."""

import pkgutil
import re
from importlib import import_module

import numpy as np
import pytest
import torch
from helpers.gltf import Gltf
from helpers.paths import ROOT
from helpers.requirements import REQUIREMENTS

from meshrec import Person
from meshrec.cli import _parser
from meshrec.datasets.formats import FORMATS
from meshrec.export import params
from meshrec.geometry import axis_angle_to_matrix, camera_to_y_up
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


def test_the_animation_of_blenders_page_stands_upright_where_the_people_were(tmp_path, monkeypatch, body):
    """The page's program, run on parameter files of three frames, plays what their people look like with y up."""
    frames = []
    for number, bend in enumerate((0.0, 0.4, 0.8)):
        pose = torch.zeros(24, 3)
        pose[0, 0], pose[16, 2] = torch.pi, bend  # upright before a camera; the left arm moves
        person = Person(
            body=body,
            betas=np.linspace(-1, 1, 10, dtype=np.float32),
            rotations=axis_angle_to_matrix(pose).numpy(),
            translation=np.array([0.1 * number, 0.2, 4.0], np.float32),
        )
        (tmp_path / "out" / f"{number}.jpg").mkdir(parents=True)
        person.save(tmp_path / "out" / f"{number}.jpg" / "person_0.json")
        frames.append(person)
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "blender.md").read_text(), re.DOTALL)
    exec(compile(program, "blender.md", "exec"), {})
    walk = Gltf(tmp_path / "walk.glb")
    head, foot = (body.part_labels == body.joint_names.index(name) for name in ("head", "left_foot"))
    for number, person in enumerate(frames):
        vertices = camera_to_y_up(person.vertices)
        assert np.abs(walk.posed(number / 30)[walk.faces()] - vertices[person.faces]).max() < 1e-4
        assert vertices[head, 1].min() > vertices[foot, 1].max() + 1


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
