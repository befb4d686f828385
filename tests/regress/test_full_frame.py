"""Published networks in photos: what they see, and where their people stand in the photo's camera."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.hmr2 import SIZES

from meshrec import Reconstructor
from meshrec.body import BodyModel
from meshrec.body.state import TRANSLATION, BodyState
from meshrec.detect import Detection
from meshrec.evaluation import evaluate
from meshrec.geometry import Camera
from meshrec.models.build import build_network
from meshrec.models.checkpoints import save_checkpoint
from meshrec.models.encoders import NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput
from meshrec.reconstruct.watching import needs_picture
from meshrec.regress.full_frame import (
    FAMILIES,
    FullFrame,
    FullFrameRegressor,
    box_information,
    crop,
    full_translation,
    square,
)
from meshrec.regress.weights import load_regressor

CAMERA = Camera(800.0, (300.0, 260.0), (640, 480))
SETTINGS = {
    "encoder": {"resolution": SIZES["resolution"]},
    "vit": {"height": 128, "width": 96, "size": 32, "depth": 1, "heads": 2, "hidden": 32},
    **{"width": 32, "depth": 1, "heads": 2, "attention": 32, "hidden": 32},
}


def test_a_body_lands_where_its_crop_shows_it():
    """In the crop the root lies at s (tx, ty), half crop sides; the photo's camera has to see it at the same pixel."""
    generator = torch.Generator().manual_seed(0)
    cameras = torch.rand(5, 3, generator=generator) * torch.tensor([0.8, 0.4, 0.4]) + torch.tensor([0.5, -0.2, -0.2])
    squares = torch.rand(5, 3, generator=generator) * torch.tensor([600.0, 400.0, 300.0]) + torch.tensor([0, 0, 80.0])
    seen = CAMERA.project(full_translation(cameras, squares, CAMERA))
    expected = squares[:, :2] + squares[:, 2:] / 2 * cameras[:, :1] * cameras[:, 1:]
    assert torch.allclose(seen[:, :2], expected, atol=1e-3)
    # A metre at that distance has the size that s says.
    assert torch.allclose(800 / seen[:, 2], squares[:, 2] / 2 * cameras[:, 0], rtol=1e-5)


def test_estimates_behind_the_camera_are_brought_before_it():
    where = full_translation(torch.tensor([[-1.0, 0, 0], [0.0, 0, 0]]), torch.tensor([[300.0, 260, 100]] * 2), CAMERA)
    assert torch.isfinite(where).all() and (where[:, 2] > 0).all()


@pytest.mark.parametrize(
    ("box", "family", "side"),
    [
        ((0, 0, 90, 200), FullFrame(), 200),
        ((0, 0, 300, 200), FullFrame(), 400),
        ((0, 0, 300, 200), FullFrame(aspect=1.0), 300),
        ((0, 0, 90, 200), FullFrame(margin=1.1), 220),
        ((0, 0, 300, 200), FullFrame(margin=1.1), 440),
        ((5, 5, 5, 5), FullFrame(), 1),
    ],
)
def test_squares(box, family, side):
    x, y, length = square(np.array(box, float), family)
    assert (x, y) == ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) and length == pytest.approx(side)


def test_a_crop_of_a_ramp_is_a_ramp():
    """Values grow by one a pixel, so that each pixel of the crop says where in the photo it lies."""
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)
    for blur in (False, True):
        small = crop(ramp, np.array([99.0, 99.0]), 150.0, 50, blur)[10:40, 10:40, 0]
        assert np.allclose(small, 99.5 + 3 * (np.arange(10, 40) - 25), atol=0.6)


def test_blurring_hides_what_the_crop_cannot_show():
    checks = 255 * (np.indices((400, 400)).sum(0) % 2).astype(np.uint8)[..., None].repeat(3, 2)
    plain, blurred = (crop(checks, np.array([199.0, 199.0]), 380.0, 32, blur)[4:28, 4:28] for blur in (False, True))
    assert blurred.std() < 5 < plain.std()
    outside = crop(checks, np.array([0.0, 0.0]), 380.0, 32, True)
    assert not outside[:14].any() and outside[20:, 20:].all()


def test_box_information():
    squares = torch.tensor([[500.0, 180.0, 200.0]])
    assert box_information(squares, CAMERA, "nothing") is None
    assert torch.allclose(box_information(squares, CAMERA, "place"), torch.tensor([[0.25, -0.1, 0.25]]))
    scaled = box_information(squares, CAMERA, "scaled")
    assert torch.allclose(scaled, torch.tensor([[2.8 * 0.25, -2.8 * 0.1, 0.01 / 0.06]]))


def test_fits_trust_networks_with_smaller_published_errors_more(body):
    spread = []
    for name in ("hmr2", "camera_hmr"):
        regressor = FullFrameRegressor(build_network(name, SETTINGS), body, FAMILIES[name])
        spread.append(1 / float(regressor._whiten[0, 0, 0]))
        assert not regressor._whiten[..., TRANSLATION].any()  # the fit finds the place by itself
    assert spread == pytest.approx([0.3 * 54.5 / 59.2, 0.3 * 38.5 / 59.2])


class Still(Network):
    """A network that says the same of everyone, and remembers what it saw."""

    def __init__(self, camera: tuple[float, float, float]) -> None:
        super().__init__()
        template = build_network("hmr2", SETTINGS)
        self.config, self.encoder = template.config, template.encoder
        self.camera = camera

    def forward(self, inputs: NetworkInput) -> NetworkOutput:
        self.seen, count = inputs, len(inputs.rgb)
        camera = torch.tensor(self.camera).repeat(count, 1)
        return NetworkOutput([Estimate(torch.eye(3).repeat(count, 24, 1, 1), torch.ones(count, 10), camera)])


def test_the_pelvis_stays_for_another_body(body):
    """The network's body has its pelvis elsewhere in its own space; the estimated body's goes to the same place."""
    other = load_other(body)
    person = Detection(np.array([100, 100, 200, 400], np.float32), np.zeros((17, 3), np.float32), "coco17", 1.0)
    places = []
    for target in (body, other):
        network = Still((0.8, 0.1, -0.2))
        initial = FullFrameRegressor(network, body, FAMILIES["camera_hmr"], target)(photo(), [person], CAMERA)
        state = BodyState(*(part.float() for part in initial.state.parts.values()))
        joints = target(state.betas, state.rotations[:, 1:], state.rotations[:, 0], state.translation).joints
        places.append(joints[0, 0])
        assert network.seen.rgb.shape == (1, 3, 128, 128) and network.seen.box.shape == (1, 3)
    assert torch.allclose(*places, atol=1e-5)
    assert not state.betas.any()  # they mean nothing there


def load_other(body):
    """The body with another shape as its mean, so that its hash and its pelvis differ."""
    moved = body.data.v_template + np.array([0.1, 0.2, 0.0], body.data.v_template.dtype)
    return BodyModel(replace(body.data, v_template=moved))


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=["hmr2", "camera_hmr"])
def weights(request, body, tmp_path_factory):
    torch.manual_seed(0)
    network = build_network(request.param, SETTINGS | {"told": request.param == "camera_hmr"})
    path = tmp_path_factory.mktemp(request.param) / f"{request.param}.safetensors"
    return save_checkpoint(path, network, body.hash, {"converted_from": "last.ckpt"})


def standing(body) -> np.ndarray:
    """Keypoints (1, 17, 3) of somebody in front of the camera."""
    turned = torch.diag(torch.tensor([1.0, -1, -1]))[None]
    pose = torch.eye(3).repeat(1, 23, 1, 1)
    vertices = body(torch.zeros(1, 10), pose, turned, torch.tensor([[0.3, 0.0, 4.0]])).vertices
    points = CAMERA.project(body.joints_from(vertices, "coco17"))
    points[..., 2] = 1
    return points.numpy()


@pytest.mark.parametrize("refine", [False, True])
def test_photos_and_clips(weights, body, refine):
    reconstructor = Reconstructor(regressor=weights, body=body, refine=refine)
    assert isinstance(reconstructor.regressor, FullFrameRegressor) and needs_picture(reconstructor.regressor)
    keypoints = standing(body)
    (person,) = reconstructor(photo(), keypoints=keypoints, camera=CAMERA)
    assert person.camera.focal == CAMERA.focal and np.isfinite(person.vertices).all()
    seen = CAMERA.project(torch.from_numpy(person.joints("coco17"))).numpy()[:, :2]
    height = np.ptp(keypoints[0, :, 1])
    middle = np.abs(seen.mean(0) - keypoints[0, :, :2].mean(0)).max()
    assert middle < (0.1 if refine else 0.5) * height  # unrefined, a network that knows nothing is right on the place
    if refine:
        (track,) = reconstructor.clip([photo()] * 3, fps=10, keypoints=[keypoints] * 3, camera=CAMERA)
        assert np.isfinite(track.translation).all()


def test_evaluation_takes_them_as_photos_do(weights, body):
    for fit, stage in ((False, "body"), (True, "fit")):
        report = evaluate(weights, "synthetic", limit=2, fit=fit, mirror=False)
        assert list(report.stages) == [stage] and np.isfinite(report.people["pa_mpjpe"]).all()


def test_mirror_averaging_on_request(weights, body):
    assert not load_regressor(weights, body).mirror and load_regressor(weights, body, mirror=True).mirror
