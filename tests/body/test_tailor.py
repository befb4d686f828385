"""Measures of people against closed forms, trimesh's sections and scipy's hulls."""

import math

import numpy as np
import pytest
import torch

from meshrec.body import joint_set, load_body
from meshrec.body.anthropometry import DEFINITIONS, DENSITY_DEVIATION, TAPES
from meshrec.body.measures import stature
from meshrec.body.tailor import (
    Plane,
    Tailor,
    covariance_given_stature,
    girth_in,
    stature_slope,
    with_known_stature,
)
from meshrec.body.topology import edges


def shape(seed: int) -> torch.Tensor:
    return torch.randn(10, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("normal", [(0, 1, 0), (1, 0, 0), (0.3, -0.5, 0.8)])
def test_the_girth_of_a_cylinder_at_right_angles_to_any_axis(normal):
    trimesh = pytest.importorskip("trimesh")
    axis = np.array(normal) / np.linalg.norm(normal)
    mesh = trimesh.creation.cylinder(0.2, 1.0, sections=256)
    mesh.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], axis))
    vertices = torch.tensor(np.array(mesh.vertices))[None]
    plane = Plane(torch.tensor(0.1 * axis)[None], torch.tensor(axis)[None])
    found = girth_in(vertices, torch.from_numpy(edges(np.array(mesh.faces))), plane)
    assert float(found) == pytest.approx(2 * math.pi * 0.2, rel=1e-3)


@pytest.mark.parametrize(("name", "seed"), [("neutral", 0), ("male", 1), ("female", 2)])
def test_girths_are_hulls_of_trimeshs_sections(name, seed):
    """Of the whole mesh's section, with what lies elsewhere, such as the other leg, left out by its place."""
    trimesh, spatial = pytest.importorskip("trimesh"), pytest.importorskip("scipy.spatial")
    body, betas = load_body(name), shape(seed)
    tailor, measures = Tailor(body), Tailor(body).measure(betas)
    mesh = trimesh.Trimesh(body.rest(betas[None])[0][0].numpy(), body.faces.numpy(), process=False)
    for name, planes in tailor.planes(betas).items():
        girths = []
        for plane, _ in planes:
            point, normal = plane.point[0].numpy(), plane.normal[0].numpy()
            pieces = mesh.section(normal, point).discrete
            # The tape goes around the piece whose middle is closest to the plane's point, on the side of that.
            side = 0.0 if TAPES[name].around == "trunk" else (1 if len(girths) == 0 else -1)
            pieces = [piece for piece in pieces if side * piece[:, 0].mean() >= 0]
            nearest = min(pieces, key=lambda piece: np.linalg.norm(piece.mean(0) - _on_side(point, side)))
            across = np.linalg.svd(nearest - nearest.mean(0), full_matrices=False)[2][:2]
            girths.append(spatial.ConvexHull(nearest @ across.T).area)
        assert measures[name] == pytest.approx(float(np.mean(girths)), rel=5e-3), name


def _on_side(point: np.ndarray, side: float) -> np.ndarray:
    return point if side == 0 or abs(point[0]) > 0.02 else point + [0.1 * side, 0, 0]


def test_lengths_and_volume(body):
    trimesh = pytest.importorskip("trimesh")
    betas = shape(3)
    vertices, joints = (part[0].double().numpy() for part in body.rest(betas[None]))
    measures = Tailor(body).measure(betas)
    mesh = trimesh.Trimesh(vertices, body.faces.numpy(), process=False)
    assert measures["stature"] == pytest.approx(mesh.extents[1], abs=1e-5)
    assert measures["volume"] == pytest.approx(1e3 * mesh.volume, rel=1e-5)
    assert measures["arm_span"] == pytest.approx(mesh.extents[0], rel=0.01)  # the arms of a T-pose are nearly straight
    place = dict(zip(joint_set("smpl24"), joints))
    assert measures["shoulder_breadth"] == pytest.approx(
        np.linalg.norm(place["left_shoulder"] - place["right_shoulder"])
    )
    # Just below the crotch the legs are two pieces, and above it one.
    crotch = vertices[:, 1].min() + measures["inseam"]
    below, above = (
        [piece for piece in mesh.section([0, 1, 0], [0, crotch + shift, 0]).discrete if np.ptp(piece[:, 0]) > 0.05]
        for shift in (-0.01, 0.01)
    )
    assert (len(below), len(above)) == (2, 1)


def test_people_of_mean_shape_measure_as_ansur_ii_says():
    """Means of the survey of 4,082 men and 1,986 women (Gordon et al. 2014), who are slimmer than other adults."""
    for name, ansur in {
        "male": {"stature": 1.756, "span": 1.814, "waistcircumference": 0.940, "buttockcircumference": 1.020},
        "female": {"stature": 1.628, "span": 1.671, "waistcircumference": 0.860, "buttockcircumference": 1.021},
    }.items():
        values = Tailor(load_body(name)).measure(torch.zeros(10)).values
        found = {DEFINITIONS[measure].ansur: value for measure, value in values.items()}
        for measure, expected in ansur.items():
            assert found[measure] == pytest.approx(expected, rel=0.12), (name, measure)


def test_deviations_are_those_of_drawn_shapes(body):
    """By a Monte Carlo over the covariance, against the linear propagation."""
    rng = np.random.default_rng(0)
    root = 0.15 * rng.standard_normal((10, 10))
    covariance = torch.from_numpy(root @ root.T)
    betas, tailor = shape(4), Tailor(body)
    measures = tailor.measure(betas, covariance)
    drawn = [tailor.measure(betas + torch.from_numpy(root @ rng.standard_normal(10)).float()).values for _ in range(30)]
    assert measures.deviations is not None
    for name, deviation in measures.deviations.items():
        spread = float(np.std([values[name] for values in drawn]))
        if name == "mass":
            spread = math.hypot(spread, DENSITY_DEVIATION * measures["volume"])
        assert deviation == pytest.approx(spread, rel=0.5), name


def test_a_known_stature_leaves_no_doubt_about_it(body):
    covariance = torch.diag(torch.linspace(0.2, 1, 10).double())
    betas = with_known_stature(body, shape(5), 1.80, covariance)
    assert float(stature(body.rest(betas[None])[0])) == pytest.approx(1.80, abs=1e-3)
    left = covariance_given_stature(body, betas, covariance)
    known, unknown = (Tailor(body).measure(betas, c).deviations for c in (left, covariance))
    assert known["stature"] < 0.1 * unknown["stature"]
    assert known["inseam"] < unknown["inseam"]


def test_the_slope_of_stature(body):
    betas, slope = shape(6), stature_slope(body, shape(6))[1]
    for i in (0, 3):
        ends = [float(stature(body.rest((betas + sign * 0.01 * torch.eye(10)[i])[None])[0])) for sign in (1, -1)]
        assert float(slope[i]) == pytest.approx((ends[0] - ends[1]) / 0.02, abs=2e-4)


def test_measures_say_what_they_are(body):
    document = Tailor(body).measure(torch.zeros(10)).to_dict()
    assert list(document) == list(DEFINITIONS)
    assert document["waist_girth"]["ansur"] == "waistcircumference" and document["waist_girth"]["deviation"] is None
