"""The one error a user's own input can raise, and how a program tells it."""

import os
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


def exit_code(work: Callable[[], int | None], name: str = "meshrec") -> int:
    """Do a program's work. What goes wrong that is no fault of the program becomes a sentence on stderr.

    Args:
        work: Returns an exit code, None for 0.
        name: Of the program.

    Returns:
        The exit code: 1 after an :class:`InputError` or where the system refuses something, 130 after Ctrl-C.
    """
    try:
        return work() or 0
    except InputError as error:
        complain(error, name)
        return 1
    except KeyboardInterrupt:
        complain("interrupted; what was finished is kept", name)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as in `meshrec ... | head`: nothing to say, and nobody to say it to.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 0
    except OSError as error:  # what the system refuses where no function below could say it better
        complain(f"{error.filename}: {error.strerror}" if error.filename else error, name)
        return 1


def run_tool(work: Callable[[], None]) -> int:
    """:func:`exit_code` of a script's work; the sentence stands behind the script's name."""
    return exit_code(work, Path(sys.argv[0]).stem)
