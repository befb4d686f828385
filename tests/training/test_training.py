"""Training: its data is the same whoever makes it, its losses are what they say, and a killed one goes on exactly."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
import torch
from helpers.kept_gradients import keep_gradients
from helpers.paths import CONFIGS, ROOT
from helpers.published import efficientnet_weights
from safetensors.torch import load_file

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import joint_set, load_body, write_body
from meshrec.body.files import body_from_arrays
from meshrec.body.kinematics import mirror_pose
from meshrec.cli import main
from meshrec.data.sample import Batch
from meshrec.errors import InputError, TrainingDiverged
from meshrec.evaluation import evaluate
from meshrec.geometry import Camera
from meshrec.models.checkpoints import load_checkpoint, read_header
from meshrec.models.encoders import EncoderConfig, NetworkInput
from meshrec.models.estimate import Estimate
from meshrec.models.output import NetworkOutput
from meshrec.render import silhouette
from meshrec.training import load_config, train
from meshrec.training.batches import Loader, Mixture
from meshrec.training.losses import (
    aligned_joint_loss,
    betas_loss,
    joint_loss,
    ordinal_depth_loss,
    ordinal_relations,
    reprojection_loss,
    rotation_loss,
)
from meshrec.training.measure import measure_errors
from meshrec.training.module import Training, rate_at
from meshrec.training.objective import Objective, Weights, joint_groups
from meshrec.training.pieces import Piece
from meshrec.training.run import start_network, training_body
from meshrec.training.sources import training_sources, validation_sources

TINY = [CONFIGS / "iterative_keypoints.yaml", CONFIGS / "tiny.yaml"]


def _config(out, *changes):
    return load_config(TINY, [f"out={out}", "network.settings.dropout=0.2", *changes])


@pytest.fixture(scope="module")
def piece(body, tmp_path_factory):
    config = _config(tmp_path_factory.mktemp("unused"))
    (share,) = training_sources(config, body)
    return share.source(range(6))


def _guess(batch: Batch, seed: int) -> Estimate:
    generator = torch.Generator().manual_seed(seed)
    turn = 0.1 * torch.randn(*batch.pose.shape, generator=generator)
    camera = torch.tensor([0.8, 0.1, -0.1]) + 0.01 * torch.randn(len(batch), 3, generator=generator)
    return Estimate(batch.pose + turn, batch.betas + torch.randn(batch.betas.shape, generator=generator), camera)


def test_losses_are_sums_over_iterations_as_they_count(body, piece):
    batch, inputs = piece
    weights = Weights(aligned=2.0, ordinal=0.7, iterations=(0.1, 0.4, 1.0))
    objective = Objective(body, weights)
    guesses = [_guess(batch, seed) for seed in range(2)]
    found = objective(NetworkOutput(guesses), batch, inputs.focal)
    expected = dict.fromkeys(found, 0.0)
    for share, guess in zip((0.4, 1.0), guesses):
        points = objective.landmarks(guess.rotations, guess.betas)
        true, sure = batch.joints_3d[..., :3], batch.joints_3d[..., 3]
        for name, which in joint_groups("union55").items():
            expected[name] += share * joint_loss(points, true, sure, "union55", which=which).item()
        of_limbs = [values[:, joint_groups("union55")["limbs"]] for values in (points, true, sure)]
        expected["aligned"] += share * aligned_joint_loss(*of_limbs).item()
        order = ordinal_relations(of_limbs[1][..., 2], of_limbs[2])
        expected["ordinal"] += share * ordinal_depth_loss(of_limbs[0][..., 2], *order).item()
        seen = guess.project(points, inputs.focal)
        flat = reprojection_loss(seen, batch.keypoints_2d[..., :2], batch.keypoints_2d[..., 2])
        expected["keypoints_2d"] += share * flat.item()
        expected["rotations"] += share * rotation_loss(guess.rotations, batch.pose, batch.pose_confidence).item()
        expected["betas"] += share * betas_loss(guess.betas, batch.betas, batch.betas_confidence).item()
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, rel=1e-4)
    total = sum(getattr(weights, name) * value for name, value in expected.items())
    assert weights.total(found).item() == pytest.approx(total, rel=1e-4)


def test_the_truth_costs_nothing(body, piece):
    batch, inputs = piece
    weights = Weights(vertices=1, silhouette=1)
    place = batch.joints_3d[..., :3] - Objective(body).landmarks(batch.pose, batch.betas)
    x, y, z = place.mean(1).unbind(1)
    truth = Estimate(batch.pose, batch.betas, torch.stack([inputs.focal / z, x, y], 1))
    size = 64
    posed = body(batch.betas, batch.pose[:, 1:], batch.pose[:, 0]).vertices + truth.translation(inputs.focal)[:, None]
    camera = Camera((inputs.focal * size / 2)[:, None].expand(-1, 2), size=(size, size))
    mask = (255 * silhouette(posed, body.faces, camera)).round().to(torch.uint8)
    drawn = replace(batch, mask=mask, mask_confidence=torch.ones(len(batch)))
    losses = Objective(body, weights)(NetworkOutput([truth]), drawn, inputs.focal)
    assert losses.pop("silhouette").item() < 0.2  # soft edges never agree quite
    assert max(losses.values()).item() < 1e-4
    wrong = replace(truth, camera=truth.camera + torch.tensor([0.0, 0.3, 0.0]))
    assert Objective(body, weights)(NetworkOutput([wrong]), drawn, inputs.focal)["silhouette"].item() > 0.3


def test_what_has_no_label_costs_nothing_and_pulls_at_nothing(body, piece):
    batch, inputs = piece
    nothing = torch.zeros(len(batch))
    unlabelled = replace(
        batch,
        joints_3d=batch.joints_3d * 0,
        keypoints_2d=batch.keypoints_2d * 0,
        pose_confidence=nothing[:, None].expand(-1, 24),
        betas_confidence=nothing,
    )
    guess = _guess(batch, 0)
    guess = replace(guess, rotations=guess.rotations.requires_grad_(), betas=guess.betas.requires_grad_())
    total = Weights().total(Objective(body)(NetworkOutput([guess]), unlabelled, inputs.focal))
    total.backward()
    assert total == 0 and not guess.rotations.grad.any() and not guess.betas.grad.any()


def test_iterations_that_do_not_count_are_left_out(body, piece):
    batch, inputs = piece
    guesses = [_guess(batch, seed) for seed in range(3)]
    last, alone = Weights(iterations=(0.0, 0.0, 0.7)), Weights(iterations=(0.7,))
    found = Objective(body, last)(NetworkOutput(guesses), batch, inputs.focal)
    expected = Objective(body, alone)(NetworkOutput(guesses[-1:]), batch, inputs.focal)
    assert {n: v.item() for n, v in found.items()} == pytest.approx({n: v.item() for n, v in expected.items()})


def test_the_loss_of_shape_is_how_far_vertices_at_rest_are_apart(body, piece):
    batch, inputs = piece
    guess = replace(_guess(batch, 0), betas=(batch.betas + torch.randn(batch.betas.shape)).requires_grad_())
    objective = Objective(body, Weights(shape=1, iterations=(1.0,)))
    loss = objective(NetworkOutput([guess]), batch, inputs.focal)["shape"]
    apart = body.rest(guess.betas)[0] - body.rest(batch.betas)[0]
    assert loss.item() == pytest.approx(apart.square().sum(-1).mean(1).sqrt().mean().item(), rel=1e-4)
    at_truth = replace(guess, betas=batch.betas.clone().requires_grad_())
    loss = objective(NetworkOutput([at_truth]), batch, inputs.focal)["shape"]
    loss.backward()
    assert loss.item() < 1e-6 and at_truth.betas.grad.isfinite().all()


def test_wrong_keypoints_pull_less_where_losses_are_robust(body, piece):
    batch, inputs = piece
    guess, wrong = _guess(batch, 0), batch.keypoints_2d.clone()
    wrong[:, 0, :2] += 5.0
    pull = {}
    for robust in (0.0, 0.1):
        objective = Objective(body, Weights(robust_2d=robust))
        camera = guess.camera.clone().requires_grad_()
        mislabelled = replace(batch, keypoints_2d=wrong)
        losses = objective(NetworkOutput([replace(guess, camera=camera)]), mislabelled, inputs.focal)
        before = objective(NetworkOutput([guess]), batch, inputs.focal)["keypoints_2d"]
        pull[robust] = (losses["keypoints_2d"] - before).item()
        losses["keypoints_2d"].backward()
        assert camera.grad.abs().max() > 0
    count = batch.keypoints_2d.shape[1]
    assert pull[0.0] > 5 / count and 0 <= pull[0.1] <= 0.01 / count  # no label costs more than its scale squared


def test_groups_of_joints_share_all_of_them():
    groups, names = joint_groups("union55"), joint_set("union55")
    assert sorted(groups["joints"] + groups["landmarks"]) == list(range(len(names)))
    assert {names[i] for i in groups["joints"]} == set(joint_set("smpl24"))
    assert len(groups["limbs"]) == 12 and "landmarks" not in joint_groups("smpl24")


def _people(places: range):
    """A source whose people are numbered by their first beta."""
    batch, inputs = _people.piece
    rows = [0] * len(places)
    change = batch._map(lambda t: t[rows] if len(t) else t)
    numbered = replace(
        change, names=("",) * len(places), sequences=("",) * len(places), bodies=("",) * len(places),
        betas=torch.tensor([float(p) for p in places])[:, None].expand(-1, 10),
    )  # fmt: skip
    return numbered, replace(inputs, keypoints=inputs.keypoints[rows], focal=inputs.focal[rows])


def _numbers(*batches: list[Piece]) -> list[float]:
    """The numbers of the people of some batches, in order."""
    return sorted(number for batch in batches for piece in batch for number in piece[0].betas[:, 0].tolist())


def test_two_ranks_see_what_one_sees_with_twice_the_batch(piece):
    _people.piece = piece
    whole = Mixture([_people, _people], [3, 1], batch_size=12)
    halves = [Mixture([_people, _people], [3, 1], batch_size=6, rank=rank, ranks=2) for rank in (0, 1)]
    for number in (0, 1, 7, 500):
        assert _numbers(whole[number]) == _numbers(*(half[number] for half in halves))
    # Each source goes through its own row without gaps or repeats.
    assert _numbers(*(whole[number] for number in range(50))) == sorted([*range(450), *range(150)])


def test_sources_can_be_asked_in_different_processes(piece):
    _people.piece = piece
    whole = Mixture([_people, _people], [3, 1], batch_size=12)
    here, there = (replace(whole, made=frozenset({number})) for number in (0, 1))
    for number in (0, 5):
        assert _numbers(whole[number]) == _numbers(here[number], there[number])
    assert len(here[0][0][0]) == 9 and replace(whole, made=frozenset())[0] == []


@pytest.mark.parametrize("name", ["iterative_keypoints", "iterative_proxy", "iterative_rgb_proxy"])
def test_batches_are_the_same_whoever_makes_them(name, body, tmp_path):
    config = load_config([CONFIGS / f"{name}.yaml", CONFIGS / "tiny.yaml"], [f"out={tmp_path}"])
    (share,) = training_sources(config, body)
    mixture = Mixture([share.source], [1], batch_size=4, rank=1, ranks=2)
    alone = [piece for (piece,) in Loader(mixture, 3, 6, workers=0, pin_memory=False)]
    (again,) = training_sources(config, body)
    for workers in (1, 2):
        helped = Loader(replace(mixture, sources=[again.source]), 3, 6, workers=workers, pin_memory=False)
        for (batch, inputs), ((other, seen),) in zip(alone, helped, strict=True):
            assert torch.equal(batch.joints_3d, other.joints_3d) and torch.equal(batch.image, other.image)
            assert torch.equal(inputs.keypoints, seen.keypoints)
            assert inputs.silhouette is None or torch.equal(inputs.silhouette, seen.silhouette)
    # As a training that goes on from the last of them makes it; all others have other people.
    assert torch.equal(alone[2][0].joints_3d, mixture[5][0][0].joints_3d)
    others = [alone[1], *mixture[2], *replace(mixture, rank=0)[3], *replace(mixture, rank=0)[4]]
    assert not any(torch.isin(alone[0][0].betas, batch.betas).any() for batch, _ in others)


def test_the_network_leaves_cores_to_those_who_make_data(tmp_path, monkeypatch):
    seen, before = [], torch.get_num_threads()
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(Training, "on_before_optimizer_step", lambda *_: seen.append(torch.get_num_threads()))
    try:
        torch.set_num_threads(3)
        for workers in ("1", "null", "0", "4"):
            train(_config(tmp_path / workers, f"workers={workers}", "steps=1", "validation.people=4"))
        assert seen == [2, 2, 3, 1] and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_learning_rate_rises_and_falls(tmp_path):
    config = _config(tmp_path, "optimizer.warmup=10", "optimizer.final=0.1")
    rates = [rate_at(step, 100, config.optimizer) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 11) and max(rates) == rates[10] == 1
    assert rates[55] == pytest.approx(0.55) and rates[100] == pytest.approx(0.1)


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path):
    changes = ["steps=16", "accumulation=2", "checkpoint_every=2", "weights.realism=0.1"]
    changes += ["validation.every=8", "validation.people=4"]
    train(_config(tmp_path / "whole", *changes))
    command = [sys.executable, "-m", "meshrec.cli", "train", *(f"--config={path}" for path in TINY)]
    out = tmp_path / "killed"
    options = [*changes, "network.settings.dropout=0.2", "--out", str(out)]
    running = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        # Between its first checkpoint and its end, which is many checkpoints away.
        while not (out / "last.safetensors").is_file() and running.poll() is None:
            time.sleep(0.01)
        os.kill(running.pid, signal.SIGKILL)
    finally:
        running.kill()
        running.wait()
    assert load_checkpoint(out / "last.safetensors", load_body("neutral")).provenance["step"] < 16
    train(_config(out, *changes))
    whole, resumed = (load_file(folder / "last.safetensors") for folder in (tmp_path / "whole", out))
    assert whole.keys() == resumed.keys()
    for name in whole:
        assert torch.equal(whole[name], resumed[name]), name


@pytest.mark.parametrize("first", [4, 3])
def test_a_training_that_has_ended_can_be_made_longer(first, tmp_path):
    """With a constant rate of learning, it is the training that had the larger number of steps from the start."""
    changes = ["accumulation=2", "checkpoint_every=2", "validation.people=4", "optimizer.warmup=0", "optimizer.final=1"]
    train(_config(tmp_path / "whole", "steps=6", *changes))
    out = tmp_path / "longer"
    for steps in (first, 6):
        train(_config(out, f"steps={steps}", *changes))
        assert read_header(out / "last.safetensors")["provenance"]["step"] == steps
    whole, longer = (load_file(folder / "last.safetensors") for folder in (tmp_path / "whole", out))
    for name in whole:
        assert torch.equal(whole[name], longer[name]), name
    with pytest.raises(InputError, match="another 'steps'"):
        train(_config(out, "steps=5", *changes))


def test_people_made_on_the_device_of_the_training_change_nothing(tmp_path, monkeypatch):
    changes = ["steps=3", "validation.people=8", "precision=bf16"]
    train(_config(tmp_path / "beside", *changes))
    here = lambda *given: [replace(share, on_device=True) for share in training_sources(*given)]  # noqa: E731
    monkeypatch.setattr("meshrec.training.run.training_sources", here)
    train(_config(tmp_path / "here", *changes))
    beside, here = (load_file(tmp_path / name / "last.safetensors") for name in ("beside", "here"))
    assert all(torch.equal(beside[name], here[name]) for name in beside)


def test_the_command_trains_and_tells_mistakes_in_a_sentence(tmp_path, capsys):
    command = ["train", *(f"--config={path}" for path in TINY)]
    assert main([*command, "steps=1", "validation.people=8", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "last.safetensors")
    for change, message in {
        "optimiser.rate=1": "no key 'optimiser'; did you mean 'optimizer'?",
        "optimizer.rat=1": "no key 'optimizer.rat'; did you mean 'rate'?",
        "network.settings.encoder.resnt=18": "no key 'network.settings.encoder.resnt'; did you mean 'resnet'?",
        "datasets.mine.form=coco": "no key 'datasets.mine.form'; did you mean 'format'?",
        "optimizer.rate=-1": "'optimizer.rate' should be greater than 0, not -1.",
        "steps=ten": "'steps' should be a valid integer",
        "steps": "write key=value",
    }.items():
        assert main([*command, change]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_a_network_of_pictures_starts_from_imagenets_weights(tmp_path):
    torch.save(efficientnet_weights(), tmp_path / "lite0.pth")
    files = [CONFIGS / "iterative_rgb.yaml", CONFIGS / "tiny.yaml"]
    changes = [f"out={tmp_path / 'run'}", "network.settings.encoder.resnet=efficientnet_lite0"]
    start = f"network.imagenet={tmp_path / 'lite0.pth'}"
    config = load_config(files, [*changes, start, "steps=1", "batch_size=2", "validation.people=2"])
    backbone = start_network(config, training_body(config)).encoder.backbone
    assert torch.equal(backbone.conv_stem.weight, efficientnet_weights()["_conv_stem.weight"])
    checkpoint = load_checkpoint(train(config))
    assert checkpoint.network.config.encoder.resnet == "efficientnet_lite0"
    with pytest.raises(InputError, match=r"'network\.imagenet' is for networks that see rgb"):
        train(_config(tmp_path / "keypoints", start))


def test_another_training_in_the_same_folder_is_refused(tmp_path):
    train(_config(tmp_path, "steps=1", "validation.people=8"))
    with pytest.raises(InputError, match="another 'seed'"):
        train(_config(tmp_path, "steps=1", "validation.people=8", "seed=1"))
    assert train(_config(tmp_path, "steps=1", "log_every=3")) == tmp_path / "last.safetensors"


def test_a_training_that_diverges_stops_and_keeps_what_was_good(tmp_path, monkeypatch):
    total_loss = Training.total_loss
    broken = lambda self, *given: total_loss(self, *given) * (float("nan") if given[-1] == 3 else 1)  # noqa: E731
    monkeypatch.setattr(Training, "total_loss", broken)
    with pytest.raises(TrainingDiverged, match="no longer a number at step 4"):
        train(_config(tmp_path, "steps=6", "validation.every=9", "validation.people=8", "checkpoint_every=2"))
    assert all(value.isfinite().all() for value in load_file(tmp_path / "last.safetensors").values())


def test_a_checkpoint_says_how_it_came_about(tmp_path):
    train(_config(tmp_path, "steps=2", "validation.people=20", "validation.every=1"))
    checkpoint = load_checkpoint(tmp_path / "last.safetensors", load_body("neutral"))
    provenance = checkpoint.provenance
    assert provenance["step"] == 2 and provenance["config"]["batch_size"] == 8
    assert provenance["metrics_mm"]["synthetic/pa_mpjpe"] > 0 and 0 <= provenance["waiting_for_data"] <= 1
    covariance = checkpoint.error_covariance
    assert covariance.shape == (1, 82, 82) and torch.linalg.eigvalsh(covariance.double()).min() > 0
    assert checkpoint.shape_calibration.shape == (1, 11, 10)
    assert list(tmp_path.glob("events.out.tfevents.*"))


class _ByMask(torch.nn.Module):
    """A network that knows the poses, and the shapes of people with a mask; of others it says something else."""

    def __init__(self, truth: Batch) -> None:
        super().__init__()
        self.truth = truth

    def forward(self, inputs: NetworkInput) -> NetworkOutput:
        masked = inputs.silhouette.flatten(1).any(1, keepdim=True)
        pose = torch.cat([self.truth.pose, mirror_pose(self.truth.pose)])
        betas = torch.where(masked, self.truth.betas.repeat(2, 1), torch.ones(1, 10))
        return NetworkOutput([Estimate(pose, betas, torch.ones(len(betas), 3))])


def test_errors_are_measured_with_and_without_masks(piece):
    batch, inputs = piece
    inputs = replace(inputs, silhouette=torch.ones(len(batch), 1, 8, 8))
    network, joints = _ByMask(batch).train(), "mediapipe33"
    spread = batch.betas.var(0, unbiased=False).double()
    for seen, least in ((("keypoints", "silhouette"), [0 * spread, spread]), (("keypoints",), [0 * spread])):
        encoder = EncoderConfig(inputs=seen, joints=joints, resnet=0)
        people = {"synthetic": [(batch, inputs)]}
        covariances, calibrations = measure_errors(network, people, encoder, batch.bodies[0], torch.device("cpu"))
        assert network.training and covariances.shape == (len(least), 82, 82)
        assert calibrations.shape == (len(least), 11, 10)
        for covariance, expected in zip(covariances, least):  # calibrated, the errors are what nobody knows
            torch.testing.assert_close(covariance.diagonal()[72:] - 0.1**2, expected, rtol=0.05, atol=0.02)
            assert covariance[:72, :72].diagonal().max() < 1e-3


def test_errors_are_measured_on_those_who_are_known(piece):
    """Sources and people without whole labels change nothing; with nobody known there is nothing to say."""
    batch, inputs = piece
    encoder = EncoderConfig(inputs=("keypoints",), joints="mediapipe33", resnet=0)
    inputs = replace(inputs, silhouette=torch.ones(len(batch), 1, 8, 8))
    bare = replace(batch, pose_confidence=0 * batch.pose_confidence)
    half = replace(batch, betas_confidence=torch.tensor([1.0, 1, 0, 1, 0, 1]))
    where = batch.bodies[0], torch.device("cpu")

    def measured(**people):
        return measure_errors(_ByMask(batch), {name: [(own, inputs)] for name, own in people.items()}, encoder, *where)

    assert measured(bare=bare) == measured() == (None, None)
    assert measure_errors(_ByMask(batch), {"mine": [(batch, inputs)]}, encoder, "another", where[1]) == (None, None)
    for ours, expected in zip(measured(all=batch, bare=bare), measured(all=batch)):
        assert torch.equal(ours, expected)
    rows = [0, 1, 3, 5]
    for ours, spread in zip(measured(half=half)[0], [batch.betas[rows].var(0, unbiased=False).double()]):
        assert (ours.diagonal()[72:] < spread + 0.1**2 + 1e-3).all()


def _own_people(folder, body, count=6):
    """Pictures and labels of people of a body: an npz with 3D labels, and COCO's JSON with keypoints alone."""
    names = []
    for number in range(count):
        names.append(f"{number}.png")
        cv2.imwrite(str(folder / names[-1]), np.full((80, 80, 3), 40 * number, np.uint8))
    rng = np.random.default_rng(0)
    part = np.concatenate([rng.uniform(20, 60, (count, 24, 2)), np.ones((count, 24, 1))], axis=2)
    space = np.concatenate([rng.normal(size=(count, 24, 3)) / 4, np.ones((count, 24, 1))], axis=2)
    np.savez(
        folder / "mine.npz",
        imgname=np.array(names), center=np.full((count, 2), 40.0), scale=np.full(count, 0.3), part=part, S=space,
        pose=rng.normal(size=(count, 72)) / 5, shape=rng.normal(size=(count, 10)),
    )  # fmt: skip
    people = [
        {"image_id": i, "bbox": [10, 10, 60, 60], "keypoints": np.c_[part[i, :17, :2], np.full(17, 2)].ravel().tolist()}
        for i in range(count)
    ]
    images = [{"id": i, "file_name": name} for i, name in enumerate(names)]
    (folder / "flat.json").write_text(json.dumps({"images": images, "annotations": people}))
    mine = [f"format=spin path={folder}/mine.npz pictures={folder} bodies.neutral={body.hash}"]
    return mine[0].split(), f"format=coco path={folder}/flat.json pictures={folder}".split()


@pytest.fixture(scope="module")
def smpl_file(tmp_path_factory):
    """A body with SMPL's number of vertices and without a texture layout, as SMPL's own files have none."""
    path = tmp_path_factory.mktemp("smpl") / "SMPL_NEUTRAL.npz"
    write_body(body_from_arrays(random_arrays(6890), ""), path)
    return path


def test_a_network_of_pictures_is_trained_for_smpls_body_on_the_users_own_data(tmp_path, smpl_file):
    """Nobody of this body can be painted: synthetic people are left out, and validation is on data too."""
    solid, flat = _own_people(tmp_path, load_body(smpl_file))
    files, out = [CONFIGS / "iterative_rgb.yaml", CONFIGS / "tiny.yaml"], tmp_path / "run"
    changes = [f"body={smpl_file}", "steps=2", "batch_size=4", f"out={out}", "validation.every=1"]
    keys = [f"datasets.flat.{key}" for key in flat] + [f"validation.datasets.mine.{key}" for key in solid]
    path = train(load_config(files, [*changes, *keys, "synthetic=null"]))
    checkpoint = load_checkpoint(path, load_body(smpl_file))
    assert set(checkpoint.provenance["metrics_mm"]) == {f"mine/{name}" for name in ("mpjpe", "pa_mpjpe", "pve_t")}
    assert checkpoint.provenance["metrics_2d"] == {}
    assert checkpoint.error_covariance.shape == (1, 82, 82) and checkpoint.body_hash == load_body(smpl_file).hash
    report = evaluate(path, f"spin:{tmp_path}/mine.npz", smpl_file, tmp_path, bodies={"neutral": smpl_file})
    assert np.isfinite([report.people[name] for name in ("mpjpe", "pa_mpjpe")]).all()
    # The datasets the other way round: labels in the picture alone are measured there.
    keys = [f"datasets.mine.{key}" for key in solid] + [f"validation.datasets.flat.{key}" for key in flat]
    config = load_config(files, [*changes, *keys, "synthetic=null", f"out={tmp_path / 'other'}"])
    checkpoint = load_checkpoint(train(config))
    assert checkpoint.provenance["metrics_mm"] == {} and checkpoint.error_covariance is None
    assert 0 < checkpoint.provenance["metrics_2d"]["flat/keypoints_2d"] < 5000
    # Without anybody to validate on it trains as well.
    keys = [f"datasets.flat.{key}" for key in flat]
    config = load_config(files, [*changes, *keys, "synthetic=null", f"out={tmp_path / 'alone'}"])
    assert load_checkpoint(train(config)).provenance["metrics_mm"] == {}
    with pytest.raises(InputError, match=r"this body has no texture layout .* set 'synthetic' to null"):
        train(load_config(files, [*changes, *keys, f"out={tmp_path / 'painted'}"]))


def test_nobody_is_validated_on_who_is_trained_on(tmp_path, body):
    solid, flat = _own_people(tmp_path, body)
    trained = [f"datasets.mine.{key}" for key in solid]
    again = [f"validation.datasets.again.{key}" for key in solid]
    (tmp_path / "link.npz").symlink_to(tmp_path / "mine.npz")
    shutil.copy(tmp_path / "mine.npz", tmp_path / "copy.npz")
    paths = [f"validation.datasets.again.path={tmp_path}/{name}.npz" for name in ("link", "copy")]
    for held_out in (again, [*again, paths[0]], [*again, paths[1]]):
        with pytest.raises(InputError, match=r"'validation\.datasets\.again' reads .* 'datasets\.mine' trains on it"):
            train(_config(tmp_path / "run", *trained, *held_out))
    with pytest.raises(InputError, match=r"'validation\.datasets\.synthetic' is named as another source"):
        train(_config(tmp_path / "run", *(key.replace("again", "synthetic") for key in again)))
    config = _config(tmp_path / "run", *(f"validation.datasets.flat.{key}" for key in flat), "validation.people=4")
    sources = validation_sources(config, body)
    assert {name: count for name, (_, count) in sources.items()} == {"synthetic": 4, "flat": 4}
    batch, _ = sources["flat"][0](range(4))
    assert [name.split("(")[1] for name in batch.names] == ["0.png)", "2.png)", "3.png)", "5.png)"]


def test_contradictions_are_told_before_anything_starts(tmp_path):
    for change, message in {
        "weights.iterations=[1.0]": "weighs 1 of 4 iterations",
        "renderer=pytorch3d": "not installed",
        "synthetic=null": "nothing to train on",
        "network.frozen=[backbone]": "no part 'backbone'",
        "network.init=nowhere.safetensors": "nowhere.safetensors",
    }.items():
        if change == "renderer=pytorch3d" and find_spec("pytorch3d"):
            continue
        with pytest.raises(InputError, match=message):
            train(_config(tmp_path, change))
    assert not list(tmp_path.iterdir())


def test_two_ranks_have_the_gradient_of_one_with_twice_the_batch(tmp_path, monkeypatch):
    # Of people who do not hang on how they are shared out; with nothing that is normalised over a batch.
    changes = [
        "steps=1",
        "validation.people=4",
        "network.freeze_batch_norm=true",
        "network.settings.dropout=0",
        "seed=3",
    ]
    files = [CONFIGS / "iterative_rgb.yaml", CONFIGS / "tiny.yaml"]
    kept = ROOT / "tests/helpers/kept_gradients.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(kept)]
    several = [f"out={tmp_path / 'two'}", "devices=2", "batch_size=2", *changes]
    subprocess.run([*command, str(tmp_path), *map(str, files), *several], check=True, capture_output=True, timeout=200)

    monkeypatch.setattr(
        Training, "on_before_optimizer_step", lambda module, _: keep_gradients(module, tmp_path / "one")
    )
    train(load_config(files, [f"out={tmp_path / 'one'}", "batch_size=4", *changes]))
    one, *two = (torch.load(tmp_path / name, weights_only=True) for name in ("one/0.pt", "0.pt", "1.pt"))
    assert max(gradient.abs().max() for gradient in one.values()) > 0.1
    for name, gradient in one.items():
        for other in two:
            assert torch.allclose(other[name], gradient, atol=1e-5), name
