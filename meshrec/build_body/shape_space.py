"""A realistic population of adult MakeHuman bodies and its principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import gaussian_kde

# Mean and standard deviation of stature (m) and weight (kg) of the 4,082 men and 1,986 women of ANSUR II: Gordon et
# al., "2012 Anthropometric Survey of U.S. Army Personnel: Methods and Summary Statistics", NATICK/TR-15/007, 2014;
# computed anew from the survey's public files (ANSUR_II_MALE_Public.csv and its sister).
STATURE = {"male": (1.7562, 0.0686), "female": (1.6285, 0.0642)}
WEIGHT = {"male": (85.5, 14.2), "female": (67.8, 11.0)}
_DENSITY = 1000.0  # kg/m^3 of a body with air in the lungs
_CEILING = 0.98  # quantile of the density ratio above which a proposal is always accepted


@dataclass(frozen=True)
class ShapeSpace:
    """Orthogonal directions in which N bodies vary.

    Attributes:
        mean: (V, 3) vertices of the mean body, metres.
        directions: (V, 3, K) displacements, one standard deviation each, the strongest first, metres.
        loadings: (N, K) weights of the bodies' deviations from the mean in the directions, times N - 1. For principal
            components these are the bodies' coefficients.
        explained: Share of their variance that it explains.
    """

    mean: np.ndarray
    directions: np.ndarray
    loadings: np.ndarray
    explained: float

    def along(self, points: np.ndarray) -> np.ndarray:
        """The mean of points (N, ...) on the N bodies, then their change along each direction: (K + 1, ...)."""
        changes = np.tensordot(self.loadings, points - points.mean(axis=0), axes=(0, 0)) / (len(points) - 1)
        return np.concatenate([points.mean(axis=0)[None], changes])

    def with_field(self, field: np.ndarray) -> ShapeSpace:
        """Let the bodies also vary by a displacement of the skin (V, 3) that is independent of all else.

        The new direction is the part of the field that is orthogonal to the directions. Joints do not move in the
        field, so that in the new direction they move by what the other directions take from them.
        """
        flat = self.directions.reshape(-1, self.directions.shape[-1])
        strengths = (flat**2).sum(axis=0)
        shares = flat.T @ field.ravel() / strengths
        directions = np.concatenate([flat, (field.ravel() - flat @ shares)[:, None]], axis=1)
        loadings = np.concatenate([self.loadings, -(self.loadings @ shares)[:, None]], axis=1)
        order = np.argsort(-(directions**2).sum(axis=0))
        total = strengths.sum() / self.explained
        missing = total - strengths.sum()
        return ShapeSpace(
            mean=self.mean,
            directions=directions[:, order].reshape(*self.mean.shape, -1),
            loadings=loadings[:, order],
            explained=float(1 - missing / (total + (field**2).sum())),
        )


def propose(rng: np.random.Generator, gender: str, count: int, phenotypes: list[str]) -> np.ndarray:
    """Draw the phenotypes (N, P) of random adults, with a wider distribution than that of people.

    The columns are in the order of ``phenotypes``. MakeHuman's parameters are between 0 and 1; its heaviest body is
    lighter than many people, so that the weight goes beyond 1.
    """
    race = rng.dirichlet(np.ones(3), count)
    columns = {
        "gender": rng.uniform(0.0, 0.15, count) if gender == "male" else rng.uniform(0.85, 1.0, count),
        "age": rng.uniform(0.667, 0.92, count),  # MakeHuman's 25 to 75 years
        "muscle": rng.beta(2, 2, count),
        "weight": rng.uniform(0.25, 1.4, count),
        "height": rng.uniform(0.1, 0.65, count),
        "proportions": rng.uniform(0.0, 1.0, count),
        "cupsize": rng.beta(2, 2, count) if gender == "female" else np.zeros(count),
        "firmness": rng.beta(2, 2, count),
        "african": race[:, 0],
        "asian": race[:, 1],
        "caucasian": race[:, 2],
    }
    return np.stack([columns[name] for name in phenotypes], axis=1)


def stature_and_bmi(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The stature in metres and the body-mass index, (N, 2), of T-posed bodies (N, V, 3)."""
    stature = np.ptp(vertices[:, :, 1], axis=1)
    a, b, c = (vertices[:, faces[:, k]] for k in range(3))
    volume = np.einsum("nfd,nfd->n", a, np.cross(b, c)) / 6
    return np.stack([stature, _DENSITY * volume / stature**2], axis=1)


def log_bmi(gender: str) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm of the BMI.

    They follow from those of stature and weight if the BMI is independent of stature:
    var(log weight) = var(log BMI) + 4 var(log stature).
    """
    (stature, stature_sd), (weight, weight_sd) = STATURE[gender], WEIGHT[gender]
    variance = np.log1p((weight_sd / weight) ** 2) - 4 * np.log1p((stature_sd / stature) ** 2)
    return np.log(weight) - np.log1p((weight_sd / weight) ** 2) / 2 - 2 * np.log(stature), np.sqrt(variance)


def accept(
    rng: np.random.Generator, measures: np.ndarray, gender: str, widening: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """Choose proposals (N,) bool so that their stature and BMI are distributed as in the surveyed population.

    This is rejection sampling: the probability to keep a proposal is proportional to the wanted density (normal
    stature, log-normal BMI) over a kernel estimate of the proposals' density.

    Args:
        rng: Source of randomness.
        measures: (N, 2) statures in metres and BMIs.
        gender: "male" or "female".
        widening: Factors on the standard deviations of stature and of log BMI.
    """
    points = np.stack([measures[:, 0], np.log(measures[:, 1])])
    (m0, s0), (m1, s1) = STATURE[gender], log_bmi(gender)
    s0, s1 = s0 * widening[0], s1 * widening[1]
    wanted = np.exp(-(((points[0] - m0) / s0) ** 2 + ((points[1] - m1) / s1) ** 2) / 2)
    ratio = wanted / gaussian_kde(points)(points)
    return rng.uniform(size=len(ratio)) < ratio / np.quantile(ratio, _CEILING)


def principal_components(bodies: np.ndarray, count: int) -> ShapeSpace:
    """The ``count`` leading principal components of bodies (N, V, 3).

    Each direction is one standard deviation long, so that coefficients are N(0, 1), and its sign is that of growth.
    """
    mean = bodies.mean(axis=0)
    offsets = (bodies - mean).reshape(len(bodies), -1)
    variances, axes = np.linalg.eigh(offsets @ offsets.T / (len(bodies) - 1))
    order = np.argsort(variances)[::-1][:count]
    directions = (axes[:, order].T @ offsets / np.sqrt(len(bodies) - 1)).reshape(count, -1, 3)
    grows = np.einsum("kvd,vd->k", directions, mean - mean.mean(axis=0)) >= 0
    signs = np.where(grows, 1.0, -1.0)
    explained = variances[order].sum() / variances.sum()
    loadings = axes[:, order] * np.sqrt(len(bodies) - 1) * signs
    return ShapeSpace(mean, np.moveaxis(directions * signs[:, None, None], 0, -1), loadings, float(explained))
