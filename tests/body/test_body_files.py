"""Body files: official pickles without chumpy, validation, conversion."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from helpers.paths import STORED

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import load_body, read_body, write_body
from meshrec.body.files import body_from_arrays
from meshrec.errors import InputError

# chumpy's classes as its pickles show them (github.com/mattloper/chumpy, ch.py and reordering.py): instances whose
# state is a dictionary. Written from a process in which modules of these names exist, read in one where they do not.
WRITE_OFFICIAL_PICKLE = """
import pickle, sys, types
import numpy as np, scipy.sparse as sp

chumpy, ch, reordering = (types.ModuleType(n) for n in ("chumpy", "chumpy.ch", "chumpy.reordering"))
class Ch(object):
    pass
class Select(Ch):
    pass
Ch.__module__, Select.__module__ = "chumpy.ch", "chumpy.reordering"
ch.Ch, reordering.Select = Ch, Select
sys.modules.update({m.__name__: m for m in (chumpy, ch, reordering)})

arrays = dict(np.load(sys.argv[1]))
def constant(x):
    c = Ch()
    c.__dict__.update(x=x, _dirty_vars=set(), _itr=None, _make_dense=False, _make_sparse=False)
    return c
if sys.argv[3] == "select":
    # SMPL 1.0 keeps the first ten of three hundred components as a selection of flat indices.
    wide = np.concatenate([arrays["shapedirs"], np.ones_like(arrays["shapedirs"])], 2)
    keep = np.arange(wide.size).reshape(wide.shape)[..., :arrays["shapedirs"].shape[2]].ravel()
    s = Select()
    s.__dict__.update(a=constant(wide), idxs=keep, preferred_shape=arrays["shapedirs"].shape, _dirty_vars=set())
    arrays["shapedirs"] = s
else:
    arrays["shapedirs"] = constant(arrays["shapedirs"])
arrays["v_template"] = constant(arrays["v_template"])
arrays["J_regressor"] = getattr(sp, sys.argv[4])(arrays["J_regressor"])
arrays["bs_style"] = "lbs"
with open(sys.argv[2], "wb") as f:
    data = pickle.dumps(arrays, protocol=2)
    # Python 2 and old numpy and scipy wrote these names.
    for new, old in ((b"numpy._core.multiarray", b"numpy.core.multiarray"), (b"sparse._csc", b"sparse.csc")):
        data = data.replace(new + b"\\n", old + b"\\n")
    f.write(data)
"""


@pytest.fixture(scope="module")
def arrays():
    return random_arrays()


@pytest.fixture
def write_pickle(tmp_path, arrays):
    def write(shape_kind: str, sparse: str):
        np.savez(tmp_path / "arrays.npz", **arrays)
        path = tmp_path / "SMPL_NEUTRAL.pkl"
        script = [sys.executable, "-c", WRITE_OFFICIAL_PICKLE, tmp_path / "arrays.npz", path, shape_kind, sparse]
        subprocess.run(script, check=True)
        return path

    return write


@pytest.mark.parametrize("shape_kind", ["ch", "select"])
@pytest.mark.parametrize("sparse", ["csc_matrix", "csr_matrix", "coo_matrix"])
def test_official_pickles_are_read_without_chumpy(write_pickle, arrays, shape_kind, sparse):
    body = read_body(write_pickle(shape_kind, sparse))
    assert np.array_equal(body.v_template, arrays["v_template"])
    assert np.array_equal(body.shapedirs, arrays["shapedirs"])
    assert np.array_equal(body.joint_regressor, arrays["J_regressor"])
    assert "chumpy" not in sys.modules


def test_a_pickle_written_by_python_2_and_chumpy():
    """random_arrays(vertices=8) in float32, written by Python 2.7 with numpy 1.16, scipy 1.2 and chumpy 0.71."""
    body, expected = read_body(STORED / "python2_chumpy.pkl"), random_arrays(vertices=8)
    assert np.array_equal(body.v_template, expected["v_template"].astype(np.float32))
    assert np.array_equal(body.shapedirs, expected["shapedirs"].astype(np.float32))
    assert np.array_equal(body.posedirs, expected["posedirs"].astype(np.float32))
    assert np.array_equal(body.joint_regressor, expected["J_regressor"].astype(np.float32))


class Hostile:
    def __reduce__(self):
        import os

        return os.system, ("touch hostile-was-here",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_is_refused_by_name_and_does_nothing(tmp_path, arrays, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "body.pkl"
    path.write_bytes(pickle.dumps({**arrays, "f": Hostile()}, protocol=protocol))
    with pytest.raises(InputError, match=r"(posix|nt)\.system"):
        read_body(path)
    assert not (tmp_path / "hostile-was-here").exists()


@pytest.mark.parametrize("name", ["builtins.eval", "builtins.getattr", "numpy.load", "scipy.sparse.csc_matrix.dot"])
def test_only_listed_names_are_found(tmp_path, name):
    module, _, attribute = name.rpartition(".")
    path = tmp_path / "body.pkl"
    path.write_bytes(b"c" + module.encode() + b"\n" + attribute.encode() + b"\n.")
    with pytest.raises(InputError, match="refused"):
        read_body(path)


def test_object_arrays_cannot_smuggle(tmp_path, arrays):
    path = tmp_path / "body.pkl"
    path.write_bytes(pickle.dumps({**arrays, "f": np.array([Hostile()], dtype=object)}, protocol=2))
    with pytest.raises(InputError, match="refused"):
        read_body(path)


def test_every_truncation_is_an_input_error(tmp_path, arrays):
    content = pickle.dumps(arrays, protocol=2)
    path = tmp_path / "body.pkl"
    for share in np.linspace(0, 0.99, 40):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InputError, match=r"body\.pkl"):
            read_body(path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_conversion_is_exact(tmp_path, arrays, suffix, dtype):
    typed = {key: value.astype(dtype) if value.dtype.kind == "f" else value for key, value in arrays.items()}
    extras = {
        "uv": np.random.default_rng(0).random((50, 2)),
        "uv_faces": np.zeros((40, 3), np.int32),
        "part_labels": np.zeros(40, np.uint8),
        "landmark_names": np.array(["nose", "left_eye"]),
        "landmark_regressor": np.eye(40)[:2],
        "name": "test",
        "licence": "none",
    }
    body = body_from_arrays(typed | extras, "test")
    path = tmp_path / ("body" + suffix)
    write_body(body, path)
    again = read_body(path)
    for field in body.__dataclass_fields__:
        ours, theirs = getattr(body, field), getattr(again, field)
        if isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs), field
        else:
            assert ours == theirs, field
    assert again.hash == body.hash


def test_the_hash_names_the_shape_space(arrays):
    body = body_from_arrays(arrays, "test")
    changed = body_from_arrays({**arrays, "shapedirs": arrays["shapedirs"] * 1.01}, "test")
    assert body.hash != changed.hash != body.with_betas(5).hash
    assert body.hash == body_from_arrays({k: v.copy() for k, v in arrays.items()}, "other").hash


def test_number_of_betas(tmp_path):
    path = tmp_path / "wide.npz"
    np.savez(path, **random_arrays(betas=300))
    assert load_body(path).num_betas == 300
    assert load_body(path, num_betas=16).num_betas == 16
    with pytest.raises(InputError, match="300 shape components"):
        load_body(path, num_betas=301)
    with pytest.raises(InputError, match="301 shape components"):
        body_from_arrays(random_arrays(betas=301), "test")


def with_value(key, index, value):
    def change(arrays):
        arrays[key] = arrays[key].copy()
        arrays[key][index] = value

    return change


def with_array(key, function):
    def change(arrays):
        arrays[key] = function(arrays[key])

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda a: a.pop("weights"), "lacks weights"),
        (with_array("v_template", lambda v: v[:, :2]), r"v_template should be 40 x 3, but is 40 x 2"),
        (with_array("v_template", lambda v: v[:-1]), r"shapedirs should be 39 x 3 x any, but is 40 x 3 x 10"),
        (with_array("v_template", lambda v: np.float64(3)), "v_template should be"),
        (with_array("posedirs", lambda p: p[..., :200]), "posedirs should be 40 x 3 x 207"),
        (with_array("J_regressor", lambda j: j[:20]), "J_regressor should be 24 x 40"),
        (with_value("f", (0, 0), 40), "f should index 40 points"),
        (with_array("f", lambda f: f.astype(float)), "f should index"),
        (with_value("weights", (3, 0), 2.0), "weights of vertex 3 do not sum to one"),
        (with_value("v_template", (0, 0), np.nan), "v_template contains NaN"),
        (with_value("shapedirs", (0, 0, 0), np.inf), "shapedirs contains NaN or infinite"),
        (with_array("J_regressor", lambda j: j * 2), "J_regressor row of joint"),
        (with_value("kintree_table", (0, 5), 9), "kintree_table is no tree"),
        (with_value("kintree_table", (0, 5), -7), "kintree_table is no tree"),
        (with_array("v_template", lambda v: v.astype(str)), "v_template should hold numbers"),
    ],
)
def test_each_fault_has_its_sentence(tmp_path, arrays, change, message):
    broken = dict(arrays)
    change(broken)
    path = tmp_path / "body.npz"
    np.savez(path, **broken)
    with pytest.raises(InputError, match=message) as error:
        read_body(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_the_root_may_be_written_as_unsigned(arrays):
    table = arrays["kintree_table"].copy()
    table[0, 0] = 2**32 - 1
    assert body_from_arrays({**arrays, "kintree_table": table}, "test").parents[0] == -1


@pytest.mark.parametrize("name", ["body.txt", "body.npy", "body"])
def test_wrong_suffix(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match="ends in"):
        read_body(tmp_path / name)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pkl"])
def test_damaged_and_missing_files(tmp_path, arrays, suffix):
    path = tmp_path / ("body" + suffix)
    with pytest.raises(InputError, match="no such body"):
        read_body(path)
    for content in (b"", b"garbage", b"PK\x03\x04" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(InputError, match="body"):
            read_body(path)


def test_objects_in_npz_are_refused_only_where_they_are_needed(tmp_path, arrays):
    path = tmp_path / "body.npz"
    for needed, message in (
        ({"f": np.array([Hostile()], dtype=object)}, "f should hold numbers, not object"),
        ({"J_regressor": np.array(Hostile(), dtype=object)}, "asks to run"),
    ):
        np.savez(path, **{**arrays, **needed})
        with pytest.raises(InputError, match=message):
            read_body(path)
    needless = {"part2num": np.array({"hips": 0}, dtype=object), "name": np.array(Hostile(), dtype=object)}
    np.savez(path, **{**arrays, **needless})
    assert read_body(path).name == ""


@pytest.mark.parametrize("kind", [sp.csc_matrix, sp.csr_matrix, sp.coo_matrix])
def test_a_sparse_regressor_in_npz(tmp_path, arrays, kind):
    regressor = np.array(kind(arrays["J_regressor"]), dtype=object)
    np.savez(tmp_path / "body.npz", **{**arrays, "J_regressor": regressor})
    assert np.array_equal(read_body(tmp_path / "body.npz").joint_regressor, arrays["J_regressor"])


@pytest.mark.parametrize(
    ("written", "read"), [(b"male", "male"), ("M", "male"), (np.array(["Female"]), "female"), ("unisex", "unisex")]
)
def test_genders_of_bodies(tmp_path, arrays, written, read):
    np.savez(tmp_path / "body.npz", **{**arrays, "gender": written})
    assert read_body(tmp_path / "body.npz").gender == read


@pytest.mark.parametrize(("joints", "name"), [(52, "SMPL-H"), (55, "SMPL-X"), (16, "MANO"), (5, "FLAME")])
def test_other_bodies_of_the_family_are_named(tmp_path, arrays, joints, name):
    vertices = len(arrays["v_template"])
    other = {
        "posedirs": np.zeros((vertices, 3, 9 * (joints - 1))),
        "J_regressor": np.full((joints, vertices), 1 / vertices),
        "weights": np.full((vertices, joints), 1 / joints),
        "kintree_table": np.stack([np.arange(joints) - 1, np.arange(joints)]),
    }
    np.savez(tmp_path / "body.npz", **{**arrays, **other})
    with pytest.raises(InputError, match=f"a body of {name}.*{9 * (joints - 1)} pose columns.*SMPL itself"):
        read_body(tmp_path / "body.npz")


def test_an_unknown_body_lists_what_there_is():
    with pytest.raises(InputError, match=r"neutral, male, female.*looked in"):
        load_body("nobody")


def test_sparse_and_dense_regressors_agree(tmp_path, arrays):
    path = tmp_path / "scipy.pkl"
    path.write_bytes(pickle.dumps({**arrays, "J_regressor": sp.csc_matrix(arrays["J_regressor"])}, protocol=2))
    assert np.array_equal(read_body(path).joint_regressor, arrays["J_regressor"])
