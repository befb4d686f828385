"""Three cameras of a room, and their calibration in the layouts of the programs that write such files."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np


@dataclass
class Truth:
    """A camera in metres and pixels; world to camera."""

    name: str
    size: tuple[int, int]
    matrix: np.ndarray
    distortion: list[float]
    rotation: np.ndarray
    translation: np.ndarray

    @property
    def vector(self) -> np.ndarray:
        return cv2.Rodrigues(self.rotation)[0][:, 0]


def room(up: str = "z") -> list[Truth]:
    """Three cameras that look at the middle of a room whose world has this axis upwards."""
    to_world = {"z": np.eye(3), "-y": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])}[up]
    cameras = []
    for number, place in enumerate(([3.1, -0.4, 1.5], [-1.2, 2.9, 1.1], [-2.0, -2.2, 2.3]), 1):
        forward = np.array([0.1, 0.0, 0.9]) - place
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward]) @ to_world.T
        matrix = np.array([[1100.0 + number, 0, 630.25 + number], [0, 1090.5, 366.5 - number], [0, 0, 1]])
        lens = [-0.11 + 0.01 * number, 0.07, 0.0012, -0.0008, 0.013]
        cameras.append(Truth(f"cam{number}", (1280, 720), matrix, lens, rotation, -rotation @ to_world @ place))
    return cameras


def pose2sim(cameras: list[Truth], unit: float = 1.0) -> str:
    sections = [
        f'[int_{c.name}_img]\nname = "{c.name}"\nsize = [ {c.size[0]}.0, {c.size[1]}.0]\n'
        f"matrix = [ [ {c.matrix[0, 0]}, 0.0, {c.matrix[0, 2]}], [ 0.0, {c.matrix[1, 1]}, {c.matrix[1, 2]}], "
        f"[ 0.0, 0.0, 1.0]]\ndistortions = {c.distortion}\nrotation = {c.vector.tolist()}\n"
        f"translation = {(c.translation / unit).tolist()}\nfisheye = false\n"
        for c in cameras
    ]
    return "\n".join([*sections, "[metadata]\nadjusted = false\nerror = 0.0\n"])


def freemocap(cameras: list[Truth]) -> str:
    sections = [
        f'[{c.name}]\nid = "{c.name}"\nname = "{c.name}"\nindex = 0\nsize = [{c.size[0]}, {c.size[1]}]\n'
        f"matrix = {c.matrix.tolist()}\ndistortions = {c.distortion}\nrotation = {c.vector.tolist()}\n"
        f"translation = {(c.translation * 1000).tolist()}\nworld_orientation = {c.rotation.T.tolist()}\n"
        f"world_position = {(-c.rotation.T @ c.translation * 1000).tolist()}\n"
        for c in cameras
    ]
    return "\n".join([*sections, "[metadata]\ngroundplane_applied = true\n\n[metadata.board]\nsquares_x = 5\n"])


def _matrix(key: str, values: np.ndarray) -> str:
    numbers = ", ".join(repr(float(value)) for value in np.ravel(values))
    rows, columns = np.shape(values)
    return f"{key}: !!opencv-matrix\r\n  rows: {rows}\r\n  cols: {columns}\r\n  dt: d\r\n  data: [{numbers}]\r\n"


def easymocap(cameras: list[Truth], exchanged: bool = False) -> tuple[str, str]:
    """The texts of intri.yml and extri.yml; ``exchanged`` as programs write them that exchange R_ and Rot_."""
    names = "names:\r\n" + "".join(f'  - "{c.name}"\r\n' for c in cameras)
    head = "%YAML:1.0\r\n---\r\n" + names
    intri, extri = head, head
    for c in cameras:
        intri += _matrix(f"K_{c.name}", c.matrix) + _matrix(f"dist_{c.name}", np.array([c.distortion]))
        turns = (c.rotation, c.vector[:, None]) if exchanged else (c.vector[:, None], c.rotation)
        extri += _matrix(f"R_{c.name}", turns[0]) + _matrix(f"Rot_{c.name}", turns[1])
        extri += _matrix(f"T_{c.name}", c.translation[:, None])
    return intri, extri


def opencv(folder: Path, cameras: list[Truth], suffix: str = ".yml") -> Path:
    """A file for each camera, written by OpenCV itself."""
    folder.mkdir(exist_ok=True)
    for c in cameras:
        storage = cv2.FileStorage(str(folder / f"{c.name}{suffix}"), cv2.FILE_STORAGE_WRITE)
        storage.write("calibration_time", "Mon 30 Nov 2026")
        storage.write("image_width", c.size[0])
        storage.write("image_height", c.size[1])
        storage.write("camera_matrix", c.matrix)
        storage.write("distortion_coefficients", np.array([c.distortion]).T)
        storage.write("R", c.rotation)
        storage.write("T", c.translation[:, None])
        storage.release()
    return folder


def qualisys(cameras: list[Truth]) -> str:
    """Of a sensor that begins 40 pixels further left and 16 further up than the video."""
    parts = []
    for c in cameras:
        axes = np.diag([1, -1, -1]) @ c.rotation
        x, y, z = -c.rotation.T @ c.translation * 1000
        (k1, k2, p1, p2, k3), (fx, _, cx), (_, fy, cy) = c.distortion, *c.matrix[:2]
        turn = " ".join(f'r{i + 1}{j + 1}="{float(axes[i, j])!r}"' for i in range(3) for j in range(3))
        parts.append(
            f'<camera active="1" avg-residual="0.4" serial="{c.name}" model="Miqus Video" viewrotation="0">'
            f'<fov_marker left="0" top="0" right="1999" bottom="1999"/>'
            f'<fov_video left="40" top="16" right="{c.size[0] + 39}" bottom="{c.size[1] + 15}"/>'
            f'<transform x="{float(x)!r}" y="{float(y)!r}" z="{float(z)!r}" {turn}/>'
            f'<intrinsic focallength="9.3" sensorMinU="0" sensorMaxU="9" focalLengthU="{float(fx * 64)!r}" '
            f'focalLengthV="{float(fy * 64)!r}" centerPointU="{float((cx + 40) * 64)!r}" '
            f'centerPointV="{float((cy + 16) * 64)!r}" skew="0" radialDistortion1="{k1}" radialDistortion2="{k2}" '
            f'radialDistortion3="{k3}" tangentalDistortion1="{p1}" tangentalDistortion2="{p2}"/></camera>'
        )
    marker = '<camera active="1" serial="7" model="Oqus 700"/>'
    return (
        f"<?xml version='1.0' encoding='ASCII'?><calibration><cameras>{''.join(parts)}{marker}</cameras></calibration>"
    )


def human36m(cameras: list[Truth]) -> str:
    intrinsics = {c.name: {"calibration_matrix": c.matrix.tolist(), "distortion": c.distortion} for c in cameras}
    subjects = {
        subject: {
            c.name: {"R": c.rotation.tolist(), "t": (c.translation[:, None] * 1000 + shift).tolist()} for c in cameras
        }
        for subject, shift in (("S1", 0), ("S5", 100))
    }
    return json.dumps({"intrinsics": intrinsics, "extrinsics": subjects})


def panoptic(cameras: list[Truth]) -> str:
    listed = [
        {
            **{"name": c.name, "type": "hd", "resolution": list(c.size), "panel": 0, "node": 1},
            **{"K": c.matrix.tolist(), "distCoef": c.distortion, "R": c.rotation.tolist()},
            "t": (c.translation[:, None] * 100).tolist(),
        }
        for c in cameras
    ]
    return json.dumps({"calibDataSource": "160422_calib", "cameras": listed})


def write_all(folder: Path, cameras: list[Truth]) -> dict[str, tuple[Path, dict[str, str]]]:
    """All layouts in a folder: for each the path to read, and the options that it needs."""
    texts = {
        "pose2sim.toml": pose2sim(cameras),
        "freemocap.toml": freemocap(cameras),
        "Calib.qca.txt": qualisys(cameras),
        "human36m.json": human36m(cameras),
        "panoptic.json": panoptic(cameras),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    for name, exchanged in (("easymocap", False), ("exchanged", True)):
        (folder / name).mkdir()
        for file, text in zip(("intri.yml", "extri.yml"), easymocap(cameras, exchanged)):
            (folder / name / file).write_bytes(text.encode())
    paths: dict[str, tuple[Path, dict[str, str]]] = {name: (folder / name, {}) for name in texts}
    paths["human36m.json"] = (folder / "human36m.json", {"subject": "S1"})
    paths |= {name: (folder / name, {}) for name in ("easymocap", "exchanged")}
    paths["intri.yml"] = (folder / "easymocap" / "intri.yml", {})
    paths["extri.yml"] = (folder / "easymocap" / "extri.yml", {})
    paths["opencv yml"] = (opencv(folder / "yml", cameras), {})
    paths["opencv xml"] = (opencv(folder / "xml", cameras, ".xml"), {})
    return paths
