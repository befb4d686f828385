"""Size and speed of the networks, and the cost of their heads in comparison with the backbone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from meshrec.benchmarks.headlines import Headline
from meshrec.benchmarks.memory import can_measure_memory, peak_megabytes
from meshrec.benchmarks.timing import time_in_turn
from meshrec.body import BodyModel, joint_set, load_body
from meshrec.models.build import ARCHITECTURES, build_network
from meshrec.models.critic import JOINTS, Critic
from meshrec.models.encoders import NetworkInput
from meshrec.models.graph import GraphMesh
from meshrec.models.mesh_to_params import MeshToParameters
from meshrec.models.network import Network

PROXY = ("heatmaps", "silhouette")
NETWORKS: dict[str, tuple[str, dict]] = {
    "HMR, SPIN (ResNet-50)": ("iterative", {}),
    "HMR (ResNet-18)": ("iterative", {"encoder": {"resnet": 18}}),
    "proxy maps, as STRAPS (ResNet-18)": ("iterative", {"encoder": {"inputs": PROXY, "resnet": 18}}),
    "RGB and proxy maps (ResNet-34)": ("iterative", {"encoder": {"inputs": ("rgb", *PROXY), "resnet": 34}}),
    "HMR, residual feedback (ResNet-50)": ("iterative", {"feedback": "residuals"}),
    "lifting, residual feedback": (
        "iterative", {"encoder": {"inputs": ("keypoints",)}, "feedback": "residuals", "iterations": 4},
    ),
    "GraphCMR (ResNet-50)": ("graph", {}),
    "fully connected mesh (ResNet-50)": ("fully_connected", {}),
}  # fmt: skip
TRAINED = ("HMR, SPIN (ResNet-50)", "GraphCMR (ResNet-50)")
TRAINING_BATCH = 16


@dataclass(frozen=True)
class ModelFigures:
    """One network at batch 1.

    Attributes:
        name: the network's name.
        input: the fields of its input, with sizes.
        parameters: their number in millions.
        gflops: thousand million floating-point operations; a multiplication with an addition counts as two.
        milliseconds: median latency on this CPU.
    """

    name: str
    input: str
    parameters: float
    gflops: float
    milliseconds: float


def summarize_models(seconds: float = 0.5) -> list[ModelFigures]:
    """Measure networks of every architecture and print a table.

    The networks of :data:`NETWORKS` come first, then all other architectures that are trained here, with their default
    settings.

    Args:
        seconds: approximate time to spend on each network.

    Returns:
        The figures of each network, and of the two parts that are no networks of their own.
    """
    body = load_body("neutral")
    figures = []
    own = {name for name, row in ARCHITECTURES.items() if not row.published}
    others = own - {architecture for architecture, _ in NETWORKS.values()}
    for name, (architecture, settings) in (NETWORKS | {name: (name, {}) for name in sorted(others)}).items():
        network = build_network(architecture, settings, body).eval()
        inputs = example_input(network)
        figures.append(_figures(name, _describe(inputs), network, partial(network, inputs), seconds))
    mesh = GraphMesh.of_body(body.data)
    parts: dict[str, tuple[nn.Module, tuple[Tensor, ...], str]] = {
        "mesh to parameters": (MeshToParameters(mesh), (torch.zeros(1, len(mesh.template), 3),), "nodes"),
        "critic": (Critic(), (torch.zeros(1, JOINTS, 3, 3), torch.zeros(1, 10)), "rotations, betas"),
    }
    for name, (part, given, label) in parts.items():
        figures.append(_figures(name, label, part.eval(), partial(part, *given), seconds))
    table = Table(title=f"Networks at batch 1, {torch.get_num_threads()} threads, float32")
    table.add_column("network", no_wrap=True)
    table.add_column("input")
    for column in ("M param.", "GFLOP", "ms"):
        table.add_column(column, justify="right")
    for row in figures:
        table.add_row(row.name, row.input, f"{row.parameters:.1f}", f"{row.gflops:.2f}", f"{row.milliseconds:.1f}")
    Console().print(table)
    return figures


def run() -> dict:
    """Measure the cost of heads in comparison with the backbone, and the memory of training; print both.

    Returns:
        Medians in milliseconds (``_ms``), the share ``iterative_overhead`` by which the iterative head prolongs the
        backbone, and the peak memory of training in megabytes (``training_mb``).
    """
    console = Console()
    body = load_body("neutral")
    iterative: Any = build_network("iterative", {}, body).eval()
    graph: Any = build_network("graph", {}, body).eval().regressor
    inputs = example_input(iterative)
    feature = torch.randn(1, graph.encoder.features)
    work = {
        "backbone": lambda: iterative.encoder(inputs),
        "iterative": lambda: iterative(inputs),
        "graph_without_backbone": lambda: graph.from_features(feature),
    }
    times = time_in_turn({name: torch.no_grad()(function) for name, function in work.items()}, seconds=3)
    overhead = times["iterative"].ratio_to(times["backbone"]) - 1
    figures = {f"{name}_ms": timing.median for name, timing in times.items()} | {"iterative_overhead": overhead}
    console.print(
        f"batch 1, {torch.get_num_threads()} threads, float32: ResNet-50 {times['backbone'].median:.1f} ms; iterative "
        f"regressor with it {times['iterative'].median:.1f} ms, {100 * overhead:+.1f} %; graph regressor without it "
        f"{times['graph_without_backbone'].median:.1f} ms, at best {times['graph_without_backbone'].low:.1f}, on "
        f"{len(graph.mesh.template)} nodes"
    )
    if can_measure_memory():
        for name in TRAINED:
            peak = peak_megabytes(prepare_training_step, *NETWORKS[name], TRAINING_BATCH)
            figures[f"training_mb, {name}"] = peak
            console.print(
                f"training {name} with Adam at batch {TRAINING_BATCH}: {peak:.0f} MB for weights, gradients, "
                "moments and activations"
            )
    return figures


def headlines(figures: dict[str, float]) -> list[Headline]:
    """All figures: the heads in comparison with the backbone, and the memory of training."""
    found = [
        Headline("models: iterative regressor with ResNet-50", figures["iterative_ms"], "ms"),
        Headline("models: its share beside the backbone", 100 * figures["iterative_overhead"], "%"),
        Headline("models: graph regressor without ResNet-50", figures["graph_without_backbone_ms"], "ms"),
    ]
    training = "training_mb, "
    return found + [
        Headline(f"models: training {key.removeprefix(training)}, batch {TRAINING_BATCH}", value, "MB")
        for key, value in figures.items()
        if key.startswith(training)
    ]


def example_input(network: Network, batch: int = 1) -> NetworkInput:
    """Random input for a network.

    Args:
        network: the network.
        batch: number B of people.

    Returns:
        The fields that the network reads, with a crop of its own resolution.
    """
    config, generator = network.encoder.config, torch.Generator().manual_seed(0)
    side = config.resolution
    inputs = NetworkInput()
    if "rgb" in network.inputs:
        inputs.rgb = torch.randn(batch, 3, side, side, generator=generator)
    if "silhouette" in network.inputs:
        inputs.silhouette = torch.rand(batch, 1, side, side, generator=generator)
    if "keypoints" in network.inputs:
        inputs.keypoints = torch.rand(batch, len(joint_set(config.joints)), 3, generator=generator)
    return inputs


def prepare_training_step(architecture: str, settings: dict, batch: int) -> Callable[[], object]:
    """A function that builds a network and trains it for two steps.

    Args:
        architecture: a name in :data:`meshrec.models.build.ARCHITECTURES`.
        settings: settings of the architecture.
        batch: number of people in a step.
    """
    body: BodyModel = load_body("neutral")
    build_network(architecture, settings, body)  # imports modules and fills caches, which must not count

    def train() -> None:
        network = build_network(architecture, settings, body)
        optimizer = torch.optim.Adam(network.parameters())
        inputs = example_input(network, batch)
        for _ in range(2):
            optimizer.zero_grad()
            torch.stack([tensor.square().mean() for tensor in tree_leaves(network(inputs))]).sum().backward()
            optimizer.step()

    return train


def _figures(name: str, inputs: str, network: nn.Module, call: Callable[[], object], seconds: float) -> ModelFigures:
    """Measure one network, which ``call`` runs at batch 1."""
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            call()
        milliseconds = time_in_turn({name: call}, seconds)[name].median
    parameters = sum(p.numel() for p in network.parameters())
    return ModelFigures(name, inputs, parameters / 1e6, counter.get_total_flops() / 1e9, milliseconds)


def _describe(inputs: NetworkInput) -> str:
    """The fields of an input with their sizes, as text for a table."""
    sizes = {"rgb": "{2}²", "silhouette": "{2}²", "keypoints": "{1}"}
    given = {name: getattr(inputs, name) for name in sizes}
    return ", ".join(f"{name} {sizes[name].format(*value.shape)}" for name, value in given.items() if value is not None)
