"""What training minimises: named losses of a network's output, and their weights.

Batches are centred: the camera looks at the crop's middle, so that the principal point is 0. Every loss is a mean over
the batch, so that two halves of a batch on two machines have the same gradient as the whole on one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial

import torch
from torch import Tensor

from meshrec.body import NUM_BETAS, BodyModel, joint_set
from meshrec.body.joints import LIMB_JOINTS
from meshrec.body.topology import edges
from meshrec.data.sample import Batch
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.models.estimate import Estimate
from meshrec.models.output import MeshEstimate, NetworkOutput
from meshrec.training.losses import (
    absolute,
    aligned_joint_loss,
    betas_loss,
    edge_loss,
    geman_mcclure,
    joint_loss,
    length,
    ordinal_depth_loss,
    ordinal_relations,
    reprojection_loss,
    rotation_loss,
    silhouette_loss,
    vertex_loss,
)

SOFTNESS = 1e-5  # of soft silhouettes, SoftRas' sigma


@dataclass(frozen=True)
class Weights:
    """The weight of each loss; a loss of weight 0 is not computed. The defaults are those of the keypoint network.

    Attributes:
        joints: The body's own 24 joints: metres from the root, absolute differences.
        landmarks: Likewise all other points of the labels' joint set: face, hands, feet, middles.
        limbs: Likewise the twelve joints of arms and legs by which methods are measured, once more.
        aligned: These twelve after Procrustes alignment, metres: the reconstruction error itself.
        ordinal: Which of two of these twelve joints is nearer to the camera, for all pairs; of the 3D labels nothing
            but this order counts (Pavlakos et al. 2018). Depths within 10 cm count as equal.
        keypoints_2d: All points in the picture, in halves of the crop.
        robust_2d: Halves of the crop from which such a difference counts ever less (Geman & McClure 1987), for labels
            that may be wrong; at 0 absolute differences count.
        rotations: Squared differences of rotation matrices.
        betas: Squared differences of shape coefficients.
        shape: Root mean square distances between the vertices of the rest-pose bodies of the betas, metres.
        vertices: Vertices of the regressed mesh, or of the posed body if the network regresses no mesh, metres.
        edges: Lengths of the regressed mesh's edges, metres.
        mesh_joints: Joints of the regressed mesh, metres from the root.
        mesh_keypoints_2d: Points of the regressed mesh in the picture.
        silhouette: One minus the overlap of the mask with the drawn mesh or posed body.
        realism: Adversarial loss: how far the critic is from judging poses and shapes to be real.
        iterations: Weight of each iteration of an iterative network; a network with fewer iterations takes the last
            of these weights.
    """

    joints: float = 10.0
    landmarks: float = 5.0
    limbs: float = 5.0
    aligned: float = 0.0
    ordinal: float = 0.0
    keypoints_2d: float = 3.0
    robust_2d: float = 0.0
    rotations: float = 0.5
    betas: float = 0.02
    shape: float = 0.0
    vertices: float = 0.0
    edges: float = 0.0
    mesh_joints: float = 0.0
    mesh_keypoints_2d: float = 0.0
    silhouette: float = 0.0
    realism: float = 0.0
    iterations: tuple[float, ...] = (0.2, 0.3, 0.5, 1.0)

    def want(self, *names: str) -> bool:
        """Whether any of these losses counts."""
        return any(getattr(self, name) > 0 for name in names)

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """() the weighted sum of losses by name."""
        return torch.stack([getattr(self, name) * loss for name, loss in losses.items()]).sum()


class Objective:
    """All losses of a training: ``losses = objective(network(inputs), batch, inputs.focal)``.

    Args:
        body: Body model whose parameters and mesh the network predicts; losses are computed on its device.
        weights: Weights of the losses; losses of weight 0 are not computed.
        joints: Name of the joint set of the labels.
        renderer: Backend of :mod:`meshrec.render` that draws silhouettes; None chooses by device.
        num_betas: Number of shape coefficients S that the network predicts.
    """

    def __init__(
        self,
        body: BodyModel,
        weights: Weights = Weights(),
        joints: str = "union55",
        renderer: str | None = None,
        num_betas: int = NUM_BETAS,
    ) -> None:
        self.body, self.weights, self.renderer = body, weights, renderer
        landmarks = LandmarkMoments.of_body(body, joints, num_betas=num_betas)
        self.landmarks = TorchLandmarks(landmarks).to(body.v_template.device)
        self.reach = vertex_reach(body, num_betas).to(body.v_template.device)
        self.edges = torch.from_numpy(edges(body.data.faces)).long().to(body.v_template.device)

    def __call__(self, output: NetworkOutput, batch: Batch, focal: Tensor) -> dict[str, Tensor]:
        """Losses by name; :meth:`Weights.total` adds them up.

        Args:
            output: the network's output.
            batch: the truth.
            focal: (B,) focal lengths over half the crop's side, as the network saw them.
        """
        weights, final, mesh = self.weights, output.final, output.mesh
        losses = body_losses(output.estimates, batch, focal, self.landmarks, self.reach, self.body.hash, weights)
        if mesh is not None:
            losses |= mesh_losses(mesh, batch, focal, self.body, self.edges, weights)
        if not weights.want("vertices", "silhouette"):
            return losses
        vertices = posed(final, self.body) if mesh is None else mesh.vertices
        if weights.want("vertices") and mesh is None:
            losses["vertices"] = vertex_loss(vertices, *true_vertices(batch, self.body))
        if weights.want("silhouette"):
            losses["silhouette"] = drawn_loss(vertices, final.camera, batch, focal, self.body, self.renderer)
        return losses


def body_losses(
    estimates: Sequence[Estimate],
    batch: Batch,
    focal: Tensor | None,
    landmarks: TorchLandmarks,
    reach: Tensor,
    body_hash: str,
    weights: Weights,
) -> dict[str, Tensor]:
    """Losses of body parameters, each a weighted sum over iterations. No mesh is posed.

    Args:
        estimates: Estimates of all iterations; the last one is the result.
        batch: Labels of B people.
        focal: (B,) focal lengths over half the crop's side, as the network saw them; None is weak perspective.
        landmarks: Landmarks of the batch's joint set.
        reach: (S, S) matrix of :func:`vertex_reach`.
        body_hash: Hash of the landmarks' body model. Labelled betas of other body models are not compared.
        weights: Weights of the losses and of the iterations.
    """
    counting = [(e, share) for e, share in zip(estimates, weights.iterations[-len(estimates) :]) if share > 0]
    estimates, steps = [e for e, _ in counting], len(counting)
    shares = batch.betas.new_tensor([share for _, share in counting])
    # Iterations stand one after the other, as if they were more samples, so that each loss is computed once for all.
    result = Estimate(*(torch.cat([getattr(e, f.name) for e in estimates]) for f in fields(Estimate)))

    def each(labels: Tensor) -> Tensor:
        return labels.expand(steps, *labels.shape).flatten(0, 1)

    def sure(confidence: Tensor) -> Tensor:
        # Losses are means over iterations too; multiplied by the number of iterations, they are sums over them.
        return (steps * shares.view(-1, *[1] * confidence.dim()) * confidence).flatten(0, 1)

    losses = {}
    if weights.want("joints", "landmarks", "limbs", "aligned", "ordinal", "keypoints_2d"):
        points = landmarks(result.rotations, result.betas)
        target, confidence = each(batch.joints_3d[..., :3]), sure(batch.joints_3d[..., 3])
        for name, which in joint_groups(batch.joint_set).items():
            if weights.want(name):
                losses[name] = joint_loss(points, target, confidence, batch.joint_set, which=which)
        if weights.want("aligned"):
            limbs = joint_groups(batch.joint_set)["limbs"]
            losses["aligned"] = aligned_joint_loss(points[:, limbs], target[:, limbs], confidence[:, limbs])
        if weights.want("ordinal"):
            limbs = joint_groups(batch.joint_set)["limbs"]
            relations, pairs = ordinal_relations(batch.joints_3d[:, limbs, 2], batch.joints_3d[:, limbs, 3])
            losses["ordinal"] = ordinal_depth_loss(points[:, limbs, 2], each(relations), sure(pairs))
        if weights.want("keypoints_2d"):
            seen = result.project(points, None if focal is None else focal.repeat(steps))
            target, confidence = each(batch.keypoints_2d[..., :2]), sure(batch.keypoints_2d[..., 2])
            robust = partial(geman_mcclure, scale=weights.robust_2d) if weights.robust_2d else absolute
            losses["keypoints_2d"] = reprojection_loss(seen, target, confidence, robust)
    if weights.want("rotations"):
        losses["rotations"] = rotation_loss(result.rotations, each(batch.pose), sure(batch.pose_confidence))
    if weights.want("betas", "shape"):
        target, confidence = each(batch.betas[:, : result.betas.shape[1]]), sure(batch.betas_confidence_for(body_hash))
        if weights.want("betas"):
            losses["betas"] = betas_loss(result.betas, target, confidence)
        if weights.want("shape"):
            losses["shape"] = betas_loss(result.betas @ reach, target @ reach, confidence, length)
    return losses


def mesh_losses(
    mesh: MeshEstimate, batch: Batch, focal: Tensor | None, body: BodyModel, edges: Tensor, weights: Weights
) -> dict[str, Tensor]:
    """Losses of a regressed mesh, except that of its silhouette.

    Args:
        mesh: Regressed mesh with the body model's topology.
        batch, focal, weights: As for :func:`body_losses`.
        body: Body model that gives the true mesh, where pose and shape are known, and regresses joints from meshes.
        edges: (E, 2) vertex indices of the mesh's edges.
    """
    losses = {}
    if weights.want("vertices", "edges"):
        target, confidence = true_vertices(batch, body)
        if weights.want("vertices"):
            losses["vertices"] = vertex_loss(mesh.vertices, target, confidence)
        if weights.want("edges"):
            losses["edges"] = edge_loss(mesh.vertices, target, confidence, edges)
    if weights.want("mesh_joints", "mesh_keypoints_2d"):
        points = body.joints_from(mesh.vertices, batch.joint_set)
        if weights.want("mesh_joints"):
            target, confidence = batch.joints_3d.tensor_split([3], dim=2)
            losses["mesh_joints"] = joint_loss(points, target, confidence.squeeze(2), batch.joint_set)
        if weights.want("mesh_keypoints_2d"):
            target, confidence = batch.keypoints_2d.tensor_split([2], dim=2)
            seen = Estimate(batch.pose, batch.betas, mesh.camera).project(points, focal)
            losses["mesh_keypoints_2d"] = reprojection_loss(seen, target, confidence.squeeze(2))
    return losses


def drawn_loss(
    vertices: Tensor, camera: Tensor, batch: Batch, focal: Tensor, body: BodyModel, renderer: str | None
) -> Tensor:
    """The silhouette's loss, drawn at the mask's resolution.

    Args:
        vertices: (B, V, 3) vertices before translation, metres.
        camera: (B, 3) weak-perspective cameras s, tx, ty, see :class:`meshrec.models.estimate.Estimate`.
        batch: Labels of B people.
        focal: (B,) focal lengths over half the crop's side.
        body: Body model with the faces of the mesh.
        renderer: A backend of :mod:`meshrec.render`; None chooses by device.
    """
    side = batch.mask.shape[-1]
    translation = Estimate(batch.pose, batch.betas, camera).translation(focal)
    drawn_by = Camera((focal * side / 2)[:, None].expand(-1, 2), size=(side, side))
    placed, mask = vertices + translation[:, None], batch.mask / 255
    soft = SOFTNESS if renderer == "pytorch3d" else None  # it does not draw outlines
    return silhouette_loss(placed, body.faces, drawn_by, mask, batch.mask_confidence, soft=soft, backend=renderer)


def vertex_reach(body: BodyModel, num_betas: int) -> Tensor:
    """Matrix that turns differences of betas into vectors as long as the RMS displacement of the rest-pose vertices.

    Args:
        body: Body model.
        num_betas: Number of shape coefficients S.

    Returns:
        (S, S) matrix R: the length of ``betas @ R`` is the displacement in metres.
    """
    directions = torch.from_numpy(body.data.with_betas(num_betas).shapedirs).double().flatten(0, 1)
    return torch.linalg.cholesky(directions.mT @ directions / len(body.data.v_template)).float()


def true_vertices(batch: Batch, body: BodyModel) -> tuple[Tensor, Tensor]:
    """Vertices (B, V, 3) before translation, metres, and their confidence (B,): pose and shape must both be known."""
    confidence = batch.betas_confidence_for(body.hash) * batch.pose_confidence.amin(1)
    with torch.no_grad():
        return body(batch.betas, batch.pose[:, 1:], batch.pose[:, 0]).vertices, confidence


def posed(estimate: Estimate, body: BodyModel) -> Tensor:
    """Vertices (B, V, 3) of estimated bodies before translation, metres."""
    return body(estimate.betas, estimate.rotations[:, 1:], estimate.rotations[:, 0]).vertices


@cache
def joint_groups(joints: str) -> dict[str, list[int]]:
    """Indices in a joint set of the joints of each 3D loss: the body's own, all others, and those of arms and legs."""
    names = joint_set(joints)
    own = joint_set("smpl24")
    groups = {
        "joints": [i for i, name in enumerate(names) if name in own],
        "landmarks": [i for i, name in enumerate(names) if name not in own],
        "limbs": [i for i, name in enumerate(names) if name in LIMB_JOINTS],
    }
    return {name: which for name, which in groups.items() if which}
