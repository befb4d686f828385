"""When tensors go straight to a compiled kernel, and when torch has to see an operator."""

import torch
from torch import Tensor


def has_kernels(tensor: Tensor) -> bool:
    """Whether the compiled kernels can work on this tensor."""
    return tensor.device.type == "cpu"


def needs_operator(*tensors: Tensor) -> bool:
    """Whether autograd, torch.compile or torch.export follows the call.

    Otherwise the kernel's own function is called: an operator costs tens of microseconds a call, and the first one in a
    process a second of imports.
    """
    if torch.compiler.is_compiling():
        return True
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
