"""The floor on which the people of a photo or clip stand, and a scene with y up and its floor at zero."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from meshrec.body import joint_index
from meshrec.body.state import BodyState
from meshrec.errors import InputError
from meshrec.fit.feet import floor_of, foot_points
from meshrec.fit.gravity import FEET, GravitySettings, heights_apart
from meshrec.geometry import Placement
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.track import Track

CONSISTENT = 2.0  # standard deviations by which the lowest point of someone who stands on the floor may miss it
LOW = 10  # percentile of the heights of someone's lowest foot that is the floor's, if no foot stands
ROUNDS = 5  # of choosing those who stand on the floor, and taking their mean for it


@dataclass(frozen=True, eq=False)
class Ground:
    """Where the floor is, and who stands on it.

    The scene has y up against gravity, its floor at y = 0, and the camera above the origin, looking along -z. The
    height of the floor is a mean over the people whose lowest points agree within their errors: those of their distance
    (their stature is uncertain by 4 %, and with it how far below the camera they stand), of gravity and of their feet.
    These people are on the floor, and are moved up or down by what is left. Others stay where the photo shows them: in
    the air or on something. Someone alone is always on the floor, since nothing tells otherwise.

    Attributes:
        rotation: (3, 3) from camera space to the scene.
        height: Height of the camera above the floor, metres.
        deviation: Its standard deviation, metres.
        standing: (N,) bool, who is on the floor.
        lifts: (N,) how far each is moved up, metres; 0 for those who are not on the floor.

    Example:
        >>> import numpy as np
        >>> import meshrec
        >>> from meshrec.reconstruct import Ground
        >>> rotations = np.tile(np.eye(3), (24, 1, 1))
        >>> rotations[0] = np.diag([1, -1, -1])  # upright
        >>> body = meshrec.load_body("neutral")
        >>> person = meshrec.Person(body, np.zeros(10), rotations, np.array([0, 0, 4]), gravity=np.array([0, 1, 0]))
        >>> ground = Ground.under([person])
        >>> mesh = person.mesh(placement=ground.placements[0])
        >>> abs(float(mesh.vertices[:, 1].min())) < 1e-5
        True
    """

    rotation: np.ndarray
    height: float
    deviation: float
    standing: np.ndarray
    lifts: np.ndarray

    @classmethod
    def under(cls, people: Sequence[Person], settings: GravitySettings = GravitySettings()) -> Ground:
        """Find the floor under people in one photo.

        Args:
            people: At least one person.
            settings: What is assumed of people.

        Raises:
            InputError: There is nobody, or their gravity is not known.
        """
        if not people or people[0].gravity is None:
            raise InputError("a floor needs people whose gravity is known, as Reconstructor returns them.")
        if not np.isclose(np.linalg.norm(people[0].gravity), 1, atol=1e-2):
            raise InputError("gravity should be a unit vector.")
        rotation = upright(people[0].gravity)
        lowest = np.array([(person.vertices @ rotation[1]).min() for person in people], np.float64)
        error = np.sqrt(settings.ground**2 + (settings.stature * lowest) ** 2 + _tilt(people) ** 2 + _feet(people) ** 2)
        floor, standing = _floor(lowest, error)
        lifts = np.where(standing, floor - lowest, 0.0)
        return cls(rotation, -floor, float((standing / error**2).sum() ** -0.5), standing, lifts)

    @classmethod
    def under_tracks(cls, tracks: Sequence[Track], settings: GravitySettings = GravitySettings()) -> Ground:
        """Find the floor under people in a clip, by the feet that stand; ``standing`` and ``lifts`` are of each track.

        Args:
            tracks: At least one track.
            settings: What is assumed of people.

        Raises:
            InputError: There is nobody, or their gravity is not known.
        """
        if not tracks or tracks[0].gravity is None:
            raise InputError("a floor needs tracks whose gravity is known, as Reconstructor.clip returns them.")
        gravity = tracks[0].gravity
        rotation = upright(gravity)
        lowest = np.array([_floor_below(track, gravity) for track in tracks], np.float64)
        error = np.sqrt(settings.ground**2 + (settings.stature * lowest) ** 2)
        floor, standing = _floor(lowest, error)
        lifts = np.where(standing, floor - lowest, 0.0)
        return cls(rotation, -floor, float((standing / error**2).sum() ** -0.5), standing, lifts)

    @cached_property
    def placements(self) -> list[Placement]:
        """From camera space to the scene, for each person."""
        return [Placement(self.rotation, np.array([0.0, self.height + lift, 0.0])) for lift in self.lifts]

    @property
    def camera(self) -> Placement:
        """From camera space to the scene, for the camera and all else that does not stand on the floor."""
        return Placement(self.rotation, np.array([0.0, self.height, 0.0]))


def _floor_below(track: Track, gravity: np.ndarray) -> float:
    """Height of the floor under a person, above the camera: where the feet stand; else where they are lowest."""
    body = track.body if track.body.v_template.device.type == "cpu" else copy(track.body).cpu()
    rotations, translation = (torch.from_numpy(part).double() for part in (track.rotations, track.translation))
    betas = torch.from_numpy(track.betas).double().expand(len(track), -1)
    feet = landmark_positions(foot_points(body), BodyState(rotations, translation, betas)).numpy()
    feet = feet @ track.turns  # in the world
    if track.contacts is not None and (plane := floor_of(feet[track.contacts], gravity)) is not None:
        return -plane.offset
    return float(np.percentile((feet @ -gravity.astype(np.float64)).min(1), LOW))


def _floor(lowest: np.ndarray, error: np.ndarray) -> tuple[float, np.ndarray]:
    """The height of the floor, and who stands on it (N,), by the heights (N,) of their lowest points and their errors.

    The floor is first at the lowest point that agrees best with the others, then at the mean of those that agree.
    """
    apart, joint = heights_apart(lowest, error)
    middle = int(np.log1p((apart / joint) ** 2).sum(0).argmin())
    floor = float(lowest[middle])
    for _ in range(ROUNDS):
        standing = np.abs(lowest - floor) <= CONSISTENT * error
        standing[middle] = True
        weight = standing / error**2
        floor = float(lowest @ weight / weight.sum())
    return floor, standing


def upright(gravity: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) from camera space to one with y up, in which the camera looks along -z, up or down."""
    up = -gravity.astype(np.float64) / np.linalg.norm(gravity)
    back = np.array([0.0, 1e-6, -1.0])  # a camera that looks straight down has the photo's upper edge ahead
    back -= (back @ up) * up
    back /= np.linalg.norm(back)
    return np.stack([np.cross(up, back), up, back])


def _tilt(people: Sequence[Person]) -> np.ndarray:
    """Errors (N,) of the height of each person above the middle of all, by that of gravity, metres."""
    if people[0].gravity_deviation is None:
        return np.zeros(len(people))
    place = np.stack([person.translation for person in people])
    pitch, roll = people[0].gravity_deviation
    right, _, forward = (place - place.mean(0)).T
    return np.hypot(forward * pitch, right * roll)


def _feet(people: Sequence[Person]) -> np.ndarray:
    """Standard deviations (N,) of the heights of feet relative to the pelvis, metres: large where they are hidden."""
    index = [joint_index(name, "smpl24") for name in FEET]
    known = [person.joint_deviation for person in people]
    return np.array([0.0 if deviation is None else deviation[index].mean() / np.sqrt(3) for deviation in known])
