"""The direction of gravity in a photo, from everyone in it.

Cameras look down by some degrees, and people stand upright. In one body the two look the same: seen by a camera that
looks down, someone upright leans towards it. What all people of a photo share is therefore taken for the camera's pitch
and roll, and what remains of each is their own lean. Four things are known:

- how cameras are held: a Gaussian prior of pitch and roll;
- balance: the centre of mass of who stands, walks or bends down is above the feet that carry them;
- trunks are mostly upright, also those of people who sit;
- people mostly stand on one floor. The distance between their feet tells its slope, the better, the farther apart they
  are along the line of sight.

What is known of people has Student t distributions, so that people who lie, lean, jump or stand on something hardly
count beside others. The posterior is summed over a grid of pitch and roll, since it may have several modes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshrec.body.joints import joint_index

# Shares of the body's mass, lumped at the joints so that each segment keeps its mass and its centre of mass (Winter
# 2009, Biomechanics and Motor Control of Human Movement, table 4.1). The trunk's centre is halfway from hips to
# shoulders.
MASSES = {
    "head": 0.081, "left_shoulder": 0.1401, "right_shoulder": 0.1401, "left_hip": 0.1808, "right_hip": 0.1808,
    "left_elbow": 0.0213, "right_elbow": 0.0213, "left_wrist": 0.0129, "right_wrist": 0.0129, "left_knee": 0.0697,
    "right_knee": 0.0697, "left_ankle": 0.0274, "right_ankle": 0.0274, "left_foot": 0.0073, "right_foot": 0.0073,
}  # fmt: skip
FEET = ("left_ankle", "left_foot", "right_ankle", "right_foot")


@dataclass(frozen=True)
class GravitySettings:
    """What is assumed of cameras and people. Angles are in degrees, lengths in metres.

    Attributes:
        pitch: Mean and standard deviation of the camera's pitch, positive where it looks down.
        roll: Standard deviation of the camera's roll, whose mean is zero.
        balance: Scale of the angle between up and the line from the feet to the centre of mass. The middle of the feet
            is 8 cm from the point that carries the weight, about 5 degrees, and fits add errors in depth.
        trunk: Scale of the angle between up and the line from pelvis to neck.
        freedom: Degrees of freedom of the distributions of people.
        other: Share of people who are not upright at all, but turned any way. They do not count.
        stature: Standard deviation of a person's stature as a share of it, 0 where it is known. Distances, and the
            height of the camera above the floor, are off by the same share.
        ground: Scale of the height of someone's lowest foot joint above the floor.
        support: Difference in height by which a foot carries less than the lower one by a factor e.
        reach: Most pitch and roll that are considered.
        step: Step of the grid.
    """

    pitch: tuple[float, float] = (5.0, 8.0)
    roll: float = 3.0
    balance: float = 4.5
    trunk: float = 7.0
    freedom: float = 3.0
    other: float = 0.1
    stature: float = 0.04
    ground: float = 0.06
    support: float = 0.05
    reach: tuple[float, float] = (60.0, 24.0)
    step: float = 2.0


@dataclass(frozen=True, eq=False)
class Gravity:
    """The direction in which things fall.

    Attributes:
        direction: (3,) unit vector in camera space; (0, 1, 0) for a level camera.
        deviation: (2,) standard deviations of the camera's pitch and roll, radians.
    """

    direction: np.ndarray
    deviation: np.ndarray


def gravity_of(
    joints: np.ndarray,
    deviation: np.ndarray | None = None,
    settings: GravitySettings = GravitySettings(),
) -> Gravity:
    """Estimate the direction of gravity.

    Args:
        joints: (N, 24, 3) ``smpl24`` joints of everyone in a photo, camera space, metres. Without people the estimate
            is the prior.
        deviation: (N, 24) standard deviation of each joint relative to the pelvis, metres. Default: zero.
        settings: What is assumed of cameras and people.

    Returns:
        Mean and standard deviation of the posterior.

    Example:
        >>> import numpy as np
        >>> from meshrec.fit.gravity import gravity_of
        >>> nobody = gravity_of(np.zeros((0, 24, 3)))
        >>> nobody.direction.round(2).tolist(), np.degrees(nobody.deviation).round(1).tolist()
        ([0.0, 1.0, 0.09], [8.0, 3.0])
    """
    joints = np.asarray(joints, np.float64)
    spread = np.zeros(joints.shape[:2]) if deviation is None else deviation / np.sqrt(3)  # along one axis
    pitch, roll = (axis.ravel() for axis in np.meshgrid(*(_axis(reach, settings.step) for reach in settings.reach)))
    up = -_direction(pitch, roll)  # (G, 3)
    mean, wide = settings.pitch
    energy = (((pitch - mean) / wide) ** 2 + (roll / settings.roll) ** 2) / 2
    if len(joints):
        energy = energy + _leans(up, joints, spread, settings).sum(1)
        energy = energy + _floor(up, joints, spread, settings)
    weight = np.exp(energy.min() - energy)
    weight /= weight.sum()
    angles = np.stack([pitch, roll])
    center = angles @ weight
    around = np.sqrt((angles - center[:, None]) ** 2 @ weight)
    return Gravity(_direction(*center), np.radians(around))


def _axis(reach: float, step: float) -> np.ndarray:
    return np.arange(-reach, reach + step / 2, step)


def _direction(pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Gravity (..., 3) in the space of a camera that looks down by ``pitch`` and is turned clockwise by ``roll``, in
    degrees."""
    pitch, roll = np.radians(pitch), np.radians(roll)
    return np.stack([np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)], -1)


def _leans(up: np.ndarray, joints: np.ndarray, spread: np.ndarray, settings: GravitySettings) -> np.ndarray:
    """Energies (G, N) of the leans of N people, if up is one of G directions."""
    feet = joints[:, _index(FEET)]
    height = np.einsum("gx,nfx->gnf", up, feet)
    carries = np.exp((height.min(-1, keepdims=True) - height) / settings.support)
    carries /= carries.sum(-1, keepdims=True)
    standing = _centres_of_mass(joints) - np.einsum("gnf,nfx->gnx", carries, feet)
    pelvis, neck = (joint_index(name, "smpl24") for name in ("pelvis", "neck"))
    trunk = (joints[:, neck] - joints[:, pelvis])[None]
    upright = _lean(standing, up, settings.balance, spread[:, _index(FEET)].mean(1), settings.freedom)
    upright = upright + _lean(trunk, up, settings.trunk, spread[:, neck], settings.freedom)
    anyhow = 2 * np.log(4 * np.pi)  # both directions uniform over the sphere
    return -np.logaddexp(np.log(1 - settings.other) - upright, np.log(settings.other) - anyhow)


def _lean(line: np.ndarray, up: np.ndarray, scale: float, error: np.ndarray, freedom: float) -> np.ndarray:
    """Negative log-densities (G, N) of lines' directions, around up.

    Args:
        line: (G or 1, N, 3) metres.
        up: (G, 3) unit vectors.
        scale: Scale of the angle between the two, degrees.
        error: (N,) error of the lines' ends, metres.
        freedom: Degrees of freedom of Student's t distribution.
    """
    length = np.linalg.norm(line, axis=-1).clip(1e-3)
    cosine = (line * up[:, None]).sum(-1) / length
    scales = np.hypot(np.radians(scale), error / length)
    return _student(np.arccos(cosine.clip(-1, 1)) / scales, freedom, 2) + np.log(2 * np.pi * scales**2)


def _floor(up: np.ndarray, joints: np.ndarray, spread: np.ndarray, settings: GravitySettings) -> np.ndarray:
    """Energies (G,) of the heights of N people's feet above a floor at the feet of the one who fits best."""
    height = np.einsum("gx,nfx->gnf", up, joints[:, _index(FEET)]).min(-1)  # (G, N), above the camera
    error = np.sqrt(settings.ground**2 + (settings.stature * height) ** 2 + spread[:, _index(FEET)].mean(1) ** 2)
    apart, joint = heights_apart(height, error)
    return _student(apart / joint, settings.freedom, 1).sum(1).min(1)


def heights_apart(height: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights (..., N, N) of N people's feet (..., N) above those of each other, and their standard deviations."""
    apart = height[..., :, None] - height[..., None, :]
    return apart, np.sqrt(error[..., :, None] ** 2 + error[..., None, :] ** 2)


def _student(deviations: np.ndarray, freedom: float, dimensions: int) -> np.ndarray:
    """Negative logarithm of Student's t density of numbers of scales, up to a constant."""
    return (freedom + dimensions) / 2 * np.log1p(deviations**2 / freedom)


def _centres_of_mass(joints: np.ndarray) -> np.ndarray:
    """(N, 3) of N bodies."""
    return np.einsum("j,njx->nx", np.array([*MASSES.values()]), joints[:, _index(tuple(MASSES))])


def _index(names: tuple[str, ...]) -> list[int]:
    return [joint_index(name, "smpl24") for name in names]
