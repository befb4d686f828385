"""Draw calibrated frames with the bodies of the regressor, of the fit from its estimate, and of the fit alone.

Example: python tools/photo_sheet.py --data ../shared --rows 10 44 78 112 --out out/filmed.jpg
"""

import argparse
import sys
from pathlib import Path

import cv2

from meshrec.body import load_body
from meshrec.detect import load_detector
from meshrec.errors import run_tool
from meshrec.evaluation.methods import reconstructors
from meshrec.evaluation.photo_sheet import multiview_sheet
from meshrec.files.atomic import known_suffix, write_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared"), help="folder that holds multiview/")
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10, 44, 78, 112], help="numbers of the pictures to show"
    )
    parser.add_argument("--regressor", help="as for meshrec reconstruct")
    parser.add_argument("--width", type=int, default=1334, help="width of the sheet, pixels")
    parser.add_argument("--out", type=Path, default=Path("out/filmed.jpg"), help="picture to write, .png or .jpg")
    options = parser.parse_args()
    suffix = known_suffix(options.out, (".png", ".jpg"))
    methods = reconstructors(load_body("neutral"), options.regressor)
    sheet = multiview_sheet(options.data / "multiview", load_detector(), methods, options.rows)
    size = options.width, round(options.width * sheet.shape[0] / sheet.shape[1])
    picture = cv2.resize(sheet[..., ::-1], size, interpolation=cv2.INTER_AREA)
    print(write_file(options.out, cv2.imencode(suffix, picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()))


if __name__ == "__main__":
    sys.exit(run_tool(main))
