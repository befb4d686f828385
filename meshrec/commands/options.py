"""Options that several commands have in common."""

from meshrec.errors import InputError


def names(text: str) -> list[str]:
    """Split a list at its commas: ``obj, glb`` -> ``["obj", "glb"]``."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers(text: str) -> list[float]:
    """Read numbers separated by commas: ``0.5,-1`` -> ``[0.5, -1.0]``.

    Raises:
        InputError: One of them is not a number.
    """
    try:
        return [float(number) for number in names(text)]
    except ValueError:
        raise InputError(f"'{text}' should be numbers separated by commas") from None


def use_threads(count: int | None) -> None:
    """Let torch use ``count`` threads, or torch's own number if it is None.

    Raises:
        InputError: The count is below 1.
    """
    if count is None:
        return
    if count < 1:
        raise InputError(f"--threads must be at least 1, not {count}")
    import torch

    torch.set_num_threads(count)
