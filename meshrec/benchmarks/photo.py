"""Where the time of one photo goes: each step from the file to the result files, and a process that starts afresh."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import torch
from rich.console import Console
from rich.table import Table

from meshrec.benchmarks.headlines import Headline
from meshrec.errors import MeshrecError
from meshrec.export import write_scene
from meshrec.files import read_photo, write_file
from meshrec.jobs.results import PNG_COMPRESSION, draw_overlay, write_results
from meshrec.reconstruct import Person, Reconstructor
from meshrec.reconstruct.photo_cameras import photo_camera
from meshrec.render.overlay import encode_png
from meshrec.synthetic.example_photo import draw_example_photo

ROUNDS = 7
PROCESSES = 3
WHOLE = "photo to files"
_FRESH = """
import sys, time
import meshrec
people = meshrec.Reconstructor()(sys.argv[1])
print(time.process_time())
"""


def run(rounds: int = ROUNDS, processes: int = PROCESSES, photo: Path | None = None) -> dict:
    """Measure, print a table and return the figures.

    Processor time, which is the sum over all threads, shows the cost of a step on a machine that is shared.

    Args:
        rounds: Rounds in which all steps are called in turn, after one that compiles and fills caches.
        processes: Fresh processes to start, one after another.
        photo: A photo of people. Default: the example photo, of one person.

    Returns:
        ``people`` and ``threads``; medians ``wall_ms`` and ``processor_ms`` for each of the ``steps``; and under
        ``fresh`` those of a new process from its start to the first photo's people.

    Raises:
        InputError: The photo cannot be read.
        MeshrecError: There is nobody in it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "photo.jpg" if photo is None else photo
        if photo is None:
            encoded = cv2.imencode(".jpg", draw_example_photo()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
            write_file(path, encoded.tobytes())
        steps, people = _steps(path, folder / "out")
        figures = _in_turn(steps, rounds)
        fresh = _fresh(path, processes)
    threads = torch.get_num_threads()
    table = Table(title=f"One photo, {people} people, {threads} threads, medians of {rounds} rounds")
    for column in ("", "ms", "processor ms"):
        table.add_column(column, justify="right" if column else "left")
    rows = figures | {"fresh process: start, construct, first photo": fresh}
    for step, row in rows.items():
        table.add_row(step, f"{row['wall_ms']:.1f}", f"{row['processor_ms']:.1f}")
    Console().print(table)
    return {"people": people, "threads": threads, "steps": figures, "fresh": fresh}


def headlines(figures: dict) -> list[Headline]:
    """Processor time of the whole photo, and time of a new process."""
    return [
        Headline(f"photo: {WHOLE}, processor time", figures["steps"][WHOLE]["processor_ms"], "ms"),
        Headline("photo: first photo of a process, processor time", figures["fresh"]["processor_ms"], "ms"),
    ]


def _steps(path: Path, out: Path) -> tuple[dict[str, Callable[[], object]], int]:
    """The steps of a photo by name, those of another step after it and indented; and the number of people in it."""
    reconstructor = Reconstructor()
    assert reconstructor.fitter is not None and reconstructor.regressor is not None
    fitter, regressor = reconstructor.fitter, reconstructor.regressor
    photo = read_photo(path)
    camera = photo_camera(photo, None, None)
    found = [person for person in reconstructor.detector(photo.image, None) if person.score > 0]
    if not found:
        raise MeshrecError(f"{path}: there is nobody in the photo, so that there is nothing to measure.")
    initial = regressor(photo.image, found, camera)
    people = reconstructor.embody(photo.image, found, camera)
    meshes = [person.mesh() for person in people]
    sheet = draw_overlay(photo.image, people)

    def fresh() -> list[Person]:
        return [replace(person) for person in people]  # which are not posed yet

    def save(suffix: str) -> None:
        for number, person in enumerate(fresh()):
            person.save(out / f"{number}{suffix}")

    def whole() -> None:
        read = read_photo(path)
        write_results(out, read, reconstructor(read))

    steps: dict[str, Callable[[], object]] = {
        WHOLE: whole,
        "  decode the photo": lambda: read_photo(path),
        "  detect": lambda: reconstructor.detector(photo.image, None),
        "  regress": lambda: regressor(photo.image, found, camera),
        "  fit": lambda: fitter(found, camera, initial),
        "  result files": lambda: write_results(out, photo, fresh()),
        "    OBJ alone": lambda: save(".obj"),
        "    GLB alone": lambda: save(".glb"),
        "    JSON alone": lambda: save(".json"),
        "    scene alone": lambda: write_scene(out / "scene.glb", [replace(mesh) for mesh in meshes], camera),
        "    draw the overlay": lambda: draw_overlay(photo.image, fresh()),
        "    encode the overlay as PNG": lambda: encode_png(sheet, PNG_COMPRESSION),
    }
    return steps, len(people)


def _in_turn(steps: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Medians of the steps' times, which are called in turn, after one call of each that does not count."""
    wall: dict[str, list[float]] = {name: [] for name in steps}
    processor: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter(), time.process_time()
            step()
            if number:
                wall[name].append(1e3 * (time.perf_counter() - start[0]))
                processor[name].append(1e3 * (time.process_time() - start[1]))
    return {
        name: {"wall_ms": statistics.median(wall[name]), "processor_ms": statistics.median(processor[name])}
        for name in steps
    }


def _fresh(path: Path, processes: int) -> dict[str, float]:
    """Medians of the times of new processes that construct a reconstructor and find the people in one photo.

    A process before them, which does not count, compiles the modules to bytecode, as an installation does.
    """
    wall, processor = [], []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as bytecode:
        environment["PYTHONPYCACHEPREFIX"] = bytecode
        for _ in range(processes + 1):
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", _FRESH, str(path)], check=True, capture_output=True, text=True, env=environment
            )
            wall.append(1e3 * (time.perf_counter() - start))
            processor.append(1e3 * float(done.stdout))
    return {"wall_ms": statistics.median(wall[1:]), "processor_ms": statistics.median(processor[1:])}
