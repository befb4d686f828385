"""Many photos: where results go, what is skipped, what fails alone, and what a kill leaves behind."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import trimesh
from helpers.gltf import Gltf
from helpers.paths import EXAMPLES
from helpers.published import write_focal_network
from helpers.results import check_results
from PIL import Image
from pygltflib import GLTF2

import meshrec
from meshrec import Camera, InputError, Person, load_body
from meshrec.body import joint_set
from meshrec.body.files import write_body
from meshrec.body.measures import body_measures
from meshrec.cli import main
from meshrec.export import read_parameters
from meshrec.files import folder_lock
from meshrec.geometry import CAMERA_TO_Y_UP, camera_to_y_up, quaternion_to_matrix
from meshrec.jobs.inputs import list_inputs, unread_files
from meshrec.jobs.photos import reconstruct_photo
from meshrec.jobs.picture_page import PAGE
from meshrec.jobs.plan import plan_run
from meshrec.jobs.results import RECORD
from meshrec.jobs.run import run_jobs
from meshrec.jobs.settings import Settings
from meshrec.models.build import build_network
from meshrec.models.checkpoints import save_checkpoint
from meshrec.poses.named_poses import named_pose

SIZE = (320, 240)
NOT_READ = {"notes", "gravity", "ground"}  # keys of a record that are there for users alone


def write_photo(path: Path, brightness: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE, (brightness, 120, 140)).save(path)
    return path


@pytest.fixture(scope="module")
def standing() -> list[float]:
    """COCO keypoints of somebody standing in the middle of such a photo."""
    body = load_body("neutral")
    facing = CAMERA_TO_Y_UP[None]
    transl = torch.tensor([[0.0, 0.2, 4.0]])
    with torch.no_grad():
        out = body(body_pose=named_pose("arms down")[None], global_orient=facing, transl=transl)
    screen = Camera(400.0, size=SIZE).project(body.joints_from(out.vertices, "coco17"))[0]
    screen[:, 2] = 2
    return screen.flatten().tolist()


@pytest.fixture
def folder(tmp_path, standing, monkeypatch) -> Path:
    """The current folder, with three photos and a file of keypoints: of one person, two, and nobody."""
    monkeypatch.chdir(tmp_path)
    people = {"a/1.jpg": 1, "b/1.png": 2, "b/2.png": 0}
    for name in people:
        write_photo(tmp_path / name)
    write_keypoints(tmp_path / "poses.json", people, standing)
    return tmp_path


def write_keypoints(path: Path, people: dict[str, int], standing: list[float]) -> None:
    images = [{"id": i, "file_name": name} for i, name in enumerate(people)]
    rows = [{"image_id": i, "keypoints": standing} for i, count in enumerate(people.values()) for _ in range(count)]
    path.write_text(json.dumps({"images": images, "annotations": rows}))


def folders(sources, out="out") -> list[str]:
    return [task.folder.relative_to(out).as_posix() for task in list_inputs(sources, out)]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# --- which photos, and where their results go ------------------------------------------------------------------------


def test_results_mirror_relative_paths(folder):
    assert folders(["a/1.jpg", "b/1.png"]) == ["a/1.jpg", "b/1.png"]
    assert folders(["b", "a/1.jpg"]) == ["b/1.png", "b/2.png", "a/1.jpg"]
    assert folders(["."]) == folders([folder]) == ["a/1.jpg", "b/1.png", "b/2.png"]
    assert folders(["a/1.jpg", "a", folder / "a" / "1.jpg"]) == ["a/1.jpg"]  # once
    assert folders(["*/1.*"]) == ["a/1.jpg", "b/1.png"]
    assert folders(["**/*.png"]) == ["b/1.png", "b/2.png"]
    assert folders(["missing.jpg"]) == ["missing.jpg"]  # said when it is read


def test_photos_from_elsewhere_are_relative_to_what_they_share(folder, monkeypatch):
    (folder / "here").mkdir()
    write_photo(folder / "here" / "1.jpg")
    monkeypatch.chdir(folder / "here")
    assert folders(["../a", "../b"]) == ["a/1.jpg", "b/1.png", "b/2.png"]
    assert folders([folder / "b"]) == ["1.png", "2.png"]
    assert folders(["../a/1.jpg"]) == ["1.jpg"]
    assert folders(["../a/1.jpg", "../b/2.png", "missing.jpg"]) == ["a/1.jpg", "b/2.png", "missing.jpg"]
    with pytest.raises(InputError, match="separate runs"):
        folders(["1.jpg", "../a/1.jpg"])


def test_results_are_no_photos(folder):
    write_photo(folder / "out" / "a" / "1.jpg" / "overlay.png")
    write_photo(folder / "a" / "._1.jpg")
    write_photo(folder / ".cache" / "1.jpg")
    (folder / "a" / "notes.txt").write_text("no photo")
    assert folders(["."]) == folders(["**/*"]) == ["a/1.jpg", "b/1.png", "b/2.png"]
    assert folders(["out/a"], out="other") == ["out/a/1.jpg/overlay.png"]


def test_what_a_folder_holds_besides_is_counted(folder):
    for name in ("a/a.psd", "a/2.NEF", "b/raw.dng", "b/notes.txt", ".hidden/3.nef", "out/4.nef", "b/c.jfif"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    (folder / "b/gone.jpg").symlink_to("nowhere.jpg")
    (folder / "b/more").symlink_to("../a", target_is_directory=True)
    (folder / "b/same.jpg").symlink_to("../a/1.jpg")
    assert folders(["."]) == ["a/1.jpg", "b/1.png", "b/2.png", "b/c.jfif", "b/same.jpg"]
    assert unread_files(["."], "out") == ("5 files not read: .dng (1), .nef (1), .psd (1), links (2)",)
    assert unread_files(["a", "a/*", "a"], "out") == ("2 files not read: .nef (1), .psd (1)",)
    assert unread_files(["a/1.jpg", "a/a.psd", "b/*.txt"], "out") == ()
    (folder / "raw").mkdir()
    (folder / "raw/1.dng").touch()
    with pytest.raises(InputError, match=r"raw: no photos or videos there \(1 file not read: \.dng \(1\)\)"):
        folders(["raw"])


@pytest.mark.parametrize("installed", [True, False])
def test_heic_in_folders(folder, monkeypatch, installed):
    monkeypatch.setattr("meshrec.jobs.inputs.heic_formats", lambda: ("HEIF",) if installed else ())
    (folder / "a/2.HEIC").write_bytes(b"x")
    assert folders(["a"]) == (["a/1.jpg", "a/2.HEIC"] if installed else ["a/1.jpg"])
    assert unread_files(["a"], "out") == (
        () if installed else ('1 file not read: .heic (1) (HEIC needs pip install "meshrec[heic]")',)
    )


def test_sources_without_photos(folder):
    (folder / "empty").mkdir()
    for source in ("empty", "*.webp"):
        with pytest.raises(InputError, match=rf"{source.replace('*', '.')}: no photos or videos there"):
            folders([source])
    with pytest.raises(InputError, match="is a file; choose another"):
        folders(["a"], out=".")


# --- runs ------------------------------------------------------------------------------------------------------------


def run(*options: str) -> int:
    return main(["reconstruct", ".", "--out", "out", "--keypoints", "poses.json", *options])


PERSON = ["person_0.glb", "person_0.json", "person_0.obj"]


def test_a_run_writes_what_it_says(folder, capfd):
    assert run() == 0
    shared = ["overlay.png", "photo.json", "scene.glb", "thumbnail.jpg"]
    assert files(folder / "out" / "a" / "1.jpg") == sorted([*shared, *PERSON])
    assert len(files(folder / "out" / "b" / "1.png")) == 4 + 2 * 3
    assert files(folder / "out" / "b" / "2.png") == ["photo.json"]
    lines = capfd.readouterr().out.splitlines()
    assert lines == [
        "a/1.jpg: 1 person -> out/a/1.jpg",
        "b/1.png: 2 people -> out/b/1.png",
        "b/2.png: nobody found -> out/b/2.png",
        "3 photos, 3 people",
    ]
    record = json.loads((folder / "out" / "b" / "1.png" / RECORD).read_text())
    assert record["people"] == ["person_0.json", "person_1.json"]
    person = read_parameters(folder / "out" / "a" / "1.jpg" / "person_0.json")
    assert person.camera.size == SIZE
    scene = GLTF2().load_binary(str(folder / "out" / "b" / "1.png" / "scene.glb"))
    assert [mesh.name for mesh in scene.meshes] == ["person_0", "person_1"]
    # The mesh lies where the keypoints are: the overlay's middle panel is tinted there, and is the photo elsewhere.
    overlay = cv2.imread(str(folder / "out" / "a" / "1.jpg" / "overlay.png"))
    panel = (overlay.shape[1] - 4 * 8 - int(0.75 * (overlay.shape[0] - 16))) // 2
    photo, drawn = overlay[8:-8, 8 : 8 + panel], overlay[8:-8, 16 + panel : 16 + 2 * panel]
    changed = np.abs(photo.astype(int) - drawn).max(-1) > 30
    points = person.keypoints_2d[5:13, :2] * panel / SIZE[0]  # shoulders to hips
    assert changed[tuple(points.round().astype(int).T[::-1])].mean() > 0.8
    assert not changed[:, : panel // 6].any()


def test_the_summary_counts_what_was_left_out(folder, standing, capfd):
    (folder / "a/1.dng").write_bytes(b"x")
    content = json.loads((folder / "poses.json").read_text())
    content["annotations"].append({"image_id": 0, "bbox": [1, 2, 3, 4]})
    (folder / "poses.json").write_text(json.dumps(content), encoding="utf-8-sig")
    assert run() == 0
    summary = "3 photos, 3 people; 1 file not read: .dng (1); poses.json: left out people without keypoints (1)"
    assert capfd.readouterr().out.splitlines()[-1] == summary


def test_results_that_explain_their_photo_badly_are_noted(folder, standing, capfd):
    """Keypoints of nobody: those of somebody standing, thrown about."""
    scattered = np.random.default_rng(0).permuted(np.reshape(standing, (-1, 3)), axis=0).ravel().tolist()
    write_keypoints(folder / "poses.json", {"a/1.jpg": 1}, scattered)
    assert main(["reconstruct", "a", "--out", "out", "--keypoints", "poses.json"]) == 0
    line = capfd.readouterr().out
    assert "(person_0: the body misses the keypoints (reprojection error 0." in line
    record = json.loads((folder / "out/a/1.jpg" / RECORD).read_bytes())
    person = json.loads((folder / "out/a/1.jpg/person_0.json").read_bytes())
    assert record["notes"] == [f"person_0: {note}" for note in person["notes"]] and person["reprojection_error"] > 0.1
    assert read_parameters(folder / "out/a/1.jpg/person_0.json").notes == ()


def test_layouts_that_the_user_names(folder, standing):
    points = np.reshape(standing, (-1, 3))
    names = joint_set("crowdpose14")
    rows = [points[joint_set("coco17").index(n)] if n in joint_set("coco17") else np.zeros(3) for n in names]
    write_keypoints(folder / "poses.json", {"a/1.jpg": 1}, np.ravel(rows).tolist())
    command = ["reconstruct", "a", "--out", "out", "--keypoints", "poses.json"]
    assert main(command) == 1
    assert main([*command, "--keypoint-layout", "crowdpose14"]) == 0
    person = read_parameters(folder / "out/a/1.jpg/person_0.json")
    assert person.keypoint_names == names and person.reprojection_error < 0.05


def test_a_link_that_leads_elsewhere_is_done_anew(folder, standing, capfd):
    (folder / "today").mkdir()
    link = folder / "today/photo.jpg"
    link.symlink_to("../a/1.jpg")
    write_keypoints(folder / "poses.json", {"a/1.jpg": 1, "b/1.png": 2}, standing)
    command = ["reconstruct", "today", "--out", "out", "--keypoints", "poses.json"]
    assert main(command) == 0
    link.unlink()
    link.symlink_to("../b/1.png")
    assert main(command) == 0
    assert [line.split(" ->")[0] for line in capfd.readouterr().out.splitlines()] == [
        "today/photo.jpg: 1 person", "today/photo.jpg: 2 people",
    ]  # fmt: skip


def test_a_second_run_does_what_is_left(folder, capfd):
    assert run() == 0
    before = {name: (folder / "out" / name).stat().st_mtime_ns for name in files(folder / "out")}
    (folder / "out" / "b" / "1.png" / RECORD).unlink()
    capfd.readouterr()
    assert run() == 0
    assert "2 finished before" in capfd.readouterr().out
    after = {name: (folder / "out" / name).stat().st_mtime_ns for name in files(folder / "out")}
    assert before.keys() == after.keys()
    redone = {name.rsplit("/", 1)[0] for name in before if before[name] != after[name]}
    assert redone == {"b/1.png"}
    assert run("--force") == 0
    again = {name: (folder / "out" / name).stat().st_mtime_ns for name in files(folder / "out")}
    assert all(again[name] != after[name] for name in after if name != PAGE)  # which says the same


def test_other_wishes_and_other_photos_are_done_anew(folder, standing):
    settings = Settings(keypoints=Path("poses.json"))

    def left(settings: Settings) -> list[str]:
        return [job.source.name for job in plan_run(["a", "b"], "out", settings).jobs]

    list(run_jobs(plan_run(["a", "b"], "out", settings).jobs, settings))
    assert left(settings) == []
    assert len(left(replace(settings, formats=("ply",)))) == 3
    assert len(left(replace(settings, focal=500.0))) == 3
    assert len(left(replace(settings, refine=False))) == 3
    assert len(left(replace(settings, ground=True))) == 3
    assert len(left(replace(settings, height=(1.7,)))) == 3
    assert len(left(replace(settings, regressor="other.safetensors"))) == 3
    write_keypoints(folder / "poses.json", {"a/1.jpg": 1, "b/1.png": 1, "b/2.png": 0}, standing)
    assert left(settings) == ["1.png"]
    write_photo(folder / "a" / "1.jpg", brightness=10)  # edited
    assert left(settings) == ["1.jpg", "1.png"]
    list(run_jobs(plan_run(["a", "b"], "out", settings).jobs, settings))
    assert files(folder / "out" / "b" / "1.png") == sorted(
        [*PERSON, "overlay.png", "photo.json", "scene.glb", "thumbnail.jpg"]
    )


def test_a_network_estimates_focal_lengths(folder):
    write_focal_network(Path("fov.safetensors"), vertical=1.0)
    assert run("--focal", "fov.safetensors") == 0
    person = read_parameters("out/a/1.jpg/person_0.json")
    assert person.camera.focal == pytest.approx([120 / np.tan(0.5)] * 2, rel=1e-5)
    jobs = plan_run(
        ["a", "b"], "out", Settings(keypoints=Path("poses.json"), focal_network=Path("fov.safetensors"))
    ).jobs
    assert jobs == []  # finished
    assert len(plan_run(["a", "b"], "out", Settings(keypoints=Path("poses.json"))).jobs) == 3


def test_a_network_without_fit(folder):
    body = load_body("neutral")
    encoder = {"inputs": ["keypoints"], "joints": "openpose25", "width": 16, "blocks": 1}
    torch.manual_seed(0)
    save_checkpoint("own.safetensors", build_network("iterative", {"encoder": encoder, "width": 16}, body), body.hash)
    assert run("--regressor", "own.safetensors", "--no-refine") == 0
    person = json.loads((folder / "out" / "a" / "1.jpg" / "person_0.json").read_bytes())
    assert person["made_by"] == "own"
    record = json.loads((folder / "out" / "a" / "1.jpg" / RECORD).read_bytes())
    assert (record["request"]["regressor"], record["request"]["refine"]) == ("own.safetensors", False)


def test_results_of_another_photo_are_not_overwritten(folder, capfd, monkeypatch):
    assert run() == 0
    write_photo(folder / "elsewhere" / "a" / "1.jpg", brightness=200)
    monkeypatch.chdir(folder / "elsewhere")
    options = ["reconstruct", "a/1.jpg", "--out", "../out", "--keypoints", "../poses.json"]
    assert main(options) == 1
    assert "contains the results of" in capfd.readouterr().err
    assert main([*options, "--force"]) == 0


def test_results_of_a_newer_version_are_not_overwritten(folder, capfd):
    assert run() == 0
    record = folder / "out" / "a" / "1.jpg" / RECORD
    written = record.read_bytes()
    record.write_bytes(json.dumps(json.loads(written) | {"version": 2}).encode())
    capfd.readouterr()
    assert run() == 1
    (error,) = capfd.readouterr().err.splitlines()
    assert "out/a/1.jpg/photo.json is of version 2, but 1 is the newest known; update meshrec" in error
    assert run("--force") == 0 and record.read_bytes() == written


def test_own_files_in_a_result_folder_stay(folder):
    (folder / "out" / "a" / "1.jpg").mkdir(parents=True)
    for name in ("notes.txt", "person_0_edited.glb", "person_7.ply", ".0123456789abcdef.part"):
        (folder / "out" / "a" / "1.jpg" / name).write_text("x")
    assert run() == 0
    kept = files(folder / "out" / "a" / "1.jpg")
    assert {"notes.txt", "person_0_edited.glb"} <= set(kept)
    assert not {"person_7.ply", ".0123456789abcdef.part"} & set(kept)


def test_a_photo_that_fails_does_so_alone(folder, capfd):
    (folder / "a" / "0.jpg").write_text("no photo")
    write_photo(folder / "b" / "3.png")
    people = {"a/0.jpg": 1, "a/1.jpg": 1, "b/1.png": 1, "b/2.png": 0}
    write_keypoints(
        folder / "poses.json", people, json.loads((folder / "poses.json").read_text())["annotations"][0]["keypoints"]
    )
    assert run("--format", "ply") == 1
    output = capfd.readouterr()
    assert output.out.splitlines()[-1] == "5 photos, 2 people; 2 failed"
    assert sorted(output.err.splitlines()) == [
        "meshrec: a/0.jpg: this is not a photo in a known format (JPEG, PNG, WebP, TIFF, ...).",
        "meshrec: b/3.png: poses.json does not name this photo.",
    ]
    assert not (folder / "out" / "a" / "0.jpg").exists()
    assert "person_0.ply" in files(folder / "out" / "a" / "1.jpg")


def test_a_place_that_cannot_be_written_to_is_found_out_before_the_work(folder, capfd, monkeypatch):
    monkeypatch.setattr("meshrec.jobs.work.Reconstructor.__call__", lambda *_, **__: pytest.fail("the work was done"))
    (folder / "out").write_text("a file")
    assert run() == 1
    error = capfd.readouterr().err.splitlines()
    assert len(error) == 3 and all("a part of the path is a file" in line for line in error)


def test_skinned_people(folder):
    assert run("--skinned", "--format", "glb") == 0
    file = GLTF2().load_binary(str(folder / "out" / "a" / "1.jpg" / "person_0.glb"))
    assert len(file.skins) == 1
    scene = Gltf(folder / "out" / "b" / "1.png" / "scene.glb")
    assert len(scene.file.skins) == 2
    for number in range(2):  # everyone is posed where they stand
        person = Person.load(folder / "out" / "b" / "1.png" / f"person_{number}.json")
        vertices = camera_to_y_up(person.vertices)[person.faces]
        assert np.abs(scene.posed(mesh=number)[scene.faces(number)] - vertices).max() < 1e-4


@pytest.mark.parametrize("skinned", [(), ("--skinned",)])
def test_textures_are_in_the_meshes(folder, capfd, skinned):
    assert run("--texture", "--format", "obj,glb", *skinned) == 0
    results = folder / "out" / "b" / "1.png"
    assert "person_1_texture.png" in json.loads((results / "photo.json").read_text())["files"]
    picture = np.asarray(Image.open(results / "person_1_texture.png"))
    for name in ("person_1.glb", "scene.glb"):
        file = GLTF2().load_binary(str(results / name))
        material = file.materials[-1].pbrMetallicRoughness
        image = file.images[file.textures[material.baseColorTexture.index].source]
        view = file.bufferViews[image.bufferView]
        data = file.binary_blob()[view.byteOffset :][: view.byteLength]
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), picture)
        assert material.baseColorFactor == [1, 1, 1, 1]
    loaded = trimesh.load(results / "person_1.obj", process=False)
    assert np.array_equal(np.asarray(loaded.visual.material.image.convert("RGB")), picture)
    photo = np.asarray(Image.open(folder / "b" / "1.png"))[0, 0].astype(int)  # of one colour
    assert np.abs(picture.astype(int) - photo).max() <= 1
    capfd.readouterr()
    assert run("--texture", "--format", "obj,glb", *skinned) == 0
    assert "3 finished before" in capfd.readouterr().out
    assert run("--format", "obj") == 0  # without textures nothing of them is left
    assert not list(results.glob("*texture.png")) and not list(results.glob("*.mtl"))


def test_a_body_without_texture_coordinates_gets_no_texture(folder, capfd, body):
    write_body(replace(body.data, uv=None, uv_faces=None), folder / "plain.npz")
    assert run("--texture", "--body", "plain.npz") == 1
    assert "the body 'plain.npz' has no texture coordinates" in capfd.readouterr().err
    assert run("--texture", "--format", "ply") == 1
    assert "PLY has none" in capfd.readouterr().err


@pytest.mark.parametrize("skinned", [False, True])
def test_a_scene_on_its_floor(folder, skinned):
    """Everyone's lowest point is at zero, has the given stature, and is seen by the scene's camera as in the photo."""
    options = ["--format", "glb", "--keypoints", "poses.json", *(["--skinned"] if skinned else [])]
    assert main(["reconstruct", "b/1.png", "--out", "out", "--ground", "--height", "1.80,1.75", *options]) == 0
    out = folder / "out" / "b" / "1.png"
    record = json.loads((out / RECORD).read_bytes())
    ground, scene = record["ground"], Gltf(out / "scene.glb")
    rotation, up = np.array(ground["rotation"]), np.array([0, ground["height"], 0])
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5) and np.linalg.det(rotation) > 0
    assert np.allclose(rotation[1], -np.array(record["gravity"]["direction"]), atol=1e-5)
    assert ground["on_floor"] == [True, True] and ground["deviation"] > 0
    node = next(node for node in scene.file.nodes if node.camera is not None)
    turn = quaternion_to_matrix(torch.tensor(node.rotation)[[3, 0, 1, 2]]).numpy()
    for number, height in enumerate([1.80, 1.75]):
        person, lift = Person.load(out / f"person_{number}.json"), np.array([0, ground["lifts"][number], 0])
        measures = body_measures(person.body, torch.from_numpy(person.betas)[None])
        assert measures["height"].item() == pytest.approx(1000 * height, abs=2)
        expected = person.vertices @ rotation.T + up + lift
        assert abs(expected[:, 1].min()) < 1e-4
        written = scene.posed(mesh=number) if skinned else scene.attribute("POSITION", number)
        assert np.abs(written[scene.faces(number)] - expected[person.faces]).max() < 1e-3
        seen = (expected - lift - np.array(node.translation)) @ turn  # in the camera's own space, which is y up
        assert np.abs(camera_to_y_up(seen) - person.vertices).max() < 1e-4
    check_results(out)


def test_without_a_floor_gravity_is_told_all_the_same(folder):
    assert run("--format", "obj") == 0
    record = json.loads((folder / "out" / "a" / "1.jpg" / RECORD).read_bytes())
    person = Person.load(folder / "out" / "a" / "1.jpg" / "person_0.json")
    assert record["ground"] is None
    assert np.allclose(person.gravity, record["gravity"]["direction"], atol=1e-5)
    assert np.allclose(person.gravity_deviation, record["gravity"]["deviation"], atol=1e-5)
    nobody = json.loads((folder / "out" / "b" / "2.png" / RECORD).read_bytes())
    assert nobody["gravity"] is None and nobody["ground"] is None


class Deadly:
    """Ends the process that unpickles it, as a decoder's crash would."""

    def __reduce__(self):
        return os._exit, (9,)


def test_photos_fail_alone_and_so_do_those_whose_process_dies(folder):
    (folder / "b" / "2.png").write_text("no photo")
    settings = Settings(keypoints=Path("poses.json"), formats=("ply",))
    jobs = plan_run(["a", "b"], "out", settings).jobs
    jobs[0] = replace(jobs[0], people=Deadly())
    outcomes = {outcome.source: outcome for outcome in run_jobs(jobs, settings, processes=2)}
    assert "ended with exit code 9" in outcomes[Path("a/1.jpg")].error
    assert "this is not a photo" in outcomes[Path("b/2.png")].error
    assert outcomes[Path("b/1.png")].people == 2


def test_a_wrong_body_ends_the_run_at_once(folder, capfd):
    for jobs in ("1", "2"):
        assert run("--body", "nobody", "--jobs", jobs) == 1
        assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_kill_leaves_whole_files_and_the_rest_to_do(folder, standing, jobs):
    photos = {f"a/{i}.jpg": 1 for i in range(20)}
    for name in photos:
        write_photo(folder / name)
    write_keypoints(folder / "poses.json", photos, standing)
    command = [sys.executable, "-m", "meshrec.cli", "reconstruct", "a", "--out", "out", "--keypoints", "poses.json"]
    process = subprocess.Popen([*command, "--jobs", jobs], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(folder.glob("out/a/*/photo.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    settled = -1
    while settled != (settled := len(files(folder / "out"))):  # processes of --jobs 2 finish their photo, and end
        time.sleep(1.5)
    done = {path.parent.name for path in folder.glob("out/a/*/photo.json")}
    assert 2 <= len(done) < len(photos)
    for path in (path for path in (folder / "out").rglob("*") if path.is_file()):
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".glb":
            assert len(GLTF2().load_binary(str(path)).meshes) == 1
        elif path.suffix in (".png", ".jpg"):
            assert cv2.imread(str(path)) is not None
        elif path.suffix == ".obj":
            assert path.read_text().rstrip().rsplit("\n", 1)[1].startswith("f ")
        else:
            assert path.name == folder_lock.LOCK or path.suffix == ".part"  # a whole file, killed between its two names
    left = plan_run(["a"], "out", Settings(keypoints=Path("poses.json")))
    assert {job.source.name for job in left.jobs} == {Path(name).name for name in photos} - done
    assert all(outcome.people == 1 for outcome in left.outcomes)


def photos_left(settings: Settings = Settings(keypoints=Path("poses.json"))) -> list[str]:
    return [job.source.name for job in plan_run(["a", "b"], "out", settings).jobs]


def test_the_record_tells_the_photo_that_was_read(folder):
    """A photo that is replaced while it is worked on is worked on again."""
    settings = Settings(keypoints=Path("poses.json"))
    photo = folder / "a" / "1.jpg"
    before = photo.stat()

    class Replacing(meshrec.Reconstructor):
        def __call__(self, *arguments, **options):
            photo.write_bytes(bytes(before.st_size))  # of the same size and time: only the content tells
            os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
            return super().__call__(*arguments, **options)

    job = plan_run(["a"], "out", settings).jobs[0]
    read = photo.read_bytes()
    assert reconstruct_photo(job, Replacing(), settings).people == 1
    record = json.loads((job.folder / RECORD).read_bytes())
    assert record["photo"]["sha256"] == hashlib.sha256(read).hexdigest()
    assert photo.stat().st_size == before.st_size
    assert "1.jpg" in photos_left()
    photo.write_bytes(read)  # the old content at another time
    assert "1.jpg" not in photos_left()


@pytest.mark.parametrize("name", [*PERSON, "overlay.png", "scene.glb"])
def test_a_photo_without_its_files_is_unfinished(folder, name):
    assert run() == 0
    assert photos_left() == []
    path = folder / "out" / "a" / "1.jpg" / name
    content = path.read_bytes()
    for damage in (path.unlink, lambda: path.write_bytes(b""), lambda: path.write_bytes(content[:-1]), path.mkdir):
        damage()
        assert photos_left() == ["1.jpg"]
        path.unlink() if path.is_file() else None
    path.rmdir()
    assert run() == 0
    assert path.read_bytes() == content


def test_damaged_records_are_those_of_unfinished_photos(folder):
    assert run() == 0
    path = folder / "out" / "a" / "1.jpg" / RECORD
    good = json.loads(path.read_bytes())
    contents = [b"", b"[" * 100_000, b"[]", b"3", b"\xff", b'{"photo": "x", "people": [], "request": {}}']
    contents += [
        json.dumps({k: v for k, v in good.items() if k != key}).encode() for key in good if key not in NOT_READ
    ]
    changes = [
        {key: value}
        for key in good
        if key not in NOT_READ
        for value in (None, 0, "x", [], {}, [[1]])
        if good[key] != value
    ]
    for key in good["photo"]:
        changes += [
            {"photo": good["photo"] | {key: value}} for value in (None, "x", [], {}) if key != "path" or value != "x"
        ]
    changes += [{"files": {}}, {"files": {"../x": 3}}, {"files": good["files"] | {"person_0.obj": "x"}}, {"people": []}]
    contents += [json.dumps(good | change).encode() for change in changes]
    for content in contents:
        path.write_bytes(content)
        assert photos_left() == ["1.jpg"], content[:200]
    path.unlink()
    path.mkdir()
    assert photos_left() == ["1.jpg"]
    path.rmdir()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs names that are no text")
def test_names_that_are_no_text(folder, standing, capfd):
    raw = os.fsencode(folder / "a") + b"/\x1b[31m\xff\n.jpg"
    os.rename(folder / "a" / "1.jpg", raw)
    name = os.fsdecode(raw).rsplit("/", 1)[1]
    write_keypoints(folder / "poses.json", {name: 1, "b/1.png": 1, "b/2.png": 0}, standing)
    assert run() == 0
    output = capfd.readouterr()
    assert output.err == "" and "a/?[31m??.jpg: 1 person -> out/a/?[31m??.jpg" in output.out.splitlines()
    record = json.loads((folder / "out" / "a" / name / RECORD).read_bytes().decode("ascii"))
    assert os.fsencode(record["photo"]["path"]) == raw
    assert run() == 0
    assert "3 finished before" in capfd.readouterr().out
    os.truncate(raw, 100)
    assert run() == 1
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "\x1b" not in error and "a/?[31m??.jpg: the photo is" in error


def test_one_run_at_a_time_in_a_folder(folder, capfd):
    with folder_lock.locked("out"):
        assert run() == 1
        assert capfd.readouterr().err == (
            "meshrec: another run is writing into out; wait until it ends, or choose another folder.\n"
        )
        assert main(["reconstruct", ".", "--out", "other", "--keypoints", "poses.json"]) == 0
    shutil.rmtree("other")
    assert not (folder / "out").exists()
    (folder / "out").mkdir()
    (folder / "out" / folder_lock.LOCK).write_bytes(b"")  # of a run that was killed
    assert run() == 0
    assert not list(folder.rglob(folder_lock.LOCK))
    assert len(files(folder / "out" / "b" / "2.png")) == 1


# --- the command line ------------------------------------------------------------------------------------------------


def test_export_from_the_command_line(folder, capfd):
    assert run() == 0
    capfd.readouterr()
    source = "out/a/1.jpg/person_0.json"
    assert main(["export", source, "--out", "meshes", "--format", "ply,glb", "--skinned"]) == 0
    assert capfd.readouterr().out.splitlines() == ["meshes/person_0.ply", "meshes/person_0.glb"]
    assert main(["export", source, "--body", "male"]) == 1
    error = capfd.readouterr().err
    assert len(error.splitlines()) == 1
    assert "has hash" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "fbx"], "unknown formats fbx"),
        (["--format", "obj", "--skinned"], "needs the format glb"),
        (["--jobs", "0"], "at least 1"),
        (["--focal", "-3"], "positive number of pixels"),
        (["--focal", "auto"], "--focal auto: this is neither a number of pixels nor a file; to have focal lengths"),
        (["--focal", "poses.json"], "poses.json is not a readable .safetensors file"),
        (["--height", "0.2"], "a height must be a number of metres from 0.3 to 2.6, not 0.2"),
        (["--height", "180"], "a height must be a number of metres from 0.3 to 2.6, not 180.0"),
        (["--height", "nan"], "a height must be a number of metres from 0.3 to 2.6, not nan"),
        (["--height", "tall"], "'tall' should be numbers separated by commas"),
        (["--height", ","], "a height must be a number of metres, or several separated by commas"),
        (["--height", "1.8,1.7,1.6"], "b/1.png: 3 heights for 2 people: give one, or one a person"),
        (["--regressor", "nonsense"], "there is no regressor 'nonsense'"),
        (["--regressor", "poses.json"], "poses.json is not a readable .safetensors file"),
        (["--regressor", "none", "--no-refine"], "a regressor is needed"),
    ],
)
def test_wishes_that_cannot_be_met(folder, capfd, options, message):
    assert run(*options) == 1
    assert message in capfd.readouterr().err


def test_a_wrong_command_line(folder, capfd):
    with pytest.raises(SystemExit) as end:
        run("--boxes", "boxes.json")  # with keypoints
    assert end.value.code == 2
    assert "not allowed with" in capfd.readouterr().err


def test_boxes_and_keypoints_exclude_each_other():
    with pytest.raises(InputError, match="not both"):
        Settings(boxes=Path("a"), keypoints=Path("b"))


def test_the_detector_end_to_end(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    photo = EXAMPLES / "dancer.jpg"
    assert main(["reconstruct", str(photo), "--out", "out"]) == 0
    assert capfd.readouterr().out == f"{photo}: 1 person -> out/dancer.jpg\n"
    boxes = [[150, 150, 560, 880], [10, 10, 90, 90]]  # the dancer and the wall
    (tmp_path / "boxes.json").write_text(json.dumps({"dancer.jpg": boxes}))
    assert main(["reconstruct", str(photo), "--out", "out", "--boxes", "boxes.json"]) == 0
    assert "1 person -> out/dancer.jpg (1 of 2 boxes show nobody)" in capfd.readouterr().out
    assert read_parameters("out/dancer.jpg/person_0.json").keypoint_names[0] == "nose"
