"""Wrong command lines, and places that cannot be written to."""

from collections.abc import Iterable

from helpers.bad_input.bodies import BODY
from helpers.bad_input.case import Case
from helpers.bad_input.parameters import edited
from helpers.bad_input.photos import GOOD_PHOTO, coco


def folders() -> Iterable[Case]:
    poses = {**GOOD_PHOTO, "p.json": coco(keypoints=[0.0] * 51)}
    job = "reconstruct a.jpg --keypoints p.json --out"
    yield Case("out-is-a-file", f"{job} p.json", "a part of the path is a file", poses)
    yield Case("out-in-a-file", f"{job} p.json/out", "a part of the path is a file", poses)
    yield Case(
        "out-has-a-file-of-that-name", f"{job} out", "is a file; choose another --out", {**poses, "out/a.jpg": b""}
    )
    yield Case("out-name-too-long", f"{job} {'x' * 300}", "choose a shorter name", poses)
    yield Case("out-takes-the-photos-place", "reconstruct a.jpg --out .", "is a file; choose another --out", GOOD_PHOTO)
    yield Case(
        "body-out-is-a-file", "body --body b.npz --poses squat --out b.npz", "a part of the path is a file", BODY
    )
    good = {"p.json": edited()}
    yield Case("export-out-is-a-file", "export p.json --out p.json", "a part of the path is a file", good)


def usage() -> Iterable[Case]:
    for command, sentence in (
        ("", "the following arguments are required: COMMAND"),
        ("photo.jpg", "invalid choice: 'photo.jpg'"),
        ("Reconstruct a.jpg", "invalid choice: 'Reconstruct'"),
        ("--out out", "unrecognized arguments|required|invalid choice"),
        ("reconstruct", "the following arguments are required: sources, --out"),
        ("reconstruct a.jpg", "the following arguments are required: --out"),
        ("reconstruct --out out", "the following arguments are required: sources"),
        ("reconstruct a.jpg --out", "argument --out: expected one argument"),
        ("reconstruct a.jpg --out out --speed 3", "unrecognized arguments: --speed 3"),
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
        ("import-checkpoint --body b.pkl", "the following arguments are required: source, target"),
        ("models --threads many", "invalid int value: 'many'"),
        ("models now", "unrecognized arguments: now"),
        ("benchmark body --compare a.json b.json", "argument --compare: not allowed with argument what"),
        ("benchmark --compare a.json", "argument --compare: expected 2 arguments"),
        ("benchmark soup", "invalid choice: 'soup'"),
        ("benchmark photos", "invalid choice: 'photos'"),
        ("benchmark body --data .", "unrecognized arguments: --data ."),
        ("benchmark body --threads x", "invalid int value: 'x'"),
        ("train", "the following arguments are required: --config"),
        ("train --config c.yaml --steps 3", "unrecognized arguments: --steps"),
        ("train --config c.yaml steps=3 --out o later", "unrecognized arguments: later"),
        ("train --config c.yaml steps=3 --out o --seed=4", "unrecognized arguments: --seed=4"),
        ("body --out out a=b", "unrecognized arguments: a=b"),
        ("evaluate --checkpoint none", "the following arguments are required: --dataset"),
        ("evaluate --checkpoint none --dataset synthetic --limit few", "invalid int value: 'few'"),
        ("doctor now", "unrecognized arguments: now"),
    ):
        yield Case(f"usage-{command or 'nothing'}", command, sentence, code=2)
    yield Case("models-threads-0", "models --latency --threads 0", "--threads must be at least 1, not 0")
    yield Case("models-threads-alone", "models --threads 1", "--threads has a meaning only with --latency")
    neither = "--focal wide: this is neither a number of pixels nor a file"
    yield Case("focal-wide", "reconstruct a.jpg --out out --focal wide", neither, GOOD_PHOTO)
    network = "f.safetensors is not a readable .safetensors file"
    yield Case(
        "focal-text",
        "reconstruct a.jpg --out out --focal f.safetensors",
        network,
        {**GOOD_PHOTO, "f.safetensors": "text"},
    )
    yield Case("benchmark-threads-0", "benchmark body --threads 0", "--threads must be at least 1")
    run, good = "is no file that `meshrec benchmark --json` wrote", '{"headlines": [], "machine": {}}'
    for name, content in {
        "text": "fast",
        "number": "3",
        "other": "{}",
        "no-machine": '{"headlines": []}',
        "words": '{"headlines": [{"name": "a", "value": "fast", "unit": "ms"}], "machine": {}}',
        "deep": "[" * 100_000,
        "large": '{"headlines": [{"name": "a", "value": 1' + "0" * 400 + ', "unit": "ms"}], "machine": {}}',
        "name-of-lists": '{"headlines": [{"name": ["a"], "value": 1, "unit": "ms"}], "machine": {}}',
        "machine": '{"headlines": [], "machine": [3]}',
    }.items():
        files = {"old.json": content, "new.json": good}
        yield Case(f"compare-{name}", "benchmark --compare old.json new.json", f"old.json {run}", files)
    yield Case("compare-missing", "benchmark --compare a.json a.json", "cannot read a.json: No such file")
    # These are refused at once, before minutes of work whose results could not be written.
    for name, place, sentence in (
        ("folder", "there", "cannot write there: it is a folder"),
        ("file", "a.txt/b.json", "cannot write a.txt/b.json: .*a part of the path is a file"),
    ):
        files = {"there/": "", "a.txt": "x"}
        yield Case(f"benchmark-json-{name}", f"benchmark --json {place}", sentence, files)
    evaluate = "evaluate --checkpoint none --fit --dataset synthetic --out a.txt"
    yield Case(
        "evaluate-out-file", evaluate, "cannot write a.txt/report.json: .*a part of the path is a file", {"a.txt": "x"}
    )
