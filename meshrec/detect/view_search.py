"""Finding the people in pictures that calibrated cameras took at one instant, with less search than in photos.

A photo is searched in many tiles, and beside everyone found, because nothing else tells who is missed. Of one instant
the other cameras do: a quick search of each picture finds most people, rays tell where a person of two cameras is in
the others, and a look there finds the person, unless somebody stands in front. Only if a camera sees somebody
whom no other camera has found, the others are searched as photos are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from meshrec.detect.matching import Match, match_people
from meshrec.detect.people import Detection, box_iou, keypoint_box, pose_distance
from meshrec.geometry import Camera

LEAST_INSIDE = 0.5  # of a person's keypoints, in the picture of a camera in which the person is looked for
LEAST_DEPTH = 0.3  # metres before a camera, of all keypoints
ENOUGH = 3  # cameras that see a person, from which the others are not looked at: the body is known
SAME = 0.1  # pose distance up to which somebody who was looked for is one of those already found
# Mean distance of keypoints from where they should be, as a share of the person's size, up to which a look shows the
# person. Of people who are half hidden, looks are wrong by more, which does more harm than a camera that misses them.
NEAR = 0.035


@runtime_checkable
class QuickDetector(Protocol):
    """A detector that searches in two parts, and that looks where somebody should be.

    :class:`meshrec.detect.blazepose_detector.BlazePoseDetector` says what the methods do.
    """

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
        """Find everyone in a photo, or one person in each box."""

    def glance(self, image: np.ndarray) -> list[Detection]:
        """Find the people whom a quick search shows."""

    def find_more(self, image: np.ndarray, people: Sequence[Detection]) -> list[Detection]:
        """Find everyone else in a photo of which some people are known."""

    def follow(
        self, image: np.ndarray, people: Sequence[Detection], hidden: Sequence[Detection] = ()
    ) -> list[Detection]:
        """Find people where they should be, with others painted over."""


def find_in_views(
    detector: QuickDetector, images: Sequence[np.ndarray], cameras: Sequence[Camera]
) -> list[list[Detection]]:
    """Find everyone in the pictures of several cameras of one instant.

    Args:
        detector: Searches and looks.
        images: V pictures without lens distortion, (H, W, 3) uint8 RGB.
        cameras: Their cameras, with extrinsics in metres.

    Returns:
        Of each camera everyone found; nobody has a score of 0.
    """
    found = [_present(detector.glance(image)) for image in images]
    searched = [not own for own in found]
    found = [own or _present(detector(image)) for own, image in zip(found, images)]
    found = _looked_for(detector, images, cameras, found)
    doubtful = _in_doubt(match_people(found, cameras), searched)
    if not doubtful:
        return found
    for view in doubtful:
        found[view] = found[view] + _present(detector.find_more(images[view], found[view]))
    return _looked_for(detector, images, cameras, found)


def _present(people: Sequence[Detection]) -> list[Detection]:
    return [person for person in people if person.score > 0]


def _in_doubt(matches: Sequence[Match], searched: Sequence[bool]) -> list[int]:
    """Cameras that are not yet searched wholly, while another one sees somebody whom no other camera has found."""
    lonely = {view for match in matches if len(match.views) == 1 for view in match.views}
    return [view for view, done in enumerate(searched) if not done and lonely - {view}]


def _looked_for(
    detector: QuickDetector,
    images: Sequence[np.ndarray],
    cameras: Sequence[Camera],
    found: Sequence[Sequence[Detection]],
) -> list[list[Detection]]:
    """What is found, and people of two cameras in those of the other cameras in which a look shows them."""
    result = [list(own) for own in found]
    for match in match_people(found, cameras):
        if not 2 <= len(match.views) < ENOUGH:
            continue
        for view, (image, camera) in enumerate(zip(images, cameras)):
            expected = (
                None if view in match.views else expected_in(match, camera, result[min(match.views)][0].joint_set)
            )
            if expected is None:
                continue
            boxes = np.array([other.box for other in result[view]]).reshape(-1, 4)
            beside = box_iou(expected.box[None], boxes)[0] > 0
            others = [other for other, near in zip(result[view], beside) if near]
            person = detector.follow(image, [expected], others)[0]
            known = any(pose_distance(person.keypoints, other.keypoints) < SAME for other in others)
            if person.score > 0 and _apart(expected.keypoints, person.keypoints) < NEAR and not known:
                result[view].append(person)
    return result


def _apart(expected: np.ndarray, seen: np.ndarray) -> float:
    """Mean distance of keypoints (K, 3) from where they are expected, as a share of the person's size."""
    known = expected[:, 2] > 0
    off = np.linalg.norm(seen[known, :2] - expected[known, :2], axis=1)
    return float(off.mean() / max(np.linalg.norm(np.ptp(expected[known, :2], axis=0)), 1.0))


def expected_in(match: Match, camera: Camera, joints: str) -> Detection | None:
    """Where a person should be in the picture of a camera.

    Args:
        match: The person, as other cameras see them.
        camera: The camera.
        joints: The joint set of the detections, all of which have it.

    Returns:
        A detection whose keypoints are those of the person's points, with a confidence of 0 where there is none; or
        None if less than half of the person is in the picture.
    """
    import torch

    known = ~np.isnan(match.points[:, 0])
    if known.sum() < 4:
        return None
    seen = camera.project(camera.world_to_camera(torch.from_numpy(match.points[known]))).numpy()
    if seen[:, 2].min() < LEAST_DEPTH:
        return None
    inside = ((seen[:, :2] > -0.5) & (seen[:, :2] < np.array(camera.size) - 0.5)).all(1)
    if inside.mean() < LEAST_INSIDE:
        return None
    keypoints = np.zeros((len(known), 3), np.float32)
    keypoints[:, :2] = seen[:, :2].mean(0)
    keypoints[known] = np.column_stack([seen[:, :2], np.ones(len(seen))])
    return Detection(keypoint_box(keypoints), keypoints, joints, 1.0)
