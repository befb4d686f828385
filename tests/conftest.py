import ctypes
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers.paths import SHARED
from helpers.requirements import REQUIREMENTS, requirement
from helpers.results import check_results

if TYPE_CHECKING:
    from meshrec.body import BodyModel


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require",
        default="",
        metavar="NAMES",
        help=f"fail where a test is skipped for want of these: all, or of {', '.join(REQUIREMENTS)}",
    )


def pytest_configure(config: pytest.Config) -> None:
    unknown = required(config) - REQUIREMENTS.keys()
    if unknown:
        raise pytest.UsageError(f"--require {', '.join(unknown)}: choose of all, {', '.join(REQUIREMENTS)}")


def required(config: pytest.Config) -> set[str]:
    names = {name.strip() for name in config.getoption("--require").split(",") if name.strip()}
    return set(REQUIREMENTS) if "all" in names else names


def judge_skip(report: pytest.TestReport | pytest.CollectReport, config: pytest.Config) -> None:
    """A skip whose requirement has to be there, or that names none, is a failure."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    name = requirement(reason)
    if name is None or name in required(config):
        report.outcome = "failed"
        report.longrepr = f"{reason} ({f'--require {name}' if name else 'a skip has to say what it needs'})"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    judge_skip(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    judge_skip(report, collector.config)
    return report


def pytest_collection_finish() -> None:
    gc.freeze()  # what imports have made stays: looking through it after each file would take a third of a second


@pytest.fixture(scope="module", autouse=True)
def freed_memory_goes_back() -> Iterator[None]:
    """After each file. Networks that failing calls have held lie in cycles, which Python collects by their number and
    not by their size, and what is freed glibc keeps until it is asked for it: a gigabyte after some files."""
    yield
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


@pytest.fixture(autouse=True)
def result_files_conform_to_their_schemas(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test. It looks at every ``photo.json`` and ``person_0.json``, whichever process wrote it."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is not None:
        check_results(folder)


@pytest.fixture(scope="session")
def body() -> "BodyModel":
    """The shipped neutral body. It is never changed, so that all tests can share one."""
    from meshrec.body import load_body

    return load_body("neutral")


@pytest.fixture
def shared() -> Path:
    """The folder of photos, motion and calibrated frames that lies beside a development checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the development data in ../shared")
    return SHARED
