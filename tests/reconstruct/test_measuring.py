"""Measures of people in files, and the covariance of their shape from fit to file."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import meshrec
from meshrec import InputError, Person
from meshrec.cli import main
from meshrec.fit.result import shape_covariances
from meshrec.fit.solver import Quadratic


@pytest.fixture
def person(body) -> Person:
    rng = np.random.default_rng(0)
    root = 0.2 * rng.standard_normal((10, 10))
    turns = np.tile(np.eye(3), (24, 1, 1))
    return Person(body, rng.standard_normal(10), turns, np.array([0, 0, 4.0]), shape_covariance=root @ root.T)


def test_the_covariance_of_a_fit_is_that_of_its_gaussian():
    """Of samples of a Gaussian with the Hessian as information; an improper one knows only the prior."""
    rng = np.random.default_rng(1)
    root = rng.standard_normal((85, 85)) + 5 * np.eye(85)
    hessian = torch.from_numpy(np.stack([root @ root.T, np.zeros((85, 85)) - np.eye(85)]))
    found = shape_covariances(Quadratic(torch.zeros(2), torch.zeros(2, 85), hessian))
    steps = np.linalg.solve(root.T, rng.standard_normal((85, 200_000)))
    spread = np.cov(steps)[75:, 75:]
    assert np.abs(found[0].numpy() - spread).max() < 0.05 * spread.max()
    assert torch.equal(found[1], torch.eye(10).double())


def test_a_person_keeps_the_covariance_in_files(person, tmp_path):
    for name in ("p.json", "p.npz"):
        person.save(tmp_path / name)
        assert np.array_equal(Person.load(tmp_path / name).shape_covariance, person.shape_covariance)
    with pytest.raises(ValueError, match="shape_covariance"):
        replace(person, shape_covariance=np.eye(9))
    document = person.to_dict()
    document["shape_covariance"] = np.eye(3).tolist()
    (tmp_path / "p.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"p.json: shape_covariance is \(3, 3\) for 10 betas"):
        Person.load(tmp_path / "p.json")


def test_a_person_measures_as_the_shape(person, body):
    measures = meshrec.measure(person)
    assert measures == meshrec.measure(body, person.betas, person.shape_covariance)
    assert min(measures.deviations.values()) > 0
    assert meshrec.measure(replace(person, shape_covariance=None)).deviations is None
    tall = meshrec.measure(person, height=1.9)
    assert tall["stature"] == pytest.approx(1.9, abs=1e-3)
    assert tall.deviations["stature"] < 0.1 * measures.deviations["stature"]


def test_wrong_arguments(person, body):
    with pytest.raises(TypeError, match="has betas already"):
        meshrec.measure(person, np.zeros(10))
    with pytest.raises(ValueError, match="betas should be"):
        meshrec.measure(body, np.zeros(11))
    with pytest.raises(ValueError, match="covariance should be 10 x 10"):
        meshrec.measure(body, np.zeros(10), np.eye(3))
    for height in (170.0, -1.0, float("nan")):
        with pytest.raises(InputError, match=r"from 0.3 to 2.6 metres"):
            meshrec.measure(body, height=height)


def test_the_command_measures_files_and_bodies(person, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    person.save("a.json")
    replace(person, shape_covariance=None).save("b.npz")
    assert main(["measure", "a.json", "b.npz", "--json", "m.json"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("waistcircumference") == 2 and "stature" in shown
    document = json.loads((tmp_path / "m.json").read_text())
    expected = meshrec.measure(person)
    assert document["a.json"] == expected.to_dict()
    assert document["b.npz"]["stature"] == {**document["a.json"]["stature"], "deviation": None}
    assert main(["measure", "female", "--betas", "1,-1", "--height", "1.70"]) == 0
    assert "170.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("nobody.json", "cannot read nobody.json"),
        ("a.json --height 180", "a.json: a stature is from 0.3 to 2.6 metres, not 180"),
        ("a.json --betas 1", "--betas is for a body"),
        ("neutral a.json", "a body is measured alone"),
        ("neutral --betas 1,2,3,4,5,6,7,8,9,10,11", "--betas has 11 numbers"),
        ("neutral --betas x", "should be numbers separated by commas"),
        ("neutral --json m.txt", "json"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, sentence, person, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    person.save("a.json")
    assert main(["measure", *arguments.split()]) == 1
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
