"""Several benchmarks in one run, with their headlines in one table and all figures in one file."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module, metadata
from pathlib import Path

import torch
from rich.console import Console

import meshrec
from meshrec.benchmarks import BENCHMARKS
from meshrec.benchmarks.headlines import Headline, print_headlines
from meshrec.compiled.processor import processor_name
from meshrec.errors import MeshrecError
from meshrec.files.atomic import require_writable, write_file

PACKAGES = ("torch", "numpy", "scipy", "numba", "ai-edge-litert", "smplx", "smplfitter", "pytorch3d")


def run_suite(what: str | None = None, out: Path | None = None) -> list[Headline]:
    """Run benchmarks, each of which prints its tables, and print a table of their headlines.

    Args:
        what: A name in :data:`meshrec.benchmarks.BENCHMARKS`. Default: all of them; those that cannot run here are left
            out, with a line that gives the reason.
        out: JSON file for all figures, which is rewritten after each benchmark.

    Returns:
        The headlines.

    Raises:
        MeshrecError: The benchmark ``what`` cannot run here, or the file cannot be written. The latter is checked
            before anything is measured.
    """
    if out is not None:
        require_writable(out)
    console = Console()
    report: dict = {"machine": machine(), "headlines": [], "figures": {}, "left_out": {}}
    headlines: list[Headline] = []
    for name in BENCHMARKS if what is None else [what]:
        benchmark = import_module(f"meshrec.benchmarks.{name}")
        try:
            figures = benchmark.run()
        except MeshrecError as error:
            if what is not None:
                raise
            console.print(f"{name} is left out: {error}")
            report["left_out"][name] = str(error)
        else:
            report["figures"][name] = figures
            headlines += benchmark.headlines(figures)
            report["headlines"] = [asdict(line) for line in headlines]
        if out is not None:
            write_file(out, json.dumps(report, indent=2).encode())
    print_headlines(headlines)
    return headlines


def machine() -> dict[str, str | int]:
    """A description of the machine, and the versions of the libraries."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    described: dict[str, str | int] = {
        "meshrec": meshrec.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor_name(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "gpu": ", ".join(gpus) or "none",
    }
    return described | _versions(PACKAGES)


def _versions(packages: Sequence[str]) -> dict[str, str | int]:
    """Versions of those packages that are installed."""
    found: dict[str, str | int] = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
