"""Measure people: stature, arm span, girths, lengths, volume and mass, with the uncertainty that their photo leaves.

Example: meshrec measure out/photo.jpg/person_0.json --json measures.json
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from meshrec.commands.options import numbers

if TYPE_CHECKING:
    from meshrec.body.anthropometry import Measures


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("people", nargs="+", help=".json or .npz files of people, or one body: neutral, male or female")
    parser.add_argument("--body", help="the body that the files' betas belong to (default: the one each file names)")
    parser.add_argument("--betas", default="", help="shape of a body, separated by commas (default: mean shape)")
    parser.add_argument("--height", type=float, help="stature in metres, if it is known (default: what the shape says)")
    parser.add_argument("--json", type=Path, help="also write the measures to this file")


def run(options: Namespace) -> None:
    from meshrec.body.library import OPEN_BODIES
    from meshrec.errors import InputError
    from meshrec.files.atomic import known_suffix, write_file
    from meshrec.reconstruct.measuring import measure, measure_files

    if options.json is not None:
        known_suffix(options.json, [".json"])
    bodies = [name for name in options.people if name in OPEN_BODIES]
    if bodies:
        from meshrec.body import load_body

        if len(options.people) > 1 or options.body is not None:
            raise InputError("a body is measured alone: give one name, or files of people")
        body, betas = load_body(bodies[0]), numbers(options.betas)
        if len(betas) > body.num_betas:
            raise InputError(f"--betas has {len(betas)} numbers, but this body {body.num_betas} shape components")
        found = [measure(body, betas or None, height=options.height)]
    else:
        if options.betas:
            raise InputError("--betas is for a body; files of people have their own")
        found = measure_files(options.people, options.body, options.height)
    for name, measures in zip(options.people, found):
        _show(str(name), measures)
    if options.json is not None:
        import json

        people = {str(name): measures.to_dict() for name, measures in zip(options.people, found)}
        write_file(options.json, (json.dumps(people, indent=2) + "\n").encode())


def _show(title: str, measures: "Measures") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from meshrec.body.anthropometry import DEFINITIONS
    from meshrec.errors import printable

    table = Table(title=Text(printable(title)), title_justify="left")
    for column in ("measure", "value", "+-", "unit", "ANSUR"):
        table.add_column(column, justify="right" if column in ("value", "+-") else "left", no_wrap=True)
    for name, value in measures.values.items():
        definition = DEFINITIONS[name]
        scale, unit = (100.0, "cm") if definition.unit == "m" else (1.0, definition.unit)
        deviation = "" if measures.deviations is None else f"{scale * measures.deviations[name]:.1f}"
        label = name.replace("_", " ")
        table.add_row(label, f"{scale * value:.1f}", deviation, unit, definition.ansur)
    Console(highlight=False).print(table)
