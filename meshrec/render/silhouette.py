"""Differentiable silhouettes.

The outline silhouette. A pixel's coverage is 0.5 where its centre lies on the outline of the drawn mesh; it rises to 1
inside and falls to 0 outside, linearly in the distance to the outline. The visible outline is found in two steps. The
pixels whose centres lie in a face form a mask. The edges where the surface folds away from the eye, or ends, bound that
mask where they are the outermost to cross the step from a pixel inside to its neighbour outside; all other edges lie in
front of faces or behind them. The distance's gradient goes to the two vertices of the nearest outline edge. With a ramp
of one pixel each coverage is close to the share of the pixel that the mesh covers, and their sum is its area.

The soft silhouette is that of SoftRas (Liu et al. 2019, eq. 3 and 6) as PyTorch3D computes it: coverage is
1 - prod_f (1 - sigmoid(-d_f / sigma)), where d_f is the squared distance to the rim of face f, negative inside, and f
runs over the faces that hold the pixel or whose sigmoid exceeds 1e-4 there. It is here for comparison: every face near
the outline blurs it outwards, so that it is too large, and it is much slower.
"""

from collections.abc import Callable
from math import inf, log

from torch import Tensor

from meshrec.render.backends import pick
from meshrec.render.screen import AnyCamera, Array, as_faces, batched, to_screen

CUTOFF = 1e-4  # a face whose sigmoid is smaller does not count
SLIVER = 1e-8  # nor one of a smaller area: PyTorch3D's kEpsilon


def silhouette(
    vertices: Array,
    faces: Array,
    camera: AnyCamera,
    softness_px: float = 1.0,
    soft: float | None = None,
    backend: str | None = None,
) -> Tensor:
    """Coverage of each pixel, differentiable in vertices and camera.

    The coverage is the outline's unless ``soft`` is given; :mod:`meshrec.render.silhouette` describes both. To fit from
    far away start with a softness of 4 to 8 pixels and reduce it to 1: a wide ramp reaches further but rounds corners.

    A face with a corner that cannot be drawn (:func:`meshrec.render.screen.to_screen`) is left out.

    Args:
        vertices: (V, 3) or (B, V, 3) in camera space, metres.
        faces: (F, 3) vertex indices.
        camera: Perspective or weak-perspective; one, or one per sample.
        softness_px: Width of the outline's ramp, pixels.
        soft: SoftRas' sigma, where half the picture's shorter side is 1: PyTorch3D's ``BlendParams.sigma``.
        backend: A name in :func:`meshrec.render.backends`; by default the fastest for the vertices' device. PyTorch3D
            draws the soft silhouette only.

    Returns:
        (B, H, W) in [0, 1], or (H, W) for one mesh (V, 3).

    Raises:
        TypeError: ``camera`` is no camera.
        ValueError: ``softness_px`` or ``soft`` is out of range, a shape is wrong, or the backend cannot draw it.

    Example:
        >>> import torch
        >>> from meshrec.geometry import Camera
        >>> from meshrec.render import silhouette
        >>> square = torch.tensor([[-1.0, -1.0, 2.0], [1.0, -1.0, 2.0], [1.0, 1.0, 2.0], [-1.0, 1.0, 2.0]])
        >>> coverage = silhouette(square, torch.tensor([[0, 1, 2], [0, 2, 3]]), Camera(focal=10.0, size=(20, 20)))
        >>> round(float(coverage.sum()))  # its area: 10 x 10 pixels
        100
    """
    if not 0 < softness_px <= 1000:
        raise ValueError(f"softness_px must be positive and at most 1000, not {softness_px}")
    if soft is not None and not 0 < soft < inf:
        raise ValueError(f"soft must be positive, not {soft}")
    screen = to_screen(vertices, camera)
    triangles = as_faces(faces, screen)
    name = pick(backend, screen.device)
    if soft is None:
        coverage = _outline(name)(screen, triangles, camera.size, softness_px)
    else:
        unit = (min(camera.size) / 2) ** 2  # in square pixels
        sigma = soft * unit
        reach = (log(1 / CUTOFF - 1) * sigma) ** 0.5
        coverage = _soft_silhouette(name)(screen, triangles, camera.size, sigma, reach, SLIVER * unit)
    return coverage if batched(vertices, camera) else coverage[0]


def _outline(backend: str) -> Callable[..., Tensor]:
    """The function of a backend that draws the outline silhouette."""
    if backend == "numba":
        from meshrec.render.numba_backend import outline
    elif backend == "torch":
        from meshrec.render.torch_outline import outline
    else:
        raise ValueError("PyTorch3D draws the soft silhouette only: give soft=1e-5, or choose another backend")
    return outline


def _soft_silhouette(backend: str) -> Callable[..., Tensor]:
    """The function of a backend that draws the soft silhouette."""
    if backend == "numba":
        from meshrec.render.numba_backend import soft_silhouette
    elif backend == "torch":
        from meshrec.render.torch_soft import soft_silhouette
    else:
        from meshrec.render.pytorch3d_backend import soft_silhouette
    return soft_silhouette
