"""The term that keeps forearms and hands out of the rest of the body.

Points on a forearm are matched to the nearest points of the body's skin, as outlines are matched: where a point lies
behind the tangent plane of its match, it is inside the body and the two are pushed apart along the normal. A point in
front of the plane costs nothing, so that a hand may rest on the body. Upper arms are left out, since a bent elbow
presses the forearm against them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_index
from meshrec.body.state import BodyState
from meshrec.body.topology import vertex_normals
from meshrec.fit.solver import Quadratic, squares
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_jacobians

SIDES = ("left", "right")


@dataclass(frozen=True)
class ContactSettings:
    """How forearms are matched to the body, and how much it counts that they go through it.

    Attributes:
        every: One of so many vertices of a forearm with its hand is matched.
        among: To one of so many vertices of the rest of the body.
        reach: Greatest distance in front of the skin at which a point is matched, metres, so that a step that pushes
            some points out does not push others in unnoticed.
        deepest: Greatest distance of a match, metres. No point inside a body is farther from its skin.
        deviation: Standard deviation of a point's depth, metres.
        independent: Number of independent points as which all points of a forearm inside the body count.
        spared: Share of a forearm's points that may be inside the body before it is pushed out.
        rounds: Largest number of rounds of matching after those of the outline. There are none where no
            forearm is inside.
        steps: Number of steps in each of them.
    """

    every: int = 6
    among: int = 3
    reach: float = 0.02
    deepest: float = 0.15
    deviation: float = 0.01
    independent: float = 20.0
    spared: float = 0.01
    rounds: int = 4
    steps: int = 3


@dataclass(frozen=True)
class ContactTerm:
    """Half the sum of the squared depths of points inside the body, in standard deviations.

    Attributes:
        landmarks: K points of forearms, followed by the K points of the skin next to them.
        normals: (K, 3) unit normals of the skin, outwards.
        deviation: (K,) standard deviations of the depths, metres.
    """

    landmarks: LandmarkMoments
    normals: Tensor
    deviation: Tensor

    def __call__(self, state: BodyState) -> Quadratic:
        """The term's quadratic in the P unknowns of B bodies."""
        points, jacobian = landmark_jacobians(self.landmarks, state)
        count = len(self.normals)
        height = ((points[:, :count] - points[:, count:]) * self.normals).sum(-1) / self.deviation
        slopes = (jacobian[:, :count] - jacobian[:, count:]) * self.normals[..., None]
        inside = height < 0
        slopes = slopes.sum(-2) * (inside / self.deviation)[..., None]
        return squares(height * inside, slopes, slice(None), state.unknowns)


@dataclass(frozen=True)
class Forearms:
    """The vertices of a body that are matched.

    Attributes:
        body: The body.
        skeleton: Any landmarks of the body.
        points: Vertices of each forearm with its hand.
        skin: Vertices of the rest of the body for each forearm.
        settings: How they are matched.
    """

    body: BodyModel
    skeleton: LandmarkMoments
    points: tuple[np.ndarray, ...]
    skin: tuple[np.ndarray, ...]
    settings: ContactSettings

    @classmethod
    def of_body(
        cls, body: BodyModel, skeleton: LandmarkMoments, settings: ContactSettings = ContactSettings()
    ) -> Forearms:
        """Choose vertices of a body, whose parts are known, for matching."""

        def of(side: str, *names: str) -> np.ndarray:
            return np.isin(body.part_labels, [joint_index(f"{side}_{name}", "smpl24") for name in names])

        arms = [of(side, "elbow", "wrist", "hand") for side in SIDES]
        rests = [~(arm | of(side, "shoulder")) for side, arm in zip(SIDES, arms)]
        points = tuple(np.flatnonzero(arm)[:: settings.every] for arm in arms)
        return cls(body, skeleton, points, tuple(np.flatnonzero(rest)[:: settings.among] for rest in rests), settings)

    def match(self, state: BodyState) -> ContactTerm | None:
        """Match the forearms of one body to its skin.

        Args:
            state: A batch of one.

        Returns:
            The term of the points of forearms in the body, and of those close to it; None if no forearm is.
        """
        vertices = state.posed(self.body)
        normals = vertex_normals(vertices, self.body.faces)[0]
        pairs, weights = [], []
        for points, skin in zip(self.points, self.skin):
            own, height = self._nearest(vertices[0], normals, points, skin)
            if (inside := int((height < 0).sum())) > self.settings.spared * len(points):
                pairs.append(own)
                weights.append(np.full(len(own), min(1.0, self.settings.independent / inside)))
        if not pairs:
            return None
        points, skin = np.concatenate(pairs).T
        return ContactTerm(
            landmarks=self.skeleton.at_vertices(self.body, np.concatenate([points, skin])),
            normals=normals[skin].double(),
            deviation=torch.from_numpy(self.settings.deviation / np.concatenate(weights) ** 0.5),
        )

    def _nearest(
        self, vertices: Tensor, normals: Tensor, points: np.ndarray, skin: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Match points of a forearm to the nearest points of the skin.

        Args:
            vertices: (V, 3) posed vertices, metres.
            normals: (V, 3) unit normals.
            points: Vertices of the forearm.
            skin: Vertices of the rest of the body.

        Returns:
            (K, 2) vertices of the forearm and of the skin, those in the body or close to it, and the heights (K,) of
            the former above the tangent plane of the latter, metres.
        """
        arm, farthest = vertices[points], self.settings.deepest
        around = (vertices[skin] > arm.amin(0) - farthest) & (vertices[skin] < arm.amax(0) + farthest)
        skin = skin[around.all(1).numpy()]
        if not len(skin):
            return np.empty((0, 2), np.int64), np.empty(0, np.float32)
        gaps = torch.cdist(arm, vertices[skin])
        distance, nearest = gaps.min(1)
        height = ((arm - vertices[skin[nearest]]) * normals[skin[nearest]]).sum(-1)
        close = distance < farthest
        inside = close & (height < 0)
        if inside.any():
            # A forearm leaves the body by one side as a whole: that from whose skin its points are closest.
            away = torch.cat([-normals[skin][:, [0, 2]], normals[skin][:, [0, 2]]], 1) > 0  # right, front, left, back
            ways = [gaps[inside].masked_fill(side, torch.inf).min(1) for side in away.T]
            nearest[inside] = min(ways, key=lambda way: float(way.values.sum())).indices
            height = ((arm - vertices[skin[nearest]]) * normals[skin[nearest]]).sum(-1)
        kept = (close & (height < self.settings.reach)).numpy()
        return np.stack([points, skin[nearest.numpy()]], 1)[kept], height.numpy()[kept]
