"""The errors that meshrec raises on purpose, and how a program reports them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO


class MeshrecError(Exception):
    """Base class of the errors below. The message is one sentence that says what is wrong and what to do about it.

    The command line prints that sentence and exits with code 1, without a traceback. Wrong arguments of Python
    functions, such as an array of the wrong shape, raise ``ValueError`` or ``TypeError`` as in numpy and torch.

    Example:
        >>> import meshrec
        >>> try:
        ...     meshrec.load_body("nobody")
        ... except meshrec.MeshrecError as error:
        ...     print(str(error)[:25])
        there is no body 'nobody'
    """


class InputError(MeshrecError, ValueError):
    """A file, an option or a value that the user gave is wrong.

    Example:
        >>> import meshrec
        >>> meshrec.load_body("neutral", num_betas=99)
        Traceback (most recent call last):
            ...
        meshrec.errors.InputError: this body has 10 shape components, so num_betas cannot be 99
    """


class MissingDependency(MeshrecError, ImportError):
    """An optional package is not installed, or lacks a part that is needed; the message says how to install it.

    Example:
        >>> import meshrec
        >>> issubclass(meshrec.MissingDependency, ImportError)  # so that `except ImportError` catches it
        True
    """


class TrainingDiverged(MeshrecError):
    """The loss of a training is no longer finite.

    Example:
        >>> import meshrec
        >>> issubclass(meshrec.TrainingDiverged, meshrec.MeshrecError)
        True
    """


LONGEST = 480  # characters of a complaint; a path alone may have 4,096


def printable(text: object) -> str:
    """A text as one line that any terminal can show.

    Paths end up in what is printed. Control characters, which a terminal obeys, and bytes that are no text become a
    question mark.
    """
    return "".join(c if c.isprintable() else "?" for c in str(text))


def say(text: object, file: TextIO | None = None) -> None:
    """Print a text that may hold paths as one line: :func:`printable`, in characters that the stream can encode.

    Args:
        text: The text.
        file: The stream. Default: stdout.
    """
    file = sys.stdout if file is None else file
    encoding = getattr(file, "encoding", None) or "utf-8"
    print(printable(text).encode(encoding, "replace").decode(encoding), file=file, flush=True)


def complain(sentence: object, name: str = "meshrec") -> None:
    """:func:`say` a sentence on stderr, after the program's name. Of a very long one the middle is left out."""
    text = f"{name}: {sentence}"
    say(text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[3 - LONGEST // 2 :]}", sys.stderr)


def exit_code(work: Callable[[], int | None], name: str = "meshrec") -> int:
    """Run a program and report expected errors as one sentence on stderr; other exceptions keep their traceback.

    Args:
        work: The program; it returns an exit code, or None for 0.
        name: The program's name, printed before the sentence.

    Returns:
        The exit code: 1 after a :class:`MeshrecError` or an ``OSError``, 130 after Ctrl-C.
    """
    try:
        return work() or 0
    except MeshrecError as error:
        complain(error, name)
        return 1
    except KeyboardInterrupt:
        complain("interrupted; what was finished is kept", name)
        return 130
    except BrokenPipeError:
        # The reader of our output has closed it, as in `meshrec ... | head`: that is no error.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 0
    except OSError as error:  # refused by the system, in a place that had nothing to add
        complain(f"{error.filename}: {error.strerror}" if error.filename else error, name)
        return 1


def run_tool(work: Callable[[], None]) -> int:
    """:func:`exit_code` for a script, under the script's own name."""
    return exit_code(work, Path(sys.argv[0]).stem)
