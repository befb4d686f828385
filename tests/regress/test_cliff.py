"""CLIFF as a regressor of photos, with random weights."""

import numpy as np
import pytest
import torch

import meshrec
from meshrec import Camera, load_body
from meshrec.evaluation import evaluate
from meshrec.models.build import build_network
from meshrec.models.checkpoints import save_checkpoint
from meshrec.regress import FullFrameRegressor, load_regressor

SIZE = (320, 240)
CAMERA = Camera(400.0, size=SIZE)
PHOTO = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
SETTINGS = {
    "resnet": {"encoder": {"resnet": 18, "resnet_width": 8, "resolution": 256}, "width": 32},
    "hrnet": {
        "hrnet": {
            "width": 4,
            "stem": 8,
            "stem_blocks": 1,
            "modules": [1, 1, 1],
            "blocks": 1,
            "head": 4,
            "features": 32,
        },
        "width": 32,
    },
}


@pytest.fixture(scope="module", params=SETTINGS)
def file(request, tmp_path_factory):
    torch.manual_seed(0)
    network = build_network("cliff", SETTINGS[request.param])
    network.init_cam = torch.tensor([[0.9, 0.1, -0.2]])
    path = tmp_path_factory.mktemp("cliff") / f"{request.param}.safetensors"
    return save_checkpoint(path, network, load_body("neutral").hash)


@pytest.fixture
def keypoints() -> np.ndarray:
    """COCO keypoints (1, 17, 3) of somebody small and upright."""
    generator = np.random.default_rng(1)
    place = np.column_stack([generator.uniform(120, 180, 17), np.linspace(60, 200, 17), np.ones(17)])
    return place[None].astype(np.float32)


def test_the_body_is_where_its_camera_in_the_crop_says(file, keypoints):
    regressor = load_regressor(file)
    assert isinstance(regressor, FullFrameRegressor) and regressor.sees_pictures
    network = regressor.network
    for layer in (network.decpose, network.decshape, network.deccam):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    (person,) = meshrec.Reconstructor(regressor=regressor, refine=False)(PHOTO, keypoints=keypoints, camera=CAMERA)
    width, height = person.box[2:] - person.box[:2]
    side = 1.1 * max(4 / 3 * width, height)
    (point,) = CAMERA.project(torch.from_numpy(person.translation)[None]).numpy()
    # The weak-perspective camera of the crop takes the body's origin to s (tx, ty), in half sides of the crop.
    middle = (person.box[:2] + person.box[2:]) / 2
    assert point[:2] == pytest.approx(middle + side / 2 * 0.9 * np.array([0.1, -0.2]), abs=1e-3)
    assert person.translation[2] == pytest.approx(2 * 400 / (0.9 * side), rel=1e-6)


@pytest.mark.parametrize("refine", [False, True])
def test_photos_and_clips(file, keypoints, refine):
    reconstructor = meshrec.Reconstructor(regressor=file, refine=refine)
    (person,) = reconstructor(PHOTO, keypoints=keypoints, camera=CAMERA)
    assert np.isfinite(person.vertices).all() and person.made_by.startswith(file.stem)
    if refine:
        return
    (track,) = reconstructor.clip([PHOTO] * 2, fps=25, keypoints=[keypoints] * 2, static_camera=True)
    assert len(track) == 2


def test_the_place_of_the_crop_matters(file, keypoints):
    aside = keypoints + np.float32([100, 0, 0])
    reconstructor = meshrec.Reconstructor(regressor=file, refine=False)
    black = np.zeros_like(PHOTO)  # so that both people look the same
    first, second = reconstructor(black, keypoints=np.concatenate([keypoints, aside]), camera=CAMERA)
    assert np.abs(first.pose - second.pose).max() > 1e-5


def test_evaluation(file):
    report = evaluate(file, "synthetic", limit=2)
    assert np.isfinite(report.people["pa_mpjpe"]).all()
