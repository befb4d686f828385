"""Draw people of a dataset with their labels, to check them before training.

Example: python tools/data_sheet.py lspe ../shared/lspe/val.tar --augment --out sheet.png
"""

import argparse
import sys
from pathlib import Path

import cv2

from meshrec.data.augmentation import Augmentation
from meshrec.data.mixing import MixedSamples
from meshrec.data.sheet import labelled_sheet
from meshrec.datasets.formats import FORMATS, WITH_PICTURES_ELSEWHERE, read_samples
from meshrec.errors import run_tool
from meshrec.files.atomic import known_suffix, write_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=FORMATS, help="format of the labels")
    parser.add_argument("labels", type=Path, help="file or folder of the labels")
    parser.add_argument("--pictures", type=Path, help=f"folder of the pictures ({', '.join(WITH_PICTURES_ELSEWHERE)})")
    parser.add_argument("--out", type=Path, required=True, help="picture to write, .png or .jpg")
    parser.add_argument("--people", type=int, default=18, help="number of people (default: 18)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random choice of people (default: 0)")
    parser.add_argument("--augment", action="store_true", help="augment the pictures as training does")
    options = parser.parse_args()
    suffix = known_suffix(options.out, (".png", ".jpg"))
    samples = read_samples(options.format, options.labels, options.pictures)
    augmentation = Augmentation() if options.augment else None
    batch = MixedSamples([samples], [1], augmentation=augmentation, seed=options.seed).batch(range(options.people))
    sheet = cv2.cvtColor(labelled_sheet(batch, columns=min(3, len(batch))), cv2.COLOR_RGB2BGR)
    print(write_file(options.out, cv2.imencode(suffix, sheet)[1].tobytes()))


if __name__ == "__main__":
    sys.exit(run_tool(main))
