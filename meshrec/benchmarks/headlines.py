"""The most important figures of benchmarks, and their comparison between two runs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from meshrec.errors import InputError


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
        table.add_row(name, line.unit, *("-" if v is None else _text(v) for v in values), ratio)
    console = Console()
    console.print(table)
    for key in machine | other:
        if machine.get(key) != other.get(key):
            console.print(f"{key}: {machine.get(key, 'none')} before, {other.get(key, 'none')} now")


def _read(path: Path) -> tuple[dict[str, Headline], dict]:
    """The headlines in a file by name, and the description of its machine."""
    try:
        run = json.loads(path.read_bytes())
        lines = [Headline(**line) for line in run["headlines"]]
        if not all(isinstance(line.value, int | float) for line in lines):
            raise TypeError("a value is no number")
        return {line.name: line for line in lines}, dict(run["machine"])
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} is no file that `meshrec benchmark --json` wrote.") from None


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for column in columns:
        words = column in ("figure", "unit", "peer")
        table.add_column(column, justify="left" if words else "right", overflow="fold")
    return table


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
