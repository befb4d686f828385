"""A report printed as tables, and written as files."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from rich.console import Console

from meshrec.evaluation.detections import save_detections
from meshrec.evaluation.pictures import pck_curve, worst_sheet
from meshrec.evaluation.report import Report
from meshrec.evaluation.tables import comparison_of, tables_of
from meshrec.files.atomic import write_file
from meshrec.render.overlay import encode_png


def print_report(report: Report, console: Console | None = None) -> None:
    """Print the tables of a report.

    Example:
        >>> from rich.console import Console
        >>> import meshrec
        >>> from meshrec.evaluation import print_report, synthetic_set
        >>> body = meshrec.load_body("neutral")
        >>> report = meshrec.evaluate("keypoints", synthetic_set(body, resolution=64).thinned(1), body)
        >>> print_report(report, Console(width=100, color_system=None))  # doctest: +ELLIPSIS
        keypoints on synthetic benchmark: 1 people...
    """
    console = console or Console()
    for table in tables_of(report):
        console.print(table)
    _print_notes(report, console)


def print_comparison(reports: Sequence[Report], console: Console | None = None) -> None:
    """Print the tables of several methods on the same people, side by side.

    Example:
        >>> from rich.console import Console
        >>> import meshrec
        >>> from meshrec.evaluation import compare, methods_of, print_comparison, synthetic_set
        >>> body = meshrec.load_body("neutral")
        >>> data = synthetic_set(body, resolution=64).thinned(1)
        >>> reports = compare(methods_of(["keypoints", "graph"]), data, body)
        >>> print_comparison(reports, Console(width=100, color_system=None))  # doctest: +ELLIPSIS
        synthetic benchmark...
    """
    console = console or Console()
    for table in comparison_of(reports):
        console.print(table)
    _print_notes(reports[0], console)


def _print_notes(report: Report, console: Console) -> None:
    for note in report.settings["notes"]:
        console.print(note, markup=False, highlight=False)


def write_report(report: Report, folder: str | Path) -> list[Path]:
    """Write ``report.json``, ``rows.csv``, ``worst.png``, ``pck.png`` and, where a detector ran, ``detections.npz``.

    The curve needs matplotlib; without it, or without 3D truth, it is left out.

    Returns:
        Paths of the files.

    Raises:
        InputError: The folder cannot be written to.

    Example:
        >>> import tempfile
        >>> import meshrec
        >>> from meshrec.evaluation import synthetic_set, write_report
        >>> body = meshrec.load_body("neutral")
        >>> report = meshrec.evaluate("keypoints", synthetic_set(body, resolution=64).thinned(1), body)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in write_report(report, folder)][:2]
        ['report.json', 'rows.csv']
    """
    folder = Path(folder)
    figures = json.dumps(report.figures(), indent=2, allow_nan=False)
    written = [
        write_file(folder / "report.json", figures.encode()),
        write_file(folder / "rows.csv", report.rows().encode()),
    ]
    if report.settings["detections"] == "detector":
        written.append(save_detections(folder / "detections.npz", report.detections))
    if report.worst:
        written.append(write_file(folder / "worst.png", encode_png(worst_sheet(report.worst, report.body))))
    if not np.isnan(report.pck()).any():
        with suppress(ImportError):
            written.append(write_file(folder / "pck.png", pck_curve(report)))
    return written
