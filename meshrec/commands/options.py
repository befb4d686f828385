"""Options that several commands have in common."""

from collections.abc import Sequence
from pathlib import Path

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


def offsets_of(texts: Sequence[str] | None) -> dict[str, float] | str | None:
    """Read offsets of cameras: ``["cam2=0.05,cam3=-0.1"]`` -> ``{"cam2": 0.05, "cam3": -0.1}``, ``["auto"]`` ->
    ``"auto"``.

    Raises:
        InputError: They are neither.
    """
    if texts is None:
        return None
    parts = [part for text in texts for part in names(text)]
    if parts == ["auto"]:
        return "auto"
    found = {}
    for part in parts:
        name, _, seconds = part.rpartition("=")
        try:
            found[name.strip()] = float(seconds)
        except ValueError:
            name = ""
        if not name.strip():
            raise InputError(f"--offset is a camera's name and seconds, such as cam2=0.05, or auto, not '{part}'")
    return found


def focal_option(text: str | None) -> tuple[float | None, Path | None]:
    """Read what stands for focal lengths: a number of pixels, or the file of a network that estimates them.

    Returns:
        The number and the file, of which at least one is None.

    Raises:
        InputError: It is neither.

    Example:
        >>> from meshrec.commands.options import focal_option
        >>> focal_option("850.5")
        (850.5, None)
    """
    if text is None:
        return None, None
    try:
        return float(text), None
    except ValueError:
        pass
    if not Path(text).is_file():
        raise InputError(
            f"--focal {text}: this is neither a number of pixels nor a file; to have focal lengths estimated, give the "
            "file of a network for them, which `meshrec import-checkpoint` makes of CameraHMR's"
        )
    return None, Path(text)


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
