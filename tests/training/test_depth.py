"""Training of the network for depth maps: its loss against closed forms, and that it continues where it was."""

import numpy as np
import pytest
import torch

from meshrec.body import joint_set
from meshrec.body.joints import flip_permutation
from meshrec.errors import InputError
from meshrec.models.voxel_to_voxel import VoxelConfig, load_voxel_network
from meshrec.synthetic.depth_maps import SyntheticDepthMaps
from meshrec.training.config_file import load_settings
from meshrec.training.depth import (
    WEIGHTS,
    CubeSample,
    DepthConfig,
    DepthTrainer,
    DepthTraining,
    as_seen,
    cube_sample,
    heatmap_loss,
    varied,
)

SMALL = VoxelConfig(voxels=16, fold=2, channels=(4, 4, 4), blocks=1)


def test_the_loss_is_that_of_its_formula():
    """Against a dense cross-entropy whose wanted distribution is made by interpolation."""
    generator = torch.Generator().manual_seed(0)
    heatmaps = torch.randn(2, 3, 6, 6, 6, generator=generator)
    landmarks = torch.rand(2, 3, 3, generator=generator) * 1.2 - 0.6
    centers = ((torch.arange(6) + 0.5) / 6 - 0.5) * 2.4
    hats = (1 - (landmarks[..., None] - centers).abs() / 0.4).clamp(min=0)  # (B, K, 3, 6)
    wanted = torch.einsum("bkz,bky,bkx->bkzyx", hats[:, :, 2], hats[:, :, 1], hats[:, :, 0])
    assert torch.allclose(wanted.sum((2, 3, 4)), torch.ones(2, 3))
    shares = heatmaps.flatten(2).log_softmax(-1).view_as(heatmaps)
    means = torch.stack(
        [(shares.exp().sum(axes) * centers).sum(-1) for axes in ((2, 3), (2, 4), (3, 4))], dim=-1
    )  # fmt: skip
    expected = -(wanted * shares).sum((2, 3, 4)) + 10 * (means - landmarks).norm(dim=-1)
    assert torch.allclose(heatmap_loss(heatmaps, landmarks[None], 2.4, 10.0)[0], expected.mean(1), rtol=1e-4)


def test_landmarks_outside_of_the_cube_do_not_count():
    heatmaps = torch.randn(1, 2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    inside, outside = torch.zeros(1, 1, 3), torch.full((1, 1, 3), 5.0)
    both = heatmap_loss(heatmaps, torch.cat([inside, outside], 1)[None], 2.0, 1.0)
    assert torch.allclose(both, heatmap_loss(heatmaps[:, :1], inside[None], 2.0, 1.0))


def test_sides_are_those_that_the_camera_sees(body):
    """A body at rest in camera space, where y is down: turned by half a turn about x it faces the camera."""
    rest = body.joints_from(body.rest()[0], "union55")[0]
    towards = rest * torch.tensor([1.0, -1.0, -1.0])
    away = rest * torch.tensor([-1.0, -1.0, 1.0])
    aside = rest[:, [2, 1, 0]] * torch.tensor([1.0, -1.0, 1.0])
    seen, sideways = as_seen(torch.stack([towards, away, aside]), "union55")
    assert sideways.tolist() == [False, False, True]
    assert torch.equal(seen[0], towards) and torch.equal(seen[1], away[flip_permutation("union55")])
    left = joint_set("union55").index("left_shoulder")
    assert seen[0, left, 0] > 0 and seen[1, left, 0] > 0  # on the right of the picture


def test_variations_keep_landmarks_on_their_points():
    generator = np.random.default_rng(0)
    names = joint_set("union55")
    landmarks = generator.uniform(-0.5, 0.5, (len(names), 3))
    sample = CubeSample(landmarks.astype(np.float16), np.ones(len(names), bool), 1.0, landmarks)
    flip = flip_permutation("union55")
    for _ in range(6):
        new = varied(sample, SMALL, generator)
        ways = (new.landmarks, new.landmarks[flip])
        assert min(np.abs(new.points - way).max() for way in ways) < 2e-3


def test_samples_hold_the_person(body):
    seen = SyntheticDepthMaps(body, 2, size=(160, 120)).draw([1])[0]
    sample = cube_sample(body, seen, SMALL)
    assert sample is not None and sample.own.any()
    near = np.linalg.norm(sample.points[sample.own][:, None] - sample.landmarks[None], axis=-1).min(1)
    assert np.median(near) < 0.15


def test_a_training_learns_and_continues(body, tmp_path):
    settings = DepthTraining(steps=4, batch_size=4, fresh=2, size=(120, 90), every=2, held_out=4, warmup=1, bf16=False)
    lines: list[str] = []
    DepthTrainer(body, DepthConfig(SMALL, DepthTraining(**vars(settings) | {"steps": 2})), tmp_path).run(lines.append)
    trainer = DepthTrainer(body, DepthConfig(SMALL, settings), tmp_path)
    assert trainer.step == 2
    network = trainer.run(lines.append)
    assert len(lines) == 2 and "held-out error" in lines[-1]
    voxels = torch.rand(1, 2, 16, 16, 16)
    shipped = load_voxel_network(tmp_path / WEIGHTS)
    assert torch.allclose(network.places(network(voxels))[0], shipped.places(shipped(voxels))[0], atol=5e-3)
    with pytest.raises(InputError, match="does not fit"):
        DepthTrainer(body, DepthConfig(VoxelConfig(voxels=32), settings), tmp_path)


def test_the_shipped_settings_are_read():
    config = load_settings(DepthConfig, "configs/depth.yaml")
    assert config.network == VoxelConfig() and config.training.batch_size == 8
    with pytest.raises(InputError):
        load_settings(DepthConfig, "configs/depth.yaml", ["training.steps=0"])
