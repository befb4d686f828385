"""A person through a clip: one shape, and a pose for each frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from meshrec.body import NUM_JOINTS, BodyModel
from meshrec.body.kinematics import joint_motions
from meshrec.export import Animation, Mesh
from meshrec.export.mesh import float_array
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, Placement, world_motion
from meshrec.reconstruct.person import Person
from meshrec.reconstruct.timing import even_times, is_constant, rotations_at, values_at

CONTACTS = ("left_heel", "left_toes", "right_heel", "right_toes")


@dataclass(frozen=True, eq=False)
class Track:
    """A person through T frames of a clip. Arrays are numpy, float32 unless said.

    Rotations and translations are in the camera space of each frame (x right, y down, z forward; metres), as those of a
    :class:`Person`. The world is the camera space of the first frame of the track's scene, which begins at a cut;
    :attr:`turns` lead from it to the cameras of the others. Where the camera moves through the world cannot be told
    from the background's rotation and is taken to be nowhere.

    Attributes:
        body: The body that betas and rotations belong to.
        betas: (n,) shape coefficients, the same in all frames.
        rotations: (T, 24, 3, 3) rotation of each joint relative to its parent; the first one is global.
        translation: (T, 3) added to the posed body.
        frames: (T,) int64 numbers of the frames in the clip, rising.
        times: (T,) float64 seconds from the clip's begin.
        frame_rate: Frames per second of the track; the average where the clip has a variable rate.
        camera: Camera of the scene's first frame.
        turns: (T, 3, 3) rotations from the world to the camera of each frame. Default: the camera does not turn.
        zooms: (T,) focal length of each frame over that of the first. Default: 1.
        seen: (T,) bool, whether the detector saw the person; other frames are bridged. Default: all.
        boxes: (T, 4) x0, y0, x1, y1 in pixels.
        scores: (T,) confidence in [0, 1] that the body is right; 0 where the person is not seen.
        reprojection_errors: (T,) mean distance of detected and projected landmarks, as a share of the box's side; NaN
            where the person is not seen.
        mask_ious: (T,) intersection over union of the body's silhouette and the person's mask; NaN where unknown.
        keypoints_2d: (T, K, 3) x, y in pixels and confidence, as detected; confidence 0 where nothing was.
        keypoint_names: Names of the K keypoints.
        joint_deviations: (T, 24) standard deviation of each joint relative to the pelvis, metres.
        contacts: (T, 4) bool, which of :data:`CONTACTS` stand on something.
        gravity: (3,) unit vector in the world in whose direction things fall.
        gravity_deviation: (2,) standard deviations of gravity's pitch and roll, radians.
        number: The track's number in its clip.
        scene: Number of the scene in its clip. Tracks of different scenes share no world.
        body_name: Name or path by which :func:`meshrec.load_body` found the body.
        made_by: What estimated the bodies, as ``proxy + fit``.

    Raises:
        ValueError: An array's shape is wrong, a number is not finite, or there are no frames.

    Example:
        >>> import numpy as np
        >>> import meshrec
        >>> from meshrec.reconstruct.track import Track
        >>> still = np.tile(np.eye(3), (5, 24, 1, 1))
        >>> place = np.tile([0.0, 0.0, 4.0], (5, 1))
        >>> track = Track(meshrec.load_body("neutral"), np.zeros(10), still, place, np.arange(5), np.arange(5) / 30)
        >>> len(track), track.at(3).translation.tolist()
        (5, [0.0, 0.0, 4.0])
    """

    body: BodyModel = field(repr=False)
    betas: np.ndarray
    rotations: np.ndarray = field(repr=False)
    translation: np.ndarray = field(repr=False)
    frames: np.ndarray = field(repr=False)
    times: np.ndarray = field(repr=False)
    frame_rate: float = 30.0
    camera: Camera | None = None
    turns: np.ndarray = field(default=None, repr=False)  # type: ignore[arg-type]
    zooms: np.ndarray = field(default=None, repr=False)  # type: ignore[arg-type]
    seen: np.ndarray = field(default=None, repr=False)  # type: ignore[arg-type]
    boxes: np.ndarray | None = field(default=None, repr=False)
    scores: np.ndarray | None = field(default=None, repr=False)
    reprojection_errors: np.ndarray | None = field(default=None, repr=False)
    mask_ious: np.ndarray | None = field(default=None, repr=False)
    keypoints_2d: np.ndarray | None = field(default=None, repr=False)
    keypoint_names: tuple[str, ...] = field(default=(), repr=False)
    joint_deviations: np.ndarray | None = field(default=None, repr=False)
    contacts: np.ndarray | None = field(default=None, repr=False)
    gravity: np.ndarray | None = None
    gravity_deviation: np.ndarray | None = field(default=None, repr=False)
    number: int = 0
    scene: int = 0
    body_name: str = "neutral"
    made_by: str = ""

    def __post_init__(self) -> None:
        count = len(self.frames)
        if not count:
            raise ValueError("a track needs at least one frame")
        defaults = {
            "turns": np.broadcast_to(np.eye(3), (count, 3, 3)),
            "zooms": np.ones(count),
            "seen": np.ones(count, bool),
        }
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        shapes: dict[str, tuple[int | None, ...]] = {
            "betas": (None,),
            "rotations": (count, NUM_JOINTS, 3, 3),
            "translation": (count, 3),
            "turns": (count, 3, 3),
            "zooms": (count,),
            "boxes": (count, 4),
            "scores": (count,),
            "keypoints_2d": (count, len(self.keypoint_names), 3),
            "joint_deviations": (count, NUM_JOINTS),
            "gravity": (3,),
            "gravity_deviation": (2,),
        }
        for name, shape in shapes.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, float_array(getattr(self, name), shape, name))
        kinds = {"frames": np.int64, "times": np.float64, "seen": bool, "contacts": bool}
        kinds |= {"reprojection_errors": np.float32, "mask_ious": np.float32}  # NaN where nothing is known
        for name, kind in kinds.items():
            if getattr(self, name) is None:
                continue
            array = np.asarray(getattr(self, name), kind)
            expected = (count, len(CONTACTS)) if name == "contacts" else (count,)
            if array.shape != expected:
                raise ValueError(f"{name} should have the shape {expected}, not {array.shape}")
            object.__setattr__(self, name, array)
        if (np.diff(self.frames) <= 0).any():
            raise ValueError("the frames of a track must rise")

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Person]:
        return (self.person(index) for index in range(len(self)))

    @property
    def pose(self) -> np.ndarray:
        """``rotations`` by SMPL's name."""
        return self.rotations

    @property
    def score(self) -> float | None:
        """Mean score of the frames in which the person is seen."""
        return None if self.scores is None else float(self.scores[self.seen].mean())

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons to distrust the track, for the user: how often the body does not lie on the person in the frames."""
        bad = sum(bool(person.notes) for person in self)
        return (f"in {bad} of {len(self)} frames the body misses the person",) if bad else ()

    def at(self, frame: int) -> Person:
        """The person in a frame of the clip.

        Args:
            frame: Number of the frame in the clip, one of :attr:`frames`.

        Raises:
            ValueError: The track does not have this frame.
        """
        (index,) = np.nonzero(self.frames == frame)
        if not len(index):
            raise ValueError(f"track {self.number} has the frames {self.frames[0]} to {self.frames[-1]}, not {frame}")
        return self.person(int(index[0]))

    def person(self, index: int) -> Person:
        """The person in the track's frame of this index, from 0."""

        def of(values: np.ndarray | None) -> Any:
            return None if values is None else values[index]

        def known(values: np.ndarray | None) -> float | None:
            return None if values is None or not np.isfinite(values[index]) else float(values[index])

        camera = self.camera
        if camera is not None and self.zooms[index] != 1:
            camera = Camera(np.asarray(camera.focal) * self.zooms[index], camera.center, camera.size)
        return Person(
            self.body,
            self.betas,
            self.rotations[index],
            self.translation[index],
            camera=camera,
            box=of(self.boxes),
            score=known(self.scores),
            reprojection_error=known(self.reprojection_errors),
            mask_iou=known(self.mask_ious),
            keypoints_2d=of(self.keypoints_2d),
            keypoint_names=self.keypoint_names,
            joint_deviation=of(self.joint_deviations),
            gravity=None if self.gravity is None else self.turns[index] @ self.gravity,
            gravity_deviation=self.gravity_deviation,
            body_name=self.body_name,
            made_by=self.made_by,
        )

    @cached_property
    def pelvis(self) -> np.ndarray:
        """(3,) rest position of the pelvis, about which the first rotation turns the body, metres."""
        with torch.no_grad():
            _, joints = self.body.rest(torch.from_numpy(self.betas)[None].to(self.body.v_template))
        return joints[0, 0].cpu().numpy()

    def in_world(self) -> tuple[np.ndarray, np.ndarray]:
        """Rotations (T, 24, 3, 3) and translations (T, 3) in the world: the camera space of the scene's first frame."""
        return world_motion(self.rotations, self.translation, self.pelvis, self.turns)

    def animation(
        self,
        name: str = "body",
        color: tuple[float, float, float] = Mesh.color,
        placement: Placement | None = None,
    ) -> Animation:
        """The body's motion in the world, y up, as animated files contain it.

        Animations have a constant rate. Where the frames have not, rotations and places are interpolated at instants of
        the average rate, so that the animation stays in time with the clip.

        Args:
            name: Name of the mesh in files.
            color: (r, g, b) sRGB in [0, 1].
            placement: From the world to the space of the animation, such as one of
                :class:`meshrec.reconstruct.Ground`. Default: half a turn about x.
        """
        place = Placement(CAMERA_TO_Y_UP.numpy(), np.zeros(3)) if placement is None else placement
        rotations, translation = self.in_world()
        rotations[:, 0] = place.rotation @ rotations[:, 0]
        pelvis = place.points(translation + self.pelvis)
        if not is_constant(self.times, self.frame_rate):
            instants = even_times(self.times, self.frame_rate)
            rotations = rotations_at(rotations, self.times, instants)
            pelvis = values_at(pelvis, self.times, instants)
        moved, start = pelvis - self.pelvis, float(self.times[0])
        return Animation(self.body, self.betas, rotations, moved, self.frame_rate, name, color, start)

    def save(
        self,
        path: str | os.PathLike,
        *,
        name: str = "body",
        color: tuple[float, float, float] = Mesh.color,
        placement: Placement | None = None,
    ) -> None:
        """Write the track; the suffix chooses the format. The file is written completely or not at all.

        - ``.glb``, ``.bvh``: the animated mesh and its skeleton, or the skeleton alone, y up in the world.
        - ``.npz``: as AMASS stores motions, z up in the world, and everything else that is known, in camera space.
        - ``.json``: everything that is known, in camera space, to read.

        :meth:`load` reads ``.npz`` and ``.json``.

        Args:
            path: The file to write.
            name: Name of the mesh in the file.
            color: (r, g, b) sRGB in [0, 1] of the mesh.
            placement: From the world to the space of the animation, as for :meth:`animation`.

        Raises:
            InputError: The suffix is unknown, or the file cannot be written.
        """
        from meshrec.reconstruct.track_files import write_track

        write_track(path, self, self.animation(name, color, placement))

    @classmethod
    def load(cls, path: str | os.PathLike, body: str | Path | BodyModel | None = None) -> Track:
        """Load a track from a ``.npz`` or ``.json`` file of :meth:`save`.

        Args:
            path: The file.
            body: The body to which the betas belong, as for :meth:`meshrec.Person.load`.

        Raises:
            InputError: The file or the body cannot be read, or the betas belong to another body.
        """
        from meshrec.reconstruct.track_files import read_track

        return read_track(path, body)

    def vertices(self, frames: slice = slice(None)) -> np.ndarray:
        """(T, V, 3) vertices of some of the track's frames in the camera space of each, metres."""
        rotations, translation = (torch.from_numpy(part[frames]) for part in (self.rotations, self.translation))
        betas = torch.from_numpy(self.betas).expand(len(rotations), -1)
        tensors = (part.to(self.body.v_template) for part in (betas, rotations[:, 1:], rotations[:, 0], translation))
        with torch.no_grad():
            return self.body(*tensors).vertices.cpu().numpy()

    def joints(self) -> np.ndarray:
        """(T, 24, 3) ``smpl24`` joints in the camera space of each frame, metres."""
        rotations, translation, betas = (
            torch.from_numpy(part).to(self.body.v_template) for part in (self.rotations, self.translation, self.betas)
        )
        with torch.no_grad():
            rest = self.body.rest(betas[None])[1].expand(len(self), -1, -1)
            motions = joint_motions(rotations, rest, translation, self.body.tree)
            return (motions[..., :3] @ rest[..., None] + motions[..., 3:]).squeeze(-1).cpu().numpy()
