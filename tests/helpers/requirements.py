"""What tests need beyond a plain installation."""

# What a test may be skipped for want of, and the words by which the reason of a skip names it. docs/tests.md lists
# where each is had from. `pytest --require smplx,gpu` makes a skip for want of these a failure; `--require all`, any.
REQUIREMENTS = {
    "shared": ("../shared",),
    "mediapipe": ("mediapipe",),
    "smplx": ("smplx",),
    "pytorch3d": ("pytorch3d",),
    "lightning": ("lightning", "tensorboard"),
    "webdataset": ("webdataset",),
    "gltf-validator": ("gltf-validator",),
    "gpu": ("a gpu",),
    "linux": ("linux", "kill -9", "/dev/full", "/proc", "resource", "windows lacks", "unwritable", "distributed"),
}


def requirement(reason: str) -> str | None:
    """What a test was skipped for want of, by the reason it gives."""
    named = (name for name, words in REQUIREMENTS.items() if any(word in reason.lower() for word in words))
    return next(named, None)
