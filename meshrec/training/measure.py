"""Measurements of a network on held-out people: errors, the covariance of its errors, a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from meshrec.body import joint_set
from meshrec.body.joints import LIMB_JOINTS
from meshrec.data.sample import Batch
from meshrec.geometry import Camera
from meshrec.metrics import RunningMeans, keypoint_errors, point_errors
from meshrec.models.encoders import EncoderConfig, NetworkInput, normalize_rgb
from meshrec.models.estimate import Estimate
from meshrec.models.mirrored import mirror_averaged
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput
from meshrec.regress.calibration import calibrated, error_covariance, shape_calibration
from meshrec.training.objective import Objective, posed
from meshrec.training.pieces import Piece

FLAT = "keypoints_2d"
SHOWN = 160  # pixels: height of each person in a picture of predictions


def with_pictures(batch: Batch, inputs: NetworkInput) -> NetworkInput:
    """The input with the batch's pictures, where it has any, as networks want them."""
    return replace(inputs, rgb=normalize_rgb(batch.image / 255)) if batch.image.numel() else inputs


def moved(piece: Piece, device: torch.device) -> Piece:
    """A piece on another device."""
    batch, inputs = piece
    return batch.to(device), inputs.to(device)


@torch.no_grad()
def measure(network: Network, people: Mapping[str, Sequence[Piece]], objective: Objective) -> dict[str, float]:
    """Errors of a network.

    Args:
        network: any network; its training mode is left as it is.
        people: held-out people by source.
        objective: the objective whose body and landmarks are used; they are on the network's device.

    Returns:
        Means in millimetres by name, such as ``renders/pa_mpjpe``, over the twelve joints of arms and legs, as far as
        there are labels to compare with; and ``keypoints_2d``, a mean in thousandths of the crop's side, for a source
        that has no label in space.
    """
    device, training = objective.body.v_template.device, network.training
    network.eval()
    metrics: dict[str, float] = {}
    for name, pieces in people.items():
        means = RunningMeans()
        for piece in pieces:
            batch, inputs = moved(piece, device)
            means.update(_errors(network(with_pictures(batch, inputs)), batch, objective))
        known = {key: value.mean for key, value in means.compute().items() if value.count.sum() > 0}
        if len(known) > 1:
            known.pop(FLAT, None)
        metrics |= {f"{name}/{key}": value for key, value in known.items()}
    network.train(training)
    return metrics


@torch.no_grad()
def measure_errors(
    network: Network, people: Mapping[str, Sequence[Piece]], encoder: EncoderConfig, body: str, device: torch.device
) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """The covariance of a network's errors and the calibration of its shapes, mirror-averaged as in the photo job.

    Args:
        network: any network; its training mode is left as it is.
        people: as for :func:`measure`. The covariance is that of the last source in which whole poses and shapes are
            known; shapes are calibrated on all.
        encoder: the settings of the network's encoder.
        body: hash of the body to which the network's betas belong.
        device: the network's device.

    Returns:
        Covariances (1, 72 + S, 72 + S) and calibrations (1, S + 1, S), see :mod:`meshrec.regress.calibration`. For a
        network that sees masks but can do without them, two of each: the second are for the same people without masks.
        None where nobody's whole pose and shape is known.
    """
    training, found = network.training, []
    people = {name: pieces for name, pieces in people.items() if any(_whole(b, body).any() for b, _ in pieces)}
    if not people:
        return None, None
    network.eval()
    for masks in (True, False) if "silhouette" in encoder.inputs and not encoder.channels else (True,):
        sources = [_estimates(network, pieces, encoder.joints, body, device, masks) for pieces in people.values()]
        calibration = shape_calibration(*(torch.cat(betas) for betas in zip(*((e.betas, b) for e, _, b in sources))))
        last, pose, betas = sources[-1]
        last = replace(last, betas=calibrated(last.betas, calibration))
        found.append((error_covariance(last, pose, betas), calibration))
    network.train(training)
    covariances, calibrations = (torch.stack(matrices) for matrices in zip(*found))
    return covariances, calibrations


def _whole(batch: Batch, body: str) -> Tensor:
    """(B,) bool, whose pose and betas for the body with this hash are wholly known."""
    return (batch.pose_confidence > 0).all(1) & (batch.betas_confidence_for(body) > 0)


def _estimates(
    network: Network, pieces: Sequence[Piece], joints: str, body: str, device: torch.device, masks: bool
) -> tuple[Estimate, Tensor, Tensor]:
    """Mirror-averaged estimates, with or without masks, true poses and betas on the CPU, of people who are known."""
    found = []
    for piece in pieces:
        batch, inputs = moved(piece, device)
        if not masks and inputs.silhouette is not None:
            inputs = replace(inputs, silhouette=torch.zeros_like(inputs.silhouette))
        estimate = mirror_averaged(network, with_pictures(batch, inputs), joints)
        values = (*vars(estimate).values(), batch.pose, batch.betas[:, : estimate.betas.shape[1]])
        found.append([value[_whole(batch, body)] for value in values])
    *parts, pose, betas = (torch.cat(values).cpu() for values in zip(*found))
    return Estimate(*parts), pose, betas


def picture(network: Network, piece: Piece, objective: Objective, count: int = 6) -> np.ndarray:
    """A picture of a network's estimates of people, over the photo and from the side, and of known truth likewise.

    Args:
        network: any network, in evaluation mode.
        piece: the people, on any device.
        objective: the objective whose body is drawn.
        count: the most people to draw.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    from meshrec.render.overlay import contact_sheet, overlay, turned

    body, landmarks = objective.body, objective.landmarks
    batch, inputs = moved(piece, body.v_template.device)
    with torch.no_grad():
        output = network(with_pictures(batch, inputs))
        estimate = output.final
        ours = posed(estimate, body) if output.mesh is None else output.mesh.vertices
        ours = ours + estimate.translation(batch.focal[:, 0])[:, None]
        true = Estimate(batch.pose, batch.betas, estimate.camera)
        joints, known = batch.joints_3d.split((3, 1), dim=2)
        off = (joints - landmarks(batch.pose, batch.betas)) * known
        true = posed(true, body) + off.sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp(min=1)
        drawable = _whole(batch, body.hash) & (known.sum((1, 2)) > 0) & (batch.camera_confidence > 0)
    side = batch.image.shape[-1] if batch.image.numel() else SHOWN
    tiles = []
    for i in range(min(count, len(batch))):
        photo = np.full((side, side, 3), 235, np.uint8)
        if batch.image.numel():
            photo = batch.image[i].movedim(0, -1).cpu().numpy()
        elif inputs.silhouette is not None:
            shade = 235 - 60 * torch.nn.functional.interpolate(inputs.silhouette[i, None], (side, side))[0, 0]
            photo = shade.to(torch.uint8)[..., None].expand(-1, -1, 3).cpu().numpy()
        camera = Camera(float(batch.focal[i, 0]) * side / 2, size=(side, side))
        for vertices in (ours, true) if drawable[i] else (ours,):
            drawn = overlay(photo, vertices[i, None], body.faces, camera, opacity=0.8)
            tiles.append(drawn if inputs.keypoints is None else _with_dots(drawn, inputs.keypoints[i]))
            tiles.append(turned(vertices[i, None], body.faces, size=(side, side)))
    return contact_sheet(tiles, columns=8, height=SHOWN)


def _errors(output: NetworkOutput, batch: Batch, objective: Objective) -> dict:
    estimate, which = output.final, [joint_set(batch.joint_set).index(name) for name in LIMB_JOINTS]
    confidence = batch.joints_3d[:, which, 3]
    target = batch.joints_3d[:, which, :3]
    found = {}
    points = {"": objective.landmarks(estimate.rotations, estimate.betas)}
    if output.mesh is not None:
        points["mesh_"] = objective.body.joints_from(output.mesh.vertices, batch.joint_set)
    for name, predicted in points.items():
        rooted = point_errors(predicted, batch.joints_3d[..., :3], batch.joints_3d[..., 3], batch.joint_set)
        found[f"{name}mpjpe"] = replace(rooted, values=rooted.values[:, which], counts=rooted.counts[:, which])
        found[f"{name}pa_mpjpe"] = point_errors(predicted[:, which], target, confidence, align="similarity")
    seen, labels = estimate.project(points[""], batch.focal[:, 0]), batch.keypoints_2d
    thousandth = labels.new_tensor(2 / 1000)  # of the crop's side, which is 2
    flat = keypoint_errors(seen, labels[..., :2], thousandth, labels[..., 2])
    body = objective.body
    known = batch.betas_confidence_for(body.hash)[:, None]
    ours, true = (body.rest(betas)[0] for betas in (estimate.betas, batch.betas))
    return found | {"pve_t": point_errors(ours, true, known), FLAT: flat}


def _with_dots(image: np.ndarray, keypoints: Tensor) -> np.ndarray:
    import cv2

    side = len(image)
    for x, y, confidence in keypoints.cpu().tolist():
        if confidence > 0 and max(abs(x), abs(y)) < 1:
            place = round((x + 1) * side / 2 - 0.5), round((y + 1) * side / 2 - 0.5)
            cv2.circle(image, place, 2, (200, 40, 40), -1, cv2.LINE_AA)
    return image
