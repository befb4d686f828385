"""Broken body files."""

import pickle
import struct
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from helpers.bad_input import files as make
from helpers.bad_input.case import Case, Content

KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
SUFFIXES = (".npz", ".safetensors", ".pkl")
BODY = {"b.npz": lambda: make.body(".npz")}


def body_faults() -> Iterable[tuple[str, Callable, str]]:
    """Faults inside a body, whatever its file format: name, change to the arrays, and expected sentence."""
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
        "objects", ".npz", lambda: make.body(".npz", lambda a: a.update(f=objects)), "f should hold numbers, not object"
    )
    hostile_regressor = np.array(make.Hostile(), dtype=object)
    yield case(
        "hostile-regressor", ".npz", with_extra(J_regressor=hostile_regressor), "refused, because it asks to run"
    )
    for columns, family in ((459, "SMPL-H"), (486, "SMPL-X"), (135, "MANO"), (36, "FLAME")):
        larger = make.turning("posedirs", lambda p, columns=columns: np.zeros((8, 3, columns)))
        for suffix in SUFFIXES:
            content = partial(make.body, suffix, larger)
            yield case(f"of-{family}", suffix, content, f"a body of {family}.* with {columns} pose columns")
    yield case("bomb", ".npz", make.zip_bomb, "it unpacks to 4 GiB")
    yield case("archive", ".npz", make.archive, r"not a readable .npz of plain arrays \(photo.jpg in it is no array\)")
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
    yield case("deep-key", ".pkl", make.deep_key, "it lacks v_template")
    yield case(
        "12-bytes", ".pkl", b"\x80\x05\x96" + struct.pack("<Q", 6 << 30) + b".", "of 6442450944 bytes only 1 are"
    )
    yield case("memo-bomb", ".pkl", make.memo_bomb, "a place in the memo that cannot be")
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
        ("betas-NaN", "--betas nan", "betas must be up to 10 finite numbers"),
        ("betas-too-many", f"--betas {','.join('0' * 11)}", "betas must be up to 10 finite numbers"),
    ):
        yield Case(f"body-{name}", f"body --out out --body b.npz {words}", sentence, BODY)
