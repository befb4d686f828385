"""Pictures of meshes: silhouettes and depth that losses can differentiate, and shaded pictures to look at."""

from meshrec.render.backends import backends
from meshrec.render.fragments import Fragments, rasterize
from meshrec.render.lights import Phong, SphericalHarmonics
from meshrec.render.shading import Texture, join, shaded

__all__ = ["Fragments", "Phong", "SphericalHarmonics", "Texture", "backends", "join", "rasterize", "shaded"]
