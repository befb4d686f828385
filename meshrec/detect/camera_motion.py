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

import numpy as np
import torch

from meshrec.detect.background import Frame, KeyFrame, features, follow, key_frame, matched, reduced, visible
from meshrec.detect.camera_motion_settings import CameraMotionSettings
from meshrec.detect.camera_summary import Tally
from meshrec.detect.people import Detection
from meshrec.geometry import Camera, axis_angle_to_matrix, matrix_to_axis_angle
from meshrec.geometry.turning_cameras import (
    Turned,
    TurnEstimate,
    estimate_turn,
    focal_costs,
    lens,
    pixel_slopes,
)


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
        self._keys: list[KeyFrame] = []
        self._active = 0
        self._tally = Tally()
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
        frame = reduced(image, people, self._camera.size, self.settings.people_margin)
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
            motion._tally = Tally(**{name: state[f"tally_{name}"].item() for name in asdict(motion._tally)})
            motion._active, motion._costs = int(state["active"]), np.array(state["focal_costs"], np.float64)
            motion._view = Turned(np.asarray(state["found_turn"], np.float64), float(state["found_zoom"]))
            motion._last = View(np.asarray(state["last_turn"], np.float64), float(state["last_zoom"]), sure=True)
            while f"key_{len(motion._keys)}_gray" in state:
                number = len(motion._keys)
                motion._keys.append(KeyFrame.of({name: state[f"key_{number}_{name}"] for name in KeyFrame.NAMES}))
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

    def _first(self, frame: Frame) -> View:
        """Make the first key frame, or wait for a frame that can be one."""
        key = key_frame(frame, self._view, self._camera, self.settings)
        if len(key.corners) >= self.settings.least_points:
            self._keys.append(key)
            return View(np.eye(3), 1.0, sure=True)
        self._tally.unknown += 1
        return View(np.eye(3), 1.0, sure=False)

    def _found(self, key: KeyFrame, frame: Frame, start: Turned) -> _Found:
        """Follow the corners of a key frame, and estimate the turn by them."""
        settings = self.settings
        seen, numbers = follow(key, frame, start, self._camera, settings)
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

    def _searched(self, frame: Frame) -> _Found | None:
        """Look for the key frames by features that need no guess where they are, the latest first."""
        settings = self.settings
        orders = sorted(range(len(self._keys)), key=lambda number: (number != self._active, -number))
        own = features(frame.gray, frame.background)
        for number in orders[: settings.key_tries]:
            guess = matched(self._keys[number], own, self._camera, self._view, settings)
            if guess is None:
                continue
            found = self._found(self._keys[number], frame, guess)
            if found.estimate is not None:
                self._active = number
                return found
        return None

    def _change_key(self, frame: Frame, agreeing: int) -> None:
        """Follow another key frame if there is one on which more points agree, or make this frame one."""
        settings = self.settings
        least = settings.key_gain * agreeing
        in_sight = [int(visible(key, frame, self._view, self._camera, settings).sum()) for key in self._keys]
        in_sight[self._active] = 0
        for number in np.argsort(in_sight, kind="stable")[::-1][: settings.key_tries].tolist():
            if in_sight[number] < least:
                break
            found = self._found(self._keys[number], frame, self._view)
            if found.estimate is not None and found.estimate.agrees.sum() >= least:
                self._active, self._view = number, found.estimate.view
                return
        key = key_frame(frame, self._view, self._camera, settings)
        if len(key.corners) >= least:
            self._add_key(key)

    def _add_key(self, key: KeyFrame) -> None:
        """Follow a new key frame, and forget the oldest one but the first if there are too many."""
        if len(self._keys) >= self.settings.most_keys:
            del self._keys[1]
        self._keys.append(key)
        self._active = len(self._keys) - 1

    def _lose(self, frame: Frame, found: _Found) -> None:
        """Count a frame whose turn is not known, and begin anew after too many."""
        tally = self._tally
        tally.unknown += 1
        tally.shifting += found.parallax
        tally.lost += 1
        if tally.lost < self.settings.lost:
            return
        key = key_frame(frame, self._view, self._camera, self.settings)
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


def _believed(ratio: float) -> float:
    """The share of a motion that is believed: none up to a ratio of 1, all from 3, without a step between."""
    t = min(max((ratio - 1) / 2, 0.0), 1.0)
    return t * t * (3 - 2 * t)
