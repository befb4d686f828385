"""Training from points to bodies, and labels of points in pictures by projection."""

import torch

from meshrec.body import NUM_BETAS, joint_set
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.smplr import PointsToBody, SmplrConfig
from meshrec.training.lifting import LiftingTraining
from meshrec.training.pictured import people_to_see
from meshrec.training.smplr import points_of, posed_people, train_points_to_body, with_noise

SMALL = SmplrConfig(landmarks=6, width=64, blocks=1, noise=0.01)


def test_bodies_are_learned_from_their_points(body):
    people = posed_people(body, 500, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(people, posed_people(body, 500, seed=3)))
    training = LiftingTraining(steps=150, batch_size=64, rate=5e-3, warmup=10)
    network, seconds = train_points_to_body(body, SMALL, people, training)
    assert seconds > 0 and not network.training
    pose, betas = people[0], people[1][:, :NUM_BETAS]
    with torch.no_grad():
        points = network.points(pose, betas)
        rotations, shape = network(points)
        away = (network.points(rotations, shape) - points).norm(dim=-1).mean()
        mean = (points.mean(0) - points).norm(dim=-1).mean()
    assert away < 0.5 * mean


def test_noise_differs_by_person_and_has_a_limit():
    torch.manual_seed(0)
    noise = with_noise(torch.zeros(2000, 20, 3), 0.06).flatten(1)
    deviations = noise.std(1)
    assert deviations.min() < 0.01 and 0.05 < deviations.max() < 0.09
    assert abs(float(deviations.mean()) - 0.03) < 0.003


def test_labels_of_points_agree_with_those_of_the_pictures(body):
    people = people_to_see(body, 6, seed=5, joints="h36m17", size=32)
    names, all_joints = joint_set("h36m17"), joint_set("smpl24")
    network = PointsToBody(body, SMALL)
    row = body.joint_regressor("h36m17")[[names.index("mid_hip")]]
    hips = TorchLandmarks(LandmarkMoments.of_body(body, row, num_betas=NUM_BETAS))
    places, joints, root = points_of(people, network, hips)
    ours, theirs = all_joints.index("left_knee"), names.index("left_knee")
    # Betas beyond the tenth move a joint by some millimetres.
    absolute = people.root + people.joints[:, theirs]
    assert (joints[:, ours] + root - absolute).norm(dim=-1).max() < 0.05
    assert (places[:, ours] - people.places[:, theirs]).abs().max() < 0.03
    torch.testing.assert_close(joints[:, 0], torch.zeros(6, 3))
