"""A photo in, people out: cameras, evidence, and a body found again from its own projection."""

import io
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.paths import EXAMPLES
from PIL import Image

from meshrec import Camera, InputError, Reconstructor, load_body
from meshrec.body import joint_set
from meshrec.body.measures import stature
from meshrec.body.state import BodyState
from meshrec.detect import Detection
from meshrec.files import Photo
from meshrec.fit import Initial
from meshrec.geometry import CAMERA_TO_Y_UP, rotation_angle
from meshrec.poses.named_poses import named_pose
from meshrec.reconstruct.photo_cameras import photo_camera

SIZE = (640, 480)
CAMERA = Camera(600.0, size=SIZE)
PHOTO = np.full((480, 640, 3), 90, np.uint8)


class FakeDetector:
    """Says what it is told to, and remembers what it was asked."""

    def __init__(self, people: list[Detection]) -> None:
        self.people, self.boxes = people, "not asked"

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list[Detection]:
        self.boxes = boxes
        return self.people


@pytest.fixture(scope="module")
def truth(body):
    """Someone running, four metres away."""
    transl = torch.tensor([[0.2, 0.1, 4.0]])
    pose = named_pose("running")[None]
    with torch.no_grad():
        return body(body_pose=pose, global_orient=CAMERA_TO_Y_UP[None], transl=transl)


@pytest.fixture(scope="module")
def keypoints(body, truth) -> np.ndarray:
    screen = CAMERA.project(body.joints_from(truth.vertices, "openpose25"))[0]
    screen[:, 2] = 1.0
    return screen.numpy()


@pytest.fixture(scope="module")
def reconstructor() -> Reconstructor:
    return Reconstructor(detector=FakeDetector([]))


def detection(keypoints: np.ndarray, score: float = 0.9) -> Detection:
    low, high = keypoints[:, :2].min(0), keypoints[:, :2].max(0)
    return Detection(np.concatenate([low, high]).astype(np.float32), keypoints, "openpose25", score)


def test_a_body_is_found_again_from_its_keypoints(reconstructor, body, truth, keypoints):
    (person,) = reconstructor(PHOTO, keypoints=keypoints[None], camera=CAMERA)
    found = CAMERA.project(torch.from_numpy(person.joints("openpose25")))[:, :2].numpy()
    assert np.median(np.linalg.norm(found - keypoints[:, :2], axis=1)) < 8  # of a person 250 pixels high
    assert abs(person.translation[2] - 4.0) < 0.6
    own = body(
        torch.from_numpy(person.betas)[None],
        torch.from_numpy(person.rotations)[None, 1:],
        torch.from_numpy(person.rotations)[None, 0],
        torch.from_numpy(person.translation)[None],
    )
    assert np.array_equal(person.vertices, own.vertices[0].numpy())
    assert person.betas.shape == (10,)
    assert person.camera is CAMERA
    assert np.array_equal(person.keypoints_2d, keypoints)
    assert person.keypoint_names == joint_set("openpose25")
    assert 0 < person.score <= 1


def test_people_come_in_the_order_of_their_keypoints(reconstructor, keypoints):
    aside = keypoints + np.float32([150, 0, 0])
    left, right = reconstructor(PHOTO, keypoints=np.stack([keypoints, aside]), camera=CAMERA)
    assert left.translation[0] < right.translation[0] - 0.5
    right, left = reconstructor(PHOTO, keypoints=[detection(aside), detection(keypoints)], camera=CAMERA)
    assert left.translation[0] < right.translation[0] - 0.5


def test_a_longer_lens_puts_people_farther_away(reconstructor, keypoints):
    near, far = (reconstructor(PHOTO, keypoints=keypoints[None], focal=focal)[0] for focal in (600, 1800))
    assert 2 < far.translation[2] / near.translation[2] < 4


def test_nobody_is_a_result(keypoints):
    assert Reconstructor(detector=FakeDetector([]))(PHOTO) == []
    assert Reconstructor(detector=FakeDetector([detection(keypoints, score=0.0)]))(PHOTO) == []
    assert Reconstructor(detector=FakeDetector([]))(PHOTO, keypoints=np.zeros((0, 17, 3))) == []


def test_a_detector_is_loaded_by_its_name_or_file(monkeypatch, keypoints):
    asked = []

    def load(name=None):
        asked.append(name)
        return FakeDetector([detection(keypoints)])

    monkeypatch.setattr("meshrec.reconstruct.body_estimator.load_detector", load)
    for named in ("blazepose", Path("pose.task")):
        (person,) = Reconstructor(detector=named)(PHOTO, camera=CAMERA)
        assert asked == [named] and np.array_equal(person.box, detection(keypoints).box)
        asked.clear()
    late = Reconstructor()
    assert asked == [] and len(late(PHOTO)) == len(late(PHOTO)) == 1 and asked == [None]


def test_the_detector_is_asked_about_the_users_boxes(keypoints):
    detector = FakeDetector([detection(keypoints)])
    reconstructor = Reconstructor(detector=detector)
    (person,) = reconstructor(PHOTO, camera=CAMERA)
    assert detector.boxes is None
    assert np.array_equal(person.box, detector.people[0].box)
    reconstructor(PHOTO, boxes=np.array([[-5, 10, 200, 1000]]))
    assert np.array_equal(detector.boxes, [[0, 10, 200, 479]])  # clipped to the photo
    detector.boxes = "not asked"
    assert reconstructor(PHOTO, boxes=np.zeros((0, 4))) == []
    assert detector.boxes == "not asked"


def test_a_regressors_estimate_is_the_result_or_the_start(truth, keypoints):
    pose = torch.cat([CAMERA_TO_Y_UP[None], named_pose("running")]).double()[None]
    state = BodyState(pose, torch.tensor([[0.2, 0.1, 4.0]], dtype=torch.float64), torch.zeros(1, 10).double())
    asked = []

    def regressor(image, people, camera):
        asked.append((image.shape, len(people), camera))
        return Initial(state, 30 * torch.eye(85, dtype=torch.float64)[None])  # sure to 1/30 of a radian

    (person,) = Reconstructor(regressor=regressor, refine=False)(PHOTO, keypoints=keypoints[None], camera=CAMERA)
    assert asked == [((480, 640, 3), 1, CAMERA)]
    assert np.abs(person.vertices - truth.vertices[0].numpy()).max() < 1e-5
    (refined,) = Reconstructor(regressor=regressor)(PHOTO, keypoints=keypoints[None], camera=CAMERA)
    turned = rotation_angle(torch.from_numpy(refined.pose).double(), pose[0])
    assert turned.max() < math.radians(20)
    with pytest.raises(InputError, match="a regressor is needed"):
        Reconstructor(regressor="none", refine=False)


def test_cameras(tmp_path):
    photo = Photo(PHOTO, None, Path("photo"))
    default = photo_camera(photo)
    assert default.size == SIZE
    assert math.isclose(2 * math.atan(400 / default.focal[0]), math.radians(55))  # half of the 800-pixel diagonal
    exif = Photo(PHOTO, 700.0, Path("photo"))
    assert photo_camera(exif).focal == (700.0, 700.0)
    assert photo_camera(exif, focal=500).focal == (500.0, 500.0)
    assert photo_camera(exif, camera=CAMERA) is CAMERA
    with pytest.raises(InputError, match="640 x 480"):
        photo_camera(photo, camera=Camera(500.0, size=(64, 48)))
    with pytest.raises(InputError, match="not both"):
        photo_camera(photo, focal=500, camera=CAMERA)
    for focal in (0, -3, math.nan, math.inf):
        with pytest.raises(InputError, match="positive number of pixels"):
            photo_camera(photo, focal=focal)


def test_a_network_estimates_focal_lengths_that_files_do_not_tell(keypoints):
    seen = []

    def estimate(image: np.ndarray) -> float:
        seen.append(image.shape)
        return 900.0

    reconstructor = Reconstructor(detector=FakeDetector([detection(keypoints)]), focal_network=estimate)
    assert reconstructor(PHOTO)[0].camera.focal == (900.0, 900.0) and seen == [PHOTO.shape]
    exif = Photo(PHOTO, 700.0, Path("photo"))
    assert reconstructor(exif)[0].camera.focal == (700.0, 700.0)
    assert reconstructor(exif, focal=500)[0].camera.focal == (500.0, 500.0)
    assert reconstructor(PHOTO, camera=CAMERA)[0].camera is CAMERA
    assert len(seen) == 1
    with pytest.raises(InputError, match="there is no such checkpoint"):
        Reconstructor(focal_network="absent.safetensors")


@pytest.mark.parametrize("once", [False, True], ids=["list", "generator"])
def test_the_focal_length_of_a_clip_is_that_of_its_first_frame(keypoints, once):
    frames = [PHOTO] * 3
    reconstructor = Reconstructor(focal_network=lambda image: 900.0)
    clip = (frame for frame in frames) if once else frames
    (track,) = reconstructor.clip(clip, fps=25, keypoints=[keypoints[None]] * 3, static_camera=True)
    assert len(track) == 3 and track.at(0).camera.focal == (900.0, 900.0)


def height_of(person) -> float:
    return float(stature(person.body.rest(torch.from_numpy(person.betas)[None])[0]))


def test_a_given_height_settles_stature_and_distance(reconstructor, body, keypoints):
    usual, tall = (reconstructor(PHOTO, keypoints=keypoints[None], camera=CAMERA, height=h)[0] for h in (None, 1.95))
    assert height_of(tall) == pytest.approx(1.95, abs=0.002)
    assert tall.translation[2] / usual.translation[2] == pytest.approx(1.95 / height_of(usual), rel=0.02)
    before, after = (CAMERA.project(torch.from_numpy(p.joints()))[:, :2].numpy() for p in (usual, tall))
    assert np.linalg.norm(after - before, axis=1).max() < 2.5  # of a person 250 pixels high


def test_heights_are_in_the_order_of_the_result(reconstructor, keypoints):
    people = reconstructor(PHOTO, keypoints=np.stack([keypoints] * 2), camera=CAMERA, height=[1.6, 1.9])
    assert [height_of(person) for person in people] == pytest.approx([1.6, 1.9], abs=0.002)
    listed = reconstructor([PHOTO, PHOTO], keypoints=[keypoints[None]] * 2, camera=CAMERA, height=[None, [1.9]])
    assert height_of(listed[1][0]) == pytest.approx(1.9, abs=0.002) != height_of(listed[0][0])


@pytest.mark.parametrize("height", [0.29, 2.7, 0, -1.8, math.nan, math.inf, "1.8", [1.8, 180], [[1.8]]])
def test_heights_that_nobody_has(reconstructor, keypoints, height):
    with pytest.raises(InputError, match=r"metres from 0\.3 to 2\.6"):
        reconstructor(PHOTO, keypoints=keypoints[None], camera=CAMERA, height=height)


def test_as_many_heights_as_people(reconstructor, keypoints):
    with pytest.raises(InputError, match="2 heights for 1 person"):
        reconstructor(PHOTO, keypoints=keypoints[None], camera=CAMERA, height=[1.8, 1.7])


def test_gravity_is_that_of_the_photo(reconstructor, keypoints):
    people = reconstructor(PHOTO, keypoints=np.stack([keypoints] * 2), camera=CAMERA)
    assert np.array_equal(people[0].gravity, people[1].gravity)
    assert people[0].gravity[1] > 0.95 and np.linalg.norm(people[0].gravity) == pytest.approx(1, abs=1e-6)
    assert (people[0].gravity_deviation > 0).all()


@pytest.mark.parametrize(("focal", "view"), [(26, "173"), (50, "166"), (30_000, "1.53")])
def test_a_focal_length_that_no_camera_has(focal, view):
    sentence = f"{focal:g} pixels would be a field of view of {view} degrees; give it in pixels, not in millimetres"
    with pytest.raises(InputError, match=re.escape(sentence) + r".*18\.5 pixels"):
        photo_camera(Photo(PHOTO, None, Path("photo")), focal=focal)


def test_photos_of_any_kind_and_lists_of_them(reconstructor, keypoints):
    gray = np.full((480, 640), 90, np.uint8)
    stream = io.BytesIO()
    Image.fromarray(PHOTO).save(stream, "PNG")
    kinds = [PHOTO, gray, gray[..., None], PHOTO / 255, Image.fromarray(PHOTO), stream.getvalue()]
    people = reconstructor(kinds, keypoints=[keypoints[None]] * len(kinds), camera=CAMERA)
    assert [len(found) for found in people] == [1] * len(kinds)
    assert all(np.array_equal(found[0].vertices, people[0][0].vertices) for found in people)
    one, none = reconstructor((PHOTO, PHOTO), keypoints=[keypoints[None], []], focal=[600.0, None])
    assert (len(one), none) == (1, []) and one[0].camera.focal == (600.0, 600.0)
    assert reconstructor([]) == []
    for wrong in ({"keypoints": [keypoints[None]]}, {"boxes": np.ones((2, 1, 4))}):
        with pytest.raises(InputError, match="photos"):
            reconstructor([PHOTO, PHOTO], **wrong)


@pytest.mark.parametrize(("layout", "count"), [("coco18", 18), ("halpe26", 136), ("wholebody23", 133), ("mpii16", 16)])
def test_layouts_of_other_detectors(reconstructor, body, truth, layout, count):
    """Faces and fingers, which follow the body, are not used, whatever they hold."""
    screen = CAMERA.project(body.joints_from(truth.vertices, layout))[0].numpy()
    screen[:, 2] = 1.01
    rest = np.full((count - len(screen), 3), np.nan, np.float32)
    (person,) = reconstructor(PHOTO, keypoints=np.vstack([screen, rest])[None], camera=CAMERA)
    assert person.keypoint_names == joint_set(layout) and person.keypoints_2d[:, 2].max() == 1
    assert person.reprojection_error < 0.03 and person.notes == ()


def test_a_files_own_focal_length_counts(tmp_path, reconstructor, keypoints):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 30  # FocalLengthIn35mmFilm
    Image.fromarray(PHOTO).save(tmp_path / "a.jpg", exif=exif)
    (person,) = reconstructor(tmp_path / "a.jpg", keypoints=keypoints[None])
    assert math.isclose(person.camera.focal[0], 30 * 800 / 43.27, rel_tol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"boxes": [[0, 0, 9, 9]], "keypoints": np.ones((1, 17, 3))}, "not both"),
        ({"keypoints": np.ones((1, 19, 3))}, "17, 18, 23, 25, 26, 33, 133, 136 of them"),
        ({"keypoints": np.ones((1, 14, 3))}, "14 may be aic14, crowdpose14, lsp14"),
        ({"keypoints": np.full((1, 17, 3), 50.0)}, "confidences from 0 to 1"),
        ({"keypoints": np.full((1, 17, 3), np.nan)}, "finite"),
        ({"keypoints": np.full((1, 17, 3), (5000.0, 5000.0, 1.0))}, "no keypoint inside this 640 x 480 photo"),
        ({"boxes": [[700, 0, 800, 100]]}, "lies outside this 640 x 480 photo"),
    ],
)
def test_evidence_that_does_not_fit(reconstructor, options, message):
    with pytest.raises(InputError, match=message):
        reconstructor(PHOTO, **options)


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (PHOTO[..., :2], r"uint8 \(480, 640, 2\)"),
        (PHOTO / 2, r"values in \[0, 1\], not 45"),
        ([PHOTO, None], "NoneType"),
        (None, "NoneType"),
        ("nope.jpg", "no such file"),
    ],
)
def test_what_is_no_photo(reconstructor, photo, message):
    with pytest.raises(InputError, match=message):
        reconstructor(photo)


def test_bodies_and_devices():
    with pytest.raises(InputError, match="no body 'nobody'"):
        Reconstructor(body="nobody")
    with pytest.raises(InputError, match="no detector 'posenet': give blazepose or"):
        Reconstructor(detector="posenet")
    with pytest.raises(InputError, match="device 'abacus'"):
        Reconstructor(device="abacus")
    assert Reconstructor(body="male").body.hash == load_body("male").hash


def test_a_body_keeps_its_own_regressors_and_stays_as_it_was(keypoints):
    """Twelve shape components, of which the reconstructor takes ten, and knees that the user has put at the nose."""
    data = load_body("neutral").data
    more = np.concatenate([data.shapedirs, data.shapedirs[..., :2]], axis=-1)
    body = load_body(replace(data, shapedirs=more))
    nose = body.joint_regressor("coco17")[:1]
    body = body.with_regressor(("left_knee",), nose).double()
    reconstructor = Reconstructor(body=body, regressor="none")
    (person,) = reconstructor(PHOTO, keypoints=keypoints[None], camera=CAMERA)
    assert person.betas.shape == (10,) and (body.num_betas, body.v_template.dtype) == (12, torch.float64)
    points = dict(zip(joint_set("coco17"), person.joints("coco17")))
    assert np.array_equal(points["left_knee"], points["nose"]) and not np.array_equal(
        points["right_knee"], points["nose"]
    )


def test_the_example_photos_have_one_person_each():
    reconstructor = Reconstructor()
    for name in ("dancer.jpg", "astronaut.jpg"):
        (person,) = reconstructor(EXAMPLES / name)
        head = person.camera.project(torch.from_numpy(person.joints("coco17")))[0, :2].numpy()
        seen = person.keypoints_2d[person.keypoint_names.index("nose"), :2]
        assert np.linalg.norm(head - seen) < 0.1 * (person.box[2:] - person.box[:2]).max(), name
