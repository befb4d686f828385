"""A person: the body's own vertices, files that give them back, and bodies that do not fit refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import trimesh
from helpers.gltf import Gltf
from helpers.results import check_result, strict_json

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel, joint_set, load_body, write_body
from meshrec.body.files import body_from_arrays
from meshrec.errors import InputError
from meshrec.geometry import Camera, random_rotations
from meshrec.reconstruct.person import SAVE_SUFFIXES, Person, export_people


def make_person(body: BodyModel, seed: int = 0) -> Person:
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    return Person(
        body,
        betas=rng.normal(size=10),
        rotations=random_rotations(24, generator=generator),
        translation=[0.3, -0.2, 6.0],
        camera=Camera((900.0, 910.0), (310.0, 255.0), (640, 480)),
        box=[10, 20, 300, 400],
        score=0.75,
        keypoints_2d=np.column_stack([rng.uniform(0, 400, (17, 2)), rng.uniform(0, 1, 17)]),
        keypoint_names=joint_set("coco17"),
        joint_deviation=rng.uniform(0, 0.3, 24),
        gravity=[0.0, 0.6, 0.8],
        gravity_deviation=[0.1, 0.05],
    )


@pytest.fixture
def person(body) -> Person:
    return make_person(body)


def posed(person: Person, **options):
    pose = torch.from_numpy(person.rotations)[None]
    return person.body(
        betas=torch.from_numpy(person.betas)[None],
        body_pose=pose[:, 1:],
        global_orient=pose[:, 0],
        transl=torch.from_numpy(person.translation)[None],
        **options,
    )


def test_vertices_are_exactly_the_bodys(person):
    assert np.array_equal(person.vertices, posed(person).vertices[0].numpy())
    assert person.vertices.dtype == np.float32
    assert np.array_equal(person.faces, person.body.faces.numpy())


def test_joints_are_the_skeletons_own_or_the_landmarks(person):
    out = posed(person)
    assert np.array_equal(person.joints("smpl24"), out.joints[0].numpy())
    assert np.array_equal(person.joints("h36m17"), person.body.joints_from(out.vertices, "h36m17")[0].numpy())
    with pytest.raises(ValueError, match="known sets"):
        person.joints("smpl25")


def test_notes_tell_bodies_that_lie_elsewhere(tmp_path, person):
    assert person.notes == replace(person, reprojection_error=0.1, mask_iou=0.3).notes == ()
    bad = replace(person, reprojection_error=0.123, mask_iou=0.2)
    assert bad.notes == (
        "the body misses the keypoints (reprojection error 0.12)",
        "the body misses the person's mask (IoU 0.2)",
    )
    bad.save(tmp_path / "p.json")
    assert json.loads((tmp_path / "p.json").read_text())["notes"] == list(bad.notes)
    bad.save(tmp_path / "p.npz")
    assert np.load(tmp_path / "p.npz")["notes"].tolist() == list(bad.notes)
    assert Person.load(tmp_path / "p.json").notes == Person.load(tmp_path / "p.npz").notes == bad.notes


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_parameters_give_the_person_back(tmp_path, person, suffix):
    person.save(tmp_path / f"p{suffix}")
    again = Person.load(tmp_path / f"p{suffix}")
    assert np.abs(again.vertices - person.vertices).max() < 1e-5
    for name in ("betas", "translation", "box", "keypoints_2d", "joint_deviation", "gravity", "gravity_deviation"):
        assert np.array_equal(getattr(again, name), getattr(person, name)), name
    assert again.keypoint_names == person.keypoint_names
    assert again.score == person.score
    assert np.allclose(again.camera.matrix, person.camera.matrix)


def test_json_names_every_joint(tmp_path, person):
    person.save(tmp_path / "p.json")
    document = json.loads((tmp_path / "p.json").read_text())
    names = joint_set("smpl24")
    assert tuple(document["joints_3d"]) == tuple(document["joints_2d"]) == tuple(document["joint_confidence"]) == names
    assert tuple(document["keypoints_2d"]) == joint_set("coco17")
    joints = np.array(list(document["joints_3d"].values()))
    projected = cv2.projectPoints(joints, np.zeros(3), np.zeros(3), person.camera.matrix.numpy().astype(float), None)[0]
    assert np.abs(np.array(list(document["joints_2d"].values())) - projected[:, 0]).max() < 0.01
    rotation = cv2.Rodrigues(np.array(document["pose"][3]))[0]
    assert np.abs(rotation - person.rotations[3]).max() < 1e-5


def test_a_person_as_plain_numbers(tmp_path, person):
    def kinds(value: object) -> Iterator[type]:
        yield type(value)
        for entry in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from kinds(entry)

    document = replace(person, score=np.float32(0.1)).to_dict()
    assert {*kinds(document)} == {dict, list, str, int, float, type(None)}
    assert document["score"] == 0.1 and document["mask_iou"] is None and document["made_by"] is None
    assert document["camera"] == {"focal": [900, 910], "center": [310, 255], "size": [640, 480]}
    assert np.array_equal(np.float32([*document["joints_3d"].values()]), person.joints())
    check_result(document, "person")
    text = person.to_json(tmp_path / "a.json")
    assert strict_json(text) == person.to_dict()
    person.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text() == person.to_json() == text
    with pytest.raises(InputError, match=r"must end in \.json"):
        person.to_json(tmp_path / "a.npz")


@pytest.mark.parametrize("z", [0.0, -3.0])
def test_joints_that_are_not_before_the_camera_have_no_projection(person, z):
    """Python's own JSON would write Infinity for a joint in the plane of the camera."""
    there = replace(person, rotations=np.tile(np.eye(3), (24, 1, 1)), translation=[0, 0, z])
    assert there.to_dict()["joints_2d"] is None


def test_confidence_is_the_share_of_a_normal_cloud_within_ten_centimetres(person):
    rng = np.random.default_rng(5)
    cloud = rng.normal(size=(100_000, 3)) / np.sqrt(3)  # root mean square distance 1
    shares = [(np.linalg.norm(cloud * d, axis=1) < 0.1).mean() for d in person.joint_deviation]
    assert np.abs(person.joint_confidence - shares).max() < 0.01
    certain = replace(person, joint_deviation=np.zeros(24))
    assert np.array_equal(certain.joint_confidence, np.ones(24))


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".glb"])
def test_meshes_stand_upright(tmp_path, person, suffix):
    person.save(tmp_path / f"p{suffix}")
    corners = trimesh.load(tmp_path / f"p{suffix}", force="mesh", process=False).triangles
    truth = (person.vertices * [1, -1, -1])[person.faces]
    assert np.abs(corners - truth).max() < 1e-6


@pytest.mark.parametrize("suffix", [".glb", ".json"])
def test_upper_case_suffixes(tmp_path, person, suffix):
    person.save(tmp_path / f"p{suffix.upper()}")
    assert (tmp_path / f"p{suffix.upper()}").stat().st_size > 1000


def test_skinned_glb_poses_itself_there(tmp_path, person):
    person.save(tmp_path / "p.glb", skinned=True, name="dancer")
    file = Gltf(tmp_path / "p.glb")
    truth = (person.vertices * [1, -1, -1])[person.faces]
    lost = 4e-3  # glTF keeps the four strongest joints of a vertex
    assert np.abs(file.posed()[file.faces()] - truth).max() < lost
    assert file.file.skins[0].name == "dancer"


def test_unknown_suffix(tmp_path, person):
    with pytest.raises(InputError, match=r"\.obj or \.ply or \.glb"):
        person.save(tmp_path / "p.fbx")


def test_the_open_body_in_memory_is_found_again(tmp_path, person, body):
    """A person made with ``Reconstructor(body=load_body("neutral"))`` has the name in the body's file."""
    own = replace(person, body_name=body.data.name)
    own.save(tmp_path / "p.json")
    again = Person.load(tmp_path / "p.json")
    assert np.allclose(again.vertices, person.vertices, atol=1e-6)


def test_another_body_is_refused(tmp_path, person):
    person.save(tmp_path / "p.json")
    with pytest.raises(InputError, match=f"{person.body.hash}, but 'male' has hash"):
        Person.load(tmp_path / "p.json", body="male")
    edited = json.loads((tmp_path / "p.json").read_text())
    edited["body"]["hash"] = "0" * 16
    (tmp_path / "q.json").write_text(json.dumps(edited))
    with pytest.raises(InputError, match=r"q\.json.*hash 0000000000000000"):
        Person.load(tmp_path / "q.json")
    edited["body"]["name"] = "nobody"
    (tmp_path / "q.json").write_text(json.dumps(edited))
    with pytest.raises(InputError, match="'nobody', which is none of neutral, male, female: name that body's file"):
        Person.load(tmp_path / "q.json")


def test_a_bodys_own_file_with_more_betas(tmp_path):
    """Files of many shape components are used with the first ten, and only opened when the user names them."""
    write_body(body_from_arrays(random_arrays(betas=16), "random"), tmp_path / "own.npz")
    model = load_body(tmp_path / "own.npz", num_betas=10)
    person = replace(make_person(model), body_name=str(tmp_path / "own.npz"))
    assert np.array_equal(person.vertices, posed(person).vertices[0].numpy())
    person.save(tmp_path / "p.json")
    with pytest.raises(InputError, match=r"own\.npz', which is none of neutral, male, female: name that body's file"):
        Person.load(tmp_path / "p.json")
    again = Person.load(tmp_path / "p.json", tmp_path / "own.npz")
    assert again.body.hash == model.hash
    assert np.abs(again.vertices - person.vertices).max() < 1e-5
    assert Person.load(tmp_path / "p.json", load_body(tmp_path / "own.npz")).body.hash == model.hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rotations": np.zeros((24, 3))}, "rotations"),
        ({"translation": [0, 0, np.nan]}, "not finite"),
        ({"box": [1, 2, 3]}, "box"),
        ({"keypoints_2d": np.zeros((16, 3))}, "keypoints_2d"),
        ({"joint_deviation": np.zeros(23)}, "joint_deviation"),
    ],
)
def test_wrong_arrays_are_refused(person, change, message):
    with pytest.raises(ValueError, match=message):
        replace(person, **change)


def test_only_pose_and_shape_are_needed(tmp_path, body):
    person = Person(body, np.zeros(3), np.tile(np.eye(3), (24, 1, 1)), np.zeros(3))
    for suffix in SAVE_SUFFIXES:
        person.save(tmp_path / f"p{suffix}")
    again = Person.load(tmp_path / "p.npz", body=body)
    assert (again.camera, again.score, again.joint_confidence) == (None, None, None)
    assert person.pose is person.rotations
    assert np.array_equal(again.vertices, person.vertices)


def test_export_writes_beside_the_file_or_elsewhere(tmp_path, person):
    person.save(tmp_path / "a" / "p.json")
    written = list(export_people([tmp_path / "a" / "p.json"], ["ply", ".npz"]))
    assert written == [tmp_path / "a" / "p.ply", tmp_path / "a" / "p.npz"]
    (elsewhere,) = export_people([tmp_path / "a" / "p.npz"], ["glb"], out=tmp_path / "b", skinned=True)
    assert elsewhere == tmp_path / "b" / "p.glb"
    assert len(Gltf(elsewhere).file.skins) == 1


def test_export_refuses_what_it_cannot_do(tmp_path, person):
    for folder in "ab":
        person.save(tmp_path / folder / "p.json")
    both = [tmp_path / "a" / "p.json", tmp_path / "b" / "p.json"]
    with pytest.raises(InputError, match="one by one"):
        list(export_people(both, ["obj"], out=tmp_path / "c"))
    assert not (tmp_path / "c").exists()
    assert len(list(export_people(both, ["obj"]))) == 2
    with pytest.raises(InputError, match="unknown formats fbx: choose"):
        list(export_people(both, ["fbx"]))
    with pytest.raises(InputError, match="cannot read"):
        list(export_people([Path("nope.json")]))
