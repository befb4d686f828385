"""Depth maps at the command: result files, and what is wrong with a map in one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from meshrec import Person, load_body
from meshrec.cli import main
from meshrec.synthetic.depth_maps import RoomMix, SyntheticDepthMaps
from meshrec.synthetic.random_poses import PoseMix

UPRIGHT = PoseMix(authored=0, lying=0, tumbled=0, everyday=1, upright=0, floor=0, recombined=0)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A synthetic map of somebody who stands or sits, as a file of millimetres, and what is known of it."""
    rooms = RoomMix(boxes=0, in_front=0, clothed=0, fill=(0.8, 0.9), distance=(2.0, 4.0))
    (made,) = SyntheticDepthMaps(load_body("neutral"), 5, "held_out", rooms=rooms, poses=UPRIGHT).draw([2])
    path = tmp_path_factory.mktemp("depth") / "depth.png"
    Image.fromarray((1000 * made.depth).round().astype(np.uint16)).save(path)
    return path, made


def run(*arguments: object) -> int:
    return main(["reconstruct", *map(str, arguments)])


def test_a_map_becomes_the_usual_files(seen, tmp_path):
    path, made = seen
    focal = made.camera.focal[0]
    assert run(path, "--depth", "--focal", focal, "--out", tmp_path) == 0
    (folder,) = (p.parent for p in tmp_path.rglob("photo.json"))
    names = {file.name for file in folder.iterdir()}
    assert {"person_0.obj", "person_0.glb", "person_0.json", "scene.glb", "overlay.png", "thumbnail.jpg"} <= names
    person = Person.load(folder / "person_0.json")
    content = json.loads((folder / "person_0.json").read_text())
    assert content["made_by"] == "voxels + depth fit"
    # Where the person is, is the map's to say: within centimetres, without any alignment.
    truth = load_body("neutral").joints_from(made.vertices[None], "lsp14")[0].numpy()
    assert np.linalg.norm(person.joints("lsp14") - truth, axis=1).mean() < 0.12
    assert abs(np.median(person.vertices[:, 2]) - float(made.vertices[:, 2].median())) < 0.06
    assert run(path, "--depth", "--focal", focal, "--out", tmp_path) == 0  # it is finished


def test_units_give_the_same_person(seen, tmp_path):
    import meshrec

    path, made = seen
    focal = float(made.camera.focal[0])
    reconstructor = meshrec.Reconstructor(regressor="none")
    (first,) = reconstructor.depth(path, focal=focal)
    metres = np.asarray(Image.open(path)).astype(np.float64) / 1000
    np.save(tmp_path / "metres.npy", metres)
    (second,) = reconstructor.depth(tmp_path / "metres.npy", focal=focal)
    (third,) = reconstructor.depth(metres * 4000, focal=focal, unit=0.00025)
    for other in (second, third):
        np.testing.assert_allclose(other.vertices, first.vertices, atol=2e-3)
    height, width = metres.shape
    boxes = np.array([[0, 0, width, height]], np.float32)
    (boxed,) = reconstructor.depth(metres, focal=focal, boxes=boxes)
    np.testing.assert_allclose(boxed.vertices, first.vertices, atol=2e-3)


def test_several_maps_and_boxes(seen, tmp_path):
    path, made = seen
    (tmp_path / "boxes.json").write_text(json.dumps({path.name: [[0, 0, 10, 10]]}))
    focal = made.camera.focal[0]
    assert run(path, "--depth", "--focal", focal, "--boxes", tmp_path / "boxes.json", "--out", tmp_path / "out") == 0
    (record,) = (json.loads(p.read_text()) for p in (tmp_path / "out").rglob("photo.json"))
    assert record["people"] == [] and "boxes show nobody" in record["notes"][0]


def bad_maps(folder: Path) -> dict[str, str]:
    """Files that are no depth map of a person, and words of the sentence about each."""
    Image.new("L", (320, 240), 90).save(folder / "gray.png")
    Image.fromarray(np.zeros((240, 320), np.uint16)).save(folder / "zeros.png")
    Image.fromarray(np.full((240, 320), 3, np.uint16)).save(folder / "metres.png")
    np.save(folder / "millimetres.npy", np.full((240, 320), 3000.0))
    Image.fromarray(np.full((240, 320), 3000, np.uint16)).save(folder / "wall.png")
    return {
        "gray.png": "8 bits", "zeros.png": "nothing was measured", "metres.png": "--depth-unit",
        "millimetres.npy": "--depth-unit", "wall.png": "nobody is found",
    }  # fmt: skip


def test_bad_maps_are_told_in_a_sentence(tmp_path, capsys):
    for name, words in bad_maps(tmp_path).items():
        assert run(tmp_path / name, "--depth", "--focal", 300, "--out", tmp_path / "out") == 1
        said = capsys.readouterr().err
        assert words in said and name in said and "Traceback" not in said and "bug" not in said


def test_bad_options_are_told_in_a_sentence(seen, tmp_path, capsys):
    path, _ = seen
    for options, words in {
        (): "--focal",
        ("--focal", "300", "--texture"): "--texture",
        ("--focal", "3"): "focal length of 3 pixels",
        ("--focal", "300", "--depth-unit", "feet"): "--depth-unit feet",
        ("--focal", "300", "--ground"): "--ground",
    }.items():
        assert run(path, "--depth", *options, "--out", tmp_path / "out") != 0
        assert words in capsys.readouterr().err
    assert run(path, "--depth-unit", "metres", "--out", tmp_path / "out") != 0
    assert "--depth" in capsys.readouterr().err


def test_results_repeat(seen):
    import meshrec

    path, made = seen
    reconstructor = meshrec.Reconstructor(regressor="none")
    first, second = (reconstructor.depth(path, focal=float(made.camera.focal[0]))[0] for _ in range(2))
    assert np.array_equal(first.vertices, second.vertices) and torch.equal(
        torch.from_numpy(first.betas), torch.from_numpy(second.betas)
    )
