"""How far from the camera methods place people: boxes of people who fill them, true bodies, and the tool."""

import numpy as np
import pytest
import torch
from helpers.tools import run_tool

from meshrec.body.joints import root_indices
from meshrec.comparison.root_depth import _of_bodies, by_box, fitted_area, root_errors
from meshrec.evaluation.prediction import Bodies
from meshrec.evaluation.subjects import assumed_camera
from meshrec.evaluation.truth import labelled_joints
from meshrec.training.pictured import PicturedPeople

SMALL = ("--limit", 4, "--bodies", 4, "--set", "pictures.people=24", "root_seeing.steps=2", "root_seeing.batch_size=8")


def people(depth: torch.Tensor, focal: torch.Tensor) -> PicturedPeople:
    count = len(depth)
    root = torch.stack([0.1 * depth, -0.2 * depth, depth], dim=-1)
    return PicturedPeople(
        torch.zeros(count, 3, 8, 8, dtype=torch.uint8), torch.zeros(count, 17, 2), torch.zeros(count, 17, 3), root,
        torch.eye(3).expand(count, 24, 3, 3), torch.zeros(count, 10), focal,
    )  # fmt: skip


def test_people_who_fill_their_crops_are_where_the_box_says():
    """A crop of side 2 at a focal length f shows 2 z / f metres at the depth z; people fill 1.8 m of their crops."""
    focal = torch.tensor([2.0, 5.0, 9.0])
    full = people(0.9 * focal, focal)
    assert fitted_area(full) == pytest.approx(1.8**2, rel=1e-5)
    assert by_box(full, 1.8**2).position.max() < 1e-5
    far = by_box(full, 4.0)
    np.testing.assert_allclose(far.distance, 1 / 9, rtol=1e-4)
    np.testing.assert_allclose(far.position, (full.root / 9).norm(dim=-1), rtol=1e-4)


def test_errors_do_not_depend_on_how_the_camera_is_turned():
    generator = torch.Generator().manual_seed(0)
    found, true = (torch.randn(5, 3, generator=generator) + torch.tensor([0.0, 0.0, 4.0]) for _ in range(2))
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator))[0]
    first, second = root_errors(found, true), root_errors(found @ turn, true @ turn)
    np.testing.assert_allclose(first.position, second.position, rtol=1e-5)
    np.testing.assert_allclose(first.distance, second.distance, rtol=1e-4, atol=1e-6)


class TrueBodies:
    """The true bodies, a tenth too far away."""

    stages, looks = ("true",), False

    def __init__(self, body) -> None:
        self.body = body

    def camera_of(self, sample, size):
        return assumed_camera(sample, size)

    def __call__(self, subjects):
        pose, betas = (torch.from_numpy(np.stack([getattr(s.sample, n) for s in subjects])) for n in ("pose", "betas"))
        joints = torch.from_numpy(np.stack([labelled_joints(s.sample, "h36m17")[:, :3] for s in subjects]))
        root = root_indices("h36m17")
        vertices = self.body(betas, pose[:, 1:], pose[:, :1]).vertices
        place = joints[:, root].mean(1) - self.body.joints_from(vertices, "h36m17")[:, root].mean(1)
        vertices = vertices + (place + 0.1 * joints[:, root].mean(1))[:, None]
        return {"true": Bodies(vertices, betas)}


def test_bodies_are_measured_at_the_middle_of_their_hips(body):
    errors = _of_bodies(TrueBodies(body), body, 5)
    assert len(errors.position) == 5
    np.testing.assert_allclose(errors.distance, 0.1, atol=1e-4)


def test_the_tool_writes_a_line_for_each_method(tmp_path):
    done = run_tool("compare_root_depth.py", tmp_path, *SMALL)
    assert done.code == 0, done.err
    lines = (tmp_path / "root_depth.md").read_text().splitlines()
    assert done.out.splitlines() == lines and len(lines) == 2 + 5
    again = run_tool("compare_root_depth.py", tmp_path, *SMALL, "rootnet.channels=8")
    assert again.code and "other settings" in again.err
