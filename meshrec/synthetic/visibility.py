"""Which landmarks and pixels of synthetic people a photo shows: self-occlusion, and the edges of the photo.

The mesh of a rendered person hides landmarks (:func:`behind_surface`). For people who are never rendered, capsules
along the limbs stand in for the mesh (:func:`behind_limbs`); the two agree for about nine landmarks in ten. What stands
in front of people is in :mod:`meshrec.synthetic.occluders`.
"""

from torch import Tensor
from torch.nn.functional import normalize

from meshrec.body import joint_set
from meshrec.geometry import Camera
from meshrec.render.backends import pick, rasterizer
from meshrec.render.screen import to_screen
from meshrec.synthetic.occluders import pixel_grid

# A landmark counts as hidden from this depth behind the visible surface on, metres: joints lie inside the limbs.
HIDDEN_DEPTH = 0.13

# Radii in metres of the capsules between two joints, chosen so that they hide the landmarks that renders hide.
CAPSULES = {
    ("neck", "head_top"): 0.065,
    ("pelvis", "neck"): 0.1,
    ("left_hip", "left_shoulder"): 0.085,
    ("left_shoulder", "left_elbow"): 0.05,
    ("left_elbow", "left_wrist"): 0.04,
    ("left_wrist", "left_index"): 0.035,
    ("left_hip", "left_knee"): 0.1,
    ("left_knee", "left_ankle"): 0.047,
    ("left_ankle", "left_big_toe"): 0.04,
}


def visible_faces(vertices: Tensor, faces: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Rasterise meshes, without anything in front of them.

    Args:
        vertices: (B, V, 3) in camera space, metres.
        faces: (F, 3) vertex indices.
        camera: The cameras of the crops.

    Returns:
        The visible face of each pixel (B, H, W), -1 where there is none, and the depth of each vertex (B, V), metres.
    """
    screen = to_screen(vertices, camera)
    draw = rasterizer(pick(None, screen.device)).visible_faces
    return draw(screen, faces, camera.size, True), screen[..., 2]


def behind_surface(pixels: Tensor, depth: Tensor, face_id: Tensor, faces: Tensor, vertex_depth: Tensor) -> Tensor:
    """Which landmarks lie more than :data:`HIDDEN_DEPTH` behind the visible surface.

    Args:
        pixels: (B, K, 2) projected landmarks.
        depth: (B, K) depths of the landmarks, metres.
        face_id: (B, H, W) the visible face of each pixel, -1 where there is none.
        faces: (F, 3) vertex indices.
        vertex_depth: (B, V) depths of the vertices, metres.

    Returns:
        (B, K) bool, false for landmarks outside the picture.
    """
    face = at_pixels(face_id, pixels, outside=-1).long()
    corners = faces[face.clamp_min(0)].flatten(1)
    surface = vertex_depth.gather(1, corners).view(*face.shape, 3).mean(-1)
    return (face >= 0) & (depth - surface > HIDDEN_DEPTH)


def behind_limbs(points: Tensor, joints: Tensor) -> Tensor:
    """Which points lie more than :data:`HIDDEN_DEPTH` behind a body made of :data:`CAPSULES`.

    Args:
        points: (B, K, 3) in camera space, metres.
        joints: (B, 55, 3) the ``union55`` joints of the same people, likewise.

    Returns:
        (B, K) bool.
    """
    names = joint_set("union55")
    ends = [(a, b, r) for (a, b), r in CAPSULES.items()]
    ends += [(a.replace("left", "right"), b.replace("left", "right"), r) for a, b, r in ends if "left" in a]
    start = joints[:, None, [names.index(a) for a, _, _ in ends]]
    along = joints[:, None, [names.index(b) for _, b, _ in ends]] - start
    radius = joints.new_tensor([r for _, _, r in ends])
    ray = normalize(points, dim=-1)[:, :, None]
    start = start - points[:, :, None]
    # Split the capsule's axis into components along and across the viewing ray. The axis comes nearest to the ray where
    # the component across is shortest.
    start_depth, depth_change = (start * ray).sum(-1), (along * ray).sum(-1)
    start_across, across_change = start - start_depth[..., None] * ray, along - depth_change[..., None] * ray
    nearest = -(start_across * across_change).sum(-1) / across_change.square().sum(-1).clamp(min=1e-9)
    nearest = nearest.clamp(0, 1)
    distance = (start_across + nearest[..., None] * across_change).square().sum(-1)
    inside = (radius**2 - distance).clamp(min=0).sqrt()
    front = start_depth + nearest * depth_change - inside
    return ((inside > 0) & (front < -HIDDEN_DEPTH)).any(-1)


def inside_photo(photo: Tensor, size: tuple[int, int]) -> Tensor:
    """Which pixels of the crops lie inside the photos.

    Args:
        photo: (B, 4) outer edges x0, y0, x1, y1 of the photos, in pixels of the crops.
        size: Width and height of the crops, pixels.

    Returns:
        (B, H, W) bool.
    """
    x, y = pixel_grid(size, photo)
    x0, y0, x1, y1 = photo[:, :, None, None].unbind(1)
    return ((x > x0) & (x < x1)) & ((y > y0) & (y < y1))


def outside_photo(photo: Tensor, pixels: Tensor) -> Tensor:
    """Which points lie outside the photos.

    Args:
        photo: As for :func:`inside_photo`.
        pixels: (B, K, 2) points, in pixels of the crops.

    Returns:
        (B, K) bool.
    """
    return ((pixels < photo[:, None, :2]) | (pixels > photo[:, None, 2:])).any(-1)


def at_pixels(pictures: Tensor, pixels: Tensor, outside: int = 0) -> Tensor:
    """Values of pictures (B, H, W) at the pixels nearest to points (B, K, 2).

    Args:
        pictures: (B, H, W).
        pixels: (B, K, 2) points, pixels.
        outside: The value for points outside the picture.

    Returns:
        (B, K).
    """
    height, width = pictures.shape[1:]
    x, y = pixels.round().long().unbind(-1)
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    place = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return pictures.flatten(1).gather(1, place).masked_fill(~within, outside)
