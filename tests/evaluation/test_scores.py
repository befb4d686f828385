"""Scores of evaluations against known bodies and closed forms."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.evaluated import synthetic_people
from helpers.people import posed_sample

from meshrec.body import LIMB_JOINTS, BodyModel, joint_index, joint_set
from meshrec.body.state import BodyState
from meshrec.data.sample import Sample, crop_map, person_sample
from meshrec.detect import Detection
from meshrec.evaluation import EvaluationSet
from meshrec.evaluation.prediction import Bodies
from meshrec.evaluation.ranking import ranking
from meshrec.evaluation.scores import MISSED_MM, SHAPE, acceleration_of, marked_limbs, score, score_detections
from meshrec.evaluation.silhouettes import part_pixels, part_scores
from meshrec.evaluation.subjects import Subject, labelled_detection
from meshrec.evaluation.truth import Truth, truth_of
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.landmarks.placements import offsets
from meshrec.metrics import SILHOUETTE_PARTS, face_parts, mpjpe, pa_mpjpe


@pytest.fixture(scope="module")
def people(body) -> list[Subject]:
    return synthetic_people(body)


def _true_bodies(body: BodyModel, samples: list[Sample]) -> Bodies:
    """The bodies that samples show, where they stand."""
    pose, betas = (torch.from_numpy(np.stack([getattr(s, n) for s in samples])) for n in ("pose", "betas"))
    out = body(betas, pose[:, 1:], pose[:, :1])
    true = torch.from_numpy(
        np.stack([s.joints_3d[[s.joints.index(n) for n in joint_set("lsp14")], :3] for s in samples])
    )
    return Bodies(out.vertices + (true - body.joints_from(out.vertices, "lsp14")).mean(1, keepdim=True), betas)


def _score(body: BodyModel, subjects: list[Subject], bodies: Bodies, found=None, joints: str = "lsp14", **rules):
    data = EvaluationSet("test", [], range(len(subjects)), joints=joints, **rules)
    truth = truth_of([s.sample for s in subjects], data, body, {body.hash: body})
    found = np.ones(len(subjects), bool) if found is None else np.array(found)
    return score(subjects, found, bodies, truth, body, joints)


@pytest.mark.parametrize("joints_of", ["labels", "mesh"])
def test_the_true_bodies_have_no_error(body, people, joints_of):
    scores = _score(body, people, _true_bodies(body, [s.sample for s in people]), joints_of=joints_of)
    for name in ("mpjpe", "pa_mpjpe", "n_mpjpe", "mpve", "pa_mpve", "height", "waist", "volume"):
        assert np.abs(scores.people[name]).max() < 0.05, name
    for name in ("trunk", "lean", "knee", "knee_bias"):
        assert np.abs(scores.people[name]).max() < 0.1, name
    assert (scores.people["pck3d"] == 1).all() and (scores.people["pck2d"] == 1).all()
    assert (scores.people["mask_iou"] > 0.98).all() and (scores.people["mask_accuracy"] > 0.99).all()
    assert (scores.people["part_f1"] > 0.98).all() and (scores.people["part_accuracy"] > 0.998).all()
    assert max(values.max() for values in (*scores.joints.values(), *scores.parts.values())) < 0.05


def test_detected_masks_are_compared_where_they_lie(body, people):
    seen = [replace(s, detection=labelled_detection(s.sample, s.camera.size)) for s in people]
    scores = _score(body, seen, _true_bodies(body, [s.sample for s in people]))
    assert (scores.people["detector_mask_iou"] > 0.95).all()  # of 112 pixels a side
    assert np.array_equal(scores.people["whole_mask_iou"], scores.people["detector_mask_iou"])


def test_people_are_seen_whole_where_all_limbs_are_sure_and_in_the_picture(body, people):
    seen = [replace(s, detection=labelled_detection(s.sample, s.camera.size)) for s in people[:3]]
    changed = [s.detection.keypoints.copy() for s in seen]
    names = joint_set(seen[0].detection.joint_set)
    changed[0][names.index("left_wrist"), 2] = 0.49
    changed[1][names.index("right_ankle"), 1] = seen[1].camera.size[1]
    changed[2][names.index("nose")] = -1  # no limb
    seen = [replace(s, detection=replace(s.detection, keypoints=points)) for s, points in zip(seen, changed)]
    scores = _score(body, seen, _true_bodies(body, [s.sample for s in seen]))
    assert np.isnan(scores.people["whole_mask_iou"]).tolist() == [True, True, False]
    assert not np.isnan(scores.people["detector_mask_iou"]).any()


def test_limbs_are_taken_where_labels_mark_them(body, people):
    """Labels at a detector's landmarks are met by its placements, and missed by the joints of the skeleton."""
    samples = [s.sample for s in people]
    pose, betas = (torch.from_numpy(np.stack([getattr(s, n) for s in samples])) for n in ("pose", "betas"))
    bodies = _true_bodies(body, samples)
    centre = body(betas, pose[:, 1:], pose[:, :1]).vertices
    state = BodyState(pose.double(), (bodies.vertices - centre).mean(1).double(), betas.double())
    landmarks = landmark_positions(LandmarkMoments.of_body(body, "mediapipe33", offsets("mediapipe33")), state)
    limbs = landmarks[:, [joint_index(name, "mediapipe33") for name in LIMB_JOINTS]].float()
    labelled = [
        person_sample(
            name=s.sample.name,
            image=np.zeros((*s.camera.size[::-1], 3), np.uint8),
            crop=(np.array(s.camera.size) / 2, float(max(s.camera.size))),
            joints=LIMB_JOINTS,
            keypoints_2d=np.column_stack([s.camera.project(points)[:, :2].numpy(), np.ones(12)]),
            joints_3d=np.column_stack([points.numpy(), np.ones(12)]),
            camera=s.camera,
        )
        for s, points in zip(people, limbs)
    ]
    subjects = [replace(s, sample=sample) for s, sample in zip(people, labelled)]
    data = EvaluationSet("test", [], range(len(people)), joints="limb12", marked_as="mediapipe33")
    truth = truth_of(labelled, data, body, {})
    found = np.array([False] + [True] * (len(people) - 1))
    bodies = replace(bodies, state=state)
    scores = score(subjects, found, bodies, truth, body, "limb12", marked=marked_limbs(body, "mediapipe33")).people
    assert scores["pa_mpjpe_marked"][0] == MISSED_MM and scores["pck2d_marked"][0] == 0
    assert scores["pa_mpjpe_marked"][1:].max() < 0.05 and (scores["pck2d_marked"][1:] == 1).all()
    assert scores["pa_mpjpe"][1:].min() > 5


def test_detectors_are_scored_by_their_own_joints(body, people):
    names = joint_set("mediapipe33")
    known = [name in people[0].sample.joints for name in names]
    subjects = []
    for s in people[:3]:
        rows = [s.sample.joints.index(name) if has else 0 for name, has in zip(names, known)]
        world = 1.1 * (s.sample.joints_3d[rows, :3] - s.sample.joints_3d[rows, :3].mean(0))
        pixels = s.camera.project(torch.from_numpy(s.sample.joints_3d[rows, :3]))[:, :2].numpy()
        keypoints = np.column_stack([pixels, known]).astype(np.float32)
        detection = Detection(np.zeros(4, np.float32), keypoints, "mediapipe33", 0.8, world=world.astype(np.float32))
        subjects.append(replace(s, detection=detection))
    subjects[1] = replace(subjects[1], detection=None)
    subjects[2] = replace(subjects[2], detection=replace(subjects[2].detection, world=None))
    data = EvaluationSet("test", [], range(3), joints="limb12")
    truth = truth_of([s.sample for s in subjects], data, body, {body.hash: body})
    scores = score_detections(subjects, truth, "limb12")
    assert scores.people["pa_mpjpe"][0] < 0.05 and scores.people["n_mpjpe"][0] < 0.05
    true = truth.joints[0, :, :3]
    assert scores.people["mpjpe"][0] == pytest.approx(float(mpjpe(1.1 * true, true, joints="limb12")), rel=1e-3)
    assert scores.people["trunk"][0] < 0.1 and np.isnan(scores.people["trunk"][1:]).all()
    assert scores.people["pa_mpjpe"][1] == MISSED_MM and np.isnan(scores.people["pa_mpjpe"][2])
    assert scores.people["pck2d"].tolist() == [1, 0, 1] and scores.people["score"].tolist() == [0.8, 0, 0.8]
    fourteen = truth_of([s.sample for s in subjects], replace(data, joints="lsp14"), body, {})
    lsp = score_detections(subjects, fourteen, "lsp14")  # the detector has neither neck nor the top of the head
    assert np.isnan(lsp.joints["pa_mpjpe"][0, 12:]).all() and lsp.people["pa_mpjpe"][0] < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_scores_rank_results(seed):
    rng = np.random.default_rng(seed)
    scores, pck = rng.integers(0, 6, 40) / 5, rng.integers(0, 13, 40) / 12
    found = ranking(np.append(scores, [0.5, np.nan]), np.append(pck, [np.nan, 0.5]))
    good, bad = scores[pck >= 0.8], scores[pck < 0.8]
    wins = (good[:, None] > bad).mean() + 0.5 * (good[:, None] == bad).mean()
    assert found["auc"] == pytest.approx(wins)
    ranks = [np.array([(of < value).sum() + (of == value).sum() / 2 for value in of]) for of in (scores, pck)]
    assert found["spearman"] == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert ranking(scores, np.ones(40)) == {} and "auc" not in ranking(scores, 0.7 * pck)


def test_where_bodies_stand_and_their_size_count_as_the_measures_say(body, people):
    truth = _true_bodies(body, [s.sample for s in people])
    pelvis = torch.from_numpy(body.data.joint_regressor[0]) @ truth.vertices
    larger = 1.1 * (truth.vertices - pelvis[:, None]) + pelvis[:, None] + torch.tensor([0.3, 0.0, 0.2])
    scores = _score(body, people, Bodies(larger, truth.betas))
    assert np.abs(scores.people["pa_mpjpe"]).max() < 0.05 and np.abs(scores.people["n_mpjpe"]).max() < 0.05
    joints = body.joints_from(truth.vertices, "lsp14").numpy()
    hips = [joint_index(f"{side}_hip", "lsp14") for side in ("left", "right")]
    distances = np.linalg.norm(joints - joints[:, hips].mean(1, keepdims=True), axis=-1)
    assert np.allclose(scores.people["mpjpe"], 100 * distances.mean(1), rtol=1e-3)
    assert np.allclose(scores.joints["mpjpe"], 100 * distances, atol=0.05)
    from_pelvis = (truth.vertices - pelvis[:, None]).norm(dim=-1).numpy()
    assert np.allclose(scores.people["mpve"], 100 * from_pelvis.mean(1), rtol=1e-3)


def test_scores_are_those_of_the_metrics(body, people):
    generator = torch.Generator().manual_seed(1)
    bodies = _true_bodies(body, [s.sample for s in people])
    bodies = Bodies(bodies.vertices + 0.2 * torch.randn(len(people), 1, 3, generator=generator), bodies.betas + 0.5)
    pose = torch.from_numpy(people[0].sample.pose)[None].expand(len(people), -1, -1, -1)
    wrong = body(bodies.betas, pose[:, 1:], pose[:, :1]).vertices
    scores = _score(body, people, Bodies(wrong, bodies.betas), joints="h36m17")
    true = np.stack([s.sample.joints_3d[[s.sample.joints.index(n) for n in joint_set("h36m17")]] for s in people])
    points = body.joints_from(wrong, "h36m17")
    for i in range(len(people)):
        expected = torch.from_numpy(true[i, :, :3])
        assert scores.people["pa_mpjpe"][i] == pytest.approx(float(pa_mpjpe(points[i], expected)), rel=1e-4)
        assert scores.people["mpjpe"][i] == pytest.approx(float(mpjpe(points[i], expected, joints="h36m17")), rel=1e-4)


def test_a_person_not_found_counts_as_said_and_has_no_shape(body, people):
    bodies = _true_bodies(body, [s.sample for s in people])
    scores = _score(body, people, bodies, found=[False] + [True] * 5)
    for name in ("mpjpe", "pa_mpjpe", "n_mpjpe", "mpve", "pa_mpve"):
        assert scores.people[name][0] == MISSED_MM and scores.people[name][1] < 0.05
    assert scores.people["pck2d"][0] == scores.people["pck3d"][0] == scores.people["mask_iou"][0] == 0
    assert all(np.isnan(scores.people[name][0]) for name in (*SHAPE, "knee", "lean"))
    assert (scores.joints["pa_mpjpe"][0] == MISSED_MM).all() and np.isnan(scores.predicted[0]).all()


def test_what_has_no_label_is_left_out(body, people):
    def without(subject: Subject, **labels) -> Subject:
        return replace(subject, sample=replace(subject.sample, **labels))

    sample = people[1].sample
    few = sample.joints_3d.copy()
    few[[sample.joints.index(f"left_{part}") for part in ("knee", "wrist")], 3] = 0
    rest = people[0]
    subjects = [
        without(rest, betas_confidence=0.0),
        without(people[1], joints_3d=few),
        without(people[2], joints_3d=np.zeros_like(few), keypoints_2d=0 * sample.keypoints_2d),
        without(people[3], mask=None, body="another"),
    ]
    bodies = _true_bodies(body, [s.sample for s in people[:4]])
    scores = _score(body, subjects, bodies, found=[False, True, False, True])
    known = {name: (~np.isnan(values)).tolist() for name, values in scores.people.items()}
    assert known["pa_mpjpe"] == known["mpjpe"] == [True, True, False, True]
    assert known["mpve"] == [False, True, True, False] and known["waist"] == [False, True, False, False]
    assert known["pck2d"] == [True, True, False, True] and known["mask_iou"] == [True, True, True, False]
    assert known["knee"] == [False, False, False, True]
    assert np.isnan(scores.joints["mpjpe"][1]).sum() == 2
    strict = _score(body, subjects, bodies, least_joints=13)
    assert (~np.isnan(strict.people["pa_mpjpe"])).tolist() == [True, False, False, True]


def test_acceleration_counts_three_frames_in_a_row(body):
    count = len(joint_set("lsp14"))
    times = np.array([0, 0.1, 0.2, 0.3, 0.9, 1.0, 1.1, 0.0])
    true = np.ones((8, count, 4), np.float32)
    predicted = true[..., :3].copy()
    wrist = joint_index("left_wrist", "lsp14")
    predicted[:, wrist, 0] += 0.01 * (10 * times) ** 2  # 20 mm a frame^2
    sequences = ["a"] * 7 + ["b"]
    found = acceleration_of(predicted, true, "lsp14", sequences, times)
    # The gap before 0.9 s splits the motion; single pictures have none.
    assert np.isnan(found).tolist() == [True, False, False, True, True, False, True, True]
    assert np.allclose(found[[1, 2, 5]], 20 / count, atol=1e-3)
    predicted[2] = np.nan  # nobody found: the first run falls apart
    again = acceleration_of(predicted, true, "lsp14", sequences, times)
    assert np.flatnonzero(~np.isnan(again)).tolist() == [5]


# Silhouettes by part


def sheet(left: float, top: float, width: float, height: float) -> torch.Tensor:
    """Corners (4, 3) of a rectangle of pixels, 2 m before a camera of focal length 100 and centre 111.5."""
    x, y = torch.tensor([left, left + width, left + width, left]), torch.tensor([top, top, top + height, top + height])
    return torch.stack([(x - 0.5 - 111.5) / 50, (y - 0.5 - 111.5) / 50, torch.full((4,), 2.0)], dim=1)


@pytest.fixture(scope="module")
def sheets(body):
    """A body of two rectangles, a left hand and a right foot, and someone who is seen by 224 x 224 pixels."""
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    parts = np.repeat([joint_index("left_hand", "smpl24"), joint_index("right_foot", "smpl24")], 4)
    names = joint_set("smpl24")
    flat = SimpleNamespace(
        faces=torch.from_numpy(faces), data=SimpleNamespace(faces=faces), joint_names=names, part_labels=parts
    )
    sample = replace(posed_sample(body), to_crop=crop_map(np.array([111.5, 111.5]), 224))
    return flat, Subject(sample, None, None, Camera(100.0, size=(224, 224)))


def pixels_of_parts(sheets, predicted: torch.Tensor, found: bool = True, known: bool = True):
    flat, subject = sheets
    place = torch.tensor([[0.3, -0.2, 2.0]])
    vertices = torch.cat([sheet(40, 50, 40, 20), sheet(100, 120, 30, 60)])[None]
    pelvis = place if known else torch.full((1, 3), torch.nan)
    truth = Truth(torch.zeros(1, 14, 4), torch.zeros(1, 14, 3), vertices - place, torch.ones(1), pelvis, {})
    return part_pixels([subject], np.array([found]), predicted[None], truth, flat)


def test_parts_are_counted_by_pixels(sheets):
    # The hand is 10 of its 40 columns too far to the right, the foot 15 of its 60 rows too low.
    pixels = pixels_of_parts(sheets, torch.cat([sheet(50, 50, 40, 20), sheet(100, 135, 30, 60)]))
    hand, foot = (1 + SILHOUETTE_PARTS.index(name) for name in ("left_arm", "right_leg"))
    assert pixels.hit[0, [hand, foot]].tolist() == [30 * 20, 30 * 45]
    assert pixels.extra[0, [hand, foot]].tolist() == pixels.missed[0, [hand, foot]].tolist() == [200, 450]
    assert pixels.f1[0, [hand, foot]].tolist() == [0.75, 0.75]
    assert pixels.accuracy[0, hand].item() == pytest.approx(1 - 400 / 224**2)
    others = [i for i in range(7) if i not in (0, hand, foot)]
    assert pixels.f1[0, others].isnan().all()
    background = 224**2 - 2600
    scores = part_scores(pixels)
    assert scores["part_accuracy"][0] == pytest.approx((600 + 1350 + background - 650) / 224**2)
    assert scores["part_f1"][0] == pytest.approx((0.75 + 0.75 + (background - 650) / background) / 3)


def test_parts_of_people_not_found_are_missed_and_those_without_truth_do_not_count(sheets):
    anywhere = torch.cat([sheet(40, 50, 40, 20), sheet(100, 120, 30, 60)])
    missed = pixels_of_parts(sheets, anywhere, found=False)
    assert missed.hit[0, 1:].sum() == 0 and missed.missed[0, 1:].sum() == 2600
    unknown = pixels_of_parts(sheets, anywhere, known=False)
    assert all(values.sum() == 0 for values in (unknown.hit, unknown.extra, unknown.missed, unknown.empty))
    assert np.isnan(part_scores(unknown)["part_f1"]).all()


def test_every_face_belongs_to_a_part_on_its_side(body):
    parts = face_parts(body)
    centres = body.v_template[body.faces].mean(1).numpy()
    for name, side in (("left", 1), ("right", -1)):
        limbs = np.isin(parts, [SILHOUETTE_PARTS.index(f"{name}_{limb}") for limb in ("arm", "leg")])
        assert limbs.any() and (side * centres[limbs, 0]).min() > -0.03
    head, torso = (centres[parts == SILHOUETTE_PARTS.index(name), 1] for name in ("head", "torso"))
    assert head.min() > np.quantile(torso, 0.8)
