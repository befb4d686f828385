"""List the networks that come with meshrec, and the published ones that it can use, or measure how fast they are.

Example: meshrec models
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshrec.commands.options import use_threads
from meshrec.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from meshrec.models.known_networks import KnownNetwork

NOTES = """
Errors are those that were published, on the test set of 3DPW, in mm: PA-MPJPE after alignment, MPJPE of joints, PVE of
vertices. docs/model_card.md says how good meshrec's own networks are. To use a published network, get its files from
its authors under the terms that come with them, and SMPL's, then:
  meshrec import-checkpoint FILE out.safetensors --body SMPL_NEUTRAL.pkl
  meshrec reconstruct photo.jpg --out out --regressor out.safetensors --body SMPL_NEUTRAL.pkl"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--latency",
        action="store_true",
        help="measure parameters, floating-point operations and latency of the architectures on this CPU instead",
    )
    parser.add_argument("--threads", type=int, default=None, help="with --latency: threads to use (default: torch's)")


def run(options: Namespace) -> None:
    if options.latency:
        from meshrec.benchmarks.models import summarize_models

        use_threads(options.threads)
        summarize_models()
        return
    if options.threads is not None:
        raise InputError("--threads has a meaning only with --latency; leave it out, or measure the latency")
    from rich.console import Console

    from meshrec.models.known_networks import known_networks

    console, networks = Console(), known_networks()
    console.print(table_of(networks))
    for text in (*map(origin_of, networks), NOTES):
        console.print(text, soft_wrap=True, markup=False, highlight=False)


def table_of(networks: Sequence["KnownNetwork"]) -> "RenderableType":
    """A table with a row for each network."""
    from rich.table import Table

    table = Table()
    for title in ("network", "M param.", "PA-MPJPE", "MPJPE", "PVE", "licence"):
        table.add_column(title, justify="left" if title in ("network", "licence") else "right")
    for row in networks:
        errors = ("" if error is None else f"{error:.1f}" for error in (row.pa_mpjpe, row.mpjpe, row.pve))
        table.add_row(row.name, f"{row.parameters:.1f}", *errors, row.licence)
    return table


def origin_of(row: "KnownNetwork") -> str:
    """Where a network comes from, what the user has to bring for it, and where its errors were published."""
    if row.is_shipped:
        return f"{row.name}: comes with meshrec; --regressor {row.name}"
    source = f"; errors: {row.source}" if row.source else ""
    return f"{row.name}: bring {', '.join(row.bring)}; from {row.origin}{source}"
