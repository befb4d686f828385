"""The fully connected lifting network: its layers written out in NumPy, the limit of norms, standardisation."""

import numpy as np
import pytest
import torch

from meshrec.errors import InputError
from meshrec.models.lifting_baseline import BaselineConfig, LiftingBaseline


def _network(**changes) -> LiftingBaseline:
    torch.manual_seed(0)
    network = LiftingBaseline(BaselineConfig(**{"width": 24, **changes}))
    generator = torch.Generator().manual_seed(1)
    network.standardise(
        1 + 2 * torch.randn(50, 17, 3, generator=generator), 3 + 0.2 * torch.randn(50, 17, 3, generator=generator)
    )
    return network


@pytest.mark.parametrize("residual", [True, False])
def test_it_is_the_papers_formula(residual):
    network = _network(batch_norm=False, residual=residual).eval()
    seen = torch.rand(5, 17, 3, generator=torch.Generator().manual_seed(2))
    weights = {name: value.detach().numpy().astype(float) for name, value in network.state_dict().items()}

    def layer(name: str, x: np.ndarray) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    x = ((seen.numpy() - weights["seen_mean"]) / weights["seen_deviation"]).reshape(5, -1)
    x = np.maximum(layer("enter.0", x), 0)
    for block in range(2):
        inner = np.maximum(layer(f"blocks.{block}.0.0", x), 0)
        inner = np.maximum(layer(f"blocks.{block}.1.0", inner), 0)
        x = x + inner if residual else inner
    expected = weights["mean"] + weights["deviation"] * layer("leave", x).reshape(5, 17, 3)
    assert np.abs(network(seen).detach().numpy() - expected).max() < 1e-5


def test_batch_norm_makes_units_standard():
    network = _network(dropout=0.0)
    values = network.enter[:2](torch.randn(500, 51, generator=torch.Generator().manual_seed(3)))
    assert values.mean(0).abs().max() < 1e-5
    assert (values.std(0, correction=0) - 1).abs().max() < 1e-3


def test_rows_of_weights_are_shortened_but_not_turned():
    network = _network(max_norm=0.5)
    before = network.leave.weight.detach().clone()
    network.after_step()
    after = network.leave.weight.detach()
    assert torch.allclose(after.norm(dim=1), before.norm(dim=1).clamp(max=0.5), atol=1e-5)
    assert torch.cosine_similarity(before, after).min() > 1 - 1e-6
    free = _network(max_norm=None)
    free.after_step()
    assert torch.equal(free.leave.weight, before)


def test_a_root_that_never_moves_stays_finite():
    network = _network()
    network.standardise(torch.zeros(9, 17, 3), torch.zeros(9, 17, 3))
    assert network.eval()(torch.zeros(2, 17, 3)).isfinite().all()


def test_the_published_size():
    """4.2 million weights of the paper's 16 joints, without our third number of each joint."""
    network = LiftingBaseline()
    linear = 51 * 1024 + 1024 + 4 * (1024 * 1024 + 1024) + 1024 * 51 + 51
    assert network.count_weights() == linear + 5 * 2 * 1024


def test_settings_that_make_no_network_are_refused():
    for wrong in ({"width": 0}, {"dropout": 1.0}, {"max_norm": 0.0}, {"blocks": -1}):
        with pytest.raises(InputError):
            BaselineConfig(**wrong)
