"""Pictures of synthetic people with objects pasted in front of them (Sárándi et al. 2018)."""

from dataclasses import replace

import numpy as np
import torch

from meshrec.data.occluders import paste_several
from meshrec.training.pictured import PicturedPeople


def with_occluders(people: PicturedPeople, share: float = 0.5, most: int = 8, seed: int = 0) -> PicturedPeople:
    """Paste random shapes into some of the pictures; a thousand of 64 pixels take a second. Labels stay.

    Args:
        people: N people.
        share: Probability that a picture gets objects.
        most: Largest number of objects in a picture; the smallest is one.
        seed: Seed of objects and places.
    """
    rng = np.random.default_rng(seed)
    images = people.image.movedim(1, -1).numpy().copy()
    for number in np.flatnonzero(rng.random(len(images)) < share):
        images[number] = paste_several(images[number], rng, most)
    return replace(people, image=torch.from_numpy(images).movedim(-1, 1).contiguous())
