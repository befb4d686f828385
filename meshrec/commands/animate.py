"""Turn motions of AMASS, 4D-Humans, WHAM, VIBE and meshrec into animations for 3D programs.

Example: meshrec animate walk.npz -o walk.glb
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from meshrec.errors import say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "motion",
        type=Path,
        help=".npz of AMASS or meshrec, .pkl of 4D-Humans, WHAM or VIBE, .bvh, or a folder of the results of frames",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="the file to write: .glb, .bvh, .npz or .mp4")
    parser.add_argument("--fps", type=float, help="frames per second (default: what the file says)")
    parser.add_argument("--up", help="axis of the file that points up: --up=y, --up=z or --up=-y (default: recognised)")
    parser.add_argument("--person", type=int, help="number of one of several people (default: everyone)")
    parser.add_argument("--body", help="the body that the betas belong to, such as SMPL_NEUTRAL.pkl")
    parser.add_argument("--names", default="smpl", help="names of a .bvh's joints: smpl or mixamo (default: smpl)")
    parser.add_argument("--unit", default="cm", help="unit of a .bvh's lengths: cm or m (default: cm)")


def run(options: Namespace) -> None:
    from meshrec.jobs.animations import AnimateSettings, animate

    settings = AnimateSettings(options.fps, options.up, options.person, options.body, options.names, options.unit)
    notes = animate(options.motion, options.out, settings)
    say(options.out)
    for note in notes:
        say(f"  note: {note}")
