"""Where the fit of a person in several views starts: bodies in the place in which all cameras see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from meshrec.body.state import BodyState
from meshrec.fit.fitter import Fitter
from meshrec.fit.initial import Initial
from meshrec.fit.solver import Term, total
from meshrec.fit.view_evidence import ViewEvidence
from meshrec.fit.view_settings import ViewSettings
from meshrec.landmarks.numba_backend import landmark_positions


def view_starts(
    fitter: Fitter, evidence: ViewEvidence, initial: Sequence[Initial | None], settings: ViewSettings
) -> BodyState:
    """Where the fit starts: of the estimates from every view, or else of similar poses, those that fit all views.

    Args:
        fitter: The fit of photos.
        evidence: What the cameras show in N instants.
        initial: A regressor's N estimates in each camera's space, or None.
        settings: How starts are placed, and how many are kept.

    Returns:
        Bodies in the world: the same number for each instant, those of one instant next to each other.
    """
    count, parts = len(evidence), []
    for view, space, guess, seen in zip(evidence.views, evidence.spaces, initial, evidence.seen):
        state = fitter.starts(view, guess)
        each = len(state) // count
        # A camera that does not see the person has no estimate; what another one says is tried in its place.
        parts.append((space.to_world(state), each, seen))
    states = [placed_in_views(state, evidence, settings, each) for state, each, _ in parts]
    number = sum(each for _, each, _ in parts)
    together = _interleaved(states, [each for _, each, _ in parts], count)
    alive = torch.cat([seen[:, None].expand(-1, each) for _, each, seen in parts], 1)
    loose = evidence.joint.seen.with_cutoff(settings.cutoff)
    terms: list[Term] = [loose.repeated(number), *evidence.joint.known.repeated(number).terms()]
    energy = total(terms, together).energy.view(count, number).nan_to_num(torch.inf, torch.inf)
    energy = torch.where(alive, energy, torch.inf)
    best = energy.argsort(1)[:, : min(settings.starts, number)]
    return together[(best + number * torch.arange(count)[:, None]).flatten()]


def placed_in_views(state: BodyState, evidence: ViewEvidence, settings: ViewSettings, each: int = 1) -> BodyState:
    """Bodies in the place in which their landmarks project closest to those of all views.

    With q = R (p + t) + T for a landmark p of a body without translation, q_xy = r q_z on the ray r is linear in
    the translation t. Weights make its errors robust ones of pixels.

    Args:
        state: Bodies in the world, ``each`` of them for each of N instants.
        evidence: What the cameras show.
        settings: How starts are placed.
        each: Their number for each instant.
    """
    seen = evidence.joint.seen.repeated(each)
    landmarks = evidence.views[0].seen.landmarks
    points = landmark_positions(landmarks, replace(state, translation=torch.zeros_like(state.translation)))
    designs, wants, scales, places = [], [], [], []
    for view in seen.views:
        own, space = view.term, view.space
        focal = torch.as_tensor(own.camera.focal, dtype=torch.float64)
        rays = (own.pixels - torch.as_tensor(own.camera.center, dtype=torch.float64)) / focal
        turned = points @ space.rotation.T + space.translation
        designs.append(space.rotation[:2] - rays[..., None] * space.rotation[2])  # (B, K, 2, 3)
        wants.append(rays * turned[..., 2:] - turned[..., :2])
        scales.append(own.precision * focal.mean())
        places.append((turned[..., 2], space.rotation[2]))
    design, wanted, scale = torch.cat(designs, 1), torch.cat(wants, 1), torch.cat(scales, 1)
    weight, translation = scale, state.translation
    eye = 1e-9 * torch.eye(3, dtype=torch.float64)
    for _ in range(settings.placing):
        share = weight[..., None, None].square()
        normal = (design.mT @ (share * design)).sum(1) + eye
        right = (design.mT @ (share * wanted[..., None])).sum(1)
        translation = torch.linalg.solve(normal, right).squeeze(-1)
        depth = torch.cat([z + (translation @ axis)[:, None] for z, axis in places], 1).clamp(min=0.3)
        error = scale / depth * ((design @ translation[:, None, :, None]).squeeze(-1) - wanted).norm(dim=-1)
        weight = scale / depth * settings.cutoff**2 / (settings.cutoff**2 + error.square())
    return replace(state, translation=translation)


def _interleaved(states: Sequence[BodyState], each: Sequence[int], count: int) -> BodyState:
    """Batches of ``each[k]`` bodies for each of ``count`` instants as one, those of one instant next to each other."""

    def joined(name: str) -> Tensor:
        parts = [getattr(state, name).unflatten(0, (count, n)) for state, n in zip(states, each)]
        return torch.cat(parts, 1).flatten(0, 1)

    return BodyState(joined("rotations"), joined("translation"), joined("betas"))
