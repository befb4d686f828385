"""Poses as starts of the fit: people of each kind, bodies that project where they should, and what is chosen."""

import pytest
import torch

from meshrec.body import joint_set
from meshrec.evaluation.sampled_starts import (
    SIDEWAYS,
    Ambiguous,
    ambiguous_people,
    compare_starts,
    fits_from,
    sampled_states,
    state_errors,
)
from meshrec.fit import Fitter
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.models.variational_lifting import VariationalConfig, VariationalLifter
from meshrec.regress.weights import load_regressor

NAMES = joint_set("h36m17")


class Knowing(VariationalLifter):
    """A lifter whose first pose is the true one, and the others are mirrored in depth."""

    def __init__(self, person: Ambiguous) -> None:
        super().__init__(VariationalConfig(seen="mediapipe33", width=8))
        self.truth = person.true - person.true[NAMES.index("mid_hip")]

    def poses(self, keypoints, count, generator, noise=False):
        mirrored = self.truth * torch.tensor([1.0, 1.0, -1.0])
        return torch.stack([self.truth] + [mirrored] * (count - 1))[None]


def test_people_are_of_their_kind(body):
    shoulders = [NAMES.index(f"{side}_shoulder") for side in ("left", "right")]
    sideways = ambiguous_people(body, 4, "sideways", seed=3)
    for person in sideways:
        across = person.true[shoulders[0]] - person.true[shoulders[1]]
        assert abs(across[2]) > SIDEWAYS * across.norm()
    landmarks = joint_set("mediapipe33")
    for person in ambiguous_people(body, 4, "exchanged", seed=3):
        # Knees, which are exchanged in all of them, lie nearer to the other side's true knee where these are apart.
        found = [torch.from_numpy(person.detection.keypoints[landmarks.index(f"{s}_knee")]) for s in ("left", "right")]
        true = person.camera.project(person.true)[..., :2]
        left, right = (true[NAMES.index(f"{side}_knee")] for side in ("left", "right"))
        if min(each[2] for each in found) > 0.7 and (left - right).norm() > 30:
            straight = (found[0][:2] - left).norm() + (found[1][:2] - right).norm()
            crossed = (found[0][:2] - right).norm() + (found[1][:2] - left).norm()
            assert crossed < straight
    with pytest.raises(ValueError, match="sideways"):
        ambiguous_people(body, 1, "nothing")


def test_bodies_of_poses_stand_where_their_landmarks_were_detected(body):
    (person,) = ambiguous_people(body, 1, "any", seed=4)
    fitter = Fitter(body, silhouettes=False)
    camera, turned = person.camera, Knowing(person)
    # The lifter's poses are in the camera of the crop; this crop's camera hardly differs from the photo's.
    state = sampled_states(turned, person, fitter, 2, torch.Generator())
    seen = fitter.evidence([person.detection], camera).seen
    pixels = camera.project(landmark_positions(seen.landmarks, state))[..., :2]
    sure = seen.precision[0] > 0
    assert (pixels[0, sure] - seen.pixels[0, sure]).norm(dim=-1).median() < 20
    assert state_errors(body, state, person.true)["pa_mpjpe"][0] < 25


def test_each_start_is_fitted_as_if_it_were_the_only_one(body):
    (person,) = ambiguous_people(body, 1, "any", seed=4)
    fitter = Fitter(body, silhouettes=False)
    states = sampled_states(Knowing(person), person, fitter, 2, torch.Generator())
    fitted, energy = fits_from(fitter, person, states, None)
    for i in range(2):
        alone, own = fits_from(fitter, person, states[i : i + 1], None)
        assert torch.equal(alone.rotations[0], fitted.rotations[i]) and own[0] == energy[i]
    assert (state_errors(body, fitted, person.true)["pa_mpjpe"] < 100).all()


def test_the_best_by_the_truth_is_no_worse_than_any(body):
    people = ambiguous_people(body, 2, "sideways", seed=6)
    lifter = VariationalLifter(VariationalConfig(seen="mediapipe33", width=8)).eval()
    found = compare_starts(body, load_regressor("keypoints", body=body), lifter, people, samples=2)
    network, fit, by_energy, by_truth = found.values()
    assert by_truth["mpjpe"] <= min(fit["mpjpe"], by_energy["mpjpe"])
    assert network["chosen"] == fit["chosen"] == 0
