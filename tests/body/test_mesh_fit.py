"""Parameters from vertices, joints and landmarks, against the bodies that the targets were made of."""

import numpy as np
import pytest
import torch

from meshrec.benchmarks.parameters import body_of_smpl_size
from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel, load_body
from meshrec.body.files import body_from_arrays
from meshrec.body.mesh_fit import FitOptions, FittedParameters, ParameterFitter, fit_parameters
from meshrec.body.mesh_fit_kernels import linearise, rotation_vector
from meshrec.body.mesh_fit_steps import advance, damped_step, nearest_rotation, rotation_of
from meshrec.body.mesh_moments import PointMoments, VertexMoments
from meshrec.geometry import axis_angle_to_matrix, rotation_angle
from meshrec.poses.pose_bank import load_pose_bank

BATCH = 4
NOISE = 5e-3  # metres, of each coordinate


class People:
    """Held-out poses on random shapes, somewhere in space."""

    def __init__(self, body: BodyModel) -> None:
        bank, generator = load_pose_bank("held_out"), torch.Generator().manual_seed(0)
        self.body, self.fitter = body, ParameterFitter(body)
        self.rotations = bank.rotations(torch.arange(0, len(bank), len(bank) // BATCH)[:BATCH])
        self.betas = torch.randn(BATCH, 10, generator=generator)
        self.transl = 2 * torch.randn(BATCH, 3, generator=generator)
        self.posed = self.of(self.betas)
        self.vertices = self.posed.vertices
        self.noise = NOISE * torch.randn(self.vertices.shape, generator=generator)

    def of(self, betas):
        return self.body(betas, self.rotations[:, 1:], self.rotations[:, :1], self.transl)


@pytest.fixture(scope="module")
def open_body():
    return People(load_body("neutral"))


@pytest.fixture(scope="module")
def displaced():
    """A body of SMPL's size with pose displacements of centimetres."""
    return People(BodyModel(body_of_smpl_size()))


@pytest.fixture(params=["open_body", "displaced"])
def people(request):
    return request.getfixturevalue(request.param)


def distances(people: People, found: FittedParameters, true: torch.Tensor | None = None) -> torch.Tensor:
    """Mean distance (B,) of the vertices from the true ones, metres."""
    return (found.vertices(people.body) - (people.vertices if true is None else true)).norm(dim=-1).mean(1)


def test_exact_targets_give_their_bodies(people):
    found = people.fitter(people.vertices)
    assert distances(people, found).max() < 0.5e-3
    assert rotation_angle(found.rotations, people.rotations).rad2deg().mean() < 0.5
    assert (found.betas - people.betas).abs().max() < 0.2
    assert (found.translation - people.transl).norm(dim=-1).max() < 2e-3
    assert found.scale.tolist() == [1] * BATCH


def test_without_pose_displacements_the_bodies_are_exact(open_body):
    found = open_body.fitter(open_body.vertices)
    assert distances(open_body, found).max() < 2e-5
    assert rotation_angle(found.rotations, open_body.rotations).rad2deg().max() < 0.1


def test_noise_hardly_moves_the_bodies(people):
    """Each vertex is wrong by some 8 mm, but there are thousands of them."""
    found = people.fitter(people.vertices + people.noise)
    assert distances(people, found).max() < 1.5e-3
    assert rotation_angle(found.rotations, people.rotations).rad2deg().mean() < 2


def test_one_alone_is_found_as_in_a_batch(people):
    alone = people.fitter(people.vertices[2:3])
    assert torch.allclose(
        alone.vertices(people.body), people.fitter(people.vertices).vertices(people.body)[2:3], atol=1e-4
    )


def test_another_body_and_fewer_betas():
    body = load_body("male")
    vertices = body(torch.tensor([[1.0, -2, 0.5]]), torch.full((1, 69), 0.2)).vertices
    found = fit_parameters(body, vertices, num_betas=3)
    assert found.betas.shape == (1, 3)
    assert torch.allclose(found.betas, torch.tensor([[1.0, -2, 0.5]]), atol=0.01)
    assert torch.allclose(found.rotations[:, 1:], axis_angle_to_matrix(torch.full((1, 23, 3), 0.2)), atol=1e-2)


def test_any_turn_of_the_whole_body(open_body):
    turn = axis_angle_to_matrix(torch.tensor([2.0, -1.5, 1.0]))
    vertices = open_body.vertices @ turn.T + 50
    assert distances(open_body, open_body.fitter(vertices), vertices).max() < 1e-4


def test_a_weight_of_two_is_a_vertex_twice(open_body):
    """Normal equations with weights against those of repeated vertices."""
    body, weights = open_body.body, np.ones(len(open_body.vertices[0]))
    weights[::3] = 2
    moments = VertexMoments(body, 10)
    twice = moments.products() + moments.products((weights == 2).astype(float))
    assert np.allclose(moments.products(weights), twice, atol=1e-9)


@pytest.mark.parametrize("own", [False, True])
def test_vertices_of_no_weight_may_be_anywhere(people, own):
    generator = torch.Generator().manual_seed(1)
    weights = (torch.rand(BATCH if own else 1, people.vertices.shape[1], generator=generator) < 0.3).float()
    lost = torch.where(weights[..., None] > 0, people.vertices, 7.0)
    found = people.fitter(lost, vertex_weights=weights if own else weights[0])
    assert distances(people, found).max() < 0.7e-3


def test_weights_beat_noise_that_they_know(open_body):
    loud = torch.ones(open_body.vertices.shape[1])
    loud[::2] = 20
    targets = open_body.vertices + loud[:, None] * open_body.noise
    known, unknown = (
        distances(open_body, open_body.fitter(targets, vertex_weights=weights)) for weights in (loud**-2, None)
    )
    assert (known < unknown / 2).all()


def test_one_shape_for_all(people):
    posed = people.of(people.betas[:1]).vertices
    found = people.fitter(posed + people.noise, shared_betas=True)
    assert (found.betas == found.betas[:1]).all()
    assert distances(people, found, posed).max() < 1.5e-3
    each = people.fitter(posed + people.noise)
    assert (found.betas[0] - people.betas[0]).norm() < (each.betas - people.betas[0]).norm(dim=1).mean()


def test_one_shape_of_one_body_is_its_own(open_body):
    shared, own = (open_body.fitter(open_body.vertices[:1], shared_betas=shared) for shared in (True, False))
    assert torch.allclose(shared.betas, own.betas, atol=1e-3)


def test_millimetres(people):
    found = people.fitter(1000 * people.vertices, scale=1000.0)
    assert found.scale.tolist() == [1000] * BATCH
    assert distances(people, found, 1000 * people.vertices).max() < 0.5
    assert (found.betas - people.betas).abs().max() < 0.2


def test_an_unknown_scale_is_found(people):
    targets = 1.7 * people.vertices
    found = people.fitter(targets, scale=None)
    assert distances(people, found, targets).max() < 1e-3
    # A shape's overall size is told from the scale by its proportions alone.
    assert (found.scale / 1.7 - 1).abs().max() < 0.02


def test_joints_alone_are_met_and_joints_help_vertices(people):
    joints = people.posed.joints
    found = people.fitter(joints=joints)
    posed = people.body(found.betas, found.rotations[:, 1:], found.rotations[:, :1], found.translation)
    assert (posed.joints - joints).norm(dim=-1).mean() < 1e-3
    assert distances(people, people.fitter(people.vertices, joints)).max() < 0.5e-3


@pytest.mark.parametrize("joints", ["coco17", "openpose25"])
def test_landmarks_alone_are_met(open_body, joints):
    landmarks = open_body.body.joints_from(open_body.vertices, joints)
    found = open_body.fitter(joints=landmarks, joint_set=joints)
    again = open_body.body.joints_from(found.vertices(open_body.body), joints)
    assert (again - landmarks).norm(dim=-1).mean() < 2e-3
    assert distances(open_body, found).max() < 0.08  # nothing says how a wrist is turned


def test_own_rows_are_landmarks_that_vertices_could_be(displaced):
    """Single vertices as landmarks, moved by pose displacements, with a landmark that counts for nothing."""
    rows = np.eye(len(displaced.vertices[0]))[::40]
    landmarks = displaced.vertices[:, ::40].clone()
    landmarks[:, 0] = 9
    weights = torch.ones(len(rows))
    weights[0] = 0
    found = displaced.fitter(joints=landmarks, joint_set=rows, joint_weights=weights)
    assert distances(displaced, found).max() < 2e-3


@pytest.mark.parametrize("free", [False, True])
def test_normal_equations_are_those_of_finite_differences(free):
    """Every column of the Jacobian by central differences of posed vertices and joints."""
    body = BodyModel(body_from_arrays(random_arrays(influences=24, posedirs=False), "random"), torch.float64)
    rng, moments, points = np.random.default_rng(0), VertexMoments(body, 10), PointMoments.of(body, "smpl24", 10)
    rest, shapes = (np.ascontiguousarray(part, np.float64) for part in body.data.joint_maps)
    parents, pairs = np.array(body.parents), moments.pairs
    local = axis_angle_to_matrix(torch.from_numpy(0.4 * rng.normal(size=(24, 3)))).numpy()
    state = [local, rng.normal(size=3), rng.normal(size=10)]
    scale = 1.2 if free else 1.0
    size = 85 + free
    targets = torch.from_numpy(rng.normal(size=(1, len(body.v_template), 3)))
    joints = torch.from_numpy(rng.normal(size=(1, 24, 3)))

    def pose(local, place, betas, scale):
        transl = place / scale - rest[0] - shapes[0] @ betas
        given = (torch.from_numpy(np.ascontiguousarray(part))[None] for part in (betas, local[1:], local[:1], transl))
        posed = body(*given)
        return scale * torch.cat([posed.vertices, posed.joints], 1).numpy().ravel()

    residual = np.concatenate([targets.numpy().ravel(), joints.numpy().ravel()]) - pose(*state, scale)
    jacobian, small = np.empty((len(residual), size)), 1e-5
    for n in range(size):
        ends = []
        for sign in (1, -1):
            move, moved = np.zeros(size), [part.copy() for part in state]
            move[n] = sign * small
            end = advance(move, *moved, scale, parents, np.empty((24, 3, 3)))
            ends.append(pose(*moved, end))
        jacobian[:, n] = (ends[0] - ends[1]) / (2 * small)
    cross = moments.cross(targets.float()) + points.cross(joints)
    products = moments.products() + points.products(pairs, np.ones(24))
    hessian, slope = np.empty((size, size)), np.empty(size)
    linearise(cross[0], products, pairs, *state, scale, rest, shapes, parents, np.zeros(2), hessian, slope)
    assert np.allclose(hessian, jacobian.T @ jacobian, rtol=1e-5, atol=1e-4)
    assert np.allclose(slope, jacobian.T @ residual, rtol=1e-3, atol=1e-2)


def test_rotations_and_their_vectors():
    vectors = np.random.default_rng(0).normal(size=(20, 3)) * np.logspace(-6, 0, 20)[:, None]
    for vector in vectors:
        expected = axis_angle_to_matrix(torch.from_numpy(vector)).numpy()
        rotation_of(vector, found := np.empty((3, 3)))
        assert np.allclose(found, expected, atol=1e-12)
        assert np.allclose(rotation_vector(expected), vector, rtol=1e-5, atol=1e-9)


def test_nearest_rotations_are_those_of_the_singular_value_decomposition():
    random = np.random.default_rng(1)
    turns = [axis_angle_to_matrix(torch.from_numpy(v)).numpy() for v in (np.zeros(3), np.array([np.pi, 0, 0]))]
    for matrix in [*random.normal(size=(30, 3, 3)), 1e-9 * random.normal(size=(3, 3)), *turns]:
        nearest_rotation(matrix, found := np.empty((3, 3)))
        left, _, right = np.linalg.svd(matrix)
        sign = np.sign(np.linalg.det(left @ right))
        assert np.allclose(found, left @ np.diag([1, 1, sign]) @ right, atol=1e-7)
    line = np.outer([1.0, 2, 2], [2.0, 1, -2])  # leaves a turn about the line open
    nearest_rotation(line, found)
    assert np.isclose((found * line).sum(), 9) and np.allclose(found @ found.T, np.eye(3))


def test_damped_steps_solve_the_damped_equations():
    random = np.random.default_rng(2)
    root = random.normal(size=(12, 9))
    hessian, slope = root.T @ root, random.normal(size=9)
    damped_step(hessian, slope, 0.1, np.empty((9, 9)), np.empty(9), step := np.empty(9))
    assert np.allclose(step, np.linalg.solve(hessian + 0.1 * np.diag(np.diag(hessian)), slope), rtol=1e-6)


def test_nobody_has_no_parameters(open_body):
    found = open_body.fitter(torch.zeros(0, len(open_body.body.v_template), 3))
    assert [tuple(part.shape) for part in (found.rotations, found.betas, found.translation)] == [
        (0, 24, 3, 3), (0, 10), (0, 3)
    ]  # fmt: skip


def test_a_body_in_float64_gets_its_own_type():
    body = load_body("neutral").double()
    assert fit_parameters(body, body().vertices).betas.dtype == torch.float64


def test_the_noise_weighs_the_prior_of_the_betas(open_body):
    stiff = ParameterFitter(open_body.body, options=FitOptions(noise=1.0))(open_body.vertices)
    assert (stiff.betas.norm(dim=1) < 0.8 * open_body.betas.norm(dim=1)).all()


def test_each_step_with_pose_displacements_brings_the_bodies_nearer(displaced):
    fitters = [ParameterFitter(displaced.body, options=FitOptions(displaced=count)) for count in (1, 2, 4)]
    one, two, four = (
        float((fitter(displaced.vertices).vertices(displaced.body) - displaced.vertices).norm(dim=-1).mean())
        for fitter in fitters
    )
    assert two < one / 3 and four < two / 3


def test_wrong_arguments(open_body):
    body, vertices = open_body.body, open_body.vertices
    for wrong in (vertices[0], vertices[:, 1:]):
        with pytest.raises(ValueError, match=r"vertices should be \(B, 7644, 3\)"):
            fit_parameters(body, wrong)
    with pytest.raises(ValueError, match=r"joints should be \(B, 17, 3\)"):
        open_body.fitter(joints=torch.zeros(1, 24, 3), joint_set="coco17")
    with pytest.raises(ValueError, match="give vertices, joints or both"):
        open_body.fitter()
    with pytest.raises(ValueError, match="vertices of 4 bodies, but joints of 1"):
        open_body.fitter(vertices, torch.zeros(1, 24, 3))
    with pytest.raises(ValueError, match="scale should be a positive number"):
        open_body.fitter(vertices, scale=0)
    for weights, message in [
        (torch.ones(3), "weights should be"),
        (-torch.ones(7644), "not negative"),
        (torch.zeros(7644), "must not all be zero"),
    ]:
        with pytest.raises(ValueError, match=message):
            open_body.fitter(vertices, vertex_weights=weights)
    broken = vertices.clone()
    broken[0, 5, 1] = torch.nan
    with pytest.raises(ValueError, match="vertices must be finite"):
        fit_parameters(body, broken)
