"""The pose machine: its LSTM written out in NumPy, what a frame sees, and a correction whose end is known."""

import numpy as np
import pytest
import torch

from meshrec.errors import InputError
from meshrec.models.pose_machine import PoseMachine, PoseMachineConfig, projection_error, relative_places


def _machine(**changes) -> PoseMachine:
    torch.manual_seed(0)
    machine = PoseMachine(PoseMachineConfig(**{"width": 12, "blocks": 1, **changes}))
    generator = torch.Generator().manual_seed(1)
    machine.standardise(
        1 + 2 * torch.randn(9, 4, 17, 3, generator=generator), 3 + 0.2 * torch.randn(9, 4, 17, 3, generator=generator)
    )
    return machine.eval()


def _clips(count: int = 2, frames: int = 4) -> torch.Tensor:
    return torch.rand(count, frames, 17, 3, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def test_the_memory_is_the_formula_of_an_lstm():
    machine, clips = _machine(), _clips()
    weights = {name: value.numpy().astype(float) for name, value in machine.state_dict().items()}
    seen = ((clips - machine.seen_mean) / machine.seen_deviation).flatten(2)
    inputs = machine.adapt(seen.flatten(0, 1)).clamp(min=0).unflatten(0, (2, 4)).numpy().astype(float)
    state = cell = np.zeros((2, 12))

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    for t in range(4):
        gates = inputs[:, t] @ weights["memory.weight_ih_l0"].T + weights["memory.bias_ih_l0"]
        gates = gates + state @ weights["memory.weight_hh_l0"].T + weights["memory.bias_hh_l0"]
        enter, forget, new, leave = np.split(gates, 4, axis=1)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        state = sigmoid(leave) * np.tanh(cell)
        points = (state @ weights["leave.weight"].T + weights["leave.bias"]).reshape(2, 17, 3)
        expected = weights["mean"] + weights["deviation"] * points
        assert np.abs(machine(clips)[:, t].numpy() - expected).max() < 1e-5


@pytest.mark.parametrize("temporal", [True, False])
def test_a_frame_sees_itself_and_with_a_memory_those_before_it(temporal):
    machine, clips = _machine(temporal=temporal), _clips().requires_grad_()
    machine(clips)[0, 2].sum().backward()
    seen = clips.grad.abs().sum((2, 3)) > 0
    assert seen.tolist() == [[temporal, temporal, True, False], [False] * 4]


@torch.no_grad()
def test_a_single_frame_is_a_clip_of_one():
    machine, clips = _machine(), _clips()
    assert torch.equal(machine(clips[:, 0]), machine(clips[:, :1])[:, 0])
    assert torch.allclose(machine.corrected(clips[:, 0]), machine.corrected(clips[:, :1])[:, 0], atol=1e-6)


def test_relative_places_ignore_where_and_how_large_and_what_has_no_weight():
    places = torch.randn(3, 17, 2, generator=torch.Generator().manual_seed(3))
    weight = torch.rand(3, 17, generator=torch.Generator().manual_seed(4))
    weight[:, 5] = 0
    found = relative_places(places, weight)
    other = places * 2.5 + torch.tensor([3.0, -1.0])
    other[:, 5] = 100.0
    again = relative_places(other, weight)
    kept = weight > 0
    assert torch.allclose(found[kept], again[kept], atol=1e-5)
    share = weight / weight.sum(1, keepdim=True)
    assert torch.allclose((share[..., None] * found.square()).sum((1, 2)), torch.ones(3))
    seen = torch.cat([other, weight[..., None]], dim=-1)
    assert projection_error(places, seen).max() < 1e-9


def test_a_correction_is_the_steps_of_an_optimizer():
    """One clip after the other, by torch's gradient descent over the last layer."""
    machine, clips = _machine(corrections=5, rate=0.3), _clips()
    found = machine.corrected(clips)
    before = [value.detach().clone() for value in machine.leave.parameters()]
    for clip, expected in zip(clips, found):
        with torch.no_grad():
            for value, start in zip(machine.leave.parameters(), before):
                value.copy_(start)
        optimizer = torch.optim.SGD(machine.leave.parameters(), lr=0.3)
        for _ in range(5):
            optimizer.zero_grad()
            standard = (machine(clip[None]) - machine.mean) / machine.deviation
            projection_error(machine.projected(standard), clip[None]).mean().backward()
            optimizer.step()
        with torch.no_grad():
            assert torch.allclose(machine(clip[None])[0], expected, atol=1e-4)


def test_a_correction_brings_the_projection_closer_and_none_changes_nothing():
    machine, clips = _machine(corrections=30), _clips()

    @torch.no_grad()
    def error(points: torch.Tensor) -> torch.Tensor:
        return projection_error(machine.projected((points - machine.mean) / machine.deviation), clips).mean(1)

    with torch.no_grad():
        start = machine(clips)
    assert (error(machine.corrected(clips)) < error(start)).all()
    assert torch.allclose(_machine(corrections=0).corrected(clips), start, atol=1e-6)


def test_settings_that_make_no_network_are_refused():
    for wrong in ({"width": 0}, {"corrections": -1}, {"rate": 0.0}, {"projection": -1.0}):
        with pytest.raises(InputError):
            PoseMachineConfig(**wrong)
