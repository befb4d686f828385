"""Measuring where a detector sees landmarks, from pictures of people whose landmarks are known."""

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, flip_permutation, joint_index, joint_set
from meshrec.body.joints import LIMB_JOINTS, mirror_name
from meshrec.data.synthetic.detected_renders import DetectedRenders
from meshrec.detect.noise import MEDIAPIPE, Placement
from meshrec.fit.landmarks import Landmarks
from meshrec.fit.state import BodyState

SURE = 0.9  # confidence from which a landmark counts: hidden ones are guessed by the detector
ROBUST = 0.01  # share of the box: larger residuals lose their pull
MISTAKEN = 0.05  # share of the box: median error of the limbs from which somebody is not recognised at all
MAD_TO_DEVIATION = 1.4826


def measure_placements(renders: DetectedRenders, body: BodyModel) -> dict[str, Placement]:
    """Offsets and scatter of a detector's landmarks, left and right together.

    Each landmark is offset in the frames of the joints that :data:`meshrec.detect.noise.MEDIAPIPE` names, by robust
    least squares on the distances in the picture. People with left and right exchanged are left out.

    Args:
        renders: Pictures of the body, detected.
        body: The one they show.

    Returns:
        Placements of left and central landmarks.
    """
    joints = str(renders.joint_set)
    names, flip = joint_set(joints), flip_permutation(joints)
    found = np.flatnonzero(renders.score > 0)
    take = lambda values: torch.tensor(values[found], dtype=torch.float64)  # noqa: E731
    state = BodyState(take(renders.rotations), take(renders.translation), take(renders.betas))
    focal, center, keypoints = take(renders.focal), take(renders.center), take(renders.keypoints)
    pixels = (keypoints[..., :2] + 1) * (int(renders.resolution) / 2) - 0.5
    confidence, side = keypoints[..., 2], _sides(pixels)

    points = Landmarks.of_rows(body, body.joint_regressor(joints)).positions(state)
    depth = points[..., 2:]
    expected = points[..., :2] / depth * focal[:, None] + center[:, None]
    limbs = [joint_index(name, joints) for name in LIMB_JOINTS]
    share = [
        ((p - expected).norm(dim=-1) / side[:, None])[:, limbs].median(1).values for p in (pixels, pixels[:, flip])
    ]
    good = (share[0] < MISTAKEN) & (share[0] < share[1])
    frames = _global_rotations(state, body)

    placements = {}
    for name in MEDIAPIPE:
        systems, wanted, sure = [], [], []
        for twin, mirror in (
            {name: 1.0, mirror_name(name): -1.0}.items() if mirror_name(name) != name else [(name, 1.0)]
        ):
            k = names.index(twin)
            parts = MEDIAPIPE[name].offsets
            turns = [frames[:, joint_index(j if mirror > 0 else mirror_name(j), "smpl24")] for j in parts]
            turned = torch.cat([turn * turn.new_tensor([mirror, 1, 1]) for turn in turns], dim=-1)
            ratio = (points[:, k, :2] / depth[:, k])[..., None]
            slope = (focal / depth[:, k])[..., None] * (turned[:, :2] - ratio * turned[:, 2:])
            systems.append(slope[good] / side[good, None, None])
            wanted.append((pixels[:, k] - expected[:, k])[good] / side[good, None])
            sure.append(confidence[good, k] > SURE)
        offsets, deviation = _robust_fit(torch.cat(systems), torch.cat(wanted), torch.cat(sure))
        if mirror_name(name) == name:
            offsets[..., 0] = 0
        millimetres = {j: tuple(round(1e3 * x) for x in o) for j, o in zip(parts, offsets.tolist())}
        placements[name] = Placement(millimetres, round(deviation, 4))
    return placements


def _robust_fit(system: Tensor, wanted: Tensor, sure: Tensor, rounds: int = 20) -> tuple[Tensor, float]:
    """Offsets (F, 3) with ``system @ offsets = wanted`` in the main, and the deviation of what remains, per axis."""
    offsets = system.new_zeros(system.shape[-1])
    for _ in range(rounds):
        residual = system @ offsets - wanted
        weight = (sure / (1 + residual.square().sum(-1) / ROBUST**2))[:, None, None]
        transposed = system.transpose(1, 2) * weight
        # Along a straight limb two frames cannot be told apart: a trace of ridge shares the offset between them.
        normal = (transposed @ system).sum(0) + 1e-3 * torch.eye(len(offsets), dtype=system.dtype)
        offsets = torch.linalg.solve(normal, (transposed @ wanted[..., None]).sum(0).squeeze(-1))
    residual = (system @ offsets - wanted)[sure]
    return offsets.unflatten(0, (-1, 3)), MAD_TO_DEVIATION * float(residual.abs().median())


def _global_rotations(state: BodyState, body: BodyModel) -> Tensor:
    """(B, 24, 3, 3) from each joint's rest frame to camera space."""
    turned: list[Tensor] = []
    for joint, parent in enumerate(body.parents):
        local = state.rotations[:, joint]
        turned.append(local if parent < 0 else turned[parent] @ local)
    return torch.stack(turned, dim=1)


def _sides(pixels: Tensor, margin: float = 0.15) -> Tensor:
    """(B,) longer sides of the boxes that detectors draw around people."""
    return (pixels.amax(1) - pixels.amin(1)).amax(1) * (1 + 2 * margin)
