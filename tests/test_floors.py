"""The plan of the house: docs/architecture.md says which floor imports from which."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "meshrec"
# From the ground up. What stands alone at the package's top is a room too.
FLOORS = (
    {"errors", "atomic", "npz", "compiled", "operators", "parallel", "device", "geometry"},
    {"body"},
    {"render"},
    {"models", "losses", "metrics"},
    {"detect", "fit", "data", "export"},
    {"person", "results", "regressor", "reconstruct", "batch", "photo_list", "showcase", "example_photo", "progress"}
    | {"training", "evaluation", "benchmarks", "build_body", "doctor"},
    {"commands"},
    {"cli"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# Which rooms of one floor may know each other: whoever adds a pair asks first what belongs elsewhere.
NEIGHBOURS = {
    ("atomic", "errors"), ("npz", "errors"), ("device", "errors"),
    ("data", "detect"), ("fit", "detect"), ("fit", "data"),
    ("results", "person"), ("reconstruct", "person"), ("reconstruct", "regressor"),
    ("batch", "reconstruct"), ("batch", "regressor"), ("batch", "results"), ("batch", "photo_list"),
    ("progress", "batch"), ("training", "regressor"), ("evaluation", "regressor"),
    ("benchmarks", "reconstruct"), ("benchmarks", "regressor"), ("benchmarks", "evaluation"),
}  # fmt: skip


def imports() -> Iterator[tuple[str, str, str]]:
    """Room, room it imports from, and where, of every import of meshrec within itself, inside functions too."""
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{where}: imports are absolute"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for package, _, rest in (name.partition(".") for name in names):
                if package == "meshrec" and rest and rest.split(".")[0] != room:  # `import meshrec` is for its version
                    yield room, rest.split(".")[0], where


WALKED = [found for found in imports() if found[0] != "__init__"]  # the front door names every room


def test_every_room_has_a_floor():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == set(FLOOR)


def test_imports_lead_downwards():
    upward = [
        f"{where}: {room} imports {other}"
        for room, other, where in WALKED
        if FLOOR[other] > FLOOR[room] or (FLOOR[other] == FLOOR[room] and (room, other) not in NEIGHBOURS)
    ]
    assert not upward, "\n".join(upward)


@pytest.mark.parametrize("pair", sorted(NEIGHBOURS), ids=" imports ".join)
def test_neighbours_still_know_each_other(pair):
    assert any(found[:2] == pair for found in WALKED), "nothing imports it any more: strike it off the list"
