"""The settings of the default detector."""

from dataclasses import dataclass

from meshrec.detect.close_ups import CloseUpSettings
from meshrec.detect.looks import Look


@dataclass(frozen=True)
class BlazePoseSettings:
    """How :class:`meshrec.detect.blazepose_detector.BlazePoseDetector` searches a photo, and whom it reports.

    The detector searches the photo and tiles of it for rough poses. It then looks at each of them more closely a few
    times, and reports those people on whom enough looks agree. Values for which no reason is given were set by hand;
    ``tests/detect/test_detect.py`` checks on photos of one to seven people that everyone is found once.

    Distances between poses are those of :func:`meshrec.detect.people.pose_distance`, shares of the body's size.

    Attributes:
        search_side: Shorter side of the photo during the search, pixels. Photos are shrunk or enlarged to it, so that
            whom the search finds does not depend on the photo's resolution.
        longest: Longer over shorter side up to which a photo is searched as one square. A longer one, such as a
            panorama, is searched in squares along it.
        longest_enlarged: Longer side of the photo during the search over ``search_side``, at most. It bounds the memory
            that an extreme panorama takes.
        tile_scales: Sides of the square search tiles as shares of the first square's side, in the order of the search.
        small: Size of a person, as a share of a tile's side, below which smaller tiles may show others whom this one
            does not: a quick search, and that of a photo of one person, go on in them.
        tile_overlap: Least overlap of neighbouring tiles, as a share of their side.
        wide_scale: Side of the square around the photo that is searched if the photo as it is shows nobody, as a share
            of the first square's side. The network misses people who fill its picture.
        neighbourhood: Side of the squares that are searched on both sides of a person, as a multiple of the longer side
            of the person's box.
        least_neighbour: Least size of a pose found in such a square, as a share of its side. Smaller people are
            onlookers far behind.
        search_poses: Most people found in one picture of the search.
        search_confidence: Least confidence of the person detector during the search, in [0, 1].
        look_poses: Most people found in one view of a box.
        look_confidence: Least confidence of the person detector in a view of a box, in [0, 1]. Each person it finds
            costs a run of the larger landmark network.
        least_presence: Least confidence of the landmark network that there is a pose, in [0, 1]. It is low, because the
            settings below judge what has been computed.
        quick_presence: Least confidence of the landmark network in a rough pose that a quick search looks at more
            closely; MediaPipe's. In 25 photos two of 54 people were found from rough poses below it, and 5 of 25 rough
            poses of nobody are below it.
        followed_presence: Least confidence of the landmark network that somebody who is followed from one frame of a
            video to the next is still there, in [0, 1]; MediaPipe's.
        followed_other: Pose distance from where a followed person should be above which a look shows another person.
        followed_crowd: Overlap (IoU) of two people's boxes above which they are followed as a crowd.
        seed_certainty: Least certainty of a rough pose that is looked at more closely, in [0, 1]: the mean visibility
            of its landmarks times the share of them inside the tile.
        least_size: Least longer side of a person's box, pixels.
        view_side: Side of the square views of a box in which the person detector finds the person, pixels.
        looks: Looks at a person who is alone in the photo or in a given box, in the order in which they are taken. Each
            is a view of the square around the person's box in which the person detector finds the region anew: regions
            that err alike would make the looks err alike.
        crowd_looks: Looks at each person in a photo of several. They show only the person's box, so that they need less
            margin.
        followed_looks: Looks at a person who is followed from one frame of a video to the next. On renders of dancers
            they err by as much as the whole search (0.016 of the person's extent), in half the time.
        rescue_looks: Looks at a given box that are taken when ``looks`` show nobody in it.
        mask_side: Side of the grid on which the masks of a person's looks are averaged, pixels.
        agreeing: Poses that agree on a person from which no more looks are taken; the rough pose counts as one.
        confirming: Poses that must agree on a person; with fewer, the person's score is less by their share of it.
        near: Mean landmark distance up to which two poses agree, as a share of the body's extent.
        same: Pose distance below which two poses belong to the same person.
        other: Pose distance from the rough pose above which a look shows another person.
        sure: Share of ``other`` below which a look of a quick search shows the person so surely that other regions of
            the same view are not looked at.
        elsewhere: Distance of a region's centre from that of the rough pose's region, as a share of this one's side,
            from which it is another person's and is not looked at.
        outside: One minus the overlap (IoU) with the given box above which a pose is another person's.
        covered: Share of a mask inside another person's mask above which both belong to the same person.
        cut: Share of a rough pose's landmarks outside the photo above which the photo's edge cuts the person off.
        least_score: Least score of a person, in [0, 1]. People who are seen whole have 0.8 or more. The highest in 26
            photos without people is 0.40 (the moon).
        least_crispness: Least mean of a mask over its inside, in [0, 1]. Masks of what only resembles a person are
            seldom that certain.
        close_ups: How the faces and hands of the people found are looked at, which tells how heads and wrists are
            turned; None for not at all.
    """

    search_side: int = 853
    longest: float = 1.5
    longest_enlarged: float = 12.0
    tile_scales: tuple[float, ...] = (0.6, 0.4)
    small: float = 0.4
    tile_overlap: float = 0.25
    wide_scale: float = 1.5
    neighbourhood: float = 1.3
    least_neighbour: float = 0.5
    search_poses: int = 4
    search_confidence: float = 0.5
    look_poses: int = 2
    look_confidence: float = 0.1
    least_presence: float = 0.1
    quick_presence: float = 0.5
    followed_presence: float = 0.5
    followed_other: float = 0.3
    followed_crowd: float = 0.0
    seed_certainty: float = 0.5
    least_size: int = 8
    view_side: int = 448
    looks: tuple[Look, ...] = (
        Look(2.0),
        Look(2.0, mirrored=True),
        Look(1.75, 30),
        Look(1.75, -30, mirrored=True),
        Look(2.3),
    )
    crowd_looks: tuple[Look, ...] = (Look(1.3), Look(1.5, mirrored=True), Look(1.15))
    followed_looks: tuple[Look, ...] = (Look(2.0), Look(2.0, mirrored=True))
    rescue_looks: tuple[Look, ...] = (Look(2.0, 90), Look(2.0, -90), Look(2.0, 180), Look(1.3), Look(3.0))
    mask_side: int = 448
    agreeing: int = 3
    confirming: int = 2
    near: float = 0.08
    same: float = 0.1
    other: float = 0.13
    sure: float = 0.5
    elsewhere: float = 0.3
    outside: float = 0.8
    covered: float = 0.7
    cut: float = 0.15
    least_score: float = 0.42
    least_crispness: float = 0.87
    close_ups: CloseUpSettings | None = CloseUpSettings()
