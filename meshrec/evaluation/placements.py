"""Measure where a detector or annotators see landmarks, from people whose bodies are known."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from meshrec.body import LIMB_JOINTS, BodyModel, flip_permutation, joint_index, joint_set
from meshrec.body.joints import mirror_name
from meshrec.body.kinematics import global_rotations
from meshrec.body.state import BodyState
from meshrec.datasets.lspe import LspeSamples
from meshrec.detect import Detector
from meshrec.evaluation.progress import followed
from meshrec.evaluation.subjects import Detected
from meshrec.fit.fitter import Fitter
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.landmarks.placements import LSP, MEDIAPIPE, Placement
from meshrec.synthetic.detected_renders import DetectedRenders

SURE = 0.9  # least confidence of a landmark that is used, because the detector guesses hidden ones
ROBUST = 0.01  # share of the box: larger residuals lose their pull
MISTAKEN = 0.05  # share of the box: median error of the limbs above which a person was not recognised
MISLABELLED = 0.08  # share of the box: labels farther from the detected keypoints are taken for wrong
MAD_TO_DEVIATION = 1.4826


def measure_placements(renders: DetectedRenders, body: BodyModel) -> dict[str, Placement]:
    """Offsets and scatter of a detector's landmarks: the table :data:`meshrec.landmarks.placements.MEDIAPIPE`.

    People whom the detector sees with left and right exchanged are left out.

    Args:
        renders: Renders of the body with their detections.
        body: Body that the renders show.
    """
    joints = str(renders.joint_set)
    flip = flip_permutation(joints)
    found = np.flatnonzero(renders.score > 0)
    take = lambda values: torch.tensor(values[found], dtype=torch.float64)  # noqa: E731
    state = BodyState(take(renders.rotations), take(renders.translation), take(renders.betas))
    focal, center, keypoints = take(renders.focal), take(renders.center), take(renders.keypoints)
    pixels = (keypoints[..., :2] + 1) * (int(renders.resolution) / 2) - 0.5
    side = _sides(pixels)

    points = landmark_positions(LandmarkMoments.of_body(body, joints), state)
    expected = points[..., :2] / points[..., 2:] * focal[:, None] + center[:, None]
    limbs = [joint_index(name, joints) for name in LIMB_JOINTS]
    share = [
        ((p - expected).norm(dim=-1) / side[:, None])[:, limbs].median(1).values for p in (pixels, pixels[:, flip])
    ]
    good = (share[0] < MISTAKEN) & (share[0] < share[1])
    sure = (keypoints[..., 2] > SURE) & good[:, None]
    return _placements(MEDIAPIPE, joints, body, state, focal, center, pixels, side, sure)


def measure_annotators(people: LspeSamples, detector: Detector, fitter: Fitter, step: int = 1) -> dict[str, Placement]:
    """Offsets and scatter of the joints that annotators marked: the table :data:`meshrec.landmarks.placements.LSP`.

    Bodies are fitted to the detections, not to the labels, and the mean offsets of the labels from them are taken.

    Args:
        people: Labelled photos.
        detector: Detects the people.
        fitter: Fits bodies to the detections.
        step: Step between the photos that are used; 1 uses all.
    """
    limbs = len(LIMB_JOINTS)  # the first of lsp14
    states, focal, center, labels, sides, sure = [], [], [], [], [], []
    detected = Detected(detector, search="crop")
    for row in followed(range(0, len(people), step), "annotators"):
        sample = people[row]
        image = sample.read_image()
        detection = detected.of(sample, image)
        if detection is None:
            continue
        camera = Camera.from_fov((image.shape[1], image.shape[0]))
        (fit,) = fitter([detection], camera)
        label, side = people.keypoints_2d[row, :limbs], float((detection.box[2:] - detection.box[:2]).max())
        seen = detection.keypoints[[joint_index(name, detection.joint_set) for name in LIMB_JOINTS]]
        apart = np.linalg.norm(seen[:, :2] - label[:, :2], axis=1) / side
        states.append((fit.rotations, fit.translation, fit.betas))
        focal.append(camera.focal)
        center.append(camera.center)
        labels.append(label[:, :2])
        sides.append(side)
        sure.append((label[:, 2] > 0) & (apart < MISLABELLED))
    stacked = lambda rows: torch.tensor(np.stack(rows), dtype=torch.float64)  # noqa: E731
    state = BodyState(*(stacked(part) for part in zip(*states)))
    numbers = stacked(focal), stacked(center), stacked(labels), stacked(sides)
    return _placements(LSP, "lsp14", fitter.body, state, *numbers, torch.tensor(np.stack(sure)))


def _placements(
    table: Mapping[str, Placement],
    joints: str,
    body: BodyModel,
    state: BodyState,
    focal: Tensor,
    center: Tensor,
    pixels: Tensor,
    side: Tensor,
    sure: Tensor,
) -> dict[str, Placement]:
    """Offsets of each landmark in the frames of the joints that a table names, for left and right together.

    They are found by robust least squares on the distances in the picture.

    Args:
        table: Left and central landmarks with the joints whose frames they are given in.
        joints: Name of the landmarks' joint set.
        body: Body model of the states.
        state: B bodies.
        focal, center: (B, 2) focal lengths and principal points of their cameras, pixels.
        pixels: (B, K, 2) observed places of the first K landmarks of the set.
        side: (B,) longer sides of the boxes, pixels.
        sure: (B, K) bool, which observations are used.
    """
    names = joint_set(joints)
    points = landmark_positions(LandmarkMoments.of_body(body, joints), state)
    depth = points[..., 2:]
    expected = points[..., :2] / depth * focal[:, None] + center[:, None]
    frames = global_rotations(state.rotations, body.tree)
    placements = {}
    for name, place in table.items():
        systems, wanted, counts = [], [], []
        for twin, mirror in (
            {name: 1.0, mirror_name(name): -1.0}.items() if mirror_name(name) != name else [(name, 1.0)]
        ):
            k = names.index(twin)
            turns = [frames[:, joint_index(j if mirror > 0 else mirror_name(j), "smpl24")] for j in place.offsets]
            turned = torch.cat([turn * turn.new_tensor([mirror, 1, 1]) for turn in turns], dim=-1)
            ratio = (points[:, k, :2] / depth[:, k])[..., None]
            slope = (focal / depth[:, k])[..., None] * (turned[:, :2] - ratio * turned[:, 2:])
            systems.append(slope / side[:, None, None])
            wanted.append((pixels[:, k] - expected[:, k]) / side[:, None])
            counts.append(sure[:, k])
        offsets, deviation = _robust_fit(torch.cat(systems), torch.cat(wanted), torch.cat(counts))
        if mirror_name(name) == name:
            offsets[..., 0] = 0
        millimetres = {j: tuple(round(1e3 * x) for x in o) for j, o in zip(place.offsets, offsets.tolist())}
        placements[name] = Placement(millimetres, round(deviation, 4))
    return placements


def _robust_fit(system: Tensor, wanted: Tensor, sure: Tensor, rounds: int = 20) -> tuple[Tensor, float]:
    """Offsets (F, 3) that solve ``system @ offsets = wanted`` robustly, and the residuals' deviation per axis."""
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


def _sides(pixels: Tensor, margin: float = 0.15) -> Tensor:
    """(B,) longer sides of detection boxes around keypoints (B, K, 2)."""
    return (pixels.amax(1) - pixels.amin(1)).amax(1) * (1 + 2 * margin)
