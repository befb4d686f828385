"""Every command of the README runs, in the order of the page, on small files with the names that the page uses."""

import contextlib
import io
import os
import pickle
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.paths import ROOT, SHARED
from helpers.published import spin_weights

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import load_body
from meshrec.cli import main as meshrec
from meshrec.files import VideoWriter
from meshrec.geometry.calibration_files import write_calibration
from meshrec.synthetic.crossing import CrossingSettings, crossing
from meshrec.synthetic.depth_maps import SyntheticDepthMaps

SHORTER = {"train": "--config configs/tiny.yaml steps=2", "evaluate": "--limit 2"}
"""What makes a command of hours one of seconds; nothing else is added to what the page says."""
ELSEWHERE = {
    "-m venv": "`.ci/run` makes the environments",
    "export-onnx": "tests/regress/test_onnx_export.py exports networks, which takes minutes",
}


def commands() -> list[str]:
    """The lines of the page's blocks for the shell that call meshrec."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines()]
    return [line for line in lines if not any(words in line for words in ELSEWHERE)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the page speaks of."""
    desk = tmp_path_factory.mktemp("readme") / "project"
    (desk / "holiday").mkdir(parents=True)
    (desk / "body_models").mkdir()
    (desk / "configs").symlink_to(ROOT / "configs")
    if SHARED.is_dir():
        (desk.parent / "shared").symlink_to(SHARED)
    dancer = cv2.resize(cv2.imread(str(ROOT / "examples" / "dancer.jpg")), (360, 450), interpolation=cv2.INTER_AREA)
    for name in ("photo.jpg", "holiday/beach.jpg"):
        cv2.imwrite(str(desk / name), dancer)
    with VideoWriter(desk / "dance.mp4", (360, 450), 10) as video:
        for shift in range(4):
            video.write(np.roll(dancer[..., ::-1], 2 * shift, axis=1))
    scene = crossing(CrossingSettings(views=3, frames=1))
    write_calibration(desk / "calibration.toml", scene.calibration)
    for name, photos in {"cam1": ("cam1", "phone1"), "cam2": ("cam2", "phone2"), "cam3": ("cam3",)}.items():
        for photo in photos:
            cv2.imwrite(str(desk / f"{photo}.jpg"), scene.image(name, 0)[..., ::-1])
    (seen,) = SyntheticDepthMaps(load_body(), size=(320, 240)).draw([3])
    cv2.imwrite(str(desk / "depth.png"), np.rint(1000 * seen.depth).astype(np.uint16))
    (desk / "SMPL_NEUTRAL.pkl").write_bytes(pickle.dumps(random_arrays(6890), protocol=2))
    torch.save({"model": spin_weights()}, desk / "model_checkpoint.pt")
    return desk


def test_the_page_has_its_commands():
    named = {line.split()[1] for line in commands()}
    assert {"reconstruct", "measure", "train", "evaluate", "convert-body", "import-checkpoint"} <= named
    assert all(line.startswith("meshrec ") for line in commands())


def test_every_command_runs(desk, monkeypatch):
    monkeypatch.chdir(desk)
    for line in commands():
        if "../shared" in line and not SHARED.is_dir():
            continue
        _, name, *words = shlex.split(line)
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            code = meshrec([name, *words, *shlex.split(SHORTER.get(name, ""))])
        assert code == 0, f"{line}\n{shown.getvalue()}"
    written = {str(path.relative_to(desk)) for path in desk.rglob("*") if path.is_file()}
    assert written >= {
        "out/index.html",
        "out/photo.jpg/person_0.glb",
        "out/photo.jpg/overlay.png",
        "out/depth.png/person_0.glb",
        "out/dance.mp4/track_0.bvh",
        "out/dance.mp4/overlay.mp4",
        "body_models/smpl_neutral.npz",
        "spin.safetensors",
        "runs/keypoints/last.safetensors",
    }, os.linesep.join(sorted(written))
