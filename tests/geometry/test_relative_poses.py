"""How cameras stand to each other, by simulated bodies with the errors of single views."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshrec.geometry.relative_poses import mean_rotation, relative_poses


def stage(count, people=2, times=40, seed=0, turn=0.0, across=0.0, along=0.0, steady=0.5):
    """Cameras around people who walk and turn about the vertical, and what each sees with errors in degrees and shares.

    A part ``steady`` of the rotations' error is the same at all instants.
    """
    random = np.random.default_rng(seed)
    facing = random.uniform(0, 6, (people, 1)) + np.linspace(0, 4, times)
    lean = Rotation.from_rotvec(random.normal(0, 0.15, (people * times, 3)))
    roots = (Rotation.from_euler("y", facing.reshape(-1, 1)) * lean).as_matrix().reshape(people, times, 3, 3)
    phase = random.uniform(0, 6, (people, 1, 2)) + np.linspace(0, 3, times)[:, None]
    places = np.stack([np.sin(phase[..., 0]), np.full((people, times), 0.95), np.sin(phase[..., 1])], -1)
    rotations, translations = [], []
    for i in range(count):
        angle = 2 * np.pi * i / max(count, 3) + random.normal(0, 0.1)
        place = np.array([4 * np.sin(angle), random.uniform(1.2, 2), 4 * np.cos(angle)])
        forward = np.array([0, 1.0, 0]) - place
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 1.0, 0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        rotations.append(rotation)
        translations.append(-rotation @ place)
    r, t = np.array(rotations), np.array(translations)
    seen = r[:, None, None] @ roots
    fixed = random.normal(0, np.deg2rad(turn) * np.sqrt(steady), (count, people, 1, 3))
    free = random.normal(0, np.deg2rad(turn) * np.sqrt(1 - steady), (count, people, times, 3))
    seen = Rotation.from_rotvec((fixed + free).reshape(-1, 3)).as_matrix().reshape(seen.shape) @ seen
    at = places @ r.swapaxes(-1, -2)[:, None] + t[:, None, None]
    distance = np.linalg.norm(at, axis=-1, keepdims=True)
    far = random.normal(0, along * np.sqrt(steady), (count, people, 1, 1)) + random.normal(
        0, along * np.sqrt(1 - steady), (*at.shape[:3], 1)
    )
    at = at * (1 + far) + distance * random.normal(0, across, at.shape)
    first = r @ r[0].T
    return first, t - first @ t[0], seen, at


def degrees(a, b):
    return np.rad2deg(Rotation.from_matrix(a @ b.swapaxes(-1, -2)).magnitude())


@pytest.mark.parametrize("count", [1, 2, 4])
def test_exact_bodies_give_exact_cameras(count):
    rotations, translations, seen, at = stage(count)
    found = relative_poses(seen, at)
    assert degrees(found.rotations, rotations).max() < 1e-3
    assert np.allclose(found.translations, translations, atol=1e-4)
    assert np.array_equal(found.rotations[0], np.eye(3)) and not found.translations[0].any()


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("turn", [7.0, 19.0])
def test_errors_of_single_views(count, turn):
    """Rotations are off by 7 to 19 degrees in all, half of it the same at all instants, and places by 5 %."""
    off, aside = [], []
    for seed in range(4):
        rotations, translations, seen, at = stage(count, 2, 40, seed, turn / np.sqrt(3), 0.01, 0.05)
        found = relative_poses(seen, at)
        off.append(degrees(found.rotations, rotations)[1:].mean())
        aside.append(np.linalg.norm(found.translations - translations, axis=1)[1:].mean())
    assert np.mean(off) < max(5, turn / 2) and np.mean(aside) < 0.4


def test_outliers_and_people_who_are_not_seen():
    rotations, translations, seen, at = stage(3, 3, 30, 5, 5.0, 0.01, 0.03)
    random = np.random.default_rng(0)
    wrong = random.random(seen.shape[:3]) < 0.15  # taken for turned round
    seen[wrong] = seen[wrong] @ Rotation.from_euler("y", np.pi).as_matrix()
    missing = random.random(seen.shape[:3]) < 0.3
    seen[missing], at[missing] = np.nan, np.nan
    found = relative_poses(seen, at)
    assert degrees(found.rotations, rotations).max() < 6
    assert np.linalg.norm(found.translations - translations, axis=1).max() < 0.4


def test_statures_give_the_scale():
    _, translations, seen, at = stage(3)
    taken_for = np.array([[1.7, 1.8], [1.5, 1.8], [1.7, 2.0]])
    right = np.array([1.7, 1.8])
    scaled = at * (taken_for / right)[:, :, None, None]
    found = relative_poses(seen, scaled, taken_for)
    assert np.allclose(found.translations, translations, atol=1e-4)
    twice = relative_poses(seen, scaled, taken_for, true_statures=2 * right)
    assert np.allclose(twice.translations, 2 * translations, atol=1e-4)
    some = relative_poses(seen, scaled, taken_for, true_statures=np.array([1.7, np.nan]))
    assert np.allclose(some.translations, translations, atol=1e-4)


def test_uncertainty_grows_with_the_errors():
    found = [
        relative_poses(*stage(3, turn=turn, across=0.01, along=along)[2:]) for turn, along in ((3, 0.03), (12, 0.3))
    ]
    assert (found[0].turn_deviation[1:] < found[1].turn_deviation[1:]).all()
    assert (found[0].shift_deviation[1:] < found[1].shift_deviation[1:]).all()
    assert found[0].turn_deviation[0] == 0


def test_a_camera_that_sees_nobody_with_the_others():
    _, _, seen, at = stage(3)
    at[2] = np.nan
    with pytest.raises(ValueError, match="cameras 2"):
        relative_poses(seen, at)
    with pytest.raises(ValueError, match="C, P, T"):
        relative_poses(seen[0], at)


def test_mean_rotation_is_the_truth_among_outliers():
    random = np.random.default_rng(0)
    truth = Rotation.random(random_state=0)
    near = (Rotation.from_rotvec(random.normal(0, 0.1, (60, 3))) * truth).as_matrix()
    mixed = np.concatenate([near, Rotation.random(25, random_state=1).as_matrix()])
    assert degrees(mean_rotation(mixed, np.ones(85)), truth.as_matrix()) < 3
