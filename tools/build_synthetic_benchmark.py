"""Write the frozen synthetic benchmark as files: shards of pictures with labels, and the detector's detections.

``meshrec evaluate --dataset synthetic`` makes the same people itself and needs no files. The shards are for other
programs, and the detections (``--detections out/synthetic/detections.npz``) save each evaluation a fifth of a second
per person. If the script is interrupted, running it again continues.

Example: python tools/build_synthetic_benchmark.py out/synthetic
"""

import argparse
import sys
from pathlib import Path

import torch

from meshrec.body import load_body
from meshrec.datasets.shards import write_shards
from meshrec.detect import load_detector
from meshrec.errors import run_tool
from meshrec.evaluation.detections import detect_samples
from meshrec.evaluation.run import PHOTO_RESOLUTION
from meshrec.evaluation.subjects import Detected
from meshrec.synthetic.benchmark import SyntheticBenchmark


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write shards/ and detections.npz into")
    parser.add_argument("--no-shards", action="store_true", help="only the detections")
    parser.add_argument("--count", type=int, help="detect only the first COUNT people (default: all 2,000)")
    options = parser.parse_args()
    benchmark = SyntheticBenchmark(load_body("neutral"), PHOTO_RESOLUTION)
    if not options.no_shards and not any((options.out / "shards").glob("*.tar")):
        write_shards(benchmark, options.out / "shards", PHOTO_RESOLUTION, margin=1.0, per_shard=500, written=print)
    detector, count = Detected(load_detector()), min(options.count or len(benchmark), len(benchmark))
    found = detect_samples(benchmark, detector.of, options.out / "detections.npz", count)
    missed = sum(detection is None for detection in found.values())
    print(f"{options.out / 'detections.npz'}: {len(found)} people, {missed} of them not found")


if __name__ == "__main__":
    sys.exit(run_tool(main))
