"""Take the networks that find people, faces and hands from the packages they come from, unchanged, and check them.

Example:
    npm pack @mediapipe/pose@0.5.1675469404
    pip download mediapipe==0.10.21 --no-deps --only-binary=:all: --python-version 3.12
    python tools/build_detector.py mediapipe-pose-0.5.1675469404.tgz mediapipe-0.10.21-*.whl
"""

import argparse
import hashlib
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from meshrec.detect.blazepose import FOLDER
from meshrec.errors import InputError, run_tool
from meshrec.files import write_file

# By the network's file: the package's file, and the SHA-256 of both.
POSE = {
    "pose_detection.tflite": (
        "package/pose_solution_packed_assets.data",
        "a63c614bef30d35947f13be361820b1e4e3bec9cfeebf4d11216a18373108e85",
    ),
    "pose_landmark_full.tflite": (
        "package/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
    "pose_landmark_heavy.tflite": (
        "package/pose_landmark_heavy.tflite",
        "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
    ),
}
CLOSE_UPS = {
    "face_landmark.tflite": (
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    ),
    "hand_landmark_lite.tflite": (
        "mediapipe/modules/hand_landmark/hand_landmark_lite.tflite",
        "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "packages", type=Path, nargs="+", help="the npm package @mediapipe/pose (.tgz), the wheel of mediapipe (.whl)"
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write into (default: the package's own)")
    options = parser.parse_args()
    for package in options.packages:
        for name, content in read_networks(package).items():
            print(write_file(options.out / name, content))


def read_networks(package: Path) -> dict[str, bytes]:
    """The networks' files by name: those of people from an npm package, those of faces and hands from a wheel.

    Raises:
        InputError: The package is not one that the networks come from.
    """
    try:
        if package.suffix == ".whl":
            with zipfile.ZipFile(package) as wheel:
                return _checked(package, CLOSE_UPS, wheel.read)
        with tarfile.open(package) as archive:
            return _checked(package, POSE, lambda member: _content(archive, member))
    except (tarfile.TarError, zipfile.BadZipFile, KeyError, OSError):
        raise InputError(f"{package}: this is neither the npm package @mediapipe/pose nor mediapipe's wheel.") from None


def _checked(package: Path, networks: dict[str, tuple[str, str]], read: Callable[[str], bytes]) -> dict[str, bytes]:
    """The networks of a package whose files ``read`` gives."""
    found = {name: read(member) for name, (member, _) in networks.items()}
    for name, (member, digest) in networks.items():
        if hashlib.sha256(found[name]).hexdigest() != digest:
            raise InputError(f"{package}: {member} in it is not the network that meshrec was made with.")
    return found


def _content(archive: tarfile.TarFile, member: str) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


if __name__ == "__main__":
    sys.exit(run_tool(main))
