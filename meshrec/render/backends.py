"""The backends, which find the visible faces and draw silhouettes. All other parts of the renderer are shared."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch

from meshrec.errors import MissingDependency

# Each backend's package, as pip installs it.
PACKAGES = {
    "numba": "numba",
    "torch": "torch",
    "pytorch3d": '"git+https://github.com/facebookresearch/pytorch3d.git"',
}


def backends() -> dict[str, bool]:
    """List the backends, and whether each can be used here.

    ``numba`` is the default on the CPU; ``torch`` runs on any device and is the default elsewhere; ``pytorch3d`` needs
    PyTorch3D, which the user installs from its own instructions.

    Example:
        >>> from meshrec.render import backends
        >>> backends()["torch"]
        True
    """
    return {name: find_spec(name) is not None for name in PACKAGES}


def pick(backend: str | None, device: torch.device) -> str:
    """Choose a backend.

    Args:
        backend: Name of a backend. Default: the fastest for the device.
        device: Device of the vertices.

    Returns:
        The name of the backend.

    Raises:
        ValueError: There is no backend of that name.
        MissingDependency: The package that it needs is not installed.
    """
    if backend is None:
        return "numba" if device.type == "cpu" else "torch"
    available = backends()
    if backend not in available:
        raise ValueError(f"backend must be one of {', '.join(available)}, not {backend!r}")
    if not available[backend]:
        install = f"pip install {PACKAGES[backend]}"
        raise MissingDependency(f"the {backend} backend needs the package {backend}, which is not installed: {install}")
    return backend


def rasterizer(name: str) -> ModuleType:
    """Import the module of a backend; its function ``visible_faces(screen, faces, size, perspective)`` rasterizes."""
    return import_module(f"meshrec.render.{name}_backend")
