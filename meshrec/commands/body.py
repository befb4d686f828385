"""Write a body in a few poses as meshes, and a picture of them.

Example: meshrec body --out out --body neutral --poses 't-pose,running' --format obj,glb
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from meshrec.commands.options import names, numbers
from meshrec.errors import say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--body", default="neutral", help="neutral, male, female, or an SMPL file (default: neutral)")
    parser.add_argument("--poses", default=None, help="names of poses, separated by commas (default: all)")
    parser.add_argument("--betas", default="", help="shape coefficients, separated by commas (default: mean shape)")
    parser.add_argument("--format", default="obj,glb", help="of obj, ply, glb, separated by commas (default: obj,glb)")


def run(options: Namespace) -> None:
    from meshrec.jobs.showcase import write_showcase

    poses = names(options.poses) if options.poses is not None else None
    for path in write_showcase(options.out, options.body, poses, numbers(options.betas), names(options.format)):
        say(path)
