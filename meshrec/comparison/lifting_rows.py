"""Methods from 2D joints to 3D joints that learn from 3D labels or from motion capture."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from meshrec.comparison.bench import Bench, Made, Row, kept_training
from meshrec.models.lifting_baseline import LiftingBaseline
from meshrec.models.locally_connected import LocallyConnected, equal_weights
from meshrec.models.standardised import Standardised
from meshrec.training.lifting import learn_sparse_lifter, train_lifter
from meshrec.training.lifting_config import LiftingConfig


def mean_pose(bench: Bench, name: str) -> Made:
    """The mean of the training people, whatever is seen."""
    mean = bench.people.joints.mean(0)
    return bench.lifted(lambda keypoints: mean.expand(len(keypoints), -1, -1), mean.numel(), 0.0)


def trained(make: Callable[[LiftingConfig], Standardised]) -> Callable[[Bench, str], Made]:
    """A network that is trained with 3D labels. Its weights are kept as NAME.safetensors, and not trained again."""

    def train(bench: Bench, name: str) -> Made:
        network, training = make(bench.config), bench.config.training
        settings = {"training": asdict(training), "network": asdict(network.config)}
        file = bench.out / f"{name}.safetensors"
        network, seconds = kept_training(
            file, network, settings, lambda: train_lifter(lambda: make(bench.config), bench.people, training)
        )
        return bench.lifted(network, network.count_weights(), seconds)

    return train


def baseline(**changes: Any) -> Callable[[Bench, str], Made]:
    """The fully connected network with some settings changed."""
    return trained(lambda config: LiftingBaseline(replace(config.baseline, **changes)))


def sparse(**changes: Any) -> Callable[[Bench, str], Made]:
    """Sparse sums of a dictionary of poses, with some settings changed."""

    def learn(bench: Bench, name: str) -> Made:
        config = replace(bench.config.sparse_pose, **changes)
        lifter, seconds = learn_sparse_lifter(bench.body, config, bench.config.training.seed)
        return bench.lifted(lifter, lifter.dictionary.numel(), seconds)

    return learn


LIFTING_ROWS = {
    "mean_pose": Row("the mean pose", "3D", mean_pose),
    "baseline": Row("lifting baseline (Martinez 2017)", "3D", baseline()),
    "baseline_plain": Row("- without residual connections", "3D", baseline(residual=False)),
    "baseline_no_norm": Row("- without batch norm", "3D", baseline(batch_norm=False)),
    "baseline_no_dropout": Row("- without dropout", "3D", baseline(dropout=0.0)),
    "baseline_no_limit": Row("- without the limit of norms", "3D", baseline(max_norm=None)),
    "locally_connected": Row(
        "locally connected (LCN, Ci 2019)", "3D", trained(lambda config: LocallyConnected(config.locally_connected))
    ),
    "fully_connected": Row(
        "- all joints connected, as many weights",
        "3D",
        trained(lambda config: LocallyConnected(equal_weights(config.locally_connected))),
    ),
    "sparse_pose": Row("sparse dictionary (Zhou 2015)", "poses only", sparse()),
    "sparse_pose_no_l1": Row("- without the L1 norm against outliers", "poses only", sparse(beta=100.0)),
}
