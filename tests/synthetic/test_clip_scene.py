"""Synthetic clips: pictures agree with what is said to be true of them."""

import numpy as np
import pytest
import torch

from meshrec.body import joint_index
from meshrec.detect.people import photo_edges
from meshrec.geometry import world_motion
from meshrec.synthetic.clip_scene import CameraPath, ClipScene, ClipSettings, clip_scene

PATH = CameraPath(pan=10, tilt=3, zoom=1.2, shake=0.3)


@pytest.fixture(scope="module")
def scene() -> ClipScene:
    return clip_scene(ClipSettings(frames=40, size=(240, 136), path=PATH))


def test_the_room_turns_as_the_camera_does(scene):
    import cv2

    first, last = scene.image(0), scene.image(39)
    matrix = scene.views[0].homography(scene.views[39], scene.camera)
    warped = cv2.warpPerspective(first, matrix, scene.camera.size, borderMode=cv2.BORDER_CONSTANT)
    people = [scene.detection(n).mask.crop(photo_edges(scene.camera.size), (136, 240)) > 0 for n in (0, 39)]
    hidden = cv2.warpPerspective(people[0].astype(np.uint8), matrix, scene.camera.size) > 0
    shared = (warped.sum(-1) > 0) & ~hidden & ~people[1]
    assert shared.mean() > 0.4
    apart = np.abs(warped.astype(int) - last).mean(-1)[shared].mean()
    assert apart < 0.4 * np.abs(first.astype(int) - last).mean(-1)[shared].mean()


def test_the_first_frame_is_the_world(scene):
    assert np.allclose(scene.turns[0], np.eye(3)) and scene.zooms[0] == 1 and scene.zooms[-1] == pytest.approx(1.2)
    assert np.array_equal(scene.translation[0], scene.world_translation[0])


def test_camera_space_and_world_agree(scene):
    pelvis = scene.body.rest()[1][0, 0].numpy()
    rotations, translation = world_motion(scene.rotations, scene.translation, pelvis, scene.turns)
    assert np.allclose(rotations, scene.world_rotations, atol=1e-5)
    assert np.allclose(translation, scene.world_translation, atol=1e-5)


def test_a_camera_that_walks_sees_the_person_from_its_place():
    scene = clip_scene(ClipSettings(frames=3, size=(64, 36), path=CameraPath(walk=(0.5, 0.0, 1.0)), still=True))
    assert np.allclose(scene.translation[2] - scene.world_translation[2], [-0.5, 0, -1.0], atol=1e-6)


def test_feet_stand_on_the_floor_and_do_not_slide(scene):
    pose = torch.from_numpy(scene.world_rotations)
    with torch.no_grad():
        posed = scene.body(None, pose[:, 1:], pose[:, 0], torch.from_numpy(scene.world_translation))
    assert np.allclose(posed.vertices[..., 1].amax(1), scene.settings.height, atol=1e-4)
    feet = [joint_index(f"{side}_{part}", "smpl24") for side in ("left", "right") for part in ("ankle", "foot")]
    feet = posed.joints[:, feet].numpy()
    steps = np.linalg.norm(np.diff(feet[..., ::2], axis=0), axis=-1)
    assert steps.min(1).max() < 1e-4  # one of them stays
    assert np.linalg.norm(scene.world_translation[-1] - scene.world_translation[0]) > 0.3


def test_keypoints_lie_on_the_person(scene):
    detection = scene.detection(20)
    shown = detection.mask.crop(photo_edges(scene.camera.size), (136, 240))
    columns, rows = detection.keypoints[:, :2].round().astype(int).T
    inside = (rows < 136) & (columns < 240)
    assert shown[rows[inside], columns[inside]].mean() > 0.9
    picture, before = scene.image(20).astype(int), scene.image(0).astype(int)
    assert np.abs(picture - before)[shown > 0.9].mean() > 10


def test_an_unknown_take_is_refused():
    with pytest.raises(ValueError, match="has no take flying"):
        clip_scene(ClipSettings(take="flying"))
