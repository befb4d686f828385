"""Animations: every format gives back the motion, and viewers see the body where it is."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.gltf import Gltf
from scipy.spatial.transform import Rotation

from meshrec.body import BodyModel
from meshrec.body.joints import SMPL_PARENTS, joint_set
from meshrec.errors import InputError
from meshrec.export import Animation, CameraAnimation, pose_to_y_up, write_animated_scene, write_animation, write_bvh
from meshrec.export.animation import bvh_motion
from meshrec.geometry import Camera, camera_to_y_up
from meshrec.motion.bvh import read_bvh
from meshrec.motion.motion import Motion, Skeleton
from meshrec.motion.sequences import MIXAMO_JOINTS, read_motions

ANGLE, LENGTH = 1e-5, 1e-6  # radians and metres that a round trip may lose


def moving(body: BodyModel, count: int = 12, seed: int = 0, **options) -> Animation:
    """Someone with a shape who walks, turns all the way round, and moves every joint, also by large angles."""
    rng = np.random.default_rng(seed)
    swing = rng.normal(0, 0.9, (24, 3)) * np.sin(np.linspace(0, 4, count))[:, None, None]
    swing[:, 0] = [0.2, 0, 0.1]
    rotations = Rotation.from_rotvec(swing.reshape(-1, 3)).as_matrix().reshape(count, 24, 3, 3)
    rotations[:, 0] = Rotation.from_euler("y", np.linspace(0, 7, count)[:, None]).as_matrix() @ rotations[:, 0]
    place = np.stack([np.linspace(0, 3, count), np.full(count, 0.93), np.linspace(-2, 1, count)], 1)
    return Animation(body, rng.normal(size=10), rotations, place, **options)


def angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles between rotations (..., 3, 3), radians."""
    return Rotation.from_matrix((a.swapaxes(-1, -2) @ b).reshape(-1, 3, 3)).magnitude()


@pytest.fixture(scope="module")
def animation(body) -> Animation:
    return moving(body, frame_rate=24.0, name="walker")


def test_glb_plays_every_frame_at_its_time(tmp_path, animation):
    assert write_animation(tmp_path / "a.glb", animation) == ()
    file = Gltf(tmp_path / "a.glb")
    (motion,) = file.file.animations
    for sampler in motion.samplers:
        assert np.array_equal(file.array(sampler.input)[:, 0], (np.arange(12) / 24).astype(np.float32))
    for frame in range(12):
        vertices = file.posed(frame / 24)[file.faces()]
        assert np.abs(vertices - animation.vertices(frame)[animation.body.data.faces]).max() < 1e-4
    nodes = file.file.nodes
    for channel in motion.channels:
        values = file.array(motion.samplers[channel.sampler].output)
        joint = joint_set("smpl24").index(nodes[channel.target.node].name)
        if channel.target.path == "rotation":
            turned = Rotation.from_quat(values).as_matrix()
            assert angles(turned, animation.rotations[:, joint]).max() < ANGLE
        else:
            assert (channel.target.path, joint) == ("translation", 0)
            assert np.abs(values - animation.rest[1][0] - animation.translation).max() < LENGTH


def test_a_long_glb_is_small(tmp_path, body):
    write_animation(tmp_path / "a.glb", moving(body, 2000))
    assert (tmp_path / "a.glb").stat().st_size < 3e6


def test_npz_gives_back_the_motion(tmp_path, animation):
    write_animation(tmp_path / "a.npz", replace(animation, start=1.5))
    (motion,) = read_motions(tmp_path / "a.npz", animation.rest[1])
    rotations, translation = motion.upright(animation.rest[1].astype(np.float64))
    assert angles(rotations, animation.rotations).max() < ANGLE
    assert np.abs(translation - animation.translation).max() < LENGTH
    assert np.array_equal(motion.betas, animation.betas)
    assert (motion.frame_rate, motion.start, motion.name, motion.up) == (24, 36, "walker", "z")
    assert (motion.body_name, motion.body_hash) == ("open_neutral", animation.body.hash)


def test_npz_is_amass_with_z_up(tmp_path, animation):
    """Posing the body by the file's own numbers, as users of AMASS do, gives the mesh with y and z exchanged."""
    write_animation(tmp_path / "a.npz", animation)
    arrays = np.load(tmp_path / "a.npz")
    assert (arrays["poses"].shape, arrays["mocap_framerate"], arrays["gender"]) == ((12, 72), 24, "neutral")
    poses, trans, betas = (torch.from_numpy(arrays[key]).float() for key in ("poses", "trans", "betas"))
    posed = animation.body(betas[None], poses[:, 3:], poses[:, :3], trans).vertices.numpy()
    for frame in (0, 7):
        vertices = animation.vertices(frame)
        np.testing.assert_allclose(posed[frame], vertices[:, [0, 2, 1]] * [1, -1, 1], atol=1e-5)


@pytest.mark.parametrize("names, unit, scale", [("smpl", "cm", 100), ("mixamo", "m", 1), ("mixamo", "cm", 100)])
def test_bvh_gives_back_the_motion(tmp_path, animation, names, unit, scale):
    write_animation(tmp_path / "a.bvh", animation, names=names, unit=unit)
    found = read_bvh(tmp_path / "a.bvh")
    assert set(MIXAMO_JOINTS if names == "mixamo" else joint_set("smpl24")) <= set(found.skeleton.names)
    joints = animation.body(
        *(torch.from_numpy(part).float() for part in (animation.betas[None].repeat(12, 0), animation.rotations[:, 1:])),
        torch.from_numpy(animation.rotations[:, 0]).float(),
        torch.from_numpy(animation.translation).float(),
    ).joints.numpy()
    order = [found.skeleton.names.index(n) for n in (MIXAMO_JOINTS if names == "mixamo" else joint_set("smpl24"))]
    assert np.abs(found.joint_positions()[:, order] / scale - joints).max() < 1e-5  # float32
    rest = animation.rest[1].astype(np.float64)
    (motion,) = read_motions(tmp_path / "a.bvh", rest)
    rotations, translation = motion.upright(rest)
    assert angles(rotations, animation.rotations).max() < ANGLE
    assert np.abs(translation - animation.translation).max() < LENGTH
    assert motion.frame_rate == 24


def test_bvh_says_what_another_library_reads(tmp_path, animation):
    """The text, taken apart without our reader: the channels' order and the angles of scipy."""
    write_animation(tmp_path / "a.bvh", animation)
    head, _, motion = (tmp_path / "a.bvh").read_text().partition("MOTION\n")
    joints = re.findall(r"(?:ROOT|JOINT) (\w+)\s*\{\s*OFFSET (\S+) (\S+) (\S+)\s*CHANNELS \d (.*)", head)
    assert joints[0][1:] == (
        "0.00000000", "0.00000000", "0.00000000",
        "Xposition Yposition Zposition Zrotation Xrotation Yrotation",
    )  # fmt: skip
    assert {row[4] for row in joints[1:]} == {"Zrotation Xrotation Yrotation"}
    names = joint_set("smpl24")
    rest = animation.rest[1]
    for name, *offset, _ in joints[1:]:
        joint = names.index(name)
        bone = 100 * (rest[joint] - rest[SMPL_PARENTS[joint]])
        np.testing.assert_allclose(np.array(offset, float), bone, atol=1e-4)
    lines = motion.splitlines()
    assert lines[0] == "Frames: 12" and float(lines[1].removeprefix("Frame Time: ")) == pytest.approx(1 / 24, abs=1e-11)
    rows = np.array([line.split() for line in lines[2:]], float)
    assert rows.shape == (12, 3 + 3 * 24)
    turned = Rotation.from_euler("ZXY", rows[:, 3:].reshape(-1, 3), degrees=True).as_matrix().reshape(12, 24, 3, 3)
    assert angles(turned, animation.rotations[:, [names.index(row[0]) for row in joints]]).max() < ANGLE
    assert np.abs(np.diff(rows[:, 3:], axis=0)).max() < 180  # no jumps between frames


def test_limbs_of_a_bvh_end_at_the_surface(animation):
    motion = bvh_motion(animation, unit="m")
    tips = motion.skeleton.offsets[24:]
    assert len(tips) == 5 and (np.linalg.norm(tips, axis=1) > 0.02).all() and (np.linalg.norm(tips, axis=1) < 0.4).all()
    top = animation.rest[1][15] + tips[2]  # of the head, the third joint without children
    assert top[1] == pytest.approx(animation.rest[0][:, 1].max(), abs=0.05)


def test_bvh_of_any_skeleton(tmp_path):
    skeleton = Skeleton(
        ("a", "b", "b_end", "c"), np.array([-1, 0, 1, 0]), np.array([[0, 0, 0], [0, 1, 0], [0, 2, 0], [3, 0, 0.0]])
    )
    rotations = np.tile(np.eye(3), (3, 4, 1, 1))
    rotations[:, [0, 1, 3]] = Rotation.random(9, random_state=2).as_matrix().reshape(3, 3, 3, 3)
    motion = Motion(skeleton, rotations, np.arange(9.0).reshape(3, 3), 0.04)
    found = read_bvh(write_bvh(tmp_path / "a.bvh", motion))
    order = [found.skeleton.names.index(name) for name in skeleton.names]
    np.testing.assert_allclose(found.joint_positions()[:, order], motion.joint_positions(), atol=1e-6)
    with pytest.raises(ValueError, match="words without spaces"):
        write_bvh(tmp_path / "b.bvh", replace(motion, skeleton=replace(skeleton, names=("a b", "b", "b_end", "c"))))


def test_everybody_in_a_scene_moves_on_one_clock(tmp_path, body):
    """One enters late, one leaves early; where somebody is not there, the mesh is a point."""
    first = moving(body, 6, frame_rate=10.0, name="first")
    late = moving(body, 5, seed=1, frame_rate=10.0, start=0.5, name="late")
    assert write_animated_scene(tmp_path / "a.glb", [first, late]) == ()
    file = Gltf(tmp_path / "a.glb")
    assert len(file.file.animations) == 1 and [skin.name for skin in file.file.skins] == ["first", "late"]
    for index, person in enumerate((first, late)):
        faces = body.data.faces
        for frame, time in enumerate(person.times):
            vertices = file.posed(float(time), index)[file.faces(index)]
            assert np.abs(vertices - person.vertices(frame)[faces]).max() < 1e-4
    assert np.ptp(file.posed(0.4, 1), axis=0).max() < 1e-6 and np.ptp(file.posed(0.0, 1), axis=0).max() < 1e-6
    assert np.ptp(file.posed(0.55, 0), axis=0).max() > 1
    assert np.ptp(file.posed(0.65, 0), axis=0).max() < 1e-6
    scales = [channel for channel in file.file.animations[0].channels if channel.target.path == "scale"]
    assert {file.file.animations[0].samplers[channel.sampler].interpolation for channel in scales} == {"STEP"}


def test_nobody_is_hidden_who_is_always_there(tmp_path, body):
    write_animated_scene(tmp_path / "a.glb", [moving(body, 4, seed=seed, name=str(seed)) for seed in (0, 1)])
    (motion,) = Gltf(tmp_path / "a.glb").file.animations
    assert {channel.target.path for channel in motion.channels} == {"translation", "rotation"}


def test_the_camera_of_a_scene_turns_as_the_film_did(tmp_path, body):
    """A point of the world has the same pixel in both."""
    camera = Camera(900.0, size=(640, 480))
    turns = Rotation.from_euler("yx", np.stack([np.linspace(0, 0.5, 4), np.linspace(0, -0.2, 4)], 1)).as_matrix()
    positions = np.linspace([0, 0, 0], [0.3, 0.1, -0.2], 4)
    write_animated_scene(
        tmp_path / "a.glb", [moving(body, 4, frame_rate=10.0)], camera, CameraAnimation(turns, 10.0, positions)
    )
    file = Gltf(tmp_path / "a.glb")
    (node,) = [index for index, node in enumerate(file.file.nodes) if node.camera is not None]
    point = np.array([0.2, -0.1, 3.0])
    for frame in range(4):
        file.posed(frame / 10)
        seen = np.linalg.inv(file.world[node]) @ [*camera_to_y_up(point), 1]
        np.testing.assert_allclose(camera_to_y_up(seen[:3]), turns[frame] @ (point - positions[frame]), atol=1e-6)


def test_a_motion_before_a_camera_stands_upright(body):
    """pose_to_y_up and the animation agree with the mesh of camera space."""
    still = moving(body, 3)
    rotations, translation = pose_to_y_up(still.rotations, still.translation, still.rest[1][0].astype(np.float64))
    turned = replace(still, rotations=rotations, translation=translation)
    np.testing.assert_allclose(turned.vertices(2), camera_to_y_up(still.vertices(2)), atol=1e-5)


def test_khronos_validator_finds_nothing(tmp_path, body, validate):
    first, late = moving(body, 6, name="first"), moving(body, 5, seed=1, start=0.1, name="late")
    write_animation(tmp_path / "a.glb", first)
    turns = CameraAnimation(np.tile(np.eye(3), (4, 1, 1)))
    write_animated_scene(tmp_path / "scene.glb", [first, late], Camera(900.0, size=(640, 480)), turns)
    for name in ("a.glb", "scene.glb"):
        report = validate(tmp_path / name)
        assert (report["numErrors"], report["numWarnings"]) == (0, 0), (name, report["messages"])


def test_betas_are_filled_up_to_those_of_the_body(body, tmp_path):
    still = Animation(body, [0.5], np.tile(np.eye(3), (2, 24, 1, 1)), np.zeros((2, 3)))
    assert still.betas.tolist() == [0.5] + 9 * [0]
    write_animation(tmp_path / "a.npz", still)
    assert read_motions(tmp_path / "a.npz", still.rest[1])[0].body_hash == body.hash


STILL = {"betas": np.zeros(10), "rotations": np.tile(np.eye(3), (4, 24, 1, 1)), "translation": np.zeros((4, 3))}


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"betas": np.zeros(11)}, "the body has 10 shape coefficients, but there are 11 betas"),
        ({"betas": np.zeros((4, 10))}, r"betas must have shape \(n\)"),
        ({"rotations": np.zeros((0, 24, 3, 3)), "translation": np.zeros((0, 3))}, "at least one frame"),
        ({"rotations": np.zeros((4, 24, 3, 3))}, "no rotation"),
        ({"rotations": -STILL["rotations"]}, "no rotation"),
        ({"rotations": STILL["rotations"][:, :23]}, r"rotations must have shape \(n, 24, 3, 3\)"),
        ({"rotations": STILL["rotations"] * np.nan}, "rotations holds values that are not finite"),
        ({"translation": np.zeros((3, 3))}, r"translation must have shape \(4, 3\)"),
        ({"frame_rate": 0.0}, "frame rate of 0"),
        ({"start": -1.0}, "start at -1"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_wrong_animations(body, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Animation(body, **(STILL | changes))


def test_wrong_names_and_scenes(body, tmp_path):
    still = Animation(body, **STILL)
    with pytest.raises(InputError, match=r"the name must end in \.glb or \.bvh or \.npz"):
        write_animation(tmp_path / "a.fbx", still)
    for options in ({"names": "unity"}, {"unit": "inch"}):
        with pytest.raises(ValueError, match="names are smpl, mixamo and units cm, m"):
            write_animation(tmp_path / "a.bvh", still, **options)
    with pytest.raises(ValueError, match="at least one person"):
        write_animated_scene(tmp_path / "a.glb", [])
    with pytest.raises(ValueError, match="needs the camera"):
        write_animated_scene(tmp_path / "a.glb", [still], None, CameraAnimation(np.eye(3)[None]))
    with pytest.raises(ValueError, match="at least one frame"):
        CameraAnimation(np.zeros((0, 3, 3)))
    assert not list(tmp_path.iterdir())
