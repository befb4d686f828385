"""Draw the shapes, poses and joints of the open body into one picture.

Example: python tools/open_body_sheet.py --out examples/open_body.png
"""

import argparse
import sys
from pathlib import Path

import cv2

from meshrec.body import load_body
from meshrec.build_body.sheet import body_sheet
from meshrec.errors import run_tool
from meshrec.files.atomic import known_suffix, write_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("examples/open_body.png"), help="picture to write, .png, .jpg")
    options = parser.parse_args()
    suffix = known_suffix(options.out, (".png", ".jpg"))
    picture = body_sheet(load_body("neutral"), load_body("male"), load_body("female"))
    print(write_file(options.out, cv2.imencode(suffix, picture[..., ::-1])[1].tobytes()))


if __name__ == "__main__":
    sys.exit(run_tool(main))
