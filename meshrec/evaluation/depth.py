"""Errors of bodies from depth maps, on synthetic people whose poses no training has seen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.joints import convert_joints
from meshrec.detect.depth_people import find_candidates
from meshrec.metrics import mpjpe, pa_mpjpe
from meshrec.reconstruct.depth import DepthReconstructor
from meshrec.synthetic.depth_maps import DepthMap, SyntheticDepthMaps

STAGES = ("network", "landmark fit", "depth fit")
JOINTS = "lsp14"
MILLIMETRES = 1000.0
WHOLE = 0.99  # share of a body's vertices within the map from which the person counts as whole


@dataclass(frozen=True)
class DepthErrors:
    """Errors of one person, millimetres.

    Attributes:
        mpjpe: By stage, of the joints relative to the root.
        pa_mpjpe: By stage, after a similarity.
        absolute: By stage, of the joints without any alignment.
        mpve: By stage but the first, of the vertices without any alignment.
        whole: Whether the whole person is in the map.
    """

    mpjpe: dict[str, float]
    pa_mpjpe: dict[str, float]
    absolute: dict[str, float]
    mpve: dict[str, float]
    whole: bool


def depth_errors(
    reconstructor: DepthReconstructor, maps: SyntheticDepthMaps, indices: Sequence[int]
) -> Iterator[DepthErrors | None]:
    """Reconstruct the people in synthetic depth maps.

    Args:
        reconstructor: With the body of the maps.
        maps: The maps.
        indices: Numbers of the maps.

    Yields:
        The errors in each map; None where nobody was found.
    """
    for index in indices:
        (seen,) = maps.draw([index])
        found = find_candidates(seen.depth, seen.camera, None, reconstructor.search)
        landmarks = reconstructor.landmarks(seen.depth, seen.camera, found)
        if landmarks is None:
            yield None
            continue
        fit = reconstructor.fit(seen.depth, seen.camera, found, landmarks)
        network, _ = convert_joints(landmarks.places[fit.way], landmarks.joint_set, JOINTS)
        states = {"landmark fit": fit.landmarks_only, "depth fit": fit.state}
        vertices = {stage: state.posed(maps.body) for stage, state in states.items()}
        joints = {"network": torch.from_numpy(network)[None].float()}
        joints |= {stage: maps.body.joints_from(own, JOINTS) for stage, own in vertices.items()}
        yield errors_of(maps.body, seen, joints, vertices)


def errors_of(body: BodyModel, seen: DepthMap, joints: dict[str, Tensor], vertices: dict[str, Tensor]) -> DepthErrors:
    """The errors of joints (1, K, 3) and vertices (1, V, 3) by stage, against the person of a synthetic map."""
    truth = seen.vertices[None]
    target = body.joints_from(truth, JOINTS)
    screen = seen.camera.project(seen.vertices)[:, :2].numpy()
    inside = ((screen > -0.5) & (screen < np.array(seen.camera.size) - 0.5)).all(1).mean()
    return DepthErrors(
        mpjpe={stage: float(mpjpe(own, target, joints=JOINTS).mean()) for stage, own in joints.items()},
        pa_mpjpe={stage: float(pa_mpjpe(own, target).mean()) for stage, own in joints.items()},
        absolute={stage: MILLIMETRES * float((own - target).norm(dim=-1).mean()) for stage, own in joints.items()},
        mpve={stage: MILLIMETRES * float((own - truth).norm(dim=-1).mean()) for stage, own in vertices.items()},
        whole=bool(inside >= WHOLE),
    )
