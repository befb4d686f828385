"""Whether a compiled kernel can be called directly, or has to be called as an operator of torch."""

import torch
from torch import Tensor


def has_kernels(tensor: Tensor) -> bool:
    """Whether the compiled kernels can work on this tensor.

    Exported and traced programs are made of torch's own operations, so that they run without this package and convert
    to ONNX; a trace could not even see into a kernel, and would keep its result as a constant.
    """
    is_tracing = torch.jit.is_tracing()  # type: ignore[attr-defined]
    return tensor.device.type == "cpu" and not (is_tracing or is_exporting())


def needs_operator(*tensors: Tensor) -> bool:
    """Whether a kernel has to be called as an operator: autograd or torch.compile tracks the call.

    Otherwise the kernel itself is called: an operator costs tens of microseconds per call, and the first one in a
    process a second of imports.
    """
    if torch.compiler.is_compiling():
        return True
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def is_exporting() -> bool:
    """Whether ``torch.export`` is writing down a program, which then may be converted to ONNX.

    ONNX knows neither sparse matrices nor decompositions: what is exported does without.
    """
    known = getattr(torch.compiler, "is_exporting", None)  # torch 2.6 lacks it; its exports call the operators
    return known is not None and known()
