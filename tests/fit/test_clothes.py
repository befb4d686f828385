"""Clothes between body and outline: a nuisance that leaves the fit's unknowns, and girths of people who wear them."""

from itertools import product

import numpy as np
import pytest
import torch
from helpers.standing import CAMERA, rather_sure, standing
from scipy.optimize import minimize

from meshrec.body import joint_set
from meshrec.body.measures import body_measures
from meshrec.body.state import BodyState
from meshrec.body.topology import vertex_normals
from meshrec.detect.people import Detection, Mask, keypoint_box, photo_edges
from meshrec.fit import FitSettings, Fitter, Initial
from meshrec.fit.clothes import REGIONS, ClothesPrior, worn_over
from meshrec.fit.outline import OutlineSettings, OutlineTerm
from meshrec.fit.solver import Quadratic
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.render import silhouette

RATHER_SURE = rather_sure(betas=1.0)  # shapes are known as far as all people are alike


@pytest.fixture(scope="module")
def fitter(body):
    return Fitter(body)


def detected(fitter: Fitter, state: BodyState, clothes: float) -> Detection:
    """The person with exact keypoints and a mask of clothes of one thickness, metres; hands and feet are bare."""
    body = fitter.body
    vertices = body(
        *(t.float() for t in (state.betas, state.rotations[:, 1:], state.rotations[:, 0], state.translation))
    )
    covered = worn_over(body, np.arange(len(vertices.vertices[0]))).sum(1).float()
    dressed = vertices.vertices + clothes * covered[:, None] * vertex_normals(vertices.vertices, body.faces)
    mask = (255 * silhouette(dressed, body.faces, CAMERA)[0]).byte().numpy()
    pixels = CAMERA.project(landmark_positions(fitter.landmarks("mediapipe33"), state))[0, :, :2].numpy()
    keypoints = np.column_stack([pixels, np.ones(len(pixels))]).astype(np.float32)
    box = keypoint_box(keypoints, CAMERA.size)
    return Detection(box, keypoints, "mediapipe33", 0.9, Mask(mask, photo_edges(CAMERA.size)))


def waist(body, betas) -> float:
    return float(body_measures(body, torch.as_tensor(np.atleast_2d(betas)).float())["waist"]) / 1e3


def test_regions_are_on_both_sides_and_hands_and_feet_are_bare(body):
    worn = worn_over(body, np.arange(len(body.data.v_template)))
    assert (worn.sum(1) <= 1).all() and (worn.sum(0) > 100).all()
    named = {name for names in REGIONS.values() for name in names}
    assert {name.replace("left", "right") for name in named if "left" in name} == {n for n in named if "right" in n}
    for name, side in product(("hand", "foot"), ("left", "right")):
        assert not worn[body.part_labels == joint_set("smpl24").index(f"{side}_{name}")].any()


def test_leaving_out_unknowns_is_minimising_over_them():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(2, 9, 9, generator=generator, dtype=torch.float64)
    energy, gradient = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((2,), (2, 9)))
    whole = Quadratic(energy, gradient, root @ root.mT)
    rest = whole.without_last(4)
    step = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    for i in range(2):

        def whole_energy(last, i=i):
            x = torch.cat([step[i], torch.from_numpy(last)])
            return float(whole.energy[i] + whole.gradient[i] @ x + x @ whole.hessian[i] @ x / 2)

        left = rest.energy[i] + rest.gradient[i] @ step[i] + step[i] @ rest.hessian[i] @ step[i] / 2
        assert float(left) == pytest.approx(minimize(whole_energy, np.zeros(4), tol=1e-12).fun, abs=1e-6)


def test_the_outlines_energy_is_the_least_over_all_thicknesses(fitter):
    state, rng = standing(0.0), np.random.default_rng(0)
    vertices = rng.integers(len(fitter.body.data.v_template), size=40)
    landmarks = fitter.landmarks("mediapipe33").at_vertices(fitter.body, vertices)
    normals = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(40, 2))), dim=-1)
    clothes = 250 * worn_over(fitter.body, vertices)
    off = torch.from_numpy(rng.normal(5, 4, size=(40, 1)))
    targets = CAMERA.project(landmark_positions(landmarks, state))[0, :, :2] + off * normals
    term = OutlineTerm(landmarks, CAMERA, targets, normals, clothes, deviation=4.0, weight=0.6, cutoff=3.0)
    mean, information = (part.numpy() for part in ClothesPrior().moments)

    def energy(thickness):
        values = (clothes.numpy() @ thickness - off[:, 0].numpy()) / 4.0
        robust = 9.0 * values**2 / (9.0 + values**2)
        return 0.6 * robust.sum() / 2 + (thickness - mean) @ information @ (thickness - mean) / 2

    assert float(term(state).energy) == pytest.approx(minimize(energy, mean, tol=1e-12).fun, rel=1e-4)


def test_clothes_are_not_read_as_girth(fitter, body):
    truth = standing(0.0)
    person = detected(fitter, truth, clothes=0.025)
    initial = Initial(truth, RATHER_SURE)
    (found,) = fitter([person], CAMERA, initial)
    no_clothes = OutlineSettings(clothes=ClothesPrior(mean=0.0, shared=1e-6, own=1e-6))
    (naive,) = Fitter(body, settings=FitSettings(outline=no_clothes))([person], CAMERA, initial)
    true = waist(fitter.body, truth.betas)
    assert waist(fitter.body, naive.betas) > true + 0.08
    assert abs(waist(fitter.body, found.betas) - true) < 0.03


def test_a_heavy_outline_still_makes_a_heavy_body(fitter):
    usual, heavy = standing(0.0), standing(2.0)
    person = detected(fitter, heavy, clothes=0.01)
    (found,) = fitter([person], CAMERA, Initial(usual, RATHER_SURE))
    before, after, true = (waist(fitter.body, betas) for betas in (usual.betas, found.betas, heavy.betas))
    assert after > before + 0.3 * (true - before)
