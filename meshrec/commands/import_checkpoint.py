"""Convert published weights, of the networks that `meshrec models` lists, without running any code in the file.

Example: meshrec import-checkpoint epoch=35-step=1000000.ckpt hmr2.safetensors --body SMPL_NEUTRAL.pkl
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from meshrec.errors import say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="the published .pt, .pth or .ckpt; its kind is recognised")
    parser.add_argument("target", type=Path, help=".safetensors")
    parser.add_argument("--body", help="the body it was trained with: SMPL's neutral one (not for fields of view)")
    parser.add_argument("--graph", type=Path, help="for GraphCMR: its mesh_downsampling.npz")


def run(options: Namespace) -> None:
    from meshrec.body import load_body
    from meshrec.models.published import import_checkpoint

    body = None if options.body is None else load_body(options.body)
    made = import_checkpoint(options.source, options.target, body, options.graph)
    of_body = f", body {made.body_hash}" if made.body_hash else ""
    say(f"{made.path}: {made.kind}, {made.parameters / 1e6:.1f} M parameters{of_body}")
