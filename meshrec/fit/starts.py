"""Starting points of a fit: known poses, seen from all sides, whose landmarks look most like the detected ones.

One photo allows several solutions, such as facing the camera or away from it, or a limb bent forwards or backwards. A
search among many poses and directions finds solutions that are far apart, and a fit from each of them shows which one
explains the photo best.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from meshrec.body.state import BodyState
from meshrec.fit.terms import NEAREST
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix
from meshrec.geometry.crops import look_along
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions

# Quarter turns of the camera about its axis, for upright, lying and upside-down people.
ROLLS = axis_angle_to_matrix(torch.tensor([[0.0, 0.0, n * torch.pi / 2] for n in range(4)], dtype=torch.float64))


@dataclass(frozen=True)
class StartSettings:
    """What the library of poses holds, and how it is searched.

    Attributes:
        count: Starts of each person.
        apart: Least root mean square distance between the corresponding landmarks of two starts, metres.
        roll_penalty: Factor of the dissimilarity of poses rolled by a quarter turn or more, which stand for lying and
            upside-down people. Most people are upright.
        yaws: Directions from which each pose is seen.
        bank_step: Only one of so many frames of the pose bank is used, since consecutive frames hardly differ.
        everyday: Number of everyday poses, of people who stand, walk and sit, beside the bank's dancers and fighters.
    """

    count: int = 6
    apart: float = 0.12
    roll_penalty: float = 2.0
    yaws: int = 24
    bank_step: int = 32
    everyday: int = 600


@dataclass(frozen=True)
class PoseLibrary:
    """N poses and their K landmarks seen from D directions.

    Attributes:
        rotations: (N, 24, 3, 3) local rotations, float64. With the root's the body stands upright before the camera.
        directions: (D, 3, 3) rotations about the vertical that are applied on top of the root's.
        points: (N, K, 3) landmarks from the first direction, camera space about the pelvis, metres.
        looks: (N * D, 2 K) float32, x and y of the landmarks from each direction, without perspective, metres.
        squares: (N * D, K) float32, squared norms of these x and y.
    """

    rotations: Tensor
    directions: Tensor
    points: Tensor
    looks: Tensor
    squares: Tensor

    @classmethod
    def build(cls, rotations: Tensor, landmarks: LandmarkMoments, yaws: int) -> "PoseLibrary":
        """View poses from all sides.

        Args:
            rotations: (N, 24, 3, 3) local rotations; the root's is the orientation in a world with y up.
            landmarks: The K landmarks.
            yaws: Number D of directions, spread evenly about the vertical.
        """
        rotations = rotations.double().clone()
        rotations[:, 0] = CAMERA_TO_Y_UP.double() @ rotations[:, 0]
        count = len(rotations)
        betas = torch.zeros(count, landmarks.num_betas, dtype=torch.float64)
        points = landmark_positions(landmarks, BodyState(rotations, torch.zeros(count, 3, dtype=torch.float64), betas))
        turns = torch.zeros(yaws, 3, dtype=torch.float64)
        turns[:, 1] = torch.arange(yaws) * (2 * torch.pi / yaws)
        directions = axis_angle_to_matrix(turns)
        looks = torch.einsum("drc,nkc->ndkr", directions[:, :2], points).flatten(0, 1).float().contiguous()
        return cls(rotations, directions, points, looks.flatten(1), looks.square().sum(-1))

    def search(
        self, landmarks: LandmarkMoments, camera: Camera, pixels: Tensor, precision: Tensor, settings: StartSettings
    ) -> BodyState:
        """Find the poses and positions of B people that explain their landmarks best.

        Args:
            landmarks: The landmarks with which the library was built.
            camera: The photo's camera.
            pixels: (B, K, 2) detected landmarks, photo pixels.
            precision: (B, K) inverse of their standard deviation, 1 / pixels; 0 for landmarks that were not detected.
            settings: How many starts each person gets, and how they differ.

        Returns:
            B * ``settings.count`` states, those of one person next to each other, best first.
        """
        count = settings.count
        focal = torch.as_tensor(camera.focal, dtype=torch.float64)
        center = torch.as_tensor(camera.center, dtype=torch.float64)
        weight = (precision / precision.amax(1, keepdim=True).clamp(min=1e-9)).square() + 1e-9
        rays = torch.cat([(pixels - center) / focal, torch.ones_like(pixels[..., :1])], dim=-1)
        middle = (weight[..., None] * rays).sum(1) / weight.sum(1)[:, None]
        look = look_along(middle)
        seen = rays @ look.transpose(1, 2)  # look @ ray: the camera turns so that its axis meets the person's middle
        seen = seen[..., :2] / seen[..., 2:]
        chosen = [self._search_one(s.float(), w.float(), settings) for s, w in zip(seen, weight)]
        pose, turn = (torch.cat(parts) for parts in zip(*chosen))
        rotations = self.rotations[pose].clone()
        rotations[:, 0] = look.repeat_interleave(count, 0).transpose(1, 2) @ turn @ rotations[:, 0]
        betas = torch.zeros(len(pose), landmarks.num_betas, dtype=torch.float64)
        state = BodyState(rotations, torch.zeros(len(pose), 3, dtype=torch.float64), betas)
        offsets = landmark_positions(landmarks, state)
        translation = translation_onto(offsets, *(t.repeat_interleave(count, 0) for t in (rays[..., :2], weight)))
        closest = 2 * NEAREST - offsets[..., 2].amin(1)
        translation[:, 2] = translation[:, 2].clamp(min=closest)
        return BodyState(rotations, translation, betas)

    def _search_one(self, seen: Tensor, weight: Tensor, settings: StartSettings) -> tuple[Tensor, Tensor]:
        """Find the poses that look most like one person's landmarks, at any position and size.

        Args:
            seen: (K, 2) x and y at unit depth.
            weight: (K,) weights.
            settings: How many to find.

        Returns:
            Indices (C,) of poses, and rotations (C, 3, 3) that are applied on top of their roots'.
        """
        count = settings.count
        share = weight / weight.sum()
        centred = seen - share @ seen
        # Instead of rolling all looks, the points are rolled back.
        pulls = (share[:, None] * (centred @ ROLLS[:, :2, :2].float())).flatten(1)
        # For looks a and points y, both centred: min over s of |s a - y|^2 = |y|^2 - (a . y)^2 / |a|^2, s > 0.
        shares = torch.einsum("k,ab->akb", share, torch.eye(2)).flatten(1)  # of x alone and of y alone
        dots = self.looks @ torch.cat([pulls, shares]).T
        size = self.squares @ share - dots[:, -2:].square().sum(1)
        alike = dots[:, :-2].clamp(min=0).square() / size.clamp(min=1e-6)[:, None]
        unlike = 1 - alike / (share @ centred.square().sum(1)).clamp(min=1e-12)
        unlike[:, 1:] *= settings.roll_penalty
        best = unlike.flatten().topk(min(64 * count, unlike.numel()), largest=False).indices
        look, roll = best // len(ROLLS), best % len(ROLLS)
        pose, turn = look // len(self.directions), ROLLS[roll] @ self.directions[look % len(self.directions)]
        points = self.points[pose] @ turn.transpose(1, 2)
        flat = (points - (share.double()[:, None] * points).sum(1, keepdim=True)).flatten(1).float()
        near = (torch.cdist(flat, flat) < settings.apart * len(seen) ** 0.5).tolist()
        kept: list[int] = []
        for i, close in enumerate(near):
            if len(kept) < count and not any(close[k] for k in kept):
                kept.append(i)
        kept = (kept * count)[:count]
        return pose[kept], turn[kept]


def in_front(state: BodyState, landmarks: LandmarkMoments, precision: Tensor) -> BodyState:
    """Move bodies away from the camera until all their detected landmarks are in front of it.

    The estimate of a person very near the camera may have a hand or a foot behind it, where no camera could have seen
    it and where a fit cannot start. Such a body is moved along the line of sight through the middle of its detected
    landmarks; the others stay as they are.

    Args:
        state: B bodies.
        landmarks: The K landmarks.
        precision: (B, K) as in :meth:`PoseLibrary.search`; landmarks of precision 0 may lie anywhere.

    Returns:
        The bodies, those that were moved with their nearest detected landmark at a depth of twice
        :data:`meshrec.fit.terms.NEAREST`.
    """
    points, detected = landmark_positions(landmarks, state), precision > 0
    nearest = points[..., 2].masked_fill(~detected, torch.inf).amin(1)
    missing = torch.where(nearest < NEAREST, 2 * NEAREST - nearest, 0)
    middle = (points * detected[..., None]).sum(1) / detected.sum(1).clamp(min=1)[:, None]
    along = middle / middle[:, 2:].clamp(min=NEAREST)
    straight = along.new_tensor([0.0, 0.0, 1.0])  # behind the camera there is no line of sight
    along = torch.where(middle[:, 2:] > NEAREST, along, straight)
    return BodyState(state.rotations, state.translation + missing[:, None] * along, state.betas)


def translation_onto(offsets: Tensor, rays: Tensor, weight: Tensor) -> Tensor:
    """Translations for which points project closest to rays: x + tx = r (z + tz) is linear in the translation.

    Args:
        offsets: (B, K, 3) points, metres.
        rays: (B, K, 2) x and y at unit depth.
        weight: (B, K) weights of the squared distances.

    Returns:
        (B, 3) metres.
    """
    ones, zeros = torch.ones_like(weight), torch.zeros_like(weight)
    rows = [torch.stack([ones, zeros, -rays[..., 0]], -1), torch.stack([zeros, ones, -rays[..., 1]], -1)]
    system = torch.cat(rows, dim=1)
    wanted = (rays * offsets[..., 2:] - offsets[..., :2]).transpose(1, 2).flatten(1)
    share = weight.repeat(1, 2)[..., None]
    normal = system.transpose(1, 2) @ (share * system) + 1e-9 * torch.eye(3, dtype=system.dtype)
    translation = torch.linalg.solve(normal, system.transpose(1, 2) @ (share[..., 0] * wanted)[..., None]).squeeze(-1)
    return translation
