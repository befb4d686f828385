"""Networks in the product: what they see of a photo, and how what they say comes back to it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from meshrec import Person, Reconstructor
from meshrec.body import joint_set, load_body
from meshrec.body.state import BodyState
from meshrec.detect import Detection, Mask
from meshrec.detect.people import keypoint_box, photo_edges
from meshrec.errors import InputError
from meshrec.fit.terms import Closeness
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix, rotation_angle
from meshrec.models.build import build_network
from meshrec.models.checkpoints import save_checkpoint
from meshrec.models.encoders import EncoderConfig
from meshrec.models.estimate import Estimate
from meshrec.models.mirrored import mirror_estimate
from meshrec.models.network import Network
from meshrec.models.output import NetworkOutput
from meshrec.poses.pose_bank import load_pose_bank
from meshrec.regress.calibration import calibrated, error_covariance, shape_calibration
from meshrec.regress.crops import person_inputs
from meshrec.regress.regressor import NetworkRegressor
from meshrec.regress.settings import RegressorSettings
from meshrec.regress.weights import load_regressor
from meshrec.render import silhouette

CAMERA = Camera((900.0, 940.0), (300.0, 380.0), (640, 720))
ENCODER = EncoderConfig(inputs=("rgb", "silhouette", "keypoints"), joints="openpose25", resolution=96)
SETTINGS = {
    "encoder": {"inputs": ["keypoints"], "joints": "openpose25", "width": 32, "blocks": 1},
    "feedback": "residuals",
    "width": 32,
}


@pytest.fixture(scope="module")
def people(body) -> BodyState:
    """Three people, far from the photo's middle and from each other."""
    bank = load_pose_bank("held_out", upright=False)
    rotations = bank.rotations(torch.tensor([10, 500, 900])).double()
    rotations[:, 0] = CAMERA_TO_Y_UP.double() @ rotations[:, 0]
    places = torch.tensor([[-0.9, -0.6, 4.0], [0.2, 0.5, 3.5], [1.0, 0.3, 5.0]]).double()
    return BodyState(rotations, places, torch.randn(3, 10, generator=torch.Generator().manual_seed(0)).double())


@pytest.fixture(scope="module")
def vertices(body, people):
    parts = (people.betas, people.rotations[:, 1:], people.rotations[:, 0], people.translation)
    return body(*(part.float() for part in parts)).vertices


@pytest.fixture(scope="module")
def detections(body, vertices) -> list[Detection]:
    screen = CAMERA.project(body.joints_from(vertices, "openpose25")).numpy()
    masks = silhouette(vertices, body.faces, CAMERA)
    found = []
    for points, mask in zip(screen, masks):
        points = np.column_stack([points[:, :2], np.ones(len(points))]).astype(np.float32)
        mask = Mask((255 * mask).byte().numpy(), photo_edges(CAMERA.size))
        found.append(Detection(keypoint_box(points, CAMERA.size), points, "openpose25", 0.9, mask))
    return found


def photo_of(vertices, body) -> np.ndarray:
    """White people on black."""
    white = silhouette(vertices, body.faces, CAMERA).amax(0)
    return (255 * white).byte()[..., None].expand(-1, -1, 3).contiguous().numpy()


class Knowing(Network):
    """A network that says what it was told to of each crop, and of its mirror image the mirror image of that."""

    def __init__(self, answers: Estimate, encoder: EncoderConfig = ENCODER) -> None:
        super().__init__()
        self.encoder = SimpleNamespace(config=encoder)
        self.answers = answers

    def forward(self, inputs):
        answers = [self.answers]
        if len(inputs.keypoints) > len(self.answers.betas):
            answers.append(mirror_estimate(self.answers))
        return NetworkOutput([Estimate(*(torch.cat(parts) for parts in zip(*(vars(a).values() for a in answers))))])


def true_answers(body, people, detections) -> tuple[Estimate, torch.Tensor, torch.Tensor]:
    """What a perfect network says of the crops; what it sees, and the turns to the crops' cameras."""
    inputs, turn = person_inputs(ENCODER, np.zeros((720, 640, 3), np.uint8), detections, CAMERA)
    _, rest = body.rest(people.betas.float())
    pelvis = rest[:, 0].double()
    back = turn.double()
    place = (back @ (people.translation + pelvis)[..., None]).squeeze(-1) - pelvis
    rotations = torch.cat([back[:, None] @ people.rotations[:, :1], people.rotations[:, 1:]], dim=1)
    camera = torch.cat([(inputs.focal / place[:, 2])[:, None], place[:, :2]], dim=1)
    return Estimate(rotations.float(), people.betas.float(), camera.float()), inputs, turn


def test_what_a_perfect_network_says_reprojects_to_the_photo(body, people, vertices, detections):
    answers, inputs, _ = true_answers(body, people, detections)
    # In the crop: the estimate's own projection is where the network saw the keypoints.
    posed = body(answers.betas, answers.rotations[:, 1:], answers.rotations[:, 0])
    seen = answers.project(body.joints_from(posed.vertices, "openpose25"), inputs.focal)
    known = inputs.keypoints[..., 2] > 0
    assert 50 < known.sum() < 75  # of somebody's feet the photo shows nothing
    torch.testing.assert_close(seen[known], inputs.keypoints[known][:, :2], atol=1e-4, rtol=0)
    # In the photo: the body stands where it stood.
    regressor = NetworkRegressor(Knowing(answers), body)
    state = regressor(np.zeros((720, 640, 3), np.uint8), detections, CAMERA).state
    torch.testing.assert_close(state.translation, people.translation, atol=1e-4, rtol=0)
    assert rotation_angle(state.rotations, people.rotations).max() < 1e-3
    torch.testing.assert_close(state.betas, people.betas, atol=1e-5, rtol=0)
    # In two photos at once: each gets its own people.
    photos = [np.zeros((720, 640, 3), np.uint8)] * 2
    first, second = regressor.in_views(photos, [detections[:1], detections[1:]], [CAMERA] * 2)
    torch.testing.assert_close(first.state.translation, state.translation[:1])
    torch.testing.assert_close(second.state.rotations, state.rotations[1:])
    assert len(first.whiten) == 1 and len(second.whiten) == 2


def test_masks_and_pictures_are_seen_by_the_same_camera_as_keypoints(body, vertices, detections):
    inputs, turn = person_inputs(ENCODER, photo_of(vertices, body), detections, CAMERA)
    white = np.full((720, 640, 3), 255, np.uint8)
    shown = person_inputs(ENCODER, white, detections, CAMERA)[0].rgb[:, 0] > 0  # the photo, not what is beyond
    for one in range(3):
        camera = Camera(float(inputs.focal[one]) * ENCODER.resolution / 2, size=(ENCODER.resolution,) * 2)
        everyone = (silhouette(vertices @ turn[one].T, body.faces, camera) > 0.5) & shown[one]
        for drawn, seen in (
            (everyone[one], inputs.silhouette[one, 0] > 0.5),
            (everyone.any(0), inputs.rgb[one, 0] > 0),
        ):
            assert drawn.sum() > 500
            assert (seen & drawn).sum() / (seen | drawn).sum() > 0.95


def test_keypoints_are_matched_by_name_and_unknown_beyond_the_photo(detections):
    own = replace(detections[0], keypoints=detections[0].keypoints.copy())
    own.keypoints[3, :2] = [-5, 40]
    encoder = EncoderConfig(inputs=("keypoints",), joints="mediapipe33")
    inputs, _ = person_inputs(encoder, np.zeros((720, 640, 3), np.uint8), [own], CAMERA)
    names, theirs = joint_set("openpose25"), joint_set("mediapipe33")
    known = dict(zip(theirs, inputs.keypoints[0, :, 2].tolist()))
    assert known["left_wrist"] == 1 and known["mouth_left"] == 0
    assert known[names[3]] == 0
    assert inputs.keypoints[0][inputs.keypoints[0, :, 2] > 0, :2].abs().max() < 0.9


def test_a_mirrored_look_is_averaged_in(body, people, detections):
    network = build_network("iterative", SETTINGS, body).eval()
    image = np.zeros((720, 640, 3), np.uint8)
    once, twice = (NetworkRegressor(network, body, mirror=mirror) for mirror in (False, True))
    inputs, _ = person_inputs(once.encoder, image, detections, CAMERA)
    assert rotation_angle(once.estimate(inputs).rotations, twice.estimate(inputs).rotations).max() > 1e-4
    # The mirror image of a person gets the mirror image of the estimate, whatever the network has learnt.
    from meshrec.models.mirrored import mirror_input

    ours, theirs = twice.estimate(inputs), mirror_estimate(twice.estimate(mirror_input(inputs, "openpose25")))
    for name in ("rotations", "betas", "camera"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), atol=1e-5, rtol=0)


def test_errors_weigh_as_they_were_measured(body, people, detections):
    """The closeness of a truth drawn from the errors' distribution is that of as many standard normal numbers."""
    generator = torch.Generator().manual_seed(0)
    mixing = 0.2 * torch.eye(82).double() + 0.01 * torch.randn(82, 82, generator=generator, dtype=torch.float64)
    steps = torch.randn(4000, 82, generator=generator, dtype=torch.float64) @ mixing.T
    identity = torch.eye(3, dtype=torch.float64).expand(4000, 24, 3, 3)
    estimate = Estimate(identity, torch.zeros(4000, 10, dtype=torch.float64), torch.ones(4000, 3))
    rotations = axis_angle_to_matrix(steps[:, :72].unflatten(1, (24, 3)))
    covariance = error_covariance(estimate, rotations, steps[:, 72:])
    answers, *_ = true_answers(body, people, detections)
    regressor = NetworkRegressor(Knowing(answers), body, covariance=covariance[None])
    initial = regressor(np.zeros((720, 640, 3), np.uint8), detections, CAMERA)
    assert initial.whiten.shape == (3, 82, 85)
    reference = BodyState(identity, torch.zeros(4000, 3).double(), estimate.betas)
    there = BodyState(rotations, torch.randn(4000, 3).double(), steps[:, 72:])
    energy = Closeness(reference, initial.whiten[:1])(there).energy
    assert 0.9 < float(2 * energy.mean()) / 82 < 1.01  # the floor takes a little


def test_settings_replace_the_margin_and_the_assumed_errors(body, people, detections):
    image, answers = np.zeros((720, 640, 3), np.uint8), true_answers(body, people, detections)[0]
    wide, usual = (person_inputs(ENCODER, image, detections, CAMERA, margin)[0].keypoints for margin in (2.6, 1.3))
    extent = [np.ptp(points[0, points[0, :, 2] > 0, :2].numpy(), axis=0).max() for points in (wide, usual)]
    assert extent[0] == pytest.approx(extent[1] / 2, rel=0.05)  # the crops' cameras look in slightly other directions
    settings = RegressorSettings(margin=2.6, usual_turn=0.5, usual_beta=2.0)
    regressor = NetworkRegressor(Knowing(answers), body, settings=settings)
    (row,) = regressor(image, detections[:1], CAMERA).whiten
    assert torch.allclose(row[:72, :72].diagonal(), torch.tensor(2.0).double())
    assert torch.allclose(row[72:, 75:].diagonal(), torch.tensor(0.5).double())


def test_people_without_a_mask_have_errors_of_their_own(body, people, detections):
    answers, *_ = true_answers(body, people, detections)
    some = [detections[0], replace(detections[1], mask=None), detections[2]]
    encoder = EncoderConfig(inputs=("keypoints", "silhouette"), joints="openpose25", resnet=0, resolution=64)
    image = np.zeros((720, 640, 3), np.uint8)
    for covariance, sizes in (
        (torch.stack([0.01 * torch.eye(82), 0.04 * torch.eye(82)]), [10, 5, 10]),
        (0.01 * torch.eye(82)[None], [10, 10, 10]),
    ):
        initial = NetworkRegressor(Knowing(answers, encoder), body, covariance=covariance)(image, some, CAMERA)
        for whiten, size in zip(initial.whiten, sizes):
            torch.testing.assert_close(whiten[:, 75:], size * torch.eye(82).double()[:, 72:], rtol=1e-5, atol=1e-5)


def test_shapes_are_as_certain_as_networks_of_their_kind_were():
    """A network that says twice of what it knows, and a constant besides, is taken at half its word."""
    generator = torch.Generator().manual_seed(0)
    true = torch.randn(4000, 10, generator=generator)
    said = 2 * true + 1 + 0.01 * torch.randn(4000, 10, generator=generator)
    calibration = shape_calibration(said, true)
    assert calibration.shape == (11, 10)
    torch.testing.assert_close(calibrated(said, calibration), true, atol=0.06, rtol=0)
    unrelated = torch.randn(4000, 10, generator=generator)
    assert calibrated(unrelated, shape_calibration(unrelated, true)).abs().max() < 0.5  # nothing is known: the mean


def test_shapes_without_a_mask_are_calibrated_apart(body, people, detections):
    answers, *_ = true_answers(body, people, detections)
    some = [detections[0], replace(detections[1], mask=None), detections[2]]
    encoder = EncoderConfig(inputs=("keypoints", "silhouette"), joints="openpose25", resnet=0, resolution=64)
    half = torch.cat([0.5 * torch.eye(10), torch.ones(1, 10)])
    calibration = torch.stack([torch.eye(11, 10), half])
    regressor = NetworkRegressor(Knowing(answers, encoder), body, calibration=calibration)
    betas = regressor(np.zeros((720, 640, 3), np.uint8), some, CAMERA).state.betas
    expected = people.betas.clone()
    expected[1] = 0.5 * expected[1] + 1
    torch.testing.assert_close(betas, expected, atol=1e-5, rtol=0)


def test_another_body_gets_the_pose_alone(body, people, detections):
    other = load_body("male")
    answers, *_ = true_answers(body, people, detections)
    initial = NetworkRegressor(Knowing(answers), body, other)(np.zeros((720, 640, 3), np.uint8), detections, CAMERA)
    assert rotation_angle(initial.state.rotations, people.rotations).max() < 1e-3
    assert (initial.state.betas == 0).all() and initial.state.betas.shape[1] == other.num_betas
    assert (initial.whiten[:, 72:, 75:] == torch.eye(10)).all()  # betas of usual size
    assert (initial.whiten[:, 72:, :75] == 0).all() and (initial.whiten[:, :72, 75:] == 0).all()
    standing = [b.rest(torch.zeros(1, b.num_betas))[1][:, 0].double() for b in (body, other)]
    apart = (initial.state.translation + standing[1]) - (people.translation + standing[0])
    assert apart.norm(dim=1).max() < 0.03  # the pelvis stays where it was, whatever the body


def test_checkpoints_are_regressors(body, detections, tmp_path):
    torch.manual_seed(0)
    network = build_network("iterative", SETTINGS, body)
    path = save_checkpoint(tmp_path / "own.safetensors", network, body.hash, error_covariance=0.04 * torch.eye(82))
    initial = load_regressor(path, body)(np.zeros((720, 640, 3), np.uint8), detections, CAMERA)
    assert len(initial.state) == 3 and bool((initial.state.translation[:, 2] > 0).all())
    torch.testing.assert_close(initial.whiten[0, :, :72], 5 * torch.eye(82, 72).double(), rtol=1e-5, atol=1e-5)
    assert load_regressor(path, load_body("male"))(np.zeros((720, 640, 3), np.uint8), detections, CAMERA)
    with pytest.raises(InputError, match="there is no regressor 'nonsense'"):
        load_regressor("nonsense", body)
    save_checkpoint(path, network, "0123456789abcdef")
    with pytest.raises(InputError, match="trained with the body 0123456789abcdef"):
        load_regressor(path, body)


def test_meshes_are_regressors_too(body, detections):
    settings = {"encoder": {**SETTINGS["encoder"]}, "channels": 16, "blocks": 1, "width": 16}
    regressor = NetworkRegressor(build_network("graph", settings, body), body)
    assert len(regressor(np.zeros((720, 640, 3), np.uint8), detections, CAMERA).state) == 3


def test_people_of_different_joint_sets_are_refused(detections):
    other = replace(detections[1], keypoints=np.ones((17, 3), np.float32), joint_set="coco17")
    with pytest.raises(InputError, match="same joint set"):
        person_inputs(ENCODER, np.zeros((720, 640, 3), np.uint8), [detections[0], other], CAMERA)


def test_a_network_that_sees_masks_says_so(body, detections):
    answers = Estimate(torch.eye(3).expand(1, 24, 3, 3), torch.zeros(1, 10), torch.ones(1, 3))
    regressor = NetworkRegressor(Knowing(answers), body)
    with pytest.raises(InputError, match="needs people's masks"):
        regressor(np.zeros((720, 640, 3), np.uint8), [replace(detections[0], mask=None)], CAMERA)


def test_people_without_a_mask_stand_beside_others(body, detections):
    """Refinements see masks; who has none gets what the keypoints say."""
    torch.manual_seed(0)
    encoder = {**SETTINGS["encoder"], "inputs": ["keypoints", "silhouette"], "resnet": 0, "resolution": 64}
    network = build_network("iterative", {**SETTINGS, "encoder": encoder, "refinements": 1}, body)
    torch.nn.init.normal_(network.refine.layers[-1].weight, std=0.02)
    regressor, photo = NetworkRegressor(network, body), np.zeros((720, 640, 3), np.uint8)
    everyone = regressor(photo, detections, CAMERA).state
    one_without = [replace(detections[0], mask=None), *detections[1:]]
    changed = (regressor(photo, one_without, CAMERA).state.betas - everyone.betas).abs().amax(1)
    assert changed[0] > 1e-3 and changed[1:].max() < 1e-5


def test_photos_through_a_checkpoint(body, detections, tmp_path):
    """By a file's name in Python; what made a person is kept with them."""
    torch.manual_seed(0)
    path = save_checkpoint(tmp_path / "own.safetensors", build_network("iterative", SETTINGS, body), body.hash)
    photo = np.full((720, 640, 3), 90, np.uint8)
    alone = Reconstructor(regressor=path, refine=False)(photo, keypoints=detections, camera=CAMERA)
    expected = load_regressor(path, body)(photo, detections, CAMERA).state
    for person, rotations in zip(alone, expected.rotations.float().numpy(), strict=True):
        assert np.array_equal(person.rotations, rotations) and person.made_by == "own"
    fitted = Reconstructor(regressor=path)(photo, keypoints=detections, camera=CAMERA)
    for person, detection in zip(fitted, detections, strict=True):
        assert person.made_by == "own + fit" and person.reprojection_error < 0.15  # it has learnt nothing
        for name in ("person.json", "person.npz"):
            person.save(tmp_path / name)
            assert Person.load(tmp_path / name, body).made_by == "own + fit"
        assert np.array_equal(person.keypoints_2d, detection.keypoints)
    (other, *_) = Reconstructor(regressor="none")(photo, keypoints=detections[:1], camera=CAMERA)
    assert other.made_by == "fit"
