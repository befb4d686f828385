"""Garments: a small one of MakeHuman's format is read, follows the body, and is drawn; damaged files are refused."""

import numpy as np
import pytest
import torch

from meshrec.body.base_mesh import load_base_mesh
from meshrec.data.streams import Streams
from meshrec.errors import InputError
from meshrec.geometry import axis_angle_to_matrix
from meshrec.synthetic.garments import dress, put_on, read_garment, read_garments
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.pictures import Pictures, photograph
from meshrec.synthetic.textures import TextureLayout
from meshrec.synthetic.wardrobe import HEAD, SUIT, OutfitMix, Wardrobe

THICK = 0.02  # metres in front of the body


@pytest.fixture(scope="module")
def base():
    return load_base_mesh()


@pytest.fixture(scope="module")
def chest(body):
    """Vertices of the open body on the front of its trunk, and the faces among them."""
    part, normal = body.part_labels, body.data.v_template[:, 2]
    trunk = np.isin(part, [body.joint_names.index(name) for name in ("spine1", "spine2", "spine3")]) & (normal > 0.05)
    faces = body.data.faces[trunk[body.data.faces].all(axis=1)]
    return np.unique(faces), faces


def write_garment(folder, base, chest, name="vest", tag="Casual", base_name="hm08", shift=0.1 * THICK * 100):
    """A vest that stands off the chest, in decimetres as MakeHuman has them."""
    folder.mkdir(exist_ok=True, parents=True)
    vertices, faces = chest
    ids = base.body_vertices[vertices]
    place = np.searchsorted(vertices, faces) + 1
    points = base.vertices[ids] * 10 + [0, 0, shift]
    (folder / f"{name}.obj").write_text(
        "".join("v {:.5f} {:.5f} {:.5f}\n".format(*p) for p in points)
        + "".join("f {} {} {}\n".format(*f) for f in place)
    )
    length = 10 * abs(base.vertices[0, 2] - base.vertices[1, 2])
    (folder / f"{name}.mhclo").write_text(
        f"# a vest\nname {name}\nbasemesh {base_name}\ntag {tag}\nobj_file {name}.obj\n"
        + f"z_scale 0 1 {length:.6f}\nverts 0\n"
        + "".join(f"{i} {i} {i} 1 0 0 0 0 {shift:.5f}\n" for i in ids)
        + f"delete_verts\n{ids[0]} - {ids[0]}\n"
    )
    return folder / f"{name}.mhclo"


def test_a_garment_keeps_its_distance_from_the_body(body, base, chest, tmp_path):
    garment = read_garment(write_garment(tmp_path, base, chest), base)
    assert np.allclose(garment.vertices - base.vertices[base.body_vertices[chest[0]]], [0, 0, THICK], atol=1e-5)
    dressed = dress(body, {1: put_on(garment, body, base)})
    betas = 1.5 * torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    pose = axis_angle_to_matrix(0.3 * torch.randn(3, 23, 3, generator=torch.Generator().manual_seed(1)))
    bare, worn = body(betas, pose), dressed.body(betas, pose)
    count = len(body.data.v_template)
    assert torch.allclose(worn.vertices[:, :count], bare.vertices, atol=1e-5)
    assert torch.allclose(worn.joints, bare.joints, atol=1e-5)
    distance = (worn.vertices[:, count:] - bare.vertices[:, chest[0]]).norm(dim=-1)
    assert (distance.median() - THICK).abs() < 0.005 and distance.max() < 0.05
    assert len(dressed.kept) == (dressed.part == 0).sum() <= len(body.faces)


def test_damaged_garments_are_refused(base, chest, tmp_path):
    with pytest.raises(InputError, match="no garments"):
        read_garments(tmp_path, base)
    with pytest.raises(InputError, match="base mesh other"):
        read_garment(write_garment(tmp_path / "other", base, chest, base_name="other"), base)
    path = write_garment(tmp_path / "rows", base, chest)
    path.write_text(path.read_text().replace("verts 0\n", "verts 0\n99999 1 1 1 0 0 0 0 0\n"))
    with pytest.raises(InputError, match="table of vertices is damaged"):
        read_garment(path, base)
    path = write_garment(tmp_path / "count", base, chest)
    path.write_text(path.read_text().replace("delete_verts", "0\ndelete_verts"))
    with pytest.raises(InputError, match="vertices, but its"):
        read_garment(path, base)
    path = write_garment(tmp_path / "none", base, chest)
    path.with_suffix(".obj").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        read_garment(path, base)


def test_people_wear_a_wardrobe(body, base, chest, tmp_path):
    write_garment(tmp_path / "suits", base, chest)
    write_garment(tmp_path / "hats", base, chest, name="hat", tag="Hats")
    wardrobe = Wardrobe.of_folder(tmp_path, body, OutfitMix(suit=0.5, shoes=0.9, head=1))
    assert len(wardrobe.suits) == len(wardrobe.heads) == 1 and wardrobe.hair == 0 and not wardrobe.shoes
    outfits = wardrobe.draw(Streams(0, range(400), "outfits"))
    assert 150 < sum(suit == 0 for suit, _, _ in outfits) < 250
    assert all(shoes == -1 and head == 0 for _, shoes, head in outfits)
    assert set(wardrobe.dressed((0, -1, 0)).part.tolist()) == {0, SUIT, HEAD}

    source = SyntheticPeople(body, seed=3, resolution=64)
    layout, indices = TextureLayout.of_body(body, 64), range(6)
    drawn, bare = (
        photograph(source.draw(indices), body, pictures, source.streams(indices, "picture"))
        for pictures in (Pictures(layout, supersample=1, wardrobe=wardrobe), Pictures(layout, supersample=1))
    )
    assert drawn.shape == bare.shape and (drawn != bare).any()
    (alone,) = photograph(
        source.draw([4]), body, Pictures(layout, supersample=1, wardrobe=wardrobe), source.streams([4], "picture")
    )
    assert (alone.int() - drawn[4].int()).abs().float().mean() < 0.5  # nobody's picture depends on the others
