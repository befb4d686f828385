"""Fitting bodies: derivatives, recovery of known bodies, and what a result says of itself."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from meshrec.body import joint_set
from meshrec.body.state import TRANSLATION, BodyState
from meshrec.detect.people import Detection, Mask, keypoint_box
from meshrec.errors import InputError
from meshrec.fit import FitSettings, Fitter, Initial, nuisance
from meshrec.fit.clothes import REGIONS
from meshrec.fit.outline import OutlineTerm
from meshrec.fit.result import UNKNOWN, joint_deviations
from meshrec.fit.solver import Quadratic, minimize, total
from meshrec.fit.terms import Closeness, LimitTerm, PoseTerm, Reprojection, ShapeTerm, UprightTerm
from meshrec.fit.turns import ObservedTurns
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix, procrustes, random_rotations
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.landmarks.placements import face_errors, precision
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.render import silhouette

CAMERA = Camera(900.0, size=(640, 720))
LIMBS = slice(0, 12)


@pytest.fixture(scope="module")
def fitter(body):
    return Fitter(body)


def random_state(count: int, seed: int = 0) -> BodyState:
    """Bodies in any pose a few metres away."""
    generator = torch.Generator().manual_seed(seed)
    turns = 0.5 * torch.randn(count, 24, 3, generator=generator, dtype=torch.float64)
    translation = torch.tensor([0.1, -0.1, 4.0], dtype=torch.float64).expand(count, 3)
    betas = torch.randn(count, 10, generator=generator, dtype=torch.float64)
    return BodyState(axis_angle_to_matrix(turns), translation, betas)


def photographed(count: int, seed: int = 0) -> BodyState:
    """Poses that the prior has not seen, upright before the camera."""
    generator = torch.Generator().manual_seed(seed)
    bank = load_pose_bank("held_out", upright=False)
    rotations = bank.rotations(torch.randint(len(bank), (count,), generator=generator)).double()
    yaw = torch.zeros(count, 3, dtype=torch.float64)
    yaw[:, 1] = 6.28 * torch.rand(count, generator=generator, dtype=torch.float64)
    facing = CAMERA_TO_Y_UP.double()
    rotations[:, 0] = facing @ axis_angle_to_matrix(yaw) @ rotations[:, 0]
    betas = 0.7 * torch.randn(count, 10, generator=generator, dtype=torch.float64)
    return BodyState(rotations, torch.tensor([[0.0, 0.1, 3.5]], dtype=torch.float64).expand(count, 3), betas)


def vertices_of(body, state: BodyState) -> torch.Tensor:
    parts = (state.betas, state.rotations[:, 1:], state.rotations[:, 0], state.translation)
    return body(*(part.float() for part in parts)).vertices


def detections_of(fitter: Fitter, state: BodyState, noise: float = 0.0, masks: bool = False) -> list[Detection]:
    """What a detector with MediaPipe's landmarks would see; noise: share of the box."""
    pixels = CAMERA.project(landmark_positions(fitter.landmarks("mediapipe33"), state))[..., :2].numpy()
    rng = np.random.default_rng(0)
    found = []
    for i, points in enumerate(pixels):
        keypoints = np.concatenate([points, np.ones((33, 1))], 1).astype(np.float32)
        box = keypoint_box(keypoints, CAMERA.size)
        keypoints[:, :2] += noise * (box[2:] - box[:2]).max() * rng.normal(size=(33, 2))
        mask = None
        if masks:
            drawn = silhouette(vertices_of(fitter.body, state[i : i + 1]), fitter.body.faces, CAMERA)[0]
            mask = Mask(
                (255 * drawn).byte().numpy(), np.array([-0.5, -0.5, CAMERA.size[0] - 0.5, CAMERA.size[1] - 0.5])
            )
        found.append(Detection(box, keypoints, "mediapipe33", 0.9, mask))
    return found


def state_of(results) -> BodyState:
    stacked = (np.stack([getattr(r, key) for r in results]) for key in ("pose", "translation", "betas"))
    return BodyState(*(torch.tensor(array, dtype=torch.float64) for array in stacked))


def limb_errors(body, state: BodyState, truth: BodyState) -> torch.Tensor:
    """(B,) mean Procrustes-aligned limb joint error, metres."""
    limbs = LandmarkMoments.of_body(body, body.joint_regressor("lsp14")[LIMBS])
    points, true = landmark_positions(limbs, state), landmark_positions(limbs, truth)
    return (procrustes(points, true).apply(points) - true).norm(dim=-1).mean(-1)


def every_term(fitter, state):
    landmarks = fitter.landmarks("mediapipe33")
    pixels = CAMERA.project(landmark_positions(landmarks, random_state(len(state), 5)))[..., :2]
    certainty = torch.full((len(state), 33), 0.1).double()
    shared = face_errors("mediapipe33", torch.tensor([[0.0, 0, 400, 900]]).double().expand(len(state), -1))
    outline = landmarks.at_vertices(fitter.body, np.array([10, 3000]))
    clothes = 200 * torch.eye(2, len(REGIONS), dtype=torch.float64)
    normals = torch.nn.functional.normalize(torch.tensor([[1.0, 0.2], [0.3, -1.0]], dtype=torch.float64), dim=-1)
    generator = torch.Generator().manual_seed(2)
    whiten = torch.randn(len(state), 20, state.unknowns, generator=generator, dtype=torch.float64)
    reference = random_state(len(state), 7)
    seen = random_rotations(3 * len(state), generator, torch.float64).unflatten(0, (-1, 3))
    sure = torch.tensor([[5.0, 9, 7], [0, 0, 0], [4, 3, 6]], dtype=torch.float64).expand(len(state), -1, -1)
    return {
        "reprojection": Reprojection(landmarks, CAMERA, pixels, certainty, shared, 5.0),
        "outline": OutlineTerm(outline, CAMERA, torch.full((2, 2), 300.0).double(), normals, clothes, 20.0, 0.5, 3.0),
        "pose": PoseTerm(fitter.prior, 0.5),
        "limits": LimitTerm(),
        "shape": ShapeTerm(0.7),
        "upright": UprightTerm(),
        "knees": FitSettings().knees,
        "closeness": Closeness(reference, whiten),
        "turns": ObservedTurns(fitter.body.tree, (15, 20, 21), seen, sure, freedom=2.0),
    }


@pytest.mark.parametrize(
    "name", ["reprojection", "outline", "pose", "limits", "shape", "upright", "knees", "closeness", "turns"]
)
def test_gradients_are_those_of_the_energy(fitter, name, monkeypatch):
    monkeypatch.setattr(nuisance, "ROUNDS", 30)  # so that nuisances are the likeliest ones exactly
    state = random_state(2, seed=7 if name == "pose" else 3)  # at 7, one component of the prior prevails
    term = every_term(fitter, state)[name]
    here = term(state)
    # The robust energies are e^2 c^2 / (c^2 + e^2) / 2, whose slope is what their reweighted squares have.
    for unknown in range(state.unknowns):
        step = torch.zeros(2, state.unknowns, dtype=torch.float64)
        step[:, unknown] = 1e-5
        slope = (term(state.moved(step)).energy - term(state.moved(-step)).energy) / 2e-5
        if name == "pose":  # the gradient of a mixture is taken of its likeliest component
            assert torch.allclose(slope, here.gradient[:, unknown], rtol=0.1, atol=0.5)
        else:
            assert torch.allclose(slope, here.gradient[:, unknown], rtol=1e-4, atol=1e-4 * float(here.energy.max()))


def test_steps_never_raise_the_energy(fitter):
    state = random_state(4)
    terms = list(every_term(fitter, state).values())
    energies = [total(terms, state).energy, *(minimize(terms, state, steps)[1].energy for steps in (1, 2, 4, 8, 16))]
    assert all((after <= before).all() for before, after in pairwise(energies))
    assert (energies[-1] < energies[0]).all()


def test_known_bodies_are_found_again(fitter, body):
    truth = photographed(12)
    results = fitter(detections_of(fitter, truth), CAMERA)
    errors = limb_errors(body, state_of(results), truth)
    assert errors.median() < 0.045
    assert max(result.reprojection_error for result in results) < 0.01


def test_noisy_detections_still_give_bodies(fitter, body):
    truth = photographed(12, seed=1)
    results = fitter(detections_of(fitter, truth, noise=0.01), CAMERA)
    assert limb_errors(body, state_of(results), truth).median() < 0.08


def test_a_wrong_landmark_is_left_behind(fitter, body):
    truth = photographed(6, seed=2)
    clean = detections_of(fitter, truth)
    spoilt = [replace(d, keypoints=d.keypoints.copy()) for d in clean]
    for d in spoilt:
        d.keypoints[joint_set("mediapipe33").index("left_wrist"), 0] += 150
    change = limb_errors(body, state_of(fitter(spoilt, CAMERA)), state_of(fitter(clean, CAMERA)))
    assert change.median() < 0.03


def test_masks_improve_the_outline(fitter, body):
    truth = photographed(3, seed=8)
    truth = BodyState(truth.rotations, truth.translation, truth.betas + 1.0)
    detections = detections_of(fitter, truth, noise=0.015, masks=True)
    with_masks = fitter(detections, CAMERA)
    without = [replace(d, mask=None) for d in detections]
    plain = fitter(without, CAMERA)
    assert all(result.mask_iou > 0.85 for result in with_masks)
    assert all(result.mask_iou is None for result in plain)
    drawn = silhouette(vertices_of(body, truth), body.faces, CAMERA) > 0.5

    def overlap(results):
        mine = silhouette(vertices_of(body, state_of(results)), body.faces, CAMERA) > 0.5
        return ((mine & drawn).sum((1, 2)) / (mine | drawn).sum((1, 2))).mean()

    assert 1 - overlap(with_masks) < 0.9 * (1 - overlap(plain))
    surer, less_sure = (np.mean([r.joint_deviation for r in results]) for results in (with_masks, plain))
    assert surer < less_sure


def test_unseen_legs_stay_plausible_and_are_said_to_be_uncertain(fitter):
    truth = photographed(4, seed=5)
    detections = detections_of(fitter, truth)
    seen = fitter(detections, CAMERA)
    names = joint_set("mediapipe33")
    legs = [i for i, name in enumerate(names) if any(p in name for p in ("knee", "ankle", "heel", "foot"))]
    for d in detections:
        d.keypoints[legs, 2] = 0
    hidden = fitter(detections, CAMERA)
    ankle, wrist = (joint_set("smpl24").index(name) for name in ("left_ankle", "left_wrist"))
    for before, after in zip(seen, hidden):
        assert np.isfinite(after.pose).all()
        of_ankle, of_wrist = (after.joint_deviation[j] / before.joint_deviation[j] for j in (ankle, wrist))
        assert of_ankle > 1.4 > of_wrist


def test_upside_down_people_are_found(fitter, body):
    truth = photographed(4, seed=6)
    turn = axis_angle_to_matrix(torch.tensor([0.0, 0.0, 3.14159], dtype=torch.float64))
    rotations = truth.rotations.clone()
    rotations[:, 0] = turn @ rotations[:, 0]
    truth = replace(truth, rotations=rotations)
    results = fitter(detections_of(fitter, truth), CAMERA)
    assert limb_errors(body, state_of(results), truth).median() < 0.06
    assert max(result.reprojection_error for result in results) < 0.02


def test_a_certain_estimate_holds_against_the_detections(fitter, body):
    truth, elsewhere = photographed(2, seed=8), photographed(2, seed=9)
    whiten = 1e4 * torch.eye(truth.unknowns, dtype=torch.float64).expand(2, -1, -1)
    results = fitter(detections_of(fitter, elsewhere), CAMERA, Initial(truth, whiten))
    assert limb_errors(body, state_of(results), truth).max() < 1e-3


def test_deviations_say_how_far_an_estimate_is_trusted(fitter, body):
    truth, elsewhere = photographed(1), photographed(1, seed=5)
    detections = detections_of(fitter, elsewhere)
    state = BodyState(truth.rotations.float(), elsewhere.translation.float(), truth.betas.float())
    own, errors = vertices_of(body, state), []
    for turn, beta, place in ((1e-5, 1e-5, 1e-5), (0.3, 1.0, 1e-5), (0.3, 1.0, None)):
        found = fitter(detections, CAMERA, Initial.from_deviations(state, turn, beta, place))
        errors.append((vertices_of(body, state_of(found)) - own).norm(dim=-1).mean())
    assert errors[0] < 1e-3 < 0.05 < min(errors[1:])
    # Against the definition: half the squared step in units of the deviations.
    turn, beta = torch.linspace(0.1, 0.5, 24), torch.linspace(0.5, 2, 10)
    initial = Initial.from_deviations(truth, turn, beta[None], 0.2)
    step = 0.01 * torch.randn(1, truth.unknowns, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    deviations = torch.cat([turn.repeat_interleave(3), torch.full((3,), 0.2), beta]).double()
    energy = Closeness(truth, initial.whiten)(truth.moved(step)).energy
    assert torch.allclose(energy, (step / deviations).square().sum(1) / 2, rtol=1e-6)
    assert initial.whiten.dtype == torch.float64
    free = Initial.from_deviations(truth).whiten
    assert not free[:, :, TRANSLATION].any() and len(Initial.from_deviations(truth[:0]).state) == 0


@pytest.mark.parametrize(
    "given, message",
    [
        ({"turn": 0.0}, "turn holds standard deviations, which must be positive"),
        ({"turn": torch.full((24,), torch.nan)}, "turn holds standard deviations"),
        ({"turn": [0.1] * 23}, r"turn should be one number, \(24,\) or \(1, 24\), not \(23,\)"),
        ({"beta": torch.ones(2, 10)}, r"beta should be one number, \(10,\) or \(1, 10\), not \(2, 10\)"),
        ({"place": -1.0}, "place holds standard deviations"),
    ],
)
def test_deviations_that_mean_nothing_are_wrong_arguments(given, message):
    with pytest.raises(ValueError, match=message):
        Initial.from_deviations(photographed(1), **given)


def test_settings_replace_the_defaults(body):
    """Without steps the estimate stays as it is; without rounds of matching masks have no effect."""
    truth = photographed(1, seed=8)
    initial = Initial(truth, torch.eye(truth.unknowns, dtype=torch.float64)[None])
    usual = FitSettings()
    still = replace(usual.beside_regressor, annealing=((4.0, 0),))
    unmatched = replace(usual, outline=replace(usual.outline, reaches=()))
    resting = Fitter(body, settings=replace(unmatched, beside_regressor=still))
    seen = detections_of(resting, photographed(1, seed=9), masks=True)
    (result,) = resting(seen, CAMERA, initial)
    np.testing.assert_allclose(result.pose, truth.rotations[0], atol=1e-6)
    (free,), (plain,) = Fitter(body, settings=unmatched)(seen, CAMERA), Fitter(body, silhouettes=False)(seen, CAMERA)
    assert np.array_equal(free.pose, plain.pose) and free.mask_iou is not None and plain.mask_iou is None


def test_a_heavy_estimate_is_not_taken_back_to_the_usual(fitter):
    truth = photographed(1, seed=8)
    heavy = replace(truth, betas=3 * torch.ones_like(truth.betas))
    whiten = torch.eye(truth.unknowns, dtype=torch.float64)[None]
    (unseen,) = (replace(d, keypoints=d.keypoints * [1, 1, 0]) for d in detections_of(fitter, truth))
    (result,) = fitter([unseen], CAMERA, Initial(heavy, whiten))
    np.testing.assert_allclose(result.betas, 3, atol=0.02)  # legs that are not seen, and contacts, move them a little


def test_nothing_seen_gives_a_finite_body_of_no_score(fitter):
    empty = Detection(np.array([0, 0, 100, 100], np.float32), np.zeros((33, 3), np.float32), "mediapipe33", 0.0)
    (result,) = fitter([empty], CAMERA)
    assert np.isfinite(result.pose).all() and np.isfinite(result.translation).all()
    assert result.score == 0


def test_landmarks_outside_the_photo_do_not_count():
    keypoints = torch.tensor([[[10.0, 10, 1], [-5, 10, 1], [10, 800, 1], [20, 20, 0.01]]])
    box = torch.tensor([[0.0, 0, 100, 100]])
    keypoints = torch.cat([keypoints, keypoints[:, :1].expand(1, 13, 3)], 1)
    certain = precision("coco17", keypoints, box, (640, 720))[0]
    assert certain[0] > 0
    assert (certain[1:4] == 0).all()


def test_people_of_two_joint_sets_are_refused(fitter):
    one = Detection(np.zeros(4, np.float32), np.zeros((33, 3), np.float32), "mediapipe33", 1.0)
    other = Detection(np.zeros(4, np.float32), np.zeros((17, 3), np.float32), "coco17", 1.0)
    with pytest.raises(InputError, match="same joint set"):
        fitter([one, other], CAMERA)


def test_nobody_is_no_result(fitter):
    assert fitter([], CAMERA) == []


def test_random_rotations_are_reached(body):
    generator = torch.Generator().manual_seed(0)
    target = random_state(1)
    reference = replace(target, rotations=random_rotations(24, generator=generator).double()[None])
    whiten = torch.eye(target.unknowns, dtype=torch.float64)[None]
    found, _ = minimize([Closeness(reference, whiten)], target, 25)
    assert (found.rotations - reference.rotations).abs().max() < 1e-4


def test_joints_of_a_body_that_no_step_improved_are_unknown(body):
    """A Hessian that is not finite or not positive definite says nothing of where joints are."""
    skeleton = LandmarkMoments.of_body(body, "smpl24")
    state = BodyState(
        torch.eye(3).double().repeat(3, 24, 1, 1), torch.zeros(3, 3).double(), torch.zeros(3, 10).double()
    )
    hessian = 1e4 * torch.eye(state.unknowns).double().repeat(3, 1, 1)
    hessian[1, 5, 5] = torch.nan
    hessian[2, 7, 7] = -1.0
    found = joint_deviations(skeleton, state, Quadratic(torch.zeros(3), torch.zeros(3, state.unknowns), hessian))
    assert found[0, 1:].min() > 0 and found[0].max() < 0.1
    assert (found[1:] == UNKNOWN).all()
