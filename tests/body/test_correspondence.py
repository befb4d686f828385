"""Correspondences in each layout, and what is wrong with others."""

import re

import numpy as np
import pytest
import torch
from scipy import sparse

from meshrec.body import load_body
from meshrec.body.correspondence import read_correspondence
from meshrec.body.mesh_fit import fit_parameters
from meshrec.errors import InputError

BODY, OTHER = 50, 80


@pytest.fixture
def matrix():
    """Rows of three weights that sum to one, and two empty ones."""
    rng = np.random.default_rng(0)
    columns = np.stack([rng.permutation(OTHER)[:3] for _ in range(BODY)])
    weights = rng.dirichlet(np.ones(3), BODY)
    weights[[4, 30]] = 0
    return (
        columns,
        weights,
        sparse.csr_matrix((weights.ravel(), columns.ravel(), 3 * np.arange(BODY + 1)), (BODY, OTHER)),
    )


@pytest.mark.parametrize("layout", ["csr", "coo", "weights"])
def test_each_layout_is_the_same_product(layout, matrix, tmp_path):
    columns, weights, product = matrix
    if layout == "weights":
        np.savez(tmp_path / "map.npz", vertices=columns, weights=weights)
    else:
        sparse.save_npz(tmp_path / "map.npz", product.asformat(layout))
    vertices = torch.randn(2, OTHER, 3, generator=torch.Generator().manual_seed(0))
    places, counted = read_correspondence(tmp_path / "map.npz", BODY).targets(vertices)
    expected = torch.from_numpy(np.stack([product @ one for one in vertices.double().numpy()]))
    assert torch.allclose(places.double(), expected, atol=1e-6)
    assert np.flatnonzero(counted == 0).tolist() == [4, 30]


def test_a_denser_mesh_gives_its_body(tmp_path):
    """The other mesh has the centres of the body's faces as vertices besides, in another order, and lacks the rest."""
    body = load_body("neutral")
    true = body(torch.ones(1, 10), torch.full((1, 69), 0.1)).vertices
    centres = true[0, body.faces].mean(1)
    known = np.random.default_rng(0).permutation(len(body.v_template))[:3000]
    vertices = torch.cat([centres, true[0, known]])[None]
    lines = np.zeros(len(body.v_template), np.int64)
    lines[known] = len(centres) + np.arange(len(known))
    np.savez(tmp_path / "map.npz", vertices=lines, weights=np.isin(np.arange(len(lines)), known).astype(float))
    places, weights = read_correspondence(tmp_path / "map.npz", len(lines)).targets(vertices)
    found = fit_parameters(body, places, vertex_weights=weights)
    assert (found.vertices(body) - true).norm(dim=-1).max() < 1e-3


@pytest.mark.parametrize(
    "arrays, sentence",
    [
        ({"faces": np.zeros(3)}, "'format' is missing"),
        ({"vertices": np.zeros(BODY)}, "whole numbers"),
        ({"vertices": np.full(BODY, -1)}, "negative"),
        ({"vertices": np.arange(7)}, "for a body of 7 vertices, but this one has 50"),
        ({"vertices": np.arange(BODY), "weights": np.ones(3)}, "weights should be"),
        ({"vertices": np.arange(BODY), "weights": np.full(BODY, 0.5)}, "must sum to one"),
        ({"vertices": np.arange(BODY), "weights": np.full(BODY, np.nan)}, "must sum to one"),
        ({"vertices": np.arange(BODY), "weights": np.zeros(BODY)}, "must sum to one"),
        ({"format": "csc", "shape": [BODY, 3], "data": [1.0]}, "csr or coo, not csc"),
        (
            {"format": "csr", "shape": [BODY, 3], "data": [1.0], "indices": [9], "indptr": [0, *[1] * BODY]},
            "no correspondence",
        ),
        ({"format": "coo", "shape": [BODY, 3], "data": [1.0], "row": [0], "col": [9]}, "no correspondence"),
    ],
)
def test_what_is_wrong_is_said(arrays, sentence, tmp_path):
    np.savez(tmp_path / "map.npz", **{name: np.asarray(value) for name, value in arrays.items()})
    with pytest.raises(InputError, match=re.escape(sentence)):
        read_correspondence(tmp_path / "map.npz", BODY)


def test_a_mesh_of_too_few_vertices(tmp_path):
    np.savez(tmp_path / "map.npz", vertices=np.arange(BODY))
    with pytest.raises(ValueError, match="needs a mesh of 50 vertices or more"):
        read_correspondence(tmp_path / "map.npz", BODY).targets(torch.zeros(1, 20, 3))
