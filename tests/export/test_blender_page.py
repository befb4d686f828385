"""The steps of docs/blender.md, followed in Blender."""

from pathlib import Path

import numpy as np
import pytest
from helpers.blender import NEEDED, distance, has_bpy, run_in_blender, to_y_up
from helpers.gltf import Gltf
from helpers.paths import ROOT

from meshrec import Camera, Person
from meshrec.cli import main
from meshrec.export import Animation, write_animation, write_scene
from meshrec.geometry import CAMERA_TO_Y_UP, camera_to_y_up
from meshrec.poses.named_poses import named_pose


@pytest.mark.skipif(not has_bpy(), reason=NEEDED)
def test_the_steps_of_the_page_do_what_it_says(tmp_path: Path, body):
    arms_down = named_pose("arms down").numpy()
    rotations = np.concatenate([CAMERA_TO_Y_UP.numpy()[None], arms_down])
    person = Person(body, np.linspace(-1, 1, 10), rotations, np.array([0.2, 0.1, 4.0]), Camera(600.0, size=(640, 480)))
    for suffix in ("glb", "obj", "ply"):
        person.save(tmp_path / f"person_0.{suffix}", skinned=suffix == "glb")
    write_scene(tmp_path / "scene.glb", [person.skinned("person_0")], person.camera)
    turn = np.tile(np.concatenate([np.eye(3)[None], arms_down]), (5, 1, 1, 1))
    walk = Animation(body, person.betas, turn, np.linspace([0, 0.9, 0], [1, 0.9, 0], 5), frame_rate=25.0, name="walk")
    write_animation(tmp_path / "walk.bvh", walk)
    run_in_blender(ROOT / "tests" / "helpers" / "blender_page.py", tmp_path)
    shown = np.load(tmp_path / "shown.npz")

    upright = camera_to_y_up(person.vertices)
    for file in ("glb", "obj", "ply"):
        assert distance(to_y_up(shown[file]), upright) < 1e-4
    assert sorted(shown["bones"]) == sorted(body.joint_names)
    rest, pelvis = (part[0].numpy() for part in body.rest(person._tensor("betas")))
    where_it_was = camera_to_y_up(person.joints()[0]) - pelvis[0]
    assert distance(to_y_up(shown["straight"]), rest + where_it_was) < 1e-4
    assert np.abs(to_y_up(shown["pelvis"]) - pelvis[0]).max() < 1e-4
    view = shown["camera"]
    assert np.abs(view[:3, 3]).max() < 1e-6  # at the origin
    assert np.abs(view[:3, :3] @ [0, 0, -1] - [0, 1, 0]).max() < 1e-6  # looking along Blender's +y, with z up
    assert np.abs(view[:3, :3] @ [0, 1, 0] - [0, 0, 1]).max() < 1e-6

    assert main(["animate", str(tmp_path / "edited.bvh"), "-o", str(tmp_path / "edited.glb")]) == 0
    edited = Gltf(tmp_path / "edited.glb")
    for frame in (0, 4):
        mine = edited.posed(frame / 25)
        assert distance(mine, walk.vertices(frame)) < 1e-3  # the shape is found from the lengths of the bones
