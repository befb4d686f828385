"""What several cameras show of a person, and what else is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body.joints import joint_set
from meshrec.body.state import choose
from meshrec.detect.people import Detection
from meshrec.errors import InputError
from meshrec.fit.evidence import Evidence
from meshrec.fit.fitter import Fitter
from meshrec.fit.in_view import SeenInViews, ViewSpace, ViewTerm, ViewTerms
from meshrec.fit.initial import Initial
from meshrec.fit.knowledge import Knowledge
from meshrec.fit.settings import Balance
from meshrec.fit.terms import Reprojection
from meshrec.fit.turns import ObservedTurns
from meshrec.fit.unseen import UnseenLegs
from meshrec.geometry import Camera


@dataclass(frozen=True, eq=False)
class ViewEvidence:
    """What V cameras show of one person in N instants.

    Attributes:
        joint: The landmarks of all views, and what else is known.
        views: What each camera shows, in its own space.
        spaces: The cameras' spaces.
        seen: (V, N) bool, where there is a detection.
    """

    joint: Evidence[SeenInViews]
    views: list[Evidence[Reprojection]]
    spaces: list[ViewSpace]
    seen: Tensor

    def __len__(self) -> int:
        return len(self.joint)


def view_evidence(
    fitter: Fitter,
    detections: Sequence[Sequence[Detection | None]],
    cameras: Sequence[Camera],
    balance: Balance,
    initial: Sequence[Initial | None] | None = None,
    up: np.ndarray | None = None,
    joints: str | None = None,
) -> ViewEvidence:
    """What the cameras show of one person in N instants.

    Args:
        fitter: The fit of photos.
        detections: For each of V cameras the person in N instants; at least one is not None, unless there are
            ``joints``.
        cameras: The V cameras, with extrinsics.
        balance: Weights.
        initial: For each camera a regressor's N estimates in its space, or None. They count in instants that one
            camera alone sees.
        up: (3,) unit vector against gravity in the world, where it is known.
        joints: Joint set of the detections. Default: what they say.

    Raises:
        InputError: The detections have different joint sets, or the body lacks one of their landmarks.
    """
    joints = joint_set_of(detections) if joints is None else joints
    nobody = _nobody(joints)
    filled = [[nobody if person is None else person for person in view] for view in detections]
    seen = torch.tensor([[person is not None for person in view] for view in detections])
    views = [fitter.evidence(view, camera, None, balance) for view, camera in zip(filled, cameras)]
    spaces = [ViewSpace.of(camera, fitter.skeleton) for camera in cameras]
    landmarks = SeenInViews([ViewTerm(own.seen, space) for own, space in zip(views, spaces)])
    unseen = torch.stack([own.unseen for own in views]).amin(0)
    known = _knowledge(fitter, views, spaces, unseen * seen.any(0), up)
    if initial is not None:
        known = replace(known, initial=_of_single_views(initial, spaces, seen))
    return ViewEvidence(Evidence(landmarks, known, unseen, joints), views, spaces, seen)


def joint_set_of(detections: Sequence[Sequence[Detection | None]]) -> str:
    """The joint set that all detections share.

    Raises:
        InputError: They have different ones.
    """
    found = {person.joint_set for view in detections for person in view if person is not None}
    if len(found) > 1:
        raise InputError(f"all views of a person need keypoints of the same joint set, not {', '.join(sorted(found))}.")
    return found.pop()


def _knowledge(
    fitter: Fitter,
    views: Sequence[Evidence[Reprojection]],
    spaces: Sequence[ViewSpace],
    unseen: Tensor,
    up: np.ndarray | None,
) -> Knowledge:
    """What is known besides landmarks: the priors of everybody, and what each view tells of heads and wrists."""
    everybody = views[0].known.everybody
    if up is not None:
        x, y, z = np.asarray(up, np.float64).tolist()
        everybody = (*everybody, replace(fitter.settings.upright, up=(x, y, z)))
    turns = [
        ViewTerm(own.known.turns, space)
        for own, space in zip(views, spaces)
        if isinstance(own.known.turns, ObservedTurns)
    ]
    # The trunk's lean along the line of sight, which one camera can hardly tell, is seen by the other ones.
    settings = replace(fitter.settings.unseen, lean=np.inf)
    legs = UnseenLegs(fitter.skeleton, unseen, settings) if unseen.any() else None
    return Knowledge(everybody, None, None, ViewTerms(turns) if turns else None, legs)


def _nobody(joints: str) -> Detection:
    """A detection that says nothing."""
    return Detection(np.array([0, 0, 1, 1], np.float32), np.zeros((len(joint_set(joints)), 3), np.float32), joints, 0.0)


def _of_single_views(initial: Sequence[Initial | None], spaces: Sequence[ViewSpace], seen: Tensor) -> Initial | None:
    """A regressor's estimates in the world of the instants that one camera alone sees; they know nothing of others."""
    result = None
    for guess, space, own in zip(initial, spaces, seen):
        only = own & (seen.sum(0) == 1)
        if guess is not None and only.any():
            there = space.estimates_in_world(guess)
            if result is None:
                result = Initial(there.state, torch.zeros_like(there.whiten))
            whiten = torch.where(only[:, None, None], there.whiten, result.whiten)
            result = Initial(choose(only, there.state, result.state), whiten)
    return result
