"""Convert an SMPL file, chumpy pickles included, to a plain file without pickles.

Example: meshrec convert-body SMPL_NEUTRAL.pkl body_models/smpl_neutral.npz
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from meshrec.errors import say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help=".pkl, .npz or .safetensors")
    parser.add_argument("target", type=Path, help=".npz or .safetensors")


def run(options: Namespace) -> None:
    from meshrec.body import read_body, write_body

    body = read_body(options.source)
    write_body(body, options.target)
    vertices, _, betas = body.shapedirs.shape
    say(f"{options.target}: {vertices} vertices, {len(body.faces)} faces, {betas} betas, hash {body.hash}")
