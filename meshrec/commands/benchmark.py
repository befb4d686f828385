"""Measure speed on this machine, against other libraries where they are installed.

Example: meshrec benchmark --json today.json
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from meshrec.benchmarks import BENCHMARKS
from meshrec.commands.options import use_threads


def add_arguments(parser: ArgumentParser) -> None:
    task = parser.add_mutually_exclusive_group()
    task.add_argument("what", nargs="?", choices=BENCHMARKS, help="what to measure (default: all that can run here)")
    task.add_argument(
        "--compare", nargs=2, type=Path, metavar=("OLD", "NEW"), help="compare two --json files, measuring nothing"
    )
    parser.add_argument("--threads", type=int, default=None, help="threads to use (default: torch's)")
    parser.add_argument("--json", type=Path, default=None, help="also write all figures and the machine to this file")


def run(options: Namespace) -> None:
    if options.compare:
        from meshrec.benchmarks.headlines import compare

        return compare(*options.compare)
    from meshrec.benchmarks.suite import run_suite

    use_threads(options.threads)
    run_suite(options.what, options.json)
