"""Synthetic people as small pictures: where their joints are drawn, and who the benchmark's people are."""

import cv2
import torch

from meshrec import load_body
from meshrec.evaluation.datasets import synthetic_set
from meshrec.evaluation.lifting import benchmark_to_lift
from meshrec.training.pictured import benchmark_to_see, people_to_see


def test_labels_are_one_camera(tmp_path):
    people = people_to_see(load_body("neutral"), 6, seed=3, size=48)
    assert people.image.shape == (6, 3, 48, 48) and people.image.dtype == torch.uint8
    points = people.joints + people.root[:, None]
    places = people.focal[:, None, None] * points[..., :2] / points[..., 2:]
    torch.testing.assert_close(places, people.places, atol=1e-4, rtol=1e-4)
    body = load_body("neutral")
    vertices = body(people.betas, people.pose[:, 1:], people.pose[:, :1]).vertices
    joints = body.joints_from(vertices, "h36m17")
    torch.testing.assert_close(joints - joints[:, :1], people.joints - people.joints[:, :1], atol=1e-4, rtol=1e-4)


def test_the_same_people_at_every_size():
    body = load_body("neutral")
    small, large = people_to_see(body, 3, seed=4, size=32), people_to_see(body, 3, seed=4, size=64)
    torch.testing.assert_close(small.joints, large.joints, atol=1e-4, rtol=1e-4)
    for a, b in zip(small.image, large.image):
        reduced = cv2.resize(b.movedim(0, -1).numpy(), (32, 32), interpolation=cv2.INTER_AREA)
        ours = a.movedim(0, -1).numpy().astype(float)
        assert abs(reduced - ours).mean() < 0.5 * abs(reduced[:, ::-1] - ours).mean()


def test_the_benchmark_shows_the_people_that_it_lifts():
    body = load_body("neutral")
    lifted, rows = benchmark_to_lift(body, limit=9), synthetic_set(body).thinned(9).rows
    seen = benchmark_to_see(body, rows)
    # The cameras are turned a little differently, for there the crop is the one that the detector would choose.
    torch.testing.assert_close(
        torch.cdist(seen.joints, seen.joints), torch.cdist(*2 * [lifted.true[..., :3]]), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(seen.betas, lifted.betas)
    torch.testing.assert_close(seen.pose[:, 1:], lifted.pose[:, 1:], atol=1e-4, rtol=1e-4)
