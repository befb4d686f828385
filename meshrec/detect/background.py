"""The background between the people of a clip: key frames, and their corners found again in other frames.

Corners are followed by the pyramids of Lucas and Kanade (Bouguet 2001). Key frames that are lost are found again by
ORB's features (Rublee et al. 2011), which need no guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from meshrec.detect.camera_motion_settings import CameraMotionSettings
from meshrec.detect.people import Detection, photo_edges
from meshrec.geometry import Camera
from meshrec.geometry.turning_cameras import Turned, estimate_turn


@dataclass(frozen=True, eq=False)
class Frame:
    """A reduced frame: gray (h, w) uint8, and background (h, w) uint8, 0 where people are and 255 elsewhere."""

    gray: np.ndarray
    background: np.ndarray


@dataclass(frozen=True, eq=False)
class KeyFrame:
    """A key frame: gray and background as in :class:`Frame`, its view, and corners (N, 2) with directions (N, 3)."""

    gray: np.ndarray
    background: np.ndarray
    view: Turned
    corners: np.ndarray
    directions: np.ndarray

    NAMES = ("gray", "background", "turn", "zoom", "corners", "directions")

    def arrays(self) -> dict[str, np.ndarray]:
        """The key frame as arrays of the names in :attr:`NAMES`."""
        view = {"turn": self.view.turn, "zoom": np.array(self.view.zoom)}
        return {name: view[name] if name in view else getattr(self, name) for name in self.NAMES}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> KeyFrame:
        """The key frame of :meth:`arrays`."""
        view = Turned(np.asarray(arrays["turn"], np.float64), float(arrays["zoom"]))
        return cls(arrays["gray"], arrays["background"], view, arrays["corners"], arrays["directions"])


def reduced(image: np.ndarray, people: Sequence[Detection], size: tuple[int, int], margin: float) -> Frame:
    """Reduce a picture to a frame in grey in which people are marked.

    Args:
        image: (H, W, 3) uint8 RGB.
        people: Everybody in it.
        size: (w, h) of the reduced frame, pixels.
        margin: By how much people are enlarged, as a share of the longer side of their box.
    """
    import cv2

    (width, height), full = size, (image.shape[1], image.shape[0])
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if full != size:
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    background = np.full((height, width), 255, np.uint8)
    scale = width / full[0]
    for person in people:
        side = float(np.ptp(np.asarray(person.box).reshape(2, 2), axis=0).max()) * scale
        edge = max(3, round(margin * side))
        if person.mask is None:
            x0, y0, x1, y1 = (round(float(value) * scale) for value in person.box)
            background[max(y0 - edge, 0) : max(y1 + edge, 0), max(x0 - edge, 0) : max(x1 + edge, 0)] = 0
        else:
            shown = (person.mask.crop(photo_edges(full), (height, width)) > 0.2).astype(np.uint8)
            background[cv2.dilate(shown, np.ones((2 * edge + 1, 2 * edge + 1), np.uint8)) > 0] = 0
    return Frame(gray, background)


def key_frame(frame: Frame, view: Turned, camera: Camera, settings: CameraMotionSettings) -> KeyFrame:
    """Make a frame a key frame: choose its corners."""
    import cv2

    edge = settings.window // 2 + 1
    usable = np.zeros_like(frame.background)
    usable[edge:-edge, edge:-edge] = frame.background[edge:-edge, edge:-edge]
    # OpenCV's eigenvalues are those of the mean of the slopes' products, with slopes of twice the brightness in [0, 1].
    strength = cv2.cornerMinEigenVal(frame.gray, blockSize=5, ksize=3)
    usable[strength < (2 * settings.contrast / 255) ** 2] = 0
    corners = cv2.goodFeaturesToTrack(frame.gray, settings.corners, 1e-3, settings.spacing, mask=usable, blockSize=5)
    corners = np.zeros((0, 2)) if corners is None else corners[:, 0].astype(np.float64)
    return KeyFrame(frame.gray, frame.background, view, corners, view.directions(corners, camera))


def visible(key: KeyFrame, frame: Frame, view: Turned, camera: Camera, settings: CameraMotionSettings) -> np.ndarray:
    """Which corners (N,) of a key frame a view should show, people aside."""
    return _inside(view.pixels(key.directions, camera), frame.background, settings.window // 2 + 1)


def _inside(pixels: np.ndarray, background: np.ndarray, edge: int) -> np.ndarray:
    """Which pixels (N, 2) lie on the background and not too near to the edge."""
    height, width = background.shape
    places = np.nan_to_num(pixels, nan=-1e6).clip(-1e6, 1e6)
    inside = ((places >= edge) & (places <= np.array([width, height]) - 1 - edge)).all(-1)
    columns, rows = np.where(inside[:, None], places, 0).round().astype(int).T
    return inside & (background[rows, columns] > 0)


def follow(
    key: KeyFrame, frame: Frame, start: Turned, camera: Camera, settings: CameraMotionSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Find the corners of a key frame in a frame.

    Args:
        key: The key frame.
        frame: The frame.
        start: A guess how the camera stands.
        camera: The camera of the first frame at the reduced size.
        settings: How corners are followed.

    Returns:
        Where they are (M, 2), and their numbers (M,) in the key frame.
    """
    import cv2

    numbers = np.flatnonzero(visible(key, frame, start, camera, settings))
    if len(numbers) < 3:
        return np.zeros((0, 2)), numbers[:0]
    size = frame.gray.shape[::-1]
    matrix = key.view.homography(start, camera)
    warped = cv2.warpPerspective(key.gray, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shared = cv2.bitwise_and(frame.background, cv2.warpPerspective(key.background, matrix, size))
    warped = _exposed_as(warped, frame.gray, shared)
    begin = start.pixels(key.directions[numbers], camera).astype(np.float32)
    lucas_kanade = partial(
        cv2.calcOpticalFlowPyrLK,
        winSize=(settings.window, settings.window),
        maxLevel=settings.levels,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.02),
    )
    end, ahead, _ = lucas_kanade(warped, frame.gray, begin, None)
    back, behind, _ = lucas_kanade(frame.gray, warped, end, None)
    returned = np.linalg.norm(back - begin, axis=-1) < settings.returned
    followed = (ahead[:, 0] > 0) & (behind[:, 0] > 0) & returned
    followed &= _inside(end, frame.background, settings.window // 2)
    return end[followed].astype(np.float64), numbers[followed]


def _exposed_as(gray: np.ndarray, other: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """A picture with mean and contrast of another where both show the background: exposures change."""
    import cv2

    (mean, spread), (mean_other, spread_other) = (cv2.meanStdDev(picture, mask=shared) for picture in (gray, other))
    if spread[0, 0] < 1 or spread_other[0, 0] < 1:
        return gray
    gain = float(np.clip(spread_other[0, 0] / spread[0, 0], 0.5, 2))
    return cv2.convertScaleAbs(gray, alpha=gain, beta=float(mean_other[0, 0] - gain * mean[0, 0]))


def features(gray: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """ORB's keypoints (N, 2) and descriptors (Rublee et al. 2011)."""
    import cv2

    keypoints, descriptors = cv2.ORB.create(500, edgeThreshold=16, fastThreshold=10).detectAndCompute(gray, background)
    return np.array([point.pt for point in keypoints], np.float64).reshape(-1, 2), descriptors


def matched(
    key: KeyFrame,
    own: tuple[np.ndarray, np.ndarray | None],
    camera: Camera,
    start: Turned,
    settings: CameraMotionSettings,
) -> Turned | None:
    """A rough turn by features of a key frame that are found among those of a frame."""
    import cv2

    there = features(key.gray, key.background)
    if there[1] is None or own[1] is None:
        return None
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(there[1], own[1])
    if len(matches) < settings.least_points:
        return None
    before = there[0][[match.queryIdx for match in matches]]
    now = own[0][[match.trainIdx for match in matches]]
    rough = replace(settings.turn, tolerance=3 * settings.turn.tolerance, pairs=4 * settings.turn.pairs)
    estimate = estimate_turn(key.view.directions(before, camera), now, camera, start, rough, settings.zooms)
    return None if estimate is None or estimate.agrees.sum() < settings.least_points else estimate.view
