"""Synthetic people as keypoints, and masks where they are wanted, so cheaply that one core makes thousands a second.

They are those of :mod:`meshrec.synthetic.people` and :mod:`meshrec.synthetic.proxy` with these differences:
boxes are of their landmarks, not of their skin; what hides a landmark is a body made of capsules; the body of masks is
a coarse one, in clothes; and random numbers are drawn for a batch at a time.
"""

from dataclasses import replace

import torch
from torch import Tensor

from meshrec.body import joint_set
from meshrec.body.coarse import coarse_body
from meshrec.body.kinematics import global_rotations
from meshrec.data.centred import centred
from meshrec.data.proxies import Proxies
from meshrec.data.sample import Batch
from meshrec.data.streams import BatchStream
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.synthetic.cameras import draw_orientations, draw_views
from meshrec.synthetic.detector_noise import DetectorNoise, detected, detector_offsets, known_landmarks
from meshrec.synthetic.labels import labels
from meshrec.synthetic.loose_clothes import ClothesMix, Tailor, draw_clothes
from meshrec.synthetic.occluders import draw_occluders, inside_photo
from meshrec.synthetic.people import SyntheticPeople, draw_shapes, to_normalized
from meshrec.synthetic.poses import draw_poses
from meshrec.synthetic.proxy import HIDDEN_DEPTH, beyond, detected_masks

JOINTS = "union55"  # of the labels; every detector's landmarks are among them
CROP = 2  # pixels a side where nothing is drawn: detectors err in shares of the person's size

# Radii in metres of capsules between joints, chosen to hide what renders show to be hidden.
CAPSULES = {
    ("neck", "head_top"): 0.065,
    ("pelvis", "neck"): 0.085,
    ("left_hip", "left_shoulder"): 0.085,
    ("left_shoulder", "left_elbow"): 0.05,
    ("left_elbow", "left_wrist"): 0.04,
    ("left_wrist", "left_index"): 0.035,
    ("left_hip", "left_knee"): 0.1,
    ("left_knee", "left_ankle"): 0.047,
    ("left_ankle", "left_big_toe"): 0.04,
}


class SyntheticKeypoints:
    """An endless data set in batches: batch i of a seed is always the same one.

    Args:
        source: Its seed, body, poses, views and shapes; its resolution is that of masks.
        detected_joints: What the detector sees.
        noise: How it errs; default as measured.
        silhouettes: Whether its masks are wanted too. The people and their keypoints are the same with and without.
        masks: Whether the true masks, of bodies without clothes, are wanted among the labels.
        clothes: What people wear in the masks that the detector sees; default nothing.
    """

    def __init__(
        self,
        source: SyntheticPeople,
        detected_joints: str = "mediapipe33",
        noise: DetectorNoise | None = None,
        silhouettes: bool = False,
        masks: bool = False,
        clothes: ClothesMix | None = None,
    ) -> None:
        self.source, self.detected_joints, self.noise = source, detected_joints, noise or DetectorNoise()
        self.silhouettes, self.masks, self.clothes = silhouettes, masks, clothes
        self._tailor = Tailor(coarse_body(source.body)) if silhouettes or masks else None
        self._landmarks = TorchLandmarks(LandmarkMoments.of_body(source.body, JOINTS))
        names = joint_set(JOINTS)
        self._seen = [names.index(name) for name in joint_set(detected_joints)]

    @torch.no_grad()
    def batch(self, count: int, number: int, process: int = 0) -> tuple[Batch, Proxies]:
        """What is true of some people, and what a detector would say of them, centred, without pictures.

        Args:
            count: How many people.
            number: Of the batch; the same one is the same in every run.
            process: Which of several processes wants it; each has batches of its own.
        """
        source = self.source
        size = CROP if self._tailor is None else source.resolution

        def stream(purpose: str) -> BatchStream:
            return BatchStream(count, (source.seed, number, process), purpose)

        view = stream("view")
        pose, _ = draw_poses(stream("pose"), source.bank, source.authored, source.everyday, source.poses)
        pose[:, 0] = draw_orientations(view, source.views) @ pose[:, 0]
        betas, _ = draw_shapes(stream("shape"), source.heaviness, source.shapes)
        points = self._landmarks(pose, betas)
        seen = points[:, self._seen]
        known = known_landmarks(stream("landmarks"), self.detected_joints, self.noise.fewer)
        if self.noise.scale:  # other detectors' landmarks are taken to lie where the body's do
            offsets = detector_offsets(self.detected_joints, global_rotations(pose, source.body.tree))
            seen = seen + offsets * known.all(1)[:, None, None]

        views = draw_views(torch.cat([points, seen], dim=1), view, size, source.views)
        points, seen = points + views.translation[:, None], seen + views.translation[:, None]
        pixels = views.camera.project(seen)[..., :2]
        hidden = behind_limbs(seen, points)
        things = draw_occluders(stream("occluder"), views.box, source.views.occluded)
        hidden |= things.cover(*pixels.unbind(-1)) | beyond(views.photo, pixels)
        side = (views.box[:, 2:] - views.box[:, :2]).amax(1)
        keypoints = detected(pixels, hidden, side, self.detected_joints, stream("detector"), self.noise)
        known &= ~beyond(views.photo, keypoints[..., :2])
        confidence = keypoints[..., 2:] * known[..., None]
        keypoints = torch.cat([to_normalized(keypoints[..., :2], size), confidence], dim=-1)

        names = (f"synthetic keypoints {source.seed} batch {number} process {process}",) * count
        batch = keypoint_labels(points, pose, betas, views.camera, source.body.hash, names)
        silhouette = nothing = torch.empty(0)
        if self._tailor is not None:
            inside = inside_photo(views.photo, views.camera.size)
            shown = ~things.pictures(views.camera.size) & inside
            vertices = self._tailor.body(betas, pose[:, 1:], pose[:, 0], views.translation).vertices
            if self.silhouettes:
                clothes = None if self.clothes is None else draw_clothes(stream("clothes"), self.clothes)
                exact = self._tailor.mask(vertices, views.camera, clothes) & shown
                silhouette = detected_masks(exact, inside, stream("mask"), self.noise.mask)[:, None].float()
            if self.masks:
                mask = 255 * (self._tailor.mask(vertices, views.camera) & shown).to(torch.uint8)
                batch = replace(batch, mask=mask, mask_confidence=torch.ones_like(batch.mask_confidence))
        return centred(batch, Proxies(keypoints, silhouette, nothing, hidden))


def keypoint_labels(
    points: Tensor, pose: Tensor, betas: Tensor, camera: Camera, body: str, names: tuple[str, ...]
) -> Batch:
    """A batch without pictures and masks.

    Args:
        points: (B, 55, 3) those of ``union55``, camera space, metres.
        pose: (B, 24, 3, 3) local rotations, the first in camera space.
        betas: (B, S).
        camera: Of the crops.
        body: Hash of the body that the betas belong to.
        names: Of the people.
    """
    return replace(labels(points, pose, betas, camera, body, JOINTS, names), mask=torch.empty(0))


def behind_limbs(points: Tensor, joints: Tensor) -> Tensor:
    """Which points a body made of capsules hides from the camera.

    Args:
        points: (B, K, 3) metres, camera space.
        joints: (B, 55, 3) those of ``union55`` of the same people.

    Returns:
        (B, K) bool.
    """
    names = joint_set(JOINTS)
    ends = [(a, b, r) for (a, b), r in CAPSULES.items()]
    ends += [(a.replace("left", "right"), b.replace("left", "right"), r) for a, b, r in ends if "left" in a]
    start = joints[:, None, [names.index(a) for a, _, _ in ends]]
    along = joints[:, None, [names.index(b) for _, b, _ in ends]] - start
    radius = joints.new_tensor([r for _, _, r in ends])
    ray = torch.nn.functional.normalize(points, dim=-1)[:, :, None]
    start = start - points[:, :, None]
    # Along the ray, and across it: the capsule's axis passes the ray nearest where their parts across are nearest.
    start_depth, depth_change = (start * ray).sum(-1), (along * ray).sum(-1)
    start_across, across_change = start - start_depth[..., None] * ray, along - depth_change[..., None] * ray
    nearest = -(start_across * across_change).sum(-1) / across_change.square().sum(-1).clamp(min=1e-9)
    nearest = nearest.clamp(0, 1)
    distance = (start_across + nearest[..., None] * across_change).square().sum(-1)
    inside = (radius**2 - distance).clamp(min=0).sqrt()
    front = start_depth + nearest * depth_change - inside
    return ((inside > 0) & (front < -HIDDEN_DEPTH)).any(-1)
