"""Errors that the landmarks of a face share: a nuisance that leaves the fit's unknowns, and bows nobody."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.standing import CAMERA, rather_sure, standing
from scipy.optimize import minimize

from meshrec.body import joint_index, joint_set, load_body
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection, keypoint_box
from meshrec.fit import Fitter, Initial, fitter, nuisance
from meshrec.fit.terms import Reprojection
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.landmarks.placements import FACE, face_errors, precision

ON_FACE = np.array([any(part in name for part in FACE) for name in joint_set("mediapipe33")])
NECK = joint_index("neck", "smpl24")
FRONT = ON_FACE & np.array(["ear" not in name for name in joint_set("mediapipe33")])


@pytest.fixture(scope="module")
def fit():
    return Fitter(load_body("neutral"))


def detected(fit: Fitter, face_down: float) -> Detection:
    """Somebody who stands upright, the front of the face found too low by a share of the box's side."""
    pixels = CAMERA.project(landmark_positions(fit.landmarks("mediapipe33"), standing()))[0, :, :2].numpy()
    keypoints = np.column_stack([pixels, np.ones(len(pixels))])
    box = keypoint_box(keypoints, CAMERA.size)
    keypoints[FRONT, 1] += face_down * (box[2:] - box[:2]).max()
    return Detection(box, keypoints, "mediapipe33", 0.9, None)


def seen(fit: Fitter, person: Detection) -> Reprojection:
    keypoints, box = (torch.from_numpy(np.asarray(a, np.float64))[None] for a in (person.keypoints, person.box))
    certainty = precision("mediapipe33", keypoints, box, CAMERA.size)
    shared = face_errors("mediapipe33", box)
    return Reprojection(fit.landmarks("mediapipe33"), CAMERA, keypoints[..., :2], certainty, shared)


def test_shared_errors_are_of_faces_and_grow_with_people():
    box = torch.tensor([[0.0, 0.0, 100.0, 300.0], [50.0, 50.0, 150.0, 80.0]])
    whole, front = face_errors("mediapipe33", box).unbind(1)
    assert torch.equal(whole > 0, torch.from_numpy(ON_FACE).expand(2, -1))
    assert torch.equal(front > 0, torch.from_numpy(FRONT).expand(2, -1))
    assert torch.allclose(whole[0], 3 * whole[1])
    assert not face_errors("lsp14", box).any()


def test_the_energy_is_that_of_the_likeliest_shared_errors(fit, monkeypatch):
    monkeypatch.setattr(nuisance, "ROUNDS", 30)
    term = seen(fit, detected(fit, 0.03))
    generator = torch.Generator().manual_seed(0)
    noise = 6 * torch.randn(term.pixels.shape, generator=generator, dtype=torch.float64)
    term = replace(term, pixels=term.pixels + noise)
    state = standing().moved(0.03 * torch.randn(1, standing().unknowns, generator=generator, dtype=torch.float64))

    def energy(shift: np.ndarray) -> float:
        """With two errors along x and along y, each of one standard deviation."""
        moved = (term.shared[0].mT[..., None] * torch.from_numpy(shift.reshape(2, 2))).sum(1)
        plain = replace(term, pixels=term.pixels + moved, shared=torch.zeros_like(term.shared))
        return float(plain(state).energy[0]) + 0.5 * float(np.square(shift).sum())

    least = minimize(energy, np.zeros(4), tol=1e-10).fun
    assert least < energy(np.zeros(4)) - 0.5
    assert float(term(state).energy[0]) == pytest.approx(least, rel=1e-5)


def test_a_face_that_is_found_too_low_bows_nobody(fit, monkeypatch):
    """By three hundredths of the person, as in some photos. The network knows each joint to a tenth of a radian."""
    initial = Initial(standing(), rather_sure(betas=0.3))
    person = detected(fit, 0.03)

    def bow() -> float:
        """Degrees by which the trunk is turned."""
        (result,) = fit([person], CAMERA, initial)
        found = BodyState(
            *(torch.from_numpy(a)[None].double() for a in (result.pose, result.translation, result.betas))
        )
        joints = [landmark_positions(fit.skeleton, state)[0] for state in (standing(), found)]
        trunks = [places[NECK] - places[0] for places in joints]
        return float(torch.rad2deg(torch.arccos(torch.cosine_similarity(*trunks, dim=0))))

    now = bow()
    monkeypatch.setattr(fitter, "face_errors", lambda joints, box: torch.zeros(len(box), 1, 33).to(box))
    before = bow()
    assert now < 0.8 * before and before > 2.5
