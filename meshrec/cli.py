"""The ``meshrec`` command: argument parsing only; each command calls one function of the floors below.

Exit codes: 0 done, 1 the input was wrong or the work failed (one sentence says why), 2 the command line was wrong.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import meshrec
from meshrec.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    # Idle worker threads that spin steal the cores from the others; must be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = _parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except InputError as error:
        print(f"meshrec: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("meshrec: interrupted; what was finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as in `meshrec ... | head`: nothing to say, and nobody to say it to.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meshrec",
        description="A photo of people goes in, posed 3D body meshes in SMPL's format come out.",
        epilog="Example: meshrec body --out out",
    )
    parser.add_argument("--version", action="version", version=f"meshrec {meshrec.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_body, _add_convert_body, _add_benchmark):
        add(commands)
    return parser


def _command(commands, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=summary, description=summary, epilog=f"Example: {example}")


def _add_body(commands) -> None:
    parser = _command(
        commands,
        "body",
        "Write a body in a few poses as meshes, and a picture of them.",
        "meshrec body --out out --body neutral --poses 't-pose,running' --format obj,glb",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--body", default="neutral", help="neutral, male, female, or an SMPL file (default: neutral)")
    parser.add_argument("--poses", default=None, help="names of poses, separated by commas (default: all)")
    parser.add_argument("--betas", default="", help="shape coefficients, separated by commas (default: mean shape)")
    parser.add_argument("--format", default="obj,glb", help="of obj, ply, glb, separated by commas (default: obj,glb)")
    parser.set_defaults(run=_run_body)


def _run_body(options: argparse.Namespace) -> None:
    from meshrec.showcase import write_showcase

    poses = _names(options.poses) if options.poses is not None else None
    for path in write_showcase(options.out, options.body, poses, _numbers(options.betas), _names(options.format)):
        print(path)


def _add_convert_body(commands) -> None:
    parser = _command(
        commands,
        "convert-body",
        "Convert an SMPL file, chumpy pickles included, to a plain file without pickles.",
        "meshrec convert-body SMPL_NEUTRAL.pkl body_models/smpl_neutral.npz",
    )
    parser.add_argument("source", type=Path, help=".pkl, .npz or .safetensors")
    parser.add_argument("target", type=Path, help=".npz or .safetensors")
    parser.set_defaults(run=_run_convert_body)


def _run_convert_body(options: argparse.Namespace) -> None:
    from meshrec.body import read_body, write_body

    body = read_body(options.source)
    write_body(body, options.target)
    vertices, _, betas = body.shapedirs.shape
    print(f"{options.target}: {vertices} vertices, {len(body.faces)} faces, {betas} betas, hash {body.hash}")


def _add_benchmark(commands) -> None:
    parser = _command(
        commands,
        "benchmark",
        "Measure speed on this machine, against other libraries where they are installed.",
        "meshrec benchmark body --json body.json",
    )
    parser.add_argument("what", choices=["body", "render"], help="what to measure")
    parser.add_argument("--threads", type=int, default=None, help="threads to use (default: torch's)")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures to this file")
    parser.set_defaults(run=_run_benchmark)


def _run_benchmark(options: argparse.Namespace) -> None:
    import json
    from importlib import import_module

    import torch

    from meshrec.atomic import write_file

    if options.threads is not None:
        if options.threads < 1:
            raise InputError(f"--threads must be at least 1, not {options.threads}")
        torch.set_num_threads(options.threads)
    figures = import_module(f"meshrec.benchmarks.{options.what}").run()
    if options.json is not None:
        write_file(options.json, json.dumps(figures, indent=2).encode())


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in _names(text)]
    except ValueError:
        raise InputError(f"'{text}' should be numbers separated by commas") from None


if __name__ == "__main__":
    sys.exit(main())
