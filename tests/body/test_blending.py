"""Blend shapes by either library for products of matrices."""

import pytest
import torch

from meshrec.body import blending


@pytest.mark.parametrize("intel", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 33])
def test_sums_and_gradients_are_those_of_double_precision(intel, batch, monkeypatch):
    monkeypatch.setattr(blending, "is_intel", lambda: intel)
    generator = torch.Generator().manual_seed(0)
    template, basis = torch.randn(120, generator=generator), torch.randn(17, 120, generator=generator)
    weights = torch.randn(batch, 17, generator=generator).requires_grad_()
    blended = blending.blend(template, weights, basis)
    exact = template.double() + weights.double() @ basis.double()
    assert torch.allclose(blended.double(), exact, atol=1e-5)
    (gradient,) = torch.autograd.grad(blended.square().sum(), weights)
    assert torch.allclose(gradient.double(), 2 * exact @ basis.double().T, atol=1e-2)
