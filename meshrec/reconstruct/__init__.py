"""People from photos and clips: the public objects."""

from meshrec.reconstruct.ground import Ground
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.reconstructor import Reconstructor
from meshrec.reconstruct.track import Track

__all__ = ["Ground", "Person", "Reconstructor", "Track"]
