"""Batches of synthetic people with keypoints and masks but no pictures, thousands of people a second on one core.

They are the people of :mod:`meshrec.synthetic.people` under the detector of
:mod:`meshrec.synthetic.simulated_detector`, with these shortcuts: boxes are those of the landmarks instead of the skin,
capsules hide landmarks instead of the mesh, masks show a coarse body (in clothes), and random numbers are drawn for a
whole batch at once.
"""

from dataclasses import replace

import torch

from meshrec.body import joint_set
from meshrec.body.coarse import coarse_body
from meshrec.body.kinematics import global_rotations
from meshrec.data.centred import centred
from meshrec.data.proxies import Proxies
from meshrec.data.sample import Batch
from meshrec.data.streams import BatchStream
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.torch_backend import TorchLandmarks
from meshrec.synthetic.batches import labels
from meshrec.synthetic.detector_noise import (
    DetectorNoise,
    detected,
    detected_masks,
    detector_offsets,
    known_landmarks,
)
from meshrec.synthetic.loose_clothes import ClothesMix, Tailor, draw_clothes
from meshrec.synthetic.occluders import draw_occluders
from meshrec.synthetic.people import SyntheticPeople, to_normalized
from meshrec.synthetic.random_cameras import draw_orientations, draw_views
from meshrec.synthetic.random_poses import draw_poses
from meshrec.synthetic.random_shapes import draw_shapes
from meshrec.synthetic.visibility import behind_limbs, inside_photo, outside_photo

JOINTS = "union55"  # joint set of the labels; it has every detector's landmarks
CROP = 2  # side in pixels of crops without masks; any will do, because detectors err in shares of the person's size


class SyntheticKeypoints:
    """An endless data set in which batch i of a seed is always the same.

    Args:
        source: The data set whose seed, body, poses, cameras and shapes are used; its resolution is that of the masks.
        detected_joints: Joint set of the detector.
        noise: Errors of the detector; by default those measured on MediaPipe.
        silhouettes: Whether the detector reports masks. People and keypoints are the same with and without.
        masks: Whether the labels have the true masks of the bodies, without clothes.
        clothes: Clothes in the masks that the detector reports; by default none.
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
        """Make people with all labels, and simulate a detector that sees them; both are centred.

        Args:
            count: Number of people.
            number: Number of the batch. Equal arguments give equal batches.
            process: Rank of the training process; the batches of different ranks differ.
        """
        source = self.source
        size = CROP if self._tailor is None else source.resolution

        def stream(purpose: str) -> BatchStream:
            return BatchStream(count, (source.seed, number, process), purpose)

        view = stream("view")
        pose, _ = draw_poses(stream("pose"), source.pose_sources, source.poses)
        pose[:, 0] = draw_orientations(view, source.views) @ pose[:, 0]
        betas, _ = draw_shapes(stream("shape"), source.heaviness, source.shapes)
        points = self._landmarks(pose, betas)
        seen = points[:, self._seen]
        known = known_landmarks(stream("landmarks"), self.detected_joints, self.noise.fewer)
        if self.noise.scale:  # detectors with fewer landmarks are assumed to see them where the body has them
            offsets = detector_offsets(self.detected_joints, global_rotations(pose, source.body.tree))
            seen = seen + offsets * known.all(1)[:, None, None]

        views = draw_views(torch.cat([points, seen], dim=1), view, size, source.views)
        points, seen = points + views.translation[:, None], seen + views.translation[:, None]
        pixels = views.camera.project(seen)[..., :2]
        hidden = behind_limbs(seen, points)
        things = draw_occluders(stream("occluder"), views.box, source.views.occluded)
        hidden |= things.cover(*pixels.unbind(-1)) | outside_photo(views.photo, pixels)
        side = (views.box[:, 2:] - views.box[:, :2]).amax(1)
        keypoints = detected(pixels, hidden, side, self.detected_joints, stream("detector"), self.noise)
        known &= ~outside_photo(views.photo, keypoints[..., :2])
        confidence = keypoints[..., 2:] * known[..., None]
        keypoints = torch.cat([to_normalized(keypoints[..., :2], size), confidence], dim=-1)

        names = (f"synthetic keypoints {source.seed} batch {number} process {process}",) * count
        batch = labels(points, pose, betas, views.camera, source.body.hash, JOINTS, names)
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
