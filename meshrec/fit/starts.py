"""Where a fit starts: the known poses, seen from all around, that look most like what was detected.

One photo allows several answers: facing us or away, a limb bent forwards or backwards. A search among many poses and
directions finds answers that are far apart, and a fit from each tells which explains the photo best.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.body.state import BodyState
from meshrec.fit.terms import NEAREST
from meshrec.geometry import Camera, axis_angle_to_matrix
from meshrec.geometry.crops import look_along
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions

# From a body's space (y up, z forward) to that of a camera it faces (y down, z away from the camera).
FACING = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
# Quarter turns of the camera about its axis: upright, lying and upside-down people.
ROLLS = axis_angle_to_matrix(torch.tensor([[0.0, 0.0, n * torch.pi / 2] for n in range(4)], dtype=torch.float64))
ROLL_PENALTY = 2.0  # how much better a rolled pose must look than an upright one


@dataclass(frozen=True)
class PoseLibrary:
    """Poses and how they look from D directions.

    Attributes:
        rotations: (N, 24, 3, 3) local rotations, float64; the root turns the body upright in front of the camera.
        directions: (D, 3, 3) turns of the camera's space, applied before the root.
        points: (N, K, 3) their landmarks, camera space seen from the first direction, about their pelvis, metres.
        looks: (N * D, 2 K) float32, the x and y of the landmarks seen from each direction without perspective.
        squares: (N * D, K) float32, their squared distances from the pelvis as seen.
    """

    rotations: Tensor
    directions: Tensor
    points: Tensor
    looks: Tensor
    squares: Tensor

    @classmethod
    def build(cls, rotations: Tensor, landmarks: LandmarkMoments, yaws: int = 24) -> "PoseLibrary":
        """Look at poses (N, 24, 3, 3), whose roots are oriented in a y-up world, from ``yaws`` directions."""
        rotations = rotations.double().clone()
        rotations[:, 0] = FACING @ rotations[:, 0]
        count = len(rotations)
        betas = torch.zeros(count, landmarks.num_betas, dtype=torch.float64)
        points = landmark_positions(landmarks, BodyState(rotations, torch.zeros(count, 3, dtype=torch.float64), betas))
        turns = torch.zeros(yaws, 3, dtype=torch.float64)
        turns[:, 1] = torch.arange(yaws) * (2 * torch.pi / yaws)
        directions = axis_angle_to_matrix(turns)
        looks = torch.einsum("drc,nkc->ndkr", directions[:, :2], points).flatten(0, 1).float().contiguous()
        return cls(rotations, directions, points, looks.flatten(1), looks.square().sum(-1))

    def search(
        self,
        landmarks: LandmarkMoments,
        camera: Camera,
        pixels: Tensor,
        precision: Tensor,
        count: int,
        apart: float = 0.12,
    ) -> BodyState:
        """The likeliest poses and places for each of B people.

        Args:
            landmarks: Those that the library was built with.
            camera: The photo's.
            pixels: (B, K, 2) where they were seen.
            precision: (B, K) 1 / pixels; 0 where nothing was seen.
            count: How many answers a person gets.
            apart: Metres between corresponding landmarks, root mean square, by which two answers must differ.

        Returns:
            B * count states, a person's one after the other, likeliest first.
        """
        focal = torch.as_tensor(camera.focal, dtype=torch.float64).expand(2)
        center = torch.as_tensor(camera.center, dtype=torch.float64)
        weight = (precision / precision.amax(1, keepdim=True).clamp(min=1e-9)).square() + 1e-9
        rays = torch.cat([(pixels - center) / focal, torch.ones_like(pixels[..., :1])], dim=-1)
        middle = (weight[..., None] * rays).sum(1) / weight.sum(1)[:, None]
        look = look_along(middle)
        seen = rays @ look.transpose(1, 2)  # look @ ray: the person's middle comes to the optical axis
        seen = seen[..., :2] / seen[..., 2:]
        chosen = [self._search_one(s.float(), w.float(), count, apart) for s, w in zip(seen, weight)]
        pose, turn = (torch.cat(parts) for parts in zip(*chosen))
        rotations = self.rotations[pose].clone()
        rotations[:, 0] = look.repeat_interleave(count, 0).transpose(1, 2) @ turn @ rotations[:, 0]
        betas = torch.zeros(len(pose), landmarks.num_betas, dtype=torch.float64)
        state = BodyState(rotations, torch.zeros(len(pose), 3, dtype=torch.float64), betas)
        offsets = landmark_positions(landmarks, state)
        translation = _translation(offsets, *(t.repeat_interleave(count, 0) for t in (rays[..., :2], weight)))
        closest = 2 * NEAREST - offsets[..., 2].amin(1)
        translation[:, 2] = translation[:, 2].clamp(min=closest)
        return BodyState(rotations, translation, betas)

    def _search_one(self, seen: Tensor, weight: Tensor, count: int, apart: float) -> tuple[Tensor, Tensor]:
        """The poses (count,) and turns (count, 3, 3) that look most like points (K, 2) of any place and size."""
        share = weight / weight.sum()
        centred = seen - share @ seen
        # Turning the points back by each roll of the camera serves for turning all looks by it.
        pulls = (share[:, None] * (centred @ ROLLS[:, :2, :2].float())).flatten(1)
        # For looks a and points y, both centred: min over s of |s a - y|^2 = |y|^2 - (a . y)^2 / |a|^2, s > 0.
        shares = torch.einsum("k,ab->akb", share, torch.eye(2)).flatten(1)  # of x alone and of y alone
        dots = self.looks @ torch.cat([pulls, shares]).T
        size = self.squares @ share - dots[:, -2:].square().sum(1)
        alike = dots[:, :-2].clamp(min=0).square() / size.clamp(min=1e-6)[:, None]
        unlike = 1 - alike / (share @ centred.square().sum(1)).clamp(min=1e-12)
        unlike[:, 1:] *= ROLL_PENALTY
        best = unlike.flatten().topk(min(64 * count, unlike.numel()), largest=False).indices
        look, roll = best // len(ROLLS), best % len(ROLLS)
        pose, turn = look // len(self.directions), ROLLS[roll] @ self.directions[look % len(self.directions)]
        points = self.points[pose] @ turn.transpose(1, 2)
        flat = (points - (share.double()[:, None] * points).sum(1, keepdim=True)).flatten(1).float()
        near = (torch.cdist(flat, flat) < apart * len(seen) ** 0.5).tolist()
        kept: list[int] = []
        for i, close in enumerate(near):
            if len(kept) < count and not any(close[k] for k in kept):
                kept.append(i)
        kept = (kept * count)[:count]
        return pose[kept], turn[kept]


def _translation(offsets: Tensor, rays: Tensor, weight: Tensor) -> Tensor:
    """Translations (B, 3) under which points (B, K, 3) project closest to rays (B, K, 2) at unit depth.

    x + tx = r (z + tz) is linear in the translation.
    """
    ones, zeros = torch.ones_like(weight), torch.zeros_like(weight)
    rows = [torch.stack([ones, zeros, -rays[..., 0]], -1), torch.stack([zeros, ones, -rays[..., 1]], -1)]
    system = torch.cat(rows, dim=1)
    wanted = (rays * offsets[..., 2:] - offsets[..., :2]).transpose(1, 2).flatten(1)
    share = weight.repeat(1, 2)[..., None]
    normal = system.transpose(1, 2) @ (share * system) + 1e-9 * torch.eye(3, dtype=system.dtype)
    translation = torch.linalg.solve(normal, system.transpose(1, 2) @ (share[..., 0] * wanted)[..., None]).squeeze(-1)
    return translation
