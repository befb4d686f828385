"""People from photos: the public objects."""

from meshrec.reconstruct.ground import Ground
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.reconstructor import Reconstructor

__all__ = ["Ground", "Person", "Reconstructor"]
