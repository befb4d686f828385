"""Broken photos, boxes, keypoints and options of the photo job."""

import json
import pickle
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from helpers.bad_input import files as make
from helpers.bad_input.case import Case, Content

GOOD_PHOTO = {"a.jpg": lambda: make.picture("JPEG", (320, 240))}


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
    for brand in (b"heic", b"mif1", b"hevc"):
        sentence = r"HEIC files need pillow-heif|this HEIC file is damaged"
        yield photo(f"heic-{brand.decode()}", "a.heic", b"\0\0\0\x18ftyp" + brand + bytes(64), sentence)
    yield photo("video", "a.mp4", b"\0\0\0\x20ftypisom" + bytes(64), "the video is cut short or damaged")
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
    yield photo("animated-TIFF", "a.tiff", make.animation("TIFF"), "the first of 3 frames is used", code=0)
    for kind in ("GIF", "WEBP", "PNG"):
        yield photo(f"animated-{kind}", f"a.{kind.lower()}", make.animation(kind), "nobody found", code=0)
    yield Case(
        "photo-folder-without", "reconstruct folder --out out", "folder: no photos or videos there", {"folder/": b""}
    )
    videos = {"folder/a.mov": b"x", "folder/c.dng": b"x", "folder/notes.txt": b"x"}
    nothing = "no photos or videos there"
    sentence = r"folder/a\.mov: this is not a video"
    yield Case("photo-folder-of-videos", "reconstruct folder --out out", sentence, videos)
    yield Case("photo-folder-named-jpg", "reconstruct a.jpg --out out", rf"a\.jpg: {nothing}", {"a.jpg/": b""})
    yield Case("photo-missing", "reconstruct a.jpg --out out", r"a\.jpg: no such file")
    yield Case("photo-pattern-without", "reconstruct '*.jpg' --out out", r"\*\.jpg: no photos or videos there")
    yield Case("photo-name-too-long", f"reconstruct {'x' * 300}.jpg --out out", "no such file")
    yield Case("photo-device", "reconstruct /dev/zero --out out", "/dev/zero is no regular file")
    yield photo("60000x16", "a.png", make.png(60_000, 16), "60000 x 16 pixels is too long; a side may have 32766")
    raw = "reconstruct 'a\udcff.jpg' --out out"
    yield Case("photo-name-that-is-no-text", raw, r"a\?\.jpg: no such file")
    yield Case("photo-path-of-a-thousand", f"reconstruct {'x/' * 900}a.jpg --out out", r"\.\.\..*a\.jpg: no such file")
    control = "reconstruct 'a\x1b\nb.jpg' --out out"
    yield Case("photo-name-of-control-characters", control, r"a\?\?b\.jpg: no such file")


def boxes() -> Iterable[Case]:
    def case(name: str, content: Content, sentence: str) -> Case:
        files = {**GOOD_PHOTO, "boxes.json": content}
        return Case(f"boxes-{name}", "reconstruct a.jpg --out out --boxes boxes.json", sentence, files)

    yield Case("boxes-missing", "reconstruct a.jpg --out out --boxes b.json", r"b\.json: .*No such file", GOOD_PHOTO)
    folder = {**GOOD_PHOTO, "b.json/": b""}
    yield Case("boxes-folder", "reconstruct a.jpg --out out --boxes b.json", r"b\.json: .*Is a directory", folder)
    device = "reconstruct a.jpg --out out --boxes /dev/zero"
    yield Case("boxes-device", device, "/dev/zero is no regular file", GOOD_PHOTO)
    for name, content in {
        "empty": b"",
        "nested-65-deep": b"[" * 65 + b"]" * 65,
        "text": b"10 20 30 40",
        "binary": bytes(range(128, 256)),
        "cut": b'{"a.jpg": [[10, 20, 30',
        "nested-100000-deep": b"[" * 100_000,
        "single-quotes": b"{'a.jpg': [[10, 20, 30, 40]]}",
    }.items():
        yield case(name, content, r"boxes\.json: this is not JSON")
    shape = r"must be a list of \[x0, y0, x1, y1\]"
    numbers = "the boxes of (the photo|a.jpg) must be numeric"
    finite = "must be finite, without NaN, infinity or null"
    for name, content, sentence in (
        ("a-number", "3", "boxes have to be"),
        ("a-text", '"a.jpg"', "boxes have to be"),
        ("null", "null", "boxes have to be"),
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
        ("width-and-height", "[[100, 90, 50, 60]]", r"a box of the photo is empty; boxes are .*not \[x, y, width"),
        ("of-no-area", "[[10, 20, 10, 40]]", "a box of the photo is empty"),
        ("right-of-photo", "[[400, 20, 500, 40]]", "lies outside this 320 x 240 photo"),
        ("above-photo", '{"a.jpg": [[10, -50, 100, -5]]}', "lies outside this 320 x 240 photo"),
        ("within-a-pixel", "[[10, 20, 10.5, 40]]", "or is smaller than a pixel"),
        ("of-another-photo", '{"b.jpg": [[10, 20, 30, 40]]}', r"boxes\.json does not name this photo"),
        ("of-no-photo", "{}", "does not name this photo"),
    ):
        yield case(name, content, sentence)


def coco(**changes: object) -> str:
    """A COCO file with one person, in which the given keys of the file, the image or the person are changed."""
    image, person = {"id": 1, "file_name": "a.jpg"}, {"image_id": 1, "keypoints": [100.0, 90.0, 2.0] * 17}
    content: dict = {"images": [image], "annotations": [person], "categories": None}
    for key, value in changes.items():
        (content if key in content else image if key in image else person)[key] = value
    return json.dumps(content)


def mmpose(names: list[str] | None = None, **changes: object) -> str:
    """A file of MMPose's with one person, in whom the given keys are changed, and with names of keypoints."""
    person = {"keypoints": [[100.0, 90.0]] * 17, "keypoint_scores": [0.9] * 17, **changes}
    meta = {} if names is None else {"keypoint_id2name": dict(enumerate(names))}
    return json.dumps({"meta_info": meta, "instance_info": [person]})


def openpose(values: object) -> str:
    return json.dumps({"people": [{"pose_keypoints_2d": values}]})


def keypoints() -> Iterable[Case]:
    def case(name: str, content: Content, sentence: str, file: str = "poses.json") -> Case:
        command = f"reconstruct a.jpg --out out --keypoints {file}"
        return Case(f"keypoints-{name}", command, sentence, {**GOOD_PHOTO, file: content})

    yield Case("keypoints-missing", "reconstruct a.jpg --out out --keypoints p.json", "No such file", GOOD_PHOTO)
    yield case("empty-folder", b"", "the folder contains no OpenPose files", file="poses/")
    yield case("empty", b"", "this is not JSON")
    yield case("cut", coco()[:60], "this is not JSON")
    yield case("binary", bytes(range(128, 256)), "this is not JSON")
    neither = "neither OpenPose's JSON .* nor COCO's"
    for name, content in {"empty-object": "{}", "number": "3", "null": "null", "images-only": '{"images": []}'}.items():
        yield case(name, content, neither)
    line = [100.0, 90.0, 2.0]
    for name, content, sentence in (
        ("openpose-no-list", '{"people": 3}', "people of OpenPose's format must be a list"),
        ("openpose-of-numbers", '{"people": [3]}', "person 0 must have 25 keypoints"),
        ("openpose-19-keypoints", openpose(line * 19), "person 0 must have 25 keypoints .*BODY_25.*, not 19"),
        (
            "openpose-14-keypoints",
            openpose(line * 14),
            "14 may be aic14, crowdpose14, lsp14; say which",
        ),
        ("openpose-no-triples", openpose([1.0] * 26), "person 0 must have 25 keypoints .* as a flat list of x, y and"),
        ("openpose-without-poses", '{"people": [{"face_keypoints_2d": []}]}', "person 0 must have 25 keypoints"),
        ("openpose-words", openpose(["x"] * 75), "the keypoints of person 0 must be numeric"),
        ("openpose-NaN", openpose([float("nan")] * 75), "the keypoints of person 0 must be finite"),
        ("openpose-null", openpose([None] * 75), "the keypoints of person 0 must be finite"),
        (
            "openpose-percent",
            openpose([100.0, 90.0, 87.0] * 25),
            "a keypoint confidence of 87; it must be",
        ),
        ("openpose-infinite-confidence", openpose([100.0, 90.0, float("inf")] * 25), "a keypoint confidence of inf"),
        (
            "openpose-scaled-to-1",
            openpose([0.4, 0.5, 0.9] * 25),
            "are normalised to 1; they have to be in photo pixels",
        ),
        (
            "alphapose-of-another-photo",
            json.dumps({"b.jpg": {"people": [{"pose_keypoints_2d": line * 18}]}}),
            r"poses\.json does not name this photo",
        ),
        ("alphapose-no-list", '{"a.jpg": {"bodies": 3}}', "the bodies of OpenPose's format must be a list"),
        (
            "mmpose-of-a-video",
            '[{"frame_id": 0, "instances": []}, {"frame_id": 1, "instances": []}]',
            "2 photos or frames",
        ),
        ("mmpose-of-two-photos", '{"predictions": [[], []]}', "2 photos or frames; give a file for each photo"),
        ("mmpose-of-numbers", '{"instance_info": [3]}', "MMPose's instances must be a list of objects"),
        ("mmpose-without-scores", mmpose(keypoint_scores=[1.0]), r"must be a list of \[x, y\] with a keypoint_score"),
        (
            "mmpose-16-names",
            mmpose(names=["pelvis", "left_hip"] * 8 + ["x"]),
            "17 of these names and this order are none",
        ),
        ("mmpose-bbox", mmpose(bbox=[[1, 2, 3]]), r"the bbox of person 0 must be \[\[x0, y0, x1, y1\]\]"),
        ("mmpose-NaN", mmpose(keypoint_scores=[float("nan")] * 17), "must be finite"),
        ("ai-challenger-no-object", '[{"image_id": "a", "keypoint_annotations": []}]', "AI Challenger's photos need"),
        (
            "ai-challenger-13-keypoints",
            json.dumps([{"image_id": "a", "keypoint_annotations": {"human1": line * 13}}]),
            "person 0 must have 14 keypoints",
        ),
        ("list-of-numbers", "[1, 2]", "must be a list of objects, each with an image_id"),
        (
            "list-without-image",
            json.dumps([{"keypoints": line * 17}]),
            "must be a list of objects, each with an image_id",
        ),
        ("annotations-no-list", coco(annotations={}), "must be a list of objects, each with an image_id"),
        ("images-no-list", coco(images=3), "each of COCO's images needs an id and a file_name"),
        ("images-without-names", coco(images=[{"id": 1}]), "each of COCO's images needs an id and a file_name"),
        ("image-unknown", coco(image_id=7), "person 0 belongs to image 7, which is not among the images"),
        ("image-a-list", coco(image_id=[1]), r"belongs to image \[1\], which is not among the images"),
        ("of-another-photo", coco(file_name="b.jpg"), "does not name this photo"),
        ("19-keypoints", coco(keypoints=line * 19), "person 0 must have 17 keypoints .*, or .* known layout"),
        (
            "keypoints-of-animals",
            coco(category_id=1, categories=[{"id": 1, "name": "dog", "keypoints": ["Left Knee", *"abcdefghijklmnop"]}]),
            "17 of these names and this order are none",
        ),
        ("nested", coco(keypoints=[line] * 17), "person 0 must have 17 keypoints"),
        ("words", coco(keypoints=["x"] * 51), "the keypoints of person 0 must be numeric"),
        ("NaN", coco(keypoints=[100.0, float("nan"), 2.0] * 17), "must be finite"),
        ("infinite", coco(keypoints=[100.0, float("inf"), 2.0] * 17), "must be finite"),
        ("too-large", coco(keypoints=[100.0, 1e300, 2.0] * 17), "must be finite"),
        ("scaled-to-1", coco(keypoints=[0.4, 0.5, 2.0] * 17), "are normalised to 1"),
        ("off-photo", coco(keypoints=[900.0, 90.0, 2.0] * 17), "no keypoint inside this 320 x 240 photo"),
        ("bbox-of-3", coco(bbox=[1, 2, 3]), r"the bbox of person 0 must be \[x, y, width, height\]"),
        ("bbox-words", coco(bbox="all"), "the bbox of person 0 must be numeric"),
        ("bbox-NaN", coco(bbox=[1, 2, 3, float("nan")]), "the bbox of person 0 must be finite"),
        ("bbox-off-photo", coco(bbox=[900, 2, 30, 40]), "lies outside this 320 x 240 photo"),
        ("score-word", coco(score="high"), "the score of person 0 must be numeric"),
        ("score-NaN", coco(score=float("nan")), "the score of person 0 must be finite"),
        ("score-list", coco(score=[1, 2]), "the score of person 0 must be a single number"),
        ("score-object", coco(score={}), "the score of person 0 must be numeric"),
    ):
        yield case(name, content, sentence)

    def accepted(name: str, content: Content, sentence: str) -> Case:
        files = {**GOOD_PHOTO, "poses.json": content}
        return Case(f"keypoints-{name}", "reconstruct a.jpg --out out --keypoints poses.json", sentence, files, code=0)

    nobody = r"a\.jpg: nobody found.*\n1 photo, 0 people; poses\.json: left out "
    for name, content in {
        "openpose-empty-person": openpose([]),
        "openpose-null-person": openpose(None),
        "openpose-regressed-nothing": openpose([100.0, 90.0, -0.003] * 25),
        "openpose-minus-one": openpose([-1.0, -1.0, -1.0] * 25),
        "openpose-coordinates-of-nothing": openpose([None, None, 0.0] * 25),
        "missing-keypoints": coco(keypoints=None),
        "empty-keypoints": coco(keypoints=[]),
        "without-labels": coco(keypoints=[0.0] * 51),
        "mmpose-empty-person": mmpose(keypoints=[], keypoint_scores=[]),
    }.items():
        yield accepted(name, content, nobody + "people without keypoints")
    people = {"id": 1, "name": "person", "keypoints": ["nose"]}
    other = coco(categories=[people, {"id": 3, "name": "car"}], category_id=3, keypoints=[1, 2, 3])
    yield accepted("of-a-car", other, nobody + "annotations of other categories")
    yield accepted("mmpose-nobody", "[]", "a.jpg: nobody found")


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
    for value in ("0", "0.29", "2.61", "180", "nan", "inf", "1.8,0"):
        yield case(f"height-{value}", f"--height {value}", "a height must be a number of metres from 0.3 to 2.6, not ")
    for value in ("tall", "1.8m", "1,8;1,7"):
        yield case(f"height-{value}", f"--height {value}", f"'{value}' should be numbers separated by commas")
    yield case("height-none", "--height ,", "a height must be a number of metres, or several separated by commas")
    for value in ("26", "50", "1e-30", "30000", "1e300"):
        sentence = f"a focal length of {float(value):g} pixels would be a field of view of .* not in millimetres"
        yield case(f"focal-of-{value}", f"{poses} --focal {value}", sentence.replace("+", "[+]"))
    yield case("layout-unknown", f"{poses} --keypoint-layout body99", "there is no keypoint layout 'body99'; choose of")
    yield case("layout-of-another-size", f"{poses} --keypoint-layout aic14", "the 14 keypoints of the layout aic14")
    yield case("layout-without-keypoints", "--keypoint-layout aic14", "is for a file of keypoints, and there is none")
    yield case("boxes-and-keypoints", f"{poses} --boxes p.json", "not allowed with argument", code=2)
    yield case("device-unknown", f"{poses} --device abacus", "device 'abacus' cannot be used here")
    yield case("body-unknown", f"{poses} --body nobody", "there is no body 'nobody': give neutral, male, female")
    yield case("body-text", f"{poses} --body b.txt", "a body file ends in", {"b.txt": "text"})
    yield case("body-broken", f"{poses} --body b.npz", "not a readable .npz", {"b.npz": b"PK"})
    yield case("pose-model-missing", "--pose-model m.task", r"m\.task: no such pose model file")
    yield case("pose-model-text", "--pose-model m.task", "not a MediaPipe pose_landmarker", {"m.task": "text"})
    yield case("pose-model-folder", "--pose-model m.task", "no such pose model file", {"m.task/": b""})
