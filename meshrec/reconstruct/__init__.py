"""From a photo to the people in it."""

from meshrec.reconstruct.person import Person
from meshrec.reconstruct.reconstructor import Reconstructor

__all__ = ["Person", "Reconstructor"]
