"""The shipped base mesh of MakeHuman, of which the open body is a part."""

import numpy as np

from meshrec.body.base_mesh import SKIN, load_base_mesh

CAP_VERTICES = 2 * 57  # of the eyes, which the base mesh does not have


def test_the_skin_is_part_of_the_base_mesh(body):
    base = load_base_mesh()
    own, count = np.unique(base.body_vertices, return_counts=True)
    assert base.body_vertices.max() < SKIN < len(base.vertices) == 19158
    assert len(base.body_vertices) == len(body.data.v_template)
    # Every vertex but those of the eyes has a vertex of its own.
    assert len(own) >= len(base.body_vertices) - CAP_VERTICES and (count > 1).sum() <= CAP_VERTICES


def test_edges_hardly_change_between_the_two(body):
    """The base mesh stands in another pose and shape, but neighbours are neighbours in both."""
    base = load_base_mesh()
    a, b = np.unique(np.sort(body.data.faces[:, :2]), axis=0).T
    posed, rest = base.vertices[base.body_vertices], body.data.v_template
    short, long = (np.linalg.norm(points[a] - points[b], axis=1) for points in (posed, rest))
    ratio = short[short > 0] / long[short > 0]
    assert 0.8 < np.median(ratio) < 1.2 and np.percentile(ratio, 5) > 0.6 and np.percentile(ratio, 95) < 1.6


def test_both_halves_are_mirror_images(body):
    base = load_base_mesh()
    posed = base.vertices[base.body_vertices]
    twin = posed[body.data.mirror_vertices] * [-1, 1, 1]
    assert np.quantile(np.linalg.norm(posed - twin, axis=1), 0.98) < 1e-4
