"""Run the detector on pictures of synthetic people, and write its detections with the truth.

This takes about an eighth of a second per person on one core. If it is interrupted, running it again continues.

Example:
    python tools/detect_renders.py out/detected.npz --count 10000 --backgrounds photos_without_people
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from meshrec.body import load_body
from meshrec.detect import load_detector
from meshrec.errors import InputError, run_tool
from meshrec.synthetic.backgrounds import FolderBackgrounds, noise_backgrounds
from meshrec.synthetic.detected_renders import (
    DetectedRenders,
    detect_renders,
    join_renders,
    load_renders,
    save_renders,
)
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures
from meshrec.synthetic.textures import TextureLayout
from meshrec.synthetic.wardrobe import Wardrobe

CHUNK = 16
SAVED_EVERY = 32  # chunks


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help=".npz file to write, or to continue")
    parser.add_argument("--count", type=int, default=10000, help="total number of people")
    parser.add_argument("--seed", type=int, default=1000, help="seed of the people")
    parser.add_argument("--resolution", type=int, default=448, help="side of the pictures, pixels")
    parser.add_argument("--body", default="neutral", help="neutral, male, female or a body file with a texture layout")
    parser.add_argument("--backgrounds", type=Path, help="folder of pictures without people (default: noise)")
    parser.add_argument("--clothes", type=Path, help="folder of MakeHuman's garments to wear (default: only paint)")
    options = parser.parse_args()

    body = load_body(options.body)
    source = SyntheticPeople(body, options.seed, resolution=options.resolution)
    behind = noise_backgrounds if options.backgrounds is None else FolderBackgrounds(options.backgrounds)
    wardrobe = None if options.clothes is None else Wardrobe.of_folder(options.clothes, body)
    pictures = Pictures(TextureLayout.of_body(body), behind, supersample=1, wardrobe=wardrobe)
    parts = [_earlier(options.out, source)] if options.out.exists() else []
    start = sum(len(part) for part in parts)
    indices = range(start, options.count)
    work = detect_renders(source, indices, pictures, load_detector(), CHUNK)
    for i, part in enumerate(track(work, "detecting", -(-len(indices) // CHUNK)), start=1):
        parts.append(part)
        if i % SAVED_EVERY == 0:
            save_renders(options.out, join_renders(parts))
    save_renders(options.out, join_renders(parts))
    renders = join_renders(parts)
    print(f"{options.out}: {len(renders)} people, {(renders.score > 0).mean():.1%} of them found")


def _earlier(path: Path, source: SyntheticPeople) -> DetectedRenders:
    """The detections of an earlier run, which must be of the same people."""
    earlier = load_renders(path)
    same = (earlier.seed, earlier.resolution, earlier.body) == (source.seed, source.resolution, source.body.hash)
    last = earlier.index[-1:].tolist()
    if not same or not np.allclose(source.draw(last).rotations.numpy(), earlier.rotations[-1:], atol=1e-3):
        raise InputError(f"{path} holds other people (seed, resolution, body or poses differ): choose another file")
    return earlier


if __name__ == "__main__":
    sys.exit(run_tool(main))
