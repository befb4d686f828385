"""The pose prior: a mixture of multivariate t distributions learned from motion capture and authored poses.

Under a mixture of Gaussians (Bogo et al. 2016, "Keep it SMPL") poses that the motion capture lacks are far too
unlikely. The tails of the t distribution fall like a power of the distance instead (Peel & McLachlan 2000, "Robust
mixture modelling using the t distribution"), and the fit is as easy: every component depends on a Mahalanobis distance.

The coordinates x of a pose are the axis-angle vectors of its joints relative to each joint's mean rotation. They are
discontinuous at a half turn, which few poses come near; relative to the T-pose, raised and rotated arms would.
"""

import math
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from meshrec.body.joints import BODY_JOINTS
from meshrec.compiled.threads import over_batch
from meshrec.errors import InputError
from meshrec.files.atomic import write_file
from meshrec.files.regular import regular_size
from meshrec.geometry.rotations import by_kernel
from meshrec.geometry.tangent import pull_back, right_jacobian_inverse, turned, turns_between

POSE_PRIOR = Path(__file__).with_name("pose_prior.safetensors")

MOST_BYTES = 64 << 20  # of a file; the shipped prior has less than 1 MB

PRIOR_JOINTS = BODY_JOINTS[:-2]
"""The joints that have a prior: all but the hands."""


class PosePrior(nn.Module):
    """A probability density of body poses.

    Args:
        center: (21, 3, 3) mean rotation of each joint.
        log_weights: (K,) logarithms of the components' weights, which sum to 1.
        means: (K, 63) coordinates of the components' centres.
        scales: (K, 63, 63) lower Cholesky factors L of the scale matrices S = L L^T.
        freedom: Degrees of freedom of the t distributions, a whole number: the smaller, the heavier the tails.
    """

    center: Tensor
    log_weights: Tensor
    means: Tensor
    scales: Tensor
    _whiten: Tensor
    _columns: Tensor
    _information: Tensor
    _heights: Tensor

    def __init__(self, center: Tensor, log_weights: Tensor, means: Tensor, scales: Tensor, freedom: int) -> None:
        super().__init__()
        self.freedom = freedom
        self.register_buffer("center", center)
        self.register_buffer("log_weights", log_weights)
        self.register_buffer("means", means)
        self.register_buffer("scales", scales)
        eye = torch.eye(means.shape[-1], dtype=means.dtype, device=means.device)
        self.register_buffer("_whiten", torch.linalg.solve_triangular(scales, eye.expand_as(scales), upper=False))
        self.register_buffer("_columns", self._whiten.mT.contiguous())
        self.register_buffer("_information", self._whiten.mT @ self._whiten)
        size = means.shape[-1]
        constant = math.lgamma((freedom + size) / 2) - math.lgamma(freedom / 2) - size / 2 * math.log(freedom * math.pi)
        self.register_buffer("_heights", log_weights + constant - scales.diagonal(dim1=-2, dim2=-1).log().sum(-1))

    def coordinates(self, body_pose: Tensor) -> Tensor:
        """The coordinates (B, 63) of rotations (B, 23, 3, 3), or of (B, 21, 3, 3) without the hands."""
        rotations = body_pose[:, : len(PRIOR_JOINTS)]
        return turns_between(self.center, rotations).flatten(1)

    def body_pose(self, coordinates: Tensor) -> Tensor:
        """The rotations (B, 23, 3, 3) with the given coordinates (B, 63); hands are at rest."""
        rotations = turned(self.center, coordinates.unflatten(1, (-1, 3)))
        hands = torch.eye(3, dtype=rotations.dtype, device=rotations.device).expand(len(rotations), 2, 3, 3)
        return torch.cat([rotations, hands], dim=1)

    def log_density(self, body_pose: Tensor) -> Tensor:
        """Natural logarithm of the density of the coordinates.

        Args:
            body_pose: (B, 23, 3, 3) rotations.

        Returns:
            (B,).
        """
        return torch.logsumexp(self._component_log_densities(self._distances(self.coordinates(body_pose))), dim=-1)

    def quadratic(self, body_pose: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A quadratic approximation of the negative log-density near the given poses, for a Gauss-Newton step.

        It is that of the likeliest component k alone, w |u|^2 / 2 with u = L_k^-1 (x - m_k) and the weight of
        iteratively reweighted least squares w = (f + d) / (f + |u|^2), which is held constant; f is the degrees of
        freedom and d = 63 the number of coordinates. Its gradient is exactly that of component k.

        Args:
            body_pose: (B, 23, 3, 3) rotations.

        Returns:
            :meth:`log_density` (B,), and the gradient (B, 69) and Hessian (B, 69, 69) of the approximation with respect
            to a small rotation t of every joint in its own frame, R_j <- R_j exp(t_j).
        """
        x = self.coordinates(body_pose)
        if by_kernel(x):
            return self._quadratic_now(x)
        distances = self._distances(x)
        densities = self._component_log_densities(distances)
        best = densities.argmax(-1)
        distance = distances.gather(-1, best[:, None])[..., None]
        information = (self.freedom + x.shape[-1]) / (self.freedom + distance) * self._information[best]
        slopes = right_jacobian_inverse(x.unflatten(1, (-1, 3)))
        gradient = pull_back(slopes, information @ (x - self.means[best])[..., None]).squeeze(-1)
        hessian = pull_back(slopes, pull_back(slopes, information).mT)
        hands = 3 * (len(BODY_JOINTS) - len(PRIOR_JOINTS))
        gradient, hessian = nn.functional.pad(gradient, (0, hands)), nn.functional.pad(hessian, (0, hands, 0, hands))
        return torch.logsumexp(densities, dim=-1), gradient, hessian

    def _quadratic_now(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """:meth:`quadratic` of the coordinates (B, 63) by a compiled loop."""
        from meshrec.poses.pose_prior_kernels import quadratics

        size = 3 * len(BODY_JOINTS)
        slopes = right_jacobian_inverse(x.unflatten(1, (-1, 3)))
        found = (x.new_empty(len(x)), x.new_zeros(len(x), size), x.new_zeros(len(x), size, size))
        batched = [part.contiguous().numpy() for part in (x, slopes, *found)]
        shared = [part.numpy() for part in (self.means, self._columns, self._information, self._heights)]
        over_batch(quadratics, batched, [*shared, float(self.freedom)])
        return found

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw random poses (count, 23, 3, 3)."""

        def random(size: int) -> Tensor:
            return torch.randn(count, size, generator=generator, dtype=self.means.dtype, device=self.means.device)

        component = torch.multinomial(self.log_weights.exp(), count, replacement=True, generator=generator)
        normal = random(self.means.shape[-1])
        chi_squared = random(self.freedom).square().sum(-1)
        deviation = normal * (self.freedom / chi_squared).sqrt()[:, None]
        for k, scale in enumerate(self.scales):
            deviation[component == k] @= scale.mT
        return self.body_pose(self.means[component] + deviation)

    def _distances(self, x: Tensor) -> Tensor:
        """Squared Mahalanobis distances (B, K) of coordinates (B, 63) to the components."""
        offsets = torch.einsum("knd,bkd->bkn", self._whiten, x[:, None] - self.means)
        return offsets.square().sum(-1)

    def _component_log_densities(self, distances: Tensor) -> Tensor:
        size = self.means.shape[-1]
        return self._heights - (self.freedom + size) / 2 * torch.log1p(distances / self.freedom)


def load_pose_prior(path: str | Path = POSE_PRIOR) -> PosePrior:
    """Load the shipped pose prior, or another one written by ``tools/train_pose_prior.py``.

    Raises:
        InputError: The file is missing or not a pose prior.

    Example:
        >>> import torch
        >>> from meshrec.poses.named_poses import named_pose
        >>> from meshrec.poses.pose_prior import load_pose_prior
        >>> poses = torch.stack([named_pose("arms down"), named_pose("twist")])
        >>> likely, rare = load_pose_prior().log_density(poses).tolist()
        >>> likely > rare
        True
    """
    try:
        regular_size(path, MOST_BYTES)
        arrays = load_file(path)
        freedom = int(arrays.pop("freedom"))
        return PosePrior(freedom=freedom, **arrays)
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path} is not a pose prior ({error}); tools/train_pose_prior.py writes one") from error


def save_pose_prior(path: str | Path, prior: PosePrior) -> None:
    """Write a pose prior for :func:`load_pose_prior`.

    Raises:
        InputError: The file cannot be written.
    """
    arrays = {name: getattr(prior, name).float().contiguous() for name in ("center", "log_weights", "means", "scales")}
    write_file(path, save(arrays | {"freedom": torch.tensor(float(prior.freedom))}))
