"""How the camera of a clip turns and zooms, by the background between the people.

Corners of a key frame are followed by the pyramids of Lucas and Kanade (Bouguet 2001) into each frame, from where the
camera of the frame before would see them and on a copy of the key frame that is warped to that camera, so that only the
motion since the last frame is left. All corners are directions of the world, and the turn and the zoom by which most of
them are seen where they were found are those of the frame (:mod:`meshrec.geometry.turning_cameras`). Errors therefore
add up over key frames and not over frames, and key frames are few: a new one is made when too little is left of the
last, and none that there is shows more.

How a camera moves from place to place cannot be known in this way: near and far points then move differently, and no
turn explains them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch

from meshrec.detect.people import Detection, photo_edges
from meshrec.geometry import Camera, axis_angle_to_matrix, matrix_to_axis_angle
from meshrec.geometry.turning_cameras import (
    Turned,
    TurnEstimate,
    TurnSettings,
    estimate_turn,
    focal_costs,
    lens,
    pixel_slopes,
)

SHIFTING = 0.1  # share of the frames with parallax from which the camera is said to change its place
NO_ZOOM = 1.02  # change of the focal length that is not worth a word
OTHER_FOCAL = 0.12  # difference of the focal length's logarithm that is worth a word
DEPTH = "near and far parts of the background move differently"


@dataclass(frozen=True)
class CameraMotionSettings:
    """How the background is followed, and when what it says is believed. Pixels are those of the reduced frame.

    Attributes:
        side: Longer side to which frames are reduced, pixels.
        zooms: Whether the focal length may change. Without it walking towards something cannot be taken for zooming.
        corners: Most corners of a key frame.
        spacing: Least distance of two corners, pixels.
        contrast: Least contrast of a corner: the smaller standard deviation of the slope of the brightness over its
            neighbourhood, in grey levels (of 255) a pixel. Noise and walls have less.
        people_margin: By how much people are enlarged, as a share of the longer side of their box.
        window: Side of the window that is found again around each corner, pixels.
        levels: Pyramid levels above the frame itself.
        returned: Distance from where it began up to which a corner has to return when it is followed back, pixels.
        least_points: Fewest corners that have to agree.
        least_share: Least share that has to agree of the corners that can be followed. Others move by themselves, or
            lie at another distance from a camera that changes its place.
        flat_share: Share below which the background is said to have depth, as seen by a camera that changes its place.
        steady_share: The zoom is then kept if the points that agree are not fewer than this share of those that agree
            on another zoom, because things that come nearer look as if the camera zoomed.
        most_deviation: Greatest standard deviation of where the estimate places any part of the picture, pixels.
        key_share: Share of the corners of a key frame below which another key frame is looked for or made.
        key_gain: By how much more points have to agree on another key frame.
        key_every: Frames after which it is tried again whether another key frame is better.
        key_tries: How many other key frames are tried then.
        most_keys: Most key frames that are kept; the first one always is.
        lost: Frames in a row that do not match any key frame, after which a new one is made although its turn is not
            known. The clip may have been cut.
        still: Greatest motion of the picture since the first frame that is none, pixels (root mean square). From
            there to three times as much it is gradually believed.
        still_zoom: Greatest change of the zoom's logarithm that is none, likewise.
        significance: Standard deviations up to which motion and zoom are none either.
        focal_ratios: Focal lengths that are tried, over the given one.
        focal_every: Frames after which they are tried again.
        focal_points: About how many points they are tried on.
        focal_tries: After how many times they are known well enough.
        focal_motion: Least motion of the picture since the key frame that tells something of the focal length, pixels.
        focal_cost: Greatest mean cost of the best focal length, in the units of
            :func:`meshrec.geometry.turning_cameras.focal_costs`. Translation has more, since no focal length explains
            it.
        focal_gain: By how much less it is than the costs two steps to either side.
        turn: How the turn is estimated.
    """

    side: int = 640
    zooms: bool = True
    corners: int = 250
    spacing: int = 9
    contrast: float = 2.0
    people_margin: float = 0.04
    window: int = 15
    levels: int = 3
    returned: float = 0.7
    least_points: int = 16
    least_share: float = 0.5
    flat_share: float = 0.8
    steady_share: float = 0.8
    most_deviation: float = 1.0
    key_share: float = 0.5
    key_gain: float = 1.25
    key_every: int = 3
    key_tries: int = 2
    most_keys: int = 12
    lost: int = 8
    still: float = 0.25
    still_zoom: float = 0.0025
    significance: float = 2.0
    focal_ratios: tuple[float, ...] = tuple(2.0 ** (step / 4) for step in range(-4, 5))
    focal_every: int = 15
    focal_points: int = 80
    focal_tries: int = 15
    focal_motion: float = 8.0
    focal_cost: float = 0.12
    focal_gain: float = 0.05
    turn: TurnSettings = TurnSettings()


@dataclass(frozen=True, eq=False)
class View:
    """How the camera stands in one frame.

    Attributes:
        turn: (3, 3) float64 rotation from the world, which is the first frame's camera space, to this frame's.
        zoom: Focal length over that of the first frame.
        sure: Whether turn and zoom were found in this frame; otherwise they are those of the last frame in which they
            were.
    """

    turn: np.ndarray
    zoom: float
    sure: bool

    def camera(self, first: Camera) -> Camera:
        """The camera of this frame, by that of the first one.

        Example:
            >>> import numpy as np
            >>> import meshrec
            >>> from meshrec.detect.camera_motion import View
            >>> View(np.eye(3), 1.5, True).camera(meshrec.Camera(800.0, size=(640, 480))).focal
            (1200.0, 1200.0)
        """
        return replace(first, focal=tuple(self.zoom * lens(first)[0]))


class CameraMotion:
    """Follows the turn and the zoom of a camera from frame to frame.

    Args:
        camera: The camera of the first frame, at the size of the frames.
        settings: How the background is followed.

    Example:
        >>> import numpy as np
        >>> import meshrec
        >>> from meshrec.detect.camera_motion import CameraMotion
        >>> pebbles = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        >>> motion = CameraMotion(meshrec.Camera(300.0, size=(320, 240)))
        >>> view = [motion.step(frame, []) for frame in (pebbles, np.roll(pebbles, 5, axis=1))][-1]
        >>> view.sure, round(float(np.degrees(np.arctan2(view.turn[0, 2], view.turn[2, 2]))))  # 5 pixels of 300
        (True, 1)
        >>> motion.summary()
        'The camera turns by 1 degree and does not zoom; whether it also changes its place cannot be known.'
    """

    def __init__(self, camera: Camera, settings: CameraMotionSettings = CameraMotionSettings()) -> None:
        self.settings = settings
        self.size = camera.size
        scale = min(1.0, settings.side / max(camera.size))
        width, height = (max(round(scale * length), 1) for length in camera.size)
        self._camera = camera.resized((width, height))
        self._view = Turned(np.eye(3), 1.0)  # as found
        self._last = View(np.eye(3), 1.0, sure=True)  # as returned, without what may be noise
        self._keys: list[_Key] = []
        self._active = 0
        self._tally = _Tally()
        self._costs = np.zeros((2, len(settings.focal_ratios)))  # sums of costs, and of points

    def step(self, image: np.ndarray, people: Sequence[Detection]) -> View:
        """Find how the camera stands in the next frame.

        Args:
            image: (H, W, 3) uint8 RGB, of the camera's size.
            people: Everybody who was found in it; the background is what they do not cover.

        Raises:
            ValueError: The frame has another size than the camera.
        """
        if image.shape[1::-1] != self.size:
            raise ValueError(f"the frame has {image.shape[1]} x {image.shape[0]} pixels, the camera {self.size}")
        frame = self._reduced(image, people)
        tally, settings = self._tally, self.settings
        tally.frames += 1
        if not self._keys:
            return self._first(frame)
        found = self._found(self._keys[self._active], frame, self._view)
        if found.estimate is None:
            found = self._searched(frame) or found
        if found.estimate is None:
            self._lose(frame, found)
            return replace(self._last, sure=False)
        tally.lost = 0
        tally.shifting += found.parallax
        self._view = found.estimate.view
        if tally.frames % settings.focal_every == 0:
            self._try_focal_lengths(found)
        agreeing = int(found.estimate.agrees.sum())
        few = agreeing < settings.key_share * len(self._keys[self._active].corners)
        if few and tally.frames - tally.tried >= settings.key_every:
            tally.tried = tally.frames
            self._change_key(frame, agreeing)
        self._last = self._reported(self._view, found.estimate)
        return self._last

    def state(self) -> dict[str, np.ndarray]:
        """All that is known so far, as arrays, from which :meth:`resumed` goes on."""
        state = {f"tally_{name}": np.array(value) for name, value in asdict(self._tally).items()}
        state |= {"active": np.array(self._active), "focal_costs": self._costs.copy()}
        for name, view in (("found", self._view), ("last", self._last)):
            state |= {f"{name}_turn": view.turn, f"{name}_zoom": np.array(view.zoom)}
        for number, key in enumerate(self._keys):
            state |= {f"key_{number}_{name}": value for name, value in key.arrays().items()}
        return state

    @classmethod
    def resumed(
        cls,
        camera: Camera,
        state: Mapping[str, np.ndarray],
        settings: CameraMotionSettings = CameraMotionSettings(),
    ) -> CameraMotion:
        """Go on from a state.

        Args:
            camera: The same camera as before.
            state: What :meth:`state` gave.
            settings: The same settings as before.

        Raises:
            ValueError: The state is of a clip of another size, or is incomplete.
        """
        motion = cls(camera, settings)
        try:
            motion._tally = _Tally(**{name: state[f"tally_{name}"].item() for name in asdict(motion._tally)})
            motion._active, motion._costs = int(state["active"]), np.array(state["focal_costs"], np.float64)
            motion._view = Turned(np.asarray(state["found_turn"], np.float64), float(state["found_zoom"]))
            motion._last = View(np.asarray(state["last_turn"], np.float64), float(state["last_zoom"]), sure=True)
            while f"key_{len(motion._keys)}_gray" in state:
                number = len(motion._keys)
                motion._keys.append(_Key.of({name: state[f"key_{number}_{name}"] for name in _Key.NAMES}))
        except KeyError as error:
            raise ValueError(f"the state of a camera's motion lacks {error}") from error
        width, height = motion._camera.size
        if any(key.gray.shape != (height, width) for key in motion._keys):
            raise ValueError("the state of a camera's motion belongs to a clip of another size")
        return motion

    def summary(self) -> str:
        """One sentence for people: whether the camera moves, as far as that can be known."""
        return self._tally.sentence(self.focal_ratio())

    def focal_ratio(self) -> float | None:
        """The camera's focal length over the given one, as far as the turns so far tell it.

        It is within a few percent after turns by ten degrees. With a wrong focal length all turns are wrong by the same
        factor, so that it is worth while to begin anew with a better one.

        Returns:
            The ratio; None if the camera has hardly turned, or changes its place.
        """
        settings, (costs, counts) = self.settings, self._costs
        if not counts.any():
            return None
        cost = costs / counts
        best = int(cost.argmin())
        if not 2 <= best < len(cost) - 2 or cost[best] > settings.focal_cost:
            return None
        if min(cost[best - 2], cost[best + 2]) - cost[best] < settings.focal_gain:
            return None
        before, middle, after = cost[best - 1 : best + 2]
        logs = np.log(settings.focal_ratios)
        step = (before - after) / (2 * (before - 2 * middle + after))  # of the parabola's minimum
        return float(np.exp(logs[best] + step * (logs[best + 1] - logs[best])))

    def _reduced(self, image: np.ndarray, people: Sequence[Detection]) -> _Frame:
        """The frame in grey at the reduced size, and where people are."""
        import cv2

        width, height = self._camera.size
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if gray.shape != (height, width):
            gray = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
        background = np.full((height, width), 255, np.uint8)
        scale = width / self.size[0]
        for person in people:
            side = float(np.ptp(np.asarray(person.box).reshape(2, 2), axis=0).max()) * scale
            margin = max(3, round(self.settings.people_margin * side))
            if person.mask is None:
                x0, y0, x1, y1 = (round(float(edge) * scale) for edge in person.box)
                background[max(y0 - margin, 0) : max(y1 + margin, 0), max(x0 - margin, 0) : max(x1 + margin, 0)] = 0
            else:
                shown = (person.mask.crop(photo_edges(self.size), (height, width)) > 0.2).astype(np.uint8)
                background[cv2.dilate(shown, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)) > 0] = 0
        return _Frame(gray, background)

    def _first(self, frame: _Frame) -> View:
        """Make the first key frame, or wait for a frame that can be one."""
        key = _key(frame, self._view, self._camera, self.settings)
        if len(key.corners) >= self.settings.least_points:
            self._keys.append(key)
            return View(np.eye(3), 1.0, sure=True)
        self._tally.unknown += 1
        return View(np.eye(3), 1.0, sure=False)

    def _found(self, key: _Key, frame: _Frame, start: Turned) -> _Found:
        """Follow the corners of a key frame, and estimate the turn by them."""
        settings = self.settings
        seen, numbers = _follow(key, frame, start, self._camera, settings)
        points = key.directions[numbers], seen, self._camera
        estimate = estimate_turn(*points, start, settings.turn, zooms=settings.zooms)
        share = 1.0 if estimate is None else float(estimate.agrees.mean())
        if estimate is not None and settings.zooms and share < settings.flat_share:
            unzoomed = Turned(estimate.view.turn, start.zoom)
            steady = estimate_turn(*points, unzoomed, replace(settings.turn, pairs=0), zooms=False)
            if steady is not None and steady.agrees.sum() >= settings.steady_share * estimate.agrees.sum():
                estimate, share = steady, float(steady.agrees.mean())
        if estimate is not None:
            unexplained = share < settings.least_share or estimate.agrees.sum() < settings.least_points
            if unexplained or self._deviation(estimate) > settings.most_deviation:
                estimate = None
        parallax = len(seen) >= 2 * settings.least_points and share < settings.flat_share
        return _Found(estimate, parallax, seen, numbers)

    def _deviation(self, estimate: TurnEstimate) -> float:
        """Greatest standard deviation of where an estimate places the picture's corners, pixels."""
        width, height = self._camera.size
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
        slopes = pixel_slopes(estimate.view.directions(corners, self._camera), estimate.view, self._camera)
        variance = np.einsum("nai,ij,naj->na", slopes, estimate.covariance, slopes)
        return float(np.sqrt(variance.max()))

    def _try_focal_lengths(self, found: _Found) -> None:
        """Add up how well other focal lengths explain what is seen in this frame of the key frame's corners."""
        settings, key = self.settings, self._keys[self._active]
        if self._costs[1].max() >= settings.focal_tries * settings.focal_points:
            return
        chosen = slice(None, None, -(-len(found.seen) // settings.focal_points))
        before, after = key.corners[found.numbers[chosen]], found.seen[chosen]
        if np.sqrt(((after - before) ** 2).sum(-1).mean()) < settings.focal_motion:
            return
        ratios = np.array(settings.focal_ratios)
        costs = focal_costs(before, after, self._camera, (key.view, self._view), ratios, settings.turn)
        self._costs += np.stack([len(before) * costs, np.full(len(costs), len(before))])

    def _searched(self, frame: _Frame) -> _Found | None:
        """Look for the key frames by features that need no guess where they are, the latest first."""
        settings = self.settings
        orders = sorted(range(len(self._keys)), key=lambda number: (number != self._active, -number))
        own = _features(frame.gray, frame.background)
        for number in orders[: settings.key_tries]:
            guess = _matched(self._keys[number], own, self._camera, self._view, settings)
            if guess is None:
                continue
            found = self._found(self._keys[number], frame, guess)
            if found.estimate is not None:
                self._active = number
                return found
        return None

    def _change_key(self, frame: _Frame, agreeing: int) -> None:
        """Follow another key frame if there is one on which more points agree, or make this frame one."""
        settings = self.settings
        least = settings.key_gain * agreeing
        visible = [int(_visible(key, frame, self._view, self._camera, settings).sum()) for key in self._keys]
        visible[self._active] = 0
        for number in np.argsort(visible, kind="stable")[::-1][: settings.key_tries].tolist():
            if visible[number] < least:
                break
            found = self._found(self._keys[number], frame, self._view)
            if found.estimate is not None and found.estimate.agrees.sum() >= least:
                self._active, self._view = number, found.estimate.view
                return
        key = _key(frame, self._view, self._camera, settings)
        if len(key.corners) >= least:
            self._add_key(key)

    def _add_key(self, key: _Key) -> None:
        """Follow a new key frame, and forget the oldest one but the first if there are too many."""
        if len(self._keys) >= self.settings.most_keys:
            del self._keys[1]
        self._keys.append(key)
        self._active = len(self._keys) - 1

    def _lose(self, frame: _Frame, found: _Found) -> None:
        """Count a frame whose turn is not known, and begin anew after too many."""
        tally = self._tally
        tally.unknown += 1
        tally.shifting += found.parallax
        tally.lost += 1
        if tally.lost < self.settings.lost:
            return
        key = _key(frame, self._view, self._camera, self.settings)
        if len(key.corners) >= 2 * self.settings.least_points:
            self._keys, self._active = [key], 0
            tally.breaks += 1
            tally.lost = 0

    def _reported(self, view: Turned, estimate: TurnEstimate) -> View:
        """A view, with what may be noise taken out, as far as the errors of this frame's estimate tell."""
        settings, tally = self.settings, self._tally
        width, height = self._camera.size
        across = np.stack(np.meshgrid(np.linspace(0, width, 5), np.linspace(0, height, 5)), -1).reshape(-1, 2)
        first = Turned(np.eye(3), 1.0)
        zoom = np.log(view.zoom)
        error = settings.significance * float(np.sqrt(estimate.covariance[3, 3]))
        zoom *= _believed(abs(zoom) / max(settings.still_zoom, error))
        moved = Turned(view.turn, float(np.exp(zoom))).pixels(first.directions(across, self._camera), self._camera)
        moved = moved - across
        distance = np.inf if np.isnan(moved).any() else float(np.sqrt((moved**2).sum(-1).mean()))
        share = _believed(distance / max(settings.still, settings.significance * self._deviation(estimate)))
        if share == 0:
            return View(np.eye(3), 1.0, sure=True)
        turn = view.turn
        vector = matrix_to_axis_angle(torch.from_numpy(turn))
        if share < 1:
            turn = axis_angle_to_matrix(share * vector).numpy()
        reported = View(turn.copy(), float(np.exp(share * zoom)), sure=True)
        tally.moved += share == 1
        tally.widest = max(tally.widest, share * float(torch.linalg.vector_norm(vector)))
        tally.nearest, tally.farthest = max(tally.nearest, reported.zoom), min(tally.farthest, reported.zoom)
        return reported


@dataclass(eq=False)
class _Tally:
    """What a summary needs.

    Attributes:
        frames: Frames seen.
        moved: Frames in which the camera stands otherwise than in the first.
        unknown: Frames whose turn is not known.
        shifting: Frames in which many corners move as no turn explains.
        lost: Frames in a row whose turn is not known.
        tried: The last frame in which another key frame was looked for.
        breaks: How often the turn was lost, and followed again from a turn that is not known.
        widest: Greatest angle from the first frame, radians.
        nearest, farthest: Greatest and least zoom.
    """

    frames: int = 0
    moved: int = 0
    unknown: int = 0
    shifting: int = 0
    lost: int = 0
    tried: int = -1000
    breaks: int = 0
    widest: float = 0.0
    nearest: float = 1.0
    farthest: float = 1.0

    def sentence(self, focal_ratio: float | None) -> str:
        """The summary.

        Args:
            focal_ratio: The focal length over the given one, or None if it is not known.
        """
        other_focal = focal_ratio is not None and abs(np.log(focal_ratio)) > OTHER_FOCAL
        shifts = self.shifting > SHIFTING * self.frames and not other_focal
        if self.unknown >= self.frames / 2:
            if shifts:
                return f"How the camera moves cannot be known: {DEPTH}."
            return "Whether the camera moves cannot be known: too little of the background can be followed."
        if not self.moved and not shifts:
            text = "The camera does not move."
        else:
            degrees = round(np.degrees(self.widest))
            turns = "turns by less than a degree" if degrees < 1 else f"turns by up to {degrees} degrees"
            turns = turns.replace("up to 1 degrees", "1 degree")
            zooms = "does not zoom"
            if max(self.nearest, 1 / self.farthest) > NO_ZOOM:
                zooms = f"zooms from {self.farthest:.2f} to {self.nearest:.2f} times the first frame's focal length"
            place = "whether it also changes its place cannot be known"
            if shifts:
                place = f"it seems to change its place too, by how much cannot be known: {DEPTH}"
            text = f"The camera {turns} and {zooms}; {place}."
        if self.breaks:
            times = "once" if self.breaks == 1 else f"{self.breaks} times"
            text += f" The background was lost {times}, and how the camera turned meanwhile is not known."
        elif self.unknown:
            text += f" In {self.unknown} of {self.frames} frames it could not be followed."
        if other_focal:
            text += f" Its focal length seems to be {focal_ratio:.2f} times the assumed one."
        return text


@dataclass(frozen=True, eq=False)
class _Frame:
    """A reduced frame: gray (h, w) uint8, and background (h, w) uint8, 0 where people are and 255 elsewhere."""

    gray: np.ndarray
    background: np.ndarray


@dataclass(frozen=True, eq=False)
class _Found:
    """What following a key frame gave.

    Attributes:
        estimate: The turn, or None if it is not to be believed.
        parallax: Whether corners can be followed, and many of them move as no turn explains.
        seen: (M, 2) where corners of the key frame are seen.
        numbers: (M,) their numbers.
    """

    estimate: TurnEstimate | None
    parallax: bool
    seen: np.ndarray
    numbers: np.ndarray


@dataclass(frozen=True, eq=False)
class _Key:
    """A key frame: gray and background as in :class:`_Frame`, its view, and corners (N, 2) with directions (N, 3)."""

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
    def of(cls, arrays: Mapping[str, np.ndarray]) -> _Key:
        """The key frame of :meth:`arrays`."""
        view = Turned(np.asarray(arrays["turn"], np.float64), float(arrays["zoom"]))
        return cls(arrays["gray"], arrays["background"], view, arrays["corners"], arrays["directions"])


def _believed(ratio: float) -> float:
    """The share of a motion that is believed: none up to a ratio of 1, all from 3, without a step between."""
    t = min(max((ratio - 1) / 2, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def _key(frame: _Frame, view: Turned, camera: Camera, settings: CameraMotionSettings) -> _Key:
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
    return _Key(frame.gray, frame.background, view, corners, view.directions(corners, camera))


def _visible(key: _Key, frame: _Frame, view: Turned, camera: Camera, settings: CameraMotionSettings) -> np.ndarray:
    """Which corners (N,) of a key frame a view should show, people aside."""
    return _inside(view.pixels(key.directions, camera), frame.background, settings.window // 2 + 1)


def _inside(pixels: np.ndarray, background: np.ndarray, edge: int) -> np.ndarray:
    """Which pixels (N, 2) lie on the background and not too near to the edge."""
    height, width = background.shape
    places = np.nan_to_num(pixels, nan=-1e6).clip(-1e6, 1e6)
    inside = ((places >= edge) & (places <= np.array([width, height]) - 1 - edge)).all(-1)
    columns, rows = np.where(inside[:, None], places, 0).round().astype(int).T
    return inside & (background[rows, columns] > 0)


def _follow(
    key: _Key, frame: _Frame, start: Turned, camera: Camera, settings: CameraMotionSettings
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

    numbers = np.flatnonzero(_visible(key, frame, start, camera, settings))
    if len(numbers) < 3:
        return np.zeros((0, 2)), numbers[:0]
    size = frame.gray.shape[::-1]
    matrix = key.view.homography(start, camera)
    warped = cv2.warpPerspective(key.gray, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shared = cv2.bitwise_and(frame.background, cv2.warpPerspective(key.background, matrix, size))
    warped = _exposed_as(warped, frame.gray, shared)
    begin = start.pixels(key.directions[numbers], camera).astype(np.float32)
    follow = partial(
        cv2.calcOpticalFlowPyrLK,
        winSize=(settings.window, settings.window),
        maxLevel=settings.levels,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.02),
    )
    end, ahead, _ = follow(warped, frame.gray, begin, None)
    back, behind, _ = follow(frame.gray, warped, end, None)
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


def _features(gray: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """ORB's keypoints (N, 2) and descriptors (Rublee et al. 2011)."""
    import cv2

    keypoints, descriptors = cv2.ORB.create(500, edgeThreshold=16, fastThreshold=10).detectAndCompute(gray, background)
    return np.array([point.pt for point in keypoints], np.float64).reshape(-1, 2), descriptors


def _matched(
    key: _Key,
    own: tuple[np.ndarray, np.ndarray | None],
    camera: Camera,
    start: Turned,
    settings: CameraMotionSettings,
) -> Turned | None:
    """A rough turn by features of a key frame that are found among those of a frame."""
    import cv2

    there = _features(key.gray, key.background)
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
