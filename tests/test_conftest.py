"""Skips: each names what it needs, and --require makes it a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SKIPPING = """
import pytest

@pytest.mark.skipif(True, reason="needs PyTorch3D")
def test_marked():
    pass

def test_called():
    pytest.importorskip("no_such_module", reason="compares with smplx.SMPL")

@pytest.fixture
def device():
    pytest.skip("needs a GPU")

def test_fixture(device):
    pass
"""


@pytest.fixture
def outcome(tmp_path):
    """Runs pytest on a few lines with the conftest of these tests, and gives its summary."""
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())

    def run(content: str, *options: str) -> str:
        (tmp_path / "test_a.py").write_text(content)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_a.py"]
        environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout

    return run


def test_skips_are_failures_where_required(outcome):
    assert "3 skipped" in outcome(SKIPPING)
    assert "2 skipped, 1 error" in outcome(SKIPPING, "--require", "pytorch3d")
    both = outcome(SKIPPING, "--require", "smplx,gpu")
    assert (
        "1 failed, 1 skipped, 1 error" in both and "--require smplx" in both
    )  # of marks and fixtures, pytest counts errors
    assert "skipped" not in outcome(SKIPPING, "--require", "all")
    assert "1 error" in outcome(
        'import pytest\npytest.importorskip("pytorch4d", reason="needs PyTorch3D")', "--require=all"
    )


def test_a_skip_has_to_name_its_requirement(outcome):
    summary = outcome("import pytest\ndef test_a():\n    pytest.skip('no time today')")
    assert "1 failed" in summary and "a skip has to say what it needs" in summary
    assert "1 xfailed" in outcome("import pytest\n@pytest.mark.xfail\ndef test_a():\n    assert False")


def test_unknown_requirements_are_refused(tmp_path):
    command = [sys.executable, "-m", "pytest", "--require", "abacus", str(TESTS / "test_errors.py")]
    answer = subprocess.run(command, cwd=TESTS, capture_output=True, text=True)
    assert answer.returncode == 4 and "--require abacus: choose of all, shared" in answer.stderr
