"""Whether a compiled kernel can be called directly, or has to be called as an operator of torch."""

import torch
from torch import Tensor


def has_kernels(tensor: Tensor) -> bool:
    """Whether the compiled kernels can work on this tensor."""
    return tensor.device.type == "cpu"


def needs_operator(*tensors: Tensor) -> bool:
    """Whether a kernel has to be called as an operator: autograd, torch.compile or torch.export tracks the call.

    Otherwise the kernel itself is called: an operator costs tens of microseconds per call, and the first one in a
    process a second of imports.
    """
    if torch.compiler.is_compiling():
        return True
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
