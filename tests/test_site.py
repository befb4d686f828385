"""The documentation site: every page has its place, and it is built without a warning."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.paths import ROOT


class Loader(yaml.SafeLoader):
    """Reads MkDocs' file, whose tags for Python objects do not matter here."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)
SITE = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)


def pages(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    entries = entry.values() if isinstance(entry, dict) else entry
    return [page for part in entries for page in pages(part)]


def test_every_page_has_its_place():
    stored = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    listed = pages(SITE["nav"])
    assert sorted(listed) == sorted(stored)


def test_every_room_with_exported_names_has_a_page():
    rooms = {path.parent.name for path in (ROOT / "meshrec").glob("*/__init__.py") if "__all__" in path.read_text()}
    assert {Path(page).stem for page in pages(SITE["nav"]) if page.startswith("api/")} == rooms | {"meshrec"}


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("mkdocs", "material", "mkdocstrings")),
    reason="needs mkdocs with mkdocs-material and mkdocstrings",
)
def test_the_site_is_built_without_a_warning(tmp_path):
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "api" / "render" / "index.html").read_text()
    assert "silhouette" in page and ":func:" not in page
    assert "Unreleased" in (tmp_path / "site" / "changelog" / "index.html").read_text()
