"""Trainings without 3D labels: the critic's loss in closed form, the loop for known networks, short trainings."""

import math

import pytest
import torch
from torch import nn

from meshrec.body import joint_set
from meshrec.errors import TrainingDiverged
from meshrec.geometry import procrustes
from meshrec.geometry.rotations import random_rotations
from meshrec.models.adversarial_lifting import AdversarialConfig, AdversarialLifter, random_turns
from meshrec.models.nrsfm import NRSfMConfig
from meshrec.models.repnet import LENGTH, RepNetConfig
from meshrec.models.unscaled import bone_vectors, handedness
from meshrec.training.adversarial_lifting import lifter_losses, train_adversarial
from meshrec.training.critics import critic_loss
from meshrec.training.lifting import LiftedPeople, LiftingTraining, step
from meshrec.training.nrsfm import mean_shape, rolled, train_nrsfm
from meshrec.training.repnet import train_repnet
from meshrec.training.unpaired_poses import unpaired_poses, usual_length

PERSON = torch.tensor(
    [
        [0.0, 0, 0], [-1, 0, 0], [-1, -4, 1], [-1, -8, 0], [1, 0, 0], [1, -4, 1], [1, -8, 0], [0, 3, 0], [0, 5, 0],
        [0, 6.5, 1], [0, 8, 0], [2, 5, 0], [3, 3, 0], [3, 1, 1], [-2, 5, 0], [-3, 3, 0], [-3, 1, 1],
    ]
)  # fmt: skip
SHORT = LiftingTraining(people=500, steps=5, batch_size=16)


def _people(points: torch.Tensor) -> LiftedPeople:
    """People whose joints are all seen by an orthographic camera."""
    seen = torch.cat([0.3 * points[..., :2], torch.ones_like(points[..., :1])], dim=-1)
    return LiftedPeople(seen, points, torch.ones(len(points)))


def _shape() -> torch.Tensor:
    points = torch.randn(17, 3, generator=torch.Generator().manual_seed(1))
    return points - points.mean(0)


def test_the_critics_loss_in_closed_form():
    """A linear critic has the same gradient everywhere, and at scores of zero each logistic loss is log 2."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(51, 1, bias=False), nn.Flatten(0))
    with torch.no_grad():
        critic[1].weight.fill_(2 / math.sqrt(51))
    loss = critic_loss(critic, torch.zeros(4, 17, 3), torch.zeros(4, 17, 3), penalty=3.0)
    assert loss.item() == pytest.approx(2 * math.log(2) + 3 / 2 * 2**2, rel=1e-5)


def test_a_loss_that_is_not_finite_ends_the_training():
    weight = nn.Parameter(torch.ones(1))
    with pytest.raises(TrainingDiverged):
        step(torch.optim.Adam([weight]), weight.sum() * math.nan)


def test_the_loop_closes_for_a_lifter_that_knows_the_truth():
    """Rigid people: depth follows from what is seen of one person by a linear map, if it is turned about the vertical
    of a far camera."""
    torch.manual_seed(0)
    config = AdversarialConfig(width=8, critic=0, face=0, completion=0, hidden=0, distance=1e6, elevation=0.0)
    person = _shape()
    network = Known(config, person)
    headings = 2 * math.pi * torch.rand(40)
    turned = person @ _about_vertical(headings).mT
    loss, view = lifter_losses(network, _people(turned).keypoints)
    assert loss < 1e-6
    network.depth = 0.5
    assert lifter_losses(network, _people(turned).keypoints)[0] > 0.1
    assert torch.allclose(view.square().sum((1, 2)) / 17, torch.ones(40), atol=1e-4)


class Known(AdversarialLifter):
    """A lifter that knows one person (K, 3), who is turned about the vertical; least squares give the heading."""

    def __init__(self, config: AdversarialConfig, person: torch.Tensor) -> None:
        super().__init__(config)
        self.person, self.depth = person, 1.0

    def places_and_poses(self, places, seen):
        x, _, z = self.person.unbind(-1)
        basis = torch.stack([x, z], dim=1)
        # In the picture x cos + z sin, both times the picture's scale, which y tells.
        scale = (places[..., 1] @ self.person[:, 1] / self.person[:, 1].square().sum())[:, None]
        cosine, sine = (torch.linalg.lstsq(basis, places[..., 0].T).solution.T / scale).T[:, :, None]
        return places, torch.cat([places, (self.depth * scale * (cosine * z - sine * x))[..., None]], dim=-1)


def _about_vertical(angles: torch.Tensor) -> torch.Tensor:
    cosine, sine, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    rows = [cosine, zero, sine, zero, zero + 1, zero, -sine, zero, cosine]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def test_the_mean_shape_is_told_from_its_reflection():
    """The people's own, not its mirror image, though pictures are the same for both."""
    turns = random_rotations(300, torch.Generator().manual_seed(2))
    for side in (1.0, -1.0):
        points = PERSON * torch.tensor([1.0, 1, side]) @ turns.mT
        seen = _people(points).keypoints
        seen[:100, 3, 2] = 0  # nobody is taken who is not seen as a whole
        found = mean_shape(seen)
        errors = (procrustes(found, PERSON).apply(found) - PERSON).norm(dim=-1)
        assert (errors.max() < 1e-2) == (handedness(PERSON).mean() > 0)


def test_rotations_of_a_rigid_person_are_learned_from_its_pictures():
    """People who stand, seen from all sides by a camera that is not always level."""
    torch.manual_seed(0)
    points = PERSON @ random_turns(2000, AdversarialConfig(tilt=10.0)).mT
    training = LiftingTraining(steps=400, batch_size=64, rate=3e-3, warmup=20)
    config = NRSfMConfig(width=64, blocks=1, rank=1, limit=0.1)
    network, seconds = train_nrsfm(config, _people(points), 4.0, training)
    with torch.no_grad():
        found = network(_people(points[:200]).keypoints)
    middle = points[:200] - points[:200, :1]
    scale = bone_vectors(middle).norm(dim=-1).sum(1)[:, None, None] / 4.0
    errors = (found * scale - middle).norm(dim=-1).mean()
    assert errors < 0.4 * middle.norm(dim=-1).mean() and seconds > 0


def test_people_of_whom_nobody_is_seen_as_a_whole_are_refused():
    with pytest.raises(ValueError, match="at least three people"):
        mean_shape(torch.zeros(5, 17, 3))


def test_pictures_are_rolled_about_their_middle():
    places = torch.rand(2, 17, 2)
    found = rolled(places, torch.tensor([math.pi / 2, 0.0]))
    assert torch.allclose(found[0], torch.stack([-places[0, :, 1], places[0, :, 0]], dim=-1), atol=1e-6)
    assert torch.equal(found[1], places[1])


@pytest.mark.parametrize("method", ["nrsfm", "repnet", "adversarial"])
def test_labels_change_nothing_and_a_seed_gives_the_same_network(method):
    generator = torch.Generator().manual_seed(0)
    people = _people(torch.randn(200, 17, 3, generator=generator))
    poses = torch.randn(50, 17, 3, generator=generator)
    trainings = {
        "nrsfm": lambda p: train_nrsfm(NRSfMConfig(width=8, blocks=1, rigid_steps=2), p, 4.0, SHORT),
        "repnet": lambda p: train_repnet(RepNetConfig(width=8, critic_width=8, camera_steps=2), p, poses, 4.0, SHORT),
        "adversarial": lambda p: train_adversarial(AdversarialConfig(width=8, critic_width=8), p, 4.0, SHORT),
    }
    others = LiftedPeople(people.keypoints, torch.zeros_like(people.joints), people.focal)
    one, other = (trainings[method](p)[0] for p in (people, others))
    assert not one.training and float(one.length) == 4.0
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_unpaired_poses_have_one_size_and_orientation(body):
    poses = unpaired_poses(body, 300, seed=3)
    assert torch.allclose(bone_vectors(poses).norm(dim=-1).sum(1), torch.full((300,), LENGTH), atol=1e-3)
    names = joint_set("h36m17")
    across = poses[:, names.index("left_hip")] - poses[:, names.index("right_hip")]
    assert (across[:, 0] > 0.8 * across.norm(dim=1)).all()  # +x is the person's left
    assert not torch.equal(poses, unpaired_poses(body, 300, seed=4))


def test_the_usual_length_is_that_of_the_body_at_rest(body):
    joints = body.joints_from(body().vertices, "h36m17")
    assert usual_length(body) == pytest.approx(float(bone_vectors(joints).norm(dim=-1).sum()), rel=0.01)
