"""Bodies from joints and landmarks that are found in pictures (SMPLR, Madadi et al. 2018)."""

from collections.abc import Callable
from dataclasses import asdict, replace

import torch
from torch import Tensor

from meshrec.body import NUM_BETAS
from meshrec.comparison.bench import (
    JOINTS,
    NOISE_PEOPLE,
    SEEN_AT_ONCE,
    Bench,
    Made,
    Row,
    Tables,
    kept_training,
    with_ones,
)
from meshrec.comparison.photos import PhotoPeople
from meshrec.evaluation.lifting import LiftingSet, parameter_errors
from meshrec.evaluation.truth import from_pelvis
from meshrec.geometry import rotation_angle
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.metrics import mpve, pve_t
from meshrec.models.smplr import PointsToBody
from meshrec.models.volumetric import Volumetric
from meshrec.training.seeing import train_to_see
from meshrec.training.smplr import points_loss, posed_people, train_points_to_body

DEVIATIONS = (0.0, 0.02, 0.04)  # of the noise on the points, metres
SHAPE_TITLE = "Error of the shape (PVE-T) by noise on the points, mm"
TURN_TITLE = "Error of the orientation by noise on the points, degrees"
MESH_TITLE = "MPVE by noise on the points, mm"
HELD_OUT_SEED = 1


def smplr(label: str, landmarks: bool, turned: bool = True) -> Callable[[Bench, str], Made]:
    """A volumetric network of joints and landmarks, and the body of its points.

    Weights are kept as NAME.safetensors and NAME_body.safetensors.

    Args:
        label: What the tables of noise call it.
        landmarks: Whether there are landmarks beside the joints.
        turned: Whether bodies are turned so that their points fit the given ones.
    """

    def train(bench: Bench, name: str) -> Made:
        training, smplr = bench.config.training, bench.config.smplr
        smplr = smplr if landmarks else replace(smplr, landmarks=0)
        config = replace(bench.config.volumetric, joints="smpl24", landmarks=smplr.landmarks)
        settings = {"training": asdict(training), "network": asdict(smplr)}
        stem = name.removesuffix("_unturned")  # it has the networks of the row before
        to_body, seconds = kept_training(
            bench.out / f"{stem}_body.safetensors", PointsToBody(bench.body, smplr), settings,
            lambda: train_points_to_body(
                bench.body, smplr, posed_people(bench.body, training.people, training.seed), training
            ),
        )  # fmt: skip
        settings = {"pictures": asdict(bench.config.pictures), "seeing": asdict(bench.config.seeing)}
        settings |= {"network": asdict(config)}
        hips = TorchLandmarks(
            LandmarkMoments.of_body(bench.body, bench.body.joint_regressor(JOINTS)[:1], num_betas=NUM_BETAS)
        )
        network, more = kept_training(
            bench.out / f"{stem}.safetensors", Volumetric(config), settings,
            lambda: train_to_see(
                lambda: Volumetric(config), bench.pictures, points_loss(hips, to_body), bench.config.seeing
            ),
        )  # fmt: skip

        def bodies(points: Tensor) -> tuple[Tensor, Tensor]:
            rotations, betas = to_body(points)
            return (to_body.turned(rotations, betas, points) if turned else rotations), betas

        people = bench.pictured
        true = LiftingSet(
            JOINTS, with_ones(people.places), with_ones(people.joints), people.pose, people.betas, bench.groups
        )
        with torch.inference_mode():
            found = [bodies(network.points(part)) for part in people.image.split(SEEN_AT_ONCE)]
        rotations, betas = (torch.cat(parts) for parts in zip(*found))
        errors = parameter_errors(rotations, betas, true, bench.body)
        one, weights = people.image[:1], network.count_weights() + to_body.count_weights()
        tables = by_noise(label, to_body, bodies, bench)

        def vertices(of: PhotoPeople) -> Tensor:
            rotations, betas = bodies(network.points(of.image))
            return bench.body(betas, rotations[:, 1:], rotations[:, :1]).vertices

        photos = bench.bodies_on_photos(vertices)
        return Made(errors, lambda: bodies(network.points(one)), weights, (seconds + more) / 60, None, tables, photos)

    return train


@torch.inference_mode()
def by_noise(
    label: str, network: PointsToBody, bodies: Callable[[Tensor], tuple[Tensor, Tensor]], bench: Bench
) -> Tables:
    """The errors of bodies in held-out poses whose points are known, but for Gaussian noise."""
    pose, betas = posed_people(bench.body, NOISE_PEOPLE, HELD_OUT_SEED, "held_out")
    betas, generator = betas[:, :NUM_BETAS], torch.Generator().manual_seed(HELD_OUT_SEED)
    exact, body = network.points(pose, betas), bench.body.truncated(NUM_BETAS)
    cells: dict[str, dict[str, str]] = {title: {} for title in (SHAPE_TITLE, TURN_TITLE, MESH_TITLE)}

    def placed(rotations: Tensor, shape: Tensor) -> Tensor:
        return from_pelvis(body, body(shape, rotations[:, 1:], rotations[:, :1]).vertices)

    for deviation in DEVIATIONS:
        rotations, shape = bodies(exact + deviation * torch.randn(exact.shape, generator=generator))
        head = f"{1000 * deviation:.0f} mm"
        cells[SHAPE_TITLE][head] = f"{float(pve_t(body, shape, betas)):.1f}"
        cells[TURN_TITLE][head] = f"{float(rotation_angle(rotations[:, 0], pose[:, 0]).rad2deg().mean()):.1f}"
        cells[MESH_TITLE][head] = f"{float(mpve(placed(rotations, shape), placed(pose, betas))):.1f}"
    return {title: {label: of} for title, of in cells.items()}


SMPLR_ROWS = {
    "smplr": Row(
        "joints and landmarks to a body (SMPLR, Madadi 2018), its own mesh", "3D", smplr("joints and landmarks", True)
    ),
    "smplr_unturned": Row("- not turned to its points", "3D", smplr("- not turned", True, turned=False)),
    "smplr_joints": Row("- joints alone", "3D", smplr("joints alone", False)),
    "smplr_joints_unturned": Row(
        "- joints alone, not turned to its points", "3D", smplr("joints alone, not turned", False, turned=False)
    ),
}
