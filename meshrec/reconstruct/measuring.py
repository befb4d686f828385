"""Measures of reconstructed people and of shapes: lengths, girths, volume and mass, with their uncertainty."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.body.anthropometry import Measures
from meshrec.body.tailor import Tailor, covariance_given_stature, with_known_stature
from meshrec.errors import InputError
from meshrec.fit.stature import LEAST, MOST
from meshrec.reconstruct.person import Person


def measure(
    who: Person | BodyModel,
    betas: np.ndarray | torch.Tensor | Sequence[float] | None = None,
    covariance: np.ndarray | None = None,
    height: float | None = None,
) -> Measures:
    """Measure a person, or a shape of a body, in T-pose as :mod:`meshrec.body.anthropometry` says.

    Args:
        who: A person, whose betas and covariance are taken; or a body.
        betas: (S,) shape coefficients of the body. Default: the mean shape. Not with a person.
        covariance: (S, S) covariance of the errors of the betas. Default: that of the person.
        height: The stature, metres, if it is known. The betas become the likeliest ones of that stature.

    Returns:
        The measures in metres, litres and kilograms, with standard deviations where there is a covariance.

    Raises:
        InputError: The body has no shape of that stature.
        TypeError: Betas are given with a person.
        ValueError: Betas or covariance have another shape.

    Example:
        >>> import meshrec
        >>> measures = meshrec.measure(meshrec.load_body("female"), height=1.70)
        >>> round(measures["stature"], 2), measures["inseam"] < 0.9
        (1.7, True)
    """
    if isinstance(who, Person):
        if betas is not None:
            raise TypeError("a person has betas already: give a body and betas, or a person")
        body, shape = who.body, torch.from_numpy(who.betas)
        covariance = who.shape_covariance if covariance is None else covariance
    else:
        body = who
        shape = torch.zeros(body.num_betas) if betas is None else torch.as_tensor(np.asarray(betas)).float()
    if shape.ndim != 1 or not 0 < len(shape) <= body.num_betas:
        raise ValueError(f"betas should be (up to {body.num_betas},), not {tuple(shape.shape)}")
    known = None if covariance is None else torch.as_tensor(np.asarray(covariance)).double()
    if known is not None and known.shape != (len(shape), len(shape)):
        raise ValueError(f"the covariance should be {len(shape)} x {len(shape)}, not {tuple(known.shape)}")
    if height is not None:
        if not LEAST <= height <= MOST:
            raise InputError(f"a stature is from {LEAST:g} to {MOST:g} metres, not {height:g}")
        shape = with_known_stature(body, shape, height, known)
        known = None if known is None else covariance_given_stature(body, shape, known)
    return Tailor(body).measure(shape, known)


def measure_files(
    files: Sequence[str | os.PathLike], body: str | Path | BodyModel | None = None, height: float | None = None
) -> list[Measures]:
    """Measure the people in parameter files.

    Args:
        files: ``.json`` or ``.npz`` files of :meth:`Person.save`.
        body: The body to which the parameters belong. Default: the open body that each file names.
        height: Stature of everyone, metres, if it is known.

    Raises:
        InputError: A file or its body cannot be read, or the body has no shape of that stature.
    """
    found = []
    for file in files:
        person = Person.load(file, body)
        try:
            found.append(measure(person, height=height))
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
    return found
