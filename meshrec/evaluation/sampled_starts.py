"""Whether several poses of a variational lifter help as starts of the fit, on people easily taken the wrong way.

A fit from one start ends in the nearest minimum, which is the wrong one where the network took left for right or front
for back. Fits from several starts can end in the right one; whether it is then chosen is another question, for the
fit's energy compares only how well the landmarks and the priors are met. The best by the truth is the limit of what
any choice could reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body import BodyModel, joint_set
from meshrec.body.joints import root_indices
from meshrec.body.mesh_fit import FitOptions, ParameterFitter
from meshrec.body.state import BodyState
from meshrec.detect.people import Detection, keypoint_box
from meshrec.evaluation.lifting import JOINT_ERROR
from meshrec.fit import Fitter, Initial
from meshrec.fit.starts import in_front, translation_onto
from meshrec.geometry import Camera
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.metrics import pose_errors
from meshrec.models.encoders import EncoderConfig
from meshrec.models.variational_lifting import VariationalLifter
from meshrec.regress.crops import person_inputs
from meshrec.regress.regressor import NetworkRegressor
from meshrec.synthetic.detector_noise import DetectorNoise
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.random_cameras import ViewMix
from meshrec.synthetic.simulated_detector import observe

SCORED = "h36m17"
SIDEWAYS = 0.85  # share of the shoulders' distance that is along the line of sight, for people seen from the side
WHOLE = ViewMix(truncated=0.0, occluded=0.0)
MEASURES = ("mpjpe", "pa_mpjpe")


@dataclass(frozen=True, eq=False)
class Ambiguous:
    """A person to fit.

    Attributes:
        detection: What the simulated detector reports, in pixels of the crop.
        camera: The crop's camera.
        true: (K, 3) true joints of :data:`SCORED`, camera space, metres.
    """

    detection: Detection
    camera: Camera
    true: Tensor


def ambiguous_people(
    body: BodyModel, count: int, kind: str, seed: int = 0, joints: str = "mediapipe33"
) -> list[Ambiguous]:
    """Synthetic people in held-out poses, whole and not covered.

    Args:
        body: Their body.
        count: Number of people.
        kind: ``exchanged``, whose left and right the detector exchanges, of all or of the legs alone; ``sideways``, who
            are seen from the side; ``any``.
        seed: Seed of the people.
        joints: Joint set of the detector.

    Raises:
        ValueError: There is no such kind.
    """
    if kind not in ("exchanged", "sideways", "any"):
        raise ValueError(f"there are exchanged, sideways and any people, not {kind!r}")
    noise = DetectorNoise(swapped=1.0 if kind == "exchanged" else 0.0, fewer=0.0)
    source = SyntheticPeople(body, seed, "held_out", views=WHOLE)
    shoulders = [joint_set(SCORED).index(f"{side}_shoulder") for side in ("left", "right")]
    found: list[Ambiguous] = []
    for first in range(0, 100 * count, count):
        numbers = range(first, first + count)
        people = source.draw(numbers)
        true = body.joints_from(people.vertices, SCORED)
        across = true[:, shoulders[0]] - true[:, shoulders[1]]
        wanted = (across[:, 2].abs() > SIDEWAYS * across.norm(dim=-1)) | (kind != "sideways")
        seen = observe(people, body, source.streams(numbers, "detector"), joints, noise)
        for i in torch.nonzero(wanted)[:, 0].tolist():
            keypoints = seen.keypoints[i].numpy().copy()
            keypoints[:, :2] = (keypoints[:, :2] + 1) * people.camera.size[0] / 2 - 0.5
            focal, center = (torch.as_tensor(part)[i] for part in (people.camera.focal, people.camera.center))
            camera = Camera(focal.numpy(), center.numpy(), people.camera.size)
            box = keypoint_box(keypoints, people.camera.size)
            found.append(Ambiguous(Detection(box, keypoints, joints, 1.0), camera, true[i]))
        if len(found) >= count:
            break
    return found[:count]


@torch.no_grad()
def sampled_states(
    lifter: VariationalLifter, person: Ambiguous, fitter: Fitter, count: int, generator: torch.Generator
) -> BodyState:
    """Bodies for several poses of a lifter, each where its landmarks project closest to the detected ones.

    Args:
        lifter: The lifter, which sees the detector's joint set and gives :data:`SCORED`.
        person: The person.
        fitter: The fit that is to start from the bodies.
        count: Number of poses.
        generator: Source of the poses.
    """
    detection, camera = person.detection, person.camera
    encoder = EncoderConfig(inputs=("keypoints",), resnet=0, joints=detection.joint_set)
    inputs, turn = person_inputs(encoder, _nothing(camera), [detection], camera)
    assert inputs.keypoints is not None
    points = lifter.poses(inputs.keypoints, count, generator)[0] @ turn[0]  # back into the photo's camera
    options = FitOptions(noise=JOINT_ERROR)
    bodies = ParameterFitter(fitter.body, options=options)(joints=points, joint_set=SCORED)
    state = BodyState(bodies.rotations.double(), torch.zeros(count, 3).double(), bodies.betas.double())
    seen = fitter.evidence([detection], camera).seen
    offsets = landmark_positions(seen.landmarks, state)
    center, focal = (torch.as_tensor(part, dtype=torch.float64) for part in (camera.center, camera.focal))
    rays = ((seen.pixels - center) / focal).expand(count, -1, -1)
    placed = replace(state, translation=translation_onto(offsets, rays, seen.precision.square().expand(count, -1)))
    return in_front(placed, seen.landmarks, seen.precision.expand(count, -1))


def fits_from(
    fitter: Fitter, person: Ambiguous, starts: BodyState, initial: Initial | None
) -> tuple[BodyState, Tensor]:
    """Fit one person from each of several starts by itself, by the landmarks.

    Args:
        fitter: The fit.
        person: The person.
        starts: S bodies.
        initial: A regressor's estimate, which is a prior of all fits; None for none.

    Returns:
        The S fitted bodies, and their energies (S,).
    """
    balance = fitter.balance(initial)
    evidence = fitter.evidence([person.detection], person.camera, initial)
    fits = [fitter.refine(starts[i : i + 1], evidence, balance)[:2] for i in range(len(starts))]
    rotations, translation, betas = (
        torch.cat([getattr(state, name) for state, _ in fits]) for name in ("rotations", "translation", "betas")
    )
    return BodyState(rotations, translation, betas), torch.cat([final.energy for _, final in fits])


@torch.no_grad()
def state_errors(body: BodyModel, state: BodyState, true: Tensor) -> dict[str, np.ndarray]:
    """Errors of bodies against the joints of one person.

    Args:
        body: The body.
        state: S bodies.
        true: (K, 3) true joints of :data:`SCORED`, metres.

    Returns:
        (S,) millimetres for each of :data:`MEASURES`.
    """
    points = body.joints_from(state.posed(body), SCORED)
    root = root_indices(SCORED)
    points, true = (values - values[..., root, :].mean(-2, keepdim=True) for values in (points, true))
    errors = pose_errors(points, true.expand_as(points), joints=SCORED)
    return {name: errors[name].values.mean(-1).double().numpy() for name in MEASURES}


def compare_starts(
    body: BodyModel,
    regressor: NetworkRegressor,
    lifter: VariationalLifter,
    people: Sequence[Ambiguous],
    samples: int = 5,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Fit people from a network's estimate, and from it and several poses of a lifter.

    Args:
        body: The body.
        regressor: The network, whose estimate is the prior of all fits.
        lifter: The lifter.
        people: At least one person.
        samples: Number of poses of each person.
        seed: Seed of the poses.

    Returns:
        Mean errors by the method's name, in millimetres, and the share of people for whom another start than the
        network's was chosen (``chosen``).
    """
    fitter, generator = Fitter(body, silhouettes=False), torch.Generator().manual_seed(seed)
    errors: dict[str, list[dict[str, float]]] = {}
    for person in people:
        initial = regressor(_nothing(person.camera), [person.detection], person.camera)
        drawn = sampled_states(lifter, person, fitter, samples, generator)
        first = fitter.starts(fitter.evidence([person.detection], person.camera, initial), initial)
        starts = BodyState(
            *(torch.cat([getattr(part, n) for part in (first, drawn)]) for n in ("rotations", "translation", "betas"))
        )
        before = state_errors(body, starts, person.true)
        fitted, energy = fits_from(fitter, person, starts, initial)
        after = state_errors(body, fitted, person.true)
        best, least = int(energy.argmin()), int(after["mpjpe"].argmin())
        rows = {
            "the network, no fit": (before, 0),
            "the fit from the network": (after, 0),
            f"best of the network and {samples} poses, by the energy": (after, best),
            f"best of the network and {samples} poses, by the truth": (after, least),
        }
        for name, (of, row) in rows.items():
            values = {measure: float(of[measure][row]) for measure in MEASURES}
            errors.setdefault(name, []).append(values | {"chosen": float(row > 0)})
    return {name: {key: float(np.mean([one[key] for one in of])) for key in of[0]} for name, of in errors.items()}


def _nothing(camera: Camera) -> np.ndarray:
    """A picture of the camera's size that takes no memory, for networks that see keypoints alone."""
    width, height = camera.size
    return np.broadcast_to(np.zeros(1, np.uint8), (height, width, 3))
