"""How programs tell what went wrong: exit codes, and one line on stderr."""

import errno
import io
import subprocess
import sys

import pytest

from meshrec.errors import InputError, MeshrecError, MissingDependency, TrainingDiverged, complain, exit_code, say


def failing(error: BaseException):
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    "error, code, line",
    [
        (InputError("a.jpg: no photo."), 1, "tool: a.jpg: no photo."),
        (InputError("a\x1b[2J\n.jpg: no photo."), 1, "tool: a?[2J?.jpg: no photo."),
        (MissingDependency("there is no anny."), 1, "tool: there is no anny."),
        (TrainingDiverged("no longer a number."), 1, "tool: no longer a number."),
        (OSError(errno.ENOSPC, "No space left", "o.npz"), 1, "tool: o.npz: No space left"),
        (OSError("the disk is gone"), 1, "tool: the disk is gone"),
        (KeyboardInterrupt(), 130, "tool: interrupted; what was finished is kept"),
    ],
    ids=repr,
)
def test_what_is_no_fault_of_the_program_is_one_line(error, code, line, capsys):
    assert exit_code(failing(error), "tool") == code
    assert capsys.readouterr() == ("", f"{line}\n")


def test_errors_are_caught_by_python_s_own_kinds_too():
    """Whoever guards against a wrong value or a failed import need not know this package's names."""
    assert all(issubclass(kind, MeshrecError) for kind in (InputError, MissingDependency, TrainingDiverged))
    assert issubclass(InputError, ValueError) and issubclass(MissingDependency, ImportError)


def test_work_that_is_done_says_how():
    assert exit_code(lambda: None) == 0
    assert exit_code(lambda: 1) == 1


@pytest.mark.parametrize("fault", [ValueError("shapes"), KeyError("a"), AssertionError()], ids=repr)
def test_faults_of_the_program_keep_their_traceback(fault):
    with pytest.raises(type(fault)):
        exit_code(failing(fault))


def test_a_reader_that_has_gone_is_no_error():
    program = (
        "import sys\n"
        "from meshrec.errors import exit_code\n"
        "def work():\n"
        "    sys.stdin.read()\n"
        "    while True: print('a line', flush=True)\n"
        "sys.exit(exit_code(work))\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as process:
        process.stdout.close()
        process.stdin.close()  # only now it goes on
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252"])
def test_any_path_can_be_printed(encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    say("a\udcff\x1b[31m\n\r\u202e é 写 b.jpg", stream)
    shown = stream.buffer.getvalue().decode(encoding)
    assert shown.endswith(" b.jpg\n") and shown.startswith("a??[31m??? ") and shown[:-1].isprintable()


def test_long_complaints_keep_both_ends(capsys):
    complain(f"{'x' * 5000}.jpg: no such file.")
    error = capsys.readouterr().err
    assert len(error) < 500 and error.startswith("meshrec: xxx") and error.endswith("x.jpg: no such file.\n")
