"""How a camera turns and zooms, on synthetic clips whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshrec.detect import Detection
from meshrec.detect.camera_motion import CameraMotion, View
from meshrec.detect.camera_motion_settings import CameraMotionSettings
from meshrec.geometry import Camera, world_motion
from meshrec.synthetic.clip_scene import CameraPath, ClipScene, ClipSettings, clip_scene

SIZE = (320, 180)
FRAMES = 24


class Clip:
    """A synthetic clip with its frames drawn."""

    def __init__(self, path: CameraPath, frames: int = FRAMES) -> None:
        self.scene: ClipScene = clip_scene(ClipSettings(frames=frames, size=SIZE, path=path))
        self.images = list(self.scene.images())
        self.people = [[self.scene.detection(number)] for number in range(frames)]


@pytest.fixture(scope="module")
def moving() -> Clip:
    return Clip(CameraPath(pan=30, tilt=10, shake=0.3, zoom=1.5))


@pytest.fixture(scope="module")
def still() -> Clip:
    return Clip(CameraPath(), 12)


@pytest.fixture(scope="module")
def followed(moving) -> tuple[CameraMotion, list[View]]:
    return follow(moving)


def follow(clip: Clip, images=None, people=None, settings=CameraMotionSettings()) -> tuple[CameraMotion, list[View]]:
    motion = CameraMotion(clip.scene.camera, settings)
    pairs = zip(images or clip.images, people or clip.people)
    return motion, [motion.step(image, others) for image, others in pairs]


def errors(views: list[View], turns: np.ndarray) -> np.ndarray:
    """Angles between turns, degrees."""
    found = np.stack([view.turn for view in views])
    return np.degrees(Rotation.from_matrix(found @ turns.swapaxes(-1, -2)).magnitude())


def test_a_camera_that_pans_tilts_shakes_and_zooms(moving, followed):
    motion, views = followed
    assert all(view.sure for view in views)
    assert errors(views, moving.scene.turns).max() < 0.15
    assert np.abs([view.zoom for view in views] / moving.scene.zooms - 1).max() < 0.01
    assert "turns by up to" in motion.summary() and "zooms from 1.00 to 1.5" in motion.summary()
    assert views[-1].camera(moving.scene.camera).focal[0] == pytest.approx(1.5 * moving.scene.camera.focal[0], rel=0.01)


def test_a_walk_is_where_it_is_in_the_world(moving, followed):
    scene = moving.scene
    turns = np.stack([view.turn for view in followed[1]])
    pelvis = scene.body.rest()[1][0, 0].numpy()
    found = world_motion(scene.rotations, scene.translation, pelvis, turns)[1]
    with_turns = np.linalg.norm(found - scene.world_translation, axis=-1).max()
    without = np.linalg.norm(scene.translation - scene.world_translation, axis=-1).max()
    length = np.linalg.norm(np.diff(scene.world_translation, axis=0), axis=-1).sum()
    assert with_turns < 0.05 * length and without > 0.3 * length


def test_a_camera_on_a_tripod_does_not_move_at_all(still):
    motion, views = follow(still)
    assert all(view.sure and view.zoom == 1 and np.array_equal(view.turn, np.eye(3)) for view in views)
    assert motion.summary() == "The camera does not move."


@pytest.mark.parametrize("amount", [0.25, -0.25])
def test_exposure_is_no_motion(still, amount):
    images = [np.clip(image * (1 + amount * (n % 2)), 0, 255).astype(np.uint8) for n, image in enumerate(still.images)]
    views = follow(still, images)[1]
    assert all(view.sure and np.array_equal(view.turn, np.eye(3)) for view in views)


def test_few_frames_a_second(moving):
    chosen = slice(0, None, 8)
    views = follow(moving, moving.images[chosen], moving.people[chosen])[1]
    assert all(view.sure for view in views)
    assert errors(views, moving.scene.turns[chosen]).max() < 0.15


def test_people_who_fill_the_picture_keep_the_turn_until_they_leave(moving):
    near = replace(moving.people[0][0], box=np.array([0, 0, 319, 179], np.float32), mask=None)
    people = [[near] if 8 <= number < 12 else own for number, own in enumerate(moving.people)]
    motion, views = follow(moving, people=people)
    assert [number for number, view in enumerate(views) if not view.sure] == [8, 9, 10, 11]
    assert all(np.array_equal(views[n].turn, views[7].turn) and views[n].zoom == views[7].zoom for n in range(8, 12))
    assert errors(views[12:], moving.scene.turns[12:]).max() < 0.15
    assert "In 4 of 24 frames it could not be followed." in motion.summary()


def test_a_white_wall_tells_nothing(still):
    random = np.random.default_rng(0)
    walls = [np.clip(200 + random.normal(0, 3, (180, 320, 3)), 0, 255).astype(np.uint8) for _ in range(6)]
    motion, views = follow(still, walls)
    assert not any(view.sure for view in views)
    assert motion.summary().startswith("Whether the camera moves cannot be known")


def test_a_camera_that_changes_its_place_is_told():
    clip = Clip(CameraPath(walk=(1.5, 0, 1.0)), 16)
    motion, _ = follow(clip)
    assert "near and far parts of the background move differently" in motion.summary()


def test_after_a_cut_it_begins_anew(still):
    other = clip_scene(ClipSettings(frames=1, size=SIZE, seed=7))
    lost = CameraMotionSettings().lost
    motion, views = follow(still, still.images[:3] + [other.image(0)] * (lost + 7), [[]] * (lost + 10))
    assert [view.sure for view in views] == [True] * 3 + [False] * lost + [True] * 7
    assert all(np.array_equal(view.turn, np.eye(3)) for view in views)
    assert "The background was lost once" in motion.summary()


def test_a_resumed_motion_is_the_same(moving, followed, tmp_path):
    whole, expected = followed
    motion, _ = follow(moving, moving.images[:14])
    np.savez(tmp_path / "state.npz", **motion.state())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        resumed = CameraMotion.resumed(moving.scene.camera, dict(state))
    for image, people, view in zip(moving.images[14:], moving.people[14:], expected[14:]):
        again = resumed.step(image, people)
        assert np.array_equal(again.turn, view.turn) and again.zoom == view.zoom and again.sure == view.sure
    assert resumed.summary() == whole.summary()


def test_states_and_frames_of_other_sizes_are_refused(still):
    motion, _ = follow(still, still.images[:1])
    with pytest.raises(ValueError, match="another size"):
        CameraMotion.resumed(Camera(300.0, size=(300, 180)), motion.state())
    with pytest.raises(ValueError, match="lacks 'active'"):
        CameraMotion.resumed(still.scene.camera, {k: v for k, v in motion.state().items() if k != "active"})
    with pytest.raises(ValueError, match="300 x 180 pixels"):
        motion.step(np.zeros((180, 300, 3), np.uint8), [])


def test_without_frames_nothing_is_known():
    assert CameraMotion(Camera(300.0, size=SIZE)).summary().startswith("Whether the camera moves cannot be known")


@pytest.mark.parametrize("ratio", [0.75, 1.0, 1.3])
def test_the_focal_length_is_told_by_a_pan(moving, ratio):
    scene = moving.scene
    motion = CameraMotion(
        Camera(scene.camera.focal[0] / ratio, size=SIZE), CameraMotionSettings(focal_every=3, focal_motion=4.0)
    )
    for image, people in zip(moving.images, moving.people):
        motion.step(image, people)
    assert motion.focal_ratio() == pytest.approx(ratio, rel=0.1)
    assert ("Its focal length seems to be" in motion.summary()) == (ratio != 1)


def test_without_turns_the_focal_length_is_not_known(still):
    assert follow(still)[0].focal_ratio() is None


def test_people_without_masks_are_left_out_by_their_boxes(moving):
    people = [[Detection(own[0].box, own[0].keypoints, "coco17", 1.0)] for own in moving.people]
    views = follow(moving, moving.images[:8], people[:8])[1]
    assert errors(views, moving.scene.turns[:8]).max() < 0.15
