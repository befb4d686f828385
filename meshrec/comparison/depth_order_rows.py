"""Methods that learn depths from their order, and complete them by motion capture (Pavlakos et al. 2018)."""

from collections.abc import Callable
from dataclasses import asdict, replace

import torch

from meshrec.comparison.bench import Bench, Made, Row, kept_training
from meshrec.models.depth_order import DepthOrder, with_depths
from meshrec.models.lifting_baseline import LiftingBaseline
from meshrec.models.standardised import Standardised
from meshrec.training.depth_order import Loss, depth_loss, halves, train_depth_order
from meshrec.training.lifting import train_lifter


def completed(loss: Loss | None) -> Callable[[Bench, str], Made]:
    """Depths learned with a loss, by default that of their order, and completed to 3D joints."""

    def make(bench: Bench, name: str) -> Made:
        config, training = bench.config.depth_order, bench.config.training
        network, seconds = kept_training(
            bench.out / f"{name}.safetensors",
            DepthOrder(config),
            {"training": asdict(training), "network": asdict(config)},
            lambda: train_depth_order(config, *halves(bench.people), training, loss),
        )
        return bench.lifted(network, network.count_weights(), seconds)

    return make


def flat(bench: Bench, name: str) -> Made:
    """The completion alone, of 2D joints without depths."""
    config, training = bench.config.depth_order, bench.config.training

    def seen(keypoints: torch.Tensor) -> torch.Tensor:
        return with_depths(keypoints, torch.zeros_like(keypoints[..., 0]))

    def train() -> tuple[Standardised, float]:
        _, captured = halves(bench.people)
        people = replace(captured, keypoints=seen(captured.keypoints))
        return train_lifter(lambda: LiftingBaseline(config.network), people, training)

    settings = {"training": asdict(training), "network": asdict(config)}
    file = bench.out / f"{name}.safetensors"
    empty: Standardised = LiftingBaseline(config.network)
    network, seconds = kept_training(file, empty, settings, train)
    return bench.lifted(lambda keypoints: network(seen(keypoints)), network.count_weights(), seconds)


DEPTH_ORDER_ROWS = {
    "depth_order": Row(
        "order of depths, completed by motion capture (Pavlakos 2018)", "2D and depth order; poses", completed(None)
    ),
    "depth_order_metric": Row("- depths themselves as labels", "3D; poses", completed(depth_loss)),
    "depth_order_flat": Row("- no depths: the completion alone", "poses only", flat),
}
