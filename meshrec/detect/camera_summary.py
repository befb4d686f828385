"""What is said to people of how the camera of a clip moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHIFTING = 0.1  # share of the frames with parallax from which the camera is said to change its place
NO_ZOOM = 1.02  # change of the focal length that is not worth a word
OTHER_FOCAL = 0.12  # difference of the focal length's logarithm that is worth a word
DEPTH = "near and far parts of the background move differently"


@dataclass(eq=False)
class Tally:
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
