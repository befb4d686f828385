"""Releases: one version everywhere, archives with what they need, and workflows that name what is there."""

import io
import re
import runpy
import sys
import tarfile
import urllib.parse
import zipfile
from pathlib import Path

import pytest
import yaml
from helpers.paths import ROOT, TOOLS

import meshrec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECK = runpy.run_path(str(TOOLS / "check_release.py"))


def write_wheel(folder: Path, version: str, extra: tuple[str, ...] = (), without: str = "") -> Path:
    path = folder / f"meshrec-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name in (*CHECK["WHEEL_NEEDS"], f"meshrec-{version}.dist-info/METADATA", *extra):
            if name != without:
                wheel.writestr(name, "")
    return path


def write_source(folder: Path, version: str) -> Path:
    path = folder / f"meshrec-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as source:
        for name in CHECK["SOURCE_NEEDS"]:
            source.addfile(tarfile.TarInfo(f"meshrec-{version}/{name}"), io.BytesIO())
    return path


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    if "version" in project["project"].get("dynamic", []):
        assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "meshrec.__version__"}
    else:
        assert project["project"]["version"] == meshrec.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == meshrec.__version__
    addon = (TOOLS / "blender" / "meshrec_blender.py").read_text()
    numbers = re.search(r'"version": \((\d+), (\d+), (\d+)\)', addon).groups()
    assert ".".join(numbers) == meshrec.__version__.split("-")[0]


def test_sound_archives_pass(tmp_path, capsys):
    write_wheel(tmp_path, "1.2.3")
    write_source(tmp_path, "1.2.3")
    assert CHECK["main"]([str(tmp_path), "--tag", "v1.2.3", "--list"]) == 0
    assert "  meshrec/py.typed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, tag, fault",
    [
        ({"without": "meshrec/py.typed"}, None, "lacks meshrec/py.typed"),
        ({"extra": ("meshrec/body_models/SMPL_NEUTRAL.pkl",)}, None, "does not belong there"),
        ({"extra": ("tests/test_cli.py",)}, None, "does not belong there"),
        ({}, "v1.2.4", "but the tag is v1.2.4"),
    ],
)
def test_faults_of_archives_are_found(tmp_path, capsys, options, tag, fault):
    write_wheel(tmp_path, "1.2.3", **options)
    write_source(tmp_path, "1.2.3")
    assert CHECK["main"]([str(tmp_path), *(["--tag", tag] if tag else [])]) == 1
    assert fault in capsys.readouterr().err


def test_a_folder_without_archives_is_told(tmp_path, capsys):
    assert CHECK["main"]([str(tmp_path)]) == 1
    assert "one wheel and one source archive" in capsys.readouterr().err
    (tmp_path / "meshrec-1.0-py3-none-any.whl").write_bytes(b"no archive")
    write_source(tmp_path, "1.0")
    assert CHECK["main"]([str(tmp_path)]) == 1
    assert "no archive that can be read" in capsys.readouterr().err


def test_what_is_installed_is_there():
    """The lists of the check name files of this checkout, so that they stay true."""
    for name in CHECK["SOURCE_NEEDS"]:
        assert (ROOT / name).exists(), name
    moved = {"blender": "tools/blender", "body_models": "body_models", "configs": "configs"}  # as setup.py says
    for name in CHECK["WHEEL_NEEDS"]:
        package, folder, *rest = name.split("/")
        assert ROOT.joinpath(*([moved[folder]] if folder in moved else [package, folder]), *rest).exists(), name


def test_the_image_runs_without_rights_and_copies_what_is_there():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line.split()[1] for line in lines if line.startswith("USER ")][-1] != "root"
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / name).exists() for name in [*kept, "constraints.txt"])
    assert {Path(name).parts[0] for name in CHECK["SOURCE_NEEDS"]} <= {Path(name).parts[0] for name in kept}


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_workflows_are_sound_and_name_what_is_there(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["jobs"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for script in re.findall(r"(?:python|bash) ((?:tools|\.ci)/[\w./]+)", path.read_text()):
        assert (ROOT / script).exists(), script
    for names in re.findall(r'"?\.\[([\w,]+)\]', path.read_text()):
        assert set(names.split(",")) <= extras.keys(), names


def test_the_badges_tell_the_truth():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "README.md").read_text()
    badges = dict(re.findall(r"img\.shields\.io/badge/(\w+)-((?:[^-)]|--)+)-\w+\)", page))
    told = {name: urllib.parse.unquote(text).replace("--", "-").replace("_", " ") for name, text in badges.items()}
    bodies = (ROOT / "body_models" / "README.md").read_text()
    assert told == {
        "python": f"≥ {project['requires-python'].removeprefix('>=')}",
        "licence": project["license"],
        "body_model": "CC0",
    }
    assert "CC0" in bodies and project["license"] == "Apache-2.0"
    assert (ROOT / "LICENSE").read_text().split()[:2] == ["Apache", "License"]


def test_every_python_that_is_promised_is_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    promised = {row.rsplit(" ", 1)[1] for row in project["classifiers"] if re.search(r":: 3\.\d+$", row)}
    matrix = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]["suite"]["strategy"]["matrix"]
    assert set(matrix["python"]) == promised
    assert set(matrix["os"]) == {"ubuntu-latest", "macos-latest", "windows-latest"}
