"""Lines of numbers: C's own formatting, and reading them again, are the truth."""

import numpy as np

from meshrec.export.text_lines import decimal_lines, face_lines, float_lines

EDGES = [0, -0.0, 1e-4, 9.9999997e-5, 1e9, 999999999, 1, 10, 0.1, -0.5, 1e-45, 3.4028235e38, 123456789]


def test_floats_are_written_as_c_writes_them_and_read_back_exactly():
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2**32, 20_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    values = np.concatenate([patterns[np.isfinite(patterns)], rng.normal(0, 1, 20_000), EDGES]).astype(np.float32)
    words = float_lines(b"", values[:, None]).decode().split()
    assert words == [f"{value:.9g}" for value in values.tolist()]
    assert np.array_equal(np.array(words, np.float64).astype(np.float32), values)


def test_decimals_are_written_as_c_writes_them():
    values = np.random.default_rng(1).uniform(-1, 1, (1000, 3)).astype(np.float32)
    values[0] = 1, -1, 0
    want = "".join(f"vn {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in values.tolist())
    assert decimal_lines(b"vn", values, 5).decode() == want


def test_faces_count_from_one():
    rng = np.random.default_rng(2)
    vertex, uv, faces = rng.integers(0, 12_000, 500), rng.integers(0, 99, 500), rng.integers(0, 500, (400, 3))
    with_uv = "".join("f " + " ".join(f"{vertex[i] + 1}/{uv[i] + 1}/{vertex[i] + 1}" for i in f) + "\n" for f in faces)
    without = "".join("f " + " ".join(f"{vertex[i] + 1}//{vertex[i] + 1}" for i in f) + "\n" for f in faces)
    assert face_lines(faces, vertex, uv).decode() == with_uv
    assert face_lines(faces, vertex, None).decode() == without
