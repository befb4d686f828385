"""Vertices of mesh files in the file's order, whatever texture and coinciding vertices there are."""

import numpy as np
import pytest
import trimesh

from meshrec.body import load_body
from meshrec.errors import InputError
from meshrec.export import Mesh, write_mesh
from meshrec.files.mesh_vertices import read_mesh_vertices


@pytest.mark.parametrize("suffix", [".obj", ".ply"])
def test_a_written_body_keeps_its_vertices(suffix, tmp_path):
    data = load_body("neutral").data
    write_mesh(tmp_path / f"body{suffix}", Mesh(data.v_template, data.faces, data.uv, data.uv_faces))
    assert np.allclose(read_mesh_vertices(tmp_path / f"body{suffix}"), data.v_template, atol=1e-5)


@pytest.mark.parametrize("suffix", ["obj", "ply"])
def test_coinciding_vertices_of_another_writer(suffix, tmp_path):
    sphere = trimesh.creation.icosphere(1)
    vertices = np.concatenate([sphere.vertices, sphere.vertices])
    faces = np.concatenate([sphere.faces, sphere.faces + len(sphere.vertices)])
    trimesh.Trimesh(vertices, faces, process=False).export(tmp_path / f"twice.{suffix}")
    assert np.allclose(read_mesh_vertices(tmp_path / f"twice.{suffix}"), vertices, atol=1e-5)


def test_colours_normals_and_comments_are_passed_over(tmp_path):
    (tmp_path / "a.obj").write_text("# v 9 9 9\nv 1 2 3 0.5 0.5 0.5\nvn 0 0 1\nvt 0 0\n\tv  4 5 6\nf 1/1 2/1 1/1\n")
    assert read_mesh_vertices(tmp_path / "a.obj").tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("a.stl", b"", "must end in .obj or .ply"),
        ("a.obj", b"f 1 2 3\n", "holds no vertices"),
        ("a.obj", b"v 1 2\n", "holds no vertices"),
        ("a.obj", b"v 1 2 inf\n", "holds no vertices"),
        ("a.obj", b"v 1 2 3\nv 1 2\n", "no readable mesh in the format OBJ"),
        ("a.obj", b"v a b c\n", "no readable mesh in the format OBJ"),
        ("a.ply", b"\x00\xff", "no readable mesh in the format PLY"),
    ],
)
def test_what_is_wrong_is_said(name, content, sentence, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_mesh_vertices(tmp_path / name)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_mesh_vertices(tmp_path / "none.obj")
