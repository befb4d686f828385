"""The shipped binding of MakeHuman's base mesh to the open body."""

import pytest
import torch

from meshrec.body import load_body
from meshrec.body.base_mesh import load_base_mesh
from meshrec.poses.named_poses import named_pose

CAP_VERTICES = 2 * 57  # of the eyes, which the base mesh does not have


def test_every_vertex_of_the_skin_is_its_own_image():
    """The body is a subset of the base mesh, so that all its vertices but those of the eyes are bound to themselves."""
    base, body = load_base_mesh(), load_body("neutral")
    assert base.corners.shape == base.shares.shape == base.offsets.shape == (19158, 3)
    on_vertex = (base.shares.amax(dim=1) > 0.999) & (base.offsets.norm(dim=1) < 1e-4)
    own = base.corners[on_vertex].gather(1, base.shares[on_vertex].argmax(dim=1, keepdim=True))
    assert len(own.unique()) == body.data.v_template.shape[0] - CAP_VERTICES
    out = body(
        betas=torch.randn(1, 10, generator=torch.Generator().manual_seed(0)), body_pose=named_pose("squat")[None]
    )
    placed = base.vertices(out.vertices)
    assert torch.allclose(placed[:, on_vertex], out.vertices[:, own[:, 0]], atol=1e-3)


@pytest.mark.parametrize("pose", ["t-pose", "arms down", "running"])
def test_base_mesh_follows_the_body(pose):
    """The first 13,380 vertices are MakeHuman's body: near the skin in any pose, some of them inside the mouth."""
    body = load_body("female")
    out = body(body_pose=named_pose(pose)[None])
    placed = load_base_mesh().vertices(out.vertices)[0]
    assert torch.isfinite(placed).all()
    distance = torch.cdist(placed[:13380], out.vertices[0]).amin(dim=1)
    assert distance.median() < 0.01 and distance.max() < 0.1


def test_base_mesh_is_symmetric_where_the_body_is():
    placed = load_base_mesh().vertices(load_body("neutral")().vertices)[0]
    skin = placed[:13380]
    gap = torch.cdist(skin * torch.tensor([-1.0, 1.0, 1.0]), skin).amin(dim=1)
    assert gap.quantile(0.99) < 1e-3


def test_sums_of_shares_are_one():
    assert (load_base_mesh().shares.sum(dim=1) - 1).abs().max() < 1e-3
