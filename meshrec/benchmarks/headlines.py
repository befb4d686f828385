"""The most important figures of benchmarks, and their comparison between two runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from meshrec.errors import InputError, printable
from meshrec.files.json_text import parse_json
from meshrec.files.regular import read_regular

MOST_BYTES = 16 << 20  # of a file of figures


@dataclass(frozen=True)
class Headline:
    """One figure.

    Attributes:
        name: What was measured; the same in every run.
        value: The figure.
        unit: Its unit.
        peer: The library with which it was compared; empty without a comparison.
        ratio: By which factor it is better than the peer's figure.
    """

    name: str
    value: float
    unit: str
    peer: str = ""
    ratio: float | None = None


def print_headlines(headlines: Sequence[Headline]) -> None:
    """Print a table of figures."""
    table = _table("Headlines", "figure", "value", "unit", "peer", "ratio")
    for line in headlines:
        ratio = "" if line.ratio is None else f"{line.ratio:,.3g} x"
        table.add_row(line.name, _text(line.value), line.unit, line.peer, ratio)
    Console().print(table)


def compare(old: Path, new: Path) -> None:
    """Print the figures of two runs side by side, and the differences between their machines and libraries.

    Args:
        old: A file that ``meshrec benchmark --json`` wrote.
        new: Another one.

    Raises:
        InputError: One of the files cannot be read or is of another kind.
    """
    (before, machine), (after, other) = _read(old), _read(new)
    table = _table("Two runs", "figure", "unit", "old", "new", "new / old")
    for name, line in (before | after).items():
        values = [run[name].value if name in run else None for run in (before, after)]
        ratio = f"{values[1] / values[0]:.3g}" if values[0] and values[1] is not None else "-"
        table.add_row(printable(name), printable(line.unit), *("-" if v is None else _text(v) for v in values), ratio)
    console = Console(markup=False)  # the files may hold anything
    console.print(table)
    for key in machine | other:
        if machine.get(key) != other.get(key):
            console.print(f"{key}: {machine.get(key, 'none')} before, {other.get(key, 'none')} now")


def _read(path: Path) -> tuple[dict[str, Headline], dict]:
    """The headlines in a file by name, and the description of its machine."""
    try:
        run = parse_json(read_regular(path, MOST_BYTES))
        lines = [Headline(**line) for line in run["headlines"]]
        texts = [text for line in lines for text in (line.name, line.unit, line.peer)]
        if not all(isinstance(text, str) for text in texts) or not all(math.isfinite(line.value) for line in lines):
            raise ValueError("a value is no number, or a name no text")
        return {line.name: line for line in lines}, {
            printable(key): printable(value) for key, value in run["machine"].items()
        }
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise InputError(f"{path} is no file that `meshrec benchmark --json` wrote.") from None


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for column in columns:
        words = column in ("figure", "unit", "peer")
        table.add_column(column, justify="left" if words else "right", overflow="fold")
    return table


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
