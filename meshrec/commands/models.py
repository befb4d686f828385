"""Print each network's parameters, floating-point operations, input, and latency on this CPU.

Example: meshrec models --threads 2
"""

from argparse import ArgumentParser, Namespace

from meshrec.commands.options import use_threads


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=None, help="threads to use (default: torch's)")


def run(options: Namespace) -> None:
    from meshrec.benchmarks.models import summarize_models

    use_threads(options.threads)
    summarize_models()
