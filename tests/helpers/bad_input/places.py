"""Every argument that names a file, given what is not there, a folder, an empty file, or bytes without any meaning."""

from collections.abc import Iterable

from helpers.bad_input.case import Case
from helpers.bad_input.photos import GOOD_PHOTO

NOISE = bytes(range(255, -1, -1)) * 2
ARGUMENTS = {
    "photo": "reconstruct {} --out out",
    "boxes": "reconstruct a.jpg --out out --boxes {}",
    "keypoints": "reconstruct a.jpg --out out --keypoints {}",
    "photo-body": "reconstruct a.jpg --out out --body {}.pkl",
    "pose-model": "reconstruct a.jpg --out out --pose-model {}.task",
    "regressor": "reconstruct a.jpg --out out --regressor {}.safetensors",
    "parameters-json": "export {}.json --out out",
    "parameters-npz": "export {}.npz --out out",
    "body-pkl": "convert-body {}.pkl out.npz",
    "body-npz": "convert-body {}.npz out.npz",
    "body-safetensors": "convert-body {}.safetensors out.npz",
    "drawn-body": "body --out out --body {}.npz",
    "import": "import-checkpoint {}.pt out.safetensors --body SMPL",
    "import-safetensors": "import-checkpoint {}.safetensors out.safetensors --body SMPL",
    "config": "train --config {}.yaml --out out",
    "checkpoint": "evaluate --checkpoint {}.safetensors --dataset synthetic --out out",
    "spin": "evaluate --checkpoint proxy --dataset spin:{}.npz --pictures . --out out",
    "coco": "evaluate --checkpoint proxy --dataset coco:{}.json --pictures . --out out",
    "3dpw": "evaluate --checkpoint proxy --dataset 3dpw:{}.pkl --pictures . --out out",
    "lspe": "evaluate --checkpoint proxy --dataset lspe:{}.tar --out out",
    "multiview": "evaluate --checkpoint proxy --dataset multiview:{} --out out",
    "shards": "evaluate --checkpoint proxy --dataset shards:{}.tar --out out",
    "bvh": "read-bvh {}.bvh",
    "asf": "read-acclaim {}.asf a.amc",
}


def places() -> Iterable[Case]:
    for name, command in ARGUMENTS.items():
        given = command.split("{}")[1].split()[0] if command.split("{}")[1].startswith(".") else ""
        contents = {f"folder{given}/": "", f"empty{given}": "", f"noise{given}": NOISE}
        for place in ("missing", "folder", "empty", "noise"):
            yield Case(f"{name}-is-{place}", command.format(place), f"{place}{given}", GOOD_PHOTO | contents)
