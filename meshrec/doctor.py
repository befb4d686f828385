"""A report of what is installed and whether it works, for users with a problem and for readers of bug reports."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import meshrec
from meshrec.body import BodyModel, load_body, read_body
from meshrec.body.files import SUFFIXES
from meshrec.body.kinematics import plain_joint_motions
from meshrec.body.library import body_folders
from meshrec.body.skinning import plain_skinning
from meshrec.errors import InputError, MeshrecError
from meshrec.geometry import Camera, camera_to_y_up
from meshrec.models import weights_folder
from meshrec.models.checkpoints import read_header
from meshrec.models.voxel_to_voxel import WEIGHTS as DEPTH_WEIGHTS
from meshrec.models.voxel_to_voxel import load_voxel_network
from meshrec.poses.named_poses import named_pose
from meshrec.poses.pose_prior import POSE_PRIOR, load_pose_prior

REQUIRED = (
    "torch", "numpy", "scipy", "numba", "opencv-python", "pillow", "av", "trimesh", "pygltflib", "safetensors",
    "fast-simplification", "rich", "ai-edge-litert",
)  # fmt: skip
OPTIONAL = {
    "lightning": "train",
    "tensorboard": "train",
    "smplx": "smpl",
    "onnxruntime": "onnx",
    "viser": "view",
    "gradio": "demo",
    "ray": "ray",
    "pytorch3d": "",
}

# The self-test draws the shipped neutral body in a squat, 3 m before this camera. These are its height and the number
# of pixels that it covers.
CAMERA = Camera(80.0, size=(64, 64))
SQUAT_METRES, SQUAT_PIXELS = 1.04949, 329.169
TOLERANCE = 1e-3  # relative


@dataclass(frozen=True)
class Line:
    """One line of the report.

    Attributes:
        section, name: Titles of the group of lines and of the line.
        value: The finding.
        ok: Whether meshrec can work with it.
    """

    section: str
    name: str
    value: str
    ok: bool = True


def examine() -> Iterator[Line]:
    """All lines of the report, from what is installed to tests of body and renderer."""
    yield from _versions()
    yield from _machine()
    yield _detector()
    yield from _bodies()
    yield from _weights()
    yield self_test()
    yield compiled_code()


def report() -> bool:
    """Print the report, and return whether everything works."""
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
    console.print(f"\nProblems: {', '.join(line.name for line in wrong)}." if wrong else "\nNo problems found.")
    console.print("In a bug report, paste all of this, the command that you gave, and its output.")
    return not wrong


def self_test() -> Line:
    """Pose the open body and draw it in plain torch, to check its file and the arithmetic without compiled code."""
    return _compared("self-test", "body and renderer", _plain_squat)


def compiled_code() -> Line:
    """Run the same test with numba's kernels, and report whether they had to be compiled first, which takes seconds."""
    line = _compared("", "compiled code", _compiled_squat)
    if not line.ok:
        return line
    from meshrec.body.kernels import chain, skin
    from meshrec.render.numba_kernels import draw_outline

    kernels: list[Any] = [chain, skin, draw_outline]
    states = [kernel.stats for kernel in kernels]
    kept = {_short(Path(state.cache_path)) for state in states if state.cache_path}
    when = "compiled for this" if any(state.cache_misses for state in states) else "compiled before"
    where = f"kept in {', '.join(sorted(kept))}" if kept else "not kept: no folder can be written to"
    return replace(line, value=f"{line.value}; {when}, {where}")


def _compared(section: str, name: str, squat: Callable[[], tuple[float, float]]) -> Line:
    """Compare the height in metres and the covered pixels that ``squat`` returns with the right ones."""
    start = time.perf_counter()
    try:
        metres, pixels = squat()
    except Exception as error:  # an error of any kind is a finding
        return Line(section, name, f"{type(error).__name__}: {error}", ok=False)
    good = abs(metres / SQUAT_METRES - 1) < TOLERANCE and abs(pixels / SQUAT_PIXELS - 1) < TOLERANCE
    found = f"{metres:.4f} m, {pixels:.1f} pixels in {time.perf_counter() - start:.1f} s"
    expected = "" if good else f" where {SQUAT_METRES} m and {SQUAT_PIXELS} pixels are right"
    return Line(section, name, found + expected, good)


def _plain_squat() -> tuple[float, float]:
    """Height of the squatting body in metres, and the number of pixels that it covers, both in plain torch.

    Raises:
        ArithmeticError: The gradient of the covered pixels with respect to the pose is missing, zero or not finite.
    """
    body = load_body("neutral")
    pose = named_pose("squat")[None].requires_grad_()
    rotations = torch.cat([torch.eye(3).expand(1, 1, 3, 3), pose], dim=1)
    vertices, joints = body.rest()
    motions = plain_joint_motions(rotations, joints, torch.zeros(1, 3), body.tree)
    metres, coverage = _measured(plain_skinning(vertices, motions, body.weights), body, "torch")
    coverage.backward()
    if pose.grad is None or not torch.isfinite(pose.grad).all() or not pose.grad.any():
        raise ArithmeticError("the silhouette's gradients do not reach the pose")
    return metres.item(), coverage.item()


def _compiled_squat() -> tuple[float, float]:
    """Height and covered pixels as in :func:`_plain_squat`, with compiled kernels and without gradients."""
    body = load_body("neutral")
    metres, coverage = _measured(body(body_pose=named_pose("squat")[None]).vertices, body, "numba")
    return metres.item(), coverage.item()


def _measured(vertices: Tensor, body: BodyModel, backend: str) -> tuple[Tensor, Tensor]:
    """Height in metres and number of covered pixels of a body 3 m before the camera."""
    in_camera = camera_to_y_up(vertices) + vertices.new_tensor([0.0, 0.0, 3.0])
    coverage = meshrec.render.silhouette(in_camera, body.faces, CAMERA, backend=backend).sum()
    return vertices[0, :, 1].max() - vertices[0, :, 1].min(), coverage


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
    """Whether people can be found: the runtime, the networks, and a run of them on a picture of nobody."""
    from meshrec.detect import load_detector
    from meshrec.detect.blazepose import FOLDER

    try:
        found = load_detector()(np.zeros((64, 64, 3), np.uint8))
    except MeshrecError as error:
        return Line("detector", "BlazePose", str(error), ok=False)
    except Exception as error:  # a broken installation of the runtime can fail in any way
        return Line("detector", "BlazePose", f"{type(error).__name__}: {error}", ok=False)
    networks = list(FOLDER.glob("*.tflite"))
    size = sum(path.stat().st_size for path in networks) / 1e6
    return Line("detector", "BlazePose", f"works offline: {len(networks)} networks, {size:.0f} MB", ok=not found)


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


def _weights() -> Iterator[Line]:
    networks = sorted(weights_folder().glob("*.safetensors"))
    yield _checked("weights", POSE_PRIOR, _pose_prior)
    for path in networks:
        yield _checked("", path, _depth_network if path == DEPTH_WEIGHTS else _network)
    if not networks:
        yield Line("", "networks", "none: people in photos are fitted without one")


def _checked(section: str, path: Path, describe: Callable[[Path], str]) -> Line:
    """The line about a file of weights, which ``describe`` describes if it can read it."""
    try:
        return Line(section, path.stem, f"{path.stat().st_size / 1e6:.1f} MB, {describe(path)}")
    except FileNotFoundError:
        return Line(section, path.stem, f"missing in {_short(path.parent)}: install meshrec again", ok=False)
    except InputError as error:
        return Line(section, path.stem, f"{error}; install meshrec again", ok=False)


def _pose_prior(path: Path) -> str:
    return f"{len(load_pose_prior(path).means)} components of poses"


def _network(path: Path) -> str:
    header = read_header(path)
    return f"{header['architecture']} network for the body {header['body']}"


def _depth_network(path: Path) -> str:
    return f"network for depth maps, {load_voxel_network(path).config.voxels} voxels along a side"


def _short(path: Path) -> str:
    """A path with ``~`` for the home folder, so that a report does not show the user's name."""
    path = path.resolve()
    return str(Path("~") / path.relative_to(Path.home())) if path.is_relative_to(Path.home()) else str(path)
