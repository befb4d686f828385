"""People and a small network for the tests of evaluation."""

import torch

from meshrec.body import BodyModel
from meshrec.evaluation import synthetic_set
from meshrec.evaluation.subjects import Subject, assumed_camera, load_subjects
from meshrec.models.build import build_network

KEYPOINTS = {"inputs": ["keypoints"], "joints": "mediapipe33", "width": 32, "blocks": 1}
RGB = {"inputs": ["rgb"], "resnet": 18, "resolution": 64}


def synthetic_people(body: BodyModel) -> list[Subject]:
    """Two people of each of three groups of the synthetic benchmark, with simulated detections."""
    return load_subjects(synthetic_set(body), [0, 1, 1000, 1001, 1350, 1351], None, assumed_camera, looks=False)


def tiny_network(body: BodyModel, encoder: dict, **settings) -> torch.nn.Module:
    """A small iterative network whose estimate is not the mean body, so that nothing is symmetric by chance."""
    torch.manual_seed(0)
    network = build_network("iterative", {"encoder": encoder, "width": 32, **settings}, body).eval()
    with torch.no_grad():
        network.update.bias.normal_(std=0.1)
    return network
