"""Synthetic people: truth recomputed from their parameters, cameras, shapes, what hides them, labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshrec.body import BodyModel, joint_index, joint_set
from meshrec.data.streams import Streams
from meshrec.geometry import CAMERA_TO_Y_UP
from meshrec.landmarks.placements import placement
from meshrec.render import rasterize
from meshrec.synthetic.cameras import ViewMix, draw_orientations, draw_views
from meshrec.synthetic.detector_noise import EXACT, DetectorNoise, detected, known_landmarks
from meshrec.synthetic.labels import synthetic_batch
from meshrec.synthetic.occluders import draw_occluders, inside_photo
from meshrec.synthetic.people import ShapeMix, SyntheticPeople, draw_shapes, heaviness
from meshrec.synthetic.poses import PoseMix
from meshrec.synthetic.proxy import behind_surface, observe, wavering

OPEN = ViewMix(truncated=0, occluded=0)


@pytest.fixture(scope="module")
def source(body: BodyModel) -> SyntheticPeople:
    return SyntheticPeople(body, seed=1, split="held_out", resolution=48)


def test_a_person_is_the_same_in_every_batch(source, body):
    whole, part = source.draw(range(4, 12)), source.draw([11, 6])
    for name in ("rotations", "betas", "translation", "vertices", "photo", "box", "kind", "covered"):
        assert torch.allclose(getattr(whole, name)[[7, 2]], getattr(part, name), atol=1e-4), name
    one = observe(whole, body, source.streams(whole.indices, "detector"))
    other = observe(part, body, source.streams(part.indices, "detector"))
    assert torch.allclose(one.keypoints[[7, 2]], other.keypoints, atol=1e-4)
    assert (one.silhouette[[7, 2]] != other.silhouette).float().mean() < 1e-3
    again = SyntheticPeople(body, seed=2, split="held_out", resolution=48).draw([11, 6])
    assert not torch.allclose(again.rotations, part.rotations, atol=0.1)


def test_keypoints_are_the_projected_landmarks_of_the_body(source, body):
    batch, seen = synthetic_batch(source, range(6), "coco17", "coco17", noise=EXACT)
    translation = source.draw(range(6)).translation
    out = body(betas=batch.betas, body_pose=batch.pose[:, 1:], global_orient=batch.pose[:, 0], transl=translation)
    points = np.einsum("kv,bvc->bkc", body.joint_regressor("coco17"), out.vertices.numpy())
    focal, principal = batch.focal.numpy()[:, None], batch.principal.numpy()[:, None]
    place = points[..., :2] / points[..., 2:] * focal + principal
    assert np.allclose(batch.joints_3d[..., :3], points, atol=1e-4)
    assert np.allclose(batch.keypoints_2d[..., :2], place, atol=1e-3)
    assert np.allclose(seen.keypoints[..., :2], place, atol=1e-3)
    assert set(batch.bodies) == {body.hash}


def test_the_labels_agree_with_the_batch_camera(source):
    batch, _ = synthetic_batch(source, range(4))
    pixels = batch.camera(48).project(batch.joints_3d[..., :3])[..., :2]
    assert torch.allclose((2 * pixels + 1) / 48 - 1, batch.keypoints_2d[..., :2], atol=1e-4)


def test_the_silhouette_is_the_projected_mesh(body):
    size, rng = 64, np.random.default_rng(0)
    source = SyntheticPeople(body, seed=4, resolution=size, views=OPEN)
    people = source.draw(range(3))
    seen = observe(people, body, source.streams(range(3), "detector"), noise=EXACT)
    for mask, corners in zip(seen.exact_silhouette[:, 0] > 0, people.camera.project(people.vertices)[:, body.faces]):
        # Pixels on both sides of the outline, and some anywhere, each against every triangle.
        grown = torch.nn.functional.max_pool2d(torch.stack([mask, ~mask]).float(), 3, 1, 1).prod(0)
        outline, anywhere = grown.nonzero().numpy(), rng.integers(size, size=(50, 2))
        y, x = np.concatenate([rng.permutation(outline)[:150], anywhere]).T
        corners = corners[..., :2].double().numpy()
        edges = np.roll(corners, -1, axis=1) - corners
        across = edges[..., 0] * (y[:, None, None] - corners[..., 1]) - edges[..., 1] * (
            x[:, None, None] - corners[..., 0]
        )
        held = ((across >= 0).all(-1) | (across <= 0).all(-1)).any(1)
        assert (mask.numpy()[y, x] != held).sum() <= 1
        assert 20 < held.sum() < 190


def test_crops_hold_their_person(source, body):
    people = SyntheticPeople(body, seed=2, resolution=48, views=OPEN).draw(range(60))
    pixels = people.camera.project(people.vertices)[..., :2]
    low, high = pixels.amin(1), pixels.amax(1)
    assert torch.allclose(torch.cat([low, high], 1), people.box, atol=0.01)
    assert ((people.photo[:, :2] <= low) & (people.photo[:, 2:] >= high)).all()
    assert (people.vertices[..., 2] > 0.5).all()
    longest = (high - low).amax(1)
    assert (longest > 48 / 1.41).all() and (longest < 48 / 1.07).all()


def test_the_photo_cuts_as_many_as_asked_and_as_much(body):
    points = torch.rand(1000, 40, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    views = draw_views(points, Streams(0, range(1000), "view"), 100, ViewMix(truncated=0.3))
    assert views.truncated.float().mean() == pytest.approx(0.3, abs=0.04)
    pixels = views.camera.project(points + views.translation[:, None])[..., :2]
    low, high = pixels.amin(1), pixels.amax(1)
    cut = ((views.photo[:, :2] > low) | (views.photo[:, 2:] < high)).any(1)
    assert torch.equal(cut, views.truncated)
    kept = (views.box[:, 2:] - views.box[:, :2]) / (high - low)
    assert torch.allclose(kept[cut].amax(1), torch.ones(int(cut.sum())), atol=1e-3)
    assert (kept[cut].amin(1) > 0.39).all() and (kept[cut].amin(1) < 0.91).all()
    bottom = views.photo[:, 3] < high[:, 1]
    assert bottom.float().sum() / cut.sum() == pytest.approx(0.6, abs=0.1)


def test_cameras_above_look_down_and_rolls_are_small():
    views = draw_orientations(Streams(0, range(500), "view"), ViewMix(elevation=(30, 1), any_elevation=0, roll=4))
    up = views[:, :, 1]
    assert torch.allclose(torch.rad2deg(torch.asin(-up[:, 2])), torch.tensor(30.0), atol=4)  # the head is nearer
    assert (up[:, 1] < 0).all()
    assert torch.rad2deg(torch.atan2(up[:, 0], -up[:, 1])).std() == pytest.approx(4 / 0.87, abs=1.2)
    heading = torch.atan2(views[:, 0, 2], views[:, 0, 0])
    assert heading.cos().mean().abs() < 0.1 and heading.sin().mean().abs() < 0.1


def test_the_heavy_are_heavy(body):
    heavier = heaviness(body)
    betas, heavy = draw_shapes(Streams(0, range(800), "shape"), heavier, ShapeMix(wide=0, heavy=0.2))
    assert heavy.float().mean() == pytest.approx(0.2, abs=0.05)
    along = betas @ heavier
    assert (along[heavy].mean() - along[~heavy].mean()).item() == pytest.approx(2.5, abs=0.3)
    mean, fat = body.rest(torch.stack([0 * heavier, 3 * heavier]))[0]
    waist = [v[(v[:, 1] - 0.05).abs() < 0.02, 2] for v in (mean, fat)]
    assert np.ptp(waist[1].numpy()) > 1.2 * np.ptp(waist[0].numpy())


def test_occluders_cover_their_share_of_people():
    box = torch.tensor([[10.0, 5, 40, 45]]).repeat(600, 1)
    covered = draw_occluders(Streams(0, range(600), "occluder"), box, 0.25).pictures((50, 50))
    some = covered.flatten(1).any(1)
    assert some.float().mean() == pytest.approx(0.25, abs=0.05)
    assert 0.01 < covered[some].float().mean() < 0.3


def test_landmarks_behind_the_body_are_hidden(body):
    turns = torch.stack([CAMERA_TO_Y_UP, torch.diag(torch.tensor([-1.0, -1, 1]))])
    vertices = body(global_orient=turns).vertices + torch.tensor([0.0, 0, 3])  # facing the camera, and away from it
    people_camera = SyntheticPeople(body, resolution=64).draw([0]).camera
    camera = replace(people_camera, focal=torch.tensor([90.0, 90]), center=torch.tensor([31.5, 31.5]), size=(64, 64))
    screen = camera.project(vertices)
    points = body.joints_from(vertices, "mediapipe33")
    pixels = camera.project(points)[..., :2]
    face_id = rasterize(vertices, body.faces, camera).face_id
    hidden = behind_surface(pixels, points[..., 2], face_id, body.faces, screen[..., 2])
    at = lambda name: joint_index(name, "mediapipe33")  # noqa: E731
    assert not hidden[0, [at("nose"), at("left_eye"), at("left_knee"), at("left_wrist")]].any()
    assert hidden[1, [at("nose"), at("left_eye"), at("mouth_left")]].all()


@pytest.mark.parametrize("hidden", [False, True])
def test_the_noise_has_the_measured_size(hidden):
    count, noise = 3000, DetectorNoise(scale=1, displaced=0, swapped=0, missing=0, doubt=0, face=0)
    pixels = torch.zeros(count, 33, 2)
    flags = torch.full((count, 33), hidden)
    found = detected(pixels, flags, torch.full((count,), 200.0), "mediapipe33", Streams(0, range(count), "d"), noise)
    error = found[..., :2] / 200
    ankle, hip = (joint_index(name, "mediapipe33") for name in ("left_ankle", "left_hip"))
    for k, name in ((ankle, "left_ankle"), (hip, "left_hip")):
        expected = placement(name, "mediapipe33").deviation * (2.5 if hidden else 1)
        assert error[:, k].std() == pytest.approx(expected, rel=0.12)
    normal = error[:, ankle, 0] / error[:, ankle, 0].abs().median()
    assert (normal.abs() > 6).float().mean() > 0.003  # Gaussian: 0.0001
    confidence = found[:, ankle, 2]
    assert (confidence < 0.81).all() if hidden else (confidence > 0.7).all()
    assert (found[:, hip, 2] > 0.7).all()


def test_limbs_move_together_and_sides_are_exchanged():
    count = 3000
    noise = DetectorNoise(scale=0, displaced=0.1, swapped=0.2, missing=0, doubt=0, face=0)
    pixels = torch.arange(33.0)[None, :, None].expand(count, 33, 2)
    found = detected(
        pixels, torch.zeros(count, 33).bool(), torch.full((count,), 100.0), "mediapipe33",
        Streams(0, range(count), "d"), noise,
    )[..., :2]  # fmt: skip
    moved = found - pixels
    knee, other = (joint_index(f"{side}_knee", "mediapipe33") for side in ("left", "right"))
    nose, eye, mirrored_eye = (joint_index(n, "mediapipe33") for n in ("nose", "left_eye", "right_eye"))
    assert (moved[:, nose] == 0).all()
    swapped = found[:, eye, 0] == mirrored_eye
    assert swapped.float().mean() == pytest.approx(0.1, abs=0.02)
    legs = (found[:, knee, 0] - other).abs() < 1e-3
    assert legs.float().mean() == pytest.approx(0.2 * 0.9, abs=0.03)
    shift = moved[~swapped & ~legs][:, knee]
    gone = shift.abs().amax(1) > 1e-3
    assert gone[(shift.abs().amax(1) < 90)].float().mean() == pytest.approx(0.1, abs=0.03)


def test_doubtful_landmarks_are_elsewhere_and_whole_limbs_with_them():
    count, noise = 4000, DetectorNoise(scale=0, displaced=0, swapped=0, missing=0, doubt=0.1, face=0)
    pixels, names = torch.zeros(count, 33, 2), joint_set("mediapipe33")
    hidden = torch.zeros(count, 33, dtype=torch.bool)
    hidden[:, names.index("right_wrist")] = True
    found = detected(pixels, hidden, torch.ones(count), "mediapipe33", Streams(0, range(count), "d"), noise)
    error, confidence = found[..., :2], found[..., 2]

    def of(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return error[:, names.index(name)], confidence[:, names.index(name)]

    (wrist, sure), (index, _), (knee, _) = of("left_wrist"), of("left_index"), of("left_knee")
    far = wrist.norm(dim=1)
    assert far[sure < 0.4].median() > 0.07 and far[sure > 0.9].median() < 0.005
    assert of("nose")[1].median() > sure.median() > of("right_wrist")[1].median()

    def alike(one: torch.Tensor, other: torch.Tensor) -> float:
        return float(torch.corrcoef(torch.stack([one[:, 0], other[:, 0]]))[0, 1])

    assert alike(wrist, index) > 0.6 > alike(wrist, knee) > 0.1


def test_other_detectors_see_fewer_landmarks():
    names = joint_set("mediapipe33")
    known = known_landmarks(Streams(0, range(4000), "k"), "mediapipe33", 0.3)
    fewer = known[~known.all(1)]
    assert len(fewer) / 4000 == pytest.approx(0.3, abs=0.03)
    kinds = {frozenset(n for n, k in zip(names, row) if k) for row in fewer.unique(dim=0).tolist()}
    assert kinds == {frozenset(names) & frozenset(joint_set(other)) for other in ("coco17", "openpose25")}
    assert known_landmarks(Streams(0, range(3), "k"), "mediapipe33", 0).all()


def test_the_outline_wavers_by_as_much_as_asked():
    mask = torch.zeros(20, 200, 200, dtype=torch.bool)
    mask[:, :, :100] = True
    for amount in (0.7, 1.5):
        edge = wavering(mask, Streams(0, range(20), "d"), torch.full((20,), amount), reach=4).sum(-1).float()
        assert edge.mean() == pytest.approx(100, abs=0.4)
        assert edge.std() == pytest.approx(amount, rel=0.25)


def test_missing_and_outside_keypoints_have_no_confidence(body):
    source = SyntheticPeople(body, seed=3, resolution=48, views=ViewMix(truncated=1), poses=PoseMix())
    people = source.draw(range(20))
    seen = observe(people, body, source.streams(range(20), "detector"))
    pixels = ((seen.keypoints[..., :2] + 1) * 48 - 1) / 2
    beyond = ((pixels < people.photo[:, None, :2]) | (pixels > people.photo[:, None, 2:])).any(-1)
    assert beyond.any() and (seen.keypoints[..., 2][beyond] == 0).all()
    inside = inside_photo(people.photo, (48, 48))
    assert not (seen.silhouette[:, 0].bool() & ~inside).any()
