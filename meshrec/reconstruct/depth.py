"""People from a depth map: candidates are found, landmarks estimated, and a body is fitted to landmarks and map."""

from __future__ import annotations

import math
from copy import copy

import numpy as np
import torch

from meshrec.body import BodyModel
from meshrec.body.joints import joint_set
from meshrec.detect.depth_people import DepthFindings, DepthSearch, find_candidates
from meshrec.errors import InputError
from meshrec.fit.depth import DepthFit, DepthFitter, DepthSettings, DepthView
from meshrec.fit.result import joint_deviations, shape_covariances
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.models.voxel_to_voxel import VoxelToVoxel, load_voxel_network
from meshrec.reconstruct.person import Person
from meshrec.regress.depth_landmarks import DepthLandmarks, estimate_landmarks, likeliest, refined

REACH = 1.7  # metres from the middle of a person within which points of the map may be the person's
MADE_BY = "voxels + depth fit"
UNSURE = 0.1  # metres; spread of heatmaps that lowers a score by the factor 1 / e


class DepthReconstructor:
    """Turns depth maps into people. Keep it for several maps.

    Args:
        body: The body, on the CPU or a GPU; the fit runs on the CPU.
        body_name: Name or path by which :func:`meshrec.load_body` found it.
        network: The network for landmarks. Default: the shipped one.
        settings: The constants of the fit.
        search: The constants of the search for people.

    Raises:
        InputError: The body lacks a landmark that the network estimates.
    """

    def __init__(
        self,
        body: BodyModel,
        body_name: str = "neutral",
        network: VoxelToVoxel | None = None,
        settings: DepthSettings = DepthSettings(),
        search: DepthSearch = DepthSearch(),
    ) -> None:
        self.body, self.body_name, self.search = body, body_name, search
        self.network = load_voxel_network() if network is None else network
        own = body if body.v_template.device.type == "cpu" else copy(body).cpu()
        self.fitter = DepthFitter(own, self.network.config.landmarks, settings)
        self.skeleton = LandmarkMoments.of_body(own, "smpl24")

    def __call__(
        self, depth: np.ndarray, camera: Camera, boxes: np.ndarray | None = None, name: object = "depth map"
    ) -> list[Person]:
        """Reconstruct the person in a depth map, or the one in each box.

        Args:
            depth: (H, W) float32 metres, 0 where nothing was measured.
            camera: The map's camera.
            boxes: (N, 4) x0, y0, x1, y1 in pixels of the map, one person in each. Default: one person is searched for
                in the whole map.
            name: What messages call the map.

        Returns:
            People in camera space, in the order of the boxes; those of boxes that show nobody are left out.

        Raises:
            InputError: Nobody is found in a map without boxes.
        """
        if boxes is not None:
            return [person for box in boxes if (person := self._person(depth, camera, box)) is not None]
        found = self._person(depth, camera, None)
        if found is None:
            raise InputError(
                f"{name}: nobody is found in this depth map; tell with --boxes where the person is, and check the unit."
            )
        return [found]

    def landmarks(self, depth: np.ndarray, camera: Camera, found: DepthFindings) -> DepthLandmarks | None:
        """The landmarks of the likeliest person among what was found in a map; None if there is nobody."""
        if not found.candidates:
            return None
        best = likeliest(estimate_landmarks(self.network, depth, camera, found.candidates))
        return refined(self.network, depth, camera, best)

    def fit(self, depth: np.ndarray, camera: Camera, found: DepthFindings, seen: DepthLandmarks) -> DepthFit:
        """The body of a person with these landmarks."""
        near = np.linalg.norm(found.points - seen.places.mean(0), axis=1) < REACH
        return self.fitter(seen.places, seen.deviations, DepthView(depth, camera, found.points[near]))

    def _person(self, depth: np.ndarray, camera: Camera, box: np.ndarray | None) -> Person | None:
        """The person in a map or box."""
        found = find_candidates(depth, camera, box, self.search)
        seen = self.landmarks(depth, camera, found)
        if seen is None:
            return None
        fit = self.fit(depth, camera, found, seen)
        state = fit.state
        sure = math.exp(-float(np.median(seen.deviations)) / UNSURE)
        return Person(
            self.body,
            betas=state.betas[0].float().numpy(),
            rotations=state.rotations[0].float().numpy(),
            translation=state.translation[0].float().numpy(),
            camera=camera,
            box=seen.candidate.box,
            score=sure * fit.explained,
            keypoints_2d=_on_map(seen, camera)[fit.way],
            keypoint_names=joint_set(seen.joint_set),
            joint_deviation=joint_deviations(self.skeleton, state, fit.final)[0].float().numpy(),
            shape_covariance=shape_covariances(fit.final)[0].float().numpy(),
            body_name=self.body_name,
            made_by=MADE_BY,
        )


def depth_camera(depth: np.ndarray, focal: float | None, camera: Camera | None, name: object) -> Camera:
    """The camera of a depth map (H, W).

    Raises:
        InputError: There is neither a focal length nor a camera, or they do not fit the map.
    """
    size = (depth.shape[1], depth.shape[0])
    if camera is not None:
        if focal is not None:
            raise InputError("give a focal length or a camera, not both.")
        if camera.size != size:
            raise InputError(
                f"{name}: the map has {size[0]} x {size[1]} pixels, its camera {camera.size[0]} x {camera.size[1]}."
            )
        return camera
    if focal is None:
        raise InputError(
            f"{name}: a depth map needs the focal length of its camera in pixels: --focal, such as 580 for 640 x 480 "
            "pixels of a Kinect."
        )
    if not (math.isfinite(focal) and 0.2 * max(size) < focal < 10 * max(size)):
        raise InputError(f"{name}: a focal length of {focal:g} pixels does not fit a map {size[0]} pixels wide.")
    return Camera(float(focal), size=size)


def _on_map(seen: DepthLandmarks, camera: Camera) -> np.ndarray:
    """Landmarks (K, 3) as x, y in pixels and confidence."""
    screen = camera.project(torch.from_numpy(seen.places)).numpy()
    confidence = np.exp(-seen.deviations / UNSURE)
    return np.concatenate([screen[:, :2], confidence[:, None]], axis=1).astype(np.float32)
