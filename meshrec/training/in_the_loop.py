"""Fits in the loop of a training (SPIN: Kolotouros et al. 2019, "Learning to Reconstruct 3D Human Pose and Shape via
Model-fitting in the Loop").

In rounds, bodies are fitted to the keypoints of people whose pose is unknown, from the network's estimates, and of each
person the fit of least reprojection energy of all rounds supervises the network until the next round.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from meshrec.body import NUM_BETAS, BodyModel
from meshrec.body.joints import JOINT_SETS, convert_joints, joint_set
from meshrec.body.state import BodyState
from meshrec.data.sample import Sample, Samples
from meshrec.detect.people import Detection, keypoint_box
from meshrec.fit import Fitter
from meshrec.fit.in_view import ViewSpace
from meshrec.fit.result import reprojection_error
from meshrec.fit.starts import in_front
from meshrec.geometry import Camera
from meshrec.geometry.crops import centre_points, look_at
from meshrec.models.network import Network
from meshrec.training.kept_fits import LABELS, SHARD, Fits, better, needs_fit, read_fits, shard_path, write_fits
from meshrec.training.labelled import seen_samples
from meshrec.training.measure import with_pictures
from meshrec.training.pieces import Needs

LEAST_KEYPOINTS = 6  # of a person who is fitted
TOGETHER = 32  # people whom the network sees at once
SIDE = 224  # pixels of the crops in which keypoints are fitted, in which detectors' errors are of the usual size


@dataclass(frozen=True)
class RoundReport:
    """What a round of fits gave, over all people with a fit.

    Attributes:
        people: Number of people with a fit.
        energy: Mean energy of the kept fits' reprojection.
        error: Mean distance of keypoints and joints of the kept fits, as a share of the person's box.
        improved: Share of people whose fit of this round was kept.
        used: Share of people whose kept fit is good enough to supervise the network.
    """

    people: int
    energy: float
    error: float
    improved: float
    used: float

    def __str__(self) -> str:
        return (
            f"{self.people} people, mean energy {self.energy:.2f}, mean error {1000 * self.error:.1f} thousandths of "
            f"the box, {100 * self.improved:.0f} % better than before, {100 * self.used:.0f} % used"
        )


def fit_round(
    datasets: Mapping[str, Samples],
    folder: Path,
    number: int,
    body: BodyModel,
    network: Network | None,
    needs: Needs,
    largest_error: float,
) -> RoundReport:
    """Fit everybody without a pose, and keep the better of this fit and the one on disk.

    Files of this round or a later one are left as they are, so that a round that was interrupted is taken up again.

    Args:
        datasets: The datasets by name; the fits of each are in the folder of its name.
        folder: The folder of these folders.
        number: Number of the round, from 0.
        body: The body, on the CPU.
        network: The network from whose estimates fits start; None starts from the library of poses.
        needs: What the network sees.
        largest_error: Largest error of a fit that supervises.

    Raises:
        InputError: A file of fits is damaged, or of other people.
    """
    fitter = Fitter(body, silhouettes=False)
    errors, energies, improved = [], [], []
    for name, samples in datasets.items():
        for shard in range(-(-len(samples) // SHARD)):
            people = [samples[row] for row in range(shard * SHARD, min((shard + 1) * SHARD, len(samples)))]
            path = shard_path(folder / name, shard)
            old = read_fits(path, [person.name for person in people], body.hash)
            kept = old
            if int(old.round) < number:
                new = fit_samples(people, fitter, network, needs)
                kept = better(old, replace(new, round=np.array(number)))
                write_fits(path, kept)
            fitted = np.isfinite(kept.energy)
            errors.append(kept.error[fitted])
            energies.append(kept.energy[fitted])
            improved.append((kept.energy < old.energy)[fitted])
    error, energy, lower = (np.concatenate(parts) for parts in (errors, energies, improved))
    if not len(error):
        return RoundReport(0, float("nan"), float("nan"), 0.0, 0.0)
    used = float((error <= largest_error).mean())
    return RoundReport(len(error), float(energy.mean()), float(error.mean()), float(lower.mean()), used)


def fit_samples(samples: Sequence[Sample], fitter: Fitter, network: Network | None, needs: Needs) -> Fits:
    """Fit bodies to the keypoints of samples.

    Args:
        samples: N samples. Those who have a pose, or too few keypoints, are left out.
        fitter: The fitter.
        network: The network from whose estimates fits start; None starts from the library of poses.
        needs: What the network sees.
    """
    fits = replace(Fits.none([sample.name for sample in samples]), body=np.array(fitter.body.hash))
    groups = defaultdict(list)
    for row, sample in enumerate(samples):
        if needs_fit(sample) and (sample.keypoints_2d[:, 2] > 0).sum() >= LEAST_KEYPOINTS:
            groups[_joints(sample), _camera(sample)[0].tobytes(), _camera(sample)[1].tobytes()].append(row)
    for (joints, *_), rows in groups.items():  # people of one camera and joint set are fitted together
        people = [samples[row] for row in rows]
        focal, principal = (torch.from_numpy(part)[None] for part in _camera(people[0]))
        turn = look_at(focal, principal)[0]
        detections, camera = _detected(people, joints, focal, principal)
        state, energy, error = _fitted(detections, camera, fitter, _start(people, network, needs))
        moments = fitter.skeleton
        rest, shapes = moments.rest_joints[0], moments.joint_shapes[0]
        looking = ViewSpace(turn.double(), torch.zeros(3).double(), torch.from_numpy(rest), torch.from_numpy(shapes))
        state = looking.to_world(state)  # from the camera that looks at the crop's middle to the sample's own
        fits.rotations[rows] = state.rotations.float().numpy()
        fits.translation[rows] = state.translation.float().numpy()
        fits.betas[rows, : state.betas.shape[1]] = state.betas.float().numpy()
        fits.energy[rows], fits.error[rows] = energy, error
    return fits


def _fitted(
    detections: Sequence[Detection], camera: Camera, fitter: Fitter, start: BodyState | None
) -> tuple[BodyState, np.ndarray, np.ndarray]:
    """Bodies of N people, the energies of their reprojection (N,), and its errors (N,), infinite where a fit failed."""
    balance = fitter.settings.alone
    evidence = fitter.evidence(detections, camera, balance=balance)
    if start is None:
        start = fitter.starts(evidence, None)
    else:
        start = in_front(start, evidence.seen.landmarks, evidence.seen.precision)
    state, _, evidence = fitter.refine(start, evidence, balance)
    energy = evidence.seen(state).energy.numpy()
    error = np.array(
        [reprojection_error(evidence.seen[i : i + 1], state[i : i + 1], d.box) for i, d in enumerate(detections)]
    )
    failed = ~(np.isfinite(energy) & np.isfinite(error))
    return state, np.where(failed, np.inf, energy), np.where(failed, np.inf, error)


@torch.no_grad()
def _start(people: Sequence[Sample], network: Network | None, needs: Needs) -> BodyState | None:
    """The network's estimates of people, each in the camera that looks at the middle of its crop."""
    if network is None:
        return None
    device, states = next(network.parameters()).device, []
    for first in range(0, len(people), TOGETHER):
        batch, inputs = seen_samples(people[first : first + TOGETHER], needs)
        estimate = network(with_pictures(batch.to(device), inputs.to(device))).final
        place = estimate.translation(batch.focal[:, 0].to(device))
        betas = pad(estimate.betas, (0, NUM_BETAS - estimate.betas.shape[1]))
        states.append([part.double().cpu() for part in (estimate.rotations, place, betas)])
    return BodyState(*(torch.cat(parts) for parts in zip(*states)))


def _detected(
    people: Sequence[Sample], joints: str, focal: Tensor, principal: Tensor
) -> tuple[list[Detection], Camera]:
    """The keypoints of people of one camera as detections in crops of :data:`SIDE` pixels, and that camera.

    Args:
        people: The people.
        joints: Their joint set.
        focal, principal: (1, 2) their camera.
    """
    keypoints = np.stack([convert_joints(one.keypoints_2d, one.joints, joint_set(joints))[0] for one in people])
    every = len(people)
    places, centred = centre_points(
        torch.from_numpy(keypoints[..., :2]), focal.expand(every, 2), principal.expand(every, 2)
    )
    pixels = np.concatenate([(places.numpy() + 1) * SIDE / 2 - 0.5, keypoints[..., 2:]], axis=-1).astype(np.float32)
    size = (SIDE, SIDE)
    found = [Detection(keypoint_box(one, size), one, joints, score=1.0) for one in pixels]
    return found, Camera(float(centred[0]) * SIDE / 2, size=size)


def _joints(sample: Sample) -> str:
    """Name of the sample's joint set, where its detections have known offsets; else that of all labels."""
    return next((name for name, joints in JOINT_SETS.items() if joints == sample.joints), LABELS)


def _camera(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Focal lengths (2,) and principal point (2,), as :func:`meshrec.data.centred.centred` takes them."""
    if sample.camera_confidence > 0:
        return sample.focal, sample.principal
    return np.full(2, np.sqrt(sample.focal.prod()), np.float32), np.zeros(2, np.float32)
