"""The one error a user's own input can raise, and how a script tells it."""

import sys
from collections.abc import Callable
from pathlib import Path


class InputError(ValueError):
    """Something the user gave is wrong: one sentence says what, in which file, and what to do about it.

    The command line prints that sentence and exits with 1; it never shows a traceback for it.
    """


def complain(sentence: object, name: str = "meshrec") -> None:
    """Print a sentence to stderr, behind a program's name and as one line, whatever the names and files in it hold: a
    terminal obeys control characters."""
    print(f"{name}:", "".join(c if c.isprintable() else "?" for c in str(sentence)), file=sys.stderr)


def run_tool(work: Callable[[], None]) -> int:
    """Do a script's work.

    Returns:
        The exit code: 0, or 1 after an :class:`InputError`, whose sentence goes to stderr behind the script's name.
    """
    try:
        work()
    except InputError as error:
        complain(error, Path(sys.argv[0]).stem)
        return 1
    return 0
