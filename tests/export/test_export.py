"""Meshes out: what other libraries and the Khronos validator read is what we had."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from helpers.gltf import Gltf
from scipy.spatial.transform import Rotation

from meshrec.body import load_body
from meshrec.errors import InputError
from meshrec.export import (
    Mesh,
    Rig,
    SkinnedMesh,
    draw_uv_template,
    pose_to_y_up,
    read_parameters,
    write_mesh,
    write_scene,
    write_skinned,
)
from meshrec.export.uv_template import uv_template_png
from meshrec.geometry import Camera, axis_angle_to_matrix, camera_to_y_up

PARENTS = np.array([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21])
JOINTS = len(PARENTS)
NAMES = [f"joint {j}" for j in range(JOINTS)]


def sphere_with_seam(rows: int = 24, columns: int = 48) -> Mesh:
    """A closed body-sized ellipsoid; the texture's left and right edge meet in a seam, and each pole fans out."""
    latitude = np.linspace(0, np.pi, rows + 1)[1:-1]
    longitude = np.arange(columns) * 2 * np.pi / columns
    ring = np.stack([np.cos(longitude), 0 * longitude, np.sin(longitude)], -1)
    vertices = np.concatenate(
        [[[0, 1, 0]], *(np.sin(t) * ring + [0, np.cos(t), 0] for t in latitude), [[0, -1, 0]]]
    ) * [0.4, 0.9, 0.3]
    uv = np.stack(np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(1, 0, rows + 1)), -1).reshape(-1, 2)

    def vertex(row: int, column: int) -> int:
        return 0 if row == 0 else len(vertices) - 1 if row == rows else 1 + (row - 1) * columns + column % columns

    faces, uv_faces = [], []
    for row in range(rows):
        for column in range(columns):
            quad = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)]
            for corners in ([quad[0], quad[1], quad[2]], [quad[0], quad[2], quad[3]]):
                indices = [vertex(*corner) for corner in corners]
                if len(set(indices)) == 3:
                    faces.append(indices)
                    uv_faces.append([r * (columns + 1) + c for r, c in corners])
    return Mesh(vertices, np.array(faces), uv, np.array(uv_faces), name="ellipsoid", color=(0.9, 0.5, 0.2))


def random_rig(mesh: Mesh, influences: int = 4) -> Rig:
    rng = np.random.default_rng(0)
    joints = rng.uniform(-0.5, 0.5, (JOINTS, 3)) * [0.6, 1.5, 0.4]
    near = -np.linalg.norm(mesh.vertices[:, None] - joints, axis=-1)
    near[near < np.sort(near, 1)[:, -influences][:, None]] = -np.inf
    weights = np.exp(near * 10)
    return Rig(joints, PARENTS, weights / weights.sum(1, keepdims=True), NAMES)


def random_pose(frames: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pose = Rotation.from_rotvec(rng.normal(0, 0.8, (frames * JOINTS, 3))).as_matrix().reshape(frames, JOINTS, 3, 3)
    return pose, rng.normal(0, 1, (frames, 3))


def blend(mesh: Mesh, rig: Rig, pose: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Linear blend skinning, joint by joint (Loper et al. 2015, equations 2 to 4)."""
    world = []
    for j, parent in enumerate(rig.parents):
        local = np.eye(4)
        local[:3, :3] = pose[j]
        local[:3, 3] = rig.joints[j] - (rig.joints[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    posed = 0
    for j in range(len(rig.joints)):
        moved = (mesh.vertices - rig.joints[j]) @ world[j][:3, :3].T + world[j][:3, 3]
        posed = posed + rig.weights[:, j, None] * moved
    return posed + translation


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return sphere_with_seam()


@pytest.fixture(scope="module")
def rig(mesh: Mesh) -> Rig:
    return random_rig(mesh)


# Static meshes


def test_ply_is_exact(tmp_path, mesh):
    read = trimesh.load(write_mesh(tmp_path / "a.ply", mesh), process=False)
    assert np.array_equal(read.vertices.astype(np.float32), mesh.vertices)
    assert np.array_equal(read.faces, mesh.faces)
    assert np.array_equal(read.visual.vertex_colors[0, :3], [230, 128, 51])


def test_obj_is_exact_and_keeps_the_vertices(tmp_path, mesh):
    path = write_mesh(tmp_path / "a.obj", mesh)
    read = trimesh.load(path, process=False)
    assert np.array_equal(read.vertices[read.faces].astype(np.float32), mesh.vertices[mesh.faces])
    assert np.allclose(read.visual.uv[read.faces], mesh.uv[mesh.uv_faces], atol=1e-6)
    lines = path.read_text().splitlines()
    assert sum(line.startswith("v ") for line in lines) == len(mesh.vertices)
    assert sum(line.startswith("vt ") for line in lines) == len(mesh.uv)
    assert not list(tmp_path.glob("*.mtl"))


def test_glb_is_exact_and_turns_v_over(tmp_path, mesh):
    path = write_mesh(tmp_path / "a.glb", mesh)
    own = Gltf(path)
    assert np.array_equal(own.attribute("POSITION")[own.faces()], mesh.vertices[mesh.faces])
    assert np.allclose(own.attribute("TEXCOORD_0")[own.faces()] * [1, -1] + [0, 1], mesh.uv[mesh.uv_faces], atol=1e-6)
    # trimesh undoes glTF's v by itself: its texture coordinates are OBJ's.
    read = trimesh.load(path, force="mesh", process=False)
    assert np.allclose(read.visual.uv[read.faces], mesh.uv[mesh.uv_faces], atol=1e-6)


def test_seams_repeat_only_what_they_must(tmp_path, mesh):
    own = Gltf(write_mesh(tmp_path / "a.glb", mesh))
    distinct = {(v, t) for v, t in zip(mesh.faces.ravel().tolist(), mesh.uv_faces.ravel().tolist())}
    assert len(own.attribute("POSITION")) == len(distinct) > len(mesh.vertices)


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".glb"])
def test_normals_point_outwards_and_agree_across_seams(tmp_path, mesh, suffix):
    path = write_mesh(tmp_path / f"a{suffix}", mesh)
    if suffix == ".glb":
        vertices, normals = (Gltf(path).attribute(name) for name in ("POSITION", "NORMAL"))
    elif suffix == ".obj":
        rows = [line.split() for line in path.read_text().splitlines()]
        vertices, normals = (np.array([row[1:] for row in rows if row[0] == key], float) for key in ("v", "vn"))
    else:
        read = trimesh.load(path, process=False)
        vertices, normals = read.vertices, read.vertex_normals
    gradient = vertices / np.square([0.4, 0.9, 0.3])  # normal of an ellipsoid
    gradient /= np.linalg.norm(gradient, axis=1, keepdims=True)
    assert (normals * gradient).sum(1).min() > 0.99
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".glb"])
def test_a_mesh_without_texture_coordinates(tmp_path, mesh, suffix):
    plain = Mesh(torch.from_numpy(mesh.vertices), torch.from_numpy(mesh.faces))
    read = trimesh.load(write_mesh(tmp_path / f"a{suffix}", plain), force="mesh", process=False, maintain_order=True)
    assert np.array_equal(read.vertices.astype(np.float32), mesh.vertices)
    assert np.array_equal(read.faces, mesh.faces)


def test_many_vertices_need_wide_indices(tmp_path):
    big = sphere_with_seam(200, 400)
    own = Gltf(write_mesh(tmp_path / "a.glb", big))
    assert np.array_equal(own.attribute("POSITION")[own.faces()], big.vertices[big.faces])


def test_material_brings_the_texture_layout(tmp_path, mesh):
    write_mesh(tmp_path / "some body.obj", mesh, material=True)
    read = trimesh.load(tmp_path / "some body.obj", process=False)
    assert read.visual.material.image.size == (2048, 2048)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["some body.mtl", "some body.obj", "some body_uv.png"]


def test_uv_layout_has_v_upwards():
    picture = draw_uv_template(np.array([[0.1, 0.9], [0.4, 0.9], [0.1, 0.6]]), np.array([[0, 1, 2]]), size=100)
    rows, columns = np.nonzero(picture < 255)
    # The triangle covers 9.5 to 39.5 both ways; its outline is blended over a pixel more.
    assert np.allclose([rows.min(), rows.max(), columns.min(), columns.max()], [9.5, 39.5, 9.5, 39.5], atol=1.5)
    assert picture[12, 12] < 255 and picture[38, 38] == 255


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices": np.full((4, 3), np.nan)}, "vertices holds values that are not finite"),
        ({"vertices": np.zeros((4, 2))}, r"vertices must have shape \(n, 3\)"),
        ({"faces": np.array([[0, 1, 4]])}, "faces holds an index outside 0 to 3"),
        ({"faces": np.array([[0, 1, 2.5]])}, "faces must be integers"),
        ({"color": (255, 0, 0)}, "three numbers from 0 to 1"),
        ({"uv": np.zeros((3, 2))}, "give both or neither"),
        ({"uv": np.zeros((3, 2)), "uv_faces": np.zeros((2, 3), int)}, "uv_faces has 2 triangles, faces has 1"),
    ],
)
def test_a_wrong_mesh_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Mesh(**({"vertices": np.zeros((4, 3)), "faces": np.array([[0, 1, 2]])} | change))


# Scenes


def test_scene_has_everyone_where_they_stand(tmp_path, mesh):
    places = [np.array([-1, 0.2, 4]), np.array([1.5, 0.1, 6])]  # camera space: y down, z forward
    people = [
        Mesh(camera_to_y_up(mesh.vertices + place), mesh.faces, name=f"person {i}", color=(0.2 + 0.5 * i, 0.5, 0.4))
        for i, place in enumerate(places)
    ]
    path = write_scene(tmp_path / "scene.glb", people, Camera(focal=800.0, size=(640, 480)))
    scene = trimesh.load(path)
    assert set(scene.geometry) == {"person 0", "person 1"}
    for i, place in enumerate(places):
        corners = scene.geometry[f"person {i}"].bounds
        assert np.allclose(corners.mean(0), place * [1, -1, -1], atol=1e-5)
    colors = [m.visual.material.baseColorFactor for m in scene.geometry.values()]
    assert not np.array_equal(*colors)


def test_scene_camera_sees_what_the_photo_showed(tmp_path, mesh):
    camera = Camera(focal=(800.0, 820.0), size=(640, 480))
    file = Gltf(write_scene(tmp_path / "scene.glb", [mesh], camera)).file
    assert [file.nodes[i].camera for i in file.scenes[0].nodes] == [None, 0]
    own = file.cameras[0].perspective
    point = torch.tensor([[0.3, -0.2, 3.0]])
    u, v, _ = camera.project(point)[0].tolist()
    x, y, z = camera_to_y_up(point)[0]
    # glTF 2.0, section 3.10.3.2: a perspective projection onto [-1, 1], y up.
    tangent = np.tan(own.yfov / 2)
    assert np.isclose(x / -z / tangent / own.aspectRatio, (u + 0.5) / 640 * 2 - 1, atol=1e-6)
    assert np.isclose(y / -z / tangent, 1 - (v + 0.5) / 480 * 2, atol=1e-6)


# Skinned bodies


def test_skeleton_poses_the_mesh_as_we_do(tmp_path, mesh, rig):
    (pose,), (translation,) = random_pose(1)
    assert write_skinned(tmp_path / "a.glb", mesh, rig, pose, translation) == []
    own = Gltf(tmp_path / "a.glb")
    assert np.abs(own.posed()[own.faces()] - blend(mesh, rig, pose, translation)[mesh.faces]).max() < 1e-5
    assert np.array_equal(own.attribute("POSITION")[own.faces()], mesh.vertices[mesh.faces])
    assert [own.file.nodes[j].name for j in own.file.skins[0].joints] == NAMES


def test_rest_pose_is_the_bind_pose(tmp_path, mesh, rig):
    write_skinned(tmp_path / "a.glb", mesh, rig)
    own = Gltf(tmp_path / "a.glb")
    assert np.abs(own.posed() - own.attribute("POSITION")).max() < 1e-6


def test_animation_plays_every_pose(tmp_path, mesh, rig):
    pose, translation = random_pose(5)
    write_skinned(tmp_path / "a.glb", mesh, rig, torch.from_numpy(pose), torch.from_numpy(translation), frame_rate=25)
    own = Gltf(tmp_path / "a.glb")
    for frame in range(5):
        truth = blend(mesh, rig, pose[frame], translation[frame])
        assert np.abs(own.posed(frame / 25)[own.faces()] - truth[mesh.faces]).max() < 1e-5
    assert np.abs(own.posed()[own.faces()] - blend(mesh, rig, pose[0], translation[0])[mesh.faces]).max() < 1e-5


def test_animation_takes_the_short_way(tmp_path, mesh, rig):
    turns = np.linspace(0, 4 * np.pi, 40)  # passes through rotations where a quaternion with w >= 0 jumps
    pose = np.tile(np.eye(3), (40, JOINTS, 1, 1))
    pose[:, 0] = Rotation.from_rotvec(turns[:, None] * [0, 1, 0]).as_matrix()
    write_skinned(tmp_path / "a.glb", mesh, rig, pose)
    own = Gltf(tmp_path / "a.glb")
    animation = own.file.animations[0]
    for channel in animation.channels:
        if channel.target.path == "rotation":
            keys = own.array(animation.samplers[channel.sampler].output)
            assert (keys[1:] * keys[:-1]).sum(1).min() > 0.9


def test_more_influences_keep_the_strongest_and_say_so(tmp_path, mesh):
    many = random_rig(mesh, influences=6)
    notes = write_skinned(tmp_path / "a.glb", mesh, many, pose_correctives=True)
    own = Gltf(tmp_path / "a.glb")
    assert len(notes) == 2 and "correctives" in notes[0] and "strongest" in notes[1]
    assert own.file.asset.extras["notes"] == notes
    weights = own.attribute("WEIGHTS_0")
    assert np.abs(weights.sum(1, dtype=np.float64) - 1).max() < 1e-7
    strongest = np.sort(many.weights, 1)[:, -4:][:, ::-1]
    # Rows repeat along seams, so compare as sets of rows.
    expected = np.unique((strongest / strongest.sum(1, keepdims=True)).round(4), axis=0)
    assert np.allclose(np.unique(weights.round(4), axis=0)[: len(expected)], expected, atol=2e-4)


def test_a_person_of_camera_space_stands_upright(tmp_path, mesh, rig):
    (pose,), (translation,) = random_pose(1)
    write_skinned(tmp_path / "a.glb", mesh, rig, *pose_to_y_up(pose, translation, rig.joints[0]))
    own = Gltf(tmp_path / "a.glb")
    truth = camera_to_y_up(blend(mesh, rig, pose, translation))
    assert np.abs(own.posed()[own.faces()] - truth[mesh.faces]).max() < 1e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parents": np.array([-1, 2, 1])}, "earlier joint"),
        ({"parents": np.array([0, 0, 1])}, "-1 for joint 0"),
        ({"weights": np.full((5, 3), 0.5)}, "sum to 1"),
        ({"names": ["a"]}, "names"),
    ],
)
def test_a_wrong_rig_is_refused(change, message):
    good = {"joints": np.zeros((3, 3)), "parents": [-1, 0, 1], "weights": np.full((5, 3), 1 / 3), "names": list("abc")}
    with pytest.raises(ValueError, match=message):
        Rig(**(good | change))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pose": np.zeros((JOINTS, 3))}, r"pose must have shape \(n, 24, 3, 3\)"),
        ({"pose": np.zeros((0, JOINTS, 3, 3))}, "at least one pose"),
        ({"pose": -np.eye(3) * np.ones((JOINTS, 1, 1))}, "no rotation"),
        ({"translation": np.zeros((2, 3))}, "1 poses need as many translations"),
        ({"frame_rate": 0}, "frame rate must be positive"),
    ],
)
def test_a_wrong_pose_is_refused(tmp_path, mesh, rig, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_skinned(tmp_path / "a.glb", mesh, rig, **arguments)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["neutral", "male", "female"])
def test_open_body_poses_itself_by_its_own_skeleton(tmp_path, name):
    body = load_body(name)
    generator = torch.Generator().manual_seed(4)
    betas = torch.randn(1, 10, generator=generator)
    pose = axis_angle_to_matrix(torch.randn(1, JOINTS, 3, generator=generator) * 0.5)
    translation = torch.tensor([[0.2, 0.3, 4.0]])
    vertices = body(betas, pose[:, 1:], pose[:, :1], translation).vertices[0]
    rest, joints = body.rest(betas)
    mesh = Mesh(rest[0], body.faces, body.data.uv, body.data.uv_faces)
    rig = Rig(joints[0], body.parents, body.weights, body.joint_names)
    standing = pose_to_y_up(pose[0], translation[0], joints[0, 0])
    assert write_skinned(tmp_path / "a.glb", mesh, rig, *standing, pose_correctives=body.has_posedirs) == []
    own = Gltf(tmp_path / "a.glb")
    assert np.abs(own.posed()[own.faces()] - camera_to_y_up(vertices).numpy()[mesh.faces]).max() < 1e-4


def test_a_scene_poses_each_of_its_people_by_their_own_skeleton(tmp_path, mesh, rig):
    """Two of three people have one; the third is a plain mesh between them."""
    pose, translation = random_pose(2)
    other = sphere_with_seam(12, 20)
    people = [SkinnedMesh(mesh, rig, pose[0], translation[0]), mesh, SkinnedMesh(other, random_rig(other, 6), pose[1])]
    people[2] = replace(people[2], rest=replace(other, name="other"), pose_correctives=True)
    path = write_scene(tmp_path / "scene.glb", people, Camera(focal=800.0, size=(640, 480)))
    scene = Gltf(path)
    file = scene.file
    assert [node.skin for node in file.nodes if node.mesh is not None] == [0, None, 1]
    joints = [set(skin.joints) for skin in file.skins]
    assert len(joints) == 2 and not joints[0] & joints[1] and all(len(own) == JOINTS for own in joints)
    truth = blend(mesh, rig, pose[0], translation[0])
    assert np.abs(scene.posed()[scene.faces()] - truth[mesh.faces]).max() < 1e-5
    assert np.array_equal(scene.attribute("POSITION", 1)[scene.faces(1)], mesh.vertices[mesh.faces])
    alone = tmp_path / "alone.glb"
    notes = write_skinned(alone, people[2].rest, people[2].rig, pose[1], pose_correctives=True)
    assert np.abs(scene.posed(mesh=2) - Gltf(alone).posed()).max() < 1e-6
    assert file.asset.extras["notes"] == [f"other: {note}" for note in notes] and len(notes) == 2
    assert set(trimesh.load(path).geometry) >= {"other"}
    with pytest.raises(ValueError, match="the rig has weights for"):
        write_scene(tmp_path / "wrong.glb", [SkinnedMesh(other, rig)])
    assert not (tmp_path / "wrong.glb").exists()


def test_khronos_validator_finds_nothing(tmp_path, mesh, rig, validate):
    pose, translation = random_pose(4)
    body = load_body("neutral")
    files = [
        write_mesh(tmp_path / "static.glb", mesh),
        write_mesh(tmp_path / "body.glb", Mesh(body.v_template, body.faces, body.data.uv, body.data.uv_faces)),
        write_mesh(tmp_path / "plain.glb", Mesh(mesh.vertices, mesh.faces)),
        write_mesh(tmp_path / "textured.glb", replace(mesh, texture=uv_template_png(mesh.uv, mesh.uv_faces, 64))),
        write_scene(tmp_path / "scene.glb", [mesh, mesh], Camera(focal=800.0, size=(640, 480))),
    ]
    people = [SkinnedMesh(mesh, rig, pose[0], translation[0]), mesh, SkinnedMesh(mesh, rig, pose)]
    files.append(write_scene(tmp_path / "people.glb", people))
    write_skinned(tmp_path / "rest.glb", mesh, rig)
    write_skinned(tmp_path / "posed.glb", mesh, rig, pose[0], translation[0], pose_correctives=True)
    write_skinned(tmp_path / "moving.glb", mesh, rig, pose, translation)
    for path in [*files, tmp_path / "rest.glb", tmp_path / "posed.glb", tmp_path / "moving.glb"]:
        report = validate(path)
        assert (report["numErrors"], report["numWarnings"]) == (0, 0), (path.name, report["messages"])


def test_names_must_tell_the_format(tmp_path, mesh):
    for write in (write_mesh, lambda path, _: write_scene(path, []), lambda path, _: read_parameters(path)):
        with pytest.raises(InputError, match=r"the name must end in \."):
            write(tmp_path / "a.fbx", mesh)
