"""Whether the pictures of one of several calibrated cameras are mirrored, as selfie cameras and some programs do it.

Nobody in mirrored pictures is where the other cameras see people. If they are once the keypoints are mirrored back, the
pictures were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from meshrec.body.joints import flip_permutation, joint_set
from meshrec.detect.matching import match_people
from meshrec.detect.people import Detection
from meshrec.geometry import Camera

LEAST_GAIN = 4.0  # by which mirrored pictures explain an instant better, as the logarithm of a likelihood ratio


def mirrored_views(instants: Sequence[Sequence[Sequence[Detection]]], cameras: Sequence[Camera]) -> list[int]:
    """Find cameras whose pictures are mirrored.

    Args:
        instants: For each instant, of each of V cameras everyone who is seen in it, in pixels without lens distortion.
        cameras: The V cameras, with extrinsics in metres.

    Returns:
        Indices of the cameras whose people match those of the others if their pictures are mirrored, and much worse as
        they are. Empty where all is well, or where nobody is seen twice.
    """
    plain = [match_people(found, cameras) for found in instants]
    result = []
    for view, camera in enumerate(cameras):
        gains, tied, seen = [], 0, 0
        for found, before in zip(instants, plain):
            if not found[view] or not any([*found[:view], *found[view + 1 :]]):
                continue
            turned = list(found)
            turned[view] = [mirrored(person, camera.size[0]) for person in found[view]]
            after = match_people(turned, cameras)
            gains.append(sum(match.evidence for match in after) - sum(match.evidence for match in before))
            tied += any(view in match.views and len(match.views) > 1 for match in after)
            seen += 1
        if 2 * tied > seen and np.mean(gains) > LEAST_GAIN:
            result.append(view)
    return result


def mirrored(person: Detection, width: int) -> Detection:
    """A person in the mirrored picture, whose width is given in pixels, without mask and close-ups.

    Example:
        >>> import numpy as np
        >>> from meshrec.detect import Detection
        >>> from meshrec.detect.mirrored_views import mirrored
        >>> person = Detection(np.array([10.0, 0, 30, 50]), np.zeros((17, 3)), "coco17", 0.9)
        >>> mirrored(person, 640).box.tolist()
        [609.0, 0.0, 629.0, 50.0]
    """
    box, keypoints = person.box.copy(), person.keypoints[flip_permutation(joint_set(person.joint_set))].copy()
    box[[0, 2]] = width - 1 - box[[2, 0]]
    keypoints[:, 0] = width - 1 - keypoints[:, 0]
    return replace(person, box=box, keypoints=keypoints, mask=None, world=None, region=None, close_ups=())
