"""Draw the shipped example photo: the open body, dressed by paint, dancing in a room.

Example: python tools/render_example_photo.py --out examples/dancer.jpg
"""

import argparse
import sys
from pathlib import Path

import cv2

from meshrec.errors import run_tool
from meshrec.files.atomic import write_file
from meshrec.synthetic.example_photo import draw_example_photo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("examples/dancer.jpg"), help="picture to write")
    options = parser.parse_args()
    _, encoded = cv2.imencode(".jpg", draw_example_photo()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(write_file(options.out, encoded.tobytes()))


if __name__ == "__main__":
    sys.exit(run_tool(main))
