"""The errors of the simulated detector: as large and as often as asked, in keypoints and in masks."""

import pytest
import torch

from meshrec.body import joint_index, joint_set
from meshrec.data.streams import Streams
from meshrec.landmarks.placements import placement
from meshrec.synthetic.detector_noise import DetectorNoise, detected, known_landmarks, wavering


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
