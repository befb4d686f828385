"""`meshrec body --from`: a mesh that meshrec wrote gives the parameters that make it again."""

import numpy as np
import pytest
import torch

from meshrec.body import load_body
from meshrec.cli import main
from meshrec.export import Mesh, read_parameters, write_mesh
from meshrec.files.mesh_vertices import read_mesh_vertices


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    """A posed body in a file, and its vertices: (path, vertices)."""
    body = load_body("neutral")
    posed = body(torch.tensor([[1.0, -2.0]]), torch.full((1, 69), 0.15), transl=torch.tensor([[1.0, 0.5, -3]]))
    path, vertices = tmp_path_factory.mktemp("mesh") / "posed.obj", posed.vertices[0].numpy()
    write_mesh(path, Mesh(vertices, body.data.faces, body.data.uv, body.data.uv_faces))
    return path, vertices


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_the_parameters_make_the_mesh_again(suffix, mesh, tmp_path, capsys):
    path, vertices = mesh
    out = tmp_path / f"person{suffix}"
    assert main(["body", "--from", str(path), "--out", str(out)]) == 0
    assert "0.0 mm from the mesh in the mean" in capsys.readouterr().out
    assert np.allclose(read_parameters(out).betas[:2], [1, -2], atol=0.01)
    assert main(["export", str(out), "--format", "obj"]) == 0
    assert np.abs(read_mesh_vertices(out.with_suffix(".obj")) - vertices).max() < 1e-4


def test_centimetres_and_a_correspondence(mesh, tmp_path):
    """A mesh in centimetres whose vertices stand in the opposite order."""
    path, vertices = mesh
    lines = [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in 100 * vertices[::-1]]
    (tmp_path / "other.obj").write_text("\n".join(lines))
    np.savez(tmp_path / "map.npz", vertices=np.arange(len(vertices))[::-1])
    given = ["--from", tmp_path / "other.obj", "--correspondence", tmp_path / "map.npz", "--units-per-metre", 100]
    out = tmp_path / "person.json"
    assert main([str(part) for part in ("body", *given, "--out", out)]) == 0
    assert main(["body", "--from", str(path), "--out", str(tmp_path / "same.json")]) == 0
    found, same = read_parameters(out), read_parameters(tmp_path / "same.json")
    assert np.allclose(found.betas, same.betas, atol=1e-2) and np.allclose(found.pose, same.pose, atol=1e-2)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ("--from none.obj --out p.json", "cannot read none.obj"),
        ("--from three.obj --out p.json", "three.obj has 3 vertices, but open_neutral has 7644"),
        ("--from three.obj --out p.json --correspondence map.npz", "three.obj has 3 vertices, but the correspondence"),
        ("--from three.obj --out p.json --correspondence none.npz", "none.npz"),
        ("--from three.obj --out p.json --units-per-metre 0", "positive number"),
        ("--from three.obj --out p.obj", "must end in .json or .npz"),
        ("--from three.obj --out p.json --poses running", "--poses does not go with --from"),
        ("--out folder --correspondence map.npz", "--correspondence only goes with --from"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "three.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    np.savez("map.npz", vertices=np.arange(7644))
    assert main(["body", *arguments.split()]) == 1
    error = capsys.readouterr().err
    assert sentence in error and error.startswith("meshrec: ") and error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"three.obj", "map.npz"}
