"""Deep NRSfM: a shrinkage that is a proximal map, the nearest cameras, and a rigid shape that 2D alone tells."""

import pytest
import torch

from meshrec.errors import InputError
from meshrec.geometry import procrustes
from meshrec.geometry.rotations import random_rotations
from meshrec.models.deep_nrsfm import DeepNRSfM, DeepNRSfMConfig, orthonormal_rows, shrunk
from meshrec.models.unscaled import handedness
from meshrec.training.deep_nrsfm import train_deep_nrsfm
from meshrec.training.lifting import LiftedPeople, LiftingTraining

PERSON = torch.tensor(
    [
        [0.0, 0, 0], [-1, 0, 0], [-1, -4, 1], [-1, -8, 0], [1, 0, 0], [1, -4, 1], [1, -8, 0], [0, 3, 0], [0, 5, 0],
        [0, 6.5, 1], [0, 8, 0], [2, 5, 0], [3, 3, 0], [3, 1, 1], [-2, 5, 0], [-3, 3, 0], [-3, 1, 1],
    ]
)  # fmt: skip
ALL_SEEN = torch.ones(4, 17)


def network(**changes) -> DeepNRSfM:
    torch.manual_seed(0)
    return DeepNRSfM(DeepNRSfMConfig(**{"atoms": (12, 8, 4), **changes}))


def test_shrinkage_is_the_proximal_map_of_the_norms():
    """No other block has a smaller |X - Psi|^2 / 2 + b |X|: its gradient is zero, or zero is a subgradient."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randn(5, 6, 3, 2, generator=generator, dtype=torch.float64)
    by = torch.linspace(0, 4, 6, dtype=torch.float64)
    found = shrunk(blocks, by)
    norms = found.flatten(2).norm(dim=-1)
    zero = norms == 0
    assert zero.any() and not zero.all()
    gradient = (found - blocks + by[:, None, None] * found / norms.clamp(min=1e-12)[..., None, None]).flatten(2)
    assert gradient[~zero].abs().max() < 1e-12
    assert (blocks.flatten(2).norm(dim=-1)[zero] <= by.expand(5, -1)[zero]).all()


def test_cameras_are_the_nearest_orthonormal_rows():
    """By singular values, which the closed form does not need; gradients are finite where these are equal."""
    cameras = torch.randn(20, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, _, vh = torch.linalg.svd(cameras, full_matrices=False)
    torch.testing.assert_close(orthonormal_rows(cameras), u @ vh, atol=1e-3, rtol=0)
    for start in (torch.eye(3)[None, :2], torch.zeros(1, 2, 3)):
        camera = start.clone().requires_grad_()
        orthonormal_rows(camera).sum().backward()
        assert camera.grad is not None and camera.grad.isfinite().all()


def test_blocks_of_a_turned_picture_are_turned():
    """A turn in the picture plane multiplies all blocks from the right, and changes no code's norm."""
    places = torch.randn(4, 17, 2, generator=torch.Generator().manual_seed(1))
    turn = random_rotations(1, torch.Generator().manual_seed(2))[0, :2, :2]
    turn = torch.linalg.qr(turn).Q
    one = network()
    torch.testing.assert_close(one.blocks(places @ turn, ALL_SEEN), one.blocks(places, ALL_SEEN) @ turn)


def test_missing_joints_do_not_count():
    generator = torch.Generator().manual_seed(1)
    keypoints = torch.rand(4, 17, 3, generator=generator) + 0.1
    keypoints[:, 5, 2] = 0
    changed = keypoints.clone()
    changed[:, 5, :2] = 7.0
    one = network()
    torch.testing.assert_close(one(keypoints), one(changed))


def test_shapes_are_written_out():
    one = network()
    codes = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    values = codes
    for dictionary in (one.dictionaries[1], one.dictionaries[0]):
        values = (values @ dictionary.T).clamp(min=0)
    points = sum(values[:, a, None, None] * one.shapes[..., a] for a in range(12))
    torch.testing.assert_close(one.decoded(codes), points - points.mean(1, keepdim=True))


def test_a_rigid_person_is_found_from_2d_alone():
    """From orthographic pictures from everywhere, without any depth, and not reflected."""
    generator = torch.Generator().manual_seed(3)
    person = PERSON - PERSON.mean(0)
    assert handedness(person).mean() > 0
    points = person @ random_rotations(2000, generator).mT
    seen = torch.cat([0.1 * points[..., :2], torch.ones(2000, 17, 1)], dim=-1)
    people = LiftedPeople(seen, torch.full_like(points, torch.nan), torch.ones(2000))
    training = LiftingTraining(people=2000, steps=300, batch_size=64, rate=1e-2, warmup=20)
    one, _ = train_deep_nrsfm(DeepNRSfMConfig(atoms=(16, 8)), people, 40.0, training)
    with torch.no_grad():
        found = one(seen)
    true = points - points[:, :1]
    size = true.norm(dim=-1).mean()
    errors = (procrustes(found, true).apply(found) - true).norm(dim=-1).mean()
    mirrored = found * torch.tensor([1.0, 1.0, -1.0])
    assert errors < 0.15 * size
    assert errors < (procrustes(mirrored, true).apply(mirrored) - true).norm(dim=-1).mean()


def test_settings_that_make_no_network_are_refused():
    for wrong in ({"atoms": ()}, {"atoms": (4, 0)}, {"steps": 0}, {"rate": 0.0}, {"shrink": -1.0}):
        with pytest.raises(InputError):
            DeepNRSfMConfig(**wrong)
