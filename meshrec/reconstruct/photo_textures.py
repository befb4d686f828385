"""A texture for a person's mesh, made of the photo: projected where the photo shows the skin, filled in elsewhere.

Each texel is a point of the posed surface, which the photo's camera sees at a pixel. It takes the pixel's colour as far
as the surface faces the camera, is the nearest one there (a depth test with the meshes of everyone in the photo), and
lies off the edges of the meshes in the picture, where a body that is a little off would take the background's colour.
What remains is filled in from the nearest skin that is seen, on the body's own side or, mirrored, on the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.errors import InputError
from meshrec.export import Mesh
from meshrec.geometry import Camera
from meshrec.reconstruct.person import Person

GREY = 180.0  # of 255, of a body of which the photo shows nothing


@dataclass(frozen=True)
class TextureSettings:
    """Constants of :func:`photo_texture`.

    Attributes:
        side: Side of the texture, texels.
        edge_on, facing: Cosines between the surface's normal and the ray to the eye: up to the first the photo is not
            used, from the second on fully.
        slack: Metres by which a point may lie behind the nearest surface of its pixel and still be that surface.
        jump: Metres between neighbouring pixels that make an edge.
        margin: Distance from an edge up to which the photo is not used, as a share of the person's height in the photo;
            from twice that on it is used fully.
        neighbors: Seen vertices of which the colour of an unseen one is averaged.
        mirroring: Metres that the other side of the body counts as further away.
        rounds: Rounds in which the filled colours are smoothed over the mesh.
    """

    side: int = 1024
    edge_on: float = 0.15
    facing: float = 0.4
    slack: float = 0.015
    jump: float = 0.04
    margin: float = 0.008
    neighbors: int = 6
    mirroring: float = 0.03
    rounds: int = 12


@dataclass(frozen=True, eq=False)
class PhotoTexture:
    """A texture made of a photo.

    Attributes:
        image: (S, S, 3) uint8 RGB; its first row is the top, v = 1.
        seen: (S, S) float32 in [0, 1]: how far each texel is the photo's; the rest is filled in.
    """

    image: np.ndarray
    seen: np.ndarray = field(repr=False)

    def png(self) -> bytes:
        """The picture as a PNG file."""
        from meshrec.render.overlay import encode_png

        return encode_png(self.image)


def photo_texture(
    image: np.ndarray, person: Person, everyone: Sequence[Person] = (), settings: TextureSettings = TextureSettings()
) -> PhotoTexture:
    """Make a person's texture of the photo.

    Args:
        image: (H, W, 3) uint8 RGB, the photo that the person's camera took.
        person: The person.
        everyone: Everyone in the photo, who may stand before the person; the person may be among them.
        settings: Constants.

    Raises:
        InputError: The body has no texture coordinates.
        ValueError: The person has no camera, or the photo is not of its size.

    Example:
        >>> import numpy as np
        >>> import meshrec
        >>> from meshrec.reconstruct.photo_textures import TextureSettings, photo_texture
        >>> rotations = np.tile(np.eye(3), (24, 1, 1))
        >>> rotations[0] = np.diag([1, -1, -1])  # upright before the camera
        >>> camera = meshrec.Camera(60.0, size=(40, 60))
        >>> person = meshrec.Person(meshrec.load_body("neutral"), np.zeros(10), rotations, np.array([0, 0, 3]), camera)
        >>> texture = photo_texture(np.full((60, 40, 3), 90, np.uint8), person, settings=TextureSettings(side=64))
        >>> texture.image.shape, sorted(set(texture.image.ravel().tolist()))
        ((64, 64, 3), [90])
    """
    camera = person.camera
    require_uv(person.body, person.body_name)
    if camera is None or image.shape[1::-1] != tuple(camera.size):
        raise ValueError("a texture needs the photo and the camera that took it, of one size")
    image, camera = _shrunk(image, person, camera, settings.side)
    view = _View(image, camera, [person, *(other for other in everyone if other is not person)], settings)
    normals = _normals(person)
    trust = view.trust(person.vertices, normals)
    colors = _filled(view.blurred(person.vertices), trust, person, settings)

    layout = person.mesh()
    texel, corners, weights = _texels(layout, settings.side)
    points = (person.vertices[corners] * weights[..., None]).sum(1)
    facing = (normals[corners] * weights[..., None]).sum(1)
    behind = (colors[corners] * weights[..., None]).sum(1)
    seen = view.trust(points, facing)
    drawn = seen[:, None] * view.colors(points) + (1 - seen[:, None]) * behind

    picture = np.zeros((settings.side**2, 3), np.float32)
    shares = np.zeros(settings.side**2, np.float32)
    known = np.zeros(settings.side**2, bool)
    picture[texel], shares[texel], known[texel] = drawn, seen, True
    shape = (settings.side, settings.side)
    spread = _spread(picture.reshape(*shape, 3), known.reshape(shape))
    return PhotoTexture(np.rint(spread.clip(0, 255)).astype(np.uint8), shares.reshape(shape))


def require_uv(body: BodyModel, name: str) -> None:
    """Refuse a body without texture coordinates.

    Args:
        body: The body.
        name: Its name, for the message.

    Raises:
        InputError: It has none.
    """
    if body.data.uv is None:
        raise InputError(
            f"the body '{name}' has no texture coordinates, so that it cannot get a texture: "
            "leave --texture out, or use an open body (neutral, male, female)."
        )


class _View:
    """A photo and what of the meshes in it each pixel shows.

    Args:
        image: (H, W, 3) uint8.
        camera: Its camera.
        everyone: The people, the one whose texture is made first.
        settings: Constants.
    """

    def __init__(self, image: np.ndarray, camera: Camera, everyone: Sequence[Person], settings: TextureSettings):
        import cv2

        from meshrec.render import depth, join

        self.image, self.camera, self.settings = image.astype(np.float32), camera, settings
        vertices, faces, _ = join([p.vertices for p in everyone], [p.faces for p in everyone])
        far = float(vertices[:, 2].max()) + 100
        self.depth = depth(vertices, faces, camera, background=far).numpy()
        own = self._pixels(everyone[0].vertices)
        height = float(np.ptp(own[:, 1])) + 1
        margin = max(1.0, settings.margin * height)
        pixel = float(everyone[0].vertices[:, 2].mean()) / float(camera.matrix[1, 1])  # metres that a pixel shows
        steps = cv2.dilate(self.depth, np.ones((3, 3))) - cv2.erode(self.depth, np.ones((3, 3)))
        inside = (steps < max(settings.jump, 4 * pixel)).astype(np.uint8)
        # A picture without an edge is at no distance from one.
        away = cv2.distanceTransform(inside, cv2.DIST_L2, 5) if not inside.all() else np.full(inside.shape, 2 * margin)
        self.clear = ((away - margin) / margin).clip(0, 1).astype(np.float32)
        self.soft = cv2.GaussianBlur(self.image, (0, 0), max(0.6, margin / 2))

    def trust(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """How far points (N, 3) of the surface with normals (N, 3) take the photo's colours: (N,) in [0, 1]."""
        settings = self.settings
        pixels = self._pixels(points)
        cosine = -(normals * points).sum(1) / np.maximum(
            np.linalg.norm(normals, axis=1) * np.linalg.norm(points, axis=1), 1e-9
        )
        facing = ((cosine - settings.edge_on) / (settings.facing - settings.edge_on)).clip(0, 1)
        column, row = np.rint(pixels).astype(int).T
        height, width = self.depth.shape
        inside = (points[:, 2] > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        row, column = row.clip(0, height - 1), column.clip(0, width - 1)
        nearest = points[:, 2] <= self.depth[row, column] + settings.slack
        return (facing * inside * nearest * self.clear[row, column]).astype(np.float32)

    def colors(self, points: np.ndarray) -> np.ndarray:
        """The photo's colours (N, 3), 0 to 255, where it shows points (N, 3)."""
        return self._sample(self.image, points)

    def blurred(self, points: np.ndarray) -> np.ndarray:
        """:meth:`colors` as means of some pixels, for the coarser vertices."""
        return self._sample(self.soft, points)

    def _sample(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        from scipy.ndimage import map_coordinates

        column, row = self._pixels(points).T
        return np.stack(
            [map_coordinates(p, [row, column], order=1, mode="nearest") for p in picture.transpose(2, 0, 1)], 1
        )

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        limit = 10.0 * max(self.camera.size)
        seen = self.camera.project(torch.from_numpy(np.ascontiguousarray(points, np.float32))).numpy()[:, :2]
        return np.nan_to_num(seen, nan=-limit, posinf=limit, neginf=-limit).clip(-limit, limit)


def _shrunk(image: np.ndarray, person: Person, camera: Camera, side: int) -> tuple[np.ndarray, Camera]:
    """The photo and its camera, so small that the person in it has about as many pixels as the texture has texels."""
    import cv2

    rows = camera.project(torch.from_numpy(person.vertices)).numpy()[:, 1]
    scale = 1.5 * side / max(1.0, float(np.ptp(rows.clip(0, camera.size[1]))))
    if scale >= 1:
        return image, camera
    size = max(1, round(camera.size[0] * scale)), max(1, round(camera.size[1] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), camera.resized(size)


def _normals(person: Person) -> np.ndarray:
    from meshrec.body.topology import vertex_normals

    faces = torch.from_numpy(np.ascontiguousarray(person.faces, np.int64))
    return vertex_normals(torch.from_numpy(person.vertices)[None], faces)[0].numpy()


def _filled(colors: np.ndarray, trust: np.ndarray, person: Person, settings: TextureSettings) -> np.ndarray:
    """Colours (V, 3) of all vertices from those (V, 3) of the trusted ones."""
    from scipy.spatial import cKDTree

    from meshrec.body.topology import adjacency

    seen = trust > 0.5
    if not seen.any():
        return np.full(colors.shape, GREY, np.float32)
    template = person.body.v_template.cpu().numpy().astype(np.float64)
    own, other = template[seen], template[seen] * [-1, 1, 1]  # of a body in its rest pose, which is symmetric
    further = np.repeat([[0.0], [settings.mirroring]], [len(own), len(other)], axis=0)
    tree = cKDTree(np.hstack([np.concatenate([own, other]), further]))
    query = np.hstack([template, np.zeros((len(template), 1))])
    distance, nearest = tree.query(query, k=min(settings.neighbors, len(own)))
    distance, nearest = (values.reshape(len(template), -1) for values in (distance, nearest))
    weights = 1 / (distance + 1e-3) ** 2
    guess = (np.tile(colors[seen], (2, 1))[nearest] * weights[..., None]).sum(1) / weights.sum(1, keepdims=True)
    known = trust[:, None]
    filled = known * colors + (1 - known) * guess
    links = adjacency(person.faces, len(template))
    degree = np.maximum(np.asarray(links.sum(1)).reshape(-1, 1), 1)
    for _ in range(settings.rounds):
        filled = known * colors + (1 - known) * (links @ filled / degree)
    return filled.astype(np.float32)


def _texels(mesh: Mesh, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The texels (N,) that lie on a mesh, the vertices (N, 3) of their faces and their weights (N, 3).

    The texture is what a camera sees that looks at the layout in the plane z = 1.
    """
    from meshrec.render import rasterize

    uv, uv_faces = mesh.uv, mesh.uv_faces
    assert uv is not None and uv_faces is not None
    flat = np.column_stack([uv[:, 0], 1 - uv[:, 1], np.ones(len(uv))]).astype(np.float32)
    layout = Camera(float(side), (-0.5, -0.5), (side, side))
    seen = rasterize(torch.from_numpy(flat), torch.from_numpy(uv_faces), layout)
    return seen.pixel.numpy(), mesh.faces[seen.face.numpy()], seen.barycentric.numpy()


def _spread(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give the texels between the islands the colour of the nearest known one, so that no seam shows in smaller
    pictures of the texture."""
    from scipy.ndimage import distance_transform_edt

    if known.all() or not known.any():
        return picture
    row, column = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return picture[row, column]
