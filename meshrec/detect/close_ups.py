"""Faces and hands of detected people, looked at closely by MediaPipe's face and hand landmark networks.

Kartynnik et al. 2019, "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs"; Zhang et al. 2020,
"MediaPipe Hands: On-device Real-time Hand Tracking". Both networks see turned squares, which are placed here by the
body's landmarks, as MediaPipe Holistic does.

``face_landmark.tflite`` takes (192, 192, 3) RGB in [0, 1]. It gives 468 landmarks x, y, z in pixels of the crop, z
away from the camera in the same unit, and the logit of the confidence that there is a face.

``hand_landmark_lite.tflite`` takes (224, 224, 3) RGB in [0, 1]. It gives 21 landmarks in pixels of the crop, the
confidences in [0, 1] that there is a hand and that it is a right one, and the landmarks in metres in the crop's axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from meshrec.body.joints import joint_set
from meshrec.compiled.threads import over_items
from meshrec.detect.blazepose import FOLDER
from meshrec.detect.litert import LiteNetwork
from meshrec.detect.looks import Look, show
from meshrec.detect.people import CloseUp, Detection, Region
from meshrec.geometry.affine import apply, inverse

JOINT_SET = "mediapipe33"
WRIST, INDEX, PINKY = 0, 5, 17  # of the hand's landmarks: the wrist and two knuckles
PARTS = ("head", "left_wrist", "right_wrist")


@dataclass(frozen=True)
class CloseUpSettings:
    """When faces and hands are looked at, and which looks count.

    The thresholds were chosen on renders and photos. Of the hands in renders that pass them, one in twenty is seen more
    than 40 degrees off; with confidences of 0.5 alone it would be two in five. In photos backs of heads are taken for
    faces with a confidence of up to 0.82. Faces and hands of 20 pixels are seen as well as those of 80.

    Attributes:
        parts: What to look at: "head" for faces, and the wrists for hands. Hands are left out by default: on renders
            they help as much as faces, but no photo was available in which the network recognises hands.
        least_size: Least size of a face, from eyes to chin and across, and of a hand, from wrist to fingertips, pixels.
        least_visibility: Least mean confidence of the body's landmarks around which the crop is placed, in [0, 1].
        face_scale: Side of the crop of a face, as a multiple of its size.
        hand_scale: Side of the crop of a hand, as a multiple of its length.
        face_presence: Least confidence that the crop shows a face, in [0, 1].
        hand_presence: Least confidence that the crop shows a hand, in [0, 1].
        handedness: Least confidence that it is the hand of the side that the body's landmarks say, in [0, 1]. A palm
            that is taken for the back of a hand makes it one of the other side.
        apart: Greatest distance of the hand's wrist and knuckles from those of the body's landmarks, as a share of the
            diagonal of the box around the hand. It rejects the other hand, and hands that the networks see differently.
    """

    parts: tuple[str, ...] = ("head",)
    least_size: float = 24.0
    least_visibility: float = 0.5
    face_scale: float = 1.6
    hand_scale: float = 2.7
    face_presence: float = 0.9
    hand_presence: float = 0.8
    handedness: float = 0.8
    apart: float = 0.2


class CloseUps:
    """Looks at the faces and hands of people. Threads may share it.

    Args:
        settings: What to look at and when, and what counts.

    Raises:
        ValueError: The settings name other parts.
        MissingDependency: ai-edge-litert is not installed.
    """

    def __init__(self, settings: CloseUpSettings = CloseUpSettings()) -> None:
        if not set(settings.parts) <= set(PARTS):
            raise ValueError(f"close looks are taken at {', '.join(PARTS)}, not at {', '.join(settings.parts)}")
        self.settings = settings
        self._face = LiteNetwork(FOLDER / "face_landmark.tflite")
        self._hand = LiteNetwork(FOLDER / "hand_landmark_lite.tflite")

    def __call__(self, image: np.ndarray, people: list[Detection]) -> list[Detection]:
        """Add to each person what their face and hands show.

        Args:
            image: (H, W, 3) uint8 RGB.
            people: The people, with ``mediapipe33`` landmarks.

        Returns:
            The same people with :attr:`meshrec.detect.Detection.close_ups`.
        """
        parts = self.settings.parts
        jobs = [(person.keypoints, part) for person in people for part in parts]
        seen = over_items(lambda i: self._look(image, *jobs[i]), len(jobs))
        each = [seen[i : i + len(parts)] for i in range(0, len(seen), len(parts))]
        return [replace(person, close_ups=tuple(c for c in own if c)) for person, own in zip(people, each)]

    def _look(self, image: np.ndarray, keypoints: np.ndarray, joint: str) -> CloseUp | None:
        return self.face(image, keypoints) if joint == "head" else self.hand(image, keypoints, joint)

    def face(self, image: np.ndarray, keypoints: np.ndarray) -> CloseUp | None:
        """Look at a face.

        Args:
            image: (H, W, 3) uint8 RGB.
            keypoints: (33, 3) ``mediapipe33`` landmarks of the person.

        Returns:
            The 468 landmarks of the face; None if it is too small or not recognised.
        """
        settings = self.settings
        region, size = face_region(keypoints, settings.face_scale)
        visible = keypoints[[_index("nose"), _index("left_eye"), _index("right_eye")], 2].mean()
        if size < settings.least_size or visible < settings.least_visibility:
            return None
        matrix, side = Look().matrix(region, self._face.input_shape[0]), self._face.input_shape[0]
        landmarks, presence = self._face(show(image, matrix, side) / np.float32(255))
        score = 1 / (1 + math.exp(-float(presence.squeeze())))
        if score < settings.face_presence:
            return None
        points = landmarks.reshape(-1, 3)
        center = apply(inverse(matrix), points[:, :2].mean(0))
        return CloseUp("head", _upright(points, region.turn), center.astype(np.float32), score)

    def hand(self, image: np.ndarray, keypoints: np.ndarray, joint: str) -> CloseUp | None:
        """Look at a hand.

        Args:
            image: (H, W, 3) uint8 RGB.
            keypoints: (33, 3) ``mediapipe33`` landmarks of the person.
            joint: "left_wrist" or "right_wrist".

        Returns:
            The 21 landmarks of the hand; None if it is too small, not recognised, or that of the other side.
        """
        settings, side = self.settings, joint.removesuffix("_wrist")
        body = keypoints[[_index(f"{side}_{name}") for name in ("wrist", "index", "pinky")]]
        region, length = hand_region(body[:, :2], settings.hand_scale)
        if length < settings.least_size or body[:, 2].mean() < settings.least_visibility:
            return None
        matrix, width = Look().matrix(region, self._hand.input_shape[0]), self._hand.input_shape[0]
        screen, presence, right, world = self._hand(show(image, matrix, width) / np.float32(255))
        score = float(presence.squeeze())
        own = float(right.squeeze()) if side == "right" else 1 - float(right.squeeze())
        places = apply(inverse(matrix), screen.reshape(-1, 3)[:, :2])
        apart = np.linalg.norm(places[[WRIST, INDEX, PINKY]] - body[:, :2], axis=1).max()
        if score < settings.hand_presence or own < settings.handedness:
            return None
        if apart > settings.apart * np.linalg.norm(np.ptp(places, axis=0)):
            return None
        points = _upright(world.reshape(-1, 3), region.turn)
        return CloseUp(joint, points, places.mean(0).astype(np.float32), score)


def face_region(keypoints: np.ndarray, scale: float) -> tuple[Region, float]:
    """The square to look at around a face, and the size of the face.

    Args:
        keypoints: (33, 3) ``mediapipe33`` landmarks of the person, photo pixels.
        scale: Side of the square as a multiple of the face's size.

    Returns:
        The square, in which the mouth is below the eyes, and the size in pixels: the distance between the ears, or from
        a profile 2.4 times that between eyes and mouth.
    """
    place = lambda name: keypoints[_index(name), :2]  # noqa: E731
    eyes = (place("left_eye_outer") + place("right_eye_outer")) / 2
    mouth = (place("mouth_left") + place("mouth_right")) / 2
    size = float(max(2.4 * np.linalg.norm(eyes - mouth), np.linalg.norm(place("left_ear") - place("right_ear"))))
    return _square((eyes + mouth) / 2, eyes - mouth, scale * size), size


def hand_region(points: np.ndarray, scale: float) -> tuple[Region, float]:
    """The square to look at around a hand, and the hand's length.

    As in MediaPipe Holistic, it is centred on the knuckle of the middle finger, which lies a third of the way from that
    of the index finger to that of the little finger, and half way between wrist and fingertips.

    Args:
        points: (3, 2) wrist and knuckles of the index and little finger, photo pixels.
        scale: Side of the square as a multiple of the hand's length.

    Returns:
        The square, in which the fingers point upwards, and the length in pixels.
    """
    wrist, index, pinky = points
    knuckle = (2 * index + pinky) / 3
    length = 2 * float(np.linalg.norm(knuckle - wrist))
    return _square(knuckle, knuckle - wrist, scale * length), length


def _square(center: np.ndarray, up: np.ndarray, side: float) -> Region:
    """A square around a point (2,), pixels, whose upward direction is ``up`` (2,)."""
    return Region(np.asarray(center, float) + 0.5, max(float(side), 1.0), math.atan2(up[0], -up[1]))


def _upright(points: np.ndarray, turn: float) -> np.ndarray:
    """Points (K, 3) of a crop turned by ``turn``, in the axes of the photo."""
    cos, sin = math.cos(turn), math.sin(turn)
    return (points @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])).astype(np.float32)


def _index(name: str) -> int:
    return joint_set(JOINT_SET).index(name)
