"""Clips in a run: what is written, what an interrupted run keeps, and bad clips that fail alone."""

import functools
import json
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.clips import write_video
from helpers.gltf import Gltf
from helpers.published import write_focal_network
from helpers.results import check_results, strict_json
from PIL import Image
from pygltflib import GLTF2
from scipy.spatial.transform import Rotation

import meshrec
from meshrec import Camera, InputError, Track, load_body
from meshrec.body.measures import body_measures
from meshrec.cli import main
from meshrec.export import load_schema
from meshrec.files.atomic import write_file
from meshrec.files.clips import open_clip
from meshrec.files.npz import read_npz
from meshrec.files.videos import VideoWriter
from meshrec.fit.sequence import SequenceSettings
from meshrec.geometry import CAMERA_TO_Y_UP
from meshrec.jobs import clip_video
from meshrec.jobs.clip_results import CLIP, Scene, camera_animation
from meshrec.jobs.clips import reconstruct_clip
from meshrec.jobs.plan import Outcome, Progress, plan_run
from meshrec.jobs.records import finished
from meshrec.jobs.settings import Settings
from meshrec.jobs.unfinished import WORK
from meshrec.motion.bvh import read_bvh
from meshrec.poses.named_poses import named_pose
from meshrec.reconstruct import observations, track_fitting
from meshrec.reconstruct.clips import ClipSettings
from meshrec.reconstruct.ground import Ground, upright

SIZE, FRAMES, RATE, SPEED = (320, 240), 12, 10, 0.12  # metres a frame; slower feet would be taken to stand


@pytest.fixture(scope="module")
def walking() -> list[np.ndarray]:
    """COCO keypoints (17, 3) of somebody who glides to the right, in each frame."""
    body = load_body("neutral")
    transl = torch.tensor([[-0.66 + SPEED * i, 0.2, 4.0] for i in range(FRAMES)])
    with torch.no_grad():
        pose = named_pose("arms down")[None].expand(FRAMES, -1, -1, -1)
        out = body(body_pose=pose, global_orient=CAMERA_TO_Y_UP.expand(FRAMES, -1, -1), transl=transl)
    screen = Camera(400.0, size=SIZE).project(body.joints_from(out.vertices, "coco17"))
    screen[..., 2] = 2
    return list(screen.numpy())


@pytest.fixture
def folder(tmp_path, walking, monkeypatch) -> Path:
    """The current folder, with a clip and the keypoints of its frames."""
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path, walking)
    return tmp_path


def prepare(folder: Path, walking: list[np.ndarray]) -> None:
    write_clip(folder / "walk.mp4")
    images = [{"id": i, "file_name": f"walk_{i:012d}.jpg"} for i in range(FRAMES)]
    rows = [{"image_id": i, "keypoints": points.flatten().tolist()} for i, points in enumerate(walking)]
    (folder / "poses.json").write_text(json.dumps({"images": images, "annotations": rows}))


@pytest.fixture(scope="module")
def done(tmp_path_factory, walking) -> Path:
    """The results of the clip, on its floor, with a known height."""
    folder = tmp_path_factory.mktemp("done")
    prepare(folder, walking)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run("walk.mp4", "--keypoints", "poses.json", "--ground", "--height", "1.9") == 0
    return folder / "out/walk.mp4"


def pictures(count: int = FRAMES) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    wall = rng.integers(60, 200, (SIZE[1] // 8, SIZE[0] // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    return [np.where(np.indices(wall.shape)[0] < 2 + i, 0, wall).astype(np.uint8) for i in range(count)]


def write_clip(path: Path, count: int = FRAMES) -> Path:
    with VideoWriter(path, SIZE, RATE) as video:
        for picture in pictures(count):
            video.write(picture)
    return path


def run(*options: str) -> int:
    return main(["reconstruct", "--out", "out", "--focal", "400", *options])


def settings(**changes) -> Settings:
    return Settings(focal=400.0, keypoints=Path("poses.json"), **changes)


def test_a_clip_becomes_tracks_a_scene_and_a_video(done):
    names = {"track_0.npz", "track_0.glb", "track_0.bvh", "track_0.json", "scene.glb", "overlay.mp4", "clip.json"}
    names |= {"thumbnail.jpg"}
    assert {path.name for path in done.iterdir()} == names
    motion = read_npz(done / "track_0.npz")
    assert motion["poses"].shape == (FRAMES, 72) and motion["mocap_framerate"] == RATE
    assert len(read_bvh(done / "track_0.bvh")) == FRAMES
    drawn = open_clip(done / "overlay.mp4")
    assert drawn.count == FRAMES and drawn.size == (SIZE[0] + 144, SIZE[1])
    for name in ("track_0.glb", "scene.glb"):
        assert len(GLTF2().load_binary(str(done / name)).animations) == 1


def test_the_track_is_that_of_the_person(done):
    track = Track.load(done / "track_0.npz")
    assert len(track) == FRAMES and track.frame_rate == pytest.approx(RATE)
    assert track.seen.all() and np.nanmax(track.reprojection_errors) < 0.02
    stature = float(body_measures(track.body, torch.from_numpy(track.betas)[None])["height"])
    assert stature == pytest.approx(1900, abs=2)
    steps = np.diff(track.joints()[:, 0], axis=0) * stature_of_the_mean() / stature  # a tall person is farther away
    assert np.allclose(steps[2:-2], [SPEED, 0, 0], atol=0.01)


def stature_of_the_mean() -> float:
    body = load_body("neutral")
    return float(body_measures(body, torch.zeros(1, body.num_betas))["height"])


def test_json_and_npz_of_a_track_say_the_same(done):
    tracks = [Track.load(done / f"track_0.{suffix}") for suffix in ("npz", "json")]
    for name, value in vars(tracks[0]).items():
        if isinstance(value, np.ndarray):
            assert np.allclose(value, getattr(tracks[1], name), atol=2e-6, equal_nan=True), name


def test_the_record_has_every_key_of_its_schema(done):
    record = strict_json((done / "clip.json").read_bytes())
    check_results(done)
    described = load_schema("clip")["properties"]
    assert record.keys() == described.keys()
    assert record["tracks"][0].keys() == described["tracks"]["items"]["properties"].keys()
    (scene,), of_scene = record["scenes"], described["scenes"]["items"]["properties"]
    assert scene.keys() == of_scene.keys() and scene["ground"].keys() == of_scene["ground"]["properties"].keys()
    assert record["request"].keys() | {"boxes", "focal_network"} == described["request"]["properties"].keys()
    track = Track.load(done / "track_0.npz")
    assert np.allclose(np.array(scene["ground"]["rotation"])[1], -track.gravity, atol=1e-5)


def test_on_the_ground_the_lowest_foot_is_at_zero(done):
    assert abs(Gltf(done / "track_0.glb").posed(0.5)[:, 1].min()) < 0.03


@pytest.mark.parametrize("count", [1, 2])
def test_a_clip_of_one_frame_or_two_is_a_clip(folder, count):
    write_clip(folder / "walk.mp4", count)
    assert run("walk.mp4", "--keypoints", "poses.json", "--ground") == 0
    track = Track.load(folder / "out/walk.mp4/track_0.npz")
    assert track.frames.tolist() == list(range(count)) and np.nanmax(track.reprojection_errors) < 0.05
    assert open_clip(folder / "out/walk.mp4/overlay.mp4").count == count


def test_a_network_estimates_the_focal_length_of_the_first_frame(folder):
    write_clip(folder / "walk.mp4", 1)
    write_focal_network(folder / "fov.safetensors", vertical=1.0)
    assert main(["reconstruct", "walk.mp4", "--out=out", "--keypoints=poses.json", "--focal=fov.safetensors"]) == 0
    camera = Track.load(folder / "out/walk.mp4/track_0.npz").at(0).camera
    assert camera.focal == pytest.approx([SIZE[1] / 2 / np.tan(0.5)] * 2, rel=1e-5)


def test_a_second_run_does_what_is_left(folder, capfd):
    assert run("walk.mp4", "--keypoints", "poses.json") == 0
    assert capfd.readouterr().out.startswith("walk.mp4: 1 person -> out/walk.mp4")
    assert run("walk.mp4", "--keypoints", "poses.json") == 0
    assert "finished before" in capfd.readouterr().out
    job = plan_run(["walk.mp4"], "out", settings()).outcomes[0]
    assert job.skipped and job.clip
    changed = settings(clip=ClipSettings(smooth=0.2))
    assert [job.source.name for job in plan_run(["walk.mp4"], "out", changed).jobs] == ["walk.mp4"]
    (folder / "out/walk.mp4/track_0.bvh").unlink()
    assert len(plan_run(["walk.mp4"], "out", settings()).jobs) == 1


def test_an_interrupted_clip_goes_on_where_it_stopped(folder, monkeypatch):
    monkeypatch.setattr(observations, "FRAMES_A_FILE", 4)
    (job,) = plan_run(["walk.mp4"], "out", settings()).jobs
    reconstructor = meshrec.Reconstructor()
    whole = list(reconstruct_clip(job, reconstructor, settings()))
    expected = Track.load(job.folder / "track_0.npz")
    (job.folder / CLIP.record).unlink()

    begun = reconstruct_clip(job, reconstructor, settings())
    for _ in range(7):  # of which four are written
        next(begun)
    begun.close()
    assert [path.name for path in (job.folder / WORK).glob("frames_*")] == ["frames_00000000.npz"]
    rest = list(reconstruct_clip(job, reconstructor, settings()))
    watched = [news.done for news in rest if isinstance(news, Progress) and news.stage == "watching"]
    assert watched == list(range(5, FRAMES + 1))
    assert isinstance(whole[-1], Outcome) and isinstance(rest[-1], Outcome)
    found = Track.load(job.folder / "track_0.npz")
    assert np.array_equal(found.rotations, expected.rotations)
    assert np.array_equal(found.translation, expected.translation)
    assert not (job.folder / WORK).exists()
    assert finished(job.folder, CLIP, job.source, job.request) == 1


def test_whatever_was_killed_whenever_the_files_are_the_same(folder, monkeypatch):
    """Every run is killed after it has kept three parts of its work, whatever stage that is in."""
    monkeypatch.setattr(observations, "FRAMES_A_FILE", 4)
    monkeypatch.setattr(clip_video, "FRAMES_A_PART", 5)
    small = functools.partial(SequenceSettings, chunk=4, window=6, overlap=3)
    monkeypatch.setattr(track_fitting, "SequenceSettings", small)
    kept: list[str] = []
    allowed = [10**6]

    def writing(path, data):
        if not allowed[0]:
            raise KeyboardInterrupt
        allowed[0] -= 1
        kept.append(f"{path.parent.name}/{path.name}")
        return write_file(path, data)

    for module in (observations, clip_video):
        monkeypatch.setattr(module, "write_file", writing)
    (job,) = plan_run(["walk.mp4"], "out", settings()).jobs
    reconstructor = meshrec.Reconstructor()
    list(reconstruct_clip(job, reconstructor, settings()))
    whole, expected = {path.name: path.read_bytes() for path in job.folder.iterdir()}, sorted(kept)
    drawn = [frame.image for frame in open_clip(job.folder / "overlay.mp4")]
    (job.folder / CLIP.record).unlink()
    kept.clear()
    runs = 0
    while not (job.folder / CLIP.record).exists():
        allowed[0], runs = 3, runs + 1
        with suppress(KeyboardInterrupt):
            list(reconstruct_clip(job, reconstructor, settings()))
    assert runs > 5 and sorted(kept) == expected  # nothing is done twice
    stages = {re.sub(r"\d", "", name.split("/")[1]).split("_")[0] for name in kept}
    assert stages == {"frames", "alone", "forward", "backward", "judged", "drawn"}
    found = {path.name: path.read_bytes() for path in job.folder.iterdir()}
    encoded = {"overlay.mp4", "clip.json"}  # an encoder on a busy machine may choose other bits
    assert found.keys() == whole.keys() and all(found[name] == whole[name] for name in whole.keys() - encoded)
    again = [frame.image for frame in open_clip(job.folder / "overlay.mp4")]
    assert len(again) == len(drawn) and np.abs(np.subtract(again, drawn, dtype=float)).mean() < 2


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_kill_loses_fifty_frames_at_most(folder, walking):
    count = 2 * observations.FRAMES_A_FILE + 20
    write_clip(folder / "long.mp4", count)
    images = [{"id": i, "file_name": f"long_{i:012d}.jpg"} for i in range(count)]
    rows = [{"image_id": i, "keypoints": walking[0].flatten().tolist()} for i in range(count)]
    (folder / "poses.json").write_text(json.dumps({"images": images, "annotations": rows}))
    command = [sys.executable, "-m", "meshrec.cli", "reconstruct", "long.mp4", "--out", "out", "--focal", "400"]
    process = subprocess.Popen([*command, "--keypoints", "poses.json"], stdout=subprocess.DEVNULL)
    work, deadline = folder / "out/long.mp4" / WORK, time.monotonic() + 120
    while not list(work.glob("frames_*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    parts = len(list(work.glob("frames_*.npz")))
    assert parts and not (folder / "out/long.mp4" / CLIP.record).exists()
    (job,) = plan_run(["long.mp4"], "out", settings()).jobs
    news = reconstruct_clip(job, meshrec.Reconstructor(), settings())
    first = next(message for message in news if isinstance(message, Progress))
    news.close()
    assert first.stage == "watching" and first.done == parts * observations.FRAMES_A_FILE + 1


def test_what_is_begun_for_another_clip_is_not_gone_on_with(folder):
    (job,) = plan_run(["walk.mp4"], "out", settings()).jobs
    begun = reconstruct_clip(job, meshrec.Reconstructor(), settings())
    next(begun)
    begun.close()
    (job.folder / WORK).mkdir(parents=True)
    (job.folder / WORK / "frames_00000000.npz").write_bytes(b"of another clip")
    (job.folder / WORK / "begun.json").write_text("{}")
    assert run("walk.mp4", "--keypoints", "poses.json") == 0


def test_a_folder_of_frames_is_a_clip_if_asked_for(folder, capfd):
    (folder / "frames").mkdir()
    for i, picture in enumerate(pictures()):
        Image.fromarray(picture).save(folder / f"frames/{i}.png")
    images = [{"id": i, "file_name": f"{i}.png"} for i in range(FRAMES)]
    content = json.loads((folder / "poses.json").read_text())
    (folder / "poses.json").write_text(json.dumps(content | {"images": images}))
    assert run("frames", "--clip", "--fps", "20", "--keypoints", "poses.json") == 0
    track = Track.load(folder / "out/frames/track_0.npz")
    assert len(track) == FRAMES and track.frame_rate == 20


@pytest.mark.parametrize("style", ["coco", "openpose"])
def test_keypoints_of_frames_go_by_their_names(folder, style):
    """Frames and keypoints of a part of a film, which do not count from 0, and not all of which have keypoints."""
    (folder / "part").mkdir()
    for i, picture in enumerate(pictures()):
        Image.fromarray(picture).save(folder / f"part/film_{97 + i:04d}.png")
    content = json.loads((folder / "poses.json").read_text())
    rows = content["annotations"][3:]
    if style == "coco":
        images = [{"id": i, "file_name": f"somewhere/film_{97 + i:04d}.png"} for i in range(3, FRAMES)]
        (folder / "found").write_text(json.dumps({"images": images, "annotations": rows}))
    else:
        (folder / "found").mkdir()
        for row in rows:
            person = {"people": [{"pose_keypoints_2d": row["keypoints"]}]}
            (folder / f"found/film_{97 + row['image_id']:04d}_keypoints.json").write_text(json.dumps(person))
    options = Settings(keypoints=folder / "found", keypoint_layout="coco17", folders_are_clips=True)
    (job,) = plan_run(["part"], "out", options).jobs
    assert job.clip and sorted(job.frames) == list(range(3, FRAMES))
    for number, (person,) in job.frames.items():
        expected = np.reshape(content["annotations"][number]["keypoints"], (-1, 3))
        assert np.allclose(person.keypoints[:, :2], expected[:, :2], atol=1e-3)


def test_a_clip_of_variable_rate_stays_in_time(folder, walking):
    """Every other frame is shown three times as long; who glides a step a frame is slower there."""
    stamps = np.cumsum([0, *([1, 3] * FRAMES)])[:FRAMES]
    write_video(folder / "walk.mp4", pictures(), stamps=stamps, base=Fraction(1, 30))
    assert run("walk.mp4", "--keypoints", "poses.json", "--static") == 0
    track = Track.load(folder / "out/walk.mp4/track_0.npz")
    assert np.allclose(track.times, stamps / 30, atol=1e-9) and track.seen.all()
    rate = track.frame_rate
    assert rate == pytest.approx((FRAMES - 1) * 30 / stamps[-1])
    assert np.allclose(open_clip(folder / "out/walk.mp4/overlay.mp4").times, stamps / 30, atol=1e-5)
    motion = read_npz(folder / "out/walk.mp4/track_0.npz")
    along = np.interp(np.arange(len(motion["trans"])) / rate, track.times, track.translation[:, 0])
    assert len(motion["trans"]) == FRAMES and np.allclose(motion["trans"][:, 0], along, atol=1e-4)


def cut_clip(folder: Path, walking: list[np.ndarray]) -> None:
    """Two people in two scenes; the second, in which the camera pans, is filmed by a camera that is turned."""
    before, rng = pictures(), np.random.default_rng(1)
    other = rng.integers(0, 256, (SIZE[1] // 6, SIZE[0] // 6 + 20, 3), np.uint8).repeat(6, 0).repeat(6, 1)
    after = [np.ascontiguousarray(other[:, 4 * i : 4 * i + SIZE[0]]) for i in range(FRAMES)]
    with VideoWriter(folder / "cut.mp4", SIZE, RATE) as video:
        for picture in (*before, *after):
            video.write(picture)
    images = [{"id": i, "file_name": f"cut_{i:012d}.jpg"} for i in range(2 * FRAMES)]
    people = [*walking, *(np.array([-1, 1, 1]) * (points - [SIZE[0], 0, 0]) for points in walking)]
    rows = [{"image_id": i, "keypoints": points.flatten().tolist()} for i, points in enumerate(people)]
    (folder / "poses.json").write_text(json.dumps({"images": images, "annotations": rows}))


def test_a_cut_begins_a_world_of_its_own(folder, walking, monkeypatch, capfd):
    monkeypatch.setattr(observations, "FRAMES_A_FILE", 5)
    cut_clip(folder, walking)
    assert run("cut.mp4", "--keypoints", "poses.json", "--ground") == 0
    assert "cuts divide the clip into 2 scenes" in capfd.readouterr().out
    record = json.loads((folder / "out/cut.mp4/clip.json").read_text())
    first, second = record["scenes"]
    assert (first["frames"], second["frames"]) == ([0, FRAMES - 1], [FRAMES, 2 * FRAMES - 1])
    assert first["camera"] == "The camera does not move." and "turns by up to" in second["camera"]
    of_scenes = [[i for i, track in enumerate(record["tracks"]) if track["scene"] == scene] for scene in (0, 1)]
    assert [scene["tracks"] for scene in record["scenes"]] == of_scenes and len(record["tracks"]) == 2
    for number, scene in ((0, first), (1, second)):
        (index,) = scene["tracks"]
        track = Track.load(folder / f"out/cut.mp4/track_{index}.npz")
        assert track.scene == number and track.frames.tolist() == list(range(number * 12, number * 12 + 12))
        assert np.allclose(track.turns[0], np.eye(3)) and np.allclose(scene["gravity"], track.gravity, atol=1e-6)
        assert abs(Gltf(folder / f"out/cut.mp4/track_{index}.glb").posed(0.5 + 1.2 * number)[:, 1].min()) < 0.05
    assert GLTF2().load_binary(str(folder / "out/cut.mp4/scene.glb")).animations


def test_a_flash_is_no_scene(folder, walking, monkeypatch):
    """The person and the camera go on after it; a run that is interrupted in it finds the same."""
    monkeypatch.setattr(observations, "FRAMES_A_FILE", 7)
    shown = pictures()
    shown[6] = np.full_like(shown[6], 255)
    with VideoWriter(folder / "walk.mp4", SIZE, RATE) as video:
        for picture in shown:
            video.write(picture)
    (job,) = plan_run(["walk.mp4"], "out", settings()).jobs
    begun = reconstruct_clip(job, meshrec.Reconstructor(), settings())
    for _ in range(9):
        next(begun)
    begun.close()
    assert run("walk.mp4", "--keypoints", "poses.json") == 0
    record = json.loads((job.folder / "clip.json").read_text())
    (scene,), (track,) = record["scenes"], record["tracks"]
    assert scene["frames"] == track["frames"] == [0, FRAMES - 1] and track["scene"] == scene["scene"] == 0
    assert scene["camera"].startswith("The camera does not move.")


def test_the_camera_of_a_scene_goes_where_its_people_do():
    """What the camera of the animation sees is what the frame's own camera sees, on a floor and in each scene."""
    rng = np.random.default_rng(0)
    ground = Ground(upright(np.array([0.1, 0.9, 0.2])), 1.4, 0.1, np.array([True]), np.array([0.0]))
    turns = Rotation.from_euler("y", np.linspace(0, 0.5, 10)[:, None]).as_matrix()
    none = Scene(1, np.arange(10, 15), np.arange(10, 15) / 10, np.tile(np.eye(3), (5, 1, 1)), (), None, "")
    still = np.tile(np.eye(3), (6, 1, 1))
    scenes = [
        Scene(0, np.arange(10), np.arange(10) / 10, turns, (0,), ground, ""),
        none,
        Scene(2, np.arange(15, 21), np.arange(15, 21) / 10, still, (1,), replace(ground, height=0.9), ""),
    ]
    camera = camera_animation(scenes, 10, ground=True)
    assert camera is not None and len(camera.turns) == 21 and camera.positions is not None
    for scene, frame in ((scenes[0], 7), (scenes[2], 18)):
        point = rng.normal(size=3)  # in the scene's world
        assert scene.ground is not None
        placed = np.diag([1, -1, -1]) @ scene.ground.placements[0].points(point)
        seen = camera.turns[frame] @ (placed - camera.positions[frame])
        assert np.allclose(seen, scene.turns[frame - scene.frames[0]] @ point, atol=1e-6)
    assert camera_animation([none], 10) is None
    assert camera_animation([replace(scenes[2], number=0)], 10) is None  # it stands at the origin


def test_photos_and_clips_share_a_run(folder, capfd):
    (folder / "photos").mkdir()
    Image.fromarray(pictures()[0]).save(folder / "photos/still.gif")
    frames = [Image.fromarray(picture) for picture in pictures(4)]
    frames[0].save(folder / "photos/moving.gif", save_all=True, append_images=frames[1:], duration=100)
    (folder / "photos/broken.mp4").write_bytes(b"no video")
    assert run("photos", "--jobs", "2") == 1
    output = capfd.readouterr()
    lines = output.out.splitlines()
    assert lines[-1].startswith("1 photo, 2 clips, 0 people; 1 failed")
    assert any(line.startswith("photos/moving.gif: nobody found") for line in lines)
    assert output.err.startswith("meshrec: photos/broken.mp4: ") and len(output.err.splitlines()) == 1
    record = json.loads((folder / "out/photos/moving.gif/clip.json").read_text())
    assert record["tracks"] == []


def test_keypoints_of_no_frame_are_refused(folder, capfd):
    (folder / "poses.json").write_text(json.dumps({"images": [], "annotations": []}))
    assert run("walk.mp4", "--keypoints", "poses.json") == 1
    assert "names no frames of this clip" in capfd.readouterr().err


def test_a_clip_in_python(walking):
    tracks = meshrec.Reconstructor().clip(pictures(), fps=RATE, keypoints=[w[None] for w in walking], focal=400.0)
    (track,) = tracks
    assert len(track) == FRAMES and track.at(3).camera.focal == (400.0, 400.0)
    assert np.isfinite(track.gravity).all() and track.number == 0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stride": 0}, "stride"),
        ({"smooth": 2.0}, "from 0 to 1"),
        ({"people": 0}, "at least 1"),
        ({"start": 5.0}, "lasts"),
        ({"focal": -1.0}, "focal length"),
        ({"height": 9.0}, "height"),
    ],
)
def test_wishes_that_cannot_be_met(folder, options, message):
    with pytest.raises(InputError, match=message):
        meshrec.Reconstructor(detector=lambda image, boxes=None: []).clip("walk.mp4", **options)
