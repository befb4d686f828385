"""Sizes and posture of bodies against closed forms and other libraries."""

import math

import numpy as np
import pytest
import torch

from meshrec.body import joint_set
from meshrec.body.measures import GIRTHS, body_measures, girth
from meshrec.body.topology import edges
from meshrec.geometry import CAMERA_TO_Y_UP, axis_angle_to_matrix
from meshrec.metrics.posture import angle_between, knee_bends, lean, trunk_direction
from meshrec.synthetic.random_shapes import heaviness


def test_the_girth_of_a_box_and_of_a_cone():
    trimesh = pytest.importorskip("trimesh")
    box = trimesh.creation.box((0.4, 1.0, 0.3))
    cone = trimesh.creation.cone(0.5, 1.0, sections=256)
    cone.apply_transform(trimesh.transformations.rotation_matrix(-math.pi / 2, (1, 0, 0)))  # its axis along y
    for mesh, level, expected in ((box, 0.2, 1.4), (cone, 0.25, 2 * math.pi * 0.375)):
        vertices = torch.tensor(np.array(mesh.vertices), dtype=torch.float32)[None]
        found = girth(vertices, torch.from_numpy(edges(np.array(mesh.faces))), torch.tensor([level]))
        assert found.item() == pytest.approx(expected, rel=3e-3)


def test_nothing_cut_has_no_girth(body):
    vertices, _ = body.rest(torch.zeros(2, 10))
    pairs = torch.from_numpy(edges(body.faces.numpy()))
    found = girth(vertices, pairs, torch.tensor([9.0, 0.0]))
    assert found[0] == 0 and found[1] > 0.5
    assert girth(vertices, pairs, torch.tensor([9.0, 9.0])).tolist() == [0, 0]


def test_measures_agree_with_trimesh(body):
    trimesh = pytest.importorskip("trimesh")
    betas = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    measures = body_measures(body, betas)
    vertices, joints = body.rest(betas)
    for i in range(3):
        mesh = trimesh.Trimesh(vertices[i].numpy(), body.faces.numpy(), process=False)
        assert float(measures["volume"][i]) == pytest.approx(1e3 * mesh.volume, rel=1e-4)
        assert float(measures["height"][i]) == pytest.approx(1e3 * mesh.extents[1], rel=1e-5)
        for name, levels in GIRTHS.items():  # the arms are above or beside these sections of a T-pose
            level = float(joints[i, [joint_set("smpl24").index(joint) for joint in levels], 1].mean())
            section = mesh.section([0, 1, 0], [0, level, 0])
            assert float(measures[name][i]) == pytest.approx(1e3 * _perimeter(section.vertices[:, [0, 2]]), rel=3e-3)


def test_the_heavy_have_larger_girths(body):
    heavier = heaviness(body)
    light, heavy = ({k: float(v) for k, v in body_measures(body, s * heavier[None]).items()} for s in (-2, 2))
    assert all(heavy[name] > 1.1 * light[name] for name in (*GIRTHS, "volume"))


def test_posture_of_known_bends(body):
    pose = torch.zeros(1, 24, 3)
    pose[0, joint_set("smpl24").index("left_knee"), 0] = math.radians(70)
    out = body(body_pose=pose[:, 1:])
    bends = knee_bends(body.joints_from(out.vertices, "lsp14"), "lsp14")
    assert bends.shape == (1, 2)
    assert float(bends[0, 0] - bends[0, 1]) == pytest.approx(70, abs=4)


def test_lean_is_towards_the_camera(body):
    upright, place = CAMERA_TO_Y_UP, torch.tensor([[0.5, 0.2, 3.0]])  # faces the camera
    forward = axis_angle_to_matrix(torch.tensor([math.radians(30), 0, 0]))  # bows
    points = [
        body.joints_from(body(global_orient=(upright @ turn)[None], transl=place).vertices, "lsp14")
        for turn in (torch.eye(3), forward)
    ]
    assert float(lean(points[1], "lsp14") - lean(points[0], "lsp14")) == pytest.approx(30, abs=0.1)
    directions = [trunk_direction(p, "lsp14") for p in points]
    assert float(angle_between(*directions)) == pytest.approx(30, abs=0.1)


def _perimeter(points: np.ndarray) -> float:
    from scipy.spatial import ConvexHull

    return float(ConvexHull(points).area)  # of a plane hull, scipy calls the perimeter area
