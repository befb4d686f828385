"""The joints of ``h36m17`` from the landmarks of MediaPipe, in the picture.

The comparison's methods were trained on a simulated detector of ``h36m17``, and the detector of photos reports other
points. Each joint is an affine combination of a few landmarks, such as the shoulders and hips for the spine. The
weights are those of least squares over synthetic people, whose joints are known and whose landmarks are simulated where
the detector was measured to see them (:mod:`meshrec.landmarks.placements`, :mod:`meshrec.synthetic.photo_faces`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from meshrec.body import BodyModel, joint_set
from meshrec.body.joints import mirror_name
from meshrec.detect.people import Detection
from meshrec.regress.crops import known_keypoints
from meshrec.synthetic.detector_noise import EXACT, DetectorNoise
from meshrec.synthetic.keypoint_batches import SyntheticKeypoints
from meshrec.synthetic.people import SyntheticPeople
from meshrec.training.lifting import POSES

LANDMARKS, JOINTS = "mediapipe33", "h36m17"
PEOPLE, SEED = 4096, 0

TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
HEAD = ("left_ear", "right_ear", "nose", "left_shoulder", "right_shoulder")
SOURCES = {
    "mid_hip": TRUNK,
    "spine_h36m": TRUNK,
    "thorax": TRUNK,
    "head_h36m": HEAD,
    "head_top": HEAD,
    "left_shoulder": TRUNK,
    "left_hip": TRUNK,
    "left_elbow": ("left_elbow", "left_shoulder", "left_wrist"),
    "left_wrist": ("left_wrist", "left_elbow", "left_index", "left_pinky"),
    "left_knee": ("left_knee", "left_hip", "left_ankle"),
    "left_ankle": ("left_ankle", "left_knee", "left_heel"),
}
"""The landmarks that each joint is made from; those of right joints are their mirror images."""


@dataclass(frozen=True, eq=False)
class LandmarkMap:
    """Weights from landmarks to joints.

    Attributes:
        weights: (K, L) weight of each landmark for each joint; those of a joint sum to 1.
        own: (K,) row of the landmark that has the joint's name; -1 where there is none.

    Example:
        >>> import meshrec
        >>> from meshrec.comparison.landmark_map import LandmarkMap
        >>> LandmarkMap.learned(meshrec.load_body("neutral"), people=256).weights.shape
        (17, 33)
    """

    weights: np.ndarray
    own: np.ndarray

    @classmethod
    def learned(cls, body: BodyModel, people: int = PEOPLE, seed: int = SEED) -> "LandmarkMap":
        """The weights of least squares over synthetic people in poses for training.

        A pair of left and right joints has one set of weights, which is learned from both sides.

        Args:
            body: The people's body.
            people: Their number.
            seed: Their seed.
        """
        landmarks, joints = joint_set(LANDMARKS), joint_set(JOINTS)
        seen, true = _people(body, people, seed)
        weights = np.zeros((len(joints), len(landmarks)))
        for name, names in SOURCES.items():
            pairs = list(_sides(name, names))
            differences, targets = [], []
            for side, sources in pairs:
                points = seen[:, [landmarks.index(source) for source in sources]]
                # Weights that sum to 1: the last landmark gets what the others leave.
                differences.append((points[:, :-1] - points[:, -1:]).swapaxes(1, 2).reshape(-1, len(sources) - 1))
                targets.append((true[:, joints.index(side)] - points[:, -1]).reshape(-1))
            found = np.linalg.lstsq(np.concatenate(differences), np.concatenate(targets), rcond=None)[0]
            for side, sources in pairs:
                rows = [landmarks.index(source) for source in sources]
                weights[joints.index(side), rows] = [*found, 1 - found.sum()]
        own = np.array([landmarks.index(name) if name in landmarks else -1 for name in joints])
        # What lies in the middle is the same from both sides.
        middle = [row for row, name in enumerate(joints) if mirror_name(name) == name]
        flip = [landmarks.index(mirror_name(name)) for name in landmarks]
        weights[middle] = (weights[middle] + weights[middle][:, flip]) / 2
        return cls(weights, own)

    def __call__(self, keypoints: np.ndarray) -> np.ndarray:
        """Joints in the picture.

        A joint that has a landmark of its own name has that landmark's confidence, and lies at that landmark where
        another one that it is made from is missing. Any other joint has the mean confidence of its landmarks, and is
        missing where one of them is.

        Args:
            keypoints: (..., L, 3) landmarks: x and y in any unit, and confidence, 0 where they are missing.

        Returns:
            (..., K, 3) joints, likewise; x and y of missing joints are zero.
        """
        places, certain = keypoints[..., :2], keypoints[..., 2]
        used = self.weights != 0
        whole = ((certain[..., None, :] > 0) | ~used).all(-1)
        moved = self.weights @ places
        mean = (used * certain[..., None, :]).sum(-1) / used.sum(-1)
        named = self.own >= 0
        confidence = np.where(named, certain[..., self.own], mean * whole)
        places = np.where(whole[..., None], moved, places[..., self.own, :]) * (confidence > 0)[..., None]
        return np.concatenate([places, confidence[..., None]], axis=-1).astype(keypoints.dtype)

    def detection(self, person: Detection, size: tuple[int, int]) -> Detection:
        """A detection of MediaPipe's landmarks as one of the joints; box, mask and score stay.

        Args:
            person: The detection. Landmarks outside the photo count as missing.
            size: (width, height) of the photo, pixels.

        Raises:
            ValueError: Its landmarks are others.
        """
        if person.joint_set != LANDMARKS:
            raise ValueError(f"these keypoints are {person.joint_set}, not {LANDMARKS}")
        return replace(person, keypoints=self(known_keypoints(person, size)), joint_set=JOINTS, world=None)


def _people(body: BodyModel, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (N, L, 2) and joints (N, K, 2) of synthetic people, in half crop sides.

    The detector's errors have the size that they have for people whom it is sure of.
    """
    noise = replace(EXACT, scale=1.0, face=DetectorNoise.face)
    batch, seen = SyntheticKeypoints(SyntheticPeople(body, seed, "train", poses=POSES), LANDMARKS, noise).batch(
        count, 0
    )
    names = joint_set(batch.joint_set)
    true = batch.keypoints_2d[:, [names.index(name) for name in joint_set(JOINTS)], :2]
    whole = (seen.keypoints[..., 2] > 0).all(1)
    points, joints = (values[whole].to(torch.float64).numpy() for values in (seen.keypoints[..., :2], true))
    return points, joints


def _sides(name: str, names: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A joint and its landmarks, and those of its mirror image if it has one."""
    yield name, names
    if mirror_name(name) != name:
        yield mirror_name(name), tuple(map(mirror_name, names))
