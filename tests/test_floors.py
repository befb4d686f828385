"""The plan of the house: docs/architecture.md says which room imports from which."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "meshrec"
# From the ground up; a module that stands alone at the package's top is a room too. A room imports only from rooms
# that stand before it, so that what follows from the order needs no rule of its own: inference cannot import training
# data, because `reconstruct` stands below `data`.
ROOMS = (
    *("errors", "compiled", "files", "geometry", "body"),
    *("render", "landmarks", "motion", "poses", "metrics", "models", "export"),
    *("detect", "fit", "regress", "reconstruct"),
    *("data", "datasets", "synthetic", "build_body"),
    *("evaluation", "training", "jobs", "benchmarks", "comparison", "doctor", "viewer"),
    *("commands", "cli"),
)
LARGEST_SHARE = 0.12  # of the package's lines: a room that grows beyond holds more than one idea


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


def test_every_room_has_its_place():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == set(ROOMS)


def test_imports_lead_downwards():
    upward = [
        f"{where}: {room} imports {other}"
        for room, other, where in imports()
        if room != "__init__" and ROOMS.index(other) >= ROOMS.index(room)  # the front door names every room
    ]
    assert not upward, "\n".join(upward)


def test_no_room_holds_too_much():
    lines = Counter()
    for path in PACKAGE.rglob("*.py"):
        lines[path.relative_to(PACKAGE).parts[0]] += len(path.read_text().splitlines())
    (room, most), total = lines.most_common(1)[0], lines.total()
    assert most <= LARGEST_SHARE * total, f"{room} holds {most} of {total} lines"


def test_inference_loads_no_training_data():
    """In a fresh process, of which nothing else has loaded anything."""
    code = (
        "import sys, meshrec.reconstruct, meshrec.regress, meshrec.fit.fitter, meshrec.detect.blazepose_detector;"
        "meshrec.Reconstructor();"
        "print(*sorted({name.split('.')[1] for name in sys.modules if name.startswith('meshrec.')}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert "fit" in loaded and not loaded & {"data", "datasets", "synthetic", "training", "evaluation", "benchmarks"}
