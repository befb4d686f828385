"""Train a network; the same command resumes a training that was interrupted.

Example: meshrec train --config configs/iterative_keypoints.yaml optimizer.rate=5e-4 --out runs/keypoints renders=null
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from meshrec.errors import MissingDependency, say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--config", action="append", required=True, help="YAML file; further ones change the first")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="change a key of the configuration")
    parser.add_argument("--out", type=Path, help="folder of checkpoint and logs (default: the configuration's)")


def run(options: Namespace) -> None:
    from dataclasses import replace
    from importlib.util import find_spec

    if missing := [name for name in ("lightning", "pydantic", "tensorboard") if find_spec(name) is None]:
        raise MissingDependency(f"training needs {missing[0]}: pip install 'meshrec[train]'")
    from meshrec.training import load_config, train

    config = load_config(options.config, options.changes)
    say(train(config if options.out is None else replace(config, out=options.out)))
