"""What is installed here and whether it works: for a user whom something puzzles, and for whoever reads the report."""

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

import meshrec
from meshrec.body import load_body, read_body
from meshrec.body.files import SUFFIXES
from meshrec.body.library import body_folders
from meshrec.body.poses import named_pose
from meshrec.errors import InputError
from meshrec.geometry import Camera
from meshrec.models.checkpoints import read_header

REQUIRED = (
    "torch", "numpy", "scipy", "numba", "opencv-python", "pillow", "trimesh", "pygltflib", "safetensors",
    "fast-simplification", "rich",
)  # fmt: skip
OPTIONAL = {"mediapipe": "detect", "lightning": "train", "tensorboard": "train", "smplx": "smpl", "pytorch3d": ""}
WEIGHTS = Path(__file__).parent / "models" / "weights"

# The shipped neutral body in a squat, 3 m before the self-test's camera: its height, and the pixels it covers by the
# backend without compiled code, with which the default one agrees to a thousandth of a pixel.
SQUAT_METRES, SQUAT_PIXELS = 1.04695, 4509.08
NEAR = 1e-3  # relative


@dataclass(frozen=True)
class Line:
    """One line of the report.

    Attributes:
        section, name: What it is about.
        value: What was found.
        ok: False where meshrec cannot work as it is.
    """

    section: str
    name: str
    value: str
    ok: bool = True


def examine() -> Iterator[Line]:
    """Everything the report says, from what is installed to a test of body and renderer."""
    yield from _versions()
    yield from _machine()
    yield _detector()
    yield from _bodies()
    yield from _networks()
    yield self_test()


def report() -> bool:
    """Print the report; whether all is well."""
    from rich.console import Console
    from rich.table import Table

    lines = list(examine())
    table = Table(box=None, show_header=False, pad_edge=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for line in lines:
        table.add_row(line.section, line.name, line.value + ("" if line.ok else "  <-- wrong"))
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(table)
    wrong = [line for line in lines if not line.ok]
    console.print(f"\nNot well: {', '.join(line.name for line in wrong)}." if wrong else "\nAll is well.")
    console.print("In a bug report, paste all of this, the command you gave, and what it printed.")
    return not wrong


def self_test() -> Line:
    """Pose the open body and draw it: neither file, nor compiler, nor arithmetic may be off."""
    start = time.perf_counter()
    try:
        metres, pixels = _squat()
    except Exception as error:  # whatever is wrong is the finding
        return Line("self-test", "body and renderer", f"{type(error).__name__}: {error}", ok=False)
    good = abs(metres / SQUAT_METRES - 1) < NEAR and abs(pixels / SQUAT_PIXELS - 1) < NEAR
    found = f"{metres:.4f} m, {pixels:.1f} pixels in {time.perf_counter() - start:.1f} s"
    expected = "" if good else f" where {SQUAT_METRES} m and {SQUAT_PIXELS} pixels are right"
    return Line("self-test", "body and renderer", found + expected, good)


def _squat() -> tuple[float, float]:
    """Height of the squatting body, and how many pixels it covers; its gradients must be numbers."""
    body = load_body("neutral")
    pose = named_pose("squat")[None].requires_grad_()
    vertices = body(body_pose=pose).vertices
    in_camera = vertices * vertices.new_tensor([1.0, -1.0, -1.0]) + vertices.new_tensor([0.0, 0.0, 3.0])
    coverage = meshrec.render.silhouette(in_camera, body.faces, Camera(300.0, size=(224, 224))).sum()
    coverage.backward()
    if pose.grad is None or not torch.isfinite(pose.grad).all() or not pose.grad.any():
        raise ArithmeticError("the silhouette's gradients do not reach the pose")
    height = vertices[0, :, 1].max() - vertices[0, :, 1].min()
    return height.item(), coverage.item()


def _versions() -> Iterator[Line]:
    yield Line("versions", "meshrec", f"{meshrec.__version__} in {_short(Path(__file__).parent)}")
    yield Line(
        "", "python", f"{platform.python_version()}, {platform.system()} {platform.release()}, {platform.machine()}"
    )
    for name in REQUIRED:
        version = _version(name)
        yield Line("", name, version or "missing: install meshrec again", ok=version is not None)
    for name, extra in OPTIONAL.items():
        absent = f'not installed: pip install "meshrec[{extra}]"' if extra else "not installed"
        yield Line("", name, _version(name) or absent)


def _version(package: str) -> str | None:
    names = (package, f"{package}-headless", package.replace("python", "contrib-python"))
    for name in names if package.startswith("opencv") else (package,):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _machine() -> Iterator[Line]:
    threads = f"{torch.get_num_threads()} threads of {os.cpu_count()}"
    settings = [f"{key}={os.environ[key]}" for key in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES") if key in os.environ]
    yield Line("machine", "CPU", ", ".join([threads, *settings]))
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield Line("", "GPU", ", ".join(gpus) or f"none for torch {torch.__version__}")
    backends = [name for name, there in meshrec.render.backends().items() if there]
    yield Line("", "renderer", ", ".join(backends))


def _detector() -> Line:
    from meshrec.detect.mediapipe_model import find_networks

    try:
        networks = find_networks()
    except InputError as error:
        return Line("detector", "MediaPipe", str(error))
    except Exception as error:  # MediaPipe's own imports can fail in any way
        return Line("detector", "MediaPipe", f"{type(error).__name__}: {error}", ok=False)
    size = sum(path.stat().st_size for path in networks) / 1e6
    return Line("detector", "MediaPipe", f"works offline: {len(networks)} networks in its wheel, {size:.0f} MB")


def _bodies() -> Iterator[Line]:
    section = "bodies"
    for folder in {folder.resolve(): folder for folder in body_folders() if folder.is_dir()}.values():
        yield Line(section, "in", _short(folder))
        section = ""
        for path in sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES):
            try:
                body = read_body(path)
            except InputError as error:
                yield Line("", path.name, str(error))
                continue
            size = f"{len(body.v_template)} vertices, {body.shapedirs.shape[-1]} betas"
            yield Line("", path.name, f"{body.hash}, {size}, {body.licence or 'names no licence'}")


def _networks() -> Iterator[Line]:
    section = "weights"
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        try:
            header = read_header(path)
            network = f", {header['architecture']} network for the body {header['body']}"
        except (InputError, KeyError):  # other weights, such as the pose prior's
            network = ""
        yield Line(section, path.stem, f"{path.stat().st_size / 1e6:.1f} MB{network}")
        section = ""


def _short(path: Path) -> str:
    """A path as it may be shown to others: without the user's name."""
    path = path.resolve()
    return str(Path("~") / path.relative_to(Path.home())) if path.is_relative_to(Path.home()) else str(path)
