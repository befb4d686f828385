"""Measure speed on this machine, against other libraries where they are installed, and accuracy on photos.

Example: meshrec benchmark --json today.json
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from meshrec.benchmarks import BENCHMARKS
from meshrec.commands.options import use_threads
from meshrec.errors import InputError


def add_arguments(parser: ArgumentParser) -> None:
    task = parser.add_mutually_exclusive_group()
    task.add_argument("what", nargs="?", choices=BENCHMARKS, help="what to measure (default: all that can run here)")
    task.add_argument(
        "--compare", nargs=2, type=Path, metavar=("OLD", "NEW"), help="compare two --json files, measuring nothing"
    )
    parser.add_argument("--data", type=Path, help="for photos: folder of multiview/ and lspe/ (default: ../shared)")
    parser.add_argument("--regressor", help="for photos: keypoints, proxy, graph, a file, or none (default: the best)")
    parser.add_argument("--threads", type=int, default=None, help="threads to use (default: torch's)")
    parser.add_argument("--json", type=Path, default=None, help="also write all figures and the machine to this file")


def run(options: Namespace) -> None:
    if options.compare:
        from meshrec.benchmarks.headlines import compare

        return compare(*options.compare)
    from meshrec.benchmarks.suite import run_suite

    use_threads(options.threads)
    if options.what not in (None, "photos"):
        for name in ("data", "regressor"):
            if getattr(options, name) is not None:
                raise InputError(f"--{name} is for the benchmark of photos")
    run_suite(options.what, options.data, options.regressor, options.json)
