"""Broken parameter files of people."""

import json
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np

import meshrec
from helpers.bad_input import files as make
from helpers.bad_input.case import Case, Content


@cache
def person() -> str:
    """A parameter file of a person in the rest pose, written by hand."""
    names = [f"joint {i}" for i in range(24)]
    return json.dumps(
        {
            "schema": "meshrec.person",
            "version": 1,
            "space": "camera, OpenCV: x right, y down, z forward; metres",
            "body": {"name": "neutral", "hash": meshrec.load_body("neutral").hash},
            "camera": {"focal": [500.0, 500.0], "center": [160.0, 120.0], "size": [320, 240]},
            "betas": [0.0] * 10,
            "pose": [[0.0, 0.0, 0.0]] * 24,
            "translation": [0.0, 0.0, 3.0],
            "keypoints_2d": {"nose": [160.0, 20.0, 1.0]},
            "joints_3d": {name: [0.0, 0.0, 3.0] for name in names},
        }
    )


def edited(**changes: object) -> Callable[[], bytes]:
    """A function that makes the parameter file with changed keys; the value "gone" removes a key."""

    def content() -> bytes:
        document = json.loads(person()) | changes
        return json.dumps({key: value for key, value in document.items() if value != "gone"}).encode()

    return content


def parameters() -> Iterable[Case]:
    def case(name: str, content: Content, sentence: str, words: str = "") -> Case:
        return Case(f"export-{name}", f"export p.json --out out {words}", sentence, {"p.json": content})

    yield Case("export-missing", "export p.json --out out", r"cannot read p\.json: No such file")
    yield Case("export-folder", "export p.json --out out", r"cannot read p\.json: Is a directory", {"p.json/": b""})
    large = {"p.json": lambda: b" " * (17 << 20)}
    yield Case("export-large", "export p.json --out out", r"p\.json: the file has more than 16 MiB", large)
    yield Case("export-suffix", "export p.obj --out out", "the name must end in .json or .npz", {"p.obj": ""})
    yield case("empty", b"", "this is no JSON")
    yield case("binary", bytes(range(256)), "this is no JSON")
    yield case("cut", lambda: person()[:300].encode(), "this is no JSON")
    yield case("nested-100000-deep", b"[" * 100_000, "this is no JSON")
    yield case("list", "[1, 2]", "it holds no JSON object")
    yield case("other-json", '{"people": []}', "this is no parameter file: its schema is none, not meshrec.person")
    huge = [[1e308] * 3] * 24
    for name, changes, sentence in (
        ("schema", {"schema": "smpl"}, "its schema is smpl, not meshrec.person"),
        ("schema-list", {"schema": [1]}, "the schema should be a short text"),
        (
            "version-of-tomorrow",
            {"version": 2},
            "schema version 2 is not known here, 1 is the newest .*; update meshrec",
        ),
        ("version-0", {"version": 0}, "there is no schema version 0"),
        ("version-text", {"version": "one"}, "the schema version should be a whole number"),
        ("space", {"space": "world"}, "its space must be 'camera, OpenCV"),
        ("without-body", {"body": "gone"}, "the body name is missing"),
        ("body-text", {"body": "neutral"}, "body must be an object of names and values"),
        ("body-unknown", {"body": {"name": "nobody", "hash": "0" * 16}}, "name that body's file with --body"),
        (
            "body-other-hash",
            {"body": {"name": "neutral", "hash": "0" * 16}},
            "the body 'neutral' of hash 0{16}, but 'neutral' has hash [0-9a-f]{16}; name",
        ),
        ("body-control-characters", {"body": {"name": "\x1b[31m", "hash": ""}}, "the body name should be a short text"),
        ("without-pose", {"pose": "gone"}, "the pose is missing"),
        ("without-betas", {"betas": None}, "the betas is missing"),
        ("pose-of-23", {"pose": [[0.0] * 3] * 23}, r"pose must have shape \(24, 3\), not \(23, 3\)"),
        ("pose-flat", {"pose": [0.0] * 72}, r"pose must have shape \(24, 3\), not \(72,\)"),
        (
            "pose-of-SMPL-H",
            {"pose": [[0.0] * 3] * 52},
            "its pose is of SMPL-H with 52 joints, but only those of SMPL with 24",
        ),
        ("pose-of-SMPL-H-flat", {"pose": [0.0] * 156}, "its pose is of SMPL-H with 52 joints, but only those of SMPL"),
        ("pose-of-SMPL-X", {"pose": [[0.0] * 3] * 55}, "its pose is of SMPL-X with 55 joints, but only those of SMPL"),
        ("pose-ragged", {"pose": [[0.0, 0.0]] * 23 + [[0.0]]}, "pose is no regular table of numbers"),
        ("pose-words", {"pose": [["x"] * 3] * 24}, "pose holds something that is not a number"),
        ("pose-booleans", {"pose": [[True] * 3] * 24}, "pose holds something that is not a number"),
        ("pose-NaN", {"pose": [[float("nan")] * 3] * 24}, "pose holds values that are not finite"),
        ("pose-1e308", {"pose": huge}, "pose holds a value beyond 1e[+]09"),
        ("betas-1e38", {"betas": [1e38] * 10}, "betas holds a value beyond 1e[+]09"),
        ("translation-of-2", {"translation": [0.0, 3.0]}, r"translation must have shape \(3\), not \(2,\)"),
        (
            "betas-of-11",
            {"betas": [0.0] * 11},
            "p.json: its 11 betas belong to the body 'neutral' of hash [0-9a-f]{16}, but this body has 10 shape",
        ),
        ("betas-of-300", {"betas": [0.0] * 300}, "its 300 betas belong to .*, but this body has 10 shape components"),
        ("betas-of-0", {"betas": []}, "num_betas cannot be 0|betas"),
        ("score-word", {"score": "high"}, "score holds something that is not a number"),
        ("box-of-3", {"box": [1.0, 2.0, 3.0]}, "box must have shape"),
        ("gravity-of-2", {"gravity": [0.0, 1.0]}, "gravity must have shape"),
        ("gravity-word", {"gravity": "down"}, "gravity holds something that is not a number"),
        ("gravity-deviation-of-1", {"gravity_deviation": [0.1]}, "gravity_deviation must have shape"),
        ("camera-list", {"camera": [500.0]}, "camera must be an object"),
        (
            "camera-without-size",
            {"camera": {"focal": [5.0, 5.0], "center": [1.0, 1.0]}},
            "needs focal, center and size",
        ),
        (
            "camera-focal-0",
            {"camera": {"focal": [0.0, 1.0], "center": [1.0, 1.0], "size": [2, 2]}},
            "camera needs a positive focal length",
        ),
        (
            "camera-half-pixels",
            {"camera": {"focal": [1.0, 1.0], "center": [1.0, 1.0], "size": [2.5, 2]}},
            "a size of whole pixels",
        ),
        (
            "camera-of-terapixels",
            {"camera": {"focal": [1.0, 1.0], "center": [1.0, 1.0], "size": [1e12, 2]}},
            "camera size holds a value beyond",
        ),
        ("keypoints-list", {"keypoints_2d": [[1.0, 2.0, 3.0]]}, "keypoints_2d must be an object"),
        ("keypoints-of-2", {"keypoints_2d": {"nose": [1.0, 2.0]}}, "keypoints_2d must have shape"),
        ("joints-of-other-names", {"joints_2d": {"nose": [1.0, 2.0]}}, "joints_2d does not name the same joints"),
    ):
        yield case(name, edited(**changes), sentence)
    good = {"p.json": edited()}
    named = edited(body={"name": "e.pkl", "hash": "0" * 16})
    sentence = "belong to the body 'e.pkl', which is none of neutral, male, female: name that body's file with --body"
    files = {"p.json": named, "e.pkl": make.asking_for("os.system")}
    yield Case("export-body-of-the-files-choice", "export p.json --out out", sentence, files)
    yield Case("export-body-of-the-users-choice", "export p.json --out out --body e.pkl", "refused, because", files)
    yield case("format-unknown", edited(), "unknown formats fbx", "--format fbx")
    yield case("body-option-unknown", edited(), "there is no body 'nobody'", "--body nobody")
    yield case("body-option-other", edited(), "'male' has hash", "--body male")
    twice = {**good, "a/p.json": edited()}
    yield Case(
        "export-same-name", "export p.json a/p.json --out out", "several files would be written to out/p.obj", twice
    )
    for name, content in {
        "empty": b"",
        "cut": make.npz({"schema": "meshrec.person"})[:-30],
        "bomb": make.zip_bomb(),
        "archive": make.archive(),
        "objects": make.npz({"schema": np.array([{}], dtype=object)}),
    }.items():
        yield Case(f"export-npz-{name}", "export p.npz --out out", "not a readable .npz", {"p.npz": content})
    arrays = make.npz({"schema": "meshrec.person", "version": 1, "pose": np.zeros((24, 3))})
    yield Case("export-npz-incomplete", "export p.npz --out out", "the body name is missing", {"p.npz": arrays})
    smpl = {"schema": "meshrec.person", "version": 1, "body_name": "neutral", "body_hash": "0" * 16}
    rest = {"betas": np.zeros(16), "translation": np.zeros(3)}
    for name, arrays, sentence in (
        ("version-of-tomorrow", {"version": 2}, "schema version 2 is not known here, 1 is the newest"),
        ("pose-of-SMPL-H", {"pose": np.zeros(156)}, "its pose is of SMPL-H with 52 joints, but only those of SMPL"),
        ("betas-of-16", {"pose": np.zeros((24, 3))}, "p.npz: its 16 betas belong to .* but this body has 10 shape"),
    ):
        content = make.npz({**smpl, **rest, **arrays})
        yield Case(f"export-npz-{name}", "export p.npz --out out", sentence, {"p.npz": content})
    table = make.npz({"schema": np.zeros(5)})
    yield Case("export-npz-schema", "export p.npz --out out", "the schema should be a short text", {"p.npz": table})
