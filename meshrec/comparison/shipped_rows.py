"""The networks that ship, on the people of the comparison."""

from collections.abc import Callable

import torch

from meshrec.body import joint_set
from meshrec.comparison.bench import JOINTS, Bench, Made, Row
from meshrec.evaluation.lifting import network_errors
from meshrec.evaluation.prediction import FromDetections
from meshrec.models.encoders import NetworkInput
from meshrec.regress.regressor import NetworkRegressor
from meshrec.regress.weights import load_regressor


def shipped(regressor_name: str) -> Callable[[Bench, str], Made]:
    """A network that ships, which sees the landmarks that it was trained with."""

    def measure(bench: Bench, name: str) -> Made:
        regressor = load_regressor(regressor_name, body=bench.body)
        assert isinstance(regressor, NetworkRegressor), "shipped networks have crops of our kind"
        encoder, network = regressor.encoder, regressor.network
        predictor = FromDetections(regressor, bench.body)
        errors = network_errors(predictor, bench.body, JOINTS, bench.limit)
        inputs = NetworkInput(
            keypoints=torch.rand(1, len(joint_set(encoder.joints)), 3),
            silhouette=torch.rand(1, 1, encoder.resolution, encoder.resolution),
            focal=torch.full((1,), 3.0),
        )
        weights = sum(weight.numel() for weight in network.parameters())
        photos = bench.bodies_on_photos(lambda people: people.predicted(predictor))
        return Made(errors, lambda: network(inputs), weights, None, photos=photos)

    return measure


SHIPPED_ROWS = {
    "keypoints": Row("HMR-like network `keypoints`, its own mesh", "3D", shipped("keypoints")),
    "proxy": Row("HMR-like network `proxy`, its own mesh, sees the mask too", "3D", shipped("proxy")),
    "graph": Row("GraphCMR-like network `graph`, its parameters", "3D", shipped("graph")),
}
