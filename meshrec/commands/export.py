"""Rebuild meshes from parameter files.

Example: meshrec export out/photo.jpg/person_0.json --format ply,glb --skinned
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from meshrec.commands.options import names
from meshrec.errors import say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("parameters", nargs="+", type=Path, help=".json or .npz files of people")
    parser.add_argument("--out", type=Path, help="folder to write into (default: beside each file)")
    parser.add_argument("--format", default="obj,glb", help="of obj, ply, glb, json, npz (default: obj,glb)")
    parser.add_argument("--skinned", action="store_true", help="give the .glb a skeleton that poses it")
    parser.add_argument(
        "--body", help="the body that the parameters belong to (default: the open body each file names)"
    )


def run(options: Namespace) -> None:
    from meshrec.reconstruct.person import export_people

    for path in export_people(options.parameters, names(options.format), options.out, options.body, options.skinned):
        say(path)
