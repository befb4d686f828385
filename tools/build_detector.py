"""Take the networks that find people from the npm package they come from, unchanged, and check them.

Example: npm pack @mediapipe/pose@0.5.1675469404 && python tools/build_detector.py mediapipe-pose-0.5.1675469404.tgz
"""

import argparse
import hashlib
import sys
import tarfile
from pathlib import Path

from meshrec.detect.blazepose import FOLDER
from meshrec.errors import InputError, run_tool
from meshrec.files import write_file

# By the network's file: the package's file, and the SHA-256 of both.
NETWORKS = {
    "pose_detection.tflite": (
        "pose_solution_packed_assets.data",
        "a63c614bef30d35947f13be361820b1e4e3bec9cfeebf4d11216a18373108e85",
    ),
    "pose_landmark_full.tflite": (
        "pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
    "pose_landmark_heavy.tflite": (
        "pose_landmark_heavy.tflite",
        "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the npm package @mediapipe/pose, a .tgz file")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write into (default: the package's own)")
    options = parser.parse_args()
    for name, content in read_networks(options.package).items():
        print(write_file(options.out / name, content))


def read_networks(package: Path) -> dict[str, bytes]:
    """The networks' files by name.

    Raises:
        InputError: The package is not the one that the networks come from.
    """
    found = {}
    try:
        with tarfile.open(package) as archive:
            for name, (member, digest) in NETWORKS.items():
                file = archive.extractfile(f"package/{member}")
                content = b"" if file is None else file.read()
                if hashlib.sha256(content).hexdigest() != digest:
                    raise InputError(f"{package}: {member} in it is not the network that meshrec was made with.")
                found[name] = content
    except (tarfile.TarError, KeyError, OSError):
        raise InputError(f"{package}: this is not the npm package @mediapipe/pose.") from None
    return found


if __name__ == "__main__":
    sys.exit(run_tool(main))
