"""The animate command from file to file."""

import numpy as np
import pytest
from helpers.gltf import Gltf
from helpers.paths import STORED
from scipy.spatial.transform import Rotation

from meshrec import InputError, Person, load_body
from meshrec.cli import main
from meshrec.export import Animation, write_animation
from meshrec.geometry import camera_to_y_up
from meshrec.jobs.animations import AnimateSettings, Look, animate, draw, read_animations
from meshrec.motion.sequences import read_motions

FILMS = STORED / "joblib"
VIBE = str(FILMS / "vibe_joblib16.pkl")


def wave(count: int = 6, **options) -> Animation:
    """A person of the female body who lifts the left arm."""
    rotations = np.tile(np.eye(3), (count, 24, 1, 1))
    rotations[:, 16] = Rotation.from_euler("z", np.linspace(-1, 1, count)[:, None]).as_matrix()
    place = np.linspace([0, 0.95, 0], [0.5, 0.95, 0], count)
    return Animation(load_body("female"), np.linspace(-1, 1, 10), rotations, place, **options)


def test_from_npz_to_every_format_and_back(tmp_path, capsys):
    person = wave(frame_rate=24.0)
    write_animation(tmp_path / "a.npz", person)
    for name in ("b.glb", "b.bvh", "b.npz"):
        assert main(["animate", str(tmp_path / "a.npz"), "-o", str(tmp_path / name)]) == 0
        assert capsys.readouterr().out.splitlines()[0] == str(tmp_path / name)
    (again,), _ = read_animations(tmp_path / "b.npz")
    assert again.body.hash == person.body.hash and np.array_equal(again.betas, person.betas)
    assert np.abs(again.rotations - person.rotations).max() < 1e-9
    assert np.abs(again.translation - person.translation).max() < 1e-9
    file = Gltf(tmp_path / "b.glb")
    assert np.abs(file.posed(5 / 24)[file.faces()] - person.vertices(5)[person.body.data.faces]).max() < 1e-4
    (bones,), notes = read_animations(tmp_path / "b.bvh", AnimateSettings(body="female"))
    assert np.abs(bones.rotations - person.rotations).max() < 1e-7 and bones.frame_rate == 24
    pelvis = person.rest[1][0] + person.translation
    assert np.abs(bones.rest[1][0] + bones.translation - pelvis).max() < 1e-6
    assert np.abs(bones.betas - person.betas).max() < 1e-2  # found from the lengths of the bones
    assert np.abs(bones.vertices(3) - person.vertices(3)).max() < 1e-4
    assert len(notes) == 1 and notes[0].startswith("A .bvh has no betas")


def test_everyone_in_a_film_is_in_the_scene(tmp_path):
    notes = animate(FILMS / "phalp_joblib16.pkl", tmp_path / "a.glb", AnimateSettings(frame_rate=25.0))
    file = Gltf(tmp_path / "a.glb").file
    assert [skin.name for skin in file.skins] == ["person_2", "person_11"] and len(file.animations) == 1
    assert len({material.pbrMetallicRoughness.baseColorFactor[0] for material in file.materials}) == 2
    assert len(notes) == 3 and "mean shape" in notes[2]
    with pytest.raises(InputError, match=r"holds 2 people, but a \.bvh has one.*person_2, person_11"):
        animate(FILMS / "phalp_joblib16.pkl", tmp_path / "a.bvh", AnimateSettings(frame_rate=25.0))
    animate(FILMS / "phalp_joblib16.pkl", tmp_path / "a.npz", AnimateSettings(frame_rate=25.0, person=11))
    (motion,) = read_motions(tmp_path / "a.npz", np.zeros((24, 3)))
    assert (motion.name, motion.frame_rate, motion.start) == ("person_11", 25, 3)


def test_betas_of_smpl_are_for_the_body_that_is_named(tmp_path):
    """A body in SMPL's format with six components stands for SMPL's."""
    from meshrec.benchmarks.random_body import random_arrays
    from meshrec.body import write_body
    from meshrec.body.files import body_from_arrays

    write_body(body_from_arrays(random_arrays(40), "random"), tmp_path / "smpl.npz")
    settings = AnimateSettings(frame_rate=25.0, person=2, body=str(tmp_path / "smpl.npz"))
    (person,), notes = read_animations(FILMS / "wham_joblib16.pkl", settings)
    (raw, _) = read_motions(FILMS / "wham_joblib16.pkl", np.zeros((24, 3)))
    assert np.array_equal(person.betas[: len(raw.betas)], raw.betas) and not any("mean shape" in note for note in notes)
    poses = np.zeros((2, 156))
    poses[:, 0] = np.pi / 2  # upright with z up
    amass = {"trans": np.zeros((2, 3)), "betas": np.arange(16.0), "mocap_framerate": 30, "gender": "male"}
    np.savez(tmp_path / "long.npz", poses=poses, **amass)
    (person,), notes = read_animations(tmp_path / "long.npz", AnimateSettings(body=str(tmp_path / "smpl.npz")))
    assert (
        person.betas.tolist() == list(range(10)) and "Of 16 betas the first 10 are used, which the body has." in notes
    )
    (person,), notes = read_animations(tmp_path / "long.npz")
    assert person.body.data.gender == "male" and not person.betas.any() and "mean shape" in notes[1]


def test_results_of_frames_are_taken_in_their_order(tmp_path, body):
    """frame_10 comes after frame_9; where nobody was found, the motion is bridged; camera space becomes upright."""
    truth = {}
    for number in (1, 2, 9, 10, 11):
        folder = tmp_path / "out" / f"frame_{number}.jpg"
        folder.mkdir(parents=True)
        if number == 9:
            continue
        rotations = np.tile(np.eye(3), (24, 1, 1))
        rotations[0] = Rotation.from_euler("x", np.pi).as_matrix()
        person = Person(body, np.full(10, number / 10), rotations, np.array([number, 0.2, 4.0]))
        person.save(folder / "person_0.json")
        person.save(folder / "person_1.json")
        truth[number] = person
    nobody = tmp_path / "out" / "frame_9.jpg" / "photo.json"
    nobody.touch()
    with pytest.raises(InputError, match="does not say how many frames a second has: give --fps"):
        read_animations(tmp_path / "out")
    (found,), notes = read_animations(tmp_path / "out", AnimateSettings(frame_rate=30))
    nobody.unlink()
    assert len(found) == 5 and len(notes) == 3
    np.testing.assert_allclose(found.translation[:, 0] + found.rest[1][0, 0], [1, 2, 6, 10, 11], atol=1e-5)
    np.testing.assert_allclose(found.betas, np.full(10, 0.6), atol=1e-6)
    middle = Person(body, found.betas, truth[2].rotations, truth[2].translation)
    np.testing.assert_allclose(found.vertices(1), camera_to_y_up(middle.vertices), atol=1e-5)
    with pytest.raises(InputError, match=r"no person_7\.json in it or below it"):
        read_animations(tmp_path / "out", AnimateSettings(frame_rate=30, person=7))


def test_the_tracks_of_a_clip_are_one_scene(tmp_path):
    """track_10 comes after track_9."""
    for number in (10, 9):
        write_animation(tmp_path / f"track_{number}.npz", wave(frame_rate=25.0, name=f"track_{number}", start=0.2))
    found, notes = read_animations(tmp_path)
    assert [person.name for person in found] == ["track_9", "track_10"] and not notes
    assert found[0].start == pytest.approx(0.2) and found[0].color != found[1].color
    (found,), _ = read_animations(tmp_path, AnimateSettings(person=10))
    assert found.name == "track_10"
    with pytest.raises(InputError, match="no person 1; there are track_9, track_10"):
        read_animations(tmp_path, AnimateSettings(person=1))


def test_a_video_shows_the_person_all_the_time(tmp_path):
    av = pytest.importorskip("av")
    look = Look(size=(160, 120), line=(246, 246, 245))  # the floor's lines in the colour of the paper
    draw(tmp_path / "a.mp4", [wave(4, frame_rate=120.0), wave(4, frame_rate=120.0, start=4 / 120)], look)
    with av.open(str(tmp_path / "a.mp4")) as video:
        assert float(video.streams.video[0].average_rate) == 60
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in video.decode(video=0)]
    assert len(frames) == 4
    for frame in frames:
        inside = np.abs(frame - frame[0, 0]).sum(-1) > 120
        assert 300 < inside.sum() < 6000
        assert not inside[:, [0, -1]].any() and not inside[0].any()  # nobody is cut off


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["missing.npz"], "missing.npz"),
        (["a.obj"], "the name of a motion must end in .npz, .pkl"),
        (["a.npz", "--fps", "0"], "--fps must be above 0"),
        (["a.npz", "--up=x"], "--up must be one of y, z, -y, not 'x'"),
        (["a.npz", "--names", "maya"], "--names must be one of smpl, mixamo"),
        (["a.npz", "--unit", "inch"], "--unit must be one of cm, m"),
        (["a.npz", "--body", "male"], "its betas belong to the body 'open_female'"),
        (["still.npz"], "still.npz does not tell which axis points up: give --up=y"),
        (["empty"], "no person_0.json in it or below it"),
        ([str(FILMS / "vibe_joblib16.pkl")], "does not say how many frames a second has: give --fps"),
        (
            [str(FILMS / "vibe_joblib16.pkl"), "--fps", "30", "--person", "3"],
            "no person 3; there are person_2, person_11",
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_wrong_input_is_one_sentence(tmp_path, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(tmp_path)
    write_animation("a.npz", wave(2))
    np.savez("still.npz", poses=np.zeros((2, 72)), trans=np.zeros((2, 3)), mocap_framerate=30)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.obj").touch()
    before = sorted(tmp_path.iterdir())
    assert main(["animate", *words, "-o", "out.glb"]) == 1
    error = capsys.readouterr().err
    assert sentence in error and error.startswith("meshrec: ") and error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_still_motions_can_be_told_their_axis(tmp_path):
    np.savez(tmp_path / "still.npz", poses=np.zeros((2, 72)), trans=np.zeros((2, 3)), mocap_framerate=30)
    (still,), _ = read_animations(tmp_path / "still.npz", AnimateSettings(up="y"))
    assert np.abs(still.vertices(0)[:, 1]).max() > 0.7
