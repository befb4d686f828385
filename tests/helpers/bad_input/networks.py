"""Broken checkpoints, training configurations and options of evaluations."""

import argparse
import json
import pickle
from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np
import torch

from helpers.bad_input import files as make
from helpers.bad_input.case import Case, Content
from helpers.bad_input.photos import GOOD_PHOTO, coco
from helpers.paths import CONFIGS

FIELD_OF_VIEW = {"backbone.downsample_stage_1.0.weight": torch.zeros(1), "fc3.weight": torch.zeros(2, 4)}
OBJECTS = np.array([make.Hostile()], dtype=object)


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
    yield case("deep-key", lambda: make.torch_archive(make.deep_key()), "holds no weights of .*, but")
    yield case("deep", lambda: make.torch_archive(make.nested_pickle()), "nested more than 32 deep")
    options = {"model": argparse.Namespace(lr=1), "args": argparse.Namespace()}
    yield case(
        "options-for-weights", make.weights(options), "it asks to run 'argparse.Namespace'; weights need no code"
    )
    yield case("bomb", lambda: make.zip_bomb(".pt"), "is packed, as no checkpoint is")
    yield case("packed", lambda: make.deflated(good), "is packed, as no checkpoint is")
    yield case("list", make.weights([1, 2]), "holds a list where checkpoints are dictionaries of weights")
    yield case("no-weights", make.weights({"epoch": 3}), "holds no weights of .*, but epoch")
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
        {"c.pt": make.weights({"model": spin})},
    )
    yield Case(
        "checkpoint-without-body",
        "import-checkpoint c.pt o.safetensors",
        "c.pt: converting it needs the body with which it was trained",
        {"c.pt": make.weights({"model": spin})},
    )
    yield case("field-of-view", make.weights(FIELD_OF_VIEW), "does not fit this network; missing keys: ")
    yield case("cliff", make.weights({"model": {**spin, "encoder.conv1.weight": torch.zeros(1)}}), "missing keys: ")
    yield Case(
        "checkpoint-body-missing", "import-checkpoint c.pt o.safetensors --body no.pkl", "there is no body 'no.pkl'"
    )


def aliases(depth: int = 9) -> str:
    """YAML of a few hundred bytes for a value of gigabytes: each list holds the previous list nine times."""
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

    yield Case("config-device", "train --config /dev/zero", "/dev/zero is no regular file")
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
    many = "more than 20,000 values"
    yield case("aliases-of-gigabytes", aliases(), many)
    merged = [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 9)]
    yield case("merges-of-gigabytes", "\n".join(["a0: &a0 {k: v}", *merged]), many)
    yield case("values-of-megabytes", "steps: [" + "1," * 30_000 + "]", many)
    yield case("larger-than-any", b"#" * (9 << 20), r"c\.yaml: the file has more than 8 MiB")
    yield case("itself", "network: &a {settings: *a}", "not YAML: a value contains itself")
    yield case(
        "nested-in-aliases", "\n".join(["a0: &a0 [1]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 200))]), "deep"
    )
    for value in (
        "2020-13-45",
        "!!int x",
        "!!timestamp x",
        "!!float ''",
        "!!bool x",
        "!!binary x",
        "!!int 0b",
        "9" * 5000,
    ):
        yield case(f"tag-{value[:20]}", f"steps: {value}", r"c\.yaml is not YAML: ")
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
        ("steps-endless", "steps: 1" + "0" * 400, "'steps' should be less than or equal to 2147483647, not 1000"),
        ("seed-endless", "seed: 1" + "0" * 30, "'seed' should be less than or equal to 2147483647"),
        ("workers-endless", "workers: 1000000", "'workers' should be less than or equal to 1024"),
        ("text-of-no-character", 'body: "\\ud800"', "is not YAML: 'utf-8' codec"),
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
        ("override-without-value", "steps", "'steps' is not an override: write key=value"),
        ("override-without-key", "=3", "'=3' is not an override"),
        ("override-half-a-key", "optimizer.=3", "'optimizer.=3' is not an override"),
        ("override-no-yaml", "'steps=[1'", r"the value in 'steps=\[1' is not YAML"),
        ("override-date", "steps=2020-13-45", "the value in 'steps=2020-13-45' is not YAML"),
        ("override-no-number", "'steps=!!int x'", "the value in 'steps=!!int x' is not YAML"),
        ("override-no-time", "'steps=!!timestamp x'", "is not YAML"),
        ("override-deep", f"steps={'[' * 5000}", r"the value in 'steps=\[+' is not YAML"),
        ("override-itself", "'network=&a {settings: *a}'", "is not YAML"),
        ("override-unknown", "step=3", "there is no key 'step'; did you mean 'steps'"),
        ("override-wrong", "steps=fast", "'steps' should be a valid integer"),
        ("nothing-to-train-on", "synthetic=null", "there is nothing to train on"),
        ("body-unknown", "body=nobody", "there is no body 'nobody'"),
        ("init-missing", "network.init=no.safetensors", r"no\.safetensors: there is no such checkpoint"),
        ("backgrounds-missing", "synthetic.backgrounds=nowhere", "nowhere holds no pictures"),
        (
            "bodies-unknown",
            "'datasets={a: {format: spin, path: a.npz, pictures: ., bodies: {men: 0123456789abcdef}}}'",
            "there are the bodies neutral, male, female, and none called 'men'",
        ),
        (
            "bodies-of-another-hash",
            "'datasets={a: {format: spin, path: a.npz, pictures: ., bodies: {neutral: 0123456789abcdef}}}'",
            r"'datasets\.a\.bodies\.neutral' is the hash 0123456789abcdef, but the training's body has the hash",
        ),
        ("dataset-missing", "'datasets={a: {format: lspe, path: no.tar}}'", r"no\.tar: not an uncompressed tar"),
    ):
        yield case(name, source, sentence, words)


def evaluation() -> Iterable[Case]:
    def case(name: str, words: str, sentence: str, files: Mapping[str, Content] | None = None) -> Case:
        return Case(f"evaluate-{name}", f"evaluate --checkpoint none {words}", sentence, files or {})

    yield case("nothing", "--dataset synthetic", "there is only the fit to evaluate: add --fit")
    for name, checkpoint, sentence in (
        ("detector-fit", "detector", "the detector makes no bodies that the fit could refine; leave out --fit"),
        ("twice", "proxy proxy", "two of the methods have the same name: proxy, proxy \\+ fit, proxy, proxy \\+ fit"),
        ("several-unknown", "proxy nobody", "there is no regressor 'nobody'"),
    ):
        yield Case(f"evaluate-{name}", f"evaluate --checkpoint {checkpoint} --fit --dataset synthetic", sentence)
    for name, dataset, sentence, files in (
        (
            "unknown",
            "zip:x",
            "there is no data set 'zip:x'; give synthetic, synthetic-dressed, or one of spin:PATH",
            {},
        ),
        ("without-path", "spin", "there is no data set 'spin'", {}),
        ("spin-missing", "spin:a.npz", r"a\.npz: not a readable .npz of plain arrays \(No such file", {}),
        ("spin-bomb", "spin:a.npz", "it unpacks to 4 GiB", {"a.npz": make.zip_bomb}),
        ("spin-empty", "spin:a.npz", "imgname is missing", {"a.npz": make.npz({"a": 1})}),
        ("coco-empty", "coco:a.json", "", {"a.json": "[]"}),
        (
            "spin-gender",
            "spin:a.npz",
            "row 0: gender is '1'; it must be neutral, male or female",
            {"a.npz": lambda: make.spin(gender=np.array(["1"]))},
        ),
        ("spin-objects", "spin:a.npz", "imgname must be a list of text", {"a.npz": lambda: make.spin(imgname=OBJECTS)}),
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
        ("h36m-regressor-archive", "--h36m-regressor a.zip", "a.zip: not a readable .npy .*it is an archive"),
        ("h36m-regressor-missing", "--h36m-regressor b.npy", r"b\.npy: .* \(No such file or directory\)"),
    ):
        files = {"a.npy": "text", "a.zip": make.archive()}
        yield case(name, f"--fit --dataset synthetic {words}", sentence, files)
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
        metadata = {"__metadata__": {"meshrec": json.dumps({"format": 2})}}
        newer = {**files, "c.safetensors": make.safetensors_header(metadata)}
        sentence = "c.safetensors is a checkpoint of format 2, but 1 is the newest known; update meshrec"
        yield Case(f"{name}-regressor-of-tomorrow", text, sentence, newer)
