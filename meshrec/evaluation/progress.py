"""A bar that shows how far an evaluation is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def followed(items: Sequence[T], what: str = "evaluating") -> Iterable[T]:
    """Go through items with a bar on standard error, which goes away at the end.

    Args:
        items: The items.
        what: What is done with them.
    """
    from rich.console import Console
    from rich.progress import track

    # In notebooks rich would take a widget for it, and warn where ipywidgets is not installed.
    return track(items, what, console=Console(stderr=True, force_jupyter=False), transient=True)
