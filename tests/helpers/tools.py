"""Scripts of tools/, run within this process: a new one would spend seconds on its imports."""

import io
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

import pytest

from helpers.paths import TOOLS


@dataclass(frozen=True)
class Answer:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


def run_tool(name: str, *arguments: object) -> Answer:
    """Run a script as ``python tools/NAME ARGUMENTS`` does."""
    command = [str(TOOLS / name), *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", command),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        runpy.run_path(command[0], run_name="__main__")
    return Answer(end.value.code or 0, out.getvalue(), err.getvalue())
