"""People from photos: the public objects."""

from meshrec.reconstruct.person import Person
from meshrec.reconstruct.reconstructor import Reconstructor

__all__ = ["Person", "Reconstructor"]
