"""How wrong a detector is on renders, and how wrong the simulated detector is on the same people."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from meshrec.body import flip_permutation, joint_set
from meshrec.data.proxies import Proxies
from meshrec.metrics.overlap import silhouette_overlap
from meshrec.synthetic.detected_renders import DetectedRenders
from meshrec.synthetic.detector_noise import EXACT, DetectorNoise
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.simulated_detector import observe

PARTS = {
    "face": ("nose", "eye", "ear", "mouth"),
    "shoulders": ("shoulder",),
    "hips": ("hip",),
    "elbows": ("elbow",),
    "wrists": ("wrist",),
    "hands": ("pinky", "index", "thumb"),
    "knees": ("knee",),
    "ankles": ("ankle",),
    "feet": ("heel", "foot_index"),
}
LEGS = ("hip", "knee", "ankle", "heel", "foot_index")
CONFIDENCES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
FAR = 0.05  # share of the box: a landmark that is displaced by more was not recognised
_PLACED = replace(EXACT, scale=1e-9)  # landmarks where the detector sees them, without errors
_CHUNK = 64


@dataclass(frozen=True)
class DetectorErrors:
    """The errors of one detector on N people with K landmarks.

    Attributes:
        joints: Names of the landmarks.
        error: (N, K, 2) detected place minus true place, as a share of the longer side of the person's box. The true
            places are those of :mod:`meshrec.landmarks.placements`.
        confidence: (N, K), 0 beyond the photo.
        hidden: (N, K) bool, whether a landmark is hidden.
        exchanged: (N, 2) bool, whether left and right are exchanged altogether, and of the legs.
        overlap: (N,) intersection over union of the detected and true masks; NaN without a mask.
    """

    joints: tuple[str, ...]
    error: np.ndarray
    confidence: np.ndarray
    hidden: np.ndarray
    exchanged: np.ndarray
    overlap: np.ndarray

    def figures(self) -> dict[str, float]:
        """Named figures of the errors.

        "Error" is the distance as a share of the box's longer side. People whose left and right are exchanged count
        only for the share of them.
        """
        usual = ~self.exchanged.any(1)
        distance = np.linalg.norm(self.error, axis=-1)[usual]
        confidence, hidden = self.confidence[usual], self.hidden[usual]
        inside = confidence > 0
        rows = {
            "exchanged, all": self.exchanged[:, 0].mean(),
            "exchanged, legs alone": (self.exchanged[:, 1] & ~self.exchanged[:, 0]).mean(),
        }
        for part, names in PARTS.items():
            member = np.array([any(name in joint for name in names) for joint in self.joints])
            for state, which in (("visible", ~hidden), ("hidden", hidden)):
                chosen = which & inside & member
                rows |= _spread(f"{part}, {state}", distance[chosen], confidence[chosen])
        for low, high in itertools.pairwise(CONFIDENCES):
            chosen = (confidence > low) & (confidence <= high)
            rows[f"confidence {low}-{high}: share"] = chosen.sum() / inside.sum()
            rows[f"confidence {low}-{high}: error, median"] = _quantile(distance[chosen], 0.5)
        logit = np.log(confidence.clip(1e-3, 1 - 1e-3) / (1 - confidence.clip(1e-3, 1 - 1e-3)))
        sizes = np.log(distance.clip(1e-4))
        rows["share of variance between people: confidence"] = _between(logit, inside)
        rows["share of variance between people: error"] = _between(sizes, inside)
        rows["mask IoU, median"] = _quantile(self.overlap[~np.isnan(self.overlap)], 0.5)
        rows["mask IoU, lowest tenth"] = _quantile(self.overlap[~np.isnan(self.overlap)], 0.1)
        return {name: float(value) for name, value in rows.items()}


def render_errors(
    renders: DetectedRenders, source: SyntheticPeople, noise: DetectorNoise
) -> tuple[DetectorErrors, DetectorErrors]:
    """The errors of the detector that looked at renders, and of the simulated detector on the same people.

    Args:
        renders: Renders with their detections.
        source: The people that the renders show, at any resolution.
        noise: Errors of the simulated detector.

    Returns:
        The errors of the real detector on people whom it found, and those of the simulated one on the same people.
    """
    found = np.flatnonzero(renders.score > 0)
    parts = [_of_chunk(renders, found[at : at + _CHUNK], source, noise) for at in range(0, len(found), _CHUNK)]
    return _joined([real for real, _ in parts]), _joined([simulated for _, simulated in parts])


@torch.no_grad()
def _of_chunk(
    renders: DetectedRenders, rows: np.ndarray, source: SyntheticPeople, noise: DetectorNoise
) -> tuple[DetectorErrors, DetectorErrors]:
    joints = str(renders.joint_set)
    indices = renders.index[rows].tolist()
    people = source.draw(indices)
    truth = observe(people, source.body, source.streams(indices, "placed"), joints, _PLACED)
    seen = observe(people, source.body, source.streams(indices, "simulated"), joints, noise)
    sides = (people.box[:, 2:] - people.box[:, :2]).amax(1).cpu().numpy()
    sides = sides * 2 / source.resolution  # crop coordinates are 2 wide
    size = truth.exact_silhouette.shape[-1]
    masks = torch.from_numpy(renders.mask[rows])[:, None].float() / 255
    masks = torch.nn.functional.interpolate(masks, (size, size), mode="bilinear", align_corners=False)
    real = replace(truth, keypoints=torch.from_numpy(renders.keypoints[rows]), silhouette=masks)
    return _errors(joints, truth, real, sides), _errors(joints, truth, seen, sides)


def _errors(joints: str, truth: Proxies, seen: Proxies, sides: np.ndarray) -> DetectorErrors:
    """Errors of detections of people with the longer sides (N,) of their boxes, all in crop coordinates."""
    names = joint_set(joints)
    place, true = seen.keypoints[..., :2].numpy(), truth.keypoints[..., :2].numpy()
    error = (place - true) / sides[:, None, None]
    crossed = (place - true[:, flip_permutation(joints)]) / sides[:, None, None]
    limb = np.array([("left" in n or "right" in n) and not any(p in n for p in PARTS["face"]) for n in names])
    leg = np.array([any(part in name for part in LEGS) for name in names])
    exchanged = np.stack([_crossed(error, crossed, limb), _crossed(error, crossed, leg)], axis=1)
    overlap = silhouette_overlap(seen.silhouette[:, 0], truth.exact_silhouette[:, 0]).iou.numpy()
    empty = ~(seen.silhouette > 0.5).flatten(1).any(1).numpy()
    return DetectorErrors(
        joints=names,
        error=error,
        confidence=seen.keypoints[..., 2].numpy(),
        hidden=truth.hidden.numpy(),
        exchanged=exchanged,
        overlap=np.where(empty, np.nan, overlap),
    )


def _crossed(error: np.ndarray, crossed: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Whether landmarks (K,) ``which`` lie nearer to their mirror image's place, and near enough to be recognised."""
    straight, other = (np.median(np.linalg.norm(e[:, which], axis=-1), axis=1) for e in (error, crossed))
    return (other < straight) & (other < FAR)


def _spread(name: str, distance: np.ndarray, confidence: np.ndarray) -> dict[str, float]:
    return {
        f"{name}: error, median": _quantile(distance, 0.5),
        f"{name}: error, upper tenth": _quantile(distance, 0.9),
        f"{name}: confidence, median": _quantile(confidence, 0.5),
        f"{name}: below 0.5": float((confidence < 0.5).mean()) if len(confidence) else float("nan"),
        f"{name}: displaced": float((distance > FAR).mean()) if len(distance) else float("nan"),
    }


def _quantile(values: np.ndarray, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else float("nan")


def _between(values: np.ndarray, inside: np.ndarray) -> float:
    """Share of the variance of values (N, K) that lies between people, after each landmark's mean is taken away."""
    masked = np.where(inside, values, np.nan)
    centred = masked - np.nanmean(masked, axis=0)
    enough = inside.sum(1) > inside.shape[1] / 2
    means, counts = np.nanmean(centred[enough], axis=1), inside[enough].sum(1)
    within = np.nanvar(centred[enough], axis=1, ddof=1)
    between = max(means.var(ddof=1) - (within / counts).mean(), 0.0)
    total = between + within.mean()
    return float(between / total) if total else float("nan")


def _joined(parts: Sequence[DetectorErrors]) -> DetectorErrors:
    names = ("error", "confidence", "hidden", "exchanged", "overlap")
    return DetectorErrors(parts[0].joints, **{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})
