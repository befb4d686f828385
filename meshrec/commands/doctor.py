"""Print what is installed and whether it works, to paste into a bug report; exit code 1 if something is wrong.

Example: meshrec doctor
"""

from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """The command has no arguments, because a report of everything is the easiest to ask a user for."""


def run(options: Namespace) -> int:
    from meshrec.doctor import report

    return 0 if report() else 1
