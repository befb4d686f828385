"""Write a dataset as shards: pictures and labels of people in a few large tar files.

Example: python tools/make_shards.py lspe ../shared/lspe/train.tar --out shards/lspe
"""

import argparse
import sys
from pathlib import Path

from meshrec.body import read_body
from meshrec.body.library import find_body
from meshrec.datasets.formats import FORMATS, WITH_PICTURES_ELSEWHERE, read_samples
from meshrec.datasets.shards import write_shards
from meshrec.errors import run_tool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=FORMATS, help="format of the labels")
    parser.add_argument("labels", type=Path, help="file or folder of the labels")
    parser.add_argument("--pictures", type=Path, help=f"folder of the pictures ({', '.join(WITH_PICTURES_ELSEWHERE)})")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--resolution", type=int, default=256, help="pixels of a person's crop (default: 256)")
    parser.add_argument("--margin", type=float, default=1.5, help="side of the picture over the crop's (default: 1.5)")
    parser.add_argument("--per-shard", type=int, default=1000, help="people in a shard (default: 1000)")
    parser.add_argument("--workers", type=int, default=0, help="worker processes (default: 0, this process alone)")
    for body in ("neutral", "male", "female"):
        parser.add_argument(f"--{body}", help=f"the SMPL file that betas of the {body} body belong to")
    options = parser.parse_args()
    files = {name: getattr(options, name) for name in ("neutral", "male", "female")}
    bodies = {name: read_body(find_body(file)).hash for name, file in files.items() if file}
    samples = read_samples(options.format, options.labels, options.pictures, bodies)
    size = options.resolution, options.margin, options.per_shard
    write_shards(samples, options.out, *size, workers=options.workers, written=print)


if __name__ == "__main__":
    sys.exit(run_tool(main))
