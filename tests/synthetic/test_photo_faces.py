"""Faces as in photos, compared with a face whose landmarks are given."""

import pytest
import torch

from meshrec.body import joint_index, joint_set
from meshrec.data.streams import Streams
from meshrec.landmarks.placements import FACE
from meshrec.synthetic.photo_faces import LOWER, WIDER, faces_as_in_photos

JOINTS = "mediapipe33"
NAMES = joint_set(JOINTS)
ON_FACE = torch.tensor([any(part in name for part in FACE) for name in NAMES])
COUNT = 4000
NO_ERROR = 1e-9  # of the front: zero would leave faces where they are


def _upright() -> torch.Tensor:
    """Landmarks (K, 2) of a person who looks ahead: shoulders at (+-20, 0), ears at (+-8, -30), y downwards."""
    points = torch.randn(len(NAMES), 2, generator=torch.Generator().manual_seed(0)) * 5 + torch.tensor([0.0, -25.0])
    for side, x in (("left", 1.0), ("right", -1.0)):
        points[joint_index(f"{side}_shoulder", JOINTS)] = torch.tensor([20 * x, 0.0])
        points[joint_index(f"{side}_ear", JOINTS)] = torch.tensor([8 * x, -30.0])
    return points


def _moved(points: torch.Tensor, amount: float, count: int = COUNT) -> torch.Tensor:
    side = torch.full((count,), 180.0)
    return faces_as_in_photos(points.expand(count, -1, -1), side, JOINTS, amount, Streams(0, range(count), "test"))


def test_faces_are_lower_and_wider_by_as_much_as_was_measured():
    points = _upright()
    moved = _moved(points, NO_ERROR)
    assert torch.equal(moved[:, ~ON_FACE], points[~ON_FACE].expand(COUNT, -1, -1))
    left, right = (moved[:, joint_index(f"{side}_ear", JOINTS)] for side in ("left", "right"))
    lower, wider = 1 - (left + right)[:, 1] / 2 / -30, (left - right)[:, 0] / 16 - 1
    for found, (mean, deviation) in ((lower, LOWER), (wider, WIDER)):
        assert float(found.mean()) == pytest.approx(mean, abs=3 * deviation / COUNT**0.5)
        assert float(found.std()) == pytest.approx(deviation, rel=0.1)


def test_eyes_nose_and_mouth_err_together_and_ears_do_not():
    points = _upright()
    off = _moved(points, 0.01) - _moved(points, NO_ERROR)
    front = torch.tensor(["ear" not in name for name in NAMES]) & ON_FACE
    assert not off[:, ~front].any()
    assert torch.allclose(off[:, front], off[:, front][:, :1].expand(-1, int(front.sum()), -1), atol=1e-4)
    # Of Student's t with four degrees of freedom half of the values are within 0.741 of zero.
    assert float(off[:, front].abs().median()) == pytest.approx(0.01 * 180 * 0.741, rel=0.06)


def test_a_person_who_lies_has_the_same_face_turned():
    points, turn = _upright(), torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    upright, lying = _moved(points, NO_ERROR, 5), _moved(points @ turn.T, NO_ERROR, 5)
    assert torch.allclose(upright @ turn.T, lying, atol=1e-4)


def test_sets_without_a_face_stay_as_they_are_and_so_do_all_without_an_error():
    assert torch.equal(_moved(_upright(), 0.0, 5), _upright().expand(5, -1, -1))
    points = torch.randn(3, 14, 2)
    same = faces_as_in_photos(points, torch.ones(3), "lsp14", 0.01, Streams(0, range(3), "test"))
    assert torch.equal(same, points)
