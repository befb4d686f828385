"""Measure what close looks at faces and hands say of the rotations of heads and wrists, on renders of a body.

The script prints the table in meshrec/landmarks/rigid_parts.py, or with --errors how far people are reconstructed with
heads and palms turned wrongly, with close looks and without.

Example:
    python tools/measure_close_ups.py --count 400
    python tools/measure_close_ups.py --count 160 --errors
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from rich.progress import track

from meshrec.body import BodyModel, load_body
from meshrec.detect.blazepose_detector import BlazePoseDetector
from meshrec.detect.blazepose_settings import BlazePoseSettings
from meshrec.detect.close_ups import PARTS, CloseUpSettings
from meshrec.errors import run_tool
from meshrec.evaluation.close_ups import FACING, Seen, facing_errors, look_at_renders, measure_parts
from meshrec.metrics import pa_mpjpe
from meshrec.reconstruct import Reconstructor
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures
from meshrec.synthetic.textures import TextureLayout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400, help="number of people to render")
    parser.add_argument("--resolution", type=int, default=896, help="side of the pictures, pixels")
    parser.add_argument("--body", default="neutral", help="neutral, male, female or a body file with a texture layout")
    parser.add_argument("--errors", action="store_true", help="compare reconstructions of held-out people instead")
    parser.add_argument("--regressor", default="proxy", help="regressor of the reconstructions, or none")
    options = parser.parse_args()

    body = load_body(options.body)
    split, seed = ("held_out", 7003) if options.errors else ("train", 7001)
    source = SyntheticPeople(body, seed, split, options.resolution)
    pictures = Pictures(TextureLayout.of_body(body), supersample=1)
    detector = BlazePoseDetector(settings=replace(BlazePoseSettings(), close_ups=CloseUpSettings(parts=PARTS)))
    people = track(look_at_renders(source, range(options.count), pictures, detector), "people", options.count)
    if options.errors:
        compare(people, body, options.regressor)
        return
    for joint, part in measure_parts(list(people), body).items():
        print(f"{joint}: {part}")


def compare(people: Iterable[Seen], body: BodyModel, regressor: str) -> None:
    """Print the errors of reconstructions without and with close looks."""
    reconstruct = Reconstructor(body=body, regressor=regressor)
    found: dict[str, list] = {"without": [], "with": []}
    true, observed, errors = [], [], {"without": [], "with": []}
    for person in people:
        bare = replace(person.detection, close_ups=())
        for title, detection in (("without", bare), ("with", person.detection)):
            (result,) = reconstruct.embody(person.image, [detection], person.camera)
            found[title].append(torch.from_numpy(result.rotations))
            errors[title].append(float(pa_mpjpe(torch.from_numpy(result.joints())[None], person.joints[None])))
        true.append(person.rotations)
        observed.append([any(close.joint == joint for close in person.detection.close_ups) for joint in FACING])
    for title, rotations in found.items():
        print(f"{title} close looks: PA-MPJPE {np.mean(errors[title]):.1f} mm of {len(true)} people")
        angles = facing_errors(torch.stack(rotations), torch.stack(true), body)
        for (joint, angle), seen in zip(angles.items(), np.array(observed).T):
            print(
                f"  {joint} of the {seen.sum()} who are seen closely: median {np.median(angle[seen]):.1f}, "
                f"mean {angle[seen].mean():.1f} degrees; of all: median {np.median(angle):.1f}, mean {angle.mean():.1f}"
            )


if __name__ == "__main__":
    sys.exit(run_tool(main))
