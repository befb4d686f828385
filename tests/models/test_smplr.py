"""Points of a body by its mesh, features of the tree by hand, and turns that are undone."""

import numpy as np
import torch

from meshrec.body import NUM_JOINTS
from meshrec.geometry import axis_angle_to_matrix, random_rotations, rotation_angle
from meshrec.models.smplr import PointsToBody, SmplrConfig, shape_vertices, tree_features

SMALL = SmplrConfig(landmarks=6, width=16, blocks=1)


def posed(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rotations = axis_angle_to_matrix(0.3 * torch.randn(count, NUM_JOINTS, 3, generator=generator))
    return rotations, torch.randn(count, 10, generator=generator)


def test_points_are_joints_and_vertices_of_the_posed_mesh(body):
    network = PointsToBody(body, SMALL)
    rotations, betas = posed(2)
    out = body(betas, rotations[:, 1:], rotations[:, :1])
    points = network.points(rotations, betas)
    torch.testing.assert_close(points[:, :NUM_JOINTS], body.joints_from(out.vertices, "smpl24"), atol=1e-4, rtol=0)
    vertices = torch.from_numpy(shape_vertices(body, 6))
    torch.testing.assert_close(points[:, NUM_JOINTS:], out.vertices[:, vertices], atol=1e-4, rtol=0)
    parts = body.part_labels[vertices.numpy()]
    assert network.parents[NUM_JOINTS:].tolist() == parts.tolist()


def test_features_give_the_points_back():
    generator = torch.Generator().manual_seed(0)
    points, parents = torch.randn(3, 5, 3, generator=generator), np.array([-1, 0, 1, 1, 3])
    features = tree_features(points, parents)
    torch.testing.assert_close(features[..., :3].norm(dim=-1), torch.ones(3, 4))
    again = [points[:, 0]]
    for point in range(1, 5):
        again.append(again[parents[point]] + features[:, point - 1, :3] * features[:, point - 1, 3:])
    torch.testing.assert_close(torch.stack(again, dim=1), points)
    torch.testing.assert_close(tree_features(points + 7, parents), features, atol=1e-4, rtol=1e-4)
    assert tree_features(torch.zeros(1, 5, 3), parents).isfinite().all()


def test_a_turn_of_the_whole_body_is_undone(body):
    network = PointsToBody(body, SMALL)
    rotations, betas = posed(4)
    points = network.points(rotations, betas) + 1.5
    turn = random_rotations(4, torch.Generator().manual_seed(1))
    wrong = torch.cat([turn[:, None] @ rotations[:, :1], rotations[:, 1:]], dim=1)
    found = network.turned(wrong, betas, points)
    assert rotation_angle(found[:, 0], rotations[:, 0]).max() < 1e-3
    assert torch.equal(found[:, 1:], rotations[:, 1:])


def test_chosen_vertices_tell_more_of_the_shape_than_others(body):
    """By the expected squared error of the betas, with one centimetre of noise."""
    data = body.data.with_betas(10)
    directions = (data.shapedirs - data.joint_maps[1][data.weights.argmax(1)]) / 0.01
    chosen = shape_vertices(body, 8)
    assert len(set(chosen.tolist())) == 8

    def error(vertices: np.ndarray) -> float:
        rows = directions[vertices].reshape(-1, 10)
        return float(np.trace(np.linalg.inv(np.eye(10) + rows.T @ rows)))

    rng = np.random.default_rng(0)
    others = [error(rng.choice(len(directions), 8, replace=False)) for _ in range(50)]
    assert error(chosen) < min(others)


def test_the_first_estimates_are_the_rest_pose(body):
    network = PointsToBody(body, SMALL).eval()
    network.standardise(network.points(*posed(20)))
    rotations, betas = network(network.points(*posed(3, seed=1)))
    assert rotation_angle(rotations, torch.eye(3).expand_as(rotations)).max() < 0.2
    assert betas.abs().max() < 0.2
