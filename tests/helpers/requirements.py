"""Requirements of tests beyond a plain installation."""

# Requirements for want of which a test may be skipped, and the words by which the reason of a skip names them.
# docs/tests.md says how to get them. With `pytest --require smplx,gpu` skips for want of these are failures, with
# `--require all` all skips.
REQUIREMENTS = {
    "shared": ("../shared",),
    "smplx": ("smplx",),
    "pytorch3d": ("pytorch3d",),
    "lightning": ("lightning", "tensorboard"),
    "webdataset": ("webdataset",),
    "pillow-heif": ("pillow-heif",),
    "jsonschema": ("jsonschema",),
    "gltf-validator": ("gltf-validator",),
    "bpy": ("bpy",),
    "rtmlib": ("rtmlib",),
    "nbclient": ("nbclient",),
    "mkdocs": ("mkdocs",),
    "onnx": ("onnx",),
    "cdflib": ("cdflib",),
    "h5py": ("h5py",),
    "viser": ("viser",),
    "ray": ("'ray'",),
    "fsspec": ("fsspec",),
    "moto": ("moto",),
    "gradio": ("gradio",),
    "chromium": ("chromium", "playwright"),
    "gpu": ("a gpu",),
    "linux": ("linux", "kill -9", "/dev/full", "/proc", "resource", "windows lacks", "unwritable", "distributed"),
}


def requirement(reason: str) -> str | None:
    """The requirement for want of which a test was skipped, from the reason that it gives."""
    named = (name for name, words in REQUIREMENTS.items() if any(word in reason.lower() for word in words))
    return next(named, None)
