"""What a user gets who gives meshrec something broken: one sentence, an exit code, and no half-written files.

Every row of the table is a command line, run in a folder that holds the given files. Exit code 1 comes with one line
on stderr, which contains the sentence; 2, for a wrong command line, with the usage; 0 is for input that looks broken
and is not.
"""

import json
import os
import pickle
import re
import shlex
import signal
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

import bad_files as make
import numpy as np
import pytest
import torch

import meshrec
from meshrec import InputError
from meshrec.batch import Settings
from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel
from meshrec.body.files import body_from_arrays
from meshrec.cli import main
from meshrec.data.acclaim import read_acclaim
from meshrec.data.bvh import read_bvh

Content = bytes | str | Callable[[], bytes]


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        name: Of the test.
        command: The command line. Words that are file names are those of ``files``.
        sentence: A regular expression found in what is printed.
        files: Name to content, or to what makes it; a name that ends in "/" is an empty folder.
        code: The exit code.
    """

    name: str
    command: str
    sentence: str
    files: Mapping[str, Content] = field(default_factory=dict)
    code: int = 1


# --- photos


def photos() -> Iterable[Case]:
    def photo(name: str, file: str, content: Content, sentence: str, code: int = 1) -> Case:
        return Case(f"photo-{name}", f"reconstruct {file} --out out", sentence, {file: content}, code)

    yield photo("empty", "a.jpg", b"", r"a\.jpg: the file is empty")
    yield photo("empty-png", "a.png", b"", r"a\.png: the file is empty")
    other = "not a photo in a known format"
    for name, content in {
        "text": b"dear reader, this is no photo",
        "html": b"<!doctype html><title>404</title>",
        "pdf": b"%PDF-1.7\n",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n",
        "zip": b"PK\x03\x04" + bytes(40),
        "pickle": pickle.dumps({"a": make.Hostile()}),
        "zeros": bytes(1000),
        "one-byte": b"\xff",
    }.items():
        yield photo(f"{name}-named-jpg", "a.jpg", content, other)
    yield photo("heic", "a.heic", b"\0\0\0\x18ftypheic" + bytes(64), "HEIC and video files are not read")
    yield photo("video", "a.mp4", b"\0\0\0\x20ftypisom" + bytes(64), "HEIC and video files are not read")
    for kind, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif"), ("GIF", "gif")):
        whole = make.picture(kind)
        for share in (0.05, 0.3, 0.6):
            cut = whole[: int(len(whole) * share)]
            sentence = r"a\.\w+: (the photo is (cut short or )?damaged|this (is not a photo|kind of TIFF))"
            yield photo(f"{suffix}-cut-at-{share}", f"a.{suffix}", cut, sentence)
    yield photo("bmp-cut", "a.bmp", lambda: make.picture("BMP")[:200], "cut short or damaged")
    yield photo("1x1", "a.png", make.png(1, 1), "1 x 1 pixels is too small; a side needs at least 16 pixels")
    yield photo("1000x3", "a.png", make.png(1000, 3), "1000 x 3 pixels is too small")
    yield photo("0x0", "a.png", make.png(0, 0), r"a\.png: ")
    yield photo("20000x20000", "a.png", make.png(20_000, 20_000), "more than 128 megapixels; scale it down")
    yield photo("65000x65000-jpg", "a.jpg", lambda: make.jpeg_that_claims(65_000, 65_000), "more than 128 megapixels")
    bomb = b"k\0\0" + zlib.compress(bytes(20_000_000))
    yield photo("text-bomb", "a.png", make.png(64, 48, (b"zTXt", bomb)), "the photo is damaged .*too large")
    yield photo("NaN", "a.tif", lambda: make.float_tiff(np.nan), r"pixels that are not numbers \(NaN or infinite\)")
    yield photo("infinite", "a.tif", lambda: make.float_tiff(np.inf), "pixels that are not numbers")
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        animated = make.animation(kind)
        yield photo(f"animated-{kind}", f"a.{kind.lower()}", animated, "the first of 3 frames is used", code=0)
    yield Case("photo-folder-without", "reconstruct folder --out out", "folder: no photos there", {"folder/": b""})
    yield Case("photo-folder-named-jpg", "reconstruct a.jpg --out out", r"a\.jpg: no photos there", {"a.jpg/": b""})
    yield Case("photo-missing", "reconstruct a.jpg --out out", r"a\.jpg: no such file")
    yield Case("photo-pattern-without", "reconstruct '*.jpg' --out out", r"\*\.jpg: no photos there")
    yield Case("photo-name-too-long", f"reconstruct {'x' * 300}.jpg --out out", "no such file")
    yield Case("photo-device", "reconstruct /dev/zero --out out", "/dev/zero: the file is empty")
    control = "reconstruct 'a\x1b\nb.jpg' --out out"
    yield Case("photo-name-of-control-characters", control, r"a\?\?b\.jpg: no such file")


# --- boxes and keypoints

GOOD_PHOTO = {"a.jpg": lambda: make.picture("JPEG", (320, 240))}


def boxes() -> Iterable[Case]:
    def case(name: str, content: Content, sentence: str) -> Case:
        files = {**GOOD_PHOTO, "boxes.json": content}
        return Case(f"boxes-{name}", "reconstruct a.jpg --out out --boxes boxes.json", sentence, files)

    yield Case("boxes-missing", "reconstruct a.jpg --out out --boxes b.json", r"b\.json: .*No such file", GOOD_PHOTO)
    folder = {**GOOD_PHOTO, "b.json/": b""}
    yield Case("boxes-folder", "reconstruct a.jpg --out out --boxes b.json", r"b\.json: .*Is a directory", folder)
    for name, content in {
        "empty": b"",
        "text": b"10 20 30 40",
        "binary": bytes(range(128, 256)),
        "cut": b'{"a.jpg": [[10, 20, 30',
        "nested-100000-deep": b"[" * 100_000,
        "single-quotes": b"{'a.jpg': [[10, 20, 30, 40]]}",
    }.items():
        yield case(name, content, r"boxes\.json: this is not JSON")
    shape = r"not a list of \[x0, y0, x1, y1\]"
    numbers = "are not all numbers"
    finite = "no numbers .NaN, infinite or null."
    for name, content, sentence in (
        ("a-number", "3", "boxes are"),
        ("a-text", '"a.jpg"', "boxes are"),
        ("null", "null", "boxes are"),
        ("one-flat-box", "[10, 20, 30, 40]", shape),
        ("three-numbers", "[[10, 20, 30]]", shape),
        ("five-numbers", "[[10, 20, 30, 40, 0.9]]", shape),
        ("ragged", "[[10, 20, 30, 40], [10, 20]]", numbers),
        ("words", '[["left", "top", "right", "bottom"]]', numbers),
        ("objects", '[{"x": 10, "y": 20, "w": 30, "h": 40}]', numbers),
        ("photo-to-object", '{"a.jpg": {"box": [10, 20, 30, 40]}}', numbers),
        ("photo-to-number", '{"a.jpg": 3}', shape),
        ("null-in-box", "[[10, 20, null, 40]]", finite),
        ("NaN", "[[10, 20, NaN, 40]]", finite),
        ("infinite", "[[10, 20, Infinity, 40]]", finite),
        ("too-large", "[[10, 20, 1e300, 40]]", finite),
        ("too-large-an-integer", f"[[10, 20, {'9' * 400}, 40]]", numbers),
        ("width-and-height", "[[100, 90, 50, 60]]", "a box of the photo is empty; boxes are .*not widths"),
        ("of-no-area", "[[10, 20, 10, 40]]", "a box of the photo is empty"),
        ("right-of-photo", "[[400, 20, 500, 40]]", "covers nothing of this 320 x 240 photo"),
        ("above-photo", '{"a.jpg": [[10, -50, 100, -5]]}', "covers nothing of this 320 x 240 photo"),
        ("within-a-pixel", "[[10, 20, 10.5, 40]]", "covers nothing"),
        ("of-another-photo", '{"b.jpg": [[10, 20, 30, 40]]}', r"boxes\.json does not name this photo"),
        ("of-no-photo", "{}", "does not name this photo"),
    ):
        yield case(name, content, sentence)


def coco(**changes: object) -> str:
    """COCO's format with one person; a key names what is changed in the file, the image or the person."""
    image, person = {"id": 1, "file_name": "a.jpg"}, {"image_id": 1, "keypoints": [100.0, 90.0, 2.0] * 17}
    content = {"images": [image], "annotations": [person]}
    for key, value in changes.items():
        (content if key in content else image if key in image else person)[key] = value
    return json.dumps(content)


def openpose(values: object) -> str:
    return json.dumps({"people": [{"pose_keypoints_2d": values}]})


def keypoints() -> Iterable[Case]:
    def case(name: str, content: Content, sentence: str, file: str = "poses.json") -> Case:
        command = f"reconstruct a.jpg --out out --keypoints {file}"
        return Case(f"keypoints-{name}", command, sentence, {**GOOD_PHOTO, file: content})

    yield Case("keypoints-missing", "reconstruct a.jpg --out out --keypoints p.json", "No such file", GOOD_PHOTO)
    yield case("empty-folder", b"", "the folder holds no OpenPose files", file="poses/")
    yield case("empty", b"", "this is not JSON")
    yield case("cut", coco()[:60], "this is not JSON")
    yield case("binary", bytes(range(128, 256)), "this is not JSON")
    neither = "neither OpenPose's JSON .* nor COCO's"
    for name, content in {"empty-object": "{}", "number": "3", "null": "null", "images-only": '{"images": []}'}.items():
        yield case(name, content, neither)
    line = [100.0, 90.0, 2.0]
    for name, content, sentence in (
        ("openpose-no-list", '{"people": 3}', "people is not a list"),
        ("openpose-of-numbers", '{"people": [3]}', "person 0 has no 25 keypoints"),
        ("openpose-18-keypoints", openpose(line * 18), "person 0 has no 25 keypoints .*BODY_25"),
        ("openpose-words", openpose(["x"] * 75), "the keypoints of person 0 are not all numbers"),
        ("openpose-NaN", openpose([float("nan")] * 75), "the keypoints of person 0 hold values that are no numbers"),
        ("openpose-null", openpose([None] * 75), "the keypoints of person 0 hold values that are no numbers"),
        ("openpose-negative-confidence", openpose([100.0, 90.0, -1.0] * 25), "a negative keypoint confidence"),
        ("openpose-scaled-to-1", openpose([0.4, 0.5, 0.9] * 25), "are scaled to 1; write them in photo pixels"),
        ("openpose-of-another-photo", openpose(line * 25), r"poses\.json does not name this photo"),
        ("list-of-numbers", "[1, 2]", "a list of objects with an image_id each"),
        ("list-without-image", json.dumps([{"keypoints": line * 17}]), "a list of objects with an image_id each"),
        ("annotations-no-list", coco(annotations={}), "a list of objects with an image_id each"),
        ("images-no-list", coco(images=3), "images need an id and a file_name each"),
        ("images-without-names", coco(images=[{"id": 1}]), "images need an id and a file_name each"),
        ("image-unknown", coco(image_id=7), "person 0 is of image 7, which is not among the images"),
        ("image-a-list", coco(image_id=[1]), r"is of image \[1\], which is not among the images"),
        ("of-another-photo", coco(file_name="b.jpg"), "does not name this photo"),
        ("16-keypoints", coco(keypoints=line * 16), "person 0 has no 17 keypoints"),
        ("missing-keypoints", coco(keypoints=None), "person 0 has no 17 keypoints"),
        ("nested", coco(keypoints=[line] * 17), "person 0 has no 17 keypoints"),
        ("words", coco(keypoints=["x"] * 51), "the keypoints of person 0 are not all numbers"),
        ("NaN", coco(keypoints=[100.0, float("nan"), 2.0] * 17), "hold values that are no numbers"),
        ("infinite", coco(keypoints=[100.0, float("inf"), 2.0] * 17), "hold values that are no numbers"),
        ("too-large", coco(keypoints=[100.0, 1e300, 2.0] * 17), "hold values that are no numbers"),
        ("scaled-to-1", coco(keypoints=[0.4, 0.5, 2.0] * 17), "are scaled to 1"),
        ("off-photo", coco(keypoints=[900.0, 90.0, 2.0] * 17), "no keypoint on this 320 x 240 photo"),
        ("bbox-of-3", coco(bbox=[1, 2, 3]), r"the bbox of person 0 is not \[x, y, width, height\]"),
        ("bbox-words", coco(bbox="all"), "the bbox of person 0 are not all numbers"),
        ("bbox-NaN", coco(bbox=[1, 2, 3, float("nan")]), "the bbox of person 0 hold values that are no numbers"),
        ("bbox-off-photo", coco(bbox=[900, 2, 30, 40]), "covers nothing of this 320 x 240 photo"),
        ("score-word", coco(score="high"), "the score of person 0 are not all numbers"),
        ("score-NaN", coco(score=float("nan")), "the score of person 0 hold values that are no numbers"),
        ("score-list", coco(score=[1, 2]), "the score of person 0 is not a number"),
        ("score-object", coco(score={}), "the score of person 0 are not all numbers"),
    ):
        yield case(name, content, sentence)


# --- options of the photo job


def options() -> Iterable[Case]:
    def case(name: str, words: str, sentence: str, files: Mapping[str, Content] | None = None, code: int = 1) -> Case:
        files = {**GOOD_PHOTO, "p.json": coco(), **(files or {})}
        return Case(f"reconstruct-{name}", f"reconstruct a.jpg --out out {words}", sentence, files, code)

    poses = "--keypoints p.json"  # so that no detector is needed
    yield case("format-unknown", "--format fbx", "unknown formats fbx: choose of obj, ply, glb")
    yield case("format-none", "--format ,", "unknown formats")
    yield case("skeleton-without-glb", "--format obj --skinned", "a skeleton needs the format glb")
    yield case("jobs-0", "--jobs 0", "the number of processes must be at least 1, not 0")
    yield case("jobs-negative", "--jobs -2", "at least 1")
    for value in ("0", "-3", "nan", "inf"):
        yield case(f"focal-{value}", f"--focal {value}", "the focal length must be a positive number of pixels")
    yield case("boxes-and-keypoints", f"{poses} --boxes p.json", "not allowed with argument", code=2)
    yield case("device-unknown", f"{poses} --device abacus", "device 'abacus' cannot be used here")
    yield case("body-unknown", f"{poses} --body nobody", "there is no body 'nobody': give neutral, male, female")
    yield case("body-text", f"{poses} --body b.txt", "a body file ends in", {"b.txt": "text"})
    yield case("body-broken", f"{poses} --body b.npz", "not a readable .npz", {"b.npz": b"PK"})
    yield case("pose-model-missing", "--pose-model m.task", r"m\.task: no such pose model file")
    yield case("pose-model-text", "--pose-model m.task", "not a MediaPipe .task file", {"m.task": "text"})
    yield case("pose-model-folder", "--pose-model m.task", "no such pose model file", {"m.task/": b""})


# --- bodies

KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
SUFFIXES = (".npz", ".safetensors", ".pkl")


def body_faults() -> Iterable[tuple[str, Callable, str]]:
    """Name, change and sentence of what can be wrong inside a body, whatever file it is in."""
    for key in KEYS:
        yield f"without-{key}", lambda a, key=key: a.pop(key), f"not an SMPL body: it lacks {key}"
    for key, function, sentence in (
        ("v_template", lambda v: v[:, :2], "v_template should be 8 x 3, but is 8 x 2"),
        ("v_template", lambda v: v[:-1], "shapedirs should be 7 x 3 x any, but is 8 x 3 x 10"),
        ("v_template", lambda v: v[:0], "shapedirs should be 0 x 3 x any"),
        ("v_template", lambda v: v.ravel(), "v_template should be 24 x 3, but is 24"),
        ("v_template", lambda v: v * 100, "v_template spans .* m; a body's vertices are in metres"),
        ("v_template", lambda v: v * 0, "v_template spans 0 m"),
        ("v_template", lambda v: v > 0, "v_template should hold numbers, not bool"),
        ("shapedirs", lambda s: s[..., :0], "0 shape components; a body has 1 to 300"),
        ("shapedirs", lambda s: np.repeat(s, 31, 2), "310 shape components; a body has 1 to 300"),
        ("shapedirs", lambda s: s[0], "shapedirs should be 8 x 3 x any, but is 3 x 10"),
        ("posedirs", lambda p: p[..., :200], "posedirs should be 8 x 3 x 207, but is 8 x 3 x 200"),
        ("posedirs", lambda p: p.swapaxes(0, 2), "posedirs should be 8 x 3 x 207, but is 207 x 3 x 8"),
        ("J_regressor", lambda j: j[:20], "J_regressor should be 24 x 8, but is 20 x 8"),
        ("J_regressor", lambda j: j * 2, "the J_regressor row of joint .* does not sum to one"),
        ("weights", lambda w: w[:, :20], "weights should be 8 x 24, but is 8 x 20"),
        ("weights", lambda w: w * 0, "the skinning weights of vertex 0 do not sum to one"),
        ("kintree_table", lambda k: k[:1], "kintree_table should be 2 x 24, but is 1 x 24"),
        ("kintree_table", lambda k: k[::-1], "kintree_table is no tree"),
        ("f", lambda f: f[:, :2], "f should be any x 3, but is 8 x 2"),
        ("f", lambda f: f.astype(float), "f should index 8 points, but holds other values"),
        ("f", lambda f: f.astype(np.int32) - 1, "f should index 8 points"),
    ):
        yield f"{key}-{sentence[:40]}", make.turning(key, function), sentence
    for key in KEYS[:5]:
        index = (0,) * (3 if key.endswith("dirs") else 2)
        yield f"{key}-NaN", make.setting(key, index, np.nan), f"{key} contains NaN or infinite values"
    yield "v_template-infinite", make.setting("v_template", (0, 0), np.inf), "v_template contains NaN or infinite"
    yield "v_template-1e300", make.setting("v_template", (0, 0), 1e300), "v_template contains NaN or infinite"
    yield "weights-of-2", make.setting("weights", (3, 0), 2.0), "weights of vertex 3 do not sum to one"
    yield "face-beyond", make.setting("f", (0, 0), 8), "f should index 8 points"
    yield "tree-with-a-loop", make.setting("kintree_table", (0, 5), 9), "kintree_table is no tree"
    yield "tree-of-two-roots", make.setting("kintree_table", (0, 5), -1), "kintree_table is no tree"


def bodies() -> Iterable[Case]:
    def case(name: str, suffix: str, content: Content, sentence: str) -> Case:
        return Case(f"body-{name}{suffix}", f"convert-body b{suffix} out.npz", sentence, {f"b{suffix}": content})

    for name, change, sentence in body_faults():
        for suffix in SUFFIXES:
            yield case(name, suffix, lambda suffix=suffix, change=change: make.body(suffix, change), sentence)

    def with_extra(**extra: object) -> Callable[[], bytes]:
        return lambda: make.body(".npz", lambda arrays: arrays.update(extra))

    corners = np.zeros((8, 3), int)
    names = np.array(["nose", "chin"])
    for name, extra, sentence in (
        ("uv-faces-beyond", {"uv": np.zeros((4, 2)), "uv_faces": corners + 4}, "uv_faces should index 4 points"),
        (
            "uv-faces-too-few",
            {"uv": np.zeros((4, 2)), "uv_faces": corners[:5]},
            "uv_faces should be 8 x 3, but is 5 x 3",
        ),
        ("uv-of-3", {"uv": np.zeros((4, 3)), "uv_faces": corners}, "uv should be any x 2, but is 4 x 3"),
        ("uv-NaN", {"uv": np.full((4, 2), np.nan), "uv_faces": corners}, "uv contains NaN"),
        ("uv-text", {"uv": np.full((4, 2), "x"), "uv_faces": corners}, "uv should hold numbers"),
        ("part-25", {"part_labels": np.full(8, 25)}, "part_labels should be integers from 0 to 23"),
        ("parts-too-few", {"part_labels": np.zeros(3, int)}, "part_labels should be 8, but is 3"),
        ("mirror-beyond", {"mirror_vertices": np.full(8, 8)}, "mirror_vertices should be integers from 0 to 7"),
        ("landmarks-too-few", {"landmark_names": names, "landmark_regressor": np.eye(8)[:1]}, "should be 2 x 8"),
        ("landmarks-sum", {"landmark_names": names, "landmark_regressor": np.ones((2, 8))}, "do not sum to one"),
        ("landmarks-NaN", {"landmark_names": names, "landmark_regressor": np.full((2, 8), np.nan)}, "contains NaN"),
        ("landmarks-unnamed", {"landmark_names": np.zeros(2), "landmark_regressor": np.eye(8)[:2]}, "a list of names"),
        ("licence-a-table", {"licence": np.zeros((3, 3))}, "licence should be text"),
        ("name-a-number", {"name": 3.0}, "name should be text"),
    ):
        yield case(name, ".npz", with_extra(**extra), sentence)

    unreadable = {".npz": "not a readable .npz", ".safetensors": "not a readable .safetensors", ".pkl": "pickle"}
    for suffix in SUFFIXES:
        yield Case(f"body-missing{suffix}", f"convert-body b{suffix} out.npz", "there is no such body file")
        folder = {f"b{suffix}/": b""}
        yield Case(f"body-folder{suffix}", f"convert-body b{suffix} out.npz", "there is no such body file", folder)
        for name, content in {"empty": b"", "text": b"404: Not Found", "zip-start": b"PK\x03\x04" + bytes(99)}.items():
            yield case(name, suffix, content, unreadable[suffix])
        for share in (0.1, 0.5, 0.9, 0.99):
            cut = make.body(suffix)
            yield case(f"cut-at-{share}", suffix, cut[: int(len(cut) * share)], unreadable[suffix])
    yield Case(
        "body-suffix", "convert-body b.fbx out.npz", r"ends in .npz, .safetensors, .pkl, not '.fbx'", {"b.fbx": ""}
    )

    objects = np.array([make.Hostile()], dtype=object)
    yield case(
        "objects", ".npz", lambda: make.body(".npz", lambda a: a.update(f=objects)), "not a readable .npz of plain"
    )
    yield case("bomb", ".npz", make.zip_bomb, "it unpacks to 4 GiB")
    yield case("of-arrays-named-twice", ".npz", lambda: make.npz({"f": 1, "f.npy": 2}), "it lacks v_template")
    tensor = {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}
    for name, content in {
        "bfloat16": make.safetensors_header({"f": tensor}, bytes(4)),
        "float8": make.safetensors_header({"f": {**tensor, "dtype": "F8_E4M3"}}, bytes(2)),
        "overlong": make.safetensors_header({"f": {**tensor, "data_offsets": [0, 999]}}, bytes(4)),
        "no-json": make.safetensors_header(b"{]", bytes(4)),
        "endless-header": b"\xff" * 8 + b"{}",
        "landmarks-no-json": make.safetensors_header({"__metadata__": {"landmark_names": "{"}}),
    }.items():
        yield case(name, ".safetensors", content, "not a readable .safetensors")

    for protocol in (0, 2, 4):
        hostile = pickle.dumps({"f": make.Hostile()}, protocol)
        yield case(
            f"hostile-protocol-{protocol}", ".pkl", hostile, "refused, because it asks to run '(posix|nt).mkdir'"
        )
    for name in (
        "os.system", "builtins.eval", "builtins.exec", "builtins.getattr", "subprocess.Popen", "numpy.load",
        "numpy.save", "pickle.loads", "operator.attrgetter", "scipy.sparse.csc.toarray", "chumpy.ch_ops.add",
        "torch._utils._rebuild",
    ):  # fmt: skip
        yield case(f"asking-for-{name}", ".pkl", make.asking_for(name), f"refused, because it asks to run '{name}'")
    yield case("asking-at-length", ".pkl", make.asking_for("a." + "x" * 5000), r"asks to run 'a\.x{78}\.\.\.'")
    yield case("of-a-list", ".pkl", pickle.dumps([1, 2]), "the pickle holds a list, not a dictionary of arrays")
    yield case("of-objects", ".pkl", pickle.dumps(dict.fromkeys(KEYS)), "should hold numbers, not object")
    yield case("nested-100000-deep", ".pkl", make.nested_pickle, "the pickle holds a list")
    yield case("memo-bomb", ".pkl", make.memo_bomb, "it lacks v_template")
    yield case("huge-sparse-matrix", ".pkl", make.huge_sparse_matrix, "a sparse matrix of 100000000 x 100000000")

    yield Case("body-target-pkl", "convert-body b.npz b.pkl", "written as .npz or .safetensors, not '.pkl'", BODY)
    yield Case("body-target-folder", "convert-body b.npz o.npz", "it is a folder", {**BODY, "o.npz/": b""})
    yield Case("body-target-in-a-file", "convert-body b.npz b.npz/o.npz", "a part of the path is a file", BODY)
    yield Case("body-target-too-long", f"convert-body b.npz {'x' * 300}.npz", "choose a shorter name", BODY)
    for name, words, sentence in (
        ("pose-unknown", "--poses handstand", "unknown poses handstand: choose of"),
        ("pose-none", "--poses ,", "unknown poses"),
        ("format-unknown", "--format fbx", "unknown formats"),
        ("betas-words", "--betas tall", "'tall' should be numbers separated by commas"),
        ("betas-NaN", "--betas nan", "betas should be up to 10 finite numbers"),
        ("betas-too-many", f"--betas {','.join('0' * 11)}", "betas should be up to 10 finite numbers"),
    ):
        yield Case(f"body-{name}", f"body --out out --body b.npz {words}", sentence, BODY)


BODY = {"b.npz": lambda: make.body(".npz")}


# --- checkpoints


def checkpoints() -> Iterable[Case]:
    def case(name: str, content: Content, sentence: str, words: str = "") -> Case:
        command = f"import-checkpoint c.pt out.safetensors --body SMPL {words}"
        return Case(f"checkpoint-{name}", command, sentence, {"c.pt": content})

    yield Case("checkpoint-missing", "import-checkpoint c.pt o.safetensors --body SMPL", "there is no such checkpoint")
    unreadable = "c.pt is not a readable checkpoint: it is cut short, or no file of weights"
    good = make.weights({"model": {"a": torch.zeros(10_000)}})
    for share in (0.02, 0.5, 0.95):
        yield case(f"cut-at-{share}", good[: int(len(good) * share)], unreadable)
    for name, content in {"empty": b"", "text": b"404: Not Found", "zeros": bytes(100), "png": make.png(9, 9)}.items():
        yield case(name, content, unreadable)
    runs = "refused, because it asks to run '(posix|nt).mkdir'; weights need no code"
    yield case("hostile", make.weights({"model": make.Hostile()}), runs)
    yield case("hostile-legacy", make.weights({"model": make.Hostile()}, zipped=False), runs)
    yield case("hostile-plain-pickle", pickle.dumps({"model": make.Hostile()}, 2), runs)
    for name in ("torch.load", "os.system"):
        yield case(f"asking-for-{name}", make.asking_for(name), f"refused, because it asks to run '{name}'")
    yield case("bomb", lambda: make.zip_bomb(".pt"), "is packed, as no checkpoint is")
    yield case("packed", lambda: make.deflated(good), "is packed, as no checkpoint is")
    yield case("list", make.weights([1, 2]), "holds a list where checkpoints are dictionaries of weights")
    yield case("no-weights", make.weights({"epoch": 3}), "holds no weights of HMR, SPIN or GraphCMR, but epoch")
    yield case("other-network", make.weights({"a.weight": torch.zeros(3)}), "but a.weight and so on")
    spin = {"decpose.weight": torch.zeros(144, 1024)}
    yield case("missing-keys", make.weights({"model": spin}), "missing keys: conv1.weight, .* and [0-9]+ more")
    endless = {"decpose.weight": torch.zeros(1).expand(10**6, 10**6, 10**3)}
    yield case("endless-tensor", make.weights({"model": endless}), "missing keys")
    yield case("no-tensor", make.weights({"model": {**spin, "fc1.bias": [1.0]}}), "fc1.bias is no tensor")
    yield case("graph-needed", make.weights({"graph_cnn": {}}), "its graph is needed too")
    graph = "--graph g.npz"
    for name, content, sentence in (
        ("text", b"text", r"is not GraphCMR's mesh_downsampling\.npz"),
        ("other-arrays", make.npz({"A": np.zeros(3), "U": np.zeros(3), "D": np.zeros(3)}), "a list of sparse matrices"),
        ("hostile", make.npz({k: np.array([make.Hostile()] * 2) for k in "AUD"}), "refused, because it asks to run"),
    ):
        row = case(f"graph-{name}", make.weights({"graph_cnn": {}}), sentence, graph)
        yield Case(row.name, row.command, row.sentence, {**row.files, "g.npz": content})
    yield Case(
        "checkpoint-safetensors-text",
        "import-checkpoint c.safetensors o.safetensors --body SMPL",
        "is not a readable checkpoint",
        {"c.safetensors": "text"},
    )
    yield Case(
        "checkpoint-body-of-another-mesh",
        "import-checkpoint c.pt o.safetensors --body neutral",
        "published checkpoints make SMPL's 6890 vertices, but this body has 7644",
    )
    yield Case(
        "checkpoint-body-missing", "import-checkpoint c.pt o.safetensors --body no.pkl", "there is no body 'no.pkl'"
    )


# --- parameter files


@cache
def person() -> str:
    """A parameter file of somebody at rest, made by hand."""
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
    def content() -> bytes:
        document = json.loads(person()) | changes
        return json.dumps({key: value for key, value in document.items() if value != "gone"}).encode()

    return content


def parameters() -> Iterable[Case]:
    def case(name: str, content: Content, sentence: str, words: str = "") -> Case:
        return Case(f"export-{name}", f"export p.json --out out {words}", sentence, {"p.json": content})

    yield Case("export-missing", "export p.json --out out", r"cannot read p\.json: No such file")
    yield Case("export-folder", "export p.json --out out", r"cannot read p\.json: Is a directory", {"p.json/": b""})
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
        ("version-of-tomorrow", {"version": 2}, "schema version 2 is not known here"),
        ("version-text", {"version": "one"}, "the schema version should be a whole number"),
        ("space", {"space": "world"}, "its space must be 'camera, OpenCV"),
        ("without-body", {"body": "gone"}, "the body name is missing"),
        ("body-text", {"body": "neutral"}, "body must be an object of names and values"),
        ("body-unknown", {"body": {"name": "nobody", "hash": "0" * 16}}, "there is no body 'nobody'"),
        ("body-other-hash", {"body": {"name": "neutral", "hash": "0" * 16}}, "'neutral' has hash [0-9a-f]{16}; name"),
        ("body-control-characters", {"body": {"name": "\x1b[31m", "hash": ""}}, "the body name should be a short text"),
        ("without-pose", {"pose": "gone"}, "the pose is missing"),
        ("without-betas", {"betas": None}, "the betas is missing"),
        ("pose-of-23", {"pose": [[0.0] * 3] * 23}, r"pose must have shape \(24, 3\), not \(23, 3\)"),
        ("pose-flat", {"pose": [0.0] * 72}, r"pose must have shape \(24, 3\), not \(72,\)"),
        ("pose-ragged", {"pose": [[0.0, 0.0]] * 23 + [[0.0]]}, "pose is no regular table of numbers"),
        ("pose-words", {"pose": [["x"] * 3] * 24}, "pose holds something that is not a number"),
        ("pose-booleans", {"pose": [[True] * 3] * 24}, "pose holds something that is not a number"),
        ("pose-NaN", {"pose": [[float("nan")] * 3] * 24}, "pose holds values that are not finite"),
        ("pose-1e308", {"pose": huge}, "pose holds a value beyond 1e[+]09"),
        ("betas-1e38", {"betas": [1e38] * 10}, "betas holds a value beyond 1e[+]09"),
        ("translation-of-2", {"translation": [0.0, 3.0]}, r"translation must have shape \(3\), not \(2,\)"),
        ("betas-of-11", {"betas": [0.0] * 11}, "this body has 10 shape components, so num_betas cannot be 11"),
        ("betas-of-0", {"betas": []}, "num_betas cannot be 0|betas"),
        ("score-word", {"score": "high"}, "score holds something that is not a number"),
        ("box-of-3", {"box": [1.0, 2.0, 3.0]}, "box must have shape"),
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
        "objects": make.npz({"schema": np.array([{}], dtype=object)}),
    }.items():
        yield Case(f"export-npz-{name}", "export p.npz --out out", "not a readable .npz", {"p.npz": content})
    arrays = make.npz({"schema": "meshrec.person", "version": 1, "pose": np.zeros((24, 3))})
    yield Case("export-npz-incomplete", "export p.npz --out out", "the body name is missing", {"p.npz": arrays})
    table = make.npz({"schema": np.zeros(5)})
    yield Case("export-npz-schema", "export p.npz --out out", "the schema should be a short text", {"p.npz": table})


# --- motion capture

BVH = """HIERARCHY
ROOT hips { OFFSET 0 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
  End Site { OFFSET 0 1 0 } }
MOTION
Frames: 1
Frame Time: 0.1
0 0 0
"""
ASF = """:units
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     name thigh
     direction 1 0 0
     length 4
     axis 0 0 90 XYZ
     dof rx rz
  end
:hierarchy
  begin
    root thigh
  end
"""
AMC = ":DEGREES\n1\nroot 1 2 3 0 0 0\nthigh 90 0\n"


def motion() -> Iterable[Case]:
    def bvh(name: str, old: str, new: str, sentence: str) -> Case:
        assert old in BVH
        return Case(f"bvh-{name}", "read-bvh a.bvh", sentence, {"a.bvh": BVH.replace(old, new, 1)})

    yield Case("bvh-missing", "read-bvh a.bvh", r"cannot read the BVH file a\.bvh: No such file")
    yield Case("bvh-folder", "read-bvh a.bvh", r"cannot read the BVH file a\.bvh: Is a directory", {"a.bvh/": b""})
    yield Case("bvh-empty", "read-bvh a.bvh", "no MOTION line", {"a.bvh": b""})
    yield Case("bvh-binary", "read-bvh a.bvh", "no MOTION line", {"a.bvh": bytes(range(256)) * 9})
    yield bvh("no-hierarchy", "HIERARCHY", "SKELETON", "line 1: expected HIERARCHY, found 'SKELETON'")
    yield bvh("no-root", "ROOT", "JOINT", "line 2: expected ROOT")
    yield bvh("offset-word", "OFFSET 0 0 0", "OFFSET 0 up 0", "line 2: expected a coordinate of OFFSET, found 'up'")
    yield bvh("offset-short", "OFFSET 0 1 0 }", "OFFSET 0 1 }", "expected a coordinate of OFFSET, found '}'")
    yield bvh("offset-missing", "OFFSET 0 1 0", "", "joint 'hips_end' has no OFFSET")
    yield bvh("channel-unknown", "Zrotation", "Wrotation", "unknown channel 'wrotation'")
    yield bvh("channels-negative", "CHANNELS 3", "CHANNELS -3", "a joint has 0 to 6 channels, not -3")
    yield bvh("channels-half", "CHANNELS 3", "CHANNELS 2.5", "a joint has 0 to 6 channels, not 2.5")
    yield bvh("channels-billion", "CHANNELS 3", "CHANNELS 1000000000", "a joint has 0 to 6 channels, not 1e[+]09")
    yield bvh("brace-missing", "} }", "}", "the skeleton ends where '}' should follow")
    yield bvh("words-behind", "} }", "} } ROOT second { }", "line 3: expected MOTION, found 'ROOT'")
    yield bvh("frames-word", "Frames: 1", "Frames: many", "line 5: expected 'frames:' and a number")
    yield bvh("frames-cut", "Frames: 1", "Frames: 2", "announces 2 frames but holds 1")
    yield bvh("frames-NaN", "Frames: 1", "Frames: nan", "announces nan frames but holds 1")
    yield bvh("no-frames", "Frames: 1\nFrame Time: 0.1\n0 0 0", "Frames: 0\nFrame Time: 0.1", "holds no frames")
    yield bvh("time-0", "Time: 0.1", "Time: 0", "the frame time must be positive, not 0 seconds")
    yield bvh("time-NaN", "Time: 0.1", "Time: nan", "the frame time must be positive")
    yield bvh("time-infinite", "Time: 0.1", "Time: inf", "the frame time must be positive")
    yield bvh("row-short", "\n0 0 0\n", "\n0 0\n", "line 7: 2 numbers, but the skeleton has 3 channels")
    yield bvh("row-word", "\n0 0 0\n", "\n0 x 0\n", "line 7: could not convert string to float: 'x'")
    yield bvh("row-infinite", "\n0 0 0\n", "\n0 inf 0\n", "line 7: a channel is not a finite number")
    yield bvh("word-without-end", "Zrotation", "Z" * 10_000, "unknown channel 'z{40}'")

    def acclaim(name: str, file: str, old: str, new: str, sentence: str) -> Case:
        files = {"a.asf": ASF, "a.amc": AMC}
        assert old in files[file]
        files[file] = files[file].replace(old, new, 1)
        return Case(f"acclaim-{name}", "read-acclaim a.asf a.amc", sentence, files)

    yield Case("acclaim-missing", "read-acclaim a.asf a.amc", r"cannot read a\.asf: No such file")
    yield Case("acclaim-no-take", "read-acclaim a.asf a.amc", r"cannot read a\.amc: No such file", {"a.asf": ASF})
    yield acclaim("asf-text", "a.asf", ASF, "text", "a.asf is not an Acclaim skeleton")
    yield acclaim("asf-cut", "a.asf", ASF[ASF.index(":hier") :], "", "it needs :bonedata and :hierarchy sections")
    yield acclaim("asf-length-word", "a.asf", "length 4", "length long", "a.asf line 12: could not convert")
    yield acclaim("asf-length-NaN", "a.asf", "length 4", "length nan", "a.asf line 12: nan is not a finite number")
    yield acclaim(
        "asf-direction-infinite", "a.asf", "direction 1", "direction inf", "line 11: inf is not a finite number"
    )
    yield acclaim("asf-dof", "a.asf", "dof rx rz", "dof rx q", "bone 'thigh' has the degree of freedom 'q'")
    yield acclaim("asf-dof-twice", "a.asf", "dof rx rz", "dof rx rx", "bone 'thigh' has a degree of freedom twice")
    yield acclaim("asf-axis-order", "a.asf", "0 0 90 XYZ", "0 0 90 XXZ", "the axis order of bone 'thigh'")
    yield acclaim("asf-own-parent", "a.asf", "root thigh", "thigh thigh", "bone 'thigh' does not hang on the root")
    yield acclaim("asf-unknown-child", "a.asf", "root thigh", "root shin", "the hierarchy names bone 'shin'")
    yield acclaim("amc-empty", "a.amc", AMC, "", "holds no frames")
    yield acclaim("amc-binary", "a.amc", AMC, "\x00\x01\x02", "stands before the first frame")
    yield acclaim("amc-other-bone", "a.amc", "thigh 90", "shin 90", "bone 'shin' does not move in this skeleton")
    yield acclaim("amc-short", "a.amc", "thigh 90 0", "thigh 90", "bone 'thigh' needs rx rz, found 1 values")
    yield acclaim("amc-word", "a.amc", "thigh 90 0", "thigh 90 x", "bone 'thigh': could not convert")
    yield acclaim("amc-NaN", "a.amc", "thigh 90 0", "thigh 90 nan", "bone 'thigh' in frame 1 is not a finite number")
    yield acclaim("amc-cut", "a.amc", "thigh 90 0\n", "", "frame 1 has no values for bone 'thigh'")
    yield acclaim("amc-before-first-frame", "a.amc", "1\nroot", "root", "line 2: 'root' stands before the first frame")


# --- training and evaluation


def aliases(depth: int = 9) -> str:
    """A value of gigabytes in a few hundred bytes of YAML: each list holds the one before nine times."""
    names = "abcdefghijkl"[: depth + 1]
    first = f"&{names[0]} [{','.join('x' * 9)}]"
    lists = [f"&{name} [{','.join([f'*{before}'] * 9)}]" for before, name in pairwise(names)]
    return f"steps: [{', '.join([first, *lists])}]"


def configs() -> Iterable[Case]:
    def case(name: str, content: Content, sentence: str, words: str = "") -> Case:
        command = f"train --config tiny.yaml --config c.yaml --out out {words}"
        return Case(
            f"config-{name}", command, sentence, {"tiny.yaml": (CONFIGS / "tiny.yaml").read_bytes(), "c.yaml": content}
        )

    yield Case("config-missing", "train --config c.yaml", r"cannot read c\.yaml: No such file")
    yield Case("config-folder", "train --config c.yaml", r"cannot read c\.yaml: Is a directory", {"c.yaml/": b""})
    for name, content in {"empty": "", "list": "- 1", "text": "steps", "number": "3"}.items():
        yield case(name, content, r"c\.yaml must hold keys and values")
    for name, content in {
        "tabs": "optimizer:\n\trate: 1",
        "unclosed": "steps: [1",
        "hostile": "steps: !!python/object/apply:os.mkdir [harm]",
        "hostile-name": "steps: !!python/name:os.system",
        "alias-unknown": "steps: *a",
    }.items():
        yield case(name, content, r"c\.yaml is not YAML: ")
    yield case("binary", bytes(range(256)), r"cannot read c\.yaml: 'utf-8' codec")
    yield case("nested-3000-deep", "".join(f"{' ' * i}a:\n" for i in range(3000)), "is nested too deeply")
    yield case("aliases-of-gigabytes", aliases(), "'steps' should be a valid integer")
    for name, content, sentence in (
        ("unknown-key", "step: 3", "there is no key 'step'; did you mean 'steps'"),
        ("unknown-key-below", "optimizer: {rat: 3}", r"there is no key 'optimizer\.rat'; did you mean 'rate'"),
        (
            "unknown-setting",
            "network: {settings: {wdith: 3}}",
            r"no key 'network\.settings\.wdith'; did you mean 'width'",
        ),
        ("number-as-key", "3: 4", "Keys should be strings, not 3"),
        ("steps-word", "steps: many", "'steps' should be a valid integer, .* not 'many'"),
        ("steps-half", "steps: 1.5", "'steps' should be a valid integer, .* not 1.5"),
        ("steps-negative", "steps: -1", "'steps' should be greater than 0, not -1"),
        ("steps-null", "steps: null", "'steps' should be a valid integer, not None"),
        ("batch-0", "batch_size: 0", "'batch_size' should be greater than 0, not 0"),
        ("rate-negative", "optimizer: {rate: -1}", r"'optimizer\.rate' should be greater than 0, not -1"),
        (
            "rate-NaN",
            "optimizer: {rate: .nan}",
            r"'optimizer\.rate' should be (greater than 0|a finite number), not nan",
        ),
        ("rate-infinite", "optimizer: {rate: .inf}", r"'optimizer\.rate' should be a finite number, not inf"),
        ("ema-2", "ema: 2", "'ema' should be less than 1, not 2"),
        ("precision-16", "precision: 16", "'precision' should be 32 or 'bf16', not 16"),
        ("accelerator", "accelerator: abacus", "'accelerator' should be 'auto', 'cpu' or 'cuda', not 'abacus'"),
        ("source-a-number", "synthetic: 3", "'synthetic' should be .* not 3"),
        ("proportion-0", "synthetic: {proportion: 0}", r"'synthetic\.proportion' should be greater than 0"),
        ("weight-word", "weights: {joints: heavy}", r"'weights\.joints' should be a valid number, .* not 'heavy'"),
        ("format", "datasets: {a: {format: zip, path: x}}", r"'datasets\.a\.format' should be 'spin', 'coco'"),
        ("dataset-without-path", "out: o\ndatasets: {a: {format: coco}}", r"the key 'datasets\.a\.path' is missing"),
        ("architecture", "network: {architecture: vit}", r"'network\.architecture' should be 'iterative', 'graph' or"),
        (
            "feedback",
            "network: {settings: {feedback: none}}",
            r"settings\.feedback' should be 'parameters' or 'residuals'",
        ),
        ("input", "network: {settings: {encoder: {inputs: [smell]}}}", "inputs are one or more of rgb, heatmaps"),
        ("resnet", "network: {settings: {encoder: {resnet: 19}}}", "there is no ResNet-19 here; choose of 18, 34, 50"),
        ("joints", "network: {settings: {encoder: {joints: fingers}}}", "there is no joint set 'fingers'; choose of"),
        (
            "resolution-0",
            "network: {settings: {encoder: {resolution: 0}}}",
            "a network's resolution is a whole number from 16",
        ),
        ("width-negative", "network: {settings: {width: -3}}", "a network's width is a whole number from 1 to"),
        ("width-endless", "network: {settings: {width: 1000000000}}", "a network's width is a whole number from 1 to"),
        ("iterations-0", "network: {settings: {iterations: 0}}", "a network's iterations is a whole number from 1 to"),
        (
            "dropout-1",
            "network: {settings: {dropout: 1.0}}",
            "a network's dropout is a share from 0 to below 1, not 1.0",
        ),
    ):
        yield case(name, content, sentence)
    yield case("without-out", "batch_size: 3", "the key 'out' is missing", "steps=3")
    source = "out: o\nsynthetic: {}\n"
    for name, words, sentence in (
        ("override-without-value", "steps", "'steps' changes nothing: write it as key=value"),
        ("override-without-key", "=3", "'=3' changes nothing"),
        ("override-half-a-key", "optimizer.=3", "'optimizer.=3' changes nothing"),
        ("override-no-yaml", "'steps=[1'", r"the value in 'steps=\[1' is not YAML"),
        ("override-unknown", "step=3", "there is no key 'step'; did you mean 'steps'"),
        ("override-wrong", "steps=fast", "'steps' should be a valid integer"),
        ("nothing-to-train-on", "synthetic=null", "there is nothing to train on"),
        ("body-unknown", "body=nobody", "there is no body 'nobody'"),
        ("init-missing", "network.init=no.safetensors", r"no\.safetensors: there is no such checkpoint"),
        ("backgrounds-missing", "synthetic.backgrounds=nowhere", "nowhere holds no pictures"),
        ("dataset-missing", "'datasets={a: {format: lspe, path: no.tar}}'", r"no\.tar: not an uncompressed tar"),
    ):
        yield case(name, source, sentence, words)


CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def evaluation() -> Iterable[Case]:
    def case(name: str, words: str, sentence: str, files: Mapping[str, Content] | None = None) -> Case:
        return Case(f"evaluate-{name}", f"evaluate --checkpoint none {words}", sentence, files or {})

    yield case("nothing", "--dataset synthetic", "there is only the fit to evaluate: add --fit")
    for name, dataset, sentence, files in (
        ("unknown", "zip:x", "there is no data set 'zip:x'; give synthetic, or one of spin:PATH", {}),
        ("without-path", "spin", "there is no data set 'spin'", {}),
        ("spin-missing", "spin:a.npz", r"a\.npz: not a readable .npz of plain arrays \(No such file", {}),
        ("spin-bomb", "spin:a.npz", "it unpacks to 4 GiB", {"a.npz": make.zip_bomb}),
        ("spin-empty", "spin:a.npz", "imgname is missing", {"a.npz": make.npz({"a": 1})}),
        ("coco-empty", "coco:a.json", "", {"a.json": "[]"}),
        ("lspe-missing", "lspe:a.tar", r"a\.tar: not an uncompressed tar", {}),
        ("lspe-text", "lspe:a.tar", r"a\.tar: not an uncompressed tar", {"a.tar": "text" * 500}),
        (
            "3dpw-hostile",
            "3dpw:a.pkl",
            "refused, because it asks to run 'os.system'",
            {"a.pkl": make.asking_for("os.system")},
        ),
        ("multiview-empty", "multiview:a", "gt.npz: not a readable .npz", {"a/": b""}),
        ("shards-empty", "shards:a", r"the folder holds no shards \(.tar\)", {"a/": b""}),
        ("3dpw-test-without-bodies", "3dpw-test:a", "name the bodies they were made with, --male and --female", {}),
    ):
        yield case(f"dataset-{name}", f"--fit --pictures . --dataset {dataset}", sentence, files)
    for name, words, sentence in (
        ("joints-unknown", "--joints fingers", "unknown joint set 'fingers'; known sets: smpl24"),
        ("limit-0", "--limit 0", "the number of people to evaluate must be at least 1, not 0"),
        (
            "detections-unknown",
            "--detections maybe",
            "there are no detections 'maybe'; give detector, simulated, labels",
        ),
        ("threads-0", "--threads 0", "--threads must be at least 1"),
        ("body-unknown", "--body nobody", "there is no body 'nobody'"),
        ("device-unknown", "--device abacus", "device 'abacus' cannot be used here"),
        ("h36m-regressor-text", "--h36m-regressor a.npy", r"a\.npy: not a readable .npy array of regressor rows"),
    ):
        yield case(name, f"--fit --dataset synthetic {words}", sentence, {"a.npy": "text"})
    for command in (
        "evaluate --dataset synthetic --checkpoint",
        "reconstruct a.jpg --keypoints p.json --out out --regressor",
    ):
        files = {**GOOD_PHOTO, "p.json": coco(keypoints=[0.0] * 51), "c.safetensors": "text"}
        name = command.split()[0]
        yield Case(f"{name}-regressor-unknown", f"{command} nothing", "there is no regressor 'nothing': give", files)
        text = f"{command} c.safetensors"
        yield Case(f"{name}-regressor-text", text, r"c\.safetensors is not a readable .safetensors file", files)
        other = {**files, "c.safetensors": make.safetensors_header({})}
        yield Case(f"{name}-regressor-no-network", text, "holds weights but no network of this version", other)


# --- where results go


def folders() -> Iterable[Case]:
    poses = {**GOOD_PHOTO, "p.json": coco(keypoints=[0.0] * 51)}
    job = "reconstruct a.jpg --keypoints p.json --out"
    yield Case("out-is-a-file", f"{job} p.json", "a part of the path is a file", poses)
    yield Case("out-in-a-file", f"{job} p.json/out", "a part of the path is a file", poses)
    yield Case(
        "out-has-a-file-of-that-name", f"{job} out", "would have the name of a file", {**poses, "out/a.jpg": b""}
    )
    yield Case("out-name-too-long", f"{job} {'x' * 300}", "choose a shorter name", poses)
    yield Case("out-takes-the-photos-place", "reconstruct a.jpg --out .", "would have the name of a file", GOOD_PHOTO)
    yield Case(
        "body-out-is-a-file", "body --body b.npz --poses squat --out b.npz", "a part of the path is a file", BODY
    )
    good = {"p.json": edited()}
    yield Case("export-out-is-a-file", "export p.json --out p.json", "a part of the path is a file", good)


# --- command lines


def usage() -> Iterable[Case]:
    for command, sentence in (
        ("", "the following arguments are required: COMMAND"),
        ("photo.jpg", "invalid choice: 'photo.jpg'"),
        ("Reconstruct a.jpg", "invalid choice: 'Reconstruct'"),
        ("--out out", "unrecognized arguments|required|invalid choice"),
        ("reconstruct", "the following arguments are required: photos, --out"),
        ("reconstruct a.jpg", "the following arguments are required: --out"),
        ("reconstruct --out out", "the following arguments are required: photos"),
        ("reconstruct a.jpg --out", "argument --out: expected one argument"),
        ("reconstruct a.jpg --out out --speed 3", "unrecognized arguments: --speed 3"),
        ("reconstruct a.jpg --out out --focal wide", "argument --focal: invalid float value: 'wide'"),
        ("reconstruct a.jpg --out out --jobs two", "argument --jobs: invalid int value: 'two'"),
        ("reconstruct a.jpg --out out --jobs 1.5", "argument --jobs: invalid int value: '1.5'"),
        ("reconstruct a.jpg --out out --skinned=yes", "ignored explicit argument 'yes'"),
        ("export", "the following arguments are required: parameters"),
        ("export p.json --color red", "unrecognized arguments"),
        ("body", "the following arguments are required: --out"),
        ("body --out", "expected one argument"),
        ("body neutral --out out", "unrecognized arguments: neutral"),
        ("convert-body", "the following arguments are required: source, target"),
        ("convert-body a.pkl", "the following arguments are required: target"),
        ("convert-body a.pkl b.npz c.npz", "unrecognized arguments: c.npz"),
        ("import-checkpoint a.pt b.safetensors", "the following arguments are required: --body"),
        ("import-checkpoint --body b.pkl", "the following arguments are required: source, target"),
        ("models --threads many", "invalid int value: 'many'"),
        ("models now", "unrecognized arguments: now"),
        ("benchmark", "the following arguments are required: what"),
        ("benchmark soup", "invalid choice: 'soup'"),
        ("benchmark body --threads x", "invalid int value: 'x'"),
        ("train", "the following arguments are required: --config"),
        ("train --config c.yaml --steps 3", "unrecognized arguments: --steps"),
        ("evaluate --checkpoint none", "the following arguments are required: --dataset"),
        ("evaluate --checkpoint none --dataset synthetic --limit few", "invalid int value: 'few'"),
        ("doctor now", "unrecognized arguments: now"),
    ):
        yield Case(f"usage-{command or 'nothing'}", command, sentence, code=2)
    yield Case("models-threads-0", "models --threads 0", "--threads must be at least 1, not 0")
    yield Case("benchmark-threads-0", "benchmark body --threads 0", "--threads must be at least 1")
    yield Case("benchmark-data-of-body", "benchmark body --data .", "--data is for the benchmark of photos")
    yield Case("benchmark-no-data", "benchmark photos --data nowhere", "nowhere holds no multiview/ and lspe/val.tar")


TABLE = [
    case
    for part in (
        photos,
        boxes,
        keypoints,
        options,
        bodies,
        checkpoints,
        parameters,
        motion,
        configs,
        evaluation,
        folders,
        usage,
    )
    for case in part()
]


# --- running it


CHOSEN = ("body", "device", "pose_model", "regressor", "refine")  # settings on which the reconstructor depends


class Nobody:
    """A detector that finds nobody."""

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list:
        return []


@pytest.fixture(scope="module")
def reconstructor():
    return meshrec.Reconstructor(detector=Nobody())


@pytest.fixture(scope="module")
def smpl() -> BodyModel:
    """A body of SMPL's sizes, under the name that rows about checkpoints give it."""
    return BodyModel(body_from_arrays(random_arrays(6890, influences=1), "random"))


@pytest.fixture
def fast(reconstructor, smpl, monkeypatch) -> None:
    """What takes time and is not broken is made once: the body and fit of the photo job, and SMPL's body."""
    import meshrec.batch
    import meshrec.body

    make_reconstructor, load_body = meshrec.batch._reconstructor, meshrec.body.load_body

    def made_once(settings):
        usual = Settings(boxes=settings.boxes, keypoints=settings.keypoints)
        chosen = any(getattr(settings, name) != getattr(usual, name) for name in CHOSEN)
        return make_reconstructor(settings) if chosen else reconstructor

    monkeypatch.setattr(meshrec.batch, "_reconstructor", made_once)
    monkeypatch.setattr(meshrec.body, "load_body", lambda name: smpl if name == "SMPL" else load_body(name))


def read_motion(arguments: list[str]) -> int:
    """The readers of motion capture as if they were commands."""
    try:
        {"read-bvh": read_bvh, "read-acclaim": read_acclaim}[arguments[0]](*arguments[1:])
    except InputError as error:
        print(f"meshrec: {error}", file=sys.stderr)
        return 1
    return 0


def run(command: str) -> int:
    arguments = shlex.split(command)
    try:
        return (read_motion if command.startswith("read-") else main)(arguments)
    except SystemExit as stop:
        return stop.code


def put(files: Mapping[str, Content], folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir()
            continue
        path.parent.mkdir(exist_ok=True)
        content = content() if callable(content) else content
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def everything(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name.replace(" ", "_")[:70])
def test_broken_input_gets_its_sentence(case, fast, tmp_path, monkeypatch, capfd):
    if case.command.startswith("train --config"):
        pytest.importorskip("lightning", reason="needs lightning, which pip installs with meshrec[train]")
    monkeypatch.chdir(tmp_path)
    put(case.files, tmp_path)
    before = everything(tmp_path)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)
        code = run(case.command)
    output = capfd.readouterr()
    assert code == case.code, output.err
    assert not warned
    if case.code == 0:
        assert re.search(case.sentence, output.out), output.out
        return
    assert re.search(case.sentence, output.err), output.err
    if case.code == 2:
        assert output.err.startswith("usage: meshrec")
    else:
        assert output.err.startswith("meshrec: ") and output.err.count("\n") == 1 and len(output.err) < 500
    assert everything(tmp_path) == before


def test_the_table_is_large_enough_and_its_names_differ():
    assert len(TABLE) >= 150
    assert len({case.name for case in TABLE}) == len(TABLE)


def test_what_the_table_breaks_is_whole_otherwise(fast, tmp_path, monkeypatch, capfd):
    """Every kind of file that the table breaks is accepted when nothing is broken, or the table would prove nothing."""
    monkeypatch.chdir(tmp_path)
    put({**GOOD_PHOTO, "p.json": coco(keypoints=[0.0] * 51), "boxes.json": "[[10, 20, 300, 200]]"}, tmp_path)
    put({f"b{suffix}": make.body(suffix) for suffix in SUFFIXES} | {"q.json": edited()}, tmp_path)
    put({"a.bvh": BVH, "a.asf": ASF, "a.amc": AMC}, tmp_path)
    for command in (
        "reconstruct a.jpg --out out --keypoints p.json",
        "reconstruct a.jpg --out out --boxes boxes.json",
        *(f"convert-body b{suffix} out{suffix}.npz" for suffix in SUFFIXES),
        "export q.json --out out",
        "read-bvh a.bvh",
        "read-acclaim a.asf a.amc",
    ):
        assert run(command) == 0, capfd.readouterr().err


# --- what no file can show: permissions, full disks, interrupts

UNSEEN = {**GOOD_PHOTO, "p.json": coco(keypoints=[0.0] * 51)}  # a photo of nobody
WRITING = {
    "reconstruct": ("reconstruct a.jpg --out out --keypoints p.json", UNSEEN),
    "export": ("export q.json --out out", {"q.json": edited()}),
    "body": ("body --body b.npz --poses squat --out out", BODY),
    "convert-body": ("convert-body b.npz out.npz", BODY),
}  # fmt: skip


@pytest.mark.parametrize("command, files", WRITING.values(), ids=WRITING)
@pytest.mark.parametrize(
    "error, sentence",
    [
        (OSError(28, "No space left on device"), "No space left on device; free some space or choose another folder"),
        (OSError(122, "Disk quota exceeded"), "Disk quota exceeded; free some space"),
        (OSError(30, "Read-only file system"), "Read-only file system; choose a folder that you may write to"),
        (PermissionError(13, "Permission denied"), "Permission denied; choose a folder that you may write to"),
        (OSError(5, "Input/output error"), "Input/output error; choose another place"),
    ],
    ids=lambda value: value.strerror.replace(" ", "-") if isinstance(value, OSError) else "",
)
def test_places_that_cannot_be_written(command, files, error, sentence, fast, tmp_path, monkeypatch, capfd):
    import meshrec.atomic

    def refuse(part: Path, data: bytes) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(meshrec.atomic, "_create", refuse)
    put(files, tmp_path)
    assert run(command) == 1
    output = capfd.readouterr().err
    assert sentence in output and output.count("\n") == 1
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == set(files)


@pytest.mark.parametrize("command, files", WRITING.values(), ids=WRITING)
@pytest.mark.parametrize("moment", ["before the file is written", "before it gets its name"])
def test_an_interrupt_leaves_whole_files_only(command, files, moment, fast, tmp_path, monkeypatch, capfd):
    import meshrec.atomic

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    target = (os, "replace") if moment.endswith("name") else (meshrec.atomic, "_create")
    monkeypatch.setattr(*target, interrupt)
    put(files, tmp_path)
    assert run(command) == 130
    assert capfd.readouterr().err == "meshrec: interrupted; what was finished is kept\n"
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == set(files)


@pytest.mark.parametrize("file", ["photo", "boxes"])
def test_files_that_may_not_be_read(file, fast, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    put({**GOOD_PHOTO, "boxes.json": "[[10, 20, 300, 200]]"}, tmp_path)
    path = tmp_path / {"photo": "a.jpg", "boxes": "boxes.json"}[file]
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser may read anything: let the system refuse it nevertheless
        opened = open

        def refuse(name, *arguments, **options):
            if Path(name).name == path.name:
                raise PermissionError(13, "Permission denied", str(name))
            return opened(name, *arguments, **options)

        monkeypatch.setattr("builtins.open", refuse)
        monkeypatch.setattr("io.open", refuse)
    assert run("reconstruct a.jpg --out out --boxes boxes.json") == 1
    output = capfd.readouterr().err
    assert "ermission" in output and output.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on file sizes, which Windows lacks")
def test_a_process_on_a_full_disk_leaves_nothing(tmp_path):
    """No patches: the system itself lets this process write no file of more than 1,000 bytes."""
    put(BODY, tmp_path)
    program = (
        "import resource, signal, sys\n"
        "from meshrec.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "sys.exit(main(['convert-body', 'b.npz', 'out.safetensors']))\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 1
    assert answer.stderr == "meshrec: cannot write out.safetensors: File too large; choose another place.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["b.npz"]


def test_a_process_reports_broken_input_like_this(tmp_path):
    (tmp_path / "a.jpg").write_text("no photo")
    command = [sys.executable, "-m", "meshrec.cli", "export", "a.jpg", "--out", "out"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 1 and answer.stdout == ""
    assert answer.stderr == "meshrec: a.jpg: the name must end in .json or .npz, which tells the format.\n"
