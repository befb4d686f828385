"""How well the scores of results rank them: do good results score above bad ones?"""

import math

import numpy as np

GOOD_PCK = 0.8  # least share of correct keypoints of a good result


def ranking(scores: np.ndarray, pck: np.ndarray) -> dict[str, float]:
    """Agreement of scores with the quality of results.

    Args:
        scores: (N,) scores; NaN for people who are left out.
        pck: (N,) shares of correct keypoints; NaN likewise.

    Returns:
        ``spearman``, the rank correlation of scores and shares, and ``auc``, the probability that a good result scores
        above a bad one. A value that is not defined, because all people are alike, is left out.
    """
    known = ~np.isnan(scores) & ~np.isnan(pck)
    scores, pck = scores[known], pck[known]
    values = {"spearman": spearman(scores, pck), "auc": auc(scores, pck >= GOOD_PCK)}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation of two quantities (N,); NaN where one of them does not vary."""
    from scipy.stats import spearmanr

    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(spearmanr(a, b).statistic)


def auc(scores: np.ndarray, good: np.ndarray) -> float:
    """Area under the ROC curve: the probability that a good result scores above a bad one (Mann & Whitney 1947).

    Args:
        scores: (N,) scores.
        good: (N,) bool.

    Returns:
        The area; ties count half. NaN where there are no good or no bad results.
    """
    from scipy.stats import rankdata

    positives, negatives = int(good.sum()), int((~good).sum())
    if not positives or not negatives:
        return math.nan
    return float((rankdata(scores)[good].sum() - positives * (positives + 1) / 2) / (positives * negatives))
