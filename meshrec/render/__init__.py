"""Pictures of meshes: silhouettes and depth that losses can differentiate, and shaded pictures to look at."""

from meshrec.render.backends import backends
from meshrec.render.fragments import Fragments, rasterize
from meshrec.render.lights import Phong, SphericalHarmonics
from meshrec.render.maps import depth, normals, part_map
from meshrec.render.shading import Texture, join, shaded
from meshrec.render.silhouette import silhouette

__all__ = [
    "Fragments",
    "Phong",
    "SphericalHarmonics",
    "Texture",
    "backends",
    "depth",
    "join",
    "normals",
    "part_map",
    "rasterize",
    "shaded",
    "silhouette",
]
