"""The simulated detector: its exact masks, and keypoints that are missing."""

import numpy as np
import torch

from meshrec.synthetic.detector_noise import EXACT
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.random_cameras import ViewMix
from meshrec.synthetic.random_poses import PoseMix
from meshrec.synthetic.simulated_detector import observe
from meshrec.synthetic.visibility import inside_photo


def test_the_silhouette_is_the_projected_mesh(body):
    size, rng = 64, np.random.default_rng(0)
    source = SyntheticPeople(body, seed=4, resolution=size, views=ViewMix(truncated=0, occluded=0))
    people = source.draw(range(3))
    seen = observe(people, body, source.streams(range(3), "detector"), noise=EXACT)
    for mask, corners in zip(seen.exact_silhouette[:, 0] > 0, people.camera.project(people.vertices)[:, body.faces]):
        # Pixels on both sides of the outline, and some anywhere, each against every triangle.
        grown = torch.nn.functional.max_pool2d(torch.stack([mask, ~mask]).float(), 3, 1, 1).prod(0)
        outline, anywhere = grown.nonzero().numpy(), rng.integers(size, size=(50, 2))
        y, x = np.concatenate([rng.permutation(outline)[:150], anywhere]).T
        corners = corners[..., :2].double().numpy()
        edges = np.roll(corners, -1, axis=1) - corners
        across = edges[..., 0] * (y[:, None, None] - corners[..., 1]) - edges[..., 1] * (
            x[:, None, None] - corners[..., 0]
        )
        held = ((across >= 0).all(-1) | (across <= 0).all(-1)).any(1)
        assert (mask.numpy()[y, x] != held).sum() <= 1
        assert 20 < held.sum() < 190


def test_missing_and_outside_keypoints_have_no_confidence(body):
    source = SyntheticPeople(body, seed=3, resolution=48, views=ViewMix(truncated=1), poses=PoseMix())
    people = source.draw(range(20))
    seen = observe(people, body, source.streams(range(20), "detector"))
    pixels = ((seen.keypoints[..., :2] + 1) * 48 - 1) / 2
    outside = ((pixels < people.photo[:, None, :2]) | (pixels > people.photo[:, None, 2:])).any(-1)
    assert outside.any() and (seen.keypoints[..., 2][outside] == 0).all()
    inside = inside_photo(people.photo, (48, 48))
    assert not (seen.silhouette[:, 0].bool() & ~inside).any()
