"""The ``meshrec`` command: argument parsing and exit codes; ``commands/`` has a module for each command.

Exit codes: 0 for success; 1 if the input was wrong or the work failed, with one sentence that says why; 2 if the
command line was wrong; 130 if the user interrupted it.
"""

import gc
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

import meshrec
from meshrec.commands import (
    animate,
    benchmark,
    body,
    convert_body,
    demo,
    doctor,
    evaluate,
    export,
    export_onnx,
    import_checkpoint,
    measure,
    models,
    reconstruct,
    train,
    view,
)
from meshrec.errors import exit_code

# In the order of `meshrec --help`.
COMMANDS = {
    "reconstruct": reconstruct,
    "export": export,
    "animate": animate,
    "measure": measure,
    "view": view,
    "body": body,
    "convert-body": convert_body,
    "import-checkpoint": import_checkpoint,
    "export-onnx": export_onnx,
    "models": models,
    "train": train,
    "evaluate": evaluate,
    "benchmark": benchmark,
    "demo": demo,
    "doctor": doctor,
}

COLLECTIONS = 50_000, 20, 100  # thresholds of Python's garbage collector; see gc.set_threshold


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    # Idle threads of OpenMP and OpenBLAS would spin, and take cores from busy ones. Torch and numpy look when loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # the logarithm of the cycles to wait
    # By default the garbage collector would walk through all that torch and numba import several times.
    gc.set_threshold(*COLLECTIONS)
    options = _parsed(arguments)
    return exit_code(lambda: options.run(options))


def _parsed(arguments: Sequence[str] | None) -> Namespace:
    parser = _parser()
    options, left = parser.parse_known_args(arguments)
    if "changes" in options:  # argparse takes positional arguments from one place only; changes may be anywhere
        options.changes += [word for word in left if "=" in word and not word.startswith("-")]
        left = [word for word in left if word not in options.changes]
    if left:
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    return options


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="meshrec",
        description="A photo of people goes in, posed 3D body meshes in SMPL's format come out.",
        epilog="Example: meshrec reconstruct photo.jpg --out out",
    )
    parser.add_argument("--version", action="version", version=f"meshrec {meshrec.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        summary, _, example = (command.__doc__ or "").strip().partition("\n\n")
        subparser = commands.add_parser(name, help=summary, description=summary, epilog=example)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
