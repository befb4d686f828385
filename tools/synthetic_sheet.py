"""Draw a contact sheet of synthetic people: pictures with the true joints, and the detector's outlines and landmarks.

Filled dots are visible, rings are hidden; red is the person's left and blue the right.

Example:
    python tools/synthetic_sheet.py sheet.png --count 24 --seed 3
    python tools/synthetic_sheet.py frozen.png --benchmark
"""

import argparse
import sys
from pathlib import Path

from meshrec.body import load_body
from meshrec.errors import run_tool
from meshrec.files.atomic import known_suffix, write_file
from meshrec.render.overlay import encode_png
from meshrec.synthetic.backgrounds import FolderBackgrounds, noise_backgrounds
from meshrec.synthetic.benchmark import SyntheticBenchmark
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures
from meshrec.synthetic.sheet import benchmark_sheet, people_sheet
from meshrec.synthetic.textures import TextureLayout
from meshrec.synthetic.wardrobe import Wardrobe

RESOLUTION = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="picture to write, .png")
    parser.add_argument("--count", type=int, default=32, help="number of people")
    parser.add_argument("--seed", type=int, default=0, help="seed of the people")
    parser.add_argument("--first", type=int, default=0, help="index of the first person")
    parser.add_argument("--backgrounds", type=Path, help="folder of pictures to put behind them (default: noise)")
    parser.add_argument("--clothes", type=Path, help="folder of MakeHuman's garments to wear (default: only paint)")
    parser.add_argument("--benchmark", action="store_true", help="show people of the frozen benchmark instead")
    options = parser.parse_args()

    known_suffix(options.out, (".png",))
    body = load_body()
    if options.benchmark:
        sheet = benchmark_sheet(SyntheticBenchmark(body))
    else:
        behind = noise_backgrounds if options.backgrounds is None else FolderBackgrounds(options.backgrounds)
        source = SyntheticPeople(body, options.seed, resolution=RESOLUTION)
        numbers = range(options.first, options.first + options.count)
        wardrobe = None if options.clothes is None else Wardrobe.of_folder(options.clothes, body)
        sheet = people_sheet(source, numbers, Pictures(TextureLayout.of_body(body), behind, wardrobe=wardrobe))
    print(write_file(options.out, encode_png(sheet)))


if __name__ == "__main__":
    sys.exit(run_tool(main))
