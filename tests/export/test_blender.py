"""Animations in Blender: every frame is where it is here."""

import json

import numpy as np
import pytest
import torch
from helpers.blender import NEEDED, distance, has_bpy, run_in_blender, to_y_up
from helpers.paths import ROOT
from scipy.spatial.transform import Rotation

from meshrec.body import BodyModel, joint_set
from meshrec.export import Animation, write_animated_scene, write_animation
from meshrec.motion.sequences import MIXAMO_JOINTS

FRAMES = [0, 1, 7, 11]


def moving(body: BodyModel, seed: int, **options) -> Animation:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0, 0.5, (24, 3)) * np.sin(np.linspace(0, 3, 12))[:, None, None]
    rotations = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(12, 24, 3, 3)
    place = np.linspace([0, 0.9, 0], [2, 0.9, -1], 12)
    return Animation(body, rng.normal(size=10), rotations, place, frame_rate=25.0, **options)


@pytest.mark.skipif(not has_bpy(), reason=NEEDED)
def test_blender_shows_what_was_written(tmp_path, body):
    walker, late = moving(body, 0, name="walker"), moving(body, 1, name="late", start=0.2)
    write_animation(tmp_path / "a.glb", walker)
    write_animation(tmp_path / "a.bvh", walker)
    write_animation(tmp_path / "m.bvh", walker, names="mixamo", unit="m")
    write_animated_scene(tmp_path / "scene.glb", [walker, late])
    jobs = [
        {"file": "a.glb", "frames": FRAMES, "rate": 25},
        {"file": "a.bvh", "frames": FRAMES, "rate": 25, "scale": 0.01},
        {"file": "m.bvh", "frames": FRAMES, "rate": 25},
        {"file": "scene.glb", "frames": [0, 4, 5, 11, 16], "rate": 25},
    ]
    (tmp_path / "files.json").write_text(json.dumps(jobs))
    run_in_blender(ROOT / "tests" / "helpers" / "in_blender.py", tmp_path)

    shown = np.load(tmp_path / "a.glb.npz")
    assert shown["last"] == pytest.approx([11], abs=1e-3)  # times in frames
    for index, frame in enumerate(FRAMES):
        assert distance(to_y_up(shown["walker"][index]), walker.vertices(frame)) < 1e-4

    like = body.v_template
    rotations, translation, betas = (
        torch.from_numpy(part).to(like) for part in (walker.rotations, walker.translation, walker.betas)
    )
    joints = body(betas[None].expand(12, -1), rotations[:, 1:], rotations[:, 0], translation).joints[FRAMES].numpy()
    for file, names in (("a.bvh", joint_set("smpl24")), ("m.bvh", MIXAMO_JOINTS)):
        bones = np.load(tmp_path / f"{file}.npz")
        order = [bones["names"].tolist().index(name) for name in names]
        assert np.abs(to_y_up(bones["bones"][:, order]) - joints).max() < 1e-4

    scene = np.load(tmp_path / "scene.glb.npz")
    for index, frame in ((0, 0), (1, 4), (2, 5), (3, 11)):
        assert distance(to_y_up(scene["walker"][index]), walker.vertices(frame)) < 1e-4
    assert np.ptp(scene["walker"][4], axis=0).max() < 1e-4  # gone
    for index in (0, 1):
        assert np.ptp(scene["late"][index], axis=0).max() < 1e-4  # not there yet
    for index, frame in ((2, 0), (3, 6), (4, 11)):
        assert distance(to_y_up(scene["late"][index]), late.vertices(frame)) < 1e-4
