"""The names that users import: all there, typed, and silent."""

import subprocess
import sys
from pathlib import Path

import meshrec

USE = """
import torch, meshrec
for name in meshrec.__all__:
    getattr(meshrec, name)
body = meshrec.load_body("neutral")
out = body(betas=torch.zeros(1, 10))
camera = meshrec.Camera(focal=300.0, size=(64, 64))
in_camera = meshrec.geometry.camera_to_y_up(out.vertices) + torch.tensor([0.0, 0.0, 3.0])
meshrec.render.silhouette(in_camera, body.faces, camera).sum()
meshrec.metrics.pa_mpjpe(out.joints, out.joints)
try:
    meshrec.load_body("nobody")
except meshrec.InputError:
    pass
"""


def test_what_is_listed_is_there():
    assert sorted(meshrec._LAZY) == meshrec.__all__ == sorted(meshrec.__all__)
    assert set(meshrec.__all__) <= set(dir(meshrec))
    assert (Path(meshrec.__file__).parent / "py.typed").is_file()


def test_using_them_warns_of_nothing():
    result = subprocess.run([sys.executable, "-W", "error", "-c", USE], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
