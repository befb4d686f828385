"""Make the moving picture on top of the README: a clip, the bodies on it, and the same bodies from the side.

Without a clip of your own, a synthetic one is drawn, of somebody who dances in a take that no network was trained with.
The clip is reconstructed as `meshrec reconstruct` does it, and its overlay becomes an animated WebP.

Example:
    python tools/moving_picture.py examples/moving.webp
    python tools/moving_picture.py mine.webp --clip dance.mp4
"""

import argparse
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from meshrec.cli import main as meshrec
from meshrec.errors import InputError, run_tool
from meshrec.files import VideoWriter, open_clip
from meshrec.files.atomic import write_file
from meshrec.render.overlay import contact_sheet
from meshrec.synthetic.example_photo import SIZE, draw_example_clip

RATE = 15.0  # frames per second of the synthetic dance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="animated picture to write (.webp)")
    parser.add_argument("--clip", type=Path, help="a clip of your own (default: a synthetic dance)")
    parser.add_argument(
        "--height", type=int, default=320, help="height of the picture in pixels (default: %(default)s)"
    )
    parser.add_argument("--fps", type=float, default=12.0, help="pictures per second (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = options.clip or drawn(Path(folder) / "dance.mp4")
        results = Path(folder) / "out"
        if code := meshrec(["reconstruct", str(clip), "--out", str(results)]):
            sys.exit(code)
        overlays = sorted(results.glob("*/overlay.mp4"))
        if not overlays:
            raise InputError(f"{clip}: nobody was found in the clip, so that there is nothing to show.")
        write_file(options.out, animated(clip, overlays[0], options.height, options.fps))
    print(options.out)


def drawn(path: Path) -> Path:
    """The synthetic dance as a video."""
    with VideoWriter(path, SIZE, RATE) as video:
        for picture in draw_example_clip():
            video.write(picture)
    return path


def animated(clip: Path, overlay: Path, height: int, fps: float) -> bytes:
    """A clip beside its overlay, as an animated WebP that repeats for ever."""
    videos = (open_clip(path, fps=fps) for path in (clip, overlay))
    frames = [contact_sheet([frame.image for frame in pair], height=height) for pair in zip(*videos)]
    first, *rest = map(Image.fromarray, frames)
    data = io.BytesIO()
    timing = {"duration": round(1000 / fps), "loop": 0}
    first.save(data, "WEBP", save_all=True, append_images=rest, quality=60, method=6, **timing)
    return data.getvalue()


if __name__ == "__main__":
    sys.exit(run_tool(main))
