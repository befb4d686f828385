"""Fits in the loop: their labels lie on the keypoints, the better fit is kept, and a kill loses nothing."""

import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.paths import CONFIGS
from safetensors.torch import load_file

from meshrec.body import joint_set
from meshrec.body.state import BodyState
from meshrec.data.augmentation import flipped
from meshrec.data.sample import person_sample
from meshrec.errors import InputError
from meshrec.fit import Fitter
from meshrec.geometry import Camera
from meshrec.landmarks.moments import LandmarkMoments
from meshrec.landmarks.numba_backend import landmark_positions
from meshrec.synthetic.people import SyntheticPeople
from meshrec.training import in_the_loop, kept_fits, load_config, train
from meshrec.training.in_the_loop import fit_round, fit_samples
from meshrec.training.kept_fits import Fits, WithFits, better, read_fits, shard_path, write_fits
from meshrec.training.pieces import Needs
from meshrec.training.run import start_network, stops, training_body

NEEDS = Needs("lsp14", 64, pictures=False, silhouettes=False, masks=False)
CODE = """
    import numpy as np
    from meshrec.body import joint_set
    from meshrec.data.sample import person_sample

    def read(path, pictures, bodies):
        blank, crop = np.zeros((50, 50, 3), np.uint8), (np.array([25.0, 25.0]), 50.0)
        return [
            person_sample(f"person {i}", blank, crop, joint_set("lsp14"), np.c_[place, np.ones(14)])
            for i, place in enumerate(np.load(path))
        ]
"""


@pytest.fixture(scope="module")
def people(body):
    """Synthetic people with the joints of LSP in photos of known cameras, whose crops lie beside the photo's middle."""
    drawn = SyntheticPeople(body, 3, resolution=64).draw(range(6))
    moments = LandmarkMoments.of_body(body, "lsp14")
    camera = Camera(600.0, center=(400.0, 300.0), size=(800, 600))
    rotations, betas = drawn.rotations.double(), drawn.betas.double()
    place = torch.tensor([0.9, 0.3, 4.0]).double().repeat(6, 1)
    points = landmark_positions(moments, BodyState(rotations, place, betas))
    pixels = camera.project(points)[..., :2].numpy()
    samples = []
    for i, own in enumerate(pixels):
        low, high = own.min(0), own.max(0)
        crop = (low + high) / 2, 1.3 * float((high - low).max())
        keypoints = np.c_[own, np.ones(14)].astype(np.float32)
        samples.append(
            person_sample(f"person {i}", np.zeros((2, 2, 3), np.uint8), crop, joint_set("lsp14"), keypoints,
                          camera=None if i >= 3 else camera)
        )  # fmt: skip
    return samples, points[:3]


def test_labels_of_fits_lie_on_the_keypoints(body, people, tmp_path):
    """In the sample's own camera, known or not, and in the mirror too."""
    samples, _ = people
    report = fit_round({"mine": samples}, tmp_path, 0, body, None, NEEDS, 0.05)
    assert report.people == 6 and report.improved == 1 and report.error < 0.04
    labelled = WithFits(samples, tmp_path / "mine", body, 0.05)
    good = 0
    for i, sample in enumerate(samples):
        found = labelled[i]
        good += int(found.pose_confidence.all())
        if not found.pose_confidence.all():
            assert found is sample
            continue
        assert found.body == body.hash and found.joints == joint_set("union55")
        for person in (found, flipped(found)):
            index = [person.joints.index(name) for name in joint_set("lsp14")]
            focal, principal = (person.focal, person.principal) if i < 3 else (person.focal, np.zeros(2))
            points = person.joints_3d[index, :3]
            seen = focal * points[:, :2] / points[:, 2:] + principal
            off = np.linalg.norm(seen - person.keypoints_2d[index, :2], axis=1)
            assert np.median(off) < 0.1  # halves of the crop's side
        posed = body(
            torch.from_numpy(found.betas)[None], torch.from_numpy(found.pose[1:])[None],
            torch.from_numpy(found.pose[:1]),
        )  # fmt: skip
        joints = body.joints_from(posed.vertices, "union55")[0].numpy()
        shift = found.joints_3d[:, :3] - joints
        assert np.abs(shift - shift.mean(0)).max() < 0.01
    assert good >= 4


def test_the_better_fit_is_kept_over_rounds(body, people, tmp_path):
    samples, _ = people
    config = load_config([CONFIGS / "in_the_loop.yaml", CONFIGS / "tiny.yaml"])
    network = start_network(config, training_body(config)).eval()
    energies = []
    for number in range(3):
        report = fit_round({"mine": samples}, tmp_path, number, body, network, NEEDS, 0.05)
        names = [sample.name for sample in samples]
        fits = read_fits(shard_path(tmp_path / "mine", 0), names, body.hash)
        assert int(fits.round) == number and report.energy == pytest.approx(fits.energy.mean(), rel=1e-5)
        energies.append(fits.energy)
        if number == 0:  # the library knows more than a network of random weights
            new = fit_samples(samples, Fitter(body, silhouettes=False), None, NEEDS)
            write_fits(shard_path(tmp_path / "mine", 0), better(fits, replace(new, round=fits.round)))
    assert (energies[1] <= energies[0]).all() and (energies[1] < energies[0]).any()
    assert (energies[2] <= energies[1]).all()


def test_files_of_other_people_are_refused(body, tmp_path):
    path = shard_path(tmp_path, 0)
    fits = replace(Fits.none(["a", "b"]), body=np.array(body.hash))
    write_fits(path, fits)
    assert np.isinf(read_fits(path, ["a", "b"], body.hash).energy).all()
    for names, hashed in ((["a", "c"], body.hash), (["a", "b"], "other"), (["a"], body.hash)):
        with pytest.raises(InputError, match=r"00000\.npz holds"):
            read_fits(path, names, hashed)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"00000\.npz"):
        read_fits(path, ["a", "b"], body.hash)


@pytest.fixture
def configuration(tmp_path, monkeypatch, people):
    (tmp_path / "loop_code.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(kept_fits, "SHARD", 4)
    monkeypatch.setattr(in_the_loop, "SHARD", 4)
    places = np.stack([25 + 25 * sample.keypoints_2d[:, :2] for sample in people[0]])
    np.save(tmp_path / "people.npy", places)
    files = [CONFIGS / "in_the_loop.yaml", CONFIGS / "tiny.yaml"]
    changes = ["datasets.lspe.format=loop_code:read", f"datasets.lspe.path={tmp_path}/people.npy", "steps=5"]
    changes += ["validation.every=1"]
    yield lambda out: load_config(files, [*changes, "in_the_loop.every=2", f"out={tmp_path / out}"])
    sys.modules.pop("loop_code", None)


def test_a_training_that_is_killed_among_its_fits_goes_on_as_if_nothing_had_happened(
    configuration, tmp_path, monkeypatch, capsys
):
    train(configuration("whole"))
    said = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    first, second, third = (f"fits of round {number}" for number in (1, 2, 3))
    assert said == [first, "step 1", "step 2", second, "step 3", "step 4", third, "step 5"]

    write, left = in_the_loop.write_fits, [3]

    def killed(path, fits):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        write(path, fits)

    monkeypatch.setattr(in_the_loop, "write_fits", killed)
    with pytest.raises(KeyboardInterrupt):  # between the two files of the second round
        train(configuration("killed"))
    monkeypatch.setattr(in_the_loop, "write_fits", write)
    train(configuration("killed"))
    whole, resumed = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "killed"))
    for name in whole:
        assert torch.equal(whole[name], resumed[name]), name
    for number in (0, 1):
        one, other = (np.load(shard_path(tmp_path / name / "fits" / "lspe", number)) for name in ("whole", "killed"))
        assert all(np.array_equal(one[key], other[key]) for key in one) and int(one["round"]) == 2


def test_rounds_are_where_they_should_be(configuration):
    config = configuration("unused")
    assert [stops(config, step) for step in (0, 1, 2, 4, 5)] == [[2, 4, 5], [2, 4, 5], [4, 5], [5], [5]]
    assert stops(replace(config, in_the_loop=None), 3) == [5]


def test_what_the_loop_needs_is_told(configuration):
    config = configuration("unused")
    for change, message in ({"datasets": None}, "name at least one"), ({"devices": 2}, "runs in one process"):
        with pytest.raises(InputError, match=f"'in_the_loop' .*{message}"):
            train(replace(config, **change))
