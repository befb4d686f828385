"""The shipped base mesh of MakeHuman, of which the open body is a part."""

import numpy as np

from meshrec.body.base_mesh import SKIN, load_base_mesh

CAP_VERTICES = 2 * 57  # of the eyes, which the base mesh does not have


def _shared():
    """Vertices of the open body that are on the base mesh's skin, and where they are there."""
    base = load_base_mesh()
    own = np.flatnonzero(base.body_vertices >= 0)
    return own, base.vertices[base.body_vertices[own]]


def test_the_skin_is_part_of_the_base_mesh(body):
    base = load_base_mesh()
    assert len(base.vertices) == 19158 and len(base.body_vertices) == len(body.data.v_template)
    own = base.body_vertices[base.body_vertices >= 0]
    assert len(np.unique(own)) == len(own) == len(base.body_vertices) - CAP_VERTICES and own.max() < SKIN


def test_edges_hardly_change_between_the_two(body):
    """The base mesh stands in another pose and shape, but neighbours are neighbours in both."""
    own, posed = _shared()
    place = np.full(len(body.data.v_template), -1)
    place[own] = np.arange(len(own))
    edges = np.unique(np.sort(body.data.faces[:, :2]), axis=0)
    edges = edges[(place[edges] >= 0).all(axis=1)]
    rest = body.data.v_template
    on_base, on_body = (
        np.linalg.norm(points[index[edges[:, 0]]] - points[index[edges[:, 1]]], axis=1)
        for points, index in ((posed, place), (rest, np.arange(len(rest))))
    )
    ratio = on_base / on_body
    assert 0.8 < np.median(ratio) < 1.2 and np.percentile(ratio, 5) > 0.6 and np.percentile(ratio, 95) < 1.6


def test_both_halves_are_mirror_images(body):
    own, posed = _shared()
    place = np.full(len(body.data.v_template), -1)
    place[own] = np.arange(len(own))
    twin = posed[place[body.data.mirror_vertices[own]]] * [-1, 1, 1]
    assert np.abs(posed - twin).max() < 1e-4
