"""Blend shapes: a template plus a sum of displacements (Loper et al. 2015, "SMPL", equations 8 and 9)."""

from typing import Any

import torch
from torch import Tensor

from meshrec.compiled.operators import has_kernels, needs_operator
from meshrec.compiled.processor import is_intel


def blend(template: Tensor, coefficients: Tensor, basis: Tensor) -> Tensor:
    """``template + coefficients @ basis``, differentiable in the coefficients only.

    Args:
        template: (N,) flattened vertices or joints.
        coefficients: (B, K) weights of the blend shapes.
        basis: (K, N) flattened displacements, one blend shape in each row.

    Returns:
        (B, N).
    """
    if has_kernels(basis):
        operator = _blend if needs_operator(coefficients) else _blend_now
        return operator(template, coefficients, basis)
    return torch.addmm(template, coefficients, basis)


def _product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """``a @ b + bias``.

    In float32 it uses oneDNN's kernel if torch has it and the processor is not Intel's. There MKL, torch's own choice,
    leaves half of each vector unit idle: on an AMD EPYC it does 78 to 108 GFLOP/s and oneDNN 149. On an Intel Xeon it
    does 258, and oneDNN 134. The choice does not depend on a measurement, so that results are the same in each process.
    """
    onednn = None if is_intel() else getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if len(a) > 1 and onednn is not None and a.dtype == torch.float32 and torch.backends.mkldnn.is_available():
        return onednn(a.contiguous(), b.t(), bias, "none", [], "")
    return a @ b if bias is None else torch.addmm(bias, a, b)


def _blend_now(template: Tensor, coefficients: Tensor, basis: Tensor) -> Tensor:
    return _product(coefficients, basis, template)


_blend = torch.library.custom_op("meshrec::blend", _blend_now, mutates_args=())


@_blend.register_fake
def _(template: Tensor, coefficients: Tensor, basis: Tensor) -> Tensor:
    return coefficients.new_empty(len(coefficients), basis.shape[1])


@torch.library.custom_op("meshrec::blend_backward", mutates_args=())
def _blend_backward(grad: Tensor, basis: Tensor) -> Tensor:
    return _product(grad, basis.t())


@_blend_backward.register_fake
def _(grad: Tensor, basis: Tensor) -> Tensor:
    return grad.new_empty(len(grad), len(basis))


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(inputs[2])


def _gradients(ctx: Any, grad: Tensor) -> tuple[None, Tensor, None]:
    return None, _blend_backward(grad, *ctx.saved_tensors), None


_blend.register_autograd(_gradients, setup_context=_save)
