"""Devices by the name that a user gives."""

import torch

from meshrec.errors import InputError


def usable_device(name: str | torch.device) -> torch.device:
    """The device of that name, such as ``"cpu"`` or ``"cuda:0"``, once it is known to work.

    Raises:
        InputError: There is no such device, or it cannot be used here.
    """
    try:
        device = torch.device(name)
    except RuntimeError:  # torch's own message lists a dozen kinds of devices
        raise InputError(f"device '{name}' cannot be used here (there is no such kind); give cpu or cuda.") from None
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"device '{name}' cannot be used here ({str(error).splitlines()[0]}).") from error
    return device


def has_bfloat16() -> bool:
    """Whether this processor has instructions for products in bfloat16; without them it computes more slowly in it."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
