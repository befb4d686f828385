"""Mesh topology and the coarsening hierarchy, against trimesh and closed forms, on shipped and foreign meshes."""

import numpy as np
import pytest
import torch
import trimesh
from helpers.sphere import sphere_body

from meshrec.body import load_body
from meshrec.body.hierarchy import mesh_hierarchy
from meshrec.body.topology import (
    adjacency,
    edges,
    enclosed_volume,
    face_normals,
    is_watertight,
    vertex_normals,
)


@pytest.fixture(scope="module")
def sphere() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(4)


def euler_characteristic(faces: np.ndarray) -> int:
    """2 for a closed surface without handles."""
    return len(np.unique(faces)) - len(edges(faces)) + len(faces)


def test_a_sphere_is_closed_and_a_torus_has_a_handle(sphere):
    assert is_watertight(sphere.faces) and euler_characteristic(sphere.faces) == 2
    torus = trimesh.creation.torus(1, 0.3)
    assert is_watertight(torus.faces) and euler_characteristic(torus.faces) == 0
    assert not is_watertight(sphere.faces[1:])
    flipped = sphere.faces.copy()
    flipped[0] = flipped[0, ::-1]
    assert not is_watertight(flipped)


def test_edges_equal_trimesh(sphere):
    assert np.array_equal(edges(sphere.faces), np.unique(sphere.edges_unique, axis=0))
    graph = adjacency(sphere.faces, len(sphere.vertices))
    assert graph.nnz == 2 * len(sphere.edges_unique)
    assert set(graph[0].indices) == set(sphere.vertex_neighbors[0])


def test_normals_areas_and_volume_of_a_sphere(sphere):
    vertices, faces = torch.tensor(sphere.vertices), torch.tensor(sphere.faces)
    assert torch.allclose(vertex_normals(vertices, faces), vertices, atol=2e-2)
    assert np.allclose(face_normals(vertices, faces).norm(dim=-1) / 2, sphere.area_faces)
    assert enclosed_volume(vertices, faces).item() == pytest.approx(sphere.volume)
    batched = vertex_normals(torch.stack([vertices, -vertices]), faces)
    assert torch.allclose(batched[0], vertex_normals(vertices, faces))
    assert torch.allclose(batched, vertex_normals(torch.stack([vertices, -vertices]).requires_grad_(), faces))


def test_normal_gradients(sphere):
    small = trimesh.creation.icosphere(1)
    vertices = torch.tensor(small.vertices, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: vertex_normals(v, torch.tensor(small.faces)), vertices)


@pytest.mark.parametrize("source", ["open body", "sphere"])
def test_hierarchy(source, tmp_path):
    body = load_body("neutral").data if source == "open body" else sphere_body()
    finest, middle, coarse = mesh_hierarchy(body, cache=tmp_path)
    for level, count in ((middle, 1700), (coarse, 430)):
        assert abs(len(level.vertices) - count) <= count * 0.02
        assert is_watertight(level.faces) and euler_characteristic(level.faces) == 2
        assert np.allclose(level.up.sum(1), 1, atol=1e-5) and level.up.min() >= 0
        assert (level.down.sum(1) == 1).all() and level.down.max() == 1
    assert np.array_equal(middle.down @ finest.vertices, middle.vertices)
    # Up-sampling lays every fine vertex on the coarse surface, millimetres from where it was.
    size = np.ptp(finest.vertices, axis=0).max()
    gap = np.linalg.norm(middle.up @ middle.vertices - finest.vertices, axis=1)
    surface = trimesh.Trimesh(middle.vertices, middle.faces, process=False)
    _, nearest, _ = trimesh.proximity.closest_point_naive(surface, finest.vertices[::100])
    assert gap.mean() < 0.003 * size
    assert np.median(gap[::100] - nearest) < 1e-4 * size


def test_hierarchy_is_kept_on_disk_and_equal(tmp_path):
    first = mesh_hierarchy(sphere_body(), cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    again = mesh_hierarchy(sphere_body(), cache=tmp_path)
    for a, b in zip(first, again):
        assert np.array_equal(a.faces, b.faces) and np.array_equal(a.vertices, b.vertices)
    next(tmp_path.iterdir()).write_bytes(b"damaged")
    assert np.array_equal(mesh_hierarchy(sphere_body(), cache=tmp_path)[2].faces, first[2].faces)
