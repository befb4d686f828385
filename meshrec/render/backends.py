"""Which code finds the visible faces. Everything after that is shared."""

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
    """The backends and whether each can be used here.

    ``numba`` is the default on the CPU; ``torch`` runs on any device and is the default elsewhere; ``pytorch3d`` needs
    PyTorch3D, which the user installs from its own instructions.
    """
    return {name: find_spec(name) is not None for name in PACKAGES}


def pick(backend: str | None, device: torch.device) -> str:
    """The backend asked for, or the default for tensors on ``device``.

    Raises:
        ValueError: No such backend.
        MissingDependency: It is not installed.
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
    """The module whose ``visible_faces(screen, faces, size, perspective)`` draws. Imported only when used."""
    return import_module(f"meshrec.render.{name}_backend")
