"""Where one scene of a video ends and another begins.

Each frame is shrunk to a thumbnail without brightness and contrast, so that lights that go on or fade are no cut, and
compared with the one before at several shifts, so that a fast pan is none. A cut is a change that is large both by
itself and against the running level of change, which is high while the camera shakes. Whether it was a flash or a
damaged frame is only known when the scene from before comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np


class Change(Enum):
    """What a frame is after the one before."""

    NONE = "the same scene"
    CUT = "another scene"
    BACK = "the scene before the last cut again: there was only a flash"


@dataclass(frozen=True)
class CutSettings:
    """When a change of the picture is a cut.

    Differences are those of :func:`difference`. Between photos of people at different places they are 0.73 and more,
    between a wide and a close view of one place 0.69 and more, in a pan by a fifth of the picture a frame 0.31, and in
    a video of two people who stand and turn 0.04.

    Attributes:
        side: Side of the thumbnails, pixels.
        shift: Longest shift along both axes at which they are compared, pixels.
        least: Least difference of two frames on both sides of a cut.
        times: The same as a multiple of the running level of differences.
        memory: Time over which the running level is averaged, seconds.
        flash: Longest time after which the scene before a cut can come back, seconds.
    """

    side: int = 16
    shift: int = 4
    least: float = 0.6
    times: float = 2.0
    memory: float = 0.5
    flash: float = 0.25


@dataclass
class Cuts:
    """Finds the cuts of a video, frame by frame.

    Attributes:
        settings: When a change of the picture is a cut.
        level: Running level of the difference between neighbouring frames.
        last: Thumbnail of the last frame, None before the first one.
        time: Time of the last frame, seconds.
        before: Thumbnail of the last frame before the last cut, or None.
        cut: Time of the last cut, seconds.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect.cuts import Change, Cuts
        >>> day, night = np.random.default_rng(0).integers(0, 256, (2, 90, 160, 3), dtype=np.uint8)
        >>> cuts = Cuts()
        >>> [cuts.step(image, i / 25).name for i, image in enumerate([day, day, day // 2, night, night])]
        ['NONE', 'NONE', 'NONE', 'CUT', 'NONE']
    """

    settings: CutSettings = field(default_factory=CutSettings)
    level: float = 0.0
    last: np.ndarray | None = None
    time: float = 0.0
    before: np.ndarray | None = None
    cut: float = 0.0

    def step(self, image: np.ndarray, time: float) -> Change:
        """Look at the next frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            time: Its time, seconds.
        """
        settings, seen = self.settings, thumbnail(image, self.settings.side)
        last, step = self.last, time - self.time
        self.last, self.time = seen, time
        if last is None:
            return Change.NONE
        change = difference(seen, last, settings.shift)
        if self.before is not None:
            returned = difference(seen, self.before, settings.shift)
            if time - self.cut > settings.flash:
                self.before = None
            elif returned < min(settings.least, change / 2):
                self.before = None
                return Change.BACK
        if change > max(settings.least, settings.times * self.level):
            if self.before is None:  # else the flash goes on
                self.before = last
            self.cut = time
            return Change.CUT
        self.level += (1 - np.exp(-max(step, 0) / settings.memory)) * (change - self.level)
        return Change.NONE


def thumbnail(image: np.ndarray, side: int) -> np.ndarray:
    """A small picture without brightness and contrast.

    Args:
        image: (H, W, 3) uint8 RGB.
        side: Side of the result, pixels.

    Returns:
        (side, side, 3) float32 with mean 0 and standard deviation 1; zeros for a picture of one colour.
    """
    import cv2

    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    spread = small.std()
    return small / spread if spread > 1 else np.zeros_like(small)


def difference(a: np.ndarray, b: np.ndarray, shift: int) -> float:
    """Difference of two thumbnails, whatever the shift between them.

    Args:
        a, b: (N, N, 3) as :func:`thumbnail` makes them.
        shift: Longest shift along both axes, pixels.

    Returns:
        The least mean absolute difference over all shifts: 0 for the same picture, about 1 for pictures that have
        nothing in common.
    """
    least, steps = np.inf, range(-shift, shift + 1)
    for down in steps:
        for right in steps:
            one, other = (
                x[max(0, s * down) : len(x) + min(0, s * down), max(0, s * right) : len(x) + min(0, s * right)]
                for x, s in ((a, 1), (b, -1))
            )
            least = min(least, float(np.abs(one - other).mean()))
    return least
