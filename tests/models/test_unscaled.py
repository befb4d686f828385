"""What lifters without 3D labels share: no place and no size, and how a person is told from its mirror image."""

import torch

from meshrec.body import joint_set
from meshrec.geometry.rotations import random_rotations
from meshrec.models.locally_connected import BONES
from meshrec.models.unscaled import Residual, bone_vectors, centred_at, centred_places, handedness
from meshrec.training.unpaired_poses import unpaired_poses

NAMES = joint_set("h36m17")


def test_places_have_no_mean_and_a_spread_of_one_over_the_seen_joints():
    generator = torch.Generator().manual_seed(0)
    seen = (torch.rand(6, 17, generator=generator) > 0.3).float()
    keypoints = torch.cat([5 * torch.randn(6, 17, 2, generator=generator) + 9, seen[..., None]], dim=-1)
    places, found = centred_places(keypoints)
    assert torch.equal(found, seen) and (places[seen == 0] == 0).all()
    for person in range(6):
        there = places[person, seen[person] > 0]
        assert there.mean(0).abs().max() < 1e-5
        assert abs(float(there.square().sum(1).mean()) - 1) < 1e-5
    assert centred_places(torch.zeros(1, 17, 3))[0].isfinite().all()
    assert torch.equal(centred_at(keypoints[..., :2], torch.zeros(6, 17)), torch.zeros(6, 17, 2))


def test_bones_lead_from_joint_to_joint():
    points = torch.randn(2, 17, 3, generator=torch.Generator().manual_seed(0))
    for number, (one, other) in enumerate(BONES):
        expected = points[:, NAMES.index(other)] - points[:, NAMES.index(one)]
        assert torch.equal(bone_vectors(points)[:, number], expected)


def test_a_network_is_the_papers_residual_blocks():
    torch.manual_seed(0)
    network = Residual(5, 3, 8, 2).eval()
    x = inputs = torch.randn(4, 5)

    def layer(number: int, name: str, x: torch.Tensor) -> torch.Tensor:
        linear = network.enter[0] if name == "enter" else network.blocks[number][int(name)][0]
        y = x @ linear.weight.T + linear.bias
        return torch.where(y > 0, y, 0.1 * y)

    x = layer(0, "enter", x)
    for block in range(2):
        x = x + layer(block, "1", layer(block, "0", x))
    assert torch.allclose(network(inputs), x @ network.leave.weight.T + network.leave.bias, atol=1e-6)


def _person(**moved) -> torch.Tensor:
    """A person who stands with bent knees and looks towards +z, in a space with y up and the left at +x."""
    places = {
        "mid_hip": (0, 0, 0), "right_hip": (-1, 0, 0), "left_hip": (1, 0, 0), "right_knee": (-1, -4, 1),
        "left_knee": (1, -4, 1), "right_ankle": (-1, -8, 0), "left_ankle": (1, -8, 0), "spine_h36m": (0, 3, 0),
        "thorax": (0, 5, 0), "head_h36m": (0, 6.5, 1), "head_top": (0, 8, 0), "left_shoulder": (2, 5, 0),
        "left_elbow": (3, 3, 0), "left_wrist": (3, 1, 1), "right_shoulder": (-2, 5, 0), "right_elbow": (-3, 3, 0),
        "right_wrist": (-3, 1, 1),
    }  # fmt: skip
    return torch.tensor([(places | moved)[name] for name in NAMES], dtype=torch.float32)


def test_knees_and_face_tell_a_person_from_its_mirror_image():
    person = _person()
    assert handedness(person).min() > 0
    turn = random_rotations(1, torch.Generator().manual_seed(0))[0]
    assert torch.allclose(handedness(3 * person @ turn.T), handedness(person), atol=1e-5)
    assert torch.allclose(handedness(person * torch.tensor([1.0, 1, -1])), -handedness(person), atol=1e-6)
    backwards = _person(left_knee=(1, -4, -1))
    assert (handedness(backwards) > 0).tolist() == [False, True, True]
    assert handedness(torch.zeros(17, 3)).isfinite().all()


def test_captured_people_are_not_mirror_images(body):
    assert ((handedness(unpaired_poses(body, 500, seed=5)) > 0).float().mean(0) > 0.9).all()
