"""People from photos and clips: the public objects."""

from meshrec.reconstruct.ground import Ground
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.photo_textures import PhotoTexture, photo_texture
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.reconstruct.track import Track

__all__ = ["Ground", "Person", "PhotoTexture", "Reconstructor", "Track", "photo_texture"]
