"""Draw the shapes, poses and joints of the open body into one picture.

Example: python tools/open_body_sheet.py --out examples/open_body.png
"""

import argparse
from pathlib import Path

import cv2

from meshrec.body import load_body
from meshrec.build_body.sheet import body_sheet

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("examples/open_body.png"), help="picture to write")
    options = parser.parse_args()
    picture = body_sheet(load_body("neutral"), load_body("male"), load_body("female"))
    cv2.imwrite(str(options.out), picture[:, :, ::-1])
    print(options.out)
