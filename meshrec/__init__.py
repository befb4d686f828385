"""meshrec: SMPL pose-and-shape mesh recovery. A photo of people goes in, posed 3D body meshes come out."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshrec import body, geometry, metrics, render
    from meshrec.body import BodyModel, load_body
    from meshrec.body.anthropometry import Measures
    from meshrec.detect import Detection, load_detector
    from meshrec.errors import InputError, MeshrecError, MissingDependency, TrainingDiverged
    from meshrec.evaluation import evaluate
    from meshrec.fit import Fitter
    from meshrec.geometry import Camera
    from meshrec.reconstruct.measuring import measure
    from meshrec.reconstruct.person import Person
    from meshrec.reconstruct.reconstructor import Reconstructor
    from meshrec.reconstruct.track import Track
    from meshrec.training import train

__version__ = "0.1.0"

# Public name -> the module it comes from, imported when first used: `import meshrec` costs nothing beyond itself.
_LAZY = {
    "BodyModel": "meshrec.body",
    "Camera": "meshrec.geometry",
    "Detection": "meshrec.detect",
    "Fitter": "meshrec.fit",
    "InputError": "meshrec.errors",
    "Measures": "meshrec.body.anthropometry",
    "MeshrecError": "meshrec.errors",
    "MissingDependency": "meshrec.errors",
    "Person": "meshrec.reconstruct.person",
    "Reconstructor": "meshrec.reconstruct.reconstructor",
    "Track": "meshrec.reconstruct.track",
    "TrainingDiverged": "meshrec.errors",
    "evaluate": "meshrec.evaluation",
    "load_body": "meshrec.body",
    "load_detector": "meshrec.detect",
    "measure": "meshrec.reconstruct.measuring",
    "train": "meshrec.training",
    "body": "",
    "geometry": "",
    "metrics": "",
    "render": "",
}

__all__ = [
    "BodyModel",
    "Camera",
    "Detection",
    "Fitter",
    "InputError",
    "Measures",
    "MeshrecError",
    "MissingDependency",
    "Person",
    "Reconstructor",
    "Track",
    "TrainingDiverged",
    "body",
    "evaluate",
    "geometry",
    "load_body",
    "load_detector",
    "measure",
    "metrics",
    "render",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'meshrec' has no attribute '{name}'")
    module = _LAZY[name]
    with _uncollected():
        return getattr(import_module(module), name) if module else import_module(f"meshrec.{name}")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from the many objects that an import of torch leaves.

    It would walk through all of them several times during the import and the first photo, a tenth of the time of a new
    process. They stay as long as the process, so they are left out of later collections, too.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if "torch" in sys.modules:
            gc.freeze()
        gc.enable()


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
