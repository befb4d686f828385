"""Check the wheel and the source archive of a release: what is in them, how large they are, and of which version.

Example:
    python -m build && python tools/check_release.py dist && twine check --strict dist/*
    python tools/check_release.py dist --tag v0.1.0
"""

import argparse
import re
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from meshrec.errors import InputError, complain, say

MOST_BYTES = 100_000_000  # of one file
WHEEL_NEEDS = (
    "meshrec/__init__.py",
    "meshrec/py.typed",
    "meshrec/blender/meshrec_blender.py",
    "meshrec/body_models/open_neutral.npz",
    "meshrec/body_models/open_female.npz",
    "meshrec/body_models/open_male.npz",
    "meshrec/configs/tiny.yaml",
    "meshrec/detect/networks/pose_landmark_heavy.tflite",
    "meshrec/export/schemas/person.json",
    "meshrec/models/weights/iterative_proxy.safetensors",
    "meshrec/models/weights/voxel_to_voxel.safetensors",
)
SOURCE_NEEDS = (
    *("LICENSE", "NOTICE", "README.md", "pyproject.toml", "setup.py"),
    *("body_models/open_neutral.npz", "configs/tiny.yaml", "meshrec/__init__.py", "tools/blender/meshrec_blender.py"),
)
NOT_WANTED = re.compile(
    r"(^|/)(tests?|__pycache__|shared|out)/|\.(pyc|pkl|pt|pth|ckpt|orig|rej)$|(^|/)SMPL[^/]*$|(^|/)\."
)


def read_names(path: Path) -> list[str]:
    """Names of the files in a wheel, or in a source archive below its folder.

    Raises:
        InputError: The file is no such archive.
    """
    try:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                return [name for name in wheel.namelist() if not name.endswith("/")]
        with tarfile.open(path) as source:
            return [str(PurePosixPath(*PurePosixPath(m.name).parts[1:])) for m in source.getmembers() if m.isfile()]
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise InputError(f"{path} is no archive that can be read: {error}; build it again.") from error


def version_of(path: Path) -> str:
    """The version in an archive's name.

    Raises:
        InputError: The name has none.
    """
    match = re.match(r"meshrec-(\d[^-]*?)(?:-py3-none-any\.whl|\.tar\.gz)$", path.name)
    if match is None:
        raise InputError(f"{path} is named neither as a wheel for every system nor as a source archive of meshrec.")
    return match[1]


def faults(path: Path, tag: str | None = None) -> list[str]:
    """What is wrong with a wheel or source archive, a sentence each.

    Args:
        path: The file.
        tag: The tag of the release, such as v0.1.0.
    """
    names, version = read_names(path), version_of(path)
    needed = WHEEL_NEEDS if path.suffix == ".whl" else SOURCE_NEEDS
    found = [f"{path.name} lacks {name}." for name in needed if name not in names]
    found += [f"{path.name} has {name}, which does not belong there." for name in names if NOT_WANTED.search(name)]
    if path.suffix == ".whl" and f"meshrec-{version}.dist-info/METADATA" not in names:
        found.append(f"{path.name} has no metadata of version {version}.")
    if path.stat().st_size > MOST_BYTES:
        found.append(f"{path.name} has {path.stat().st_size / 1e6:.1f} MB; {MOST_BYTES / 1e6:.0f} are allowed.")
    if tag is not None and tag.removeprefix("v") != version:
        found.append(f"{path.name} is of version {version}, but the tag is {tag}.")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the wheel and the source archive, such as dist")
    parser.add_argument("--tag", help="tag of the release, which has to name the version")
    parser.add_argument("--list", action="store_true", help="list what is in the files")
    options = parser.parse_args(arguments)
    try:
        files = [*options.folder.glob("*.whl"), *options.folder.glob("*.tar.gz")]
        if [path.suffix for path in files] != [".whl", ".gz"]:
            raise InputError(f"{options.folder} should hold one wheel and one source archive: run python -m build.")
        found = [fault for path in files for fault in faults(path, options.tag)]
        for path in files:
            names = read_names(path)
            say(f"{path.name}: {len(names)} files, {path.stat().st_size / 1e6:.1f} MB")
            if options.list:
                say("\n".join(f"  {name}" for name in sorted(names)))
    except InputError as error:
        found = [str(error)]
    for fault in found:
        complain(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
