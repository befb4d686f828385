"""What a depth camera makes of true distances: noise that grows with distance, steps of disparity, and holes.

The axial noise is that of Nguyen, Izadi & Lovell 2012 ("Modeling Kinect sensor noise for improved 3D reconstruction and
tracking"), sigma(z) = 0.0012 + 0.0019 (z - 0.4)^2 metres, and so is the lateral noise of about 0.8 pixels. The steps
are those of Khoshelham & Elberink 2012 ("Accuracy and resolution of Kinect depth data"): a sensor that triangulates
measures the disparity d = f b / z in steps, so that steps of the distance grow as z^2 / (f b) does.
"""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class DepthSensor:
    """The errors of a depth camera, by default those of the first Kinect; later cameras have smaller ones.

    Attributes:
        least_noise: Standard deviation of a distance of ``nearest_noise`` metres, metres.
        noise_growth: By how much it grows with the square of what the distance has beyond, 1 / metres.
        nearest_noise: The distance of least noise, metres.
        lateral: Standard deviation of the places where pixels look, in pixels of a map 640 pixels wide.
        focal_baseline: Focal length times the distance of projector and camera, pixels times metres.
        disparity_step: Steps of the disparity, pixels; 0 for a sensor without.
        edge: A pixel lies at an edge where a neighbour's distance differs by more than this share of it.
        edge_loss: Share of the pixels at edges that are lost.
        grazing: Cosine of the angle of sight to the surface below which half of the pixels are lost.
        patches: Most patches that are lost, such as dark or shining surfaces; the number is uniform.
        patch_size: Smallest and largest radius of a patch, as a share of the map's width.
        loss: Share of single pixels that are lost anywhere.
        range: Nearest and farthest distance that is measured, metres.
    """

    least_noise: float = 0.0012
    noise_growth: float = 0.0019
    nearest_noise: float = 0.4
    lateral: float = 0.8
    focal_baseline: float = 43.5
    disparity_step: float = 0.125
    edge: float = 0.05
    edge_loss: float = 0.6
    grazing: float = 0.17
    patches: int = 6
    patch_size: tuple[float, float] = (0.005, 0.03)
    loss: float = 0.005
    range: tuple[float, float] = (0.5, 8.0)


def axial_deviation(depth: np.ndarray, sensor: DepthSensor = DepthSensor()) -> np.ndarray:
    """Standard deviation of measured distances.

    Args:
        depth: (...) true distances, metres.
        sensor: The sensor.

    Returns:
        (...) metres.

    Example:
        >>> import numpy as np
        >>> from meshrec.synthetic.depth_sensor import axial_deviation
        >>> axial_deviation(np.array([0.4, 2.4])).round(4).tolist()
        [0.0012, 0.0088]
    """
    return sensor.least_noise + sensor.noise_growth * np.square(depth - sensor.nearest_noise)


def in_steps(depth: np.ndarray, sensor: DepthSensor = DepthSensor()) -> np.ndarray:
    """Distances as a sensor gives them that measures disparity in steps.

    Args:
        depth: (...) metres, 0 where nothing is known.
        sensor: The sensor.

    Returns:
        (...) metres: the distance of the nearest step of the disparity.

    Example:
        >>> import numpy as np
        >>> from meshrec.synthetic.depth_sensor import DepthSensor, in_steps
        >>> in_steps(np.array([1.0, 1.1, 0.0]), DepthSensor(focal_baseline=10.0, disparity_step=1.0)).round(3).tolist()
        [1.0, 1.111, 0.0]
    """
    if not sensor.disparity_step:
        return depth
    scale = sensor.focal_baseline / sensor.disparity_step
    known = depth > 0
    steps = np.maximum(np.rint(scale / np.where(known, depth, 1.0)), 1.0)
    return np.where(known, scale / steps, 0.0).astype(depth.dtype)


def measured(depth: np.ndarray, focal: float, generator: np.random.Generator, sensor: DepthSensor) -> np.ndarray:
    """The map that a sensor gives of true distances.

    Args:
        depth: (H, W) float32 true distances, metres, 0 where there is nothing.
        focal: Focal length in pixels of the map.
        generator: Random numbers.
        sensor: The sensor.

    Returns:
        (H, W) float32 metres, 0 where nothing was measured.
    """
    height, width = depth.shape
    lost = _lost_at_edges(depth, focal, generator, sensor)
    jitter = sensor.lateral * width / 640 * generator.standard_normal((2, height, width), np.float32)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    seen = cv2.remap(depth, x + jitter[0], y + jitter[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    noisy = seen + axial_deviation(seen, sensor) * generator.standard_normal((height, width), np.float32)
    noisy = in_steps(noisy * (seen > 0), sensor)
    lost |= generator.random((height, width), np.float32) < sensor.loss
    lost |= _patches((height, width), generator, sensor)
    nearest, farthest = sensor.range
    return np.where(lost | (noisy < nearest) | (noisy > farthest), 0, noisy).astype(np.float32)


def _lost_at_edges(depth: np.ndarray, focal: float, generator: np.random.Generator, sensor: DepthSensor) -> np.ndarray:
    """(H, W) bool, the pixels that are lost beside edges, and where surfaces are seen at a grazing angle."""
    square = np.ones((3, 3), np.uint8)
    edges = cv2.dilate(depth, square) - cv2.erode(depth, square) > sensor.edge * depth
    # A surface that turns away by the angle a changes by z / f tan(a) from pixel to pixel.
    along_x, along_y = (cv2.Sobel(depth, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    slope = np.hypot(along_x, along_y) * focal / np.maximum(depth, 1e-3)
    grazing = slope > np.sqrt(1 - sensor.grazing**2) / sensor.grazing
    chance = generator.random(depth.shape, np.float32)
    return (edges & (chance < sensor.edge_loss)) | (grazing & (chance < 0.5))


def _patches(shape: tuple[int, int], generator: np.random.Generator, sensor: DepthSensor) -> np.ndarray:
    """(H, W) bool, random ellipses."""
    height, width = shape
    canvas = np.zeros(shape, np.uint8)
    for _ in range(generator.integers(sensor.patches + 1)):
        middle = (int(generator.integers(width)), int(generator.integers(height)))
        axes = tuple(int(max(1, width * radius)) for radius in generator.uniform(*sensor.patch_size, 2))
        cv2.ellipse(canvas, middle, axes, float(generator.uniform(0, 180)), 0, 360, 1, -1)
    return canvas > 0
