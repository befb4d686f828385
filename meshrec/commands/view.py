"""Look at results in 3D in a browser: people, skeletons, cameras and what they saw, with a timeline for clips.

Example: meshrec view out/photo.jpg
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from meshrec.errors import InputError, say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("results", type=Path, help="a folder that reconstruct has written, or one with several of them")
    parser.add_argument("--port", type=int, default=8080, help="port, or the next free one (default: 8080)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets others look in (default: this computer)"
    )
    parser.add_argument("--clip", type=Path, help="the clip itself, to show its frames (default: those of the overlay)")
    parser.add_argument("--body", help="the body that the betas belong to (default: the one each file names)")


def run(options: Namespace) -> None:
    from meshrec.jobs.result_folders import result_folders
    from meshrec.viewer.panel import Viewer, ViewSettings

    if not 0 < options.port < 1 << 16:
        raise InputError(f"a port is a number from 1 to 65535, not {options.port}")
    found = list(result_folders(options.results))
    if not found:
        raise InputError(f"{options.results}: no results there; name a folder that meshrec reconstruct has written.")
    viewer = Viewer(found, ViewSettings(options.host, options.port, options.body, options.clip))
    say(f"{viewer.address} shows {len(found)} {'result' if len(found) == 1 else 'results'}; Ctrl-C ends it")
    try:
        viewer.serve()
    except KeyboardInterrupt:
        viewer.stop()
