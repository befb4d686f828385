"""meshrec: SMPL pose-and-shape mesh recovery. A photo of people goes in, posed 3D body meshes come out."""

from importlib import import_module

__version__ = "0.1.0"

# Public name -> the module it comes from, imported when first used: `import meshrec` costs nothing beyond itself.
_LAZY = {
    "Camera": "meshrec.geometry",
    "InputError": "meshrec.errors",
    "Person": "meshrec.person",
    "Reconstructor": "meshrec.reconstruct",
    "load_body": "meshrec.body",
    "body": "",
    "geometry": "",
    "losses": "",
    "metrics": "",
    "render": "",
}

__all__ = sorted(_LAZY)


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'meshrec' has no attribute '{name}'")
    module = _LAZY[name]
    return getattr(import_module(module), name) if module else import_module(f"meshrec.{name}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
