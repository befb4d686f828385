"""Shaded pictures, textures, light, several people, overlays."""

import numpy as np
import pytest
import torch
from helpers.scenes import assert_gradient, lively_coordinates, posed_body, rectangle, screen_camera

import meshrec
from meshrec import render
from meshrec.geometry.cameras import Camera
from meshrec.render import lights, overlay

EVEN = render.Phong(ambient=1.0, diffuse=0.0, specular=0.0)


def test_phong_on_a_square_facing_the_lamp():
    vertices, faces = rectangle(0, 0, 9, 9)
    light = render.Phong(direction=(0.0, 0.0, -1.0), ambient=0.2, diffuse=0.5, specular=0.1, shininess=1.0)
    picture = render.shaded(vertices, faces, screen_camera((10, 10)), (0.5, 0.6, 0.7), light)
    y, x = torch.meshgrid(torch.arange(10.0), torch.arange(10.0), indexing="ij")
    highlight = 0.1 / (x**2 + y**2 + 1).sqrt()  # the mirrored ray runs back along z
    truth = torch.tensor([0.5, 0.6, 0.7]) * 0.7 + highlight[..., None]
    torch.testing.assert_close(picture.float(), truth)


def directions_everywhere(generator: torch.Generator) -> torch.Tensor:
    points = torch.randn(400_000, 3, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(points, dim=-1)


def test_harmonics_are_orthonormal_and_constant_light_is_even():
    directions = directions_everywhere(torch.Generator().manual_seed(0))
    basis = lights.harmonics(directions)
    gram = basis.T @ basis * (4 * torch.pi / len(basis))
    torch.testing.assert_close(gram, torch.eye(9, dtype=torch.float64), atol=0.02, rtol=0)
    constant = render.SphericalHarmonics(torch.tensor([2.0, 0, 0, 0, 0, 0, 0, 0, 0]))
    factor, _ = constant(directions[:5], -directions[:5])
    torch.testing.assert_close(factor, torch.full((5, 1), 2 * (1 / (4 * torch.pi)) ** 0.5, dtype=torch.float64))


def test_harmonics_give_the_irradiance_of_their_light():
    """Against the integral over the hemisphere, by sampling."""
    generator = torch.Generator().manual_seed(1)
    coefficients = torch.randn(9, 3, generator=generator, dtype=torch.float64) * 0.2
    coefficients[0] += 3
    directions = directions_everywhere(generator)
    normals = directions[:4]
    light = lights.harmonics(directions) @ coefficients
    cosine = (normals @ directions.T).clamp_min(0)
    integral = cosine @ light * (4 * torch.pi / len(directions)) / torch.pi
    torch.testing.assert_close(
        render.SphericalHarmonics(coefficients)(normals, -normals)[0], integral, atol=0.01, rtol=0.01
    )


def test_vertex_colours_run_linearly_across_a_flat_face():
    vertices, faces = rectangle(0, 0, 8, 8)
    colors = torch.stack([vertices[:, 0] / 8, vertices[:, 1] / 8, torch.full((4,), 0.5)], -1)
    picture = render.shaded(vertices, faces, screen_camera((9, 9)), colors, EVEN)
    y, x = torch.meshgrid(torch.arange(9) / 8, torch.arange(9) / 8, indexing="ij")
    torch.testing.assert_close(picture, torch.stack([x, y, torch.full((9, 9), 0.5)], -1).double())


def test_texture_lands_upright_on_its_square():
    vertices, faces = rectangle(0, 0, 7, 7)
    image = torch.rand(8, 8, 3, generator=torch.Generator().manual_seed(0))
    edge = 0.5 / 8  # the corners' pixels see the middle of the corner texels
    uv = torch.tensor([[edge, 1 - edge], [1 - edge, 1 - edge], [1 - edge, edge], [edge, edge]])
    texture = render.Texture(image, uv, faces)
    picture = render.shaded(vertices, faces, screen_camera((8, 8)), texture, EVEN)
    torch.testing.assert_close(picture.float(), image, atol=1e-5, rtol=0)


def test_texture_of_the_open_body_shows_its_map():
    body = meshrec.load_body("neutral")
    vertices, faces = posed_body()
    data = np.load(meshrec.body.find_body("neutral"), allow_pickle=False)
    uv, uv_faces = torch.tensor(data["uv"]), torch.tensor(data["uv_faces"].astype(np.int64))
    ramp = torch.linspace(0.5 / 512, 1 - 0.5 / 512, 512)
    image = torch.stack([ramp.expand(512, 512), ramp.flip(0)[:, None].expand(512, 512), torch.zeros(512, 512)], -1)
    camera = Camera.from_fov((64, 96))
    picture = render.shaded(vertices, faces, camera, render.Texture(image, uv, uv_faces), EVEN, background=0.0)
    fragments = render.rasterize(vertices, faces, camera)
    truth = (uv[uv_faces[fragments.face]] * fragments.barycentric[..., None]).sum(1)
    drawn = picture.flatten(0, 1)[fragments.pixel]
    torch.testing.assert_close(drawn[:, :2], truth.double(), atol=2e-3, rtol=0)
    assert len(body.faces) == len(uv_faces)


@pytest.mark.parametrize("light", [render.Phong(), render.SphericalHarmonics()], ids=["phong", "harmonics"])
def test_gradient_in_vertices_colours_and_light(light):
    vertices, faces = posed_body(4)
    camera = Camera.from_fov((64, 80))
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(80, 64, 3, generator=generator, dtype=torch.float64)
    colors = torch.rand(len(vertices), 3, generator=generator, dtype=torch.float64) * 0.5

    def by_vertices(v):
        return (render.shaded(v, faces, camera, colors, light) * weights).sum()

    def by_colors(c):
        return (render.shaded(vertices, faces, camera, c, light, supersample=2) * weights).sum()

    def by_light(coefficients):
        return (render.shaded(vertices, faces, camera, colors, render.SphericalHarmonics(coefficients)) * weights).sum()

    assert_gradient(by_vertices, vertices, lively_coordinates(by_vertices, vertices, 15), relative=1e-3)
    assert_gradient(by_colors, colors, lively_coordinates(by_colors, colors, 10), 1e-3)
    coefficients = torch.full((9,), 0.2, dtype=torch.float64)
    assert_gradient(by_light, coefficients, [(i,) for i in range(9)], 1e-6)


def test_supersampling_is_the_mean_of_the_finer_picture():
    vertices, faces = posed_body()
    camera = Camera.from_fov((40, 60))
    photo = torch.rand(60, 40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    smooth = render.shaded(vertices, faces, camera, background=photo, supersample=3)
    fine_photo = photo.repeat_interleave(3, 0).repeat_interleave(3, 1)
    fine = render.shaded(vertices, faces, render.screen.supersampled(camera, 3), background=fine_photo)
    torch.testing.assert_close(smooth, fine.view(60, 3, 40, 3, 3).mean((1, 3)))


@pytest.mark.parametrize("nearer", [0, 1])
def test_the_nearer_person_hides_the_other(nearer):
    camera = Camera.from_fov((80, 80))
    people = [posed_body(i, depth=2.0 if i == nearer else 3.0)[0] for i in range(2)]
    faces = posed_body()[1]
    mesh, triangles, owner = render.join(people, faces)
    colors = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])[owner]
    picture = render.shaded(mesh, triangles, camera, colors, EVEN, background=0.0)
    alone = [render.depth(p, faces, camera) > 0 for p in people]
    both = alone[0] & alone[1]
    assert both.sum() > 50
    torch.testing.assert_close(picture[both].mean(0), colors[owner == nearer][0].double())
    torch.testing.assert_close(picture.sum(-1) > 0, alone[0] | alone[1])


def test_overlay_draws_people_and_leaves_the_rest_of_the_photo():
    camera = Camera.from_fov((96, 128))
    faces = posed_body()[1]
    people = [posed_body(i)[0].float() + torch.tensor([0.3 * i, 0.0, 0.5 * i]) for i in range(2)]
    photo = np.random.default_rng(0).integers(0, 256, (128, 96, 3), dtype=np.uint8)
    drawn = overlay.overlay(photo, people, faces, camera)
    assert drawn.shape == photo.shape and drawn.dtype == np.uint8
    mesh, triangles, _ = render.join(people, faces)
    coverage = render.silhouette(mesh, triangles, camera, softness_px=4.0).numpy()
    np.testing.assert_array_equal(drawn[coverage == 0], photo[coverage == 0])
    assert (drawn[coverage == 1] != photo[coverage == 1]).any(-1).mean() > 0.99
    np.testing.assert_array_equal(overlay.overlay(photo, [], faces, camera), photo)
    np.testing.assert_array_equal(overlay.overlay(photo, [people[0] * torch.nan], faces, camera), photo)


def test_overlay_in_bands_is_the_whole_picture(monkeypatch):
    camera = Camera(focal=(150.0, 140.0), center=(40.0, 60.0), size=(96, 128))
    vertices, faces = posed_body()
    photo = np.random.default_rng(0).integers(0, 256, (128, 96, 3), dtype=np.uint8)
    whole = overlay.overlay(photo, [vertices], faces, camera)
    monkeypatch.setattr(overlay, "BAND", 1000)
    assert np.abs(overlay.overlay(photo, [vertices], faces, camera).astype(int) - whole).max() <= 1
    mesh = render.shaded(vertices.float(), faces, camera, overlay.person_colors(1).expand(len(vertices), 3),
                         overlay.SOFT, background=photo, supersample=overlay.SAMPLES)  # fmt: skip
    plain = mesh.numpy() * 0.95 + photo / 255 * 0.05
    assert np.abs(plain * 255 - whole).max() <= 6  # lit at its vertices, not at its pixels


def test_person_colours_are_distinct_and_not_skin():
    colors = overlay.person_colors(8).numpy()
    assert min(np.abs(a - b).sum() for i, a in enumerate(colors) for b in colors[:i]) > 0.2
    assert overlay.person_colors(17).shape == (17, 3)


@pytest.mark.parametrize(
    "view, right, down, away",
    [
        ("front", (1, 0, 0), (0, 1, 0), (0, 0, 1)),
        ("side", (0, 0, 1), (0, 1, 0), (-1, 0, 0)),
        ("back", (-1, 0, 0), (0, 1, 0), (0, 0, -1)),
        ("top", (1, 0, 0), (0, 0, -1), (0, 1, 0)),
    ],
)
def test_views_show_what_an_onlooker_there_sees(view, right, down, away):
    """A small ball to the right, one below and a large one behind, each of its own colour."""
    trimesh = pytest.importorskip("trimesh")
    ball = trimesh.creation.icosphere(2)

    def put(direction, radius):
        return torch.tensor(ball.vertices * radius + np.array(direction) + [0, 0, 5]).float()

    turn = torch.tensor(overlay.VIEWS[view])
    assert torch.equal(turn @ turn.T, torch.eye(3)) and torch.linalg.det(turn) == 1  # stretches and mirrors nothing
    near = tuple(-np.array(away))
    people = [put(right, 0.2), put(down, 0.2), put(away, 0.5), put(near, 0.1)]
    colors = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 1.0, 0]])
    picture = overlay.turned(people, torch.tensor(ball.faces), view, (200, 160), colors).astype(int)
    strong = [picture[..., 0] - picture[..., 1:].max(-1), picture[..., 1] - picture[..., [0, 2]].max(-1)]
    (red_y, red_x), (green_y, green_x) = (np.argwhere(s > 40).mean(0) for s in strong)
    blue = np.argwhere(picture[..., 2] - picture[..., :2].max(-1) > 40).mean(0)
    assert red_x > blue[1] + 20 and green_y > blue[0] + 20
    assert abs(red_y - blue[0]) < 12 and abs(green_x - blue[1]) < 12
    yellow = (picture[..., :2].min(-1) - picture[..., 2]) > 40
    assert yellow.sum() > 20  # the near one is not hidden by the large one behind it


def test_contact_sheet_lays_pictures_out_in_rows():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((50, 40, 3), (100, 100, 3), (25, 50, 3))]
    sheet = overlay.contact_sheet(pictures, columns=2, height=50, gap=4)
    assert sheet.shape == (4 + 54 * 2, 4 + 100 + 4, 3)
    np.testing.assert_array_equal(sheet[4:54, 4:44], pictures[0])
    assert overlay.contact_sheet(pictures, height=32).dtype == np.uint8
    with pytest.raises(ValueError, match="at least one picture"):
        overlay.contact_sheet([])
