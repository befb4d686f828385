"""Print the floor poses whose parts do not touch the floor on a body, with angles near theirs that restore contact.

The printed lines go into meshrec/poses/floor_poses.py.

Example:
    python tools/settle_floor_poses.py --above 15
"""

import argparse
import sys

from meshrec.body import load_body
from meshrec.errors import run_tool
from meshrec.poses.floor_contact import contact_gaps, settled
from meshrec.poses.floor_poses import FLOOR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--above", type=float, default=15, help="least gap of a pose to settle, millimetres")
    parser.add_argument("--body", default="neutral", help="name or file of the body")
    options = parser.parse_args()

    body = load_body(options.body)
    for name, pose in FLOOR.items():
        before = 1000 * max(contact_gaps(body, pose).values())
        if before <= options.above:
            continue
        better = settled(body, pose)
        after = 1000 * max(contact_gaps(body, better).values())
        print(f"{name}: {before:.0f} mm before, {after:.0f} mm after")
        print(f"    {dict(better.turns)}")


if __name__ == "__main__":
    sys.exit(run_tool(main))
