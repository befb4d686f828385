"""The coarse body is the fine one with fewer vertices, and looks like it from afar."""

import torch

from meshrec.body import load_body
from meshrec.body.coarse import coarse_body
from meshrec.body.topology import is_watertight
from meshrec.render import rasterize
from meshrec.synthetic.people import SyntheticPeople


def test_vertices_and_joints_are_those_of_the_fine_body():
    body = load_body("neutral")
    coarse = coarse_body(body)
    people = SyntheticPeople(body, seed=2, resolution=64).draw(range(40))
    given = people.betas, people.rotations[:, 1:], people.rotations[:, 0], people.translation
    fine, few = body(*given), coarse(*given)
    assert torch.allclose(few.joints, fine.joints, atol=1e-5)
    assert torch.allclose(few.rotations, fine.rotations, atol=1e-6)
    kept = [(body.data.v_template == place).all(1).nonzero()[0][0] for place in coarse.data.v_template]
    assert torch.allclose(few.vertices, fine.vertices[:, kept], atol=1e-5)
    assert is_watertight(coarse.data.faces) and 2300 < len(coarse.v_template) < 2700

    masks = [rasterize(out.vertices, b.faces, people.camera).face_id >= 0 for out, b in ((fine, body), (few, coarse))]
    common, either = (masks[0] & masks[1]).sum((1, 2)), (masks[0] | masks[1]).sum((1, 2))
    assert (common / either).mean() > 0.985 and (common / either).min() > 0.96
    assert masks[1].sum() / masks[0].sum() > 0.99
