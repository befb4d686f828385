"""Joint sets on real meshes: the open body's landmarks, and the published vertices of the official topology."""

import numpy as np
import pytest
import torch

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import JOINT_SETS, BodyModel, flip_permutation, joint_index, load_body
from meshrec.body.files import body_from_arrays


@pytest.fixture(scope="module")
def official():
    """A random body with the official number of vertices; its landmarks are known by number."""
    return BodyModel(body_from_arrays(random_arrays(vertices=6890), "official size"))


@pytest.mark.parametrize("name", JOINT_SETS)
def test_every_set_exists_for_both_topologies_and_moves_with_the_body(name, official):
    for body in (load_body("neutral"), official):
        vertices = body().vertices
        joints = body.joints_from(vertices, name)
        assert joints.shape == (1, len(JOINT_SETS[name]), 3)
        # Rows that sum to one follow a translation exactly.
        moved = body.joints_from(vertices + torch.tensor([1.0, 2.0, 3.0]), name)
        assert torch.allclose(moved - joints, torch.tensor([1.0, 2.0, 3.0]).expand_as(joints), atol=1e-4)


def test_published_vertices_of_the_official_topology(official):
    vertices = torch.arange(6890 * 3, dtype=torch.float32).view(1, 6890, 3)
    joints = official.joints_from(vertices, "openpose25")[0]
    # smplx's vertex_ids.py: nose 332, left eye 2800, right ear 4071, left big toe 3216, right heel 6787.
    for joint, vertex in {
        "nose": 332,
        "left_eye": 2800,
        "right_ear": 4071,
        "left_big_toe": 3216,
        "right_heel": 6787,
    }.items():
        assert torch.equal(joints[joint_index(joint, "openpose25")], vertices[0, vertex])


@pytest.mark.parametrize("name", JOINT_SETS)
def test_landmarks_of_the_open_body_mirror(name):
    body = load_body("neutral")
    joints = body.joints_from(body().vertices, name)[0].numpy()
    mirrored = joints[flip_permutation(name)] * [-1, 1, 1]
    assert np.abs(joints - mirrored).max() < 2e-3


def test_landmarks_of_the_open_body_lie_where_people_have_them():
    body = load_body("neutral")
    places = {}
    for name, names in JOINT_SETS.items():
        places |= dict(zip(names, body.joints_from(body().vertices, name)[0].tolist()))
    x, y, z = ({k: v[i] for k, v in places.items()} for i in range(3))
    assert x["left_eye"] > x["nose"] > x["right_eye"]  # +x is the subject's left
    assert y["head_top"] > y["left_eye"] > y["nose"] > y["mouth_left"] > y["thorax"] > y["mid_hip"] > y["left_knee"]
    assert z["nose"] > z["left_ear"] and z["left_big_toe"] > z["left_heel"]  # +z is forward
    assert x["left_index"] > x["left_wrist"] > x["left_elbow"] > x["left_shoulder"] > x["right_shoulder"]
    assert z["left_index"] > z["left_pinky"] and z["left_thumb"] > z["left_pinky"]  # palms down in the T-pose
    assert x["left_small_toe"] > x["left_big_toe"]
    assert 0.05 < y["pelvis"] - y["mid_hip"] < 0.13
