"""A reconstructed person: a posed body in front of the photo's camera, with scores and uncertainty."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from meshrec.body import NUM_JOINTS, BodyModel, BodyOutput, joint_set, load_body
from meshrec.body.library import OPEN_BODIES
from meshrec.errors import InputError
from meshrec.export import (
    MESH_SUFFIXES,
    PARAMETER_SUFFIXES,
    Mesh,
    PersonParameters,
    Rig,
    SkinnedMesh,
    pose_to_y_up,
    read_parameters,
    write_mesh,
    write_parameters,
    write_skinned,
)
from meshrec.export.mesh import float_array
from meshrec.export.params import LARGEST
from meshrec.files.atomic import known_suffix, write_file
from meshrec.geometry import Camera, Placement, axis_angle_to_matrix, camera_to_y_up, matrix_to_axis_angle

MOST_ERROR, LEAST_OVERLAP = 0.1, 0.3  # reprojection error and mask IoU beyond which a body explains its photo badly
NEARBY = 0.10  # metres within which a joint counts as correct in its confidence
JOINTS = "smpl24"  # the joints that parameter files list
SAVE_SUFFIXES = (*MESH_SUFFIXES, *PARAMETER_SUFFIXES)


@dataclass(frozen=True, eq=False)
class Person:
    """A posed body in camera space (x right, y down, z forward; metres). Arrays are numpy, float32.

    Attributes:
        body: The body that betas and rotations belong to.
        betas: (n,) shape coefficients, usually ``meshrec.body.NUM_BETAS``.
        rotations: (24, 3, 3) rotation of each joint relative to its parent; the first one is global.
        translation: (3,) added to the posed body.
        camera: The photo's camera.
        box: (4,) x0, y0, x1, y1 in photo pixels.
        score: Confidence in [0, 1] that the body is right; good results rank above bad ones.
        reprojection_error: Mean distance of detected and projected landmarks, as a share of the box's longer side.
        mask_iou: Intersection over union of the body's silhouette and the person's mask in the photo.
        keypoints_2d: (K, 3) x, y in photo pixels and confidence, as they were detected.
        keypoint_names: Names of the K keypoints.
        joint_deviation: (24,) standard deviation of each ``smpl24`` joint relative to the pelvis, metres. It is large
            for joints that the photo does not show.
        shape_covariance: (n, n) covariance of the errors of the betas, as the fit knows it.
        gravity: (3,) unit vector in camera space in whose direction things fall, the same for everyone in a photo;
            (0, 1, 0) for a level camera. It is estimated from all of them (:mod:`meshrec.fit.gravity`).
        gravity_deviation: (2,) standard deviations of gravity's pitch and roll, radians.
        body_name: Name or path by which :func:`meshrec.load_body` found the body.
        made_by: What estimated the body: the regressor's name, ``fit``, or both, as ``keypoints + fit``.

    Raises:
        ValueError: An array's shape is wrong or a number is not finite.

    Example:
        >>> import numpy as np
        >>> import meshrec
        >>> rotations = np.tile(np.eye(3), (24, 1, 1))
        >>> person = meshrec.Person(meshrec.load_body("neutral"), np.zeros(10), rotations, np.array([0, 0, 4]))
        >>> person.vertices.shape, person.joints("coco17").shape
        ((7644, 3), (17, 3))
    """

    body: BodyModel = field(repr=False)
    betas: np.ndarray
    rotations: np.ndarray = field(repr=False)
    translation: np.ndarray
    camera: Camera | None = None
    box: np.ndarray | None = None
    score: float | None = None
    reprojection_error: float | None = None
    mask_iou: float | None = None
    keypoints_2d: np.ndarray | None = field(default=None, repr=False)
    keypoint_names: tuple[str, ...] = field(default=(), repr=False)
    joint_deviation: np.ndarray | None = field(default=None, repr=False)
    gravity: np.ndarray | None = field(default=None, repr=False)
    gravity_deviation: np.ndarray | None = field(default=None, repr=False)
    body_name: str = "neutral"
    made_by: str = ""
    shape_covariance: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        shapes = {"betas": (None,), "rotations": (NUM_JOINTS, 3, 3), "translation": (3,), "box": (4,)}
        shapes |= {"keypoints_2d": (len(self.keypoint_names), 3), "joint_deviation": (NUM_JOINTS,)}
        shapes |= {"gravity": (3,), "gravity_deviation": (2,), "shape_covariance": (np.size(self.betas),) * 2}
        for name, shape in shapes.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, float_array(getattr(self, name), shape, name))

    @classmethod
    def load(cls, path: str | os.PathLike, body: str | Path | BodyModel | None = None) -> "Person":
        """Load a person from a parameter file.

        Args:
            path: A ``.json`` or ``.npz`` file of :meth:`save`.
            body: The body to which the parameters belong, as for :func:`meshrec.load_body`. Default: the one that the
                file names, if it is one of the open bodies. The word of a file is never enough to open another file.

        Raises:
            InputError: The file or the body cannot be read, or the parameters belong to another body.
        """
        parameters = read_parameters(path)
        model = matching_body(path, parameters.body_name, parameters.body_hash, len(parameters.betas), body)
        return cls(
            body=model,
            betas=parameters.betas,
            rotations=axis_angle_to_matrix(torch.from_numpy(parameters.pose)).numpy(),
            translation=parameters.translation,
            camera=parameters.camera,
            box=parameters.box,
            score=parameters.score,
            reprojection_error=parameters.reprojection_error,
            mask_iou=parameters.mask_iou,
            keypoints_2d=parameters.keypoints_2d,
            keypoint_names=parameters.keypoint_names,
            joint_deviation=parameters.joint_deviation if parameters.joint_names == joint_set(JOINTS) else None,
            gravity=parameters.gravity,
            gravity_deviation=parameters.gravity_deviation,
            body_name=parameters.body_name,
            made_by=parameters.made_by,
            shape_covariance=parameters.shape_covariance,
        )

    @property
    def pose(self) -> np.ndarray:
        """``rotations`` by SMPL's name."""
        return self.rotations

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons to distrust the body, for the user: where it does not lie on the person in the photo."""
        notes = []
        if self.reprojection_error is not None and self.reprojection_error > MOST_ERROR:
            notes.append(f"the body misses the keypoints (reprojection error {self.reprojection_error:.2g})")
        if self.mask_iou is not None and self.mask_iou < LEAST_OVERLAP:
            notes.append(f"the body misses the person's mask (IoU {self.mask_iou:.2g})")
        return tuple(notes)

    @property
    def vertices(self) -> np.ndarray:
        """(V, 3) metres: exactly what ``body(betas, body_pose, global_orient, transl)`` returns for this person."""
        return self._posed.vertices[0].cpu().numpy()

    @property
    def faces(self) -> np.ndarray:
        """(F, 3) int64 vertex indices."""
        return self.body.faces.cpu().numpy()

    @property
    def joint_confidence(self) -> np.ndarray | None:
        """(24,) in [0, 1]: the probability that each ``smpl24`` joint is within 10 cm of its true position.

        An isotropic Gaussian in space is within a standard deviations of its mean with the probability
        erf(a / sqrt 2) - sqrt(2 / pi) a exp(-a^2 / 2) (Maxwell's distribution).
        """
        if self.joint_deviation is None:
            return None
        # The deviation is of the distance: sqrt(3) times that along one axis. The pelvis has none.
        a = torch.from_numpy(NEARBY * math.sqrt(3) / self.joint_deviation.clip(1e-6)).double()
        inside = torch.erf(a / math.sqrt(2)) - math.sqrt(2 / math.pi) * a * torch.exp(-a.square() / 2)
        return inside.clamp(0, 1).float().numpy()

    def joints(self, joints: str = JOINTS) -> np.ndarray:
        """Joints of a named set.

        Args:
            joints: Name of a joint set in :mod:`meshrec.body.joints`.

        Returns:
            (K, 3) camera space, metres.

        Raises:
            ValueError: No set has this name, or the body lacks landmarks for it.
        """
        if joints == JOINTS:  # the joints of the skeleton, not an estimate from the vertices around them
            return self._posed.joints[0].cpu().numpy()
        return self.body.joints_from(self._posed.vertices, joints)[0].cpu().numpy()

    def mesh(
        self,
        name: str = "body",
        color: tuple[float, float, float] = Mesh.color,
        placement: Placement | None = None,
        texture: bytes | None = None,
    ) -> Mesh:
        """The posed mesh with y up, as mesh files contain it.

        Args:
            name: Name of the mesh in the file.
            color: (r, g, b) sRGB in [0, 1].
            placement: From camera space to that of the mesh, such as one of :class:`meshrec.reconstruct.Ground`.
                Default: half a turn about x.
            texture: A PNG file that the body's texture coordinates lay on the mesh, such as that of
                :func:`meshrec.reconstruct.photo_texture`.
        """
        data = self.body.data
        vertices = camera_to_y_up(self.vertices) if placement is None else placement.points(self.vertices)
        return Mesh(vertices, data.faces, data.uv, data.uv_faces, name, color, texture)

    def parameters(self) -> PersonParameters:
        """The content of a parameter file, with the joints of ``smpl24``."""
        joints = self.joints()
        return PersonParameters(
            body_name=self.body_name,
            body_hash=self.body.hash,
            betas=self.betas,
            pose=matrix_to_axis_angle(torch.from_numpy(self.rotations)).numpy(),
            translation=self.translation,
            camera=self.camera,
            made_by=self.made_by,
            box=self.box,
            score=self.score,
            reprojection_error=self.reprojection_error,
            mask_iou=self.mask_iou,
            keypoints_2d=self.keypoints_2d,
            keypoint_names=self.keypoint_names,
            joints_3d=joints,
            joints_2d=_seen_by(self.camera, joints),
            joint_deviation=self.joint_deviation,
            joint_confidence=self.joint_confidence,
            joint_names=joint_set(JOINTS),
            gravity=self.gravity,
            gravity_deviation=self.gravity_deviation,
            shape_covariance=self.shape_covariance,
            notes=self.notes,
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything that a ``person_0.json`` holds, as plain dictionaries, lists, strings and numbers.

        Numbers are finite; what is not known is None. Camera space, metres, radians and photo pixels, as
        :func:`meshrec.export.load_schema` describes them for each key.
        """
        return self.parameters().to_dict()

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """:meth:`to_dict` as JSON text; :meth:`load` reads a file of it.

        Args:
            path: A ``.json`` file to write it to, completely or not at all. Default: none is written.

        Returns:
            The text.

        Raises:
            InputError: The path has another suffix, or the file cannot be written.
        """
        text = self.parameters().to_json()
        if path is not None:
            known_suffix(path, (".json",))
            write_file(path, text.encode())
        return text

    def save(
        self,
        path: str | os.PathLike,
        *,
        skinned: bool = False,
        name: str = "body",
        color: tuple[float, float, float] = Mesh.color,
        placement: Placement | None = None,
        texture: bytes | None = None,
    ) -> None:
        """Write the person; the suffix chooses the format. The file is written completely or not at all.

        - ``.obj``, ``.ply``, ``.glb``: the mesh with y up, so that it stands upright in 3D programs.
        - ``.json``, ``.npz``: all parameters, in camera space; :meth:`load` reads them.

        Args:
            path: The file to write.
            skinned: Whether a ``.glb`` gets a skeleton that poses it.
            name: Name of the mesh in the file.
            color: (r, g, b) sRGB in [0, 1] of the mesh.
            placement: From camera space to that of the mesh, as for :meth:`mesh`; parameters stay in camera space.
            texture: As for :meth:`mesh`; a ``.ply`` has none, an ``.obj`` names it in files beside it.

        Raises:
            InputError: The suffix is unknown, or the file cannot be written.
        """
        suffix = known_suffix(path, SAVE_SUFFIXES)
        if suffix == ".json":
            self.to_json(path)
        elif suffix in PARAMETER_SUFFIXES:
            write_parameters(path, self.parameters())
        elif skinned and suffix == ".glb":
            body = self.skinned(name, color, placement, texture)
            write_skinned(
                path, body.rest, body.rig, body.pose, body.translation, pose_correctives=body.pose_correctives
            )
        else:
            write_mesh(path, self.mesh(name, color, placement, texture))

    def skinned(
        self,
        name: str = "body",
        color: tuple[float, float, float] = Mesh.color,
        placement: Placement | None = None,
        texture: bytes | None = None,
    ) -> SkinnedMesh:
        """The mesh at rest with the skeleton that poses it, with y up, as skinned files and scenes contain it.

        Args:
            name: Name of the mesh in the file.
            color: (r, g, b) sRGB in [0, 1].
            placement: From camera space to that of the mesh, as for :meth:`mesh`.
            texture: As for :meth:`mesh`.
        """
        body = self.body
        vertices, joints = (part[0].cpu().numpy() for part in body.rest(self._tensor("betas")))
        rest = Mesh(vertices, body.data.faces, body.data.uv, body.data.uv_faces, name, color, texture)
        rig = Rig(joints, np.array(body.parents), body.weights.cpu().numpy(), body.joint_names)
        place = pose_to_y_up if placement is None else placement.body
        pose, translation = place(self.rotations, self.translation, joints[0])
        return SkinnedMesh(rest, rig, pose, translation, body.has_posedirs)

    @cached_property
    def _posed(self) -> BodyOutput:
        rotations = self._tensor("rotations")
        with torch.no_grad():
            return self.body(self._tensor("betas"), rotations[:, 1:], rotations[:, 0], self._tensor("translation"))

    def _tensor(self, name: str) -> torch.Tensor:
        """A field as a batch of one on the body's device."""
        return torch.from_numpy(getattr(self, name))[None].to(self.body.v_template)


def matching_body(
    path: str | os.PathLike, body_name: str, body_hash: str, count: int, body: str | Path | BodyModel | None = None
) -> BodyModel:
    """The body to which the betas in a file belong.

    Args:
        path: The file, for messages.
        body_name, body_hash: The body that the file names. Its word is never enough to open another file.
        count: Number of betas.
        body: The body that the user names. Default: that of the file, if it is one of the open bodies.

    Raises:
        InputError: The body cannot be read, or is another one.
    """
    stored = body_name.removeprefix("open_")  # a body in memory has the name in its file
    if body is None and stored not in OPEN_BODIES:
        raise InputError(
            f"{path}: its betas belong to the body '{body_name}', which is none of "
            f"{', '.join(OPEN_BODIES)}: name that body's file with --body (in Python, body=...)"
        )
    name = stored if body is None else body
    try:
        if not isinstance(body, BodyModel):
            model = load_body(name, num_betas=count)
        else:
            model = body if body.hash == body_hash else body.truncated(count)
    except InputError as error:
        raise InputError(
            f"{path}: its {count} betas belong to the body '{body_name}' of hash {body_hash}, but {error}"
        ) from None
    if model.hash != body_hash:
        raise InputError(
            f"{path}: its betas belong to the body '{body_name}' of hash {body_hash}, "
            f"but '{name if isinstance(name, str | Path) else model.data.name}' has hash {model.hash}; "
            "name the body with which it was made."
        )
    return model


def _seen_by(camera: Camera | None, points: np.ndarray) -> np.ndarray | None:
    """Projections (N, 2) of points (N, 3); None without a camera, or if a point has none: it is not in front of it."""
    if camera is None:
        return None
    screen = camera.project(torch.from_numpy(points)).numpy()
    seen = (screen[:, 2] > 0) & (np.abs(screen[:, :2]) <= LARGEST).all(1)
    return screen[:, :2] if seen.all() else None


def export_people(
    files: Sequence[str | os.PathLike],
    formats: Sequence[str] = ("obj", "glb"),
    out: str | os.PathLike | None = None,
    body: str | Path | None = None,
    skinned: bool = False,
) -> Iterator[Path]:
    """Write people from parameter files in other formats.

    Args:
        files: ``.json`` or ``.npz`` files of :meth:`Person.save`.
        formats: Formats to write, of obj, ply, glb, json and npz.
        out: Folder to write into. Default: the folder of each file.
        body: The body to which the parameters belong. Default: the open body that each file names.
        skinned: Whether a ``.glb`` gets a skeleton.

    Yields:
        The path of each file written.

    Raises:
        InputError: A format is unknown, a file or its body cannot be read, the parameters belong to another body, two
            files would get the same name, or a file cannot be written.
    """
    suffixes = [f".{name.lstrip('.')}" for name in formats]
    unknown = [suffix for suffix in suffixes if suffix not in SAVE_SUFFIXES]
    if unknown or not suffixes:
        known = ", ".join(suffix.lstrip(".") for suffix in SAVE_SUFFIXES)
        raise InputError(f"unknown formats {', '.join(name[1:] for name in unknown)}: choose of {known}.")
    stems = [(Path(file).parent if out is None else Path(out)) / Path(file).stem for file in files]
    repeated = [stem for stem in stems if stems.count(stem) > 1]
    if repeated:
        raise InputError(f"several files would be written to {repeated[0]}{suffixes[0]}; export them one by one.")
    for file, stem in zip(files, stems):
        person = Person.load(file, body)
        for suffix in suffixes:
            path = stem.with_name(stem.name + suffix)
            person.save(path, skinned=skinned, name=stem.name)
            yield path
