"""The Khronos validator of glTF files."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def find_validator() -> str | None:
    """The folder to run node in, where the npm package gltf-validator can be loaded."""
    if shutil.which("node") is None:
        return None
    folders = [os.environ.get("GLTF_VALIDATOR", "")]
    if shutil.which("npm"):
        answer = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True)
        folders.append(answer.stdout.strip() + "/gltf-validator")
    return next((folder for folder in folders if folder and Path(folder, "package.json").is_file()), None)


@pytest.fixture(scope="session")
def validate():
    package = find_validator()
    if package is None:
        pytest.skip("gltf-validator not found: npm install -g gltf-validator, or name its folder in GLTF_VALIDATOR")
    script = (
        "const [package, file] = process.argv.slice(1);"
        "require(package).validateBytes(new Uint8Array(require('fs').readFileSync(file)))"
        ".then(report => console.log(JSON.stringify(report.issues)))"
    ).replace("package", "folder")

    def run(path: Path) -> dict:
        answer = subprocess.run(["node", "-e", script, package, str(path)], capture_output=True, text=True, check=True)
        return json.loads(answer.stdout)

    return run
