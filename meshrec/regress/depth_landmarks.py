"""Landmarks of people in depth maps, by the voxel network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from meshrec.body.joints import flip_permutation
from meshrec.detect.depth_people import DepthCandidate
from meshrec.geometry import Camera
from meshrec.models.voxel_to_voxel import VoxelToVoxel
from meshrec.regress.voxel_cubes import Cube, belongs, cube_points, fill_voxels

LONG = 0.45  # metres; standard deviation along the longest axis of a person who stands
THIN = 0.01  # metres; least standard deviation across
POWER = 3.0  # to which probabilities are raised: a limb is here or there, and not halfway between


@dataclass(frozen=True, eq=False)
class DepthLandmarks:
    """Landmarks of one person.

    Attributes:
        places: (K, 3) float32 in camera space, metres.
        deviations: (K,) float32 standard deviations of their heatmaps over all axes, metres.
        joint_set: Name of their joint set.
        candidate: What of the map they were estimated from.
    """

    places: np.ndarray
    deviations: np.ndarray
    joint_set: str
    candidate: DepthCandidate


def estimate_landmarks(
    network: VoxelToVoxel, depth: np.ndarray, camera: Camera, candidates: Sequence[DepthCandidate]
) -> list[DepthLandmarks]:
    """Estimate the landmarks of each candidate, as if it were a person.

    Args:
        network: The network, in evaluation mode.
        depth: (H, W) float32 metres, 0 where nothing was measured.
        camera: The map's camera.
        candidates: What :func:`meshrec.detect.depth_people.find_candidates` finds.

    Returns:
        One set of landmarks a candidate, in their order.
    """
    config = network.config
    return [
        _in_cube(network, depth, camera, candidate, Cube.around(candidate.points, config.side, config.voxels))
        for candidate in candidates
    ]


def refined(network: VoxelToVoxel, depth: np.ndarray, camera: Camera, landmarks: DepthLandmarks) -> DepthLandmarks:
    """Landmarks estimated again, in the cube around those of a first estimate."""
    config = network.config
    first = Cube.at(landmarks.places.mean(0), config.side, config.voxels)
    places = first.to_cube(landmarks.places)
    middle = first.from_cube((places.min(0) + places.max(0)) / 2)
    return _in_cube(network, depth, camera, landmarks.candidate, Cube.at(middle, config.side, config.voxels))


def _in_cube(
    network: VoxelToVoxel, depth: np.ndarray, camera: Camera, candidate: DepthCandidate, cube: Cube
) -> DepthLandmarks:
    """The landmarks of a candidate from what is in a cube."""
    points, full = cube_points(depth, camera, cube)
    own = belongs(points, cube.to_cube(candidate.points), cube.side)
    voxels = torch.from_numpy(fill_voxels(points, own, full, cube.side, cube.voxels))
    with torch.inference_mode():
        both = torch.stack([voxels, voxels.flip(-1)])  # and the mirror image, whose landmarks are mirrored back
        heatmaps = network(both)
        means, _ = network.places(heatmaps, POWER)
        _, deviations = network.places(heatmaps)
        swap = torch.from_numpy(flip_permutation(network.config.landmarks))
        mirrored = means[1, swap] * means.new_tensor([-1.0, 1.0, 1.0])
        mean, deviation = (means[0] + mirrored) / 2, (deviations[0] + deviations[1, swap]) / 2
        deviation = torch.hypot(deviation, (means[0] - mirrored).norm(dim=-1) / 2)
    places = cube.from_cube(mean.numpy()).astype(np.float32)
    return DepthLandmarks(places, deviation.numpy(), network.config.landmarks, candidate)


def likeliest(found: Sequence[DepthLandmarks]) -> DepthLandmarks:
    """The person among candidates: sharp heatmaps, long and neither flat nor thin, as boxes and their faces are.

    Of 362 synthetic maps in poses for training it chose the person in 339; the sharpest heatmaps alone did in 321.

    Raises:
        ValueError: There are none.
    """

    def unlikely(landmarks: DepthLandmarks) -> float:
        short, middle, long = extents(landmarks.candidate.points)
        return float(np.median(landmarks.deviations)) / (min(long, LONG) * (short / middle) ** 0.5)

    return min(found, key=unlikely)


def extents(points: np.ndarray) -> tuple[float, float, float]:
    """Standard deviations of points (N, 3) along their principal axes, smallest first, metres."""
    centred = points - points.mean(0)
    variances = np.linalg.eigvalsh(centred.T @ centred / len(points))
    short, middle, long = np.sqrt(np.maximum(variances, (THIN**2, (2 * THIN) ** 2, (2 * THIN) ** 2)))
    return float(short), float(middle), float(long)
