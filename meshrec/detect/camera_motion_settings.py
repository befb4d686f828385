"""The settings by which the turns of a clip's camera are found."""

from dataclasses import dataclass

from meshrec.geometry.turning_cameras import TurnSettings


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
