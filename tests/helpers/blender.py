"""Blender as a Python package, in this Python or in the one that BPY_PYTHON names."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

PYTHON = os.environ.get("BPY_PYTHON", sys.executable)
NEEDED = "needs bpy, Blender as a Python package: pip install bpy, or name BPY_PYTHON"


def has_bpy() -> bool:
    program = "import importlib.util, sys; sys.exit(importlib.util.find_spec('bpy') is None)"
    return subprocess.run([PYTHON, "-c", program]).returncode == 0


def run_in_blender(program: Path, *arguments: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [PYTHON, str(program), *map(str, arguments)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def to_y_up(points: np.ndarray) -> np.ndarray:
    """Blender's axes, z up, as those of mesh files."""
    return points[..., [0, 2, 1]] * [1, 1, -1]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest distance from a vertex of one mesh to the nearest of the other: Blender doubles those along seams."""
    return max(cKDTree(a).query(b)[0].max(), cKDTree(b).query(a)[0].max())
