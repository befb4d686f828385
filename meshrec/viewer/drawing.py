"""What is drawn of people and cameras: colours of confidence, bones, and where a camera's picture stands."""

from __future__ import annotations

import numpy as np

from meshrec.geometry import Camera
from meshrec.viewer.shown import Posed, Shown

UNKNOWN = (150, 150, 150)
STOPS = np.array([(213, 62, 79), (253, 174, 97), (254, 224, 139), (102, 194, 165), (50, 136, 189)], np.float64)
"""Colours of confidence 0, 1/4, 1/2, 3/4 and 1: red to blue, which eyes that confuse red and green tell apart."""
BEHIND = 0.5  # metres that a picture stands behind the people
NEAR = 0.05  # share of the way to the picture at which the lines of a camera begin
NEAREST = 0.5  # metres from the camera to its picture, at least


def confidence_colors(confidence: np.ndarray) -> np.ndarray:
    """Colours of probabilities.

    Args:
        confidence: (N,) in [0, 1].

    Returns:
        (N, 3) uint8 RGB.

    Example:
        >>> import numpy as np
        >>> from meshrec.viewer.drawing import confidence_colors
        >>> confidence_colors(np.array([0.0, 1.0])).tolist()
        [[213, 62, 79], [50, 136, 189]]
    """
    stops = np.linspace(0, 1, len(STOPS))
    return np.stack([np.interp(confidence, stops, channel) for channel in STOPS.T], axis=-1).round().astype(np.uint8)


def vertex_colors(posed: Posed, weights: np.ndarray) -> np.ndarray:
    """Colours (V, 3) uint8 of a mesh by the confidence of the joints that move each vertex; grey if it is not known.

    Args:
        posed: The person.
        weights: (V, 24) share of each joint in each vertex.
    """
    if posed.confidence is None:
        return np.tile(np.array(UNKNOWN, np.uint8), (len(weights), 1))
    return confidence_colors(weights @ posed.confidence)


def bone_segments(posed: Posed, bones: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """The skeleton as lines.

    Args:
        posed: The person.
        bones: Pairs of joints.

    Returns:
        (B, 2, 3) ends in the world, and their (B, 2, 3) uint8 colours: those of the confidence.
    """
    index = np.array(bones)
    known = posed.confidence
    colors = np.tile(np.array(UNKNOWN, np.uint8), (len(posed.joints), 1)) if known is None else confidence_colors(known)
    return posed.joints[index].astype(np.float32), colors[index]


def picture_corners(camera: Camera, distance: float) -> np.ndarray:
    """Corners (4, 3) of a camera's picture at a distance, in its space: clockwise from the top left one.

    The picture reaches half a pixel beyond the centres of its outer pixels.
    """
    width, height = camera.size
    pixels = np.array([(0, 0), (width, 0), (width, height), (0, height)]) - 0.5
    rays = (pixels - np.asarray(camera.center)) / np.asarray(camera.focal)
    return np.column_stack([rays * distance, np.full(4, distance)])


def frustum_segments(camera: Camera, rotation: np.ndarray, place: np.ndarray, distance: float) -> np.ndarray:
    """A camera as lines (8, 2, 3) in the world: from near its centre to the corners of its picture, and around that.

    Lines from the centre itself would fill the view of whoever looks through the camera.

    Args:
        camera: Focal lengths, principal point and size.
        rotation: (3, 3) from the camera to the world.
        place: (3,) its centre in the world.
        distance: Metres to the picture.
    """
    corners = picture_corners(camera, distance) @ rotation.T + place
    rays = [(place + NEAR * (corner - place), corner) for corner in corners]
    edges = [(corners[i], corners[(i + 1) % 4]) for i in range(4)]
    return np.array([*rays, *edges], np.float32)


def field_of_view(camera: Camera) -> float:
    """Vertical angle, radians, that a camera without an offset needs to show the whole picture in its height."""
    middle, height = float(np.asarray(camera.center)[1]), camera.size[1]
    reach = max(middle + 0.5, height - 0.5 - middle)
    return float(2 * np.arctan(reach / float(np.asarray(camera.focal)[1])))


def picture_distance(shown: Shown, number: int, frame: int) -> float:
    """Metres from a camera to its picture, so that the picture stands behind everybody.

    Args:
        shown: The result.
        number: Of the camera.
        frame: Number of the frame.
    """
    _, rotation, place = shown.cameras[number].at(frame)
    depths = [NEAREST]
    for person in range(len(shown.people)):
        posed = shown.posed(person, frame)
        if posed is not None:
            depths.append(float(((posed.vertices - place) @ rotation[:, 2]).max()) + BEHIND)
    return max(depths)
