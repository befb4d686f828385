"""The networks and what stands around them give what MediaPipe 0.10.21's PoseLandmarker gives.

``mediapipe.npz`` holds its answers with the landmark network ``full`` for 35 photos, shrunk to 1,280 pixels: up to four
people each, least confidences of 0.5 for the person detector and 0.1 for the landmark network. Of masks it holds means
over 64 x 64 cells.
"""

import cv2
import numpy as np
import pytest
from helpers.paths import ROOT, SHARED, STORED

from meshrec.detect.blazepose import PoseNetwork, load_networks, region_around
from meshrec.files import read_photo

MEDIAPIPE = dict(np.load(STORED / "mediapipe.npz"))


@pytest.fixture(scope="module")
def network():
    networks = load_networks()
    return PoseNetwork(networks.persons, networks.search, most=4, confidence=0.5, presence=0.1, masks=True)


def read(name: str) -> np.ndarray:
    path = (SHARED.parent if name.startswith("shared/") else ROOT) / name
    if not path.is_file():
        pytest.skip("needs ../shared")
    image = read_photo(path).image
    scale = max(1, max(image.shape[:2]) / 1280)
    size = round(image.shape[1] / scale), round(image.shape[0] / scale)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale > 1 else image


@pytest.mark.parametrize("photo", range(len(MEDIAPIPE["names"])), ids=lambda i: str(MEDIAPIPE["names"][i]))
def test_poses_are_those_of_mediapipe(network, photo):
    found = network(read(str(MEDIAPIPE["names"][photo])))
    stored = np.flatnonzero(MEDIAPIPE["photo"] == photo)
    assert len(found) == len(stored)
    for row, pose in zip(stored, found):  # most certain first in both
        keypoints, world, mask = (MEDIAPIPE[name][row] for name in ("keypoints", "world", "mask"))
        extent = np.ptp(keypoints[:, :2], axis=0).max()
        assert np.abs(pose.keypoints[:, :2] - keypoints[:, :2]).max() < 1e-3 * extent
        assert np.abs(pose.keypoints[:, 2] - keypoints[:, 2]).max() < 5e-3
        assert np.abs(pose.world - world).max() < 3e-3  # metres
        coarse = cv2.resize(pose.mask, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.abs(255 * coarse - mask).mean() < 0.5  # grey levels; thin edges differ by more


def test_a_region_stands_its_person_upright():
    """Head up, to the right, down and to the left of the hips: the region turns with the person."""
    hips = np.array([50.0, 60.0])
    for above, turn in (((0, -10), 0), ((10, 0), np.pi / 2), ((-10, 0), -np.pi / 2), ((0, 10), np.pi)):
        region = region_around(hips, hips + above)
        assert region.side == pytest.approx(25) and np.cos(region.turn - turn) == pytest.approx(1)
        # The crop's upward direction is the person's.
        up = region.matrix(100)[:, :2] @ [0, -1]
        assert np.allclose(up / np.linalg.norm(up), np.array(above) / 10)
