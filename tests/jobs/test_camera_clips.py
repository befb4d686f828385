"""Clips of several cameras in a run: by time and not by number, what is written, what goes on, and what is refused."""

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.clips import turned
from helpers.gltf import Gltf
from helpers.results import check_results, strict_json
from helpers.views import SIZE, joints_of, ring
from PIL import Image
from pygltflib import GLTF2

import meshrec
from meshrec import InputError, Track
from meshrec.body.state import BodyState
from meshrec.cli import main
from meshrec.files.clips import open_clip
from meshrec.files.videos import VideoWriter
from meshrec.fit import Fitter
from meshrec.geometry.calibrated_cameras import CalibratedCamera, Calibration, distort_points
from meshrec.geometry.calibration_files import write_calibration
from meshrec.geometry.tangent import turned as turned_by
from meshrec.jobs import camera_clips
from meshrec.jobs.camera_records import names_in
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.poses.named_poses import named_pose
from meshrec.reconstruct.camera_clips import instants_of, views_of_clips, watch_view
from meshrec.reconstruct.cameras import LEVEL
from meshrec.reconstruct.clips import ClipSettings
from meshrec.reconstruct.observations import Observations
from meshrec.regress import load_regressor

RATE, SECONDS = 20.0, 0.8
NAMES = ("cam1", "cam2", "cam3")
LENS = (-0.08, 0.01)


def moving(fitter: Fitter, times: np.ndarray) -> BodyState:
    """Somebody who walks sideways, jumps a little and waves, at some times; the world has y up."""
    count, t = len(times), torch.as_tensor(times, dtype=torch.float64)
    rotations = torch.eye(3, dtype=torch.float64).repeat(count, 24, 1, 1)
    rotations[:, 1:] = named_pose("arms down").double()
    turns = torch.zeros(count, 24, 3, dtype=torch.float64)
    turns[:, 16, 0] = -0.6 + 0.8 * torch.sin(4 * t)
    place = torch.stack([0.8 * t - 0.3, 0.95 + 0.05 * torch.sin(7 * t + 3 * t * t), 0 * t], -1)
    betas = torch.tensor([0.5, -0.5, *[0.0] * 8], dtype=torch.float64).expand(count, 10)
    return BodyState(turned_by(rotations, turns), place, betas)


@pytest.fixture(scope="module")
def fitter(body) -> Fitter:
    return Fitter(body.truncated(10))


@pytest.fixture(scope="module")
def cameras() -> Calibration:
    views = zip(NAMES, ring(3))
    return Calibration({name: CalibratedCamera(name, camera, LENS) for name, camera in views}, up="y")


def keypoints(fitter: Fitter, lens: CalibratedCamera, times: np.ndarray) -> np.ndarray:
    """COCO keypoints (T, 1, 17, 3) in the distorted pictures of a camera, of one person."""
    points = landmark_positions(fitter.landmarks("coco17"), moving(fitter, times))
    pixels = lens.camera.project(lens.camera.world_to_camera(points)).numpy()
    pixels[..., :2] = distort_points(pixels[..., :2], lens)
    pixels[..., 2] = 1
    return pixels[:, None].astype(np.float32)


def frames(count: int) -> list[np.ndarray]:
    return [np.full((SIZE[1], SIZE[0], 3), 120 + i, np.uint8) for i in range(count)]


def errors(track: Track, fitter: Fitter, begin: float) -> np.ndarray:
    """(T,) mean distance of joints from the true ones in the level world, metres; ``begin``: of the first instant."""
    true = joints_of(fitter, moving(fitter, begin + track.times)).numpy() @ LEVEL["y"].T
    return np.linalg.norm(track.joints() - true, axis=-1).mean(-1)


def reconstructed(fitter, cameras, times, rates=(RATE,) * 3, **options) -> list[Track]:
    """Tracks of clips whose frames are at these times, of cameras of these rates; clips begin at a clock of 0."""
    own = {name: keypoints(fitter, cameras.cameras[name], t) for name, t in zip(NAMES, times)}
    clips = {name: open_clip(frames(len(t)), fps=rate) for name, t, rate in zip(NAMES, times, rates)}
    reconstructor = meshrec.Reconstructor(regressor="none", body=fitter.body)
    found = {name: list(people) for name, people in own.items()}
    return reconstructor.clip(clips, cameras, keypoints=found, **options)


def test_other_rates_and_clocks_are_brought_to_common_instants(fitter, cameras):
    """The second camera has another rate, the third begins later, which its offset says."""
    times = (
        np.arange(0, SECONDS, 1 / RATE),
        np.arange(0, SECONDS, 1 / 50),
        0.12 + np.arange(0, SECONDS - 0.1, 1 / RATE),
    )
    (track,) = reconstructed(fitter, cameras, times, (RATE, 50.0, RATE), offsets={"cam3": 0.12})
    assert track.frame_rate == RATE and track.times[0] == 0 and len(track) == 13
    assert track.frames.tolist() == list(range(13))
    assert errors(track, fitter, 0.15).mean() < 0.025
    assert track.gravity is not None and track.gravity.tolist() == [0, 1, 0]


def test_a_camera_that_sees_nobody_and_one_that_loses_the_person(fitter, cameras):
    times = np.arange(0, SECONDS, 1 / RATE)
    found = {name: list(keypoints(fitter, cameras.cameras[name], times)) for name in NAMES}
    found["cam1"] = [None] * len(times)
    found["cam2"][5:9] = [np.zeros((0, 17, 3))] * 4
    clips = {name: open_clip(frames(len(times)), fps=RATE) for name in NAMES}
    reconstructor = meshrec.Reconstructor(regressor="none", body=fitter.body)
    (track,) = reconstructor.clip(clips, cameras, keypoints=found)
    assert track.seen.all() and len(track) == len(times)
    assert errors(track, fitter, 0.0).max() < 0.1


@pytest.mark.parametrize("count, most", [(1, 0.6), (16, 0.03)])
def test_one_camera_and_many(fitter, count, most):
    """One camera hardly tells how far away somebody is; sixteen do."""
    views = {f"view{i}": CalibratedCamera(f"view{i}", camera) for i, camera in enumerate(ring(count, of=max(count, 4)))}
    times = np.arange(3) / RATE
    found = {name: list(keypoints(fitter, lens, times)) for name, lens in views.items()}
    clips = {name: open_clip(frames(3), fps=RATE) for name in views}
    reconstructor = meshrec.Reconstructor(regressor="none", body=fitter.body)
    (track,) = reconstructor.clip(clips, Calibration(views, "y"), keypoints=found)
    assert errors(track, fitter, 0.0).mean() < most


def test_estimates_of_a_regressor_that_looks_at_pictures_are_kept(fitter, cameras):
    """They are those of the frames, and the fit starts from them."""
    network, asked = load_regressor("keypoints", fitter.body), []

    def looking(image, people, camera):
        asked.append(int(image.max()))
        return network(image, people, camera)

    times = np.arange(6) / RATE
    found = {name: list(keypoints(fitter, cameras.cameras[name], times)) for name in NAMES}
    clips = {name: open_clip(frames(6), fps=RATE) for name in NAMES}
    reconstructor = meshrec.Reconstructor(regressor=looking, body=fitter.body)
    (track,) = reconstructor.clip(clips, cameras, keypoints=found)
    assert asked == [*range(120, 126)] * 3
    assert errors(track, fitter, 0.0).mean() < 0.03 and track.made_by.startswith("looking")


@pytest.fixture(scope="module")
def take(tmp_path_factory, fitter, cameras) -> Path:
    """Videos of three cameras, their calibration, and a folder of OpenPose files for each."""
    folder = tmp_path_factory.mktemp("take")
    write_calibration(folder / "cameras.toml", cameras)
    times = np.arange(0, SECONDS, 1 / RATE)
    for name in NAMES:
        write_clip(folder / f"{name}.mp4", len(times))
        write_openpose(folder / "pose" / f"{name}_json", name, keypoints(fitter, cameras.cameras[name], times))
    return folder


def write_clip(path: Path, count: int, rate: float = RATE, size: tuple[int, int] = SIZE) -> None:
    with VideoWriter(path, size, rate) as video:
        for frame in frames(count):
            video.write(np.ascontiguousarray(frame[: size[1], : size[0]]))


def write_openpose(folder: Path, name: str, points: np.ndarray) -> None:
    """OpenPose's COCO model has a neck, which is the middle of the shoulders here."""
    folder.mkdir(parents=True)
    order = [0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
    for number, (person,) in enumerate(points):
        neck = person[[5, 6]].mean(0)
        rows = np.array([neck if joint is None else person[joint] for joint in order])
        people = [{"pose_keypoints_2d": rows.flatten().tolist()}]
        (folder / f"{name}_{number:012d}_keypoints.json").write_text(json.dumps({"people": people}))


@pytest.fixture
def folder(tmp_path, take, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for path in take.iterdir():
        os.symlink(path, tmp_path / path.name)
    return tmp_path


VIDEOS = [f"{name}.mp4" for name in NAMES]


def run(*options: str) -> int:
    fixed = ["--cameras", "cameras.toml", "--out", "out", "--regressor", "none", "--keypoints", "pose"]
    return main(["reconstruct", *fixed, *options])


@pytest.fixture(scope="module")
def done(take, tmp_path_factory) -> Path:
    """The results of a whole run with a floor."""
    out = tmp_path_factory.mktemp("done")
    fixed = ["--cameras", str(take / "cameras.toml"), "--regressor", "none", "--keypoints", str(take / "pose")]
    assert main(["reconstruct", *fixed, "--out", str(out), "--ground", *(str(take / v) for v in VIDEOS)]) == 0
    return out


def test_a_run_writes_tracks_overlays_and_a_scene_with_cameras(done, fitter):
    names = {f"track_0.{suffix}" for suffix in ("npz", "glb", "bvh", "json")}
    names |= {f"overlay_{name}.mp4" for name in NAMES} | {"scene.glb", "cameras.json"}
    names |= {f"thumbnail_{name}.jpg" for name in NAMES} | {"index.html"}
    assert {path.name for path in done.iterdir()} == names
    track = Track.load(done / "track_0.npz")
    assert errors(track, fitter, 0.0).mean() < 0.03
    scene = GLTF2().load_binary(str(done / "scene.glb"))
    assert len(scene.animations) == 1 and len(scene.cameras) == 3
    assert [node.name for node in scene.nodes if node.camera is not None] == [f"{name} camera" for name in NAMES]
    for name in NAMES:
        assert open_clip(done / f"overlay_{name}.mp4").count == 16
    check_results(done)
    record = strict_json((done / "cameras.json").read_bytes())
    assert [(camera["offset"], camera["overlay_begin"]) for camera in record["cameras"]] == [(0, 0)] * 3
    (person,) = record["people"]
    assert person["seen"] == dict.fromkeys(NAMES, 16) and max(person["reprojection_errors"].values()) < 0.02


def test_the_cameras_of_the_scene_see_people_where_those_of_the_calibration_do(done, cameras):
    scene, track = Gltf(done / "scene.glb"), Track.load(done / "track_0.npz")
    points = scene.posed(8 / RATE)[scene.faces()].reshape(-1, 3)
    true = track.vertices(slice(8, 9))[0][track.body.faces.numpy()].reshape(-1, 3) @ LEVEL["y"]
    stands = [i for i, node in enumerate(scene.file.nodes) if node.camera is not None]
    for name, node in zip(NAMES, stands):
        own = np.linalg.solve(scene.world[node], np.pad(points, ((0, 0), (0, 1)), constant_values=1).T).T[:, :3]
        seen = cameras.cameras[name].camera.world_to_camera(torch.from_numpy(true.copy()).double()).numpy()
        assert np.abs(own * [1, -1, -1] - seen).max() < 2e-3


def test_offsets_are_found_by_the_motion(fitter, cameras, tmp_path):
    times = np.arange(0, 3, 1 / RATE)
    late = dict(zip(NAMES, (0.0, 0.33, -0.2)))
    clips = {name: open_clip(frames(len(times)), fps=RATE) for name in NAMES}
    views = views_of_clips(clips, cameras, ClipSettings(), "auto")
    seen, reconstructor = [], meshrec.Reconstructor(regressor="none", body=fitter.body)
    for number, name in enumerate(NAMES):
        seen.append(Observations(tmp_path / name))
        own = dict(enumerate(keypoints(fitter, cameras.cameras[name], times + late[name])))
        assert list(watch_view(reconstructor, views, number, seen[-1], own))[-1] == len(times)
    instants, offsets = instants_of(views, seen)
    assert np.abs(np.array(offsets) - list(late.values())).max() < 0.02
    assert any("cam2 is +0.33" in note for note in instants.notes)
    found = [
        [people[0].detection.keypoints for people in own] for own in instants.seen
    ]  # without distortion, at the common instants
    true = landmark_positions(fitter.landmarks("coco17"), moving(fitter, instants.begin + instants.times))
    for name, own in zip(NAMES, found):
        camera = cameras.cameras[name].camera
        pixels = camera.project(camera.world_to_camera(true)).numpy()[..., :2]
        assert np.abs(np.array(own)[..., :2] - pixels).mean() < 1.0


def test_a_run_that_was_killed_goes_on_with_the_same_files(folder, done, monkeypatch, capfd):
    kept, calls = camera_clips.kept_in, []

    def until_the_fit(parts):
        keep = kept(parts)

        def one(name, make):
            if name.startswith("backward"):
                raise KeyboardInterrupt
            calls.append(name)
            return keep(name, make)

        return one

    monkeypatch.setattr(camera_clips, "kept_in", until_the_fit)
    with suppress(KeyboardInterrupt):
        run(*VIDEOS, "--ground")
    assert any(name.startswith("alone") for name in calls)
    assert (folder / "out/.work/begun.json").exists() and not (folder / "out/cameras.json").exists()
    monkeypatch.setattr(camera_clips, "kept_in", kept)
    monkeypatch.setattr(camera_clips, "watch_view", watched_again := _Count(camera_clips.watch_view))
    assert run(*VIDEOS, "--ground") == 0
    assert watched_again.frames == 0
    assert not (folder / "out/.work").exists()
    for name in ("track_0.npz", "track_0.glb", "scene.glb", "overlay_cam1.mp4"):
        assert (folder / "out" / name).read_bytes() == (done / name).read_bytes(), name
    capfd.readouterr()
    assert run(*VIDEOS, "--ground") == 0
    assert "finished before" in capfd.readouterr().out


class _Count:
    """Counts the frames that a function of :mod:`meshrec.reconstruct.camera_clips` yields."""

    def __init__(self, function) -> None:
        self.function, self.frames = function, 0

    def __call__(self, *arguments):
        for number in self.function(*arguments):
            self.frames += 1
            yield number


def test_a_shorter_clip_is_noted_and_stale_results_are_removed(folder, capfd):
    out = folder / "out"
    out.mkdir()
    for name in ("person_4.obj", "track_3.glb", "overlay_cam9.png", "mine.txt"):
        (out / name).write_text("of before")
    (folder / "cam2.mp4").unlink()
    write_clip(folder / "cam2.mp4", 8)
    assert run(*VIDEOS) == 0
    assert "the cameras share 0.35 seconds" in capfd.readouterr().out
    assert {path.name for path in out.iterdir()} & {"person_4.obj", "track_3.glb", "overlay_cam9.png"} == set()
    assert (out / "mine.txt").exists()
    assert len(Track.load(out / "track_0.npz")) == 8


def test_overlays_are_on_the_clock_of_the_tracks(folder):
    """The first instant is at 0.1 seconds, the first frame of cam1 after cam2 begins; the overlays begin before it."""
    assert run(*VIDEOS, "--offset", "cam2=0.02", "--stride", "2", "--end", "0.2") == 0
    record = strict_json((folder / "out/cameras.json").read_bytes())
    assert record["begin"] == 0.1
    assert [camera["overlay_begin"] for camera in record["cameras"]] == [-0.1, -0.08, -0.1]
    check_results(folder / "out")


def replaced(folder: Path, name: str, *arguments) -> None:
    (folder / name).unlink()
    write_clip(folder / name, *arguments)


def test_what_does_not_fit_is_refused(folder, capfd):
    Image.new("RGB", SIZE).save(folder / "cam1.png")
    os.symlink(folder / "cam1.mp4", folder / "cam1_again.mp4")
    upright = (folder / "cam3.mp4").read_bytes()
    bad = folder / "bad"
    bad.mkdir()
    write_clip(bad / "cam2.mp4", 4, RATE, (SIZE[0] - 96, SIZE[1]))
    (bad / "cam3.mp4").write_bytes(upright)
    for files, options, message in [
        (["cam1.png", "cam2.mp4"], [], "cam1.png is a photo, but cam2.mp4 a clip"),
        (["cam1.mp4", "cam1_again.mp4"], [], "are both of camera cam1"),
        (["cam1.mp4", "bad/cam2.mp4"], [], "cam2.mp4: camera cam2: its calibration, made at 480 x 480"),
        (VIDEOS, ["--offset", "cam2=5"], "the cameras have no time in common"),
        (VIDEOS, ["--offset", "cam7=1"], "there is an offset of camera cam7"),
        (VIDEOS, ["--offset", "later"], "--offset is a camera's name and seconds"),
        (VIDEOS, ["--start", "3"], "of which nothing lies in the part asked for"),
        (VIDEOS, ["--height", "1.8"], "--height has no meaning with --cameras"),
        (["gone_cam1.mp4", "cam2.mp4"], [], "gone_cam1.mp4: No such file"),
    ]:
        assert run(*files, *options) == 1, message
        output = capfd.readouterr()
        assert message in output.err and len(output.err.splitlines()) == 1, output.err
    assert not (folder / "out/.work").exists()


def test_a_phone_that_was_turned_is_refused_with_the_reason(tmp_path, monkeypatch, capfd, cameras):
    """The rotation tag makes 480 x 320 pixels 320 x 480, which the calibration does not know."""
    monkeypatch.chdir(tmp_path)
    wide = Calibration(
        {
            name: CalibratedCamera(name, meshrec.Camera(400.0, size=(480, 320), translation=(0, 0, 4 + i)))
            for i, name in enumerate(NAMES[:2])
        },
        "-y",
    )
    write_calibration("cameras.toml", wide)
    for name in NAMES[:2]:
        write_clip(Path(f"{name}.mp4"), 4, RATE, (480, 320))
    path = Path("cam2.mp4")
    path.write_bytes(turned(path.read_bytes(), (0, 1, -1, 0)))
    assert main(["reconstruct", "--cameras", "cameras.toml", "--out", "out", "cam1.mp4", "cam2.mp4"]) == 1
    assert "cam2.mp4" in (error := capfd.readouterr().err) and "turned by 90 degrees" in error


def test_keypoints_of_a_camera_that_are_missing(folder, capfd):
    (folder / "some/cam1").mkdir(parents=True)
    fixed = ["--cameras", "cameras.toml", "--out", "out", "--keypoints", "some"]
    assert main(["reconstruct", *fixed, *VIDEOS]) == 1
    assert "there are no keypoints of camera cam2" in capfd.readouterr().err


def test_arguments_of_one_camera_are_refused(cameras):
    reconstructor = meshrec.Reconstructor(regressor="none")
    with pytest.raises(InputError, match="need their calibration"):
        reconstructor.clip({"cam1": frames(2)})
    with pytest.raises(InputError, match="no meaning with a calibration"):
        reconstructor.clip({"cam1": frames(2)}, cameras, height=1.8)
    with pytest.raises(InputError, match="are for a mapping"):
        reconstructor.clip(frames(2), cameras)


def test_names_of_cameras_in_names_of_files():
    names = ["cam1", "cam10", "left"]
    assert names_in(Path("take_cam10.mp4"), names) == "cam10"
    assert names_in(Path("CAM1_json"), names) == "cam1" and names_in(Path("cam3.mp4"), names) is None
