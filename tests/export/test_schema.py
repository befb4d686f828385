"""The JSON Schemas of result files: valid, complete, with units, and true of what is written."""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.results import check_result, strict_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from meshrec import Camera, Person, Track, load_body
from meshrec.export import load_schema
from meshrec.export.schema import SCHEMAS
from meshrec.geometry import axis_angle_to_matrix

jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
UNITS = re.compile(r"\b(metres|pixels|radians|degrees|bytes|seconds|nanoseconds|no unit)\b", re.IGNORECASE)


def nodes(schema: object, path: str = "") -> Iterator[tuple[str, dict]]:
    """All schemas within a schema, with their places."""
    if isinstance(schema, dict):
        if "type" in schema or "const" in schema:
            yield path, schema
        for key, entry in schema.items():
            yield from nodes(entry, f"{path}/{key}")
    elif isinstance(schema, list):
        for i, entry in enumerate(schema):
            yield from nodes(entry, f"{path}/{i}")


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas_of_2020_12(name):
    schema = load_schema(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_is_described_and_every_number_has_a_unit(name):
    schema = load_schema(name)
    for path, node in nodes(schema):
        if path.rpartition("/")[0].endswith("/properties"):
            assert node["description"], path
        if {"number", "integer"} & {*np.atleast_1d(node.get("type", ""))}:
            assert UNITS.search(node["description"]), f"{path}: {node['description']}"


def test_there_is_no_other_schema():
    with pytest.raises(ValueError, match="no schema 'scene': choose of person, photo, track, clip, cameras"):
        load_schema("scene")


floats = st.floats(-50, 50, width=32)
share = st.floats(0, 1, width=32)
names = st.lists(st.text(min_size=1, max_size=6), unique=True, min_size=0, max_size=4).map(tuple)


@st.composite
def people(draw) -> Person:
    """People anywhere, also behind the camera, with and without what is optional."""
    keypoint_names = draw(names)
    keypoints = arrays(np.float32, (len(keypoint_names), 3), elements=floats)
    return Person(
        load_body("neutral"),
        betas=draw(arrays(np.float32, 10, elements=floats)),
        rotations=axis_angle_to_matrix(draw(arrays(np.float32, (24, 3), elements=floats).map(torch.from_numpy))),
        translation=draw(arrays(np.float32, 3, elements=floats)),
        camera=draw(st.none() | st.builds(Camera, st.floats(0.1, 1e5), st.just((2.5, 3)), st.just((7, 9)))),
        box=draw(st.none() | arrays(np.float32, 4, elements=floats)),
        score=draw(st.none() | share),
        reprojection_error=draw(st.none() | share),
        mask_iou=draw(st.none() | share),
        keypoints_2d=draw(st.none() | keypoints),
        keypoint_names=keypoint_names,
        joint_deviation=draw(st.none() | arrays(np.float32, 24, elements=share)),
        gravity=draw(st.none() | arrays(np.float32, 3, elements=floats)),
        gravity_deviation=draw(st.none() | arrays(np.float32, 2, elements=share)),
        shape_covariance=draw(st.none() | arrays(np.float32, (10, 10), elements=floats)),
        made_by=draw(st.sampled_from(["", "fit", "proxy + fit"])),
    )


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(people())
def test_any_person_is_written_as_the_schema_says_and_read_again(person):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.json"
        text = person.to_json(path)
        assert path.read_text() == text
        again = Person.load(path)
    document = strict_json(text)
    assert document == person.to_dict()
    check_result(document, "person")
    assert document.keys() == load_schema("person")["properties"].keys()  # what is not known is null
    for name in ("betas", "translation", "box", "joint_deviation", "shape_covariance"):
        assert np.array_equal(getattr(again, name), getattr(person, name)), name
    for name in ("score", "reprojection_error", "mask_iou", "made_by"):
        assert getattr(again, name) == getattr(person, name), name
    assert np.abs(again.vertices - person.vertices).max() < 1e-3


def test_the_schema_refuses_what_is_no_person(body):
    person = Person(body, np.zeros(10), np.tile(np.eye(3), (24, 1, 1)), np.array([0, 0, 4.0]), Camera(500.0)).to_dict()
    check_result(person, "person")
    for changes in (
        {"version": 2},
        {"schema": "meshrec.photo"},
        {"pose": person["pose"][:23]},
        {"translation": [0, 0]},
        {"translation": [0, 0, 4, 1]},
        {"betas": ["1"]},
        {"betas": None},
        {"camera": {**person["camera"], "focal": [0, 1]}},
        {"joints_3d": {"pelvis": [0, 0]}},
        {"undescribed": 1},
    ):
        with pytest.raises(jsonschema.ValidationError):
            check_result({**person, **changes}, "person")
    jsonschema.validate({**person, "undescribed": 1}, load_schema("person"))  # readers ignore unknown keys


def test_a_track_of_which_all_or_little_is_known_is_as_the_schema_says(body, tmp_path):
    still, places = np.tile(np.eye(3), (3, 24, 1, 1)), np.tile([0.0, 0, 4], (3, 1))
    bare = Track(body, np.zeros(10), still, places, np.arange(3), np.arange(3) / 30)
    unknown = np.array([0.1, np.nan, 0.2])
    full = replace(
        bare,
        camera=Camera(500.0, size=(64, 48)),
        boxes=np.ones((3, 4)),
        scores=np.array([0.5, 0, 1]),
        seen=np.array([True, False, True]),
        reprojection_errors=unknown,
        mask_ious=unknown,
        keypoints_2d=np.ones((3, 2, 3)),
        keypoint_names=("nose", "neck"),
        joint_deviations=np.ones((3, 24)),
        contacts=np.ones((3, 4), bool),
        gravity=np.array([0, 1, 0]),
        gravity_deviation=np.array([0.1, 0.1]),
        scene=2,
    )
    for name, track in (("bare", bare), ("full", full)):
        path = tmp_path / f"{name}.json"
        track.save(path)
        document = strict_json(path.read_bytes())
        check_result(document, "track")
        assert Track.load(path).scene == track.scene
    assert document.keys() == load_schema("track")["properties"].keys()
    for changes in (
        {"track_version": 2},
        {"track_schema": "meshrec.person"},
        {"pose": [document["pose"][0][:23]]},
        {"zooms": [0, 1, 1]},
        {"seen": [1, 0, 1]},
        {"contacts": [[True]]},
        {"undescribed": 1},
    ):
        with pytest.raises(jsonschema.ValidationError):
            check_result({**document, **changes}, "track")
