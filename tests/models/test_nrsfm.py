"""Structure from 2D alone: exact shapes of low rank, the reflection that no picture tells, what canonical means."""

import pytest
import torch

from meshrec.errors import InputError
from meshrec.geometry import procrustes
from meshrec.geometry.rotations import matrix_to_rotation_6d, random_rotations, rotation_6d_to_matrix
from meshrec.models.nrsfm import NRSfM, NRSfMConfig, huber_norm, rigid_shape
from meshrec.models.unscaled import centred_at

MIRROR = torch.diag(torch.tensor([1.0, 1.0, -1.0]))


def _network(**changes) -> NRSfM:
    torch.manual_seed(0)
    return NRSfM(NRSfMConfig(**{"width": 16, "blocks": 1, "rank": 2, **changes})).eval()


def _shapes(count: int, rank: int) -> torch.Tensor:
    """Shapes of low rank with the mean of their joints at the origin."""
    generator = torch.Generator().manual_seed(1)
    basis = torch.randn(rank + 1, 17, 3, generator=generator, dtype=torch.float64)
    codes = torch.cat([torch.ones(count, 1), torch.randn(count, rank, generator=generator)], dim=1).double()
    points = torch.einsum("nr,rkd->nkd", codes, basis)
    return points - points.mean(1, keepdim=True)


def _solved(network: NRSfM, places: torch.Tensor, seen: torch.Tensor, turns: torch.Tensor | None, six: torch.Tensor):
    """The basis and coefficients, and without known rotations these too, of the least reprojection error (L-BFGS)."""
    network = network.double()
    codes = 0.1 * torch.randn(len(places), network.config.rank, generator=torch.Generator().manual_seed(2)).double()
    free = [codes.requires_grad_(), *network.basis.parameters()]
    free += [] if turns is not None else [six.requires_grad_()]
    solver = torch.optim.LBFGS(free, max_iter=600, tolerance_change=1e-12, line_search_fn="strong_wolfe")

    def loss():
        solver.zero_grad()
        rotations = rotation_6d_to_matrix(six) if turns is None else turns
        error = network.reprojection_errors(places, seen, network.shapes(codes), rotations).mean()
        error.backward()
        return error

    solver.step(loss)
    return network.shapes(codes).detach(), rotation_6d_to_matrix(six.detach()) if turns is None else turns


def test_shapes_of_low_rank_are_recovered_under_known_rotations():
    """Although a fifth of the joints is missing. The depth of each person follows from the others' views."""
    shapes, turns = _shapes(60, 2), random_rotations(60, torch.Generator().manual_seed(3), torch.float64)
    seen = (torch.rand(60, 17, generator=torch.Generator().manual_seed(4)) > 0.2).float()
    places = centred_at((shapes @ turns.mT)[..., :2], seen)
    found, _ = _solved(_network(limit=100.0, rank=3), places, seen, turns, torch.zeros(60, 6))
    assert (found - shapes).norm(dim=-1).max() < 0.02 * shapes.norm(dim=-1).mean()


def test_a_rigid_shape_is_recovered_with_its_rotations_up_to_a_reflection():
    shapes, turns = (
        _shapes(1, 0).expand(40, -1, -1),
        random_rotations(40, torch.Generator().manual_seed(3), torch.float64),
    )
    places, seen = (shapes @ turns.mT)[..., :2], torch.ones(40, 17)
    near = turns + 0.2 * torch.randn(40, 3, 3, generator=torch.Generator().manual_seed(5))
    # Started from reflected views, it ends in the reflected shape with no more error than the true one has.
    for side in (torch.eye(3).double(), MIRROR.double()):
        network = _network(limit=100.0, rank=1)
        found, rotations = _solved(network, places, seen, None, matrix_to_rotation_6d(side @ near @ side))
        assert network.reprojection_errors(places, seen, found, rotations).max() < 1e-5
        errors = (procrustes(found @ side, shapes).apply(found @ side) - shapes).norm(dim=-1)
        assert errors.max() < 0.02 * shapes.norm(dim=-1).mean()
        other = found @ side @ MIRROR.double()
        assert (procrustes(other, shapes).apply(other) - shapes).norm(dim=-1).mean() > 0.2


def test_a_reflection_in_depth_has_the_same_picture():
    """The basis reflected, and each rotation with it: both losses and the picture are the same."""
    network, generator = _network(), torch.Generator().manual_seed(0)
    shapes, turns = torch.randn(5, 17, 3, generator=generator), random_rotations(5, generator)
    places, seen = torch.randn(5, 17, 2, generator=generator), torch.ones(5, 17)
    one = network.reprojection_errors(places, seen, shapes, turns)
    other = network.reprojection_errors(places, seen, shapes @ MIRROR, MIRROR @ turns @ MIRROR)
    assert torch.allclose(one, other, atol=1e-6)


def test_a_rigid_shape_is_factorised_exactly_up_to_a_reflection():
    """From two rows of random rotations, times random scales."""
    generator = torch.Generator().manual_seed(3)
    shape, turns = _shapes(1, 0)[0], random_rotations(30, generator, torch.float64)
    scales = 0.5 + torch.rand(30, 1, 1, generator=generator, dtype=torch.float64)
    found = rigid_shape(scales * (shape @ turns.mT)[..., :2])
    errors = [(procrustes(found * side, shape).apply(found * side) - shape).norm(dim=-1).max() for side in (1.0, -1.0)]
    assert min(errors) < 1e-6 < 0.2 < max(errors)


def test_a_rigid_shape_bears_noise():
    generator = torch.Generator().manual_seed(3)
    shape, turns = _shapes(1, 0)[0], random_rotations(500, generator, torch.float64)
    places = (shape @ turns.mT)[..., :2]
    noise = 0.05 * torch.randn(places.shape, generator=generator, dtype=torch.float64)
    found = rigid_shape(places + noise - noise.mean(1, keepdim=True))
    errors = [(procrustes(found * side, shape).apply(found * side) - shape).norm(dim=-1).mean() for side in (1.0, -1.0)]
    assert min(errors) < 0.03 * shape.norm(dim=-1).mean()


def test_everybody_has_the_mean_shape_where_coefficients_are_zero():
    network = _network()
    network.mean.copy_(torch.randn(17, 3))
    expected = network.mean - network.mean.mean(0)
    assert torch.allclose(network.shapes(torch.zeros(3, 2)), expected.expand(3, -1, -1), atol=1e-6)


def test_a_network_that_undoes_every_turn_has_no_canonical_error():
    """One rigid shape is found again however it is turned; the shape that was turned is not the same as before."""
    network = _network(rank=1)
    network.mean.copy_(torch.randn(17, 3, generator=torch.Generator().manual_seed(1)))
    torch.nn.init.zeros_(network.basis.weight)
    shapes = network.shapes(torch.zeros(4, 1)).detach()
    turns = random_rotations(4, torch.Generator().manual_seed(0))
    assert network.canonical_errors(shapes, turns).max() < 1e-6
    assert network.canonical_errors(shapes @ turns.mT, turns).min() > 0.1


def test_hubers_norm_is_half_a_square_and_then_a_norm():
    vectors = torch.tensor([[3e-4, 4e-4], [30.0, 40.0]], dtype=torch.float64)
    found = huber_norm(vectors, 0.1) / 0.1
    assert found[0].item() == pytest.approx((5e-4 / 0.1) ** 2 / 2, rel=1e-4)
    assert found[1].item() == pytest.approx(50 / 0.1, rel=0.01)


def test_the_network_of_the_training_alone_is_not_counted():
    network = _network()
    linear = 51 * 16 + 16 + 2 * (16 * 16 + 16) + 16 * 9 + 9 + 3 * 32
    assert network.count_weights() == linear + 2 * 51


def test_settings_that_make_no_network_are_refused():
    for wrong in (
        {"width": 0},
        {"rank": 0},
        {"limit": 0.0},
        {"blocks": -1},
        {"canonical": -1.0},
        {"rigid_steps": -1},
        {"steps": 0},
    ):
        with pytest.raises(InputError):
            NRSfMConfig(**wrong)
